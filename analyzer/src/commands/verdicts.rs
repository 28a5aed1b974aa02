//! `analyzer verdicts`: every verdict computed anew from the facts, each measurement counted once over all files.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::io::{self, IsTerminal, StdoutLock};
use std::ops::ControlFlow;

use faultline_record::{Filter, MeasurementId, Reader, RecordError, Witnessed};
use faultline_verdict::{State, judge, state_words};

use crate::cli::{Format, VerdictsArgs};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::interrupt::Interrupt;
use crate::print::{Csv, Jsonl, Lines, Pages, Printer};
use crate::progress::Progress;
use crate::say;
use faultline_record::Pattern;
use faultline_verdict::words::counted;

/// Prints the verdicts of all files, then says on standard error how many there were.
pub fn run(options: VerdictsArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let mut files = Files::new(options.files);
    let mut survey = Survey {
        filter: Filter { run: options.run, ..Filter::default() },
        states: options.state,
        target: options.target,
        seen: HashSet::new(),
        tally: Tally::default(),
        printer: printer(options.format, io::stdout().lock())?,
        progress: Progress::beside_results(),
        interrupt,
    };
    let end = files.each(|reader| survey.read(reader));
    survey.printer.finish()?;
    drop(survey.progress);
    let exit = end.map_or_else(Stop::end, |()| Ok(files.exit()))?;
    if exit != Exit::Nothing {
        say(&survey.tally.sentence(files.sound()));
    }
    if exit == Exit::Interrupted {
        say("interrupted; there are more");
    }
    Ok(exit)
}

fn printer(format: Format, out: StdoutLock<'static>) -> io::Result<Box<dyn Printer>> {
    let is_terminal = out.is_terminal();
    let out = io::BufWriter::with_capacity(1 << 16, out);
    Ok(match format {
        Format::Jsonl => Box::new(Jsonl(out)),
        Format::Csv => Box::new(Csv::new(out)?),
        Format::Table if is_terminal => Box::new(Pages::new(out, None)),
        Format::Table => Box::new(Lines(out)),
    })
}

/// The reading of all files: of the measurements it keeps their ids and nothing else.
struct Survey<'a> {
    filter: Filter,
    states: Vec<State>,
    target: Option<Pattern>,
    seen: HashSet<MeasurementId>,
    tally: Tally,
    printer: Box<dyn Printer>,
    progress: Progress,
    interrupt: &'a Interrupt,
}

impl Survey<'_> {
    fn read(&mut self, reader: &Reader) -> Result<Option<Stop>, RecordError> {
        self.progress.begin(reader.file(), reader.count(&self.filter)?);
        let filter = self.filter;
        reader.for_each(&filter, |witnessed| {
            self.progress.step();
            match self.judge(&witnessed) {
                _ if self.interrupt.came() => ControlFlow::Break(Stop::Interrupted),
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(Stop::Output(error)),
            }
        })
    }

    fn judge(&mut self, witnessed: &Witnessed) -> io::Result<()> {
        let measurement = &witnessed.measurement;
        if self.target.as_ref().is_some_and(|glob| !glob.matches(&measurement.target)) {
            return Ok(());
        }
        if !self.seen.insert(measurement.id) {
            self.tally.again += 1;
            return Ok(());
        }
        let verdict = judge(measurement, &witnessed.witness);
        if !self.states.is_empty() && !self.states.contains(&verdict.state) {
            return Ok(());
        }
        *self.tally.by_state.entry(verdict.state).or_default() += 1;
        self.printer.put(witnessed, &verdict)
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
