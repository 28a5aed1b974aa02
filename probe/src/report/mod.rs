//! What the user reads: data on stdout, talk on stderr.

pub mod detail;
pub mod table;

use std::fmt::Arguments;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::ops::ControlFlow;

use faultline_record::{Filter, Reader, RecordError, Witnessed};
use faultline_verdict::{Verdict, judge};

/// Standard output, buffered. Who has closed it (a pager, `head`) wants no more: an error of writing ends the printing.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// A line of talk. If nobody can hear it there is nothing to be done.
pub fn say(line: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Reads measurements back and judges each, one at a time in memory. The same judgement as the analyzer's.
pub fn for_each_judged(
    reader: &Reader,
    filter: &Filter,
    mut visit: impl FnMut(&Witnessed, &Verdict) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    reader.for_each(filter, |witnessed| {
        let verdict = judge(&witnessed.measurement, &witnessed.witness);
        visit(&witnessed, &verdict)
    })?;
    Ok(())
}

/// What a failed write to standard output means for a loop.
#[expect(clippy::needless_pass_by_value, reason = "the result of a write is of no use to anyone else")]
pub fn until_closed(written: io::Result<()>) -> ControlFlow<()> {
    if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
