//! `probe results`: reads what was measured before.

use std::io::Write;
use std::ops::ControlFlow;

use faultline_record::{Filter, MeasurementId, Reader, Run, RunId, RunSummary, Witnessed};
use faultline_verdict::Verdict;
use serde_json::json;

use crate::cli::Results;
use crate::cli::config::{ConfigFile, OutputOptions};
use crate::error::{Exit, ProbeError};
use crate::report::table::Listing;
use crate::report::{self, Told, detail, say, stdout};

/// Does what was asked.
pub fn execute(config: &ConfigFile, command: Results) -> Result<Exit, ProbeError> {
    match command {
        Results::List { store, output } => list(&Reader::open(&config.db(store)?)?, config.output(&output)),
        Results::Show { id, with_endpoints, store, output } => {
            let told = if with_endpoints { Told::Endpoints } else { Told::Typed };
            show(&Reader::open(&config.db(store)?)?, &id.to_ascii_lowercase(), told, config.output(&output))
        }
        Results::Export { run, with_endpoints, store } => {
            let told = if with_endpoints { Told::Endpoints } else { Told::Names };
            export(&Reader::open(&config.db(store)?)?, run.as_deref(), told)
        }
    }
}

fn list(reader: &Reader, output: OutputOptions) -> Result<Exit, ProbeError> {
    let mut out = stdout();
    for run in reader.runs()? {
        let end = reader.run_end(run.id)?;
        let measurements = reader.count(&Filter { run: Some(run.id), ..Filter::default() })?;
        let line = if output.json {
            run_json(&run, end.as_ref(), measurements)
        } else {
            run_line(&run, end.as_ref(), measurements)
        };
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    let _ = out.flush();
    Ok(Exit::Done)
}

fn run_line(run: &Run, end: Option<&RunSummary>, measurements: u64) -> String {
    let measured = end.map_or(measurements, |end| end.measured.into());
    let end = end
        .map_or_else(|| "not ended".to_owned(), |end| format!("{} after {:.0} s", end.end, end.duration_ms / 1_000.0));
    format!("{}\t{}\t{measured} of {} measured\t{end}", run.id, run.started_at, run.planned)
}

fn run_json(run: &Run, end: Option<&RunSummary>, measurements: u64) -> String {
    let end = end.map(|end| {
        json!({
            "end": end.end, "duration_ms": end.duration_ms, "measured": end.measured, "not_run": end.not_run,
            "connections": end.connections, "bytes_sent": end.bytes_sent, "bytes_received": end.bytes_received,
        })
    });
    json!({
        "schema": "faultline/run/1", "id": run.id, "started_at": run.started_at, "planned": run.planned,
        "left_out": run.left_out, "consent": run.consent, "measurements": measurements, "end": end,
        "software": format!("{} {}", run.software_name, run.software_version),
    })
    .to_string()
}

/// A measurement a line, for other people's eyes.
fn export(reader: &Reader, run: Option<&str>, told: Told) -> Result<Exit, ProbeError> {
    let run = run.map(|part| the_run(reader, &part.to_ascii_lowercase())).transpose()?;
    report::print_json(reader, &Filter { run, ..Filter::default() }, told)?;
    Ok(Exit::Done)
}

fn the_run(reader: &Reader, part: &str) -> Result<RunId, ProbeError> {
    let runs: Vec<RunId> = reader.runs()?.iter().map(|run| run.id).filter(|id| names(&id.to_string(), part)).collect();
    match runs.as_slice() {
        [run] => Ok(*run),
        [] => Err(ProbeError::Nothing(format!("no run has an id that begins or ends with {part:?}"))),
        _ => Err(ProbeError::Usage(format!("{part:?} is part of several ids: give more of it"))),
    }
}

fn show(reader: &Reader, id: &str, told: Told, output: OutputOptions) -> Result<Exit, ProbeError> {
    if id.len() < 4 {
        return Err(ProbeError::Usage(format!("{id:?} is too short for an id: give at least 4 characters")));
    }
    let runs: Vec<Run> = reader.runs()?.into_iter().filter(|run| names(&run.id.to_string(), id)).collect();
    if let [run] = runs.as_slice() {
        return show_run(reader, run, told, output);
    }
    let measurement = find(reader, id, runs.len())?;
    let Some(witnessed) = reader.measurement(measurement)? else { return Err(unknown(id)) };
    show_measurement(&witnessed, &report::judge_in(reader, &witnessed)?, told, output);
    Ok(Exit::Done)
}

/// A whole id, the beginning of one, or its end, which is what tables show.
fn names(id: &str, part: &str) -> bool {
    id.starts_with(part) || id.ends_with(part)
}

fn unknown(id: &str) -> ProbeError {
    ProbeError::Nothing(format!("no run and no measurement has an id that begins or ends with {id:?}"))
}

/// The one measurement of that id; `runs` is how many runs have it too.
fn find(reader: &Reader, id: &str, runs: usize) -> Result<MeasurementId, ProbeError> {
    if let Ok(id) = id.parse() {
        return Ok(id);
    }
    let mut found = Vec::new();
    reader.for_each(&Filter::default(), |witnessed| {
        if names(&witnessed.measurement.id.to_string(), id) {
            found.push(witnessed.measurement.id);
        }
        if found.len() > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match (found.as_slice(), runs) {
        (&[id], 0) => Ok(id),
        ([], 0) => Err(unknown(id)),
        _ => Err(ProbeError::Usage(format!("{id:?} is part of several ids: give more of it"))),
    }
}

fn show_run(reader: &Reader, run: &Run, told: Told, output: OutputOptions) -> Result<Exit, ProbeError> {
    let filter = Filter { run: Some(run.id), ..Filter::default() };
    if output.json {
        report::print_json(reader, &filter, told)?;
    } else {
        let listing = if output.quiet { Listing::NotOk } else { Listing::Everything };
        report::service_lines(reader, &filter)?.into_iter().for_each(|line| say(format_args!("{line}")));
        report::print_rows(report::rows_of(reader, &filter, told)?, listing);
    }
    Ok(Exit::Done)
}

fn show_measurement(witnessed: &Witnessed, verdict: &Verdict, told: Told, output: OutputOptions) {
    let mut out = stdout();
    let _ = if output.json {
        writeln!(out, "{}", told.json(witnessed, verdict)).and_then(|()| out.flush())
    } else {
        detail::print(witnessed, verdict, told, &mut out)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_named_by_its_beginning_or_its_end() {
        let id = "0192f0c4-aaaa-7000-8000-00000000abcd";
        assert!(names(id, "0192f0c4") && names(id, "0000abcd") && names(id, id));
        assert!(!names(id, "aaaa"));
    }
}
