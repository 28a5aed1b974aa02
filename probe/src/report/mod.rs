//! What the user reads: data on stdout, talk on stderr.

pub mod detail;
pub mod resolvers;
pub mod table;

use std::fmt::Arguments;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::ops::ControlFlow;

use faultline_record::{Filter, Measurement, Reader, RecordError, RunId, Witnessed};
use faultline_verdict::service::{Cell, FunctionVerdict, ServiceVerdict, Services};
use faultline_verdict::words::clean;
use faultline_verdict::{
    Cause, Company, Fingerprints, Grounds, State, Verdict, Withheld, judge_with, measurement_json, state_words,
};

use self::table::{Listing, Row};

/// Standard output, buffered. Who has closed it (a pager, `head`) wants no more: an error of writing ends the printing.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// A line of talk. If nobody can hear it there is nothing to be done.
pub fn say(line: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a run's rows, worst first: a table on a terminal, lines elsewhere.
pub fn print_rows(mut rows: Vec<Row>, listing: Listing) {
    table::sort(&mut rows);
    let mut out = stdout();
    // See `stdout` for the error.
    let _ = if io::stdout().is_terminal() {
        table::print_table(&rows, listing, &mut out)
    } else {
        table::print_lines(&rows, listing, &mut out)
    };
}

/// What is told of servers of tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Where those are that the user typed; of those of lists, provider and protocol.
    Typed,
    /// Of all, provider and protocol: for other people's eyes.
    Names,
    /// Where they all are.
    Endpoints,
}

impl Told {
    /// What is left out of a measurement.
    pub fn withheld(self, measurement: &Measurement) -> Withheld {
        match (self, &measurement.target.list) {
            (Self::Typed, None) | (Self::Endpoints, _) => Withheld::default(),
            (Self::Typed | Self::Names, _) => Withheld::of(measurement),
        }
    }

    /// The JSON object of a measurement.
    pub fn json(self, witnessed: &Witnessed, verdict: &Verdict) -> String {
        self.withheld(&witnessed.measurement).value(measurement_json(witnessed, verdict)).to_string()
    }
}

/// Reads measurements back and prints each as a JSON object on a line.
pub fn print_json(reader: &Reader, filter: &Filter, told: Told) -> Result<(), RecordError> {
    let mut out = stdout();
    for_each_judged(reader, filter, |witnessed, verdict| {
        until_closed(writeln!(out, "{}", told.json(witnessed, verdict)))
    })?;
    let _ = out.flush();
    Ok(())
}

/// The rows of measurements that are read back.
pub fn rows_of(reader: &Reader, filter: &Filter, told: Told) -> Result<Vec<Row>, RecordError> {
    let mut rows = Vec::new();
    for_each_judged(reader, filter, |witnessed, verdict| {
        rows.push(Row::new(witnessed, verdict, told));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

/// Judges a measurement, held against the fingerprints that the program carries.
pub fn judge(witnessed: &Witnessed) -> Verdict {
    judge_with(Fingerprints::built_in(), &witnessed.measurement, &witnessed.witness)
}

/// Reads measurements back and judges each, one at a time in memory. The same judgement as the analyzer's.
pub fn for_each_judged(
    reader: &Reader,
    filter: &Filter,
    mut visit: impl FnMut(&Witnessed, &Verdict) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    let company = company(reader, filter.run)?;
    reader.for_each(filter, |witnessed| {
        let verdict =
            Grounds::new(Fingerprints::built_in()).among(&company).judge(&witnessed.measurement, &witnessed.witness);
        visit(&witnessed, &verdict)
    })?;
    Ok(())
}

/// Services of which not all that was measured works, and what several providers of tunnels have in common: a line each.
pub fn service_lines(reader: &Reader, filter: &Filter) -> Result<Vec<String>, RecordError> {
    let services = Services::from_test_lists();
    let mut cell = Cell::default();
    for_each_judged(reader, filter, |witnessed, verdict| {
        let measurement = &witnessed.measurement;
        cell.add(&services, &measurement.target, verdict, measurement.id);
        ControlFlow::Continue(())
    })?;
    let words = |function: &FunctionVerdict| format!("{} {}", function.function, state_words(function.state));
    let line = |service: &ServiceVerdict| {
        let functions: Vec<String> = service.functions.iter().map(words).collect();
        format!("{} ({}): {}", service.title, service.kind, functions.join(", "))
    };
    let services = cell.services(&services);
    let fails = services.iter().filter(|service| service.state != State::Ok || service.cause != Cause::None);
    let patterns = cell.spread().into_iter().flat_map(|(found, _)| found).map(|spread| spread.text);
    Ok(fails.map(line).chain(patterns).map(|line| clean(&line)).collect())
}

/// Judges one measurement of a file, beside the others of its run.
pub fn judge_in(reader: &Reader, witnessed: &Witnessed) -> Result<Verdict, RecordError> {
    let company = company(reader, Some(witnessed.measurement.run))?;
    Ok(Grounds::new(Fingerprints::built_in()).among(&company).judge(&witnessed.measurement, &witnessed.witness))
}

/// What the measurements of a run say of each other; nothing where none went to a tunnel.
fn company(reader: &Reader, run: Option<RunId>) -> Result<Company, RecordError> {
    let mut company = Company::default();
    if reader.has_tunnels()? {
        reader.for_each(&Filter { run, ..Filter::default() }, |witnessed| {
            company.note(&witnessed.measurement, &judge(&witnessed));
            ControlFlow::<()>::Continue(())
        })?;
    }
    Ok(company)
}

/// What a failed write to standard output means for a loop.
#[expect(clippy::needless_pass_by_value, reason = "the result of a write is of no use to anyone else")]
fn until_closed(written: io::Result<()>) -> ControlFlow<()> {
    if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
