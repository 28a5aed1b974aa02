//! A verdict in plain words, for a person at a terminal.

use faultline_record::{Endpoint, Measurement, VpnKind, VpnPayload, VpnProtocol};

use crate::verdict::{Cause, State, Verdict};

/// One sentence: what holds, and the strongest reason for it.
pub fn summary_sentence(verdict: &Verdict) -> String {
    let reason = verdict.evidence.first().map_or("", |evidence| evidence.text.as_str());
    match (verdict.state, verdict.cause) {
        (State::Insufficient, _) => not_proven(verdict),
        (State::Ok, Cause::ServerSide) => format!("reachable, but {reason}"),
        (State::Ok, _) if !verdict.mechanisms.is_empty() => format!("reachable, though {}", interference(verdict)),
        (State::Ok, _) => reason.to_owned(),
        (State::Impaired, _) => format!("not working, and it cannot be told why from here: {reason}"),
        (State::Down, _) => format!("not working by itself: {reason}"),
        (State::Blocked | State::LikelyBlocked, _) => interference(verdict),
    }
}

/// The same of a measurement: a tunnel's sentence begins with what it is, a VPN or a proxy, and whether what it carries can be read.
pub fn sentence_of(measurement: &Measurement, verdict: &Verdict) -> String {
    let sentence = summary_sentence(verdict);
    match measurement.target.endpoint {
        Endpoint::Vpn { protocol, .. } => format!("{}: {sentence}", tunnel_words(protocol)),
        _ => sentence,
    }
}

/// What a protocol is for, and whether what it carries can be read on the way.
pub fn tunnel_words(protocol: VpnProtocol) -> String {
    let kind = match protocol.kind() {
        VpnKind::Vpn => "VPN",
        VpnKind::Proxy => "proxy",
        VpnKind::Signalling => "signalling",
    };
    let payload = match protocol.payload() {
        VpnPayload::Encrypted => "encrypted",
        VpnPayload::Clear => "in the clear",
        VpnPayload::Negotiated => "encrypted if both agree",
        VpnPayload::None => "no payload",
    };
    format!("{kind}, {payload}")
}

/// The state in words that need no glossary.
pub fn state_words(state: State) -> &'static str {
    match state {
        State::Ok => "reachable",
        State::Blocked => "blocked",
        State::LikelyBlocked => "likely blocked",
        State::Impaired => "not working",
        State::Down => "down",
        State::Insufficient => "not known",
    }
}

/// The strongest finding that speaks for interference; where only several together do, all of them.
fn interference(verdict: &Verdict) -> String {
    let found = || verdict.evidence.iter().filter(|evidence| !evidence.rule.starts_with("health."));
    let strongest = found().filter(|evidence| evidence.weight > 0.0).max_by(|a, b| a.weight.total_cmp(&b.weight));
    let together = || found().map(|evidence| evidence.text.as_str()).collect::<Vec<_>>().join("; ");
    strongest.map_or_else(together, |evidence| evidence.text.clone())
}

fn not_proven(verdict: &Verdict) -> String {
    let foreign = verdict.evidence.iter().find(|evidence| evidence.rule == "measurement.nothing_to_judge");
    let gate = verdict.evidence.iter().find(|evidence| evidence.rule == "health.not_proven");
    let cut = verdict.evidence.iter().find(|evidence| evidence.rule == "measurement.cut_short");
    foreign
        .or(gate)
        .or(cut)
        .map_or_else(|| "nothing was seen that tells anything".to_owned(), |evidence| evidence.text.clone())
}
