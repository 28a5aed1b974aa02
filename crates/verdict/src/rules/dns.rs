//! Rules on names: does the system's resolver say what others say, and who holds a certificate for the name?

use std::collections::BTreeSet;
use std::net::IpAddr;

use faultline_record::{Engine, Failure, QueryType, is_bogon};

use super::{Finding, listed, resolver};
use crate::features::{Connection, Features, Lookup, is_denial, resolver_names};

/// Fires on the system's answer, and on questions that were answered more than once.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    found.extend(features.system.iter().chain(&features.others).filter_map(|lookup| second_reply(features, lookup)));
    found.extend(features.nobody.iter().find_map(|lookup| answered_on_the_way(features, lookup)));
    if let Some(failure) = system_failure(features) {
        found.push(failed(features, failure));
        return;
    }
    let given = features.given_by_system();
    if given.is_empty() || features.main().any(|connection| connection.verified()) {
        return;
    }
    let bogons: BTreeSet<IpAddr> = features.main().filter(|c| leads_nowhere(features, c)).map(|c| c.address).collect();
    if !bogons.is_empty() && features.main().all(|connection| leads_nowhere(features, connection)) {
        found.push(bogon(features, &bogons));
    } else {
        found.extend(forged(features, &given));
    }
}

/// Whether an address cannot be public: the probe leaves such a one alone; other tools knock there, and are not answered.
fn leads_nowhere(features: &Features<'_>, connection: &Connection<'_>) -> bool {
    let knocked = connection.tcp.outcome.failure().is_some() && is_bogon(connection.address);
    connection.is_bogon() || (knocked && is_a_bogon(features, connection.address))
}

/// What the system's resolver said when it gave no address at all: the failure of its A question, else of any.
fn system_failure(features: &Features<'_>) -> Option<Failure> {
    if features.system.iter().any(|lookup| lookup.dns.addresses().next().is_some()) {
        return None;
    }
    let a = features.system.iter().find(|lookup| lookup.dns.query_type == QueryType::A);
    a.or(features.system.first()).and_then(|lookup| lookup.row.outcome.failure())
}

/// Node of the tree for a resolver's way to fail.
pub(super) fn mechanism_of(failure: Failure) -> &'static str {
    match failure {
        Failure::DnsNxdomainError => "dns.nxdomain",
        Failure::DnsRefusedError => "dns.refused",
        Failure::DnsServfailError => "dns.servfail",
        Failure::DnsNoAnswer | Failure::AndroidDnsCacheNoData => "dns.empty",
        Failure::GenericTimeoutError | Failure::TimedOut => "dns.timeout",
        _ => "dns",
    }
}

fn failed(features: &Features<'_>, failure: Failure) -> Finding {
    let given = features.given_by_others();
    let proven: BTreeSet<IpAddr> = features.proven().intersection(&given).copied().collect();
    let answered: Vec<&Lookup<'_>> = features.others.iter().filter(|lookup| lookup.answered()).collect();
    let by_itself = match (proven.is_empty(), given.is_empty(), answered.is_empty()) {
        (false, _, _) if is_denial(failure) => "dns.denied_proven",
        (false, _, _) if matches!(failure, Failure::GenericTimeoutError | Failure::TimedOut) => "dns.silence_proven",
        (false, _, _) => "dns.unanswered_proven",
        (true, false, _) => "dns.failure_disputed",
        (true, true, false) => "dns.failure_everywhere",
        (true, true, true) => "dns.failure_alone",
    };
    let explanation = resolver::explanation(features);
    let shown = if proven.is_empty() { &given } else { &proven };
    let others = others_giving(features, shown);
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("failure", &failure), ("others", &others), ("addresses", &listed(shown))];
    let explaining = features.further.iter().filter(|lookup| explanation.is_some() && lookup.is_by_system());
    let rows = rows(features, shown).into_iter().chain(explaining.map(|lookup| lookup.row.seq)).collect();
    Finding::new(explanation.unwrap_or(by_itself), rows, fields).pointing_at(mechanism_of(failure))
}

fn bogon(features: &Features<'_>, bogons: &BTreeSet<IpAddr>) -> Finding {
    let given: BTreeSet<IpAddr> =
        features.given_by_others().into_iter().filter(|a| !is_a_bogon(features, *a)).collect();
    let proven: BTreeSet<IpAddr> = features.proven().intersection(&given).copied().collect();
    let id = match (proven.is_empty(), given.is_empty()) {
        (false, _) => "dns.bogon_proven",
        (true, false) => "dns.bogon_disputed",
        (true, true) if is_said_over_https(features) => "dns.bogon_everywhere",
        (true, true) => "dns.bogon_alone",
    };
    let shown = if proven.is_empty() { &given } else { &proven };
    let others = others_giving(features, shown);
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("forged", &listed(bogons)), ("others", &others), ("addresses", &listed(shown))];
    Finding::new(id, rows(features, shown), fields).pointing_at("dns.injection.bogon")
}

/// Whether an address was given in an answer that the probe called a bogon.
fn is_a_bogon(features: &Features<'_>, address: IpAddr) -> bool {
    let mut bogons = features.system.iter().chain(&features.others).filter(|lookup| gave_bogon(lookup));
    bogons.any(|lookup| lookup.dns.addresses().any(|given| given == address))
}

fn gave_bogon(lookup: &Lookup<'_>) -> bool {
    lookup.row.outcome.failure() == Some(Failure::DnsBogonError)
}

/// Whether a resolver over HTTPS, where nobody answers in its place, gave an address that cannot be public either, and
/// another one agreed.
fn is_said_over_https(features: &Features<'_>) -> bool {
    let agreeing: Vec<&Lookup<'_>> = features.others.iter().filter(|lookup| gave_bogon(lookup)).collect();
    agreeing.len() > 1 && agreeing.iter().any(|lookup| lookup.dns.engine == Engine::Doh)
}

/// The system's addresses do not work, while others gave an address that is proven. Where others gave the system's
/// addresses too, those over UDP can have been answered for on the way: then one over HTTPS must disagree.
fn forged(features: &Features<'_>, given: &BTreeSet<IpAddr>) -> Option<Finding> {
    let others: BTreeSet<IpAddr> = features.given_by_others();
    let proven: BTreeSet<IpAddr> = features.proven().intersection(&others).copied().collect();
    let over_https = features.given_over_https();
    let is_shared = !given.is_disjoint(&others);
    let is_disputed = !over_https.is_disjoint(&proven) && over_https.is_disjoint(given);
    if !given.is_disjoint(&features.proven()) || proven.is_empty() || (is_shared && !is_disputed) {
        return None;
    }
    // A page that came in the clear is held against its copy: that is the rule on pages.
    if features.main().any(|c| c.tls.is_none() && c.http_data().is_some_and(|http| http.status.is_some())) {
        return None;
    }
    let wrong_certificate = features.main().any(|connection| connection.tls_failure().is_some_and(is_about_names));
    let refused = |c: &Connection<'_>| c.tcp.outcome.failure() == Some(Failure::ConnectionRefused);
    let id = match wrong_certificate {
        true => "dns.forged_proven",
        false if features.main().filter(|c| c.tried()).all(refused) => "dns.forged_refused",
        false => "dns.forged_suspected",
    };
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &features.host),
        ("forged", &listed(given)),
        ("others", &others_giving(features, &proven)),
        ("addresses", &listed(&proven)),
    ];
    Some(Finding::new(id, rows(features, &proven), fields).pointing_at("dns.injection.other"))
}

pub(super) fn is_about_names(failure: Failure) -> bool {
    matches!(failure, Failure::SslInvalidHostname | Failure::SslUnknownAuthority)
}

/// A later reply to the same question that shares nothing with the first.
fn second_reply(features: &Features<'_>, lookup: &Lookup<'_>) -> Option<Finding> {
    let first: BTreeSet<IpAddr> = lookup.dns.addresses().collect();
    let late: BTreeSet<IpAddr> = lookup.dns.late_addresses().collect();
    let rcodes: BTreeSet<Option<u16>> = lookup.dns.answers.iter().map(|answer| answer.rcode).collect();
    let differ = if late.is_empty() || first.is_empty() { late != first } else { late.is_disjoint(&first) };
    if lookup.dns.replies < 2 || !(differ || rcodes.len() > 1) {
        return None;
    }
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("resolver", &lookup.dns.resolver), ("count", &lookup.dns.replies)];
    Some(Finding::new("dns.second_reply", vec![lookup.row.seq], fields).pointing_at("dns.injection"))
}

/// An answer where nobody runs a resolver. A small site's host may serve its own zone, and then gives what is proven; one that
/// serves other zones refuses.
fn answered_on_the_way(features: &Features<'_>, lookup: &Lookup<'_>) -> Option<Finding> {
    let said: BTreeSet<IpAddr> = lookup.dns.addresses().collect();
    let denied = lookup.row.outcome.failure() == Some(Failure::DnsNxdomainError);
    let is_forged =
        !said.is_empty() && said.is_disjoint(&features.proven()) && said.is_disjoint(&features.given_over_https());
    if !(is_forged || denied) {
        return None;
    }
    let word = if denied { "that it does not exist".to_owned() } else { listed(said) };
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("address", &lookup.dns.resolver), ("said", &word)];
    Some(Finding::new("dns.answered_on_the_way", vec![lookup.row.seq], fields).pointing_at("dns.injection"))
}

fn others_giving(features: &Features<'_>, addresses: &BTreeSet<IpAddr>) -> String {
    let giving: Vec<&Lookup<'_>> =
        features.others.iter().filter(|lookup| lookup.dns.addresses().any(|a| addresses.contains(&a))).collect();
    resolver_names(&giving)
}

/// The system's rows, the others' rows with these addresses (or all of theirs), and the proving handshakes.
fn rows(features: &Features<'_>, addresses: &BTreeSet<IpAddr>) -> Vec<u32> {
    let system = features.system.iter().map(|lookup| lookup.row.seq);
    let gave = |lookup: &&Lookup<'_>| {
        addresses.is_empty() || lookup.dns.addresses().any(|address| addresses.contains(&address))
    };
    let others = features.others.iter().filter(gave).map(|lookup| lookup.row.seq);
    let proofs = features.connections.iter().filter(|c| c.verified() && addresses.contains(&c.address));
    let mut rows: Vec<u32> = system.chain(others).chain(proofs.filter_map(|c| c.tls).map(|row| row.seq)).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}
