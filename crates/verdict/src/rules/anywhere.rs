//! A rule on the target's host, asked for at a server that has nothing to do with it.

use faultline_record::{Failure, Purpose};

use super::Finding;
use super::turns::{Says, Try, Turns};
use crate::features::{Connection, Features};

/// Fires at most one finding.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let sent = |purpose| features.with_purpose(purpose).filter(|connection| connection.http_data().is_some());
    let tries = |purpose| {
        let one = |connection: &Connection<'_>| {
            let answered = connection.http_data()?.status.is_some();
            Some(Try { seq: connection.http?.seq, answered, failed: !answered })
        };
        sent(purpose).filter_map(one).collect()
    };
    let turns = Turns { main: Vec::new(), own: tries(Purpose::HostAnywhere), innocent: tries(Purpose::InnocentServer) };
    let Some(first) = sent(Purpose::HostAnywhere).next().filter(|_| turns.say() == Says::Always) else { return };
    let Some((failure, node)) = first.http.and_then(|row| row.outcome.failure()).and_then(mechanism) else { return };
    let finding = turns.finding("http.host_anywhere", &features.host, first.address, Some(failure));
    found.push(finding.pointing_at(node));
}

/// The node of the tree, as for the differential at the target's own address.
fn mechanism(failure: Failure) -> Option<(Failure, &'static str)> {
    let node = match failure {
        Failure::ConnectionReset | Failure::ConnectionAborted => Some("http.reset.host"),
        Failure::EofError => Some("http.close.host"),
        Failure::GenericTimeoutError | Failure::TimedOut => Some("http.timeout"),
        _ => None,
    };
    Some((failure, node?))
}
