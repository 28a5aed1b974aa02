//! `analyzer generate`: files of made-up measurements.

use crate::cli::GenerateArgs;
use crate::exit::{AnalyzerError, Exit};
use crate::generate::plans;
use crate::interrupt::Interrupt;
use crate::say;
use crate::threads::side_by_side;
use faultline_verdict::words::counted;

/// Makes the files, several at a time; none that is there already is touched.
pub fn run(options: &GenerateArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    std::fs::create_dir_all(&options.output)?;
    let plans = plans(&options.output, options.measurements, options.files, options.seed);
    if let Some(there) = plans.iter().find(|plan| plan.file.exists()) {
        return Err(AnalyzerError::Usage(format!("{} is there already; name another folder", there.file.display())));
    }
    let carry_out =
        |plan: &crate::generate::Plan| if interrupt.came() { Ok(false) } else { plan.carry_out().map(|()| true) };
    let mut done = true;
    for made in side_by_side(&plans, carry_out) {
        done &= made?;
    }
    if !done {
        return Ok(Exit::Interrupted);
    }
    let (measurements, files) = (counted(options.measurements, "measurement"), counted(options.files, "file"));
    say(&format!("{measurements} in {files} in {}", options.output.display()));
    Ok(Exit::Done)
}
