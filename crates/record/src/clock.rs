//! How far a vantage's clock was ahead, by what others said the time was (signals of kind `clock`).
//!
//! What was recorded stays as it was: a start is corrected where it is read. One operator may be wrong himself, and an answer out of a cache
//! may be old; several who agree are believed.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};

use crate::model::{HealthCheck, RunId, SignalKind, Timestamp, Witness, Witnessed};

/// Operators who must agree.
const OPERATORS: usize = 2;
/// How far apart they may be, seconds: an HTTP date has no fractions (RFC 9110, 5.6.7), and answers take a while.
const AGREE_S: f64 = 10.0;
/// What is taken for right, seconds: less than this cannot be told from the way.
const RIGHT_S: f64 = 5.0;

/// A run whose clock was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongClock {
    /// The run.
    pub run: RunId,
    /// How far it was ahead, milliseconds; negative: behind.
    pub ahead_ms: i64,
    /// How many operators say so.
    pub operators: usize,
}

/// How far a clock was ahead, seconds, and how many operators agree on it, by what each of them said.
fn agreed<'o>(said: impl Iterator<Item = (&'o str, f64)>) -> Option<(f64, usize)> {
    let mut by_operator: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (operator, seconds) in said.filter(|(_, seconds)| seconds.is_finite()) {
        by_operator.entry(operator).or_default().push(seconds);
    }
    let all: Vec<f64> = by_operator.into_values().map(median).collect();
    let middle = median(all.clone());
    let agreeing: Vec<f64> = all.iter().copied().filter(|one| (one - middle).abs() <= AGREE_S).collect();
    let is_settled = agreeing.len() >= OPERATORS && agreeing.len() * 2 > all.len();
    is_settled.then(|| (median(agreeing.clone()), agreeing.len()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to what a time can be")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1_000.0).clamp(-1.0e15, 1.0e15).round() as i64
}

impl Witness {
    /// How far the vantage's clock was ahead around the measurement, milliseconds (negative: behind); `None` if nobody said, if those who
    /// did disagree, or if it was right.
    pub fn clock_ahead_ms(&self) -> Option<i64> {
        let checks = self.before.iter().chain(&self.during).chain(&self.after);
        match agreed(checks.flat_map(|check| said(check))) {
            Some((seconds, _)) => (seconds.abs() > RIGHT_S).then(|| milliseconds(seconds)),
            None => self.run_clock_ms,
        }
    }
}

fn said(check: &HealthCheck) -> impl Iterator<Item = (&str, f64)> {
    let clocks = check.signals.iter().filter(|signal| signal.kind == SignalKind::Clock && signal.outcome.is_ok());
    clocks.filter_map(|signal| Some((signal.provider.as_deref().unwrap_or(&signal.name), signal.value?)))
}

impl Witnessed {
    /// When it began: as it was recorded, less what the clock is known to have been ahead.
    pub fn began(&self) -> Timestamp {
        let recorded = self.measurement.started_at.as_millisecond();
        Timestamp::from_millisecond(recorded.saturating_sub(self.witness.clock_ahead_ms().unwrap_or(0)))
    }
}

/// Whether the clock of a run, stored in that schema, was wrong.
pub(crate) fn of_run(connection: &Connection, schema: &str, run: RunId) -> Result<Option<WrongClock>> {
    let select = format!(
        "SELECT coalesce(s.provider, s.name), s.value FROM {schema}.health_checks c
         JOIN {schema}.health_signals s ON s.health_check = c.id
         WHERE c.run = ?1 AND s.kind = ?2 AND s.failure IS NULL AND s.not_run IS NULL AND s.value IS NOT NULL"
    );
    let mut statement = connection.prepare_cached(&select)?;
    let rows = statement.query_map((run.as_bytes(), SignalKind::Clock.name()), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let said = rows.collect::<Result<Vec<(String, f64)>>>()?;
    let agreed = agreed(said.iter().map(|(operator, seconds)| (operator.as_str(), *seconds)));
    let wrong = agreed.filter(|(seconds, _)| seconds.abs() > RIGHT_S);
    Ok(wrong.map(|(seconds, operators)| WrongClock { run, ahead_ms: milliseconds(seconds), operators }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(said: &[(&str, f64)]) -> Option<f64> {
        agreed(said.iter().copied()).map(|(seconds, _)| seconds)
    }

    #[test]
    fn operators_that_agree_are_believed_and_one_alone_is_not() {
        assert_eq!(ahead(&[]), None);
        assert_eq!(ahead(&[("a", 3_600.0), ("a", 3_601.0)]), None);
        assert_eq!(ahead(&[("a", 3_600.0), ("b", 3_602.0)]), Some(3_601.0));
        assert_eq!(ahead(&[("a", 3_600.0), ("b", 0.0)]), None);
        assert_eq!(ahead(&[("a", 3_600.0), ("b", 3_601.0), ("c", -50.0)]), Some(3_600.5));
        assert_eq!(ahead(&[("a", f64::NAN), ("b", 1.0)]), None);
    }
}
