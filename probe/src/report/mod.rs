//! What the user reads: data on stdout, talk on stderr.

use std::fmt::Arguments;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, buffered. Who has closed it (a pager, `head`) wants no more: an error of writing ends the printing.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// A line of talk. If nobody can hear it there is nothing to be done.
pub fn say(line: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
