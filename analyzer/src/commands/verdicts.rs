//! `analyzer verdicts`: every verdict computed anew from the facts, each measurement counted once over all files.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, IsTerminal};

use faultline_record::{Filter, Witnessed};
use faultline_verdict::{Grounds, State, Verdict, state_words};

use crate::cli::{Format, VerdictsArgs};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::group;
use crate::in_context::InContext;
use crate::interrupt::Interrupt;
use crate::judged::Judged;
use crate::print::{Made, Printer, Shape, Told, told};
use crate::say;
use faultline_verdict::words::counted;

/// Prints the verdicts of all files, then says on standard error how many there were.
pub fn run(options: VerdictsArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    if let Some(by) = options.by {
        return group::run(options, by, interrupt);
    }
    let fingerprints = fingerprints::read(&options.fingerprints)?;
    let mut files = Files::of(&options.files)?;
    let filter = Filter { run: options.run, ..Filter::default() };
    let shape = shape(options.format, told(options.with_endpoints));
    let mut printer = Printer::new(io::BufWriter::with_capacity(1 << 16, io::stdout().lock()), shape, None)?;
    let mut tally = Tally::default();
    let is_wanted = |state| options.state.is_empty() || options.state.contains(&state);
    let make = |witnessed: &Witnessed, verdict: &Verdict| {
        is_wanted(verdict.state).then(|| (verdict.state, shape.make(witnessed, verdict)))
    };
    let mut put = |made: Option<(State, Made)>| {
        let Some((state, line)) = made else { return Ok(()) };
        *tally.by_state.entry(state).or_default() += 1;
        printer.put(line)
    };
    let mut judged = Judged::new(fingerprints, filter, options.target, interrupt);
    let end = if options.context == Some(true) {
        judged = judged.with_repeats();
        let grounds = InContext::read(&mut files, &judged, &options.others, interrupt)?;
        grounds.and_then(|mut grounds| {
            let make = |witnessed: Witnessed, verdict: Verdict| make(&witnessed, &verdict);
            grounds.judge_abreast(&mut files, &mut judged, make, |made, _, _| put(made))
        })
    } else {
        let make = |grounds: Grounds<'_>, witnessed: Witnessed| {
            make(&witnessed, &grounds.judge(&witnessed.measurement, &witnessed.witness))
        };
        files.each(|reader| judged.read_abreast(reader, make, &mut put))
    };
    printer.finish()?;
    tally.again = judged.again();
    let exit = end.map_or_else(Stop::end, |()| Ok(files.exit()))?;
    if exit != Exit::Nothing {
        say(&tally.sentence(files.sound()));
    }
    if exit == Exit::Interrupted {
        say("interrupted; there are more");
    }
    Ok(exit)
}

fn shape(format: Format, told: Told) -> Shape {
    match format {
        Format::Jsonl => Shape::Jsonl(told),
        Format::Csv => Shape::Csv(told),
        Format::Table if io::stdout().is_terminal() => Shape::Row(told),
        Format::Table => Shape::Lines(told),
    }
}

/// What was printed, and what was not since it had been.
#[derive(Debug, Default)]
struct Tally {
    by_state: BTreeMap<State, u64>,
    again: u64,
}

impl Tally {
    fn sentence(&self, files: usize) -> String {
        let mut text = counted(self.by_state.values().sum(), "measurement");
        let states = self.by_state.iter().map(|(&state, count)| format!("{count} {}", state_words(state)));
        let states = states.collect::<Vec<_>>().join(", ");
        if !states.is_empty() {
            text = format!("{text}: {states}");
        }
        let _ = write!(text, " ({} read to the end)", counted(files as u64, "file"));
        if self.again > 0 {
            let _ = write!(text, "; {} met again and counted once", counted(self.again, "measurement"));
        }
        text
    }
}
