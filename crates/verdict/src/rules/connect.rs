//! Rules on TCP: which addresses that may be taken for the target's own do not answer.

use faultline_record::{Availability, Failure, Purpose};

use super::{Finding, commonest, handshake, listed};
use crate::features::{Connection, Features};

/// Fires when no trusted address of the target could be connected to.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    // The addresses of a name that nobody else knows are not a target's.
    if features.is_ghost() {
        return;
    }
    let tried: Vec<&Connection<'_>> = features.main().filter(|connection| connection.tried()).collect();
    let failing = tried.iter().all(|connection| connection.tcp.outcome.failure().is_some());
    let trusted: Vec<&Connection<'_>> = tried.into_iter().filter(|c| features.is_trusted(c.address)).collect();
    if trusted.is_empty() {
        return;
    }
    if trusted
        .iter()
        .any(|c| features.recovered(c.address, |retry| retry.tcp.outcome.is_ok()) && c.tcp.outcome.failure().is_some())
    {
        found.push(finding(features, &trusted, "tcp.transient"));
        return;
    }
    if failing {
        found.extend(worst(&trusted).map(|(id, mechanism)| finding(features, &trusted, id).pointing_at(mechanism)));
        found.extend(host_alive(features, &trusted));
    }
    if failing && features.silent_operators > 0 && worst(&trusted).is_some_and(|(id, _)| id == "tcp.timeout") {
        // Then it is no better than another target, and the way there is no better than the ways to the others.
        found.push(others_silent(features, &trusted));
        return;
    }
    let unanswered = trusted.iter().all(|c| c.tcp.outcome.failure().is_some() || fails_for_good(features, c));
    if unanswered && features.measurement.target.availability == Availability::High && !features.redirected {
        found.push(finding(features, &trusted, "target.rarely_down"));
    }
}

/// Servers of other operators are as silent as the target.
fn others_silent(features: &Features<'_>, failed: &[&Connection<'_>]) -> Finding {
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("operators", &features.silent_operators)];
    Finding::new("tcp.others_silent", failed.iter().map(|connection| connection.tcp.seq).collect(), fields)
}

/// The same host answers at another port.
fn host_alive(features: &Features<'_>, failed: &[&Connection<'_>]) -> Option<Finding> {
    let is_silent = |c: &&&Connection<'_>| rule_of(c.tcp.outcome.failure()?).filter(|(id, _)| *id == "tcp.timeout");
    let silent: Vec<&Connection<'_>> = failed.iter().filter(|c| is_silent(c).is_some()).copied().collect();
    let alive = features
        .with_purpose(Purpose::HostAlive)
        .find(|c| c.tcp.outcome.is_ok() && silent.iter().any(|failed| failed.address == c.address))?;
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("addresses", &alive.address), ("port", &alive.tcp.port.unwrap_or(0))];
    Some(Finding::new("tcp.host_alive", vec![alive.tcp.seq], fields))
}

/// The handshake, or an unencrypted request, failed, and no second try went further.
fn fails_for_good(features: &Features<'_>, connection: &Connection<'_>) -> bool {
    if connection.tls.is_none() {
        // One connection of several carries the request; the others are left alone.
        return connection.http.is_some_and(|row| !row.outcome.is_ok());
    }
    connection.tls_failure().is_some() && !features.recovered(connection.address, handshake::spoke)
}

/// The rule for the commonest failure.
fn worst(connections: &[&Connection<'_>]) -> Option<(&'static str, &'static str)> {
    commonest(connections.iter().filter_map(|connection| connection.tcp.outcome.failure()).filter_map(rule_of))
}

fn rule_of(failure: Failure) -> Option<(&'static str, &'static str)> {
    match failure {
        Failure::GenericTimeoutError | Failure::TimedOut => Some(("tcp.timeout", "tcp.timeout")),
        Failure::ConnectionRefused => Some(("tcp.refused", "tcp.refused")),
        Failure::ConnectionReset | Failure::ConnectionAborted => Some(("tcp.reset", "tcp.reset")),
        Failure::HostUnreachable | Failure::NetworkUnreachable => Some(("ip.unreachable", "ip.unreachable")),
        _ => None,
    }
}

fn finding(features: &Features<'_>, connections: &[&Connection<'_>], id: &str) -> Finding {
    let addresses = listed(connections.iter().map(|connection| connection.address));
    let failed = connections.iter().map(|connection| match connection.tls {
        Some(tls) if connection.tcp.outcome.is_ok() => tls.seq,
        _ => connection.tcp.seq,
    });
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("port", &features.port), ("addresses", &addresses)];
    Finding::new(id, failed.collect(), fields)
}
