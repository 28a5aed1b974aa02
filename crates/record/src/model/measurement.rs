//! A measurement and what surrounds it.

use std::sync::Arc;

use super::health::HealthCheck;
use super::ids::{MeasurementId, RunId};
use super::network::Network;
use super::observation::Observation;
use super::target::Target;
use super::time::Timestamp;

/// Everything seen of one target at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Its id.
    pub id: MeasurementId,
    /// The run it belongs to.
    pub run: RunId,
    /// What was measured.
    pub target: Target,
    /// Wall clock at the start: the only one.
    pub started_at: Timestamp,
    /// Start, milliseconds since the run's start (monotonic).
    pub offset_ms: f64,
    /// Length, milliseconds.
    pub duration_ms: f64,
    /// The vantage.
    pub network: Network,
    /// Its steps, by `seq`.
    pub observations: Vec<Observation>,
}

impl Measurement {
    /// End, milliseconds since the run's start.
    pub fn end_ms(&self) -> f64 {
        self.offset_ms + self.duration_ms
    }
}

/// What the run knew of its own network around a measurement. Neighbours in time share their checks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Witness {
    /// The last full check that ended before the measurement began.
    pub before: Option<Arc<HealthCheck>>,
    /// The first full check that began after the measurement ended.
    pub after: Option<Arc<HealthCheck>>,
    /// Full checks that overlap the measurement.
    pub during: Vec<Arc<HealthCheck>>,
    /// The pacing canary failed between the last good one and this measurement's end: our own load may be the cause.
    pub overloaded: bool,
    /// How far the clock of an imported run was ahead, by all that was said in it, milliseconds (negative: behind); `None` if it was right,
    /// if that is not known, and for a run of a probe, whose own checks tell.
    pub run_clock_ms: Option<i64>,
}

/// A measurement with its witness, as a reader gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Witnessed {
    /// The measurement.
    pub measurement: Measurement,
    /// The checks around it.
    pub witness: Witness,
}
