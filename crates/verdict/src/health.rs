//! Local health: what a check's facts say about the vantage itself.

use std::collections::BTreeSet;

use faultline_record::{Failure, Family, HealthCheck, HealthReason, HealthSignal, Outcome, SignalKind, named};

/// Providers whose controls must answer before the vantage counts as connected. One can be down or be blocked; two of
/// independent operators at the same minute seldom are (science reference, section 4: several controls, different ASes).
pub(crate) const PROVIDERS_WANTED: usize = 2;

/// A clock further off than this makes certificate dates and rows' times doubtful, seconds. Ours: far above the drift of
/// a clock that is kept, below what makes a fresh certificate look not yet valid.
const CLOCK_TOLERANCE_S: f64 = 300.0;

named! {
    /// The vantage's state (design, section 6).
    pub enum HealthState {
        /// Connected.
        Ok = "ok",
        /// No interface or no route.
        NoNetwork = "no_network",
        /// A route, and nothing behind it.
        NoInternet = "no_internet",
        /// Connected, but names do not resolve.
        DnsDown = "dns_down",
        /// A portal answers in place of others.
        CaptivePortal = "captive_portal",
        /// IPv4 works; IPv6 has a route and no answers.
        Ipv6Broken = "ipv6_broken",
        /// Connected, but the clock is off.
        ClockWrong = "clock_wrong",
    }
}

impl HealthState {
    /// Whether failures of targets seen in this state are evidence about the targets.
    pub const fn proves_the_network(self) -> bool {
        matches!(self, Self::Ok | Self::Ipv6Broken | Self::ClockWrong)
    }

    /// One sentence for a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Ok => "this connection works",
            Self::NoNetwork => "this machine has no network: no interface is up, or there is no route",
            Self::NoInternet => "this connection reaches nothing: no control target answered",
            Self::DnsDown => "this connection's resolver answers for no name, while addresses can be reached",
            Self::CaptivePortal => "a portal answers in place of others: log in to this network first",
            Self::Ipv6Broken => "IPv6 is configured here but does not work; IPv4 does",
            Self::ClockWrong => "this machine's clock is wrong",
        }
    }
}

/// The state with the counts it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalHealth {
    /// The state.
    pub state: HealthState,
    /// Control targets that answered.
    pub controls_ok: usize,
    /// Control targets that were tried.
    pub controls_tried: usize,
}

/// Derives the state of the vantage from one check.
pub fn local_health(check: &HealthCheck) -> LocalHealth {
    let controls = || of_kinds(check, &[SignalKind::ControlByName, SignalKind::ControlByAddress]).filter(|s| tried(s));
    LocalHealth {
        state: state(check),
        controls_ok: controls().filter(|signal| signal.outcome.is_ok()).count(),
        controls_tried: controls().count(),
    }
}

fn state(check: &HealthCheck) -> HealthState {
    if check.reason == HealthReason::Import {
        return if answered(check) { HealthState::Ok } else { HealthState::NoInternet };
    }
    let proven = providers_ok(check, &[SignalKind::ControlByName, SignalKind::ControlByAddress], None);
    if !any_ok(check, SignalKind::Link) || !any_ok(check, SignalKind::Route) {
        return HealthState::NoNetwork;
    }
    if proven < PROVIDERS_WANTED && clock_is_off(check) && certificates_are_out_of_date(check) {
        return HealthState::ClockWrong;
    }
    if proven < PROVIDERS_WANTED {
        return if portal_answered(check) { HealthState::CaptivePortal } else { HealthState::NoInternet };
    }
    if resolver_is_dead(check) {
        return HealthState::DnsDown;
    }
    if clock_is_off(check) {
        return HealthState::ClockWrong;
    }
    if ipv6_is_broken(check) { HealthState::Ipv6Broken } else { HealthState::Ok }
}

/// What was noted from an import proves the network if somebody in it showed a certificate that is valid for his name (a test helper is
/// asked over TLS, or over Tor), or if as many addresses took connections as providers are wanted.
fn answered(check: &HealthCheck) -> bool {
    let by_name = of_kinds(check, &[SignalKind::ControlByName]).any(|signal| signal.outcome.is_ok());
    by_name || providers_ok(check, &[SignalKind::ControlByAddress], None) >= PROVIDERS_WANTED
}

fn of_kinds<'a>(check: &'a HealthCheck, kinds: &'a [SignalKind]) -> impl Iterator<Item = &'a HealthSignal> {
    check.signals.iter().filter(move |signal| kinds.contains(&signal.kind))
}

fn tried(signal: &HealthSignal) -> bool {
    signal.outcome.not_run().is_none()
}

fn any_ok(check: &HealthCheck, kind: SignalKind) -> bool {
    of_kinds(check, &[kind]).any(|signal| signal.outcome.is_ok())
}

fn providers_ok(check: &HealthCheck, kinds: &[SignalKind], family: Option<Family>) -> usize {
    let working = of_kinds(check, kinds)
        .filter(|signal| signal.outcome.is_ok())
        .filter(|signal| family.is_none() || signal.family == family);
    working.map(provider).collect::<BTreeSet<_>>().len()
}

/// Who operates what a signal looked at.
pub(crate) fn provider(signal: &HealthSignal) -> &str {
    signal.provider.as_deref().unwrap_or(&signal.name)
}

/// Some captive-portal check got an answer, and a wrong one.
fn portal_answered(check: &HealthCheck) -> bool {
    of_kinds(check, &[SignalKind::Captive]).any(|signal| signal.outcome == Outcome::Failed(Failure::UnexpectedResponse))
}

/// Every name failed at the system's resolver. Its own questions are the evidence; controls by name confirm it.
fn resolver_is_dead(check: &HealthCheck) -> bool {
    let asked = of_kinds(check, &[SignalKind::Resolver]).filter(|signal| tried(signal)).count();
    asked > 0 && !any_ok(check, SignalKind::Resolver) && !any_ok(check, SignalKind::ControlByName)
}

fn clock_is_off(check: &HealthCheck) -> bool {
    let mut skews: Vec<f64> = of_kinds(check, &[SignalKind::Clock]).filter_map(|signal| signal.value).collect();
    skews.sort_by(f64::total_cmp);
    skews.get(skews.len() / 2).is_some_and(|median| median.abs() > CLOCK_TOLERANCE_S)
}

/// Controls of enough providers were reached, and failed by the dates of their certificates alone: ours are wrong.
fn certificates_are_out_of_date(check: &HealthCheck) -> bool {
    let dated = of_kinds(check, &[SignalKind::ControlByName, SignalKind::ControlByAddress])
        .filter(|signal| signal.outcome == Outcome::Failed(Failure::SslInvalidCertificate));
    dated.map(provider).collect::<BTreeSet<_>>().len() >= PROVIDERS_WANTED
}

fn ipv6_is_broken(check: &HealthCheck) -> bool {
    let routed =
        of_kinds(check, &[SignalKind::Route]).any(|signal| signal.family == Some(Family::V6) && signal.outcome.is_ok());
    let tried = of_kinds(check, &[SignalKind::ControlByAddress])
        .any(|signal| signal.family == Some(Family::V6) && tried(signal));
    routed && tried && providers_ok(check, &[SignalKind::ControlByAddress], Some(Family::V6)) == 0
}
