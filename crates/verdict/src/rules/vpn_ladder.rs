//! Rules on the rungs of a tunnel's ladder beyond the message itself: other ports, other octets, quiet times.

use std::collections::BTreeSet;
use std::net::IpAddr;

use faultline_record::{Engine, Failure, NotRun, Observation, Outcome, Purpose};

use super::vpn::{Rules, way};
use super::{Finding, listed};
use crate::features::Tunnel;
use crate::paired::{LIKELY, Pairs, SETTLED};

/// Unrelated operators that must all be silent over UDP: one may be blocked itself.
const OPERATORS_WANTED: usize = 2;
/// What is sent in a first message's place.
const OTHER_OCTETS: [Purpose; 3] = [Purpose::PrintableBytes, Purpose::TlsBytes, Purpose::RandomBytes];

impl Rules<'_> {
    /// The same protocol at the same host, answered at another port.
    pub(super) fn other_port(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let answered = self.with(Purpose::OtherPort).into_iter().find(|tunnel| tunnel.row.outcome.is_ok())?;
        let how = way(plain.first()?.row.outcome.failure()?)?;
        let never = plain.iter().all(|tunnel| tunnel.row.outcome.failure().is_some());
        let finding = || self.finding("vpn.other_port", &[answered]).pointing_at(self.mechanism(how));
        never.then(finding)
    }

    /// The server closes connections that begin with something else, and is silent to its own protocol, or reset for it.
    pub(super) fn same_port(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let mut others = OTHER_OCTETS.into_iter().flat_map(|purpose| self.with(purpose));
        let closed = others.find(|tunnel| tunnel.row.outcome.failure() == Some(Failure::EofError))?;
        let how = way(plain.first()?.row.outcome.failure()?).filter(|how| *how != "icmp")?;
        let never = plain.iter().all(|tunnel| tunnel.row.outcome.failure().and_then(way) == Some(how));
        let finding = || self.finding("vpn.same_port", &[closed]).pointing_at(self.mechanism(how));
        never.then(finding)
    }

    /// No datagram comes back from anybody: not from this server, however it was asked, not from unrelated operators that answer
    /// everybody, and not from any resolver abroad that was asked by our own query.
    pub(super) fn udp_dead(&self, plain: &[&Tunnel<'_>]) -> Option<Finding> {
        let is_silent = |row: &Observation| row.outcome.failure().and_then(way) == Some("timeout");
        let own = self.features.vpn.iter().filter(|tunnel| tunnel.row.purpose != Purpose::Helper);
        if self.protocol().is_tcp() || !own.clone().all(|tunnel| is_silent(tunnel.row)) {
            return None;
        }
        let is_udp =
            |row: &&Observation| row.quic().is_some() || row.dns().is_some_and(|dns| dns.engine == Engine::Udp);
        let rows = self.features.measurement.observations.iter();
        let tried = rows.filter(|row| row.purpose != Purpose::Helper && row.outcome.not_run().is_none());
        let asked: Vec<&Observation> = tried.filter(is_udp).collect();
        let strangers: Vec<&Observation> =
            asked.iter().filter(|row| row.purpose == Purpose::QuicElsewhere).copied().collect();
        let operators: BTreeSet<IpAddr> = strangers.iter().filter_map(|row| row.address).collect();
        let is_dead = operators.len() >= OPERATORS_WANTED && asked.iter().all(|row| is_silent(row));
        let elsewhere = listed(operators);
        let finding = || {
            let mut finding = self.finding_as("vpn.udp_dead", plain, &[("elsewhere", &elsewhere)]);
            finding.observations.extend(strangers.iter().map(|row| row.seq));
            finding.pointing_at("udp.timeout")
        };
        is_dead.then(finding)
    }

    /// Nothing could be asked: no credentials were given, and a server without them is silent or something else to everybody.
    pub(super) fn no_credentials(&self) -> Option<Finding> {
        let rows = &self.features.measurement.observations;
        let unasked = rows.iter().find(|row| row.vpn().is_some() && row.outcome == Outcome::NotRun(NotRun::NoKey))?;
        let fields: &[(&str, &dyn std::fmt::Display)] =
            &[("host", &self.features.host), ("protocol", &self.protocol())];
        Some(Finding::new("vpn.no_credentials", vec![unasked.seq], fields))
    }

    /// The message fails now and then, and printable characters in its place do not.
    pub(super) fn looks(&self) -> Option<Finding> {
        let (mut own, others) = (self.with(Purpose::Retry), self.with(Purpose::PrintableBytes));
        // The first of them belong to rounds of their own.
        own.drain(..own.len().saturating_sub(others.len()));
        let is_read = |tunnel: &&Tunnel<'_>| {
            matches!(tunnel.row.outcome, Outcome::Ok | Outcome::Failed(Failure::EofError | Failure::UnexpectedResponse))
        };
        let pairs = Pairs::of(own.iter().map(is_read), others.iter().map(is_read));
        let id = match pairs.log10_odds() {
            odds if odds >= SETTLED => "vpn.looks_differential",
            odds if odds >= LIKELY => "vpn.looks_likely",
            _ => return None,
        };
        let failed: Vec<&Tunnel<'_>> =
            self.with(Purpose::Main).into_iter().chain(own).filter(|tunnel| !is_read(tunnel)).collect();
        let how = way(failed.first()?.row.outcome.failure()?)?;
        Some(self.finding(id, &failed).pointing_at(self.mechanism(how)))
    }

    /// After a quiet time the server answers what no filter knows, then not the message, and then nothing.
    pub(super) fn residual(&self) -> Option<Finding> {
        let of = |purpose| {
            let mut rows = self.features.measurement.observations.iter().filter(move |row| row.purpose == purpose);
            rows.rfind(|row| row.outcome.not_run().is_none())
        };
        let (quiet, own, again) = (of(Purpose::QuietInnocent)?, of(Purpose::QuietOwn)?, of(Purpose::QuietAgain)?);
        let is_open = quiet.outcome.is_ok() || quiet.outcome.failure() == Some(Failure::EofError);
        let is_shut = |outcome: Outcome| outcome.failure().and_then(way).is_some();
        let holds = quiet.vpn().is_some() && is_open && is_shut(own.outcome) && is_shut(again.outcome);
        let seconds = (quiet.t0_ms / 1_000.0).round();
        let fields: &[(&str, &dyn std::fmt::Display)] =
            &[("host", &self.features.host), ("protocol", &self.protocol()), ("open", &seconds)];
        let finding = || Finding::new("vpn.residual", vec![quiet.seq, own.seq, again.seq], fields);
        holds.then(|| finding().pointing_at(self.mechanism("residual")))
    }
}
