//! `analyzer verdicts`: every verdict computed anew from the facts, each measurement counted once over all files.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, IsTerminal, StdoutLock};

use faultline_record::{Filter, Witnessed};
use faultline_verdict::{State, Verdict, state_words};

use crate::cli::{Format, VerdictsArgs};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::group;
use crate::in_context::InContext;
use crate::interrupt::Interrupt;
use crate::judged::Judged;
use crate::print::{Csv, Jsonl, Lines, Pages, Printer, Told, told};
use crate::say;
use faultline_verdict::words::counted;

/// Prints the verdicts of all files, then says on standard error how many there were.
pub fn run(options: VerdictsArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    if let Some(by) = options.by {
        return group::run(options, by, interrupt);
    }
    let fingerprints = fingerprints::read(&options.fingerprints)?;
    let mut files = Files::new(options.files);
    let filter = Filter { run: options.run, ..Filter::default() };
    let mut printer = printer(options.format, told(options.with_endpoints), io::stdout().lock())?;
    let mut tally = Tally::default();
    let mut put = |witnessed: &Witnessed, verdict: &Verdict| {
        if !options.state.is_empty() && !options.state.contains(&verdict.state) {
            return Ok(());
        }
        *tally.by_state.entry(verdict.state).or_default() += 1;
        printer.put(witnessed, verdict)
    };
    let mut judged = Judged::new(fingerprints, filter, options.target, interrupt);
    let end = if options.context == Some(true) {
        judged = judged.with_repeats();
        let grounds = InContext::read(&mut files, &judged, &options.others, interrupt)?;
        grounds.and_then(|mut grounds| {
            grounds.judge(&mut files, &mut judged, |witnessed, verdict, _, _| put(witnessed, verdict))
        })
    } else {
        files.each(|reader| judged.read_abreast(reader, |witnessed, verdict| put(witnessed, &verdict)))
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

fn printer(format: Format, told: Told, out: StdoutLock<'static>) -> io::Result<Box<dyn Printer>> {
    let is_terminal = out.is_terminal();
    let out = io::BufWriter::with_capacity(1 << 16, out);
    Ok(match format {
        Format::Jsonl => Box::new(Jsonl { out, told }),
        Format::Csv => Box::new(Csv::new(out, told)?),
        Format::Table if is_terminal => Box::new(Pages::new(out, told, None)),
        Format::Table => Box::new(Lines { out, told }),
    })
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
