//! `analyzer ledger`: what came into a database from which file, oldest first.

use std::io::{self, Write};

use faultline_record::{Intake, hex};
use faultline_verdict::words::clean;
use serde_json::json;

use crate::cli::{LedgerArgs, ListFormat};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};

/// How much of a hash tells files apart for a person, hexadecimal digits.
const DIGITS: usize = 12;

/// Prints the ledgers, file by file.
pub fn run(options: &LedgerArgs) -> Result<Exit, AnalyzerError> {
    let mut files = Files::of(&options.files)?;
    let mut out = io::stdout().lock();
    let end = files.each(|reader| {
        let intakes = reader.intakes()?;
        let print = |intake: &Intake| match options.format {
            ListFormat::Table => line(&mut out, intake),
            ListFormat::Jsonl => object(&mut out, intake),
        };
        Ok(intakes.iter().map(print).find_map(Result::err).map(Stop::Output))
    });
    end.map_or_else(Stop::end, |()| Ok(files.exit()))
}

fn line(out: &mut impl Write, intake: &Intake) -> io::Result<()> {
    let Intake { kind, format, name, sha256, bytes, at, found, added, conflicting, refused, runs, .. } = intake;
    let hash = &hex(sha256)[..DIGITS];
    let name = clean(name);
    writeln!(
        out,
        "{at} {kind} {format} {name} {hash} {bytes} bytes: {found} found, {added} added in {} runs, {conflicting} conflicting, {refused} refused",
        runs.len()
    )
}

fn object(out: &mut impl Write, intake: &Intake) -> io::Result<()> {
    let Intake { kind, format, name, sha256, bytes, at, software_version, found, added, conflicting, refused, runs } =
        intake;
    let runs: Vec<_> = runs.iter().map(|(run, added)| json!({"run": run, "added": added})).collect();
    let row = json!({"schema": "faultline/ledger/1", "kind": kind, "format": format, "name": name, "sha256": hex(sha256),
        "bytes": bytes, "at": at, "software_version": software_version, "found": found, "added": added,
        "conflicting": conflicting, "refused": refused, "runs": runs});
    writeln!(out, "{row}")
}
