//! A check of the vantage: the controls and captive-portal checks, walked like any target, all at once.

use std::sync::Arc;
use std::time::Duration;

use faultline_record::{
    Availability, Endpoint, HealthCheck, HealthCheckId, HealthReason, HealthSignal, Network, Target,
};
use rustls_pki_types::CertificateDer;
use tokio::task::JoinSet;

use super::link::LinkFacts;
use super::middlebox::{self, Signed};
use super::signals;
use crate::drive::{Drive, DriveConfig, DriveError, Strangers};
use crate::follow_up::FollowUps;
use crate::limits::Limits;
use crate::lists::Controls;
use crate::lists::controls::{Captive, Control};
use crate::measure::{MeasureContext, measure};
use crate::meter::Meter;
use crate::pace::Pace;

/// One step of a control. A network on which controls take longer is not in a state to measure others.
const STEP: Duration = Duration::from_secs(4);

/// Makes checks. Nothing but controls is ever measured with its drivers.
#[derive(Clone, Debug)]
pub struct Checker {
    context: MeasureContext,
    controls: Arc<Controls>,
    /// Not held up by the run's pace: a check tells of the vantage, and must be prompt.
    alone: Drive,
    /// At the run's pace: for the canary.
    paced: Drive,
}

impl Checker {
    /// Builds the drivers of the checks.
    pub fn new(
        controls: Arc<Controls>,
        extra_roots: &[CertificateDer<'static>],
        ipv6: bool,
        pace: Arc<Pace>,
        meter: Arc<Meter>,
        context: MeasureContext,
    ) -> Result<Self, DriveError> {
        let config = || DriveConfig {
            vpn_keys: Arc::default(),
            extra_roots: extra_roots.to_vec(),
            resolvers: Vec::new(),
            doh: Vec::new(),
            innocent_sni: controls.innocent.sni.clone(),
            strangers: Strangers::default(),
            limits: limits(),
            follow_up: FollowUps::None,
            http3: false,
            ipv6,
        };
        let alone = Drive::new(config(), Arc::new(Pace::new(None)), Arc::clone(&meter))?;
        let paced = Drive::new(config(), pace, meter)?;
        Ok(Self { context, controls, alone, paced })
    }

    /// A full check. Without a link and a route nothing is sent.
    pub async fn full(&self, reason: HealthReason) -> HealthCheck {
        let offset_ms = self.context.clock.now_ms();
        let link = LinkFacts::read();
        let mut signals = link.signals();
        if link.is_connected() {
            signals.extend(self.ask_all(&link).await);
        }
        self.made(reason, offset_ms, signals)
    }

    async fn ask_all(&self, link: &LinkFacts) -> Vec<HealthSignal> {
        let mut asked = JoinSet::new();
        for check in &self.controls.captive {
            asked.spawn(self.clone().captive(check.clone()));
        }
        for control in self.controls.control.iter().filter(|control| is_reachable_by(control, link)) {
            let asking = self.clone().control(control.clone(), self.alone.clone());
            asked.spawn(async move { (asking.await, None) });
        }
        let (signals, signed): (Vec<_>, Vec<_>) = asked.join_all().await.into_iter().unzip();
        let signed: Vec<Signed> = signed.into_iter().flatten().collect();
        let mut signals = signals.concat();
        signals.extend(middlebox::signal(&signed));
        signals.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        signals
    }

    /// One control by literal IPv4 address (or IPv6, where there is nothing else), at the run's pace or alone; `turn`
    /// chooses which of those that answered of late.
    pub async fn canary(&self, turn: usize, paced: bool, answering: &[String]) -> HealthCheck {
        let offset_ms = self.context.clock.now_ms();
        let drive = if paced { &self.paced } else { &self.alone };
        let signals = match self.canary_control(turn, answering) {
            Some(control) => self.clone().control(control.clone(), drive.clone()).await,
            None => Vec::new(),
        };
        self.made(HealthReason::Canary, offset_ms, signals)
    }

    fn canary_control(&self, turn: usize, answering: &[String]) -> Option<&Control> {
        let wanted_v4 = LinkFacts::read().ipv4.is_some();
        let literal = |control: &&Control| control.literal().is_some_and(|(address, _)| address.is_ipv4() == wanted_v4);
        let usable: Vec<&Control> = self.controls.control.iter().filter(literal).collect();
        let known: Vec<&Control> = usable.iter().copied().filter(|control| answering.contains(&control.name)).collect();
        let choice = if known.is_empty() { usable } else { known };
        choice.get(turn % choice.len().max(1)).copied()
    }

    async fn control(self, control: Control, drive: Drive) -> Vec<HealthSignal> {
        let measured = measure(&drive, &control_target(&control), self.context()).await;
        signals::of_control(&control, &measured)
    }

    async fn captive(self, check: Captive) -> (Vec<HealthSignal>, Option<Signed>) {
        let target = target(&check.name, Endpoint::Web(check.url.clone()));
        let measured = measure(&self.alone, &target, self.context()).await;
        (signals::of_captive(&check, &measured), signals::signed(&check, &measured))
    }

    /// The vantage is of no interest in a control's own measurement, which is not kept.
    fn context(&self) -> MeasureContext {
        MeasureContext { network: Network::default(), helper: None, ..self.context.clone() }
    }

    fn made(&self, reason: HealthReason, offset_ms: f64, signals: Vec<HealthSignal>) -> HealthCheck {
        let duration_ms = self.context.clock.now_ms() - offset_ms;
        HealthCheck { id: HealthCheckId::new(), run: self.context.run, reason, offset_ms, duration_ms, signals }
    }
}

/// Whether an answer proves that the network carries us.
pub fn canary_answered(check: &HealthCheck) -> bool {
    check.signals.iter().any(|signal| signal.outcome.is_ok())
}

/// An IPv6 control is asked only where IPv6 has a route.
fn is_reachable_by(control: &Control, link: &LinkFacts) -> bool {
    control.literal().is_none_or(|(address, _)| address.is_ipv4() || link.has_ipv6())
}

/// A handshake is enough: no page of a control is fetched.
fn control_target(control: &Control) -> Target {
    let (host, port) = control.endpoint.host_and_port();
    let endpoint = match &control.endpoint {
        Endpoint::Web(url) if url.scheme() == "https" => Endpoint::Tls { host, port, sni: None },
        other => other.clone(),
    };
    target(&control.name, endpoint)
}

fn target(name: &str, endpoint: Endpoint) -> Target {
    Target {
        input: endpoint.to_string(),
        name: name.to_owned(),
        endpoint,
        category: None,
        list: None,
        availability: Availability::High,
        private_ca: false,
    }
}

/// Short steps, one address a family, no redirects, no waiting for late answers; the steps' own deadlines end a check.
fn limits() -> Limits {
    Limits {
        tunnel_data: STEP,
        dns: STEP,
        late_dns: Duration::ZERO,
        tcp: STEP,
        tls: STEP,
        follow_up_tls: STEP,
        http: STEP,
        target: STEP * 5,
        body: 4 * 1024,
        redirects: 0,
        addresses: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_asked_for_a_handshake_and_nothing_more() {
        for control in Controls::embedded().unwrap().control {
            assert!(matches!(control_target(&control).endpoint, Endpoint::Tls { .. }), "{}", control.name);
        }
    }

    #[test]
    fn ipv6_controls_wait_for_an_ipv6_route() {
        let without = LinkFacts::default();
        let asked =
            Controls::embedded().unwrap().control.into_iter().filter(|control| is_reachable_by(control, &without));
        assert!(
            asked.map(|control| control.literal()).all(|literal| literal.is_none_or(|(address, _)| address.is_ipv4()))
        );
    }
}
