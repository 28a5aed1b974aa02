//! `analyzer merge`: many databases into one. Merging the same file again adds nothing; one that cannot be read is named, and the others go on.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use faultline_record::{InputReport, MergeReport, Merged, Progress as Step, WrongClock, merge};

use crate::cli::MergeArgs;
use crate::exit::{AnalyzerError, Exit};
use crate::files::databases;
use crate::interrupt::Interrupt;
use crate::print::clock_words;
use crate::progress::Progress;
use crate::say;
use faultline_verdict::words::{clean, counted};

/// Merges, input by input; each is taken whole or not at all.
pub fn run(options: &MergeArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let skip_bad = options.skip_bad.unwrap_or_default();
    let progress = Progress::visible();
    let mut printed = Ok(());
    let inputs = inputs(options)?;
    let report = merge(&options.out, &inputs, |step| {
        let go_on = match step {
            Step::Checking { file, done, of } => {
                progress.show(file, done, of);
                true
            }
            Step::Input(input) => {
                let line = progress.aside(|| print_input(input));
                printed = std::mem::replace(&mut printed, Ok(())).and(line);
                true
            }
        };
        if go_on && !interrupt.came() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    drop(progress);
    let printed = printed.and_then(|()| print_sum(&options.out, &report));
    let not_begun = inputs.len() - report.inputs.len();
    if not_begun > 0 {
        say(&format!("{} not merged", counted(not_begun as u64, "input")));
    }
    match printed.map_err(AnalyzerError::Output) {
        // The merge is what was asked for; it went on though nobody reads about it.
        Err(error) if !error.is_closed_pipe() => Err(error),
        _ => Ok(exit(&report, not_begun, skip_bad, interrupt.came())),
    }
}

/// One line an input on standard output; what is wrong with it on standard error.
fn print_input(input: &InputReport) -> io::Result<()> {
    match &input.outcome {
        Ok(merged) => {
            name_conflicts(input, merged);
            name_clocks(input, merged);
            writeln!(io::stdout(), "{}: {}", clean(&input.file.display().to_string()), figures(merged))
        }
        Err(error) => {
            say(&format!("{error}; nothing was taken from it"));
            Ok(())
        }
    }
}

fn figures(merged: &Merged) -> String {
    let Merged { measurements, new, already, conflicting, known, .. } = merged;
    let mut text = format!("{} read, {new} new, {already} already there", counted(*measurements, "measurement"));
    if *conflicting > 0 {
        text = format!("{text}, {conflicting} conflicting");
    }
    if *known {
        text += "; this very file was merged before";
    }
    text
}

fn name_clocks(input: &InputReport, merged: &Merged) {
    for WrongClock { run, ahead_ms, operators } in &merged.clocks {
        let (file, clock) = (input.file.display(), clock_words(*ahead_ms));
        let what = format!("the clock of run {run} was {clock}, by the word of {operators} operators");
        say(&format!("{file}: {what}; what was recorded stays, times are corrected where they are read"));
    }
}

fn name_conflicts(input: &InputReport, merged: &Merged) {
    for conflict in &merged.conflicts {
        let (file, table, id) = (input.file.display(), &conflict.table, &conflict.id);
        say(&format!("{file}: {table} {id} differs from what is there under this id; what is there was kept"));
    }
}

/// The inputs, and those below folders; the output is none of these, though it may lie there.
fn inputs(options: &MergeArgs) -> Result<Vec<PathBuf>, AnalyzerError> {
    let mut all = databases(&options.inputs)?;
    let out = std::fs::canonicalize(&options.out).ok();
    let is_out = |path: &PathBuf| out.is_some() && std::fs::canonicalize(path).ok() == out;
    all.retain(|path| options.inputs.contains(path) || !is_out(path));
    Ok(all)
}

/// The sum over all inputs, and what the output holds, counted in the output itself.
fn print_sum(out: &Path, report: &MergeReport) -> io::Result<()> {
    let mut sum = Merged::default();
    for merged in report.inputs.iter().filter_map(|input| input.outcome.as_ref().ok()) {
        sum.measurements += merged.measurements;
        sum.new += merged.new;
        sum.already += merged.already;
        sum.conflicting += merged.conflicting;
    }
    let out = clean(&out.display().to_string());
    writeln!(io::stdout(), "in all: {}; {out} holds {}", figures(&sum), counted(report.held, "measurement"))
}

fn exit(report: &MergeReport, not_begun: usize, skip_bad: bool, interrupted: bool) -> Exit {
    let bad = report.inputs.iter().filter(|input| input.outcome.is_err()).count();
    match bad {
        _ if interrupted && (report.stopped || not_begun > 0) => Exit::Interrupted,
        0 => Exit::Done,
        bad if bad == report.inputs.len() && not_begun == 0 => Exit::Nothing,
        _ if skip_bad => Exit::Done,
        _ => Exit::Storage,
    }
}
