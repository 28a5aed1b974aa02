//! Rules on TLS: what happened once the name was sent, and to whom the certificate belongs.

use std::net::IpAddr;

use faultline_record::{Endpoint, Failure, FirstBytes, Purpose, Tls};

use super::turns::{Says, Try, Turns};
use super::{Finding, commonest, listed, name, span};
use crate::features::{Connection, Features};

/// Tries of the name in plain that must all have failed before one that passes in hiding tells anything.
const TRIES_WANTED: usize = 3;

/// Connections from which the way to a server is measured, and cuts that must all have come too early. A SYN that was lost
/// makes one connection slow; the fastest of several is not.
const CONNECTIONS_WANTED: usize = 3;
const CUTS_WANTED: usize = 2;
/// The share of the way there and back within which no word of the server's comes.
const EARLY: f64 = 0.5;
/// Servers nearer than this, in milliseconds, are too near to tell: a machine's own delays are as long.
const FLOOR_MS: f64 = 10.0;

/// Fires when no connection of the measurement verified.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    if features.main().any(|connection| connection.verified()) {
        return found.extend(now_and_then(features));
    }
    let failed: Vec<&Connection<'_>> =
        features.main().filter(|c| c.tls_failure().is_some() && features.is_trusted(c.address)).collect();
    let Some(first) = failed.first() else { return };
    if is_tunnel(features) && first.tls_data().is_some_and(|tls| tls.sni.is_none() && tls.chain.is_empty()) {
        // It is a first message of the tunnel's: there is no name that it could fail for.
        return;
    }
    let experiment = addresses(&failed).into_iter().find_map(|address| differential(features, address));
    match experiment {
        Some(finding) => found.push(finding),
        None => found.extend(lone(features, first, &failed)),
    }
    found.extend(addresses(&failed).into_iter().find_map(|address| passes_when_hidden(features, address)));
    found.extend(addresses(&failed).into_iter().find_map(|address| cut_off_on_the_way(features, address)));
    found.extend(addresses(&failed).into_iter().find_map(|address| cut_off_early(features, address)));
    found.extend(name::elsewhere(features, &failed));
    found.extend(name::after_quiet(features, &failed));
    found.extend(name::forms(features, &failed));
    found.extend(certificate(features, &failed));
}

fn is_tunnel(features: &Features<'_>) -> bool {
    matches!(features.measurement.target.endpoint, Endpoint::Vpn { .. })
}

/// The target's own handshake, which works as soon as the name cannot be read at a glance.
fn passes_when_hidden(features: &Features<'_>, address: IpAddr) -> Option<Finding> {
    let own: Vec<&Connection<'_>> = features
        .connections
        .iter()
        .filter(|c| c.address == address && c.tls.is_some() && matches!(c.purpose, Purpose::Main | Purpose::Retry))
        .collect();
    let silent: Vec<_> = own.iter().filter_map(|connection| silence(connection)).collect();
    let hidden =
        features.connections.iter().find(|c| c.address == address && way(c.purpose).is_some() && c.verified())?;
    if silent.len() < own.len() || own.len() < TRIES_WANTED {
        return None;
    }
    let rows = own.iter().copied().chain([hidden]).filter_map(|c| c.tls).map(|row| row.seq).collect();
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("addresses", &address), ("how", &way(hidden.purpose)?), ("tries", &own.len())];
    let (_, mechanism) = commonest(silent)?;
    Some(Finding::new("tls.passes_when_hidden", rows, fields).pointing_at(format!("{mechanism}.sni")))
}

/// How the name was hidden.
fn way(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::SplitSegments => Some("cut over two TCP segments"),
        Purpose::SplitRecords => Some("cut over many TLS records"),
        Purpose::NoSni => Some("left out"),
        Purpose::Ech => Some("encrypted"),
        _ => None,
    }
}

/// A handshake that is cut off although it was not sent as far as the server.
fn cut_off_on_the_way(features: &Features<'_>, address: IpAddr) -> Option<Finding> {
    let nearest = |purpose, answers: fn(&Connection<'_>) -> bool| {
        let sent = features.with_purpose(purpose).filter(|c| c.address == address && answers(c));
        sent.filter_map(|c| Some((c.tls?.ttl?, *c))).min_by_key(|(ttl, _)| *ttl)
    };
    let is_cut = |c: &Connection<'_>| silence(c).is_some_and(|(_, mechanism)| mechanism != "tls.timeout");
    let (hop, cut) = nearest(Purpose::Locate, is_cut)?;
    let (server, answered) = nearest(Purpose::LocateInnocent, spoke)?;
    let (_, mechanism) = silence(&cut).filter(|_| hop < server)?;
    let rows = [cut, answered].into_iter().filter_map(|c| c.tls).map(|row| row.seq).collect();
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("addresses", &address), ("hop", &hop), ("server", &server)];
    Some(Finding::new("tls.cut_off_on_the_way", rows, fields).pointing_at(mechanism))
}

/// Ends of handshakes that came before a word of the server's can have: sooner than half the shortest time in which a
/// connection to it was made.
fn cut_off_early(features: &Features<'_>, address: IpAddr) -> Option<Finding> {
    let all = || features.connections.iter().filter(move |c| c.address == address && c.tcp.outcome.is_ok());
    let made: Vec<f64> = all().map(|connection| span(connection.tcp)).collect();
    let own = all().filter(|c| matches!(c.purpose, Purpose::Main | Purpose::Retry));
    let cut = |c: &&Connection<'_>| silence(c).is_some_and(|(_, mechanism)| mechanism != "tls.timeout");
    let cuts: Vec<(&Connection<'_>, f64)> = own.filter(cut).filter_map(|c| Some((c, span(c.tls?)))).collect();
    let floor = made.iter().copied().fold(f64::INFINITY, f64::min);
    let last = cuts.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
    let enough = made.len() >= CONNECTIONS_WANTED && cuts.len() >= CUTS_WANTED && floor >= FLOOR_MS;
    if !enough || last > floor * EARLY {
        return None;
    }
    let (_, mechanism) = silence(cuts[0].0)?;
    let rows = all().map(|c| c.tcp.seq).chain(cuts.iter().filter_map(|(c, _)| Some(c.tls?.seq))).collect();
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &features.host),
        ("addresses", &address),
        ("end", &last.ceil()),
        ("floor", &floor.floor()),
        ("cuts", &cuts.len()),
    ];
    Some(Finding::new("tls.cut_off_early", rows, fields).pointing_at(mechanism))
}

pub(super) fn addresses(connections: &[&Connection<'_>]) -> Vec<IpAddr> {
    connections.iter().map(|connection| connection.address).collect()
}

/// Whether the peer said anything at all in TLS: an alert or a wrong certificate counts (science reference, row 19).
pub(super) fn spoke(connection: &Connection<'_>) -> bool {
    let is_foreign = |tls: &Tls| matches!(tls.first_bytes, Some(FirstBytes::Http | FirstBytes::NotTls));
    connection.verified() || connection.tls_data().is_some_and(|tls| tls.bytes_received > 0 && !is_foreign(tls))
}

/// How the peer fell silent, and the mechanism's name for it; `None` when it spoke, which is another matter.
pub(super) fn silence(connection: &Connection<'_>) -> Option<(&'static str, &'static str)> {
    if spoke(connection) {
        return None;
    }
    match connection.tls_failure()? {
        Failure::ConnectionReset | Failure::ConnectionAborted => Some(("tls.reset", "tls.reset")),
        Failure::GenericTimeoutError | Failure::TimedOut => Some(("tls.timeout", "tls.timeout")),
        Failure::EofError => Some(("tls.close", "tls.close")),
        _ => None,
    }
}

/// The same address, the target's name and an innocent one, alternating.
fn differential(features: &Features<'_>, address: IpAddr) -> Option<Finding> {
    let id = match turns(features, address).say() {
        Says::Always => "tls.sni_differential",
        Says::Often => "tls.sni_often",
        Says::Sometimes => "tls.sni_sometimes",
        Says::AnyFails => "tls.any_name_fails",
        Says::Recovers | Says::Nothing => return None,
    };
    in_turns(features, address, id)
}

/// A target that works, and whose name is cut off now and then all the same: by chance, or on some of the ways there.
fn now_and_then(features: &Features<'_>) -> Option<Finding> {
    let cut: Vec<&Connection<'_>> = features.main().filter(|c| silence(c).is_some()).collect();
    let settled = |address: &IpAddr| matches!(turns(features, *address).say(), Says::Always | Says::Often);
    in_turns(features, addresses(&cut).into_iter().find(settled)?, "tls.sni_now_and_then")
}

/// Handshakes with one address for the target's name and for an innocent one.
fn turns(features: &Features<'_>, address: IpAddr) -> Turns {
    let of = |purpose| {
        let at = features.with_purpose(purpose).filter(move |c| c.address == address && c.tls_data().is_some());
        let one = |c: &Connection<'_>| Some(Try { seq: c.tls?.seq, answered: spoke(c), failed: silence(c).is_some() });
        at.filter_map(one).collect()
    };
    Turns { main: of(Purpose::Main), own: of(Purpose::Retry), innocent: of(Purpose::InnocentSni) }
}

/// What they say, in words.
fn in_turns(features: &Features<'_>, address: IpAddr, id: &str) -> Option<Finding> {
    let turns = turns(features, address);
    let own = |c: &&Connection<'_>| c.address == address && matches!(c.purpose, Purpose::Main | Purpose::Retry);
    let tried = features.connections.iter().filter(own).filter(|c| c.tls_data().is_some());
    // A reset that was lost on the way looks like silence, so that one end of several tells little.
    let (failure, mechanism) = commonest(tried.filter_map(|c| Some((c.tls_failure()?, silence(c)?.1))))?;
    let what = if id == "tls.any_name_fails" { "other" } else { "sni" };
    let finding = turns.finding(id, &features.host, address, Some(failure));
    Some(finding.pointing_at(format!("{mechanism}.{what}")))
}

/// A failure without an experiment beside it.
fn lone(features: &Features<'_>, first: &Connection<'_>, failed: &[&Connection<'_>]) -> Option<Finding> {
    let rows = failed.iter().filter_map(|connection| connection.tls).map(|row| row.seq).collect();
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("addresses", &listed(addresses(failed)))];
    if silence(first).is_some() && addresses(failed).into_iter().any(|address| features.recovered(address, spoke)) {
        return Some(Finding::new("tls.transient", rows, fields));
    }
    if let Some((id, mechanism)) = silence(first) {
        return Some(Finding::new(id, rows, fields).pointing_at(mechanism));
    }
    match first.tls_data()?.first_bytes {
        Some(FirstBytes::Http | FirstBytes::NotTls) => Some(Finding::new("tls.not_tls", rows, fields)),
        Some(FirstBytes::Alert) => Some(Finding::new("tls.alert", rows, fields)),
        _ => None,
    }
}

/// The certificate that was shown instead of a valid one, and whether another address shows a valid one.
fn certificate(features: &Features<'_>, failed: &[&Connection<'_>]) -> Vec<Finding> {
    let Some(shown) = failed.iter().find(|c| c.tls_data().is_some_and(|tls| !tls.chain.is_empty())) else {
        return Vec::new();
    };
    let (Some(row), Some(tls)) = (shown.tls, shown.tls_data()) else { return Vec::new() };
    let leaf = &tls.chain[0];
    let detail = row.detail.as_deref().unwrap_or("it is not valid now or not fit for a server");
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &features.host),
        ("addresses", &shown.address),
        ("issuer", &leaf.issuer),
        ("subject", &leaf.subject),
        ("detail", &detail),
    ];
    let mitm = if leaf.is_self_issued() { "tls.mitm.self_signed" } else { "tls.mitm.ca_signed" };
    let finding = |id| Finding::new(id, vec![row.seq], fields);
    // Servers of tunnels make their own, for whatever name: who they are, their certificate does not tell.
    let own = match row.outcome.failure() {
        Some(Failure::SslUnknownAuthority) if features.measurement.target.private_ca => return Vec::new(),
        Some(Failure::SslUnknownAuthority | Failure::SslInvalidHostname) if is_tunnel(features) => None,
        Some(Failure::SslUnknownAuthority) => Some(finding("tls.unknown_issuer").pointing_at(mitm)),
        Some(Failure::SslInvalidHostname) => Some(finding("tls.wrong_name").pointing_at(mitm)),
        Some(Failure::SslInvalidCertificate) => Some(finding("tls.expired_certificate")),
        _ => return Vec::new(),
    };
    [own, other_address(features, shown.address), mints(features, shown)].into_iter().flatten().collect()
}

/// Whoever shows a certificate of nobody's shows one for the innocent name too, made by the same hand: no site has that.
/// One that signs itself does not count: a default page's, made after a manual, may bear any name.
fn mints(features: &Features<'_>, shown: &Connection<'_>) -> Option<Finding> {
    let own = shown.tls_data()?.chain.first()?;
    if shown.tls_failure()? != Failure::SslUnknownAuthority || own.is_self_issued() {
        return None;
    }
    features.with_purpose(Purpose::InnocentSni).filter(|c| c.address == shown.address).find_map(|innocent| {
        let (tls, row) = (innocent.tls_data()?, innocent.tls?);
        let (leaf, name) = (tls.chain.first()?, tls.sni.as_deref()?);
        let is_unknown = innocent.tls_failure() == Some(Failure::SslUnknownAuthority);
        let is_made_for_it = leaf.der.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        let is_minted = is_unknown && is_made_for_it && leaf.issuer == own.issuer && leaf.sha256 != own.sha256;
        let fields: &[(&str, &dyn std::fmt::Display)] =
            &[("host", &features.host), ("addresses", &shown.address), ("innocent", &name), ("issuer", &leaf.issuer)];
        let rows = shown.tls.into_iter().chain([row]).map(|row| row.seq).collect();
        is_minted.then(|| Finding::new("tls.mints_certificates", rows, fields).pointing_at("tls.mitm.ca_signed"))
    })
}

fn other_address(features: &Features<'_>, shown: IpAddr) -> Option<Finding> {
    let other =
        features.connections.iter().find(|c| c.purpose == Purpose::Comparison && c.verified() && c.address != shown)?;
    let fields: &[(&str, &dyn std::fmt::Display)] = &[("host", &features.host), ("addresses", &other.address)];
    Some(Finding::new("tls.other_address_verifies", other.tls.map(|row| row.seq).into_iter().collect(), fields))
}
