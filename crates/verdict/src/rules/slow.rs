//! Rules on slowness: is it the name, or the lack of encryption, that makes the same request at the same address slow?
//!
//! Rounds alternate, so that congestion meets both. Nothing is said unless every round of the one was slower than every
//! round of the other (of four against four, chance does that once in seventy) and the medians are far apart. The request
//! that gave rise to the experiment is left out: it was chosen for being slow.

use std::net::IpAddr;

use faultline_record::Purpose;

use super::page::are_alike;
use super::{Finding, span};
use crate::features::{Connection, Features};

/// How much slower the median must be (design: 0.2 to 0.3 of the other's goodput; science table row 29).
const FACTOR: f64 = 3.0;
/// Rounds of each kind that must have been made.
const ROUNDS_WANTED: usize = 4;
/// The longest TLS record (RFC 8446, 5.1), octets.
const RECORD: u64 = 1 << 14;
/// A handshake that takes so much longer than another is no matter of the server's load, milliseconds.
const HANDSHAKE_MS: f64 = 150.0;

/// Fires at most one finding.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    found.extend(by_name(features).or_else(|| by_plain(features)));
}

fn by_name(features: &Features<'_>) -> Option<Finding> {
    let address = with_request(features, Purpose::InnocentSni).next()?.address;
    let innocent = at(features, Purpose::InnocentSni, address, true);
    let own = at(features, Purpose::Retry, address, true);
    let (slow, fast) = transfers(&own, &innocent).or_else(|| handshakes(&own, &innocent))?;
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("addresses", &address), ("slow", &slow), ("fast", &fast)];
    let every = [at(features, Purpose::Main, address, true), own.clone()].concat();
    let mechanism = if are_frozen(&every) { "tls.freeze" } else { "tls.throttle.sni" };
    Some(Finding::new("tls.slow_differential", rows(&own, &innocent), fields).pointing_at(mechanism))
}

/// Whether no response ended, and all stopped at the same place, as far as whole records show it (RFC 8446, 5.1: at most
/// 2^14 octets each). What is merely slow brings more the longer one waits, and the first request waits longer than the rest.
fn are_frozen(own: &[&Connection<'_>]) -> bool {
    let stopped = |connection: &&Connection<'_>| {
        let failed = connection.http.is_some_and(|row| row.outcome.failure().is_some());
        connection.http_data().filter(|http| failed && http.status.is_some()).map(|http| http.body_length)
    };
    let Some(lengths) = own.iter().map(stopped).collect::<Option<Vec<u64>>>() else { return false };
    let (least, most) = (lengths.iter().min(), lengths.iter().max());
    least.zip(most).is_some_and(|(least, most)| most - least < RECORD)
}

fn by_plain(features: &Features<'_>) -> Option<Finding> {
    let address = with_request(features, Purpose::HttpsCopy).next()?.address;
    let copies = at(features, Purpose::HttpsCopy, address, true);
    let own = at(features, Purpose::Retry, address, false);
    let (slow, fast) = transfers(&own, &copies)?;
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("addresses", &address), ("slow", &slow), ("fast", &fast)];
    Some(Finding::new("http.slow_differential", rows(&own, &copies), fields).pointing_at("http.throttle.host"))
}

fn with_request<'a>(features: &'a Features<'_>, purpose: Purpose) -> impl Iterator<Item = &'a Connection<'a>> {
    features.with_purpose(purpose).filter(|connection| connection.http_data().is_some())
}

fn at<'a>(features: &'a Features<'a>, purpose: Purpose, address: IpAddr, by_tls: bool) -> Vec<&'a Connection<'a>> {
    let of = |c: &&Connection<'_>| c.purpose == purpose && c.address == address && c.tls.is_some() == by_tls;
    features.connections.iter().filter(of).filter(|c| c.tcp.outcome.is_ok()).collect()
}

fn rows(own: &[&Connection<'_>], other: &[&Connection<'_>]) -> Vec<u32> {
    let rows = own.iter().chain(other).flat_map(|connection| [connection.tls, connection.http]);
    rows.flatten().filter(|row| row.outcome.not_run().is_none()).map(|row| row.seq).collect()
}

/// The medians of both, in words, if the first is slower beyond doubt by how fast the same body came.
fn transfers(own: &[&Connection<'_>], other: &[&Connection<'_>]) -> Option<(String, String)> {
    let of = |all: &[&Connection<'_>]| all.iter().filter_map(|connection| Transfer::of(connection)).collect::<Vec<_>>();
    let (own, other) = (of(own), of(other));
    if !are_of_one_body(&own, &other) {
        return None;
    }
    let rates = |all: &[Transfer]| sorted(all.iter().map(Transfer::bytes_per_ms));
    let (slow, fast) = (rates(&own), rates(&other));
    let is_apart = slow.last()? < fast.first()? && median(&fast) >= FACTOR * median(&slow);
    let enough = slow.len() >= ROUNDS_WANTED && fast.len() >= ROUNDS_WANTED;
    (enough && is_apart).then(|| (kbit(median(&slow)), kbit(median(&fast))))
}

/// What a request brought.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    status: Option<u16>,
    length: u64,
    ms: f64,
    is_whole: bool,
}

impl Transfer {
    fn of(connection: &Connection<'_>) -> Option<Self> {
        let (row, http) = (connection.http?, connection.http_data()?);
        Some(Self {
            status: http.status,
            length: http.body_length,
            ms: span(row).max(1.0),
            is_whole: row.outcome.is_ok(),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "lengths of bodies are far below 2^52")]
    fn bytes_per_ms(&self) -> f64 {
        self.length.max(1) as f64 / self.ms
    }
}

/// Whether the others' bodies are what the own ones are or would have become.
fn are_of_one_body(own: &[Transfer], other: &[Transfer]) -> bool {
    let Some(model) = other.first().filter(|model| model.is_whole && model.status.is_some()) else { return false };
    let is_alike = |one: &Transfer| one.status == model.status && are_alike(one.length, model.length);
    let fits = |one: &Transfer| {
        let may_become = one.status.is_none() || one.status == model.status;
        if one.is_whole { is_alike(one) } else { may_become && one.length <= model.length }
    };
    let is_known = own.iter().any(|one| one.status == model.status);
    is_known && other.iter().all(is_alike) && own.iter().all(fits)
}

/// The same for handshakes: the name is in their first message, so that what is done to it shows from the answer on.
fn handshakes(own: &[&Connection<'_>], other: &[&Connection<'_>]) -> Option<(String, String)> {
    let spans = |all: &[&Connection<'_>]| {
        let rows = all.iter().filter(|connection| connection.tls_data().is_some()).filter_map(|c| c.tls);
        sorted(rows.map(span))
    };
    let (slow, fast) = (spans(own), spans(other));
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

/// Bytes a millisecond are kilobytes a second.
fn kbit(bytes_per_ms: f64) -> String {
    format!("{:.0} kbit/s", bytes_per_ms * 8.0)
}
