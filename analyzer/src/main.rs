//! The binary; everything is in the library.

use std::process::ExitCode;

/// A measurement is some hundred small texts, made by one thread and at times freed by another: with the system's allocator that is a
/// fifth of a reading in context.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    analyzer::main()
}
