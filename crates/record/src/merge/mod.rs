//! Many files into one. A measurement is known by its id: merging a file twice adds nothing.
//!
//! Inputs may come from anyone. Each is checked as the reader checks it, each new row is parsed before it is taken, what
//! is keyed by its content is hashed again, and an input is taken whole or not at all.

mod abreast;
mod ahead;
mod sql;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row, Transaction, TransactionBehavior};
use serde_json::Value;

use crate::cells::Cells;
use crate::clock::{self, WrongClock};
use crate::database::Database;
use crate::error::RecordError;
use crate::insert::{self, content_key};
use crate::ledger;
use crate::model::{Certificate, HealthCheckId, Intake, IntakeKind, RunId, Timestamp, hex, sha256};
use crate::reader::{Reader, dangling};
use crate::tables::{self, Table};

use ahead::Opened;

/// How many conflicts of an input are named; all are counted.
const NAMED_CONFLICTS: i64 = 100;

/// What a merge tells while it works. Breaking off ends it: the input at hand leaves nothing behind, those before stay.
#[derive(Debug)]
pub enum Progress<'a> {
    /// New measurements of an input are being checked.
    Checking {
        /// The input.
        file: &'a Path,
        /// How many were checked.
        done: u64,
        /// How many there are to check.
        of: u64,
    },
    /// An input is done, or was refused: who wants no merge with a refused input breaks off here.
    Input(&'a InputReport),
}

/// What became of a merge.
#[derive(Debug, Default)]
pub struct MergeReport {
    /// Input by input, in the order given; one that was broken off or not begun has no report.
    pub inputs: Vec<InputReport>,
    /// Whether it was broken off.
    pub stopped: bool,
    /// How many measurements the output holds now.
    pub held: u64,
}

/// What became of one input.
#[derive(Debug)]
pub struct InputReport {
    /// The input.
    pub file: PathBuf,
    /// What was taken from it, or why nothing was.
    pub outcome: Result<Merged, RecordError>,
}

/// What was found in an input: `measurements` is the sum of the three after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Measurements in the input.
    pub measurements: u64,
    /// Those that were added.
    pub new: u64,
    /// Those that were there already, the same.
    pub already: u64,
    /// Those that were not added since they contradict what is there.
    pub conflicting: u64,
    /// What contradicts what is there; at most 100 are named.
    pub conflicts: Vec<Conflict>,
    /// Runs whose measurements were added and whose clock was wrong: what is recorded stays, readers correct it.
    pub clocks: Vec<WrongClock>,
    /// Whether the ledger says that this very content was merged before: nothing was compared again.
    pub known: bool,
}

/// A row under an id that the output knows with other content. The output keeps its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `runs`, `run_ends`, `measurements` or `health_checks`.
    pub table: String,
    /// The id.
    pub id: String,
}

/// Merges `inputs` into `out`, one transaction each; `out` is made if it is not there. Takes the output's run lock. An
/// `Err` is about the output; what is wrong with an input is in its report.
pub fn merge(
    out: &Path,
    inputs: &[PathBuf],
    mut progress: impl FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<MergeReport, RecordError> {
    if let Some(same) = inputs.iter().find(|input| is_same_file(out, input)) {
        return Err(RecordError::OutputIsInput { file: same.clone() });
    }
    let mut database = Database::open_or_create(out)?;
    let _alone = database.lock_for_run()?;
    database.sqlite(|connection| connection.execute_batch(sql::SCRATCH))?;
    // References are followed in each input, and what is taken brings all that it refers to.
    database.sqlite(|connection| connection.pragma_update(None, "foreign_keys", false))?;
    database.expect_much()?;
    let mut report = MergeReport::default();
    let end = ahead::each(inputs, |file, opened| {
        let merged = opened.map_err(Trouble::Input);
        let outcome = match merged.and_then(|opened| merge_one(&mut database, opened, &mut progress)) {
            Ok(ControlFlow::Continue(merged)) => Ok(merged),
            Ok(ControlFlow::Break(())) => return ControlFlow::Break(Ok(())),
            Err(Trouble::Input(error)) => Err(error),
            Err(Trouble::Output(error)) => return ControlFlow::Break(Err(error)),
        };
        let input = InputReport { file: file.to_path_buf(), outcome };
        let go_on = progress(Progress::Input(&input));
        report.inputs.push(input);
        if go_on.is_break() { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(()) }
    });
    let held = database.sqlite(|c| c.query_row("SELECT count(*) FROM measurements", (), |row| row.get::<_, i64>(0)))?;
    let report = MergeReport { held: u64::try_from(held).unwrap_or(0), ..report };
    match end {
        None => Ok(report),
        Some(Ok(())) => Ok(MergeReport { stopped: true, ..report }),
        Some(Err(error)) => Err(error),
    }
}

/// Whose fault it was.
enum Trouble {
    Input(RecordError),
    Output(RecordError),
}

type Attempt<T> = Result<T, Trouble>;

/// Two names of one file, also when links lead there.
fn is_same_file(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b || has_same_inode(&a, &b),
        _ => false,
    }
}

#[cfg(unix)]
fn has_same_inode(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    inode(a).is_some_and(|found| Some(found) == inode(b))
}

#[cfg(not(unix))]
fn has_same_inode(_a: &Path, _b: &Path) -> bool {
    false
}

fn merge_one(
    database: &mut Database,
    Opened { reader, content }: Opened,
    progress: &mut impl FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Attempt<ControlFlow<(), Merged>> {
    let out = database.file().to_path_buf();
    let output = |error| Trouble::Output(RecordError::from_sqlite(&out, error));
    if let Some((measurements, conflicting)) =
        ledger::merged_before(database.connection(), &content.0).map_err(output)?
    {
        let already = measurements.saturating_sub(conflicting);
        return Ok(ControlFlow::Continue(Merged {
            measurements,
            already,
            conflicting,
            known: true,
            ..Merged::default()
        }));
    }
    database
        .sqlite(|connection| connection.execute("ATTACH ?1 AS input", [reader.uri()]).map(drop))
        .map_err(Trouble::Output)?;
    let connection = database.connection();
    let merged = {
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(output)?;
        let merged = Input { connection: &transaction, reader: &reader, out: &out, content }.take(progress);
        if let Ok(ControlFlow::Continue(_)) = merged {
            transaction.commit().map_err(output)?;
        }
        merged
    };
    connection.execute_batch("DETACH input").map_err(output)?;
    merged
}

/// An input that is attached to the output, within one transaction.
struct Input<'m> {
    connection: &'m Connection,
    reader: &'m Reader,
    out: &'m Path,
    /// Its hash, and of how many bytes.
    content: ([u8; 32], u64),
}

impl Input<'_> {
    fn take(&self, progress: &mut impl FnMut(Progress<'_>) -> ControlFlow<()>) -> Attempt<ControlFlow<(), Merged>> {
        self.batch("DELETE FROM temp.differing")?;
        self.check_references()?;
        self.take_content()?;
        self.take_kept()?;
        let (mut merged, mut runs) = (Merged::default(), Vec::new());
        for group in &sql::GROUPS {
            self.batch(&sql::sort_out(group))?;
            if group.parent.name == tables::MEASUREMENTS.name {
                merged = self.tally()?;
                runs = self.runs_of_fresh()?;
                if self.take_measurements(group, progress)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            } else {
                self.check_new(group.parent)?;
                self.batch(&sql::take_new(group))?;
            }
        }
        self.check_marks()?;
        self.batch(&sql::take_marks())?;
        merged.conflicts = self.conflicts()?;
        let clock = |(run, _): &(RunId, u64)| clock::of_run(self.connection, "input", *run).transpose();
        merged.clocks =
            runs.iter().filter_map(clock).collect::<rusqlite::Result<_>>().map_err(|error| self.sorted(error))?;
        self.note(&merged, runs)?;
        Ok(ControlFlow::Continue(merged))
    }

    /// Writes the input into the ledger.
    fn note(&self, merged: &Merged, runs: Vec<(RunId, u64)>) -> Attempt<()> {
        let (sha256, bytes) = self.content;
        let intake = Intake {
            kind: IntakeKind::Merge,
            format: "faultline".into(),
            name: self.reader.file().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256,
            bytes,
            at: Timestamp::now(),
            software_version: env!("CARGO_PKG_VERSION").into(),
            found: merged.measurements,
            added: merged.new,
            conflicting: merged.conflicting,
            refused: 0,
            runs,
        };
        ledger::insert(self.connection, &intake).map_err(|error| self.sorted(error))
    }

    /// How many measurements of which run are about to be taken.
    fn runs_of_fresh(&self) -> Attempt<Vec<(RunId, u64)>> {
        let read = || {
            let mut statement = self.connection.prepare(sql::RUNS_OF_FRESH)?;
            let rows = statement.query_map((), |row| {
                Ok((RunId::from_bytes(row.get(0)?), u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0)))
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| self.sorted(error))
    }

    /// Feeds of others, and texts of imported measurements. Of a moment for which both sides have a value, the output keeps its own.
    fn take_kept(&self) -> Attempt<()> {
        self.reader.check_feeds().map_err(Trouble::Input)?;
        for table in [&tables::FEED_SERIES, &tables::FEED_EVENTS] {
            self.each_missing(table, |row| Ok(content_key(&rest_of(table, row)?).to_vec()))?;
            self.batch(&sql::take_missing(table))?;
        }
        self.batch(&sql::take_absent(&tables::FEED_POINTS))?;
        self.each_of(&sql::absent(&tables::RAW_TEXTS), &tables::RAW_TEXTS, |row| {
            let text = ledger::unpack(row.get(3)?, row.get_ref(4)?.as_blob()?);
            Ok(text.map_or_else(Vec::new, |(key, _)| key.to_vec()))
        })?;
        self.batch(&sql::take_absent(&tables::RAW_TEXTS))
    }

    /// Rows that are keyed by their content. A row whose key lies would stand for another's content: the input is refused.
    fn take_content(&self) -> Attempt<()> {
        for table in [&tables::NETWORKS, &tables::TARGETS] {
            self.each_missing(table, |row| Ok(content_key(&rest_of(table, row)?).to_vec()))?;
            self.batch(&sql::take_missing(table))?;
        }
        self.each_missing(&tables::BODIES, |row| Ok(sha256(row.get_ref(1)?.as_blob()?).to_vec()))?;
        self.batch(&sql::take_missing(&tables::BODIES))?;
        self.each_missing(&tables::CERTIFICATES, |row| {
            // What a certificate says is read out anew: its key vouches for the DER only.
            let certificate = Certificate::from_der(row.get(1)?);
            insert::certificate(self.connection, &certificate)?;
            Ok(certificate.sha256.to_vec())
        })
    }

    /// Computes the key of every row that the output lacks, and compares.
    fn each_missing(&self, table: &'static Table, key: impl Fn(&Row<'_>) -> rusqlite::Result<Vec<u8>>) -> Attempt<()> {
        self.each_of(&sql::missing(table), table, key)
    }

    fn each_of(
        &self,
        select: &str,
        table: &'static Table,
        key: impl Fn(&Row<'_>) -> rusqlite::Result<Vec<u8>>,
    ) -> Attempt<()> {
        let mut statement = self.connection.prepare(select).map_err(|error| self.sorted(error))?;
        let mut rows = statement.query(()).map_err(|error| self.sorted(error))?;
        while let Some(row) = rows.next().map_err(|error| self.sorted(error))? {
            let due = key(row).map_err(|error| self.sorted(error))?;
            if row.get_ref(0).and_then(|cell| Ok(cell.as_blob()?)).ok() != Some(&due) {
                let mut cells = Cells::new(self.reader.file(), table, row);
                cells.skip(1);
                return Err(Trouble::Input(cells.bad()));
            }
        }
        Ok(())
    }

    fn tally(&self) -> Attempt<Merged> {
        let count = |sql: &str| {
            let count = self.connection.query_row(sql, (), |row| row.get::<_, i64>(0));
            count.map(|count| u64::try_from(count).unwrap_or(0)).map_err(|error| self.sorted(error))
        };
        let measurements = count("SELECT count(*) FROM input.measurements")?;
        let new = count("SELECT count(*) FROM temp.fresh")?;
        let conflicting = count("SELECT count(*) FROM temp.differing WHERE name = 'measurements'")?;
        let already = measurements.saturating_sub(new + conflicting);
        Ok(Merged { measurements, new, already, conflicting, ..Merged::default() })
    }

    /// References between tables that are taken without following them; and all references of an input that went on since it was
    /// opened, as it is held now: what is followed is followed over a connection of its own.
    fn check_references(&self) -> Attempt<()> {
        let corrupt = |detail| Trouble::Input(RecordError::Corrupt { file: self.reader.file().to_path_buf(), detail });
        let is_loose =
            self.connection.query_row(sql::LOOSE, (), |row| row.get(0)).map_err(|error| self.sorted(error))?;
        if is_loose {
            return Err(corrupt("a row refers to nothing".to_owned()));
        }
        if self.reader.is_unchanged().map_err(Trouble::Input)? {
            return Ok(());
        }
        let dangling = dangling(self.connection, "input").map_err(|error| self.sorted(error))?;
        dangling.map_or(Ok(()), |detail| Err(corrupt(detail)))
    }

    /// Parses what is about to be taken: a value outside the vocabulary must not get in.
    fn check_new(&self, parent: &Table) -> Attempt<()> {
        let _one_moment = self.reader.one_moment().map_err(Trouble::Input)?;
        let check = |id| match parent.name {
            "runs" => self.reader.run(RunId::from_bytes(id)).map(drop),
            "run_ends" => self.reader.run_end(RunId::from_bytes(id)).map(drop),
            _ => self.reader.health_check(HealthCheckId::from_bytes(id)).map(drop),
        };
        self.ids("SELECT id FROM temp.fresh")?.into_iter().try_for_each(check).map_err(Trouble::Input)
    }

    fn check_marks(&self) -> Attempt<()> {
        let runs = self.ids("SELECT DISTINCT run FROM input.pace_marks")?;
        let check = |run| self.reader.pace_marks(RunId::from_bytes(run)).map(drop);
        runs.into_iter().try_for_each(check).map_err(Trouble::Input)
    }

    fn conflicts(&self) -> Attempt<Vec<Conflict>> {
        let read = || {
            let select = "SELECT name, id FROM temp.differing ORDER BY name DESC, id LIMIT ?1";
            let mut statement = self.connection.prepare(select)?;
            let rows = statement.query_map([NAMED_CONFLICTS], |row| {
                let id: [u8; 16] = row.get(1)?;
                Ok(Conflict { table: row.get(0)?, id: uuid::Uuid::from_bytes(id).to_string() })
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| self.sorted(error))
    }

    fn ids(&self, select: &str) -> Attempt<Vec<[u8; 16]>> {
        let read =
            || self.connection.prepare(select)?.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>();
        read().map_err(|error| self.sorted(error))
    }

    fn batch(&self, sql: &str) -> Attempt<()> {
        self.connection.execute_batch(sql).map_err(|error| self.sorted(error))
    }

    /// The output was sound when it was opened, so what is damaged or breaks a constraint is the input.
    fn sorted(&self, error: rusqlite::Error) -> Trouble {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation) | None => {
                Trouble::Input(RecordError::from_sqlite(self.reader.file(), error))
            }
            Some(_) => Trouble::Output(RecordError::from_sqlite(self.out, error)),
        }
    }
}

/// The columns after the key, as the JSON array that the key is made from.
fn rest_of(table: &Table, row: &Row<'_>) -> rusqlite::Result<Value> {
    (1..table.columns.len()).map(|column| Ok(json_of(row.get_ref(column)?))).collect()
}

fn json_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => hex(bytes).into(),
    }
}
