//! `analyzer events`: what happened, where, from when to when.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use faultline_verdict::words::{clean, counted};
use faultline_verdict::{Context, ControlState, Event, Events, FeedWord, Found, NetworkKey};
use serde_json::{Value, json};

use crate::basis::Basis;
use crate::cli::{EventsArgs, EventsFormat};
use crate::evaluate::EventScores;
use crate::exit::{AnalyzerError, Exit};
use crate::generate::Planted;
use crate::group;
use crate::in_context::All;
use crate::interrupt::Interrupt;
use crate::say;

/// The format of an object of the array.
const SCHEMA: &str = "faultline/event/1";

/// Reads all files twice and tells of their events.
pub fn run(options: &EventsArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let happened = options.score.as_deref().map(happened).transpose()?;
    let floor = usize::from(options.together.floor);
    let mut events = Events::new(floor, group::services_of(&options.together.services)?);
    let read = All::read(&options.files, &options.together, interrupt, |witnessed, verdict, place, _| {
        events.add(&witnessed.measurement, verdict, place);
    })?;
    let all = match read {
        Ok(all) => all,
        Err(stop) => {
            say("no event was told of");
            return stop.end();
        }
    };
    let exit = all.files.exit();
    if exit == Exit::Nothing {
        return Ok(exit);
    }
    let found = events.found();
    let basis = all.basis(&options.together);
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match (&happened, options.format) {
        (Some(happened), _) => out.write_all(EventScores::of(&found, happened).page().as_bytes())?,
        (None, EventsFormat::Json) => json(&mut out, &basis, &found.events)?,
        (None, EventsFormat::Table) => in_words(&mut out, &basis, &found.events)?,
    }
    out.flush()?;
    say(&summary(&found, all.files.sound(), basis.floor));
    Ok(exit)
}

/// What happened in a campaign.
fn happened(file: &Path) -> Result<Vec<Planted>, AnalyzerError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| AnalyzerError::Usage(format!("read {}: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| AnalyzerError::Usage(format!("{}: {error}", file.display())))
}

fn json(out: &mut impl Write, basis: &Basis<'_>, events: &[Event]) -> io::Result<()> {
    let object = |event: &Event| {
        let mut value = json!(event);
        if let Value::Object(object) = &mut value {
            basis.name(object, SCHEMA, &feeds(basis.context, event));
        }
        value
    };
    serde_json::to_writer_pretty(&mut *out, &events.iter().map(object).collect::<Vec<_>>())?;
    out.write_all(b"\n")
}

/// What feeds say of its place while it lasts: beside what was measured, which they do not move.
fn feeds(context: &Context, event: &Event) -> (ControlState, Vec<FeedWord>) {
    let country = NetworkKey { country: event.country.clone().unwrap_or_default(), asn: None, is_mobile: false };
    let to = event.end.map_or(event.last_seen, |end| end.earliest);
    let places = event.networks.iter().chain((!country.country.is_empty()).then_some(&country));
    let mut words: Vec<FeedWord> = Vec::new();
    for word in places.flat_map(|place| context.feed_words(place, event.onset.latest, to)) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    (context.feed_state(&words), words)
}

/// A paragraph an event; what all of it rests on goes before.
fn in_words(out: &mut impl Write, basis: &Basis<'_>, events: &[Event]) -> io::Result<()> {
    writeln!(out, "# {}", basis.words())?;
    for event in events {
        writeln!(out, "\n{} {} {}", event.onset.latest, event.kind, event.id)?;
        writeln!(out, "  {}", clean(&event.text))?;
        let hypotheses = event.hypotheses.iter().map(|one| format!("{} {:.2}", one.name, one.log10_likelihood));
        writeln!(out, "  likelihoods (log10): {}", hypotheses.collect::<Vec<_>>().join(", "))?;
        let (state, words) = feeds(basis.context, event);
        if !words.is_empty() {
            let told: Vec<String> = words.iter().map(|word| format!("{}: {}", word.source, word.text)).collect();
            writeln!(out, "  feeds ({state}): {}", clean(&told.join("; ")))?;
        }
        writeln!(out, "  analyzer explain {}", event.witness)?;
    }
    Ok(())
}

fn summary(found: &Found, files: usize, floor: u8) -> String {
    let of = |count: usize, what: &str| counted(count as u64, what);
    let mut lines = vec![format!("{} ({} read twice)", of(found.events.len(), "event"), of(files, "file"))];
    if found.held_back > 0 {
        let changes = of(found.held_back, "change");
        lines.push(format!("{changes} held back: fewer than {floor} independent submitters say so"));
    }
    if found.unexplained > 0 {
        lines.push(format!("{} to failing laid to nobody, and told as no event", of(found.unexplained, "change")));
    }
    lines.join("\n")
}
