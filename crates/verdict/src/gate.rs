//! The gate: whether failures seen in a measurement are evidence about the target at all.
//!
//! No failure counts in a minute in which the vantage's own connectivity was not proven, before and after. A response
//! that only the target can give (a certificate that is valid for the name) proves the network by itself and stands. Imports
//! have no checks; what answered in the same measurement stands in for them, for imports alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use faultline_record::{
    Endpoint, Failure, HealthCheck, HealthReason, HealthSignal, Measurement, Outcome, SignalKind, Witness,
};

use crate::health::{HealthState, LocalHealth, PROVIDERS_WANTED, local_health, provider};
use crate::verdict::{Cause, Evidence};
use crate::words::counted;

/// A check further from the measurement than this proves nothing about its minute, milliseconds (design, section 4: the
/// same minute).
const NEAR_MS: f64 = 60_000.0;

/// What the gate found.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// State of the vantage around the measurement; `None` when no check is near.
    pub state: Option<HealthState>,
    /// Why failures do not count, if they do not: the cause, and the sentence.
    pub closed: Option<(Cause, String)>,
    /// Controls that answered and controls that were tried, in the nearest check.
    pub controls: Option<(usize, usize)>,
    /// Whether it is an import's, which has no controls: then they are whoever answered in it.
    pub imported: bool,
    /// Operators of ordinary servers that no check near the measurement reached, while public resolvers answered; 0 if one was
    /// reached, or if there are fewer than two.
    pub silent_operators: usize,
}

impl Gate {
    /// Looks at the checks around a measurement.
    pub fn of(measurement: &Measurement, witness: &Witness) -> Self {
        if let Some(gate) = Self::of_import(measurement, witness) {
            return gate;
        }
        let near: Vec<(LocalHealth, &HealthCheck)> =
            near(measurement, witness).into_iter().map(|check| (local_health(check), check)).collect();
        let worst = near.iter().map(|(health, check)| (health.state, *check)).max_by_key(|(state, _)| severity(*state));
        let controls = near.first().map(|(health, _)| (health.controls_ok, health.controls_tried));
        let closed = match worst {
            Some((state, check)) if !state.proves_the_network() => {
                Some((cause(state, check), state.sentence().to_owned()))
            }
            _ if witness.overloaded => Some((Cause::Instrument, OVERLOADED.to_owned())),
            _ => unproven(measurement, witness).map(|why| (Cause::Unknown, why)),
        };
        let silent_operators = silent_operators(near.iter().map(|(_, check)| *check));
        Self { state: worst.map(|(state, _)| state), closed, controls, imported: false, silent_operators }
    }

    /// The gate of a measurement that another tool made, and that no check of ours stands beside: what answered in that very
    /// measurement proves its network, or what answered within a minute before it and within a minute after it.
    fn of_import(measurement: &Measurement, witness: &Witness) -> Option<Self> {
        let near = near(measurement, witness);
        let imported = near.iter().filter(|check| check.reason == HealthReason::Import).count();
        if imported == 0 {
            return None;
        }
        if imported < near.len() {
            // Nobody who imports writes both kinds into one run.
            return Some(Self {
                state: None,
                closed: Some((Cause::Unknown, NOTHING_ANSWERED.to_owned())),
                controls: None,
                imported: true,
                silent_operators: 0,
            });
        }
        let touches =
            |check: &&&HealthCheck| check.offset_ms <= measurement.end_ms() && check.end_ms() >= measurement.offset_ms;
        let proves = |check: &HealthCheck| proves(measurement, check);
        let own: Vec<&HealthCheck> = near.iter().filter(touches).copied().collect();
        let beside = |check: Option<&HealthCheck>| check.is_some_and(|check| near.contains(&check) && proves(check));
        let is_open =
            own.iter().copied().any(proves) || (beside(witness.before.as_deref()) && beside(witness.after.as_deref()));
        let shown = own.iter().copied().find(|check| proves(check)).or(near.first().copied())?;
        let health = local_health(shown);
        Some(Self {
            state: is_open.then_some(HealthState::Ok),
            closed: (!is_open).then(|| (Cause::Unknown, NOTHING_ANSWERED.to_owned())),
            controls: Some((health.controls_ok, health.controls_tried)),
            imported: true,
            silent_operators: 0,
        })
    }

    /// The evidence row of the gate itself: it weighs nothing, and says what everything else stands on. `shut` is why
    /// failures do not count in this verdict, if they do not.
    pub fn evidence(&self, shut: Option<&str>) -> Evidence {
        let why = shut.or(self.closed.as_ref().map(|(_, why)| why.as_str()));
        let (rule, text) = match (why, self.controls) {
            (Some(why), _) => ("health.not_proven", format!("failures are no evidence here: {why}")),
            (None, Some((ok, _))) if self.imported => (
                "health.proven",
                format!(
                    "the network worked: others gave {} in the same imported measurement",
                    counted(ok as u64, "answer")
                ),
            ),
            (None, Some((ok, tried))) => {
                ("health.proven", format!("{ok} of {tried} control targets answered in the same minute"))
            }
            (None, None) => ("health.not_proven", NOTHING_NEAR.to_owned()),
        };
        Evidence { rule: rule.to_owned(), weight: 0.0, observations: Vec::new(), text }
    }
}

const OVERLOADED: &str =
    "control targets failed at this pace and recovered when it fell, so that our own load may be the cause";
const NOTHING_ANSWERED: &str = "nothing in this imported measurement proves that its network worked";
const NOTHING_NEAR: &str = "local health was not checked within a minute of this measurement";

/// Whether what answered proves the network of an import. Where a resolver is the target, its answer is all that there can be.
fn proves(measurement: &Measurement, check: &HealthCheck) -> bool {
    let is_about_names = matches!(measurement.target.endpoint, Endpoint::Dns { .. });
    let is_answer = |signal: &HealthSignal| signal.kind == SignalKind::Resolver && signal.outcome.is_ok();
    let resolved = check.signals.iter().any(is_answer);
    local_health(check).state.proves_the_network() || (is_about_names && resolved)
}

fn near<'a>(measurement: &Measurement, witness: &'a Witness) -> Vec<&'a HealthCheck> {
    let before = witness.before.iter().filter(|check| measurement.offset_ms - check.end_ms() <= NEAR_MS);
    let after = witness.after.iter().filter(|check| check.offset_ms - measurement.end_ms() <= NEAR_MS);
    before.chain(after).chain(&witness.during).map(Arc::as_ref).collect()
}

/// Operators of controls by name of which these checks reached none, if there are two at least.
fn silent_operators<'a>(checks: impl Iterator<Item = &'a HealthCheck>) -> usize {
    let tried = checks.flat_map(|check| &check.signals).filter(|signal| signal.kind == SignalKind::ControlByName);
    let mut silent = BTreeSet::new();
    for signal in tried.filter(|signal| signal.outcome.not_run().is_none()) {
        match signal.outcome {
            Outcome::Failed(Failure::GenericTimeoutError | Failure::TimedOut) => silent.insert(provider(signal)),
            _ => return 0,
        };
    }
    if silent.len() >= PROVIDERS_WANTED { silent.len() } else { 0 }
}

/// Why the minute is not proven although nothing bad was seen in it.
fn unproven(measurement: &Measurement, witness: &Witness) -> Option<String> {
    let before = witness.before.as_ref().is_some_and(|check| measurement.offset_ms - check.end_ms() <= NEAR_MS);
    let after = witness.after.as_ref().is_some_and(|check| check.offset_ms - measurement.end_ms() <= NEAR_MS);
    match (before, after) {
        (true, true) => None,
        (false, false) => Some(NOTHING_NEAR.to_owned()),
        (true, false) => Some("local health was not checked within a minute after this measurement".to_owned()),
        (false, true) => Some("local health was not checked within a minute before this measurement".to_owned()),
    }
}

fn severity(state: HealthState) -> u8 {
    match state {
        HealthState::Ok => 0,
        HealthState::Ipv6Broken => 1,
        HealthState::ClockWrong => 2,
        HealthState::DnsDown => 3,
        HealthState::CaptivePortal => 4,
        HealthState::NoInternet => 5,
        HealthState::NoNetwork => 6,
    }
}

fn cause(state: HealthState, check: &HealthCheck) -> Cause {
    match state {
        HealthState::NoNetwork => Cause::LocalNetwork,
        HealthState::CaptivePortal => Cause::CaptivePortal,
        HealthState::ClockWrong => Cause::Instrument,
        // The gateway answers and nothing behind it does: the provider. Otherwise it cannot be told from here.
        HealthState::NoInternet if gateway_is_dead(check) => Cause::LocalNetwork,
        HealthState::NoInternet | HealthState::DnsDown => Cause::Isp,
        HealthState::Ok | HealthState::Ipv6Broken => Cause::Unknown,
    }
}

fn gateway_is_dead(check: &HealthCheck) -> bool {
    let gateway = |signal: &&HealthSignal| signal.kind == SignalKind::Gateway && signal.outcome.not_run().is_none();
    let mut seen = check.signals.iter().filter(gateway).peekable();
    seen.peek().is_some() && seen.all(|signal| !signal.outcome.is_ok())
}
