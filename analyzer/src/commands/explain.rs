//! `analyzer explain`: from a verdict to its findings, from those to the rows, and where the rows come from.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use faultline_record::{Filter, MeasurementId, Origin, Reader, RecordError, Run, Witnessed};
use faultline_verdict::{Fingerprints, Grounds, Withheld, measurement_json};
use serde_json::{Value, json};

use crate::cli::{ExplainArgs, IdPart};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::interrupt::Interrupt;
use crate::judged::company;
use crate::page::Page;
use crate::print::told;
use crate::progress::Progress;
use faultline_verdict::words;

use super::account::{Account, Found};
use super::light::Light;

/// How many candidates of an ambiguous id are listed.
const CANDIDATES: usize = 10;

/// Finds the measurement and explains it.
pub fn run(options: &ExplainArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let fingerprints = fingerprints::read(&options.fingerprints)?;
    let mut files = Files::of(&options.files)?;
    let id = match whole(&options.id) {
        Some(id) => id,
        None => match search(&options.id, &mut files, interrupt)? {
            ControlFlow::Continue(id) => id,
            ControlFlow::Break(exit) => return Ok(exit),
        },
    };
    let mut found = None;
    if let Err(stop) = files.each(|reader| look(reader, id, &fingerprints, &mut found).map(|()| None)) {
        return stop.end();
    }
    let Some(found) = found else { return missing(&files, &id.to_string()) };
    let Witnessed { measurement, witness } = &found.witnessed;
    let alone = Grounds::new(&fingerprints).among(&found.company).judge(measurement, witness);
    let light = if options.context == Some(true) {
        match Light::read(&mut files, &found, fingerprints, &options.others, interrupt)? {
            Err(stop) => return stop.end(),
            Ok(light) => Some(light),
        }
    } else {
        None
    };
    let verdict = light.as_ref().map_or(&alone, |light| &light.verdict);
    let out = io::BufWriter::new(io::stdout().lock());
    let withheld = told(options.with_endpoints).withheld(&found.witnessed.measurement);
    if options.json.unwrap_or_default() {
        let mut object = withheld.value(measurement_json(&found.witnessed, verdict));
        object["provenance"] = provenance(&found);
        if let Some(light) = &light {
            object["context"] = withheld.value(light.json(&alone));
        }
        print_json(out, &object)?;
    } else {
        let others = light.as_ref().map(|light| (light, &alone));
        Account::new(&found, verdict).among(others).print(Page::new(out).without(withheld))?;
    }
    Ok(files.exit())
}

/// The id, if all of it was given.
fn whole(part: &IdPart) -> Option<MeasurementId> {
    (part.digits().len() == 32).then(|| part.digits().parse().ok()).flatten()
}

/// The one measurement whose id begins or ends so.
fn search(
    part: &IdPart,
    files: &mut Files,
    interrupt: &Interrupt,
) -> Result<ControlFlow<Exit, MeasurementId>, AnalyzerError> {
    let mut candidates: BTreeMap<MeasurementId, String> = BTreeMap::new();
    let progress = Progress::beside_results();
    let end = files.each(|reader| {
        progress.begin(reader.file(), reader.count(&Filter::default())?);
        reader.for_each(&Filter::default(), |Witnessed { measurement, .. }| {
            progress.step();
            if part.fits(measurement.id) && candidates.len() <= CANDIDATES {
                let name = words::clean(&measurement.target.name);
                let name = Withheld::of_target(&measurement.target).text(&name).into_owned();
                let words = format!("{name}, {}", measurement.started_at);
                candidates.entry(measurement.id).or_insert(words);
            }
            if interrupt.came() { ControlFlow::Break(Stop::Interrupted) } else { ControlFlow::Continue(()) }
        })
    });
    drop(progress);
    if let Err(stop) = end {
        return stop.end().map(ControlFlow::Break);
    }
    match (candidates.len(), candidates.keys().next()) {
        (1, Some(&id)) => Ok(ControlFlow::Continue(id)),
        (0, _) | (_, None) => missing(files, part.digits()).map(ControlFlow::Break),
        _ => Err(AnalyzerError::Usage(ambiguous(part, &candidates))),
    }
}

fn ambiguous(part: &IdPart, candidates: &BTreeMap<MeasurementId, String>) -> String {
    let mut lines = vec![format!("several measurements begin or end with {}; give more of the id:", part.digits())];
    lines.extend(candidates.iter().take(CANDIDATES).map(|(id, words)| format!("  {id}  {words}")));
    lines.extend((candidates.len() > CANDIDATES).then(|| "  and more".to_owned()));
    lines.join("\n")
}

/// Not found: a file that could not be read may have held it.
fn missing(files: &Files, id: &str) -> Result<Exit, AnalyzerError> {
    match files.exit() {
        Exit::Done => Err(AnalyzerError::Nothing(format!(
            "no measurement with id {id} in {}",
            words::counted(files.sound() as u64, "file")
        ))),
        exit => Ok(exit),
    }
}

/// Looks into one file; the first that holds the measurement counts, later ones are compared with it.
fn look(
    reader: &Reader,
    id: MeasurementId,
    fingerprints: &Fingerprints,
    found: &mut Option<Found>,
) -> Result<(), RecordError> {
    let Some(witnessed) = reader.measurement(id)? else { return Ok(()) };
    let file = reader.file().to_path_buf();
    if let Some(first) = found {
        let same = first.witnessed.measurement == witnessed.measurement;
        first.also.push((file, same));
        return Ok(());
    }
    let run = witnessed.measurement.run;
    *found = Some(Found {
        file,
        also: Vec::new(),
        run: reader.runs()?.into_iter().find(|candidate| candidate.id == run),
        end: reader.run_end(run)?,
        origin: reader.origin(id)?,
        company: company(reader, fingerprints, Some(run))?,
        witnessed,
    });
    Ok(())
}

fn provenance(found: &Found) -> Value {
    let name = |path: &Path| path.display().to_string();
    let also = found.also.iter().map(|(file, same)| json!({"file": name(file), "same": same}));
    json!({
        "file": name(&found.file),
        "also_in": also.collect::<Vec<_>>(),
        "origin": found.origin.as_ref().map(origin_json),
        "run": found.run.as_ref().map(run_json),
        "run_end": found.end.as_ref().map(|end| json!({
            "end": end.end, "duration_ms": end.duration_ms, "measured": end.measured, "not_run": end.not_run,
        })),
    })
}

fn origin_json(origin: &Origin) -> Value {
    json!({
        "format": origin.format, "test_name": origin.test_name, "test_version": origin.test_version,
        "report": origin.report, "uid": origin.uid, "sha256": faultline_record::hex(&origin.sha256),
    })
}

fn run_json(run: &Run) -> Value {
    use faultline_record::hex;
    json!({
        "id": run.id, "started_at": run.started_at, "software_name": run.software_name,
        "software_version": run.software_version, "platform": run.platform, "lists_sha256": hex(&run.lists_sha256),
        "plan_sha256": hex(&run.plan_sha256), "tls_fingerprint": run.tls_fingerprint, "planned": run.planned,
        "left_out": run.left_out, "consent": run.consent,
    })
}

fn print_json(mut out: impl io::Write, object: &Value) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, object)?;
    out.write_all(b"\n")?;
    out.flush()
}
