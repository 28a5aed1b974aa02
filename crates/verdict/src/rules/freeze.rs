//! Rules on connections that stop for good after so many bytes: the target's name only, or every name at the address.

use std::fmt::Display;
use std::net::IpAddr;

use super::Finding;
use super::slow::{Pair, rows, transfer};
use crate::features::{Connection, Features};
use crate::goodput::{Stop, Transfer, stops, stops_at};

/// The node of the tree.
const NODE: &str = "tls.freeze";
/// Rounds in which the innocent name must have brought the response, and the own one must have stopped: as for names that
/// are cut off (design, section 5).
const ROUNDS_WANTED: usize = 3;
/// Connections that must have stopped at one count before it is said of an address.
const CONNECTIONS_WANTED: usize = 4;

/// Whether the target's name is what stops, or every name stops.
pub(super) fn by_name(features: &Features<'_>, address: IpAddr, pairs: &[Pair<'_>]) -> Option<Finding> {
    let own = transfers(pairs.iter().map(|pair| pair.own));
    let other = transfers(pairs.iter().map(|pair| pair.other));
    let main = transfers(features.main().filter(|c| c.address == address && c.tls.is_some() && c.tcp.outcome.is_ok()));
    let all = |lists: [&'_ [Transfer]; 3]| lists.concat();
    let stop = stops(&all([&main, &own, &[]]).iter().collect::<Vec<_>>());
    if let Some(stop) = stop.filter(|stop| own.len() >= ROUNDS_WANTED && passes(&other, *stop)) {
        let finding = said(features, address, "tls.freeze_differential", rows(pairs), stop, own.len());
        return Some(finding.pointing_at(NODE));
    }
    let every = all([&main, &own, &other]);
    let stop = stops_at(&every.iter().collect::<Vec<_>>()).filter(|_| every.len() >= CONNECTIONS_WANTED)?;
    Some(said(features, address, "tls.freeze_any_name", rows(pairs), stop, every.len()).pointing_at(NODE))
}

fn transfers<'a>(connections: impl Iterator<Item = &'a Connection<'a>>) -> Vec<Transfer> {
    connections.filter_map(transfer).collect()
}

/// Whether the others brought more than that, to the end, in as many rounds as are wanted.
fn passes(others: &[Transfer], stop: Stop) -> bool {
    let whole = others.iter().filter(|other| other.is_whole && other.before + other.bytes() > stop.most).count();
    whole >= ROUNDS_WANTED && others.iter().filter(|other| other.timed_out).count() * ROUNDS_WANTED < whole
}

fn said(features: &Features<'_>, address: IpAddr, id: &str, rows: Vec<u32>, stop: Stop, rounds: usize) -> Finding {
    let fields: &[(&str, &dyn Display)] = &[
        ("host", &features.host),
        ("addresses", &address),
        ("least", &stop.least),
        ("most", &stop.most),
        ("rounds", &rounds),
    ];
    Finding::new(id, rows, fields)
}
