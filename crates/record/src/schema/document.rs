//! The format in words, for `docs/data-format.md`: made from the comments of the migrations, so that it cannot drift.

use std::fmt::Write;

use super::{APPLICATION_ID, MIGRATIONS, Migration};
use crate::failure::Failure;
use crate::insert::operation_name;
use crate::model::{
    Availability, Engine, Family, FirstBytes, HealthReason, IntakeKind, NetworkKind, NotRun, Purpose, QueryType,
    RunEnd, SeriesKind, SignalKind, Step, VpnAnswer, VpnKey, VpnProof, VpnProtocol,
};

const HEAD: &str = "\
# The data format

This page is generated from the comments in `crates/record/src/schema/*.sql`; a test compares the two. To renew it:

```
cargo run -p faultline-record --example data_format > docs/data-format.md
```

One SQLite file holds what a probe saw: facts, no judgements. Verdicts are computed from it, as often as one likes.
All tables are STRICT, foreign keys are on, the journal is a write-ahead log (keep `-wal` beside the file, or copy a
live file with `VACUUM INTO`), and the file's mode is 0600. Ids are UUIDs as 16 bytes; hashes are 32 bytes; addresses
and names are text. There is one wall-clock stamp a run and one a measurement, in UTC; every other time is monotonic, in
milliseconds since the run's or the measurement's start. The public address of a vantage is never stored.

Measurements that another tool made and `analyzer import` read have a row in `origins`. Their ids are made from their content, so that
the same one is never taken twice; a run stands for a report, and a check of reason `import` holds what answered in the measurement
itself. A helper of OONI's tells of a page its title and not its body. Steps that a later one implies (a response came over TLS, and the handshake is not told) are rows with that in `detail`, and
`tls_bytes_received` is then no count. An endpoint `ooni://test/what` is a test that goes to nothing which this version judges.

";

/// The text of `docs/data-format.md`.
pub fn data_format() -> String {
    let mut text = String::from(HEAD);
    let newest = MIGRATIONS.len();
    put(
        &mut text,
        &format!("`application_id` is 0x{APPLICATION_ID:08x} (\"FLTL\"), `user_version` is {newest}.\n\n## Tables\n"),
    );
    for table in tables(MIGRATIONS) {
        put(
            &mut text,
            &format!("\n### {}\n\n{}\n\n| column | type | meaning |\n|---|---|---|\n", table.name, table.words),
        );
        for Column { name, kind, words } in &table.columns {
            let names = names(&table.name, name);
            put(&mut text, &format!("| `{name}` | {kind} | {words}{names} |\n"));
        }
    }
    failures(&mut text);
    put(&mut text, "\n## Changes\n\n");
    for (version, migration) in (1..).zip(MIGRATIONS) {
        put(&mut text, &format!("- Format {version}, {}\n", migration.summary));
    }
    text
}

/// Columns that hold names of a closed vocabulary, and those names as of now. A frozen migration cannot list them, since
/// vocabularies grow without a change of the format.
fn vocabularies() -> [(&'static str, &'static str, Vec<&'static str>); 20] {
    let not_run: Vec<_> = NotRun::ALL.iter().map(|value| value.name()).collect();
    [
        ("run_ends", "reason", RunEnd::ALL.iter().map(|value| value.name()).collect()),
        ("networks", "kind", NetworkKind::ALL.iter().map(|value| value.name()).collect()),
        ("targets", "availability", Availability::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "purpose", Purpose::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "step", Step::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "operation", Step::ALL.iter().map(|&step| operation_name(step)).collect()),
        ("observations", "not_run", not_run.clone()),
        ("observations", "dns_engine", Engine::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "dns_query_type", QueryType::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "tls_first_bytes", FirstBytes::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "vpn_protocol", VpnProtocol::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "vpn_answer", VpnAnswer::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "vpn_proof", VpnProof::ALL.iter().map(|value| value.name()).collect()),
        ("observations", "vpn_key", VpnKey::ALL.iter().map(|value| value.name()).collect()),
        ("health_checks", "reason", HealthReason::ALL.iter().map(|value| value.name()).collect()),
        ("health_signals", "kind", SignalKind::ALL.iter().map(|value| value.name()).collect()),
        ("health_signals", "family", Family::ALL.iter().map(|value| value.name()).collect()),
        ("health_signals", "not_run", not_run),
        ("feed_series", "kind", SeriesKind::ALL.iter().map(|value| value.name()).collect()),
        ("intakes", "kind", IntakeKind::ALL.iter().map(|value| value.name()).collect()),
    ]
}

/// The names that a column can hold, as the end of its explanation.
fn names(table: &str, column: &str) -> String {
    let found = vocabularies().into_iter().find(|&(t, c, _)| (t, c) == (table, column));
    found.map_or_else(String::new, |(.., names)| format!(" One of `{}`.", names.join("`, `")))
}

fn put(text: &mut String, more: &str) {
    let _ = text.write_str(more);
}

fn failures(text: &mut String) {
    put(
        text,
        "\n## Failures\n\nWhat the columns named `failure` can hold. Names that OONI's data has too mean the same there.\n\n",
    );
    put(text, "| failure | layer | operation | whose name |\n|---|---|---|---|\n");
    for failure in Failure::ALL {
        let whose = if failure.is_ooni() { "OONI" } else { "ours" };
        let (layer, operation) = (failure.layer().name(), failure.operation().name());
        put(text, &format!("| `{failure}` | {layer} | {operation} | {whose} |\n"));
    }
}

struct Described {
    name: String,
    words: String,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    kind: String,
    words: String,
}

/// Every table with its columns. The migrations keep to one shape: comment lines, then what they are about; a column
/// begins its line with its name and type, in lower and upper case.
fn tables(migrations: &[Migration]) -> Vec<Described> {
    let mut tables: Vec<Described> = Vec::new();
    let mut words = String::new();
    for line in migrations.iter().flat_map(|migration| migration.sql.lines()).map(str::trim) {
        if let Some(comment) = line.strip_prefix("-- ") {
            words = if words.is_empty() { comment.into() } else { format!("{words} {comment}") };
            continue;
        }
        let words = std::mem::take(&mut words);
        let added = line.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(" ADD COLUMN "));
        if let Some((name, rest)) = added {
            if let Some(table) = tables.iter_mut().find(|table| table.name == name) {
                table.columns.extend(column(rest, words));
            }
        } else if let Some(name) = line.strip_prefix("CREATE TABLE ").and_then(|rest| rest.strip_suffix(" (")) {
            tables.push(Described { name: name.into(), words, columns: Vec::new() });
        } else if let (Some(column), Some(table)) = (column(line, words), tables.last_mut()) {
            table.columns.push(column);
        }
    }
    tables
}

fn column(line: &str, words: String) -> Option<Column> {
    let (name, rest) = line.split_once(' ')?;
    let kind = rest.split([' ', ',', ';']).next()?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_type = ["BLOB", "INTEGER", "REAL", "TEXT"].contains(&kind);
    let kind = if rest.contains("NOT NULL") { kind.into() } else { format!("{kind} or NULL") };
    (is_name && is_type).then(|| Column { name: name.into(), kind, words })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::ALL;

    #[test]
    fn every_column_of_every_table_is_explained() {
        let described = tables(MIGRATIONS);
        assert_eq!(described.len(), ALL.len());
        for table in ALL {
            let words = described.iter().find(|described| described.name == table.name).unwrap();
            let names: Vec<&str> = words.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, table.columns);
            assert!(words.words.ends_with('.'), "{}", table.name);
            assert!(words.columns.iter().all(|column| column.words.ends_with('.')), "{}", table.name);
        }
    }

    #[test]
    fn every_vocabulary_belongs_to_a_column_and_names_no_judgement() {
        for (table, column, names) in vocabularies() {
            let table = ALL.iter().find(|known| known.name == table).unwrap();
            assert!(table.columns.contains(&column));
            assert!(!names.is_empty() && names.iter().all(|name| !name.contains("block")));
        }
        assert!(
            Failure::ALL
                .iter()
                .all(|failure| !failure.name().contains("block_") && !failure.name().contains("blocked"))
        );
    }
}
