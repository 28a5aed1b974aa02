//! Reading rows without trusting them: values are taken in the order of the table's columns, and one that is not of this
//! format gives an error that names its place.

use std::path::Path;

use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};

use crate::error::RecordError;
use crate::model::hex;
use crate::tables::Table;

/// How much of a strange value an error shows.
const SHOWN: usize = 80;

/// The columns of one table within a row, read one after another.
pub(crate) struct Cells<'r> {
    file: &'r Path,
    table: &'static Table,
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Cells<'r> {
    pub(crate) fn new(file: &'r Path, table: &'static Table, row: &'r Row<'r>) -> Self {
        Self { file, table, row, next: 0 }
    }

    /// The next column, whatever SQL type the Rust type takes.
    pub(crate) fn read<T: FromSql>(&mut self) -> Result<T, RecordError> {
        self.next += 1;
        self.row.get(self.next - 1).map_err(|_| self.bad())
    }

    /// The next column, parsed from its text.
    pub(crate) fn parse<T>(&mut self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, RecordError> {
        self.next += 1;
        let text = self.raw(self.next - 1).and_then(|value| value.as_str().ok());
        text.and_then(parse).ok_or_else(|| self.bad())
    }

    /// The next column, parsed from its text unless it is NULL.
    pub(crate) fn parse_or_null<T>(&mut self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, RecordError> {
        if self.raw(self.next) == Some(ValueRef::Null) {
            self.next += 1;
            return Ok(None);
        }
        self.parse(parse).map(Some)
    }

    /// The next column, a count that SQLite holds as a signed number.
    pub(crate) fn count(&mut self) -> Result<u64, RecordError> {
        u64::try_from(self.read::<i64>()?).map_err(|_| self.bad())
    }

    /// The next column, yes or no: 1 or 0 and nothing else.
    pub(crate) fn flag(&mut self) -> Result<bool, RecordError> {
        let value: i64 = self.read()?;
        if value == 0 || value == 1 { Ok(value == 1) } else { Err(self.bad()) }
    }

    /// The next column, a position among rows: as small as the schema demands, which bounds how many there can be.
    pub(crate) fn position(&mut self) -> Result<u32, RecordError> {
        self.read::<u16>().map(u32::from)
    }

    /// The next column, a time: finite and not negative.
    pub(crate) fn milliseconds(&mut self) -> Result<f64, RecordError> {
        let value: f64 = self.read()?;
        if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(self.bad()) }
    }

    /// The next column, a number: finite.
    pub(crate) fn finite(&mut self) -> Result<f64, RecordError> {
        self.finite_or_null()?.ok_or_else(|| self.bad())
    }

    /// The next column, a number: finite, or NULL.
    pub(crate) fn finite_or_null(&mut self) -> Result<Option<f64>, RecordError> {
        let value: Option<f64> = self.read()?;
        if value.is_none_or(f64::is_finite) { Ok(value) } else { Err(self.bad()) }
    }

    pub(crate) fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    /// An error about the column that was read last.
    pub(crate) fn bad(&self) -> RecordError {
        let column = self.next.saturating_sub(1);
        RecordError::BadRow {
            file: self.file.to_path_buf(),
            table: self.table.name,
            id: (0..self.table.key).map(|key| show(self.raw(key))).collect::<Vec<_>>().join("/"),
            column: self.table.columns.get(column).copied().unwrap_or("?"),
            value: show(self.raw(column)),
        }
    }

    fn raw(&self, column: usize) -> Option<ValueRef<'_>> {
        self.row.get_ref(column).ok()
    }
}

/// A value for an error's text: escaped, since it may come from a stranger and end on a terminal.
pub(crate) fn show(value: Option<ValueRef<'_>>) -> String {
    match value {
        None | Some(ValueRef::Null) => "NULL".into(),
        Some(ValueRef::Integer(number)) => number.to_string(),
        Some(ValueRef::Real(number)) => number.to_string(),
        Some(ValueRef::Text(text)) => {
            let shown: String = String::from_utf8_lossy(text).chars().take(SHOWN).collect();
            format!("{shown:?}")
        }
        Some(ValueRef::Blob(bytes)) => match <[u8; 16]>::try_from(bytes) {
            Ok(id) => uuid::Uuid::from_bytes(id).to_string(),
            Err(_) => hex(&bytes[..bytes.len().min(SHOWN / 2)]),
        },
    }
}
