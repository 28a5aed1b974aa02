//! Parts of a measurement: one for each target that it is of.

use std::collections::BTreeSet;
use std::net::IpAddr;

use url::Url;

use crate::bogon::is_bogon;
use crate::model::{Endpoint, Engine, Family, HealthSignal, Http, Observation, Outcome, SignalKind, Target};

use super::flow::Flow;
use super::reader::DEEPEST;
use super::rows::{Again, Goal, Rows};

/// How many things that answered are noted of a kind: a few prove the network.
const SIGNALS: usize = 8;

/// What is known of one target.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) target: Target,
    pub(super) rows: Vec<Observation>,
}

impl Part {
    /// Of that endpoint, with the input as it was written.
    pub(super) fn new(endpoint: Endpoint, input: &str, rows: Rows) -> Self {
        Self { target: Target::new(endpoint, input), rows: rows.finish() }
    }

    /// Of a test that goes to nothing which rules judge.
    pub(super) fn foreign(test: &str, what: &str, rows: Rows) -> Option<Self> {
        let endpoint = Endpoint::foreign(test, what)?;
        let input = if what.is_empty() { endpoint.to_string() } else { what.to_owned() };
        Some(Self::new(endpoint, &input, rows))
    }
}

/// Arranges all hops of a flow.
pub(super) fn arrange(flow: &Flow, input: Option<&Url>, again: Again, rows: &mut Rows) {
    let mut url = input.cloned();
    for depth in 0..=flow.depth() {
        let here = flow.at_depth(depth);
        if let Some(fetch) = here.fetches.first() {
            url = Some(fetch.url.clone());
        }
        rows.hop(depth, Goal { url: url.as_ref(), again }, &here);
        url = here.fetches.last().and_then(|fetch| redirect(&fetch.url, &fetch.http));
    }
}

fn redirect(from: &Url, http: &Http) -> Option<Url> {
    from.join(http.header("location")?).ok()
}

/// Numbers the hops of data that does not tell them: each request for another URL than the one before is a hop of its own.
pub(super) fn number_hops(flow: &mut Flow) {
    if flow.fetches.iter().any(|fetch| fetch.mark.transaction.is_some() || fetch.mark.depth > 0) {
        return;
    }
    let (mut hop, mut last) = (0_u16, None::<Url>);
    for fetch in flow.fetches.iter_mut().filter(|fetch| !fetch.by_tor) {
        let is_next = last.as_ref().is_some_and(|last| *last != fetch.url);
        hop = (hop + u16::from(is_next)).min(DEEPEST);
        fetch.mark.depth = hop;
        last = Some(fetch.url.clone());
    }
}

/// What answered in a measurement, whoever it was: none of it is about one target alone.
pub(super) fn answered(flow: &Flow, helper: Option<&str>) -> Vec<HealthSignal> {
    let mut signals = Vec::new();
    if let Some(helper) = helper {
        signals.push(signal(SignalKind::ControlByName, "test-helper", Some(helper), None, 0.0));
    }
    let mut names = BTreeSet::new();
    for shake in flow.shakes.iter().filter(|shake| shake.verified && shake.mark.failed.is_none()) {
        if let Some(name) = shake.tls.sni.as_deref()
            && names.len() < SIGNALS
            && names.insert(name)
        {
            let ip = shake.to.map(|to| to.ip());
            signals.push(signal(SignalKind::ControlByName, name, Some(name), ip, shake.mark.t_ms - shake.mark.t0_ms));
        }
    }
    let mut addresses = BTreeSet::new();
    for dial in flow.dials.iter().filter(|dial| dial.mark.failed.is_none() && !is_bogon(dial.to.ip())) {
        let ip = dial.to.ip();
        if addresses.len() < SIGNALS && addresses.insert(ip) {
            let took = dial.mark.t_ms - dial.mark.t0_ms;
            signals.push(signal(
                SignalKind::ControlByAddress,
                &dial.to.to_string(),
                Some(&ip.to_string()),
                Some(ip),
                took,
            ));
        }
    }
    let mut resolvers = BTreeSet::new();
    for query in flow.queries.iter().filter(|query| query.engine != Engine::System && query.mark.failed.is_none()) {
        let is_answer = query.addresses().any(|ip| !is_bogon(ip));
        if is_answer && resolvers.len() < SIGNALS && resolvers.insert(query.resolver.as_str()) {
            let (ip, took) = (query.server.map(|to| to.ip()), query.mark.t_ms - query.mark.t0_ms);
            signals.push(signal(SignalKind::Resolver, &query.resolver, Some(&query.resolver), ip, took));
        }
    }
    signals
}

fn signal(kind: SignalKind, name: &str, provider: Option<&str>, ip: Option<IpAddr>, duration_ms: f64) -> HealthSignal {
    HealthSignal {
        kind,
        name: name.to_owned(),
        provider: provider.map(str::to_owned),
        family: ip.map(Family::of),
        address: ip,
        outcome: Outcome::Ok,
        value: None,
        duration_ms: duration_ms.max(0.0),
        detail: None,
    }
}
