//! Which measurements to read, and how a file is cut into slices that are read side by side. Knows no table but the two
//! that carry a run and an offset, `measurements` and `health_checks`; both are called `m` in the statements.

use std::fmt::Write;

use rusqlite::types::Value;
use serde::{Deserialize, Serialize};

use super::Reader;
use crate::error::RecordError;
use crate::model::{RunId, Timestamp};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Conditions on measurements: all of them hold together, and one that is not given holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Of this run.
    pub run: Option<RunId>,
    /// Begun at this moment or later.
    pub from: Option<Timestamp>,
    /// Begun at this moment or earlier.
    pub until: Option<Timestamp>,
    /// From one of these autonomous systems.
    pub asns: Option<Vec<u32>>,
    /// From one of these countries.
    pub countries: Option<Vec<String>>,
    /// Of a target with one of these names.
    pub targets: Option<Vec<String>>,
}

/// A stretch of a file's rows in the order of run, offset and id: from one place to just before another. Written and read
/// again by another process it is the same to the bit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    from: Option<Place>,
    before: Option<Place>,
}

#[cfg(test)]
impl Slice {
    /// One with both ends, for looking at statements.
    pub(super) fn inner() -> Self {
        let place = |byte| Some(Place { run: [byte; 16], offset_ms: 1.0, id: [0; 16] });
        Self { from: place(1), before: place(2) }
    }
}

/// Where a row stands in that order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    run: [u8; 16],
    #[serde(with = "bits")]
    offset_ms: f64,
    id: [u8; 16],
}

/// Numbers as their 64 bits: as decimal digits, a reader may miss one by the last bit.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

/// Rows that slices are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sliced {
    /// Measurements with all that hangs on them.
    Measurements,
    /// Checks of the vantage.
    HealthChecks,
}

impl Sliced {
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Measurements => "measurements",
            Self::HealthChecks => "health_checks",
        }
    }
}

/// A WHERE clause in the making.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    sql: String,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    /// What a slice and a scope ask for.
    pub(super) fn of(scope: &Scope, slice: &Slice) -> Self {
        let mut conditions = Self::default();
        conditions.place(">=", slice.from);
        conditions.place("<", slice.before);
        if let Some(run) = scope.run {
            conditions.and(format_args!("m.run = ?"));
            conditions.values.push(Value::Blob(run.as_bytes().to_vec()));
        }
        conditions.stamp(">=", scope.from);
        conditions.stamp("<=", scope.until);
        conditions.any("n.asn", scope.asns.iter().flatten().map(|&asn| Value::from(asn)), scope.asns.is_some());
        let texts = |list: &Option<Vec<String>>| list.iter().flatten().cloned().map(Value::from).collect::<Vec<_>>();
        conditions.any("n.country", texts(&scope.countries), scope.countries.is_some());
        conditions.any("t.name", texts(&scope.targets), scope.targets.is_some());
        conditions
    }

    /// The clause with its keyword, or nothing.
    pub(super) fn clause(&self) -> &str {
        &self.sql
    }

    fn and(&mut self, condition: std::fmt::Arguments<'_>) {
        let word = if self.sql.is_empty() { "WHERE" } else { " AND" };
        let _ = write!(self.sql, "{word} {condition}");
    }

    fn place(&mut self, operator: &str, place: Option<Place>) {
        let Some(Place { run, offset_ms, id }) = place else { return };
        self.and(format_args!("(m.run, m.offset_ms, m.id) {operator} (?, ?, ?)"));
        self.values.extend([Value::Blob(run.to_vec()), Value::Real(offset_ms), Value::Blob(id.to_vec())]);
    }

    fn stamp(&mut self, operator: &str, stamp: Option<Timestamp>) {
        let Some(stamp) = stamp else { return };
        self.and(format_args!("m.started_at {operator} ?"));
        self.values.push(Value::Integer(stamp.as_millisecond()));
    }

    fn any(&mut self, column: &str, values: impl IntoIterator<Item = Value>, given: bool) {
        if given {
            let before = self.values.len();
            self.values.extend(values);
            let marks = vec!["?"; self.values.len() - before].join(", ");
            self.and(format_args!("{column} IN ({marks})"));
        }
    }
}

impl Scope {
    /// Whether the target's columns are needed to tell.
    pub(super) fn asks_for_targets(&self) -> bool {
        self.targets.is_some()
    }

    /// The tables that are needed to tell, joined to the measurements.
    pub(super) fn joins(&self) -> String {
        let targets = if self.asks_for_targets() { "JOIN targets t ON t.id = m.target" } else { "" };
        let networks = if self.asks_for_networks() { "JOIN networks n ON n.id = m.network" } else { "" };
        format!("{targets} {networks}")
    }

    /// Whether the network's columns are needed to tell.
    pub(super) fn asks_for_networks(&self) -> bool {
        self.asns.is_some() || self.countries.is_some()
    }
}

impl Reader {
    /// Cuts the file into slices of that many rows, the last of fewer; together they are all rows, each once. An empty
    /// table is one slice.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn slices(&self, rows: Sliced, each: usize) -> Result<Vec<Slice>, RecordError> {
        let select = format!("SELECT m.run, m.offset_ms, m.id FROM {} m ORDER BY 1, 2, 3", rows.table());
        let (mut slices, mut from, mut count) = (Vec::new(), None, 0);
        self.each(&select, (), |row| {
            if count == each.max(1) {
                let read = || Ok(Place { run: row.get(0)?, offset_ms: row.get(1)?, id: row.get(2)? });
                let place = Some(read().map_err(|error| RecordError::from_sqlite(self.file(), error))?);
                slices.push(Slice { from, before: place });
                (from, count) = (place, 0);
            }
            count += 1;
            Ok(true)
        })?;
        slices.push(Slice { from, before: None });
        Ok(slices)
    }

    /// From which network a slice's first row is, and the day of its start, in days since 1970-01-01 UTC: `None` for what it
    /// does not say, and for a slice without rows.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn network_and_day(&self, slice: &Slice) -> Result<(Option<u32>, Option<i64>), RecordError> {
        let conditions = Conditions::of(&Scope::default(), slice);
        let select = format!(
            "SELECT n.asn, m.started_at FROM measurements m JOIN networks n ON n.id = m.network {} \
             ORDER BY m.run, m.offset_ms, m.id LIMIT 1",
            conditions.clause()
        );
        let mut found = (None, None);
        self.each(&select, rusqlite::params_from_iter(&conditions.values), |row| {
            let read = || Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?));
            let (asn, started_at) = read().map_err(|error| RecordError::from_sqlite(self.file(), error))?;
            found = (asn.and_then(|asn| asn.try_into().ok()), Some(started_at.div_euclid(DAY_MS)));
            Ok(false)
        })?;
        Ok(found)
    }

    /// The id of every such row, in their order.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn each_id(&self, rows: Sliced, mut visit: impl FnMut([u8; 16])) -> Result<(), RecordError> {
        self.each(&format!("SELECT m.id FROM {} m ORDER BY 1", rows.table()), (), |row| {
            visit(row.get(0).map_err(|error| RecordError::from_sqlite(self.file(), error))?);
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_the_same_to_the_bit_after_it_was_written_and_read() {
        let place = |offset_ms| Some(Place { run: [1; 16], offset_ms, id: [0xff; 16] });
        for offset_ms in [0.1 + 0.2, 5_000.000_000_000_001, f64::MAX, f64::MIN_POSITIVE / 2.0, -0.0] {
            let slice = Slice { from: place(offset_ms), before: place(offset_ms.next_up()) };
            let text = serde_json::to_string(&slice).unwrap();
            let read: Slice = serde_json::from_str(&text).unwrap();
            let bits = |slice: &Slice| [slice.from, slice.before].map(|place| place.unwrap().offset_ms.to_bits());
            assert_eq!((&read, bits(&read)), (&slice, bits(&slice)));
        }
    }
}
