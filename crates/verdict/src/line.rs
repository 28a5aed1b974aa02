//! A verdict as one line of JSON, written without a tree in between: `faultline/verdict/1` (design, section 6). Fields stand in the
//! order of the alphabet, as in the tree that [`crate::measurement_json`] makes.

use std::collections::BTreeMap;

use faultline_record::{
    Endpoint, HealthCheck, MeasurementId, NetworkKind, RunId, Timestamp, VpnKind, VpnPayload, VpnProtocol, Witnessed,
};
use serde::{Serialize, Serializer};

use crate::gate::Gate;
use crate::health::{HealthState, local_health};
use crate::verdict::{Cause, Evidence, State, Verdict, rounded};

/// What stands above the rows of a measurement.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    category: Option<&'a str>,
    duration_ms: f64,
    id: MeasurementId,
    input: &'a str,
    local_health: Health,
    network: Vantage<'a>,
    run: RunId,
    schema: &'static str,
    started_at: Timestamp,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<Tunnel>,
    verdict: Judged<'a>,
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
struct Vantage<'a> {
    as_name: Option<&'a str>,
    asn: Option<u32>,
    country: Option<&'a str>,
    kind: NetworkKind,
}

#[derive(Serialize)]
struct Tunnel {
    kind: VpnKind,
    payload: VpnPayload,
    protocol: VpnProtocol,
}

#[derive(Serialize)]
struct Judged<'a> {
    cause: Cause,
    #[serde(serialize_with = "by_name")]
    causes: &'a BTreeMap<Cause, f64>,
    #[serde(serialize_with = "findings")]
    evidence: &'a [Evidence],
    families: &'a BTreeMap<&'static str, State>,
    mechanisms: &'a [String],
    p: Shares,
    references: &'a BTreeMap<&'static str, String>,
    ruleset: &'a str,
    state: State,
    weights: &'a str,
}

#[derive(Serialize)]
struct Shares {
    blocked: f64,
    down: f64,
    ok: f64,
}

#[derive(Serialize)]
struct Found<'a> {
    observations: &'a [u32],
    rule: &'a str,
    text: &'a str,
    weight: f64,
}

impl<'a> Line<'a> {
    pub(crate) fn of(schema: &'static str, witnessed: &'a Witnessed, verdict: &'a Verdict) -> Self {
        let measurement = &witnessed.measurement;
        let (target, network) = (&measurement.target, &measurement.network);
        let tunnel = match target.endpoint {
            Endpoint::Vpn { protocol, .. } => {
                Some(Tunnel { kind: protocol.kind(), payload: protocol.payload(), protocol })
            }
            _ => None,
        };
        let clock_ahead_ms = witnessed.witness.clock_ahead_ms();
        Self {
            category: target.category.as_deref(),
            duration_ms: (measurement.duration_ms * 10.0).round() / 10.0,
            id: measurement.id,
            input: &target.input,
            local_health: Health::of(witnessed, clock_ahead_ms),
            network: Vantage {
                as_name: network.as_name.as_deref(),
                asn: network.asn,
                country: network.country.as_deref(),
                kind: network.kind,
            },
            run: measurement.run,
            schema,
            started_at: witnessed.began(),
            target: &target.name,
            tunnel,
            verdict: Judged::of(verdict),
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

impl<'a> Judged<'a> {
    fn of(verdict: &'a Verdict) -> Self {
        let Verdict { state, cause, causes, mechanisms, p, families, ruleset, weights, references, evidence } = verdict;
        let p = Shares { blocked: rounded(p.blocked), down: rounded(p.down), ok: rounded(p.ok) };
        let (state, cause) = (*state, *cause);
        Self { cause, causes, evidence, families, mechanisms, p, references, ruleset, state, weights }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn by_name<S: Serializer>(causes: &&BTreeMap<Cause, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut named: Vec<(&str, f64)> = causes.iter().map(|(cause, &p)| (cause.name(), rounded(p))).collect();
    named.sort_by_key(|(name, _)| *name);
    serializer.collect_map(named)
}

fn findings<S: Serializer>(evidence: &&[Evidence], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(evidence.iter().map(|Evidence { rule, weight, observations, text }| Found {
        observations,
        rule,
        text,
        weight: rounded(*weight),
    }))
}
