//! Rules on QUIC's version negotiation, asked where no handshake was answered: does a server of QUIC live there, is it the first packet of
//! a handshake that does not pass, and does UDP to this port pass here at all?

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;

use faultline_record::{Engine, Purpose};

use super::{Finding, listed};
use crate::features::{Features, Quic};

/// Handshakes for the target's name that must all have been silent before an answer to another packet tells of a filter: the first, and
/// those of the differential's rounds.
const SILENT_WANTED: usize = 3;
/// Unrelated operators that must all be silent: one may have stopped to speak QUIC, or be blocked itself.
const OPERATORS_WANTED: usize = 2;
/// The rule on a port that is closed for everybody.
const EVERYBODY: &str = "quic.silent_everywhere";

/// Whether a finding says that the silence is not the target's.
pub(super) fn is_about_everybody(finding: &Finding) -> bool {
    finding.rule.id == EVERYBODY
}

/// At most one finding; `failed` are the handshakes that failed at addresses of the target's.
pub(super) fn fire(features: &Features<'_>, failed: &[&Quic<'_>]) -> Option<Finding> {
    let of_target: Vec<&Quic<'_>> = features.quic_with(Purpose::VersionNegotiation).collect();
    let of_target: Vec<&Quic<'_>> =
        of_target.into_iter().filter(|asked| failed.iter().any(|own| own.address == asked.address)).collect();
    let asked = of_target.first()?;
    if let Some(answered) = of_target.iter().find(|asked| asked.negotiated()) {
        return Some(answers(features, answered, failed));
    }
    elsewhere(features, asked)
}

/// The server answers for its versions.
fn answers(features: &Features<'_>, answered: &Quic<'_>, failed: &[&Quic<'_>]) -> Finding {
    let at = |quic: &&&Quic<'_>| quic.address == answered.address;
    let own: Vec<&Quic<'_>> = failed.iter().copied().chain(features.quic_with(Purpose::Retry)).collect();
    let own: Vec<&Quic<'_>> = own.iter().filter(at).copied().collect();
    let is_silent = own.len() >= SILENT_WANTED && own.iter().all(|quic| !quic.spoke());
    let innocent_spoke = features.quic_with(Purpose::InnocentSni).any(|quic| quic.spoke());
    let copy = features.with_purpose(Purpose::TcpCopy).find(|tcp| tcp.address == answered.address && tcp.verified());
    let addresses = listed([answered.address]);
    let fields: &[(&str, &dyn Display)] =
        &[("host", &features.host), ("addresses", &addresses), ("failed", &own.len())];
    let rows = |more: Option<u32>| own.iter().map(|quic| quic.row.seq).chain([answered.row.seq]).chain(more).collect();
    match copy.and_then(|copy| copy.tls) {
        Some(tls) if is_silent => {
            let node = if innocent_spoke { "quic.timeout.sni" } else { "quic.timeout.other" };
            Finding::new("quic.initial_filtered", rows(Some(tls.seq)), fields).pointing_at(node)
        }
        _ => Finding::new("quic.server_lives", rows(None), fields),
    }
}

/// The server does not answer for its versions either: do others, of operators that have nothing to do with it?
fn elsewhere(features: &Features<'_>, asked: &Quic<'_>) -> Option<Finding> {
    let others: Vec<&Quic<'_>> = features.quic_with(Purpose::QuicElsewhere).collect();
    let answering: Vec<&Quic<'_>> = others.iter().copied().filter(|quic| quic.negotiated()).collect();
    let finding = |id: &str, seen: &[&Quic<'_>], more: Vec<u32>| {
        let (addresses, elsewhere) = (listed([asked.address]), listed(seen.iter().map(|quic| quic.address)));
        let fields: &[(&str, &dyn Display)] =
            &[("host", &features.host), ("addresses", &addresses), ("elsewhere", &elsewhere)];
        let rows = [asked.row.seq].into_iter().chain(seen.iter().map(|quic| quic.row.seq)).chain(more).collect();
        Finding::new(id, rows, fields)
    };
    if !answering.is_empty() {
        return Some(finding("quic.answered_elsewhere", &answering, Vec::new()));
    }
    // Silence only: who refuses, or says something else, is there.
    let silent: Vec<&Quic<'_>> = others.into_iter().filter(|quic| !quic.spoke() && is_timeout(quic)).collect();
    let living = over_dns(features);
    let silent: Vec<&Quic<'_>> =
        silent.into_iter().filter(|quic| living.iter().any(|(address, _)| *address == quic.address)).collect();
    let operators: BTreeSet<IpAddr> = silent.iter().map(|quic| quic.address).collect();
    if operators.len() < OPERATORS_WANTED {
        return None;
    }
    let rows = living.into_iter().map(|(_, row)| row).collect();
    Some(finding(EVERYBODY, &silent, rows).pointing_at("udp.timeout"))
}

fn is_timeout(quic: &Quic<'_>) -> bool {
    use faultline_record::Failure::{GenericTimeoutError, TimedOut};
    matches!(quic.row.outcome.failure(), Some(GenericTimeoutError | TimedOut))
}

/// Addresses that answered a question for a name over UDP, with the rows: in the experiment, or when they were asked of the target's
/// name. A single datagram may be lost.
fn over_dns(features: &Features<'_>) -> Vec<(IpAddr, u32)> {
    let rows = features.measurement.observations.iter();
    let replied = rows.filter(|row| row.dns().is_some_and(|dns| dns.engine == Engine::Udp && dns.replies > 0));
    let replied = replied.filter(|row| matches!(row.purpose, Purpose::QuicElsewhere | Purpose::Comparison));
    replied.filter_map(|row| Some((row.address?, row.seq))).collect()
}
