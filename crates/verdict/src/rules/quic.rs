//! Rules on QUIC: does a server answer over UDP, whom does its certificate name, and does it matter what name is offered?
//!
//! A site that speaks no QUIC is silent, too: silence counts for little without a word from elsewhere (a helper that was answered, or
//! the same server answering for another name).

use std::fmt::Display;
use std::net::IpAddr;

use faultline_record::{Endpoint, Failure, Purpose};

use super::turns::{Says, Try, Turns};
use super::{Finding, listed, negotiation, response};
use crate::features::{Connection, Features, Quic};

/// Fires on targets that are asked by QUIC.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    if !matches!(features.measurement.target.endpoint, Endpoint::Quic { .. }) {
        return;
    }
    let main: Vec<&Quic<'_>> = features.quic_with(Purpose::Main).collect();
    if let Some(verified) = main.iter().find(|quic| quic.row.outcome.is_ok()) {
        return found.push(
            request(features, verified).unwrap_or_else(|| finding(features, "quic.verified_handshake", &[verified])),
        );
    }
    let failed: Vec<&Quic<'_>> = main.into_iter().filter(|quic| features.is_trusted(quic.address)).collect();
    let Some(first) = failed.first() else { return };
    let own = by_name(features, &failed).or_else(|| alone(features, first, &failed));
    let path = negotiation::fire(features, &failed);
    // Where nobody is answered it is not this server, and not its name.
    let is_of_target = !path.as_ref().is_some_and(negotiation::is_about_everybody);
    found.extend(own.map(|own| Finding { mechanism: own.mechanism.clone().filter(|_| is_of_target), ..own }));
    found.extend(path);
    found.extend(by_tcp(features, &failed));
    found.extend(by_helper(features, &failed));
}

/// What came of the request behind a handshake, if one was made: as over TLS.
fn request(features: &Features<'_>, verified: &Quic<'_>) -> Option<Finding> {
    let rows = features.measurement.observations.iter();
    let row = rows.filter(|row| row.connection == verified.row.connection).find(|row| row.http().is_some())?;
    let quic = verified.row;
    let connection =
        Connection { address: verified.address, purpose: quic.purpose, tcp: quic, tls: None, http: Some(row) };
    response::verified_response(features, &connection).or_else(|| {
        let failure = row.outcome.failure()?;
        let fields: &[(&str, &dyn Display)] = &[("host", &features.host), ("failure", &failure)];
        Some(Finding::new("http.failure_inside_tls", vec![quic.seq, row.seq], fields))
    })
}

/// The same address, the target's name and an innocent one, alternating.
fn by_name(features: &Features<'_>, failed: &[&Quic<'_>]) -> Option<Finding> {
    let address = features.quic_with(Purpose::InnocentSni).next()?.address;
    let tries = |rows: &mut dyn Iterator<Item = &Quic<'_>>| {
        let at = rows.filter(|quic| quic.address == address);
        at.map(|quic| Try { seq: quic.row.seq, answered: quic.spoke(), failed: !quic.spoke() }).collect()
    };
    let turns = Turns {
        main: tries(&mut failed.iter().copied()),
        own: tries(&mut features.quic_with(Purpose::Retry)),
        innocent: tries(&mut features.quic_with(Purpose::InnocentSni)),
    };
    let (id, node) = match turns.say() {
        Says::Always => ("quic.sni_differential", Some("quic.timeout.sni")),
        Says::Often => ("quic.sni_often", Some("quic.timeout.sni")),
        Says::Sometimes => ("quic.sni_sometimes", Some("quic.timeout.sni")),
        Says::AnyFails => ("quic.any_name_fails", Some("quic.timeout.other")),
        Says::Recovers => ("quic.transient", None),
        Says::Nothing => return None,
    };
    let finding = turns.finding(id, &features.host, address, None);
    Some(match node {
        Some(node) => finding.pointing_at(node),
        None => finding,
    })
}

/// A failure without an experiment beside it.
fn alone(features: &Features<'_>, first: &Quic<'_>, failed: &[&Quic<'_>]) -> Option<Finding> {
    match first.row.outcome.failure()? {
        Failure::GenericTimeoutError | Failure::TimedOut => {
            Some(finding(features, "quic.timeout", failed).pointing_at("quic.timeout"))
        }
        Failure::ConnectionRefused => Some(finding(features, "quic.refused", failed)),
        Failure::SslInvalidHostname | Failure::SslUnknownAuthority | Failure::SslInvalidCertificate => {
            Some(finding(features, "quic.other_certificate", failed))
        }
        _ => None,
    }
}

/// The same name at the same address over TCP.
fn by_tcp(features: &Features<'_>, failed: &[&Quic<'_>]) -> Option<Finding> {
    let at = |address: IpAddr| failed.iter().any(|quic| quic.address == address);
    let copy =
        features.with_purpose(Purpose::TcpCopy).find(|connection| at(connection.address) && connection.verified())?;
    let fields: &[(&str, &dyn Display)] = &[("host", &features.host), ("addresses", &copy.address)];
    Some(Finding::new("quic.tcp_answers", copy.tls.map(|row| row.seq).into_iter().collect(), fields))
}

/// The helper's handshakes with the same addresses.
fn by_helper(features: &Features<'_>, failed: &[&Quic<'_>]) -> Option<Finding> {
    let helper = features.helper.as_ref()?;
    let tried: Vec<&Quic<'_>> =
        helper.quic.iter().filter(|quic| failed.iter().any(|own| own.address == quic.address)).collect();
    let reached: Vec<&Quic<'_>> = tried.iter().copied().filter(|quic| quic.row.outcome.is_ok()).collect();
    if !reached.is_empty() {
        return Some(finding(features, "quic.helper_reaches", &reached));
    }
    (!tried.is_empty()).then(|| finding(features, "quic.helper_fails_too", &tried))
}

fn finding(features: &Features<'_>, id: &str, seen: &[&Quic<'_>]) -> Finding {
    let failure = seen.iter().find_map(|quic| quic.row.outcome.failure()).map_or("", Failure::name);
    let addresses = listed(seen.iter().map(|quic| quic.address));
    let fields: &[(&str, &dyn Display)] = &[("host", &features.host), ("addresses", &addresses), ("failure", &failure)];
    Finding::new(id, seen.iter().map(|quic| quic.row.seq).collect(), fields)
}
