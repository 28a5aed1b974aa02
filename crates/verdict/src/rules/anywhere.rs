//! A rule on the target's host, asked for at a server that has nothing to do with it.

use std::fmt::Display;

use faultline_record::{Failure, Purpose};

use super::{Finding, listed};
use crate::features::{Connection, Features};

/// Requests for a host that nobody has which the server must have answered: one may be lost to the network.
const ANSWERS_WANTED: usize = 2;
/// Requests for the target's host, all of which must have failed.
const FAILURES_WANTED: usize = 3;

/// Fires at most one finding.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let sent = |purpose| features.with_purpose(purpose).filter(|connection| connection.http_data().is_some());
    let nobody: Vec<&Connection<'_>> = sent(Purpose::InnocentServer).collect();
    let own: Vec<&Connection<'_>> = sent(Purpose::HostAnywhere).collect();
    let answered = nobody.iter().filter(|connection| is_answered(connection)).count();
    let failures: Vec<Failure> = own.iter().filter_map(|connection| connection.http?.outcome.failure()).collect();
    let fails = own.len() >= FAILURES_WANTED && failures.len() == own.len() && !own.iter().any(|c| is_answered(c));
    let (Some(&failure), true) = (failures.first(), fails && answered >= ANSWERS_WANTED) else { return };
    let Some(node) = mechanism(failure) else { return };
    let fields: &[(&str, &dyn Display)] = &[
        ("host", &features.host),
        ("addresses", &listed(own.first().map(|connection| connection.address))),
        ("failed", &failures.len()),
        ("tries", &own.len()),
        ("failure", &failure),
        ("answered", &answered),
        ("rounds", &nobody.len()),
    ];
    let rows = own.iter().chain(&nobody).filter_map(|connection| connection.http).map(|row| row.seq).collect();
    found.push(Finding::new("http.host_anywhere", rows, fields).pointing_at(node));
}

fn is_answered(connection: &Connection<'_>) -> bool {
    connection.http_data().is_some_and(|http| http.status.is_some())
}

/// The node of the tree, as for the differential at the target's own address.
fn mechanism(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::ConnectionReset | Failure::ConnectionAborted => Some("http.reset.host"),
        Failure::EofError => Some("http.close.host"),
        Failure::GenericTimeoutError | Failure::TimedOut => Some("http.timeout"),
        _ => None,
    }
}
