//! `analyzer diff`: which verdicts another ruleset changes, so that no change of a figure goes unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use faultline_record::{Filter, Witnessed};
use faultline_verdict::words::{clean, counted};
use faultline_verdict::{State, Table, Verdict, Withheld, state_words, table};
use serde_json::{Value, json};

use crate::cli::{DiffArgs, Format};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::interrupt::Interrupt;
use crate::judged::Judged;
use crate::print::cell;
use crate::say;

/// The format of a line of JSON.
const SCHEMA: &str = "faultline/change/1";

/// Judges everything by both rulesets and prints what differs.
pub fn run(options: &DiffArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let [before, after] = rulesets(&options.ruleset)?;
    let fingerprints = fingerprints::read(&options.fingerprints)?;
    let mut files = Files::of(&options.files)?;
    let mut judged = Judged::new(fingerprints, Filter::default(), None, interrupt);
    let mut changes = Changes::new(options.format, BufWriter::new(io::stdout().lock()))?;
    let end = files.each(|reader| {
        judged.read_on(reader, |grounds, witnessed| {
            let by = |table| grounds.with_table(table).judge(&witnessed.measurement, &witnessed.witness);
            changes.compare(witnessed, &by(before), &by(after))
        })
    });
    changes.out.flush()?;
    let exit = end.map_or_else(Stop::end, |()| Ok(files.exit()))?;
    if exit != Exit::Nothing {
        say(&changes.sentence());
    }
    Ok(exit)
}

fn rulesets(named: &[String]) -> Result<[&'static Table; 2], AnalyzerError> {
    match named {
        [before, after] => Ok([ruleset(before)?, ruleset(after)?]),
        _ => Err(AnalyzerError::Usage("--ruleset needs two rulesets".into())),
    }
}

/// The ruleset of a version, which this program has one of, or of a file.
fn ruleset(named: &str) -> Result<&'static Table, AnalyzerError> {
    if named == table().version && !Path::new(named).exists() {
        return Ok(table());
    }
    let fails = |reason: &dyn std::fmt::Display| {
        AnalyzerError::Usage(format!("failed to read the ruleset {named}: {reason} (built in is {})", table().version))
    };
    let text = fs::read_to_string(named).map_err(|error| fails(&error))?;
    let read = Table::read(&text).map_err(|error| fails(&error))?;
    let ids = |table: &'static Table| table.rules.iter().map(|rule| rule.id.as_str()).collect::<BTreeSet<&str>>();
    let list = |ids: Vec<&str>| ids.join(", ");
    let (here, there) = (ids(table()), ids(read));
    for (what, missing) in [
        ("does not know, so that they count for nothing", list(here.difference(&there).copied().collect())),
        ("knows and this program never fires", list(there.difference(&here).copied().collect())),
    ] {
        if !missing.is_empty() {
            say(&format!("rules that {named} {what}: {missing}"));
        }
    }
    Ok(read)
}

/// What was compared, and what differed.
struct Changes<W> {
    format: Format,
    out: W,
    compared: u64,
    moved: u64,
    by_states: BTreeMap<(State, State), u64>,
}

impl<W: Write> Changes<W> {
    fn new(format: Format, mut out: W) -> io::Result<Self> {
        if format == Format::Csv {
            writeln!(out, "{}", COLUMNS.map(|(name, _)| name).join(","))?;
        }
        Ok(Self { format, out, compared: 0, moved: 0, by_states: BTreeMap::new() })
    }

    fn compare(&mut self, witnessed: &Witnessed, before: &Verdict, after: &Verdict) -> io::Result<()> {
        self.compared += 1;
        self.moved += u64::from(before.p != after.p);
        let said = |verdict: &Verdict| (verdict.state, verdict.cause, verdict.mechanisms.clone());
        if said(before) == said(after) {
            return Ok(());
        }
        *self.by_states.entry((before.state, after.state)).or_default() += 1;
        let change = json(witnessed, before, after);
        match self.format {
            Format::Jsonl => writeln!(self.out, "{change}"),
            Format::Csv => {
                let mut row = csv::Writer::from_writer(&mut self.out);
                row.write_record(COLUMNS.map(|(_, at)| change.pointer(at).map_or_else(String::new, cell)))?;
                row.flush()
            }
            Format::Table => {
                let fields = COLUMNS.map(|(_, at)| change.pointer(at).map_or_else(String::new, cell));
                let line = fields.map(|field| if field.is_empty() { "-".to_owned() } else { clean(&field) }).join("\t");
                writeln!(self.out, "{line}")
            }
        }
    }

    fn sentence(&self) -> String {
        let changed: u64 = self.by_states.values().sum();
        let states = self.by_states.iter().map(|(&(before, after), count)| {
            let words = if before == after {
                format!("{} otherwise", state_words(before))
            } else {
                format!("{} to {}", state_words(before), state_words(after))
            };
            format!("{count} from {words}")
        });
        let states = states.collect::<Vec<_>>().join(", ");
        let list = if states.is_empty() { String::new() } else { format!(": {states}") };
        format!(
            "{changed} of {} change{list}; the probabilities of {}",
            counted(self.compared, "verdict"),
            counted(self.moved, "verdict")
        )
    }
}

/// Columns, with where their content stands in the JSON object.
const COLUMNS: [(&str, &str); 11] = [
    ("id", "/id"),
    ("target", "/target"),
    ("started_at", "/started_at"),
    ("state_before", "/before/state"),
    ("state_after", "/after/state"),
    ("cause_before", "/before/cause"),
    ("cause_after", "/after/cause"),
    ("mechanisms_before", "/before/mechanisms"),
    ("mechanisms_after", "/after/mechanisms"),
    ("p_blocked_before", "/before/p/blocked"),
    ("p_blocked_after", "/after/p/blocked"),
];

fn json(witnessed: &Witnessed, before: &Verdict, after: &Verdict) -> Value {
    let measurement = &witnessed.measurement;
    let withheld = Withheld::of(measurement);
    let said = |verdict: &Verdict| {
        json!({"state": verdict.state, "cause": verdict.cause, "mechanisms": verdict.mechanisms, "p": verdict.p,
               "ruleset": verdict.ruleset, "weights": verdict.weights})
    };
    json!({"schema": SCHEMA, "id": measurement.id, "target": withheld.text(&measurement.target.name), "started_at": measurement.started_at,
           "network": measurement.network, "before": said(before), "after": said(after)})
}
