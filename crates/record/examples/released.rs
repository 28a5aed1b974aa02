//! Makes the database of the newest format for `tests/released/`: once, when a format is released.
//!
//! `cargo run -p faultline-record --example released -- crates/record/tests/released/0001.sqlite`

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use faultline_record::Database;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name the file to make")?;
    if Path::new(&file).exists() {
        return Err(format!("{file} is there already: a released database is never made anew").into());
    }
    support::sample().store(&mut Database::open_or_create(Path::new(&file))?)?;
    Ok(())
}
