//! The ledger of what came into a file, and the texts that are kept of imported measurements.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, Result, Row, params};

use crate::cells::Cells;
use crate::database::Database;
use crate::error::RecordError;
use crate::insert::{NewRow, count};
use crate::model::{Intake, IntakeKind, RawText, RunId, Timestamp, sha256};
use crate::packed::{deflate, inflate};
use crate::reader::Reader;
use crate::tables::{INSERTS, INTAKE_RUNS, INTAKES, RAW_TEXTS};

impl Database {
    /// Writes an intake into the ledger.
    pub fn note_intake(&mut self, intake: &Intake) -> std::result::Result<(), RecordError> {
        self.transaction(|connection| insert(connection, intake))
    }
}

pub(crate) fn insert(connection: &Connection, intake: &Intake) -> Result<()> {
    let mut row = NewRow::of(connection, &INSERTS.intake)?;
    row.put(params![None::<i64>, intake.kind.name(), intake.format, intake.name, intake.sha256])?;
    row.put(params![count(intake.bytes), intake.at.as_millisecond(), intake.software_version])?;
    row.put(params![count(intake.found), count(intake.added), count(intake.conflicting), count(intake.refused)])?;
    row.store()?;
    let id = connection.last_insert_rowid();
    for (run, added) in &intake.runs {
        let mut row = NewRow::of(connection, &INSERTS.intake_run)?;
        row.put(params![id, run.as_bytes(), count(*added)])?;
        row.store()?;
    }
    Ok(())
}

/// What the ledger says of the last merge of a file of that content.
pub(crate) fn merged_before(connection: &Connection, sha256: &[u8; 32]) -> Result<Option<(u64, u64)>> {
    let select = "SELECT found, conflicting FROM intakes WHERE sha256 = ?1 AND kind = ?2 ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query(params![sha256, IntakeKind::Merge.name()])?;
    let whole = |row: &Row<'_>, column| row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0));
    rows.next()?.map(|row| Ok((whole(row, 0)?, whole(row, 1)?))).transpose()
}

/// Keeps a text, unless it is kept already.
pub(crate) fn keep(connection: &Connection, raw: &RawText) -> Result<()> {
    let mut row = NewRow::of(connection, &INSERTS.raw_text)?;
    row.put(params![sha256(&raw.text), raw.format, raw.place, count(raw.text.len() as u64), deflate(&raw.text)])?;
    row.store()
}

/// The key that a kept text must have, and the text; `None` if it cannot be unpacked.
pub(crate) fn unpack(length: i64, deflated: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let text = inflate(deflated, u64::try_from(length).ok()?)?;
    Some((sha256(&text), text))
}

impl Reader {
    /// The ledger, oldest first.
    pub fn intakes(&self) -> std::result::Result<Vec<Intake>, RecordError> {
        let runs = format!("SELECT {} FROM intake_runs t WHERE t.intake = ?1 ORDER BY t.run", INTAKE_RUNS.select("t"));
        let select = format!("SELECT {} FROM intakes t ORDER BY t.id", INTAKES.select("t"));
        let intakes = self.list(&select, (), |file, row| {
            let mut cells = Cells::new(file, &INTAKES, row);
            Ok((cells.read::<i64>()?, intake(&mut cells)?))
        })?;
        let with_runs = |(id, intake): (i64, Intake)| {
            let runs = self.list(&runs, [id], |file, row| {
                let mut cells = Cells::new(file, &INTAKE_RUNS, row);
                cells.skip(1);
                Ok((RunId::from_bytes(cells.read()?), cells.count()?))
            })?;
            Ok(Intake { runs, ..intake })
        };
        intakes.into_iter().map(with_runs).collect()
    }

    /// How many texts of imported measurements are kept.
    pub fn raw_text_count(&self) -> std::result::Result<u64, RecordError> {
        let counts = self.list("SELECT count(*) FROM raw_texts", (), |file, row| {
            row.get::<_, i64>(0).map_err(|error| RecordError::from_sqlite(file, error))
        })?;
        Ok(counts.first().map_or(0, |&count| u64::try_from(count).unwrap_or(0)))
    }

    /// Hands over the texts that are kept, one by one, until there are no more or the visitor breaks off.
    pub fn each_raw_text(
        &self,
        mut visit: impl FnMut(RawText) -> ControlFlow<()>,
    ) -> std::result::Result<(), RecordError> {
        let select = format!("SELECT {} FROM raw_texts t ORDER BY t.sha256, t.format, t.place", RAW_TEXTS.select("t"));
        self.each(&select, (), |row| Ok(visit(raw_text(self.file(), row)?).is_continue()))
    }
}

fn intake(cells: &mut Cells<'_>) -> std::result::Result<Intake, RecordError> {
    Ok(Intake {
        kind: cells.parse(IntakeKind::from_name)?,
        format: cells.read()?,
        name: cells.read()?,
        sha256: cells.read()?,
        bytes: cells.count()?,
        at: Timestamp::from_millisecond(cells.read()?),
        software_version: cells.read()?,
        found: cells.count()?,
        added: cells.count()?,
        conflicting: cells.count()?,
        refused: cells.count()?,
        runs: Vec::new(),
    })
}

fn raw_text(file: &Path, row: &Row<'_>) -> std::result::Result<RawText, RecordError> {
    let mut cells = Cells::new(file, &RAW_TEXTS, row);
    let key: [u8; 32] = cells.read()?;
    let (format, place, length) = (cells.read()?, cells.read()?, cells.read()?);
    let deflated: Vec<u8> = cells.read()?;
    match unpack(length, &deflated) {
        Some((due, text)) if due == key => Ok(RawText { format, place, text }),
        _ => Err(cells.bad()),
    }
}
