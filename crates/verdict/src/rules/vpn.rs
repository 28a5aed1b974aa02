//! Rules on tunnels: does the server answer the protocol's first message, and if not, is it the message that is not let
//! through?
//!
//! Many servers answer nobody who lacks their key; silence alone never says that somebody interferes.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;

use faultline_record::{Endpoint, Failure, Outcome, Purpose, VpnAnswer, VpnKey, VpnProof, VpnProtocol};

use super::{Finding, listed};
use crate::features::{Features, Tunnel};

/// Plain first messages that must have failed before one that is disguised tells anything: each is sent several times, as the
/// protocol has it.
const PLAIN_WANTED: usize = 2;
/// Handshakes that were answered, and no data after any, before that is no mishap.
const VANISHED_WANTED: usize = 3;

/// Fires on tunnels.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let Endpoint::Vpn { protocol, .. } = features.measurement.target.endpoint else { return };
    let rules = Rules { features, protocol };
    let main = rules.with(Purpose::Main);
    if let Some(answered) = main.iter().find(|tunnel| tunnel.row.outcome.is_ok()) {
        return found.push(rules.finding("vpn.answered", &[*answered]));
    }
    let plain: Vec<&Tunnel<'_>> = main.into_iter().chain(rules.with(Purpose::Retry)).collect();
    if plain.is_empty() {
        found.extend(rules.unconnected().or_else(|| rules.no_credentials()));
        found.extend(rules.host());
        return found.extend(rules.by_helper(&plain));
    }
    if let Some(finding) = rules.udp_dead(&plain) {
        // Then nothing that is silent here, and answered elsewhere, is picked out by anybody.
        found.push(finding);
        return found.extend(rules.host());
    }
    // A login that nobody has seen work is looked at before what follows handshakes.
    let login = rules.unanswerable(&plain).filter(|_| plain.iter().any(|tunnel| is_unanswered_login(tunnel)));
    let vanished = login.or_else(|| rules.vanished(&plain));
    let differential = vanished.or_else(|| rules.disguised(&plain)).or_else(|| rules.looks());
    found.extend(differential.or_else(|| rules.unanswerable(&plain)).or_else(|| rules.alone(&plain)));
    found.extend(rules.host());
    found.extend(rules.other_port(&plain));
    found.extend(rules.same_port(&plain));
    found.extend(rules.residual());
    found.extend(rules.proven_key(&plain));
    found.extend(rules.by_helper(&plain));
}

pub(super) struct Rules<'a> {
    pub(super) features: &'a Features<'a>,
    protocol: VpnProtocol,
}

impl<'a> Rules<'a> {
    pub(super) fn with(&self, purpose: Purpose) -> Vec<&'a Tunnel<'a>> {
        self.features.vpn.iter().filter(|tunnel| tunnel.row.purpose == purpose).collect()
    }

    pub(super) fn protocol(&self) -> VpnProtocol {
        self.protocol
    }

    pub(super) fn mechanism(&self, how: &str) -> String {
        format!("vpn.{}.{how}", self.protocol.node())
    }

    /// The same message, answered as soon as a filter of first packets cannot know it.
    fn disguised(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let answered = self.with(Purpose::JunkFirst).into_iter().find(|tunnel| tunnel.row.outcome.is_ok())?;
        let never = plain.iter().all(|tunnel| tunnel.row.outcome.failure().is_some());
        let how = way(plain.first()?.row.outcome.failure()?)?;
        let seen: Vec<&Tunnel<'_>> = plain.iter().copied().chain([answered]).collect();
        let finding = || self.finding("vpn.passes_disguised", &seen).pointing_at(self.mechanism(how));
        (never && plain.len() >= PLAIN_WANTED).then(finding)
    }

    /// The handshake was answered each time, and no data came back after any.
    fn vanished(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let has =
            |tunnel: &&&Tunnel<'_>| tunnel.row.outcome.failure().and_then(way).is_some() && proof(tunnel).is_some();
        let vanished: Vec<&Tunnel<'_>> = plain.iter().filter(has).copied().collect();
        // A full server, too, answers a reset and nothing after it; who has proven itself has room.
        let is_known =
            vanished.iter().all(|tunnel| proof(tunnel) >= Some(VpnProof::ServerIdentity) && is_let_in(tunnel));
        let always = is_known && vanished.len() >= VANISHED_WANTED && vanished.len() == plain.len();
        let id = if always { "vpn.data_dropped" } else { "vpn.data_lost" };
        let is_cut = vanished.iter().all(|tunnel| tunnel.row.outcome.failure().and_then(way) == Some("reset"));
        let how = if is_cut { "reset" } else { "data_dropped" };
        let finding = self.finding(id, &vanished).pointing_at(self.mechanism(how));
        let is_plain = !vanished.is_empty() && plain.iter().all(|tunnel| tunnel.row.outcome != Outcome::Ok);
        is_plain.then_some(finding)
    }

    /// Silence where a server in good order can be silent, and nobody has seen it answer.
    fn unanswerable(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let is_silent = |tunnel: &&Tunnel<'_>| {
            tunnel.row.outcome.failure().and_then(way) == Some("timeout") && key(tunnel) != Some(VpnKey::Proven)
        };
        if !plain.iter().all(is_silent) {
            return None;
        }
        if plain.iter().any(|tunnel| is_unanswered_login(tunnel)) {
            let why = "it has shown its certificate and is silent to the login, as to one that it does not know";
            return Some(self.finding_as("vpn.unanswerable", plain, &[("why", &why)]));
        }
        let is_known = self.helper_reached().next().is_some() || self.other_port(plain).is_some();
        let why = self.protocol.silence_of_the_living().filter(|_| !is_known)?;
        Some(self.finding_as("vpn.unanswerable", plain, &[("why", &why)]))
    }

    /// The host lives, and its server does not answer a key that works from elsewhere.
    fn proven_key(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let is_silent = |tunnel: &&Tunnel<'_>| {
            tunnel.row.outcome.failure().and_then(way) == Some("timeout") && key(tunnel) == Some(VpnKey::Proven)
        };
        let never = plain.len() > PLAIN_WANTED && plain.iter().all(is_silent) && self.host().is_some();
        never.then(|| self.finding("vpn.proven_key", plain).pointing_at(self.mechanism("timeout")))
    }

    fn alone(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        if plain.iter().any(|tunnel| tunnel.row.outcome == Outcome::Ok) {
            return Some(self.finding("vpn.transient", plain));
        }
        let failure = plain.first()?.row.outcome.failure()?;
        let id = match (way(failure), failure) {
            (Some("timeout"), _) => "vpn.timeout",
            (Some("reset"), _) if self.protocol == VpnProtocol::OpenvpnTcp => "vpn.reset",
            (Some("reset"), _) => "vpn.cut",
            (Some(_), _) => "vpn.refused",
            (None, Failure::EofError) => "vpn.closed",
            (None, _) => "vpn.other_answer",
        };
        let finding = self.finding(id, plain);
        Some(match way(failure) {
            Some(how) => finding.pointing_at(self.mechanism(how)),
            None => finding,
        })
    }

    /// Over TCP: there was no connection over which to send anything.
    fn unconnected(&self) -> Option<Finding> {
        let failed = self.features.main().find(|connection| connection.tcp.outcome.failure().is_some())?;
        let failure = failed.tcp.outcome.failure()?;
        let fields: &[(&str, &dyn Display)] = &[
            ("host", &self.features.host),
            ("addresses", &failed.address),
            ("protocol", &self.protocol),
            ("failed", &1),
        ];
        let id = if way(failure) == Some("icmp") { "vpn.refused" } else { "vpn.timeout" };
        Some(Finding::new(id, vec![failed.tcp.seq], fields))
    }

    /// Whether anything at all answered at the host.
    fn host(&self) -> Option<Finding> {
        let answers = |outcome: Outcome| outcome.is_ok() || outcome.failure() == Some(Failure::ConnectionRefused);
        let mut tries = self.features.with_purpose(Purpose::HostAlive);
        let alive = tries.find(|connection| answers(connection.tcp.outcome))?;
        let fields: &[(&str, &dyn Display)] = &[("host", &self.features.host), ("addresses", &alive.address)];
        Some(Finding::new("vpn.host_lives", vec![alive.tcp.seq], fields))
    }

    /// What the helper was answered by.
    fn helper_reached(&self) -> impl Iterator<Item = &'a Tunnel<'a>> {
        let tried = self.features.helper.iter().flat_map(|helper| &helper.vpn);
        tried.filter(|tunnel| tunnel.row.outcome.is_ok())
    }

    /// How the connections failed at the addresses that others were answered at: where none was made, nothing else says it.
    fn unconnected_way(&self, reached: &[&Tunnel<'_>]) -> Option<&'static str> {
        let own = |address| self.features.main().filter(move |connection| connection.address == address);
        reached.iter().flat_map(|tunnel| own(tunnel.address)).find_map(|tried| way(tried.tcp.outcome.failure()?))
    }

    fn by_helper(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let helper = self.features.helper.as_ref()?;
        if plain.iter().any(|tunnel| tunnel.row.outcome == Outcome::Ok) {
            // The vantage was answered as well, if not each time.
            return None;
        }
        if plain.iter().any(|tunnel| tunnel.row.vpn().and_then(|vpn| vpn.answer) == Some(VpnAnswer::RelayCertificates))
        {
            // A relay has proven itself to be another than the user expects, of whom the helper knows nothing.
            return None;
        }
        let connected = self.features.main().map(|connection| connection.address);
        let addresses: BTreeSet<IpAddr> = plain.iter().map(|own| own.address).chain(connected).collect();
        let at = |tunnel: &&Tunnel<'_>| addresses.contains(&tunnel.address);
        let tried: Vec<&Tunnel<'_>> = helper.vpn.iter().filter(at).collect();
        let reached: Vec<&Tunnel<'_>> = self.helper_reached().filter(at).collect();
        // That two are not answered says nothing where neither may be known to the server.
        let tells = |tunnel: &&Tunnel<'_>| {
            self.protocol.silence_of_the_living().is_none()
                || tunnel.row.outcome.failure().and_then(way) != Some("timeout")
        };
        let is_proven = plain.iter().any(|tunnel| key(tunnel) == Some(VpnKey::Proven));
        match (reached.is_empty(), tried.is_empty()) {
            (false, _) => {
                let finding = self.finding("vpn.helper_reaches", &reached);
                Some(match self.unconnected_way(&reached).filter(|_| plain.is_empty()) {
                    Some(how) => finding.pointing_at(self.mechanism(how)),
                    None => finding,
                })
            }
            (true, false) if is_proven || tried.iter().copied().any(|tunnel| tells(&tunnel)) => {
                Some(self.finding("vpn.helper_fails_too", &tried))
            }
            (true, _) => None,
        }
    }

    pub(super) fn finding(&self, id: &str, seen: &[&Tunnel<'_>]) -> Finding {
        self.finding_as(id, seen, &[])
    }

    /// The same with more to say.
    pub(super) fn finding_as(&self, id: &str, seen: &[&Tunnel<'_>], more: &[(&str, &dyn Display)]) -> Finding {
        let failure = seen.iter().find_map(|tunnel| tunnel.row.outcome.failure()).map_or("", Failure::name);
        let addresses = listed(seen.iter().map(|tunnel| tunnel.address).collect::<BTreeSet<_>>());
        let failed = seen.iter().filter(|tunnel| tunnel.row.outcome.failure().is_some()).count();
        let fields: &[(&str, &dyn Display)] = &[
            ("host", &self.features.host),
            ("addresses", &addresses),
            ("failure", &failure),
            ("protocol", &self.protocol),
            ("failed", &failed),
            ("tried", &seen.len()),
        ];
        let fields = [fields, more].concat();
        Finding::new(id, seen.iter().map(|tunnel| tunnel.row.seq).collect(), &fields)
    }
}

fn proof(tunnel: &Tunnel<'_>) -> Option<VpnProof> {
    tunnel.row.vpn().and_then(|vpn| vpn.proof)
}

/// Whether its servers do TLS with everybody, and what follows with those alone who log in.
fn wants_login(protocol: VpnProtocol) -> bool {
    use VpnProtocol::{OpenvpnTcp, OpenvpnUdp, Trojan, Vless};
    matches!(protocol, OpenvpnUdp | OpenvpnTcp | Trojan | Vless)
}

/// Whether such a server has ended its TLS and was silent to what followed it: without an account nothing does.
fn is_unanswered_login(tunnel: &Tunnel<'_>) -> bool {
    let Some(vpn) = tunnel.row.vpn() else { return false };
    let has_shaken_hands = matches!(vpn.proof, Some(VpnProof::Handshake | VpnProof::ServerIdentity));
    let is_first = matches!(vpn.answer, Some(VpnAnswer::ServerReset | VpnAnswer::TlsHandshake));
    wants_login(vpn.protocol) && has_shaken_hands && is_first
}

/// Whether silence to what followed can be held against the network: a server that wants a login was silent to an account that works,
/// by the user's word, or to data that it had answered before. Other protocols want no account.
fn is_let_in(tunnel: &Tunnel<'_>) -> bool {
    let is_open = tunnel.row.vpn().is_none_or(|vpn| !wants_login(vpn.protocol));
    let is_proven = key(tunnel) == Some(VpnKey::Proven) || proof(tunnel) == Some(VpnProof::Data);
    is_open || proof(tunnel) < Some(VpnProof::Handshake) || is_proven
}

fn key(tunnel: &Tunnel<'_>) -> Option<VpnKey> {
    tunnel.row.vpn().and_then(|vpn| vpn.key)
}

/// The mechanism's last word for a failure, if it is one that somebody on the way can bring about.
pub(super) fn way(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::GenericTimeoutError | Failure::TimedOut => Some("timeout"),
        Failure::ConnectionReset | Failure::ConnectionAborted => Some("reset"),
        Failure::ConnectionRefused | Failure::HostUnreachable | Failure::NetworkUnreachable => Some("icmp"),
        _ => None,
    }
}
