//! What each resolver that was asked did with a target's name: judged for itself, so that a series does not flip when a probe changes
//! its resolver (OONI analysis reference, section 5A, row 20).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use faultline_record::{Engine, Failure, Measurement, Observation, Purpose, is_bogon};

use crate::context::Context;
use crate::features::Features;
use crate::verdict::{State, Verdict};

/// What holds of a resolver and one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// `system`, or how and whom: `udp resolver/google`.
    pub resolver: String,
    /// What it did.
    pub state: State,
    /// How, where it lied.
    pub mechanism: Option<&'static str>,
}

/// The resolvers that were asked in a measurement's last hop. Nothing is held against a resolver unless an address of the name was
/// proven: by a certificate in the same measurement, or in the context by independent ones.
pub fn resolvers(measurement: &Measurement, verdict: &Verdict, context: Option<&Context>) -> Vec<Answered> {
    let features = Features::of(measurement, None);
    let genuine =
        |address: IpAddr| context.is_some_and(|context| context.is_genuine(&features.host, address, features.port));
    let given: BTreeSet<IpAddr> = features.given_by_others().union(&features.given_by_system()).copied().collect();
    let mut proven = features.proven();
    proven.extend(given.into_iter().filter(|&address| genuine(address)));
    let mut rows: BTreeMap<String, Vec<&Observation>> = BTreeMap::new();
    let lookups = features.system.iter().chain(features.others.iter().filter(|l| l.row.purpose == Purpose::Comparison));
    for lookup in lookups {
        let name = match lookup.dns.engine {
            Engine::System => "system".to_owned(),
            engine => format!("{} {}", engine.name(), lookup.dns.resolver),
        };
        rows.entry(name).or_default().push(lookup.row);
    }
    let given: BTreeMap<String, BTreeSet<IpAddr>> =
        rows.iter().map(|(resolver, rows)| (resolver.clone(), addresses(rows))).collect();
    let judged = |(resolver, rows): (String, Vec<&Observation>)| {
        let others = given.iter().filter(|(other, _)| **other != resolver);
        let shared: BTreeSet<IpAddr> = others.flat_map(|(_, addresses)| addresses).copied().collect();
        let (state, mechanism) = judged(&rows, &proven, &shared);
        let is_open = verdict.state != State::Insufficient;
        Answered { resolver, state: if is_open { state } else { State::Insufficient }, mechanism }
    };
    rows.into_iter().map(judged).collect()
}

fn addresses(rows: &[&Observation]) -> BTreeSet<IpAddr> {
    rows.iter().filter_map(|row| row.dns()).flat_map(|dns| dns.addresses()).collect()
}

/// One resolver's word, address by address; `shared` is what others gave.
fn judged(
    rows: &[&Observation],
    proven: &BTreeSet<IpAddr>,
    shared: &BTreeSet<IpAddr>,
) -> (State, Option<&'static str>) {
    let given = addresses(rows);
    // Some names have addresses that cannot be public by their owners' will; then others give them as well.
    let has_bogon = given.iter().any(|address| is_bogon(*address) && !shared.contains(address));
    let fails = |wanted: Failure| rows.iter().any(|row| row.outcome.failure() == Some(wanted));
    match (given.is_empty(), proven.is_empty()) {
        _ if !given.is_disjoint(proven) && has_bogon => (State::LikelyBlocked, Some("dns.injection.bogon")),
        _ if !given.is_disjoint(proven) => (State::Ok, None),
        (false, false) if has_bogon => (State::Blocked, Some("dns.injection.bogon")),
        // There is nothing to hold it against; or it is another address, which content networks give to everybody.
        (_, true) | (false, false) => (State::Insufficient, None),
        (true, false) if fails(Failure::DnsNxdomainError) => (State::Blocked, Some("dns.nxdomain")),
        (true, false) if fails(Failure::DnsRefusedError) => (State::LikelyBlocked, Some("dns.refused")),
        (true, false) => (State::Impaired, None),
    }
}
