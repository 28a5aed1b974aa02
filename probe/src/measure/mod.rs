//! The walk of one target through its steps, and the rows that come of it.

use faultline_record::{Measurement, MeasurementId, Network, RunId, Target, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::clock::RunClock;
use crate::drive::Drive;

/// What a measurement belongs to, and what can end it early.
#[derive(Clone, Debug)]
pub struct MeasureContext {
    /// The run.
    pub run: RunId,
    /// The run's clock.
    pub clock: RunClock,
    /// The vantage.
    pub network: Network,
    /// Ends the measurement early; what was not done is `not_run: interrupted`.
    pub cancel: CancellationToken,
}

/// Measures one target. Never fails: what went wrong is in the rows.
// The signature stands so that the run can be written against it; the walk follows.
#[allow(clippy::unused_async)]
pub async fn measure(_drive: &Drive, target: &Target, context: MeasureContext) -> Measurement {
    let started_at = Timestamp::now();
    let offset_ms = context.clock.now_ms();
    Measurement {
        id: MeasurementId::new(),
        run: context.run,
        target: target.clone(),
        started_at,
        offset_ms,
        duration_ms: context.clock.now_ms() - offset_ms,
        network: context.network,
        observations: Vec::new(),
    }
}
