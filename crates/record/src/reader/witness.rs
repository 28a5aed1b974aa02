//! Pairing a measurement with the checks of its run that are nearest to it on the run's own clock.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::RecordError;
use crate::model::{HealthCheck, HealthCheckId, HealthReason, Measurement, PaceMark, RunId, Witness};

use super::Reader;

/// How many whole checks are kept at hand: neighbours in time share theirs.
const AT_HAND: usize = 16;

/// A full check, without its signals.
struct Span {
    id: HealthCheckId,
    from_ms: f64,
    to_ms: f64,
}

/// What one run knew of its own network. Whole checks are read when they are needed.
pub(super) struct RunHealth<'r> {
    reader: &'r Reader,
    pub(super) run: RunId,
    /// Full checks by their start.
    by_start: Vec<Span>,
    /// Positions in `by_start`, by the checks' end.
    by_end: Vec<usize>,
    longest_ms: f64,
    marks: Vec<PaceMark>,
    clock_ms: Option<i64>,
    at_hand: VecDeque<Arc<HealthCheck>>,
}

impl<'r> RunHealth<'r> {
    pub(super) fn load(reader: &'r Reader, run: RunId) -> Result<Self, RecordError> {
        let (mut by_start, mut is_import) = (Vec::new(), false);
        reader.each_check(run, |check| {
            is_import |= check.reason == HealthReason::Import;
            if check.reason != HealthReason::Canary {
                by_start.push(Span { id: check.id, from_ms: check.offset_ms, to_ms: check.end_ms() });
            }
            Ok(())
        })?;
        let mut by_end: Vec<usize> = (0..by_start.len()).collect();
        by_end.sort_by(|&a, &b| by_start[a].to_ms.total_cmp(&by_start[b].to_ms));
        let longest_ms = by_start.iter().map(|span| span.to_ms - span.from_ms).fold(0.0, f64::max);
        let clock = if is_import { reader.wrong_clock(run)? } else { None };
        let (marks, clock_ms) = (reader.pace_marks(run)?, clock.map(|clock| clock.ahead_ms));
        Ok(Self { reader, run, by_start, by_end, longest_ms, marks, clock_ms, at_hand: VecDeque::new() })
    }

    /// The checks around a measurement of this run.
    pub(super) fn witness(&mut self, measurement: &Measurement) -> Result<Witness, RecordError> {
        let (from_ms, to_ms) = (measurement.offset_ms, measurement.end_ms());
        let ended = self.by_end.partition_point(|&index| self.by_start[index].to_ms <= from_ms);
        let before = ended.checked_sub(1).map(|last| self.by_start[self.by_end[last]].id);
        let begun = self.by_start.partition_point(|span| span.from_ms < to_ms);
        // A check of no length at the very instant of a measurement of no length came before it, not after.
        let after = self.by_start[begun..].iter().map(|span| span.id).find(|&id| Some(id) != before);
        let first = self.by_start.partition_point(|span| span.from_ms < from_ms - self.longest_ms);
        let overlapping = self.by_start.get(first..begun).unwrap_or_default();
        let during: Vec<_> = overlapping.iter().filter(|span| span.to_ms > from_ms).map(|span| span.id).collect();
        Ok(Witness {
            before: before.map(|id| self.check(id)).transpose()?,
            after: after.map(|id| self.check(id)).transpose()?,
            during: during.into_iter().map(|id| self.check(id)).collect::<Result<_, _>>()?,
            overloaded: self.marks.iter().any(|mark| mark.from_ms <= to_ms && mark.to_ms >= from_ms),
            run_clock_ms: self.clock_ms,
        })
    }

    fn check(&mut self, id: HealthCheckId) -> Result<Arc<HealthCheck>, RecordError> {
        if let Some(found) = self.at_hand.iter().find(|check| check.id == id) {
            return Ok(Arc::clone(found));
        }
        let check = Arc::new(self.reader.health_check(id)?);
        self.at_hand.truncate(AT_HAND - 1);
        self.at_hand.push_front(Arc::clone(&check));
        Ok(check)
    }
}
