//! Rules on slowness: is it the name, or the lack of encryption, that makes the same request at the same address slow?
//!
//! Rounds alternate, so that congestion and load meet both; what must be seen before anything is said stands in
//! [`crate::goodput`]. The request that gave rise to the experiment is left out: it was chosen for being slow.

use std::fmt::Display;
use std::net::IpAddr;

use faultline_record::Purpose;

use super::freeze;
use super::{Finding, span};
use crate::features::{Connection, Features};
use crate::goodput::{Comparison, Interval, Round, Transfer, stops};

/// How much slower the median handshake must be (design: 0.2 to 0.3 of the other's goodput; science table row 29).
const FACTOR: f64 = 3.0;
/// Handshakes of each kind that must have been made, for the same reason as rounds of transfers.
const ROUNDS_WANTED: usize = 5;
/// A handshake that takes so much longer than another is no matter of the server's load, milliseconds.
const HANDSHAKE_MS: f64 = 150.0;
/// What comes slower than this is slow, kilobits a second: published throttling lies at 130 to 150 (Xue et al. 2021), and
/// lines for which a megabit is much have no other rate to be held against.
const SLOW_KBIT: f64 = 1_000.0;
/// Ratios between this and its inverse are near one.
const NEAR: f64 = 0.5;
/// The node of the tree for what is slowed by the name in TLS.
const NODE: &str = "tls.throttle.sni";

/// Fires at most one finding.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    found.extend(by_name(features).or_else(|| by_plain(features)));
}

fn by_name(features: &Features<'_>) -> Option<Finding> {
    let address = with_request(features, Purpose::InnocentSni).next()?.address;
    let pairs = pairs(features, address, Purpose::InnocentSni, true);
    freeze::by_name(features, address, &pairs)
        .or_else(|| differential(features, address, &pairs, "tls.slow_differential", NODE))
        .or_else(|| slow_handshakes(features, address, &pairs))
        .or_else(|| any_name(features, address, &pairs))
}

fn by_plain(features: &Features<'_>) -> Option<Finding> {
    let address = with_request(features, Purpose::HttpsCopy).next()?.address;
    let pairs = pairs(features, address, Purpose::HttpsCopy, false);
    differential(features, address, &pairs, "http.slow_differential", "http.throttle.host")
}

fn with_request<'a>(features: &'a Features<'_>, purpose: Purpose) -> impl Iterator<Item = &'a Connection<'a>> {
    features.with_purpose(purpose).filter(|connection| connection.http_data().is_some())
}

/// One round's connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) own: &'a Connection<'a>,
    pub(super) other: &'a Connection<'a>,
}

impl Pair<'_> {
    /// What was requested over both, if it was.
    fn round(&self) -> Option<Round> {
        Some(Round { own: transfer(self.own)?, other: transfer(self.other)? })
    }
}

/// What was requested over a connection, if anything was.
pub(super) fn transfer(connection: &Connection<'_>) -> Option<Transfer> {
    Transfer::of(connection.tcp, connection.tls, connection.http?)
}

/// The rounds: each connection of that purpose, and the next of the target's own to the same address.
fn pairs<'a>(features: &'a Features<'_>, address: IpAddr, other: Purpose, by_tls: bool) -> Vec<Pair<'a>> {
    let mut before = None;
    let mut pairs = Vec::new();
    for connection in features.connections.iter().filter(|c| c.address == address && c.tcp.outcome.is_ok()) {
        if connection.purpose == other && connection.tls.is_some() {
            before = Some(connection);
        } else if connection.purpose == Purpose::Retry && connection.tls.is_some() == by_tls {
            pairs.extend(before.take().map(|other| Pair { own: connection, other }));
        }
    }
    pairs
}

/// The rows of handshakes and requests.
pub(super) fn rows(pairs: &[Pair<'_>]) -> Vec<u32> {
    let all = pairs.iter().flat_map(|pair| [pair.other, pair.own]);
    let rows = all.flat_map(|connection| [connection.tls, connection.http]).flatten();
    rows.filter(|row| row.outcome.not_run().is_none()).map(|row| row.seq).collect()
}

/// The rounds in which both requests were made.
pub(super) fn rounds(pairs: &[Pair<'_>]) -> Vec<Round> {
    pairs.iter().filter_map(Pair::round).collect()
}

fn differential(
    features: &Features<'_>,
    address: IpAddr,
    pairs: &[Pair<'_>],
    id: &str,
    mechanism: &str,
) -> Option<Finding> {
    let shown = Comparison::of(&rounds(pairs)).filter(Comparison::is_slower)?;
    Some(said(features, address, pairs, &shown, id).pointing_at(mechanism))
}

/// The same request is slow under every name at this address: a limit on it looks like a slow server, path or line.
fn any_name(features: &Features<'_>, address: IpAddr, pairs: &[Pair<'_>]) -> Option<Finding> {
    let rounds = rounds(pairs);
    let every: Vec<&Transfer> = rounds.iter().flat_map(|round| [&round.own, &round.other]).collect();
    // What has stopped is not slow.
    let shown = Comparison::of_answers(&rounds).filter(|_| stops(&every).is_none())?;
    let is_slow = shown.own.mean < SLOW_KBIT && shown.other.mean < SLOW_KBIT;
    let is_alike = shown.ratio.mean > NEAR && shown.ratio.mean < 1.0 / NEAR;
    (is_slow && is_alike).then(|| said(features, address, pairs, &shown, "tls.slow_any_name"))
}

fn said(features: &Features<'_>, address: IpAddr, pairs: &[Pair<'_>], shown: &Comparison, id: &str) -> Finding {
    let limit = shown.limit.map(|limit| format!("; {limit}")).unwrap_or_default();
    let (slow, fast, ratio) = (kbit(&shown.own), kbit(&shown.other), ratio(&shown.ratio));
    let fields: &[(&str, &dyn Display)] = &[
        ("host", &features.host),
        ("addresses", &address),
        ("slow", &slow),
        ("fast", &fast),
        ("ratio", &ratio),
        ("rounds", &shown.rounds),
        ("limit", &limit),
    ];
    Finding::new(id, rows(pairs), fields)
}

/// "128 kbit/s [120, 133]".
fn kbit(rate: &Interval) -> String {
    format!("{:.0} kbit/s [{:.0}, {:.0}]", rate.mean, rate.low, rate.high)
}

/// "0.014 [0.012, 0.016]".
fn ratio(ratio: &Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", ratio.mean, ratio.low, ratio.high)
}

/// The name is in a handshake's first message, so that what is done to it shows from the answer on.
fn slow_handshakes(features: &Features<'_>, address: IpAddr, pairs: &[Pair<'_>]) -> Option<Finding> {
    let (slow, fast) = handshakes(pairs)?;
    let fields: &[(&str, &dyn Display)] =
        &[("host", &features.host), ("addresses", &address), ("slow", &slow), ("fast", &fast)];
    Some(Finding::new("tls.slow_handshake_differential", rows(pairs), fields).pointing_at(NODE))
}

/// The medians of handshakes, in words, if the own ones are slower beyond doubt.
fn handshakes(pairs: &[Pair<'_>]) -> Option<(String, String)> {
    let spans = |of: fn(&Pair<'_>) -> Option<f64>| sorted(pairs.iter().filter_map(of));
    let slow = spans(|pair| pair.own.tls_data().and(pair.own.tls).map(span));
    let fast = spans(|pair| pair.other.tls_data().and(pair.other.tls).map(span));
    let far = median(&slow) >= FACTOR * median(&fast) && median(&slow) - median(&fast) >= HANDSHAKE_MS;
    let is_apart = slow.first()? > fast.last()? && far;
    let enough = slow.len() >= ROUNDS_WANTED && fast.len() >= ROUNDS_WANTED;
    let words = |spans: &[f64]| format!("{:.0} ms a handshake", median(spans));
    (enough && is_apart).then(|| (words(&slow), words(&fast)))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle one, the lower of two; zero of none.
fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}
