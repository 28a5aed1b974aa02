//! Rules on connections that stop for good after so many bytes: the target's name only, or every name at the address.

use std::fmt::Display;
use std::net::IpAddr;

use super::Finding;
use super::slow::{Pair, rounds, rows, transfer};
use crate::features::Features;
use crate::goodput::{LEAST, Round, Stop, Transfer, are_of_one_body, stops, stops_at};

/// The node of the tree.
const NODE: &str = "tls.freeze";
/// Rounds in which the innocent name must have brought the response, and the own one must have stopped: as for names that
/// are cut off (design, section 5).
const ROUNDS_WANTED: usize = 3;
/// Connections that must have stopped at one count before it is said of an address.
const CONNECTIONS_WANTED: usize = 4;

/// Whether the target's name is what stops, or every name stops.
pub(super) fn by_name(features: &Features<'_>, address: IpAddr, pairs: &[Pair<'_>]) -> Option<Finding> {
    let rounds = rounds(pairs);
    let main = features.main().filter(|c| c.address == address && c.tls.is_some() && c.tcp.outcome.is_ok());
    let main: Vec<Transfer> = main.filter_map(transfer).collect();
    let own: Vec<&Transfer> = main.iter().chain(rounds.iter().map(|round| &round.own)).collect();
    if let Some(stop) = stops(&own).filter(|stop| are_one_sites(&rounds) && passes(&rounds, *stop)) {
        let finding = said(features, address, "tls.freeze_differential", rows(pairs), stop, rounds.len());
        return Some(finding.pointing_at(NODE));
    }
    let every: Vec<&Transfer> = own.into_iter().chain(rounds.iter().map(|round| &round.other)).collect();
    let stop = stops_at(&every).filter(|_| every.len() >= CONNECTIONS_WANTED)?;
    Some(said(features, address, "tls.freeze_any_name", rows(pairs), stop, every.len()).pointing_at(NODE))
}

/// Whether the other name brought more than that, to the end, in as many rounds as are wanted and in nearly all.
fn passes(rounds: &[Round], stop: Stop) -> bool {
    let whole = rounds.iter().filter(|Round { other, .. }| other.is_whole && other.before + other.bytes() > stop.most);
    let late = rounds.iter().filter(|round| round.other.timed_out).count();
    let whole = whole.count();
    whole >= ROUNDS_WANTED && late * ROUNDS_WANTED < whole
}

/// Whether it is the same site that answers both names: a server may send an unknown name elsewhere. Where no head of the own
/// response could be read, it was cut within a record of TLS, which no server does.
fn are_one_sites(rounds: &[Round]) -> bool {
    are_of_one_body(rounds) || (rounds.iter().all(|round| round.own.status.is_none() && round.own.bytes() >= LEAST))
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
