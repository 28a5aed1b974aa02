//! A verdict as one line of JSON, written without a tree in between: `faultline/verdict/1` (design, section 6). Fields stand in the
//! order of the alphabet, as in the tree that [`crate::measurement_json`] makes.

use faultline_record::{
    Endpoint, HealthCheck, MeasurementId, Network, RunId, Timestamp, VpnKind, VpnPayload, VpnProtocol, Witnessed,
};
use serde::Serialize;

use crate::gate::Gate;
use crate::health::{HealthState, local_health};
use crate::verdict::Verdict;

/// What stands above the rows of a measurement.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    category: Option<&'a str>,
    duration_ms: f64,
    id: MeasurementId,
    input: &'a str,
    local_health: Health,
    network: &'a Network,
    run: RunId,
    schema: &'static str,
    started_at: Timestamp,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<Tunnel>,
    verdict: &'a Verdict,
}

#[derive(Serialize)]
struct Health {
    after: Option<Check>,
    before: Option<Check>,
    /// `started_at` is corrected by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_ahead_ms: Option<i64>,
    overloaded: bool,
    state: Option<HealthState>,
}

#[derive(Serialize)]
struct Check {
    controls: Controls,
    state: HealthState,
}

#[derive(Serialize)]
struct Controls {
    ok: usize,
    total: usize,
}

#[derive(Serialize)]
struct Tunnel {
    kind: VpnKind,
    payload: VpnPayload,
    protocol: VpnProtocol,
}

impl<'a> Line<'a> {
    pub(crate) fn of(schema: &'static str, witnessed: &'a Witnessed, verdict: &'a Verdict) -> Self {
        let measurement = &witnessed.measurement;
        let target = &measurement.target;
        let tunnel = match target.endpoint {
            Endpoint::Vpn { protocol, .. } => {
                Some(Tunnel { kind: protocol.kind(), payload: protocol.payload(), protocol })
            }
            _ => None,
        };
        let clock_ahead_ms = witnessed.witness.clock_ahead_ms();
        Self {
            category: target.category.as_deref(),
            duration_ms: tenths(measurement.duration_ms),
            id: measurement.id,
            input: &target.input,
            local_health: Health::of(witnessed, clock_ahead_ms),
            network: &measurement.network,
            run: measurement.run,
            schema,
            started_at: witnessed.began(),
            target: &target.name,
            tunnel,
            verdict,
        }
    }
}

impl Health {
    fn of(witnessed: &Witnessed, clock_ahead_ms: Option<i64>) -> Self {
        let witness = &witnessed.witness;
        Self {
            after: witness.after.as_deref().map(Check::of),
            before: witness.before.as_deref().map(Check::of),
            clock_ahead_ms,
            overloaded: witness.overloaded,
            state: Gate::of(&witnessed.measurement, witness).state,
        }
    }
}

impl Check {
    fn of(check: &HealthCheck) -> Self {
        let health = local_health(check);
        Self { controls: Controls { ok: health.controls_ok, total: health.controls_tried }, state: health.state }
    }
}

/// Milliseconds, to a tenth.
pub(crate) fn tenths(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}
