//! The ladder of a tunnel that was not answered: the same message again, in disguise, other octets in its place, other ports,
//! and all of it once more after a quiet time. Each try has a source port of its own; which comes first is drawn.

use std::net::SocketAddr;
use std::time::Duration;

use faultline_record::{Failure, Family, Observation, Purpose};

use super::Walk;
use super::connect::{By, Goal, Round};
use super::experiments::in_random_order;
use super::names::QUIET;
use crate::drive::{FirstMessage, Shape};

/// Rounds of the same message, plain and in disguise.
const ROUNDS: usize = 2;
/// Ports at which hosts of tunnels answer as well: HTTPS and HTTP (IANA). A refusal is an answer.
const COMMON_PORTS: [u16; 2] = [443, 80];
/// Quiet times over UDP, where nothing but a helper's word says that there may be something to wait for: longer than the 60 s that
/// are the shortest known (science reference, section 2.4).
const QUIET_UDP: [Duration; 3] = [Duration::from_secs(15), Duration::from_secs(45), Duration::from_mins(1)];
/// Other ports of the protocol that are tried.
const OTHER_PORTS: usize = 2;

impl Walk {
    /// Is it the protocol, the server or the host?
    pub(super) async fn tunnel_ladder(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let mut is_answered = false;
        for _ in 0..ROUNDS {
            // Where the greeting of TLS is the first message, it has no disguise.
            let is_bare = matches!(goal.by, By::Tunnel(protocol) if protocol.is_tls() && !protocol.has_tls_step());
            let ways = in_random_order(WAYS).into_iter().filter(|(_, first)| !is_bare || *first == FirstMessage::Plain);
            for (purpose, first) in ways {
                let round = Round { first, ..self.round(hop, purpose) };
                is_answered |= self.try_out(round, address, goal).await.at_goal;
            }
        }
        if is_answered {
            return self.host_alive(hop, address).await;
        }
        let is_udp = matches!(goal.by, By::Tunnel(protocol) if !protocol.is_tcp());
        let strangers = async {
            if is_udp && self.log.look(|rows| all_silent(rows, hop, address)) {
                self.ask_strangers(hop, Family::of(address.ip())).await;
            }
        };
        tokio::join!(self.host_alive(hop, address), self.elsewhere_at_the_host(hop, address, goal), strangers);
        self.other_octets(hop, address, goal).await;
    }

    /// Whether the host lives, by any word of its TCP.
    async fn host_alive(&self, hop: u16, address: SocketAddr) {
        for port in COMMON_PORTS.into_iter().filter(|port| *port != address.port()) {
            let goal = Goal { port, tls: None, url: None, by: By::Tcp };
            let at = SocketAddr::new(address.ip(), port);
            if self.try_out(self.round(hop, Purpose::HostAlive), at, &goal).await.at_goal {
                break;
            }
        }
    }

    /// The same protocol at its other usual ports, until one answers.
    async fn elsewhere_at_the_host(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let By::Tunnel(protocol) = goal.by else { return };
        let others = protocol.usual_ports().iter().copied().filter(|port| *port != address.port());
        for port in others.take(OTHER_PORTS) {
            let (at, goal) = (SocketAddr::new(address.ip(), port), Goal { port, ..goal.clone() });
            let round = Round { leads_on: false, ..self.round(hop, Purpose::OtherPort) };
            if self.try_out(round, at, &goal).await.at_goal {
                break;
            }
        }
    }

    /// Other octets in the message's place. Only over TCP does a server show what it thinks of them.
    async fn other_octets(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        if !matches!(goal.by, By::Tunnel(protocol) if protocol.is_tcp()) {
            return;
        }
        let [first, second] =
            in_random_order([(Purpose::PrintableBytes, Shape::Printable), (Purpose::TlsBytes, Shape::Tls)]);
        for (purpose, shape) in [first, second, (Purpose::RandomBytes, Shape::Random)] {
            let round = Round { first: FirstMessage::Instead(shape), ..self.round(hop, purpose) };
            self.try_out(round, address, goal).await;
        }
    }

    /// The message itself and printable characters in its place. Nobody logs in so many times.
    pub(super) async fn tunnel_looks(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let printable = FirstMessage::Instead(Shape::Printable);
        for (purpose, first) in
            in_random_order([(Purpose::PrintableBytes, printable), (Purpose::Retry, FirstMessage::Plain)])
        {
            let round = Round { first, leads_on: false, ..self.round(hop, purpose) };
            self.try_out(round, address, goal).await;
        }
    }

    /// Leaves the server alone until it answers what no filter knows; then comes the message itself, then the other again.
    pub(super) async fn tunnel_residual(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let is_tcp = matches!(goal.by, By::Tunnel(protocol) if protocol.is_tcp());
        for &quiet in if is_tcp { &QUIET[..] } else { &QUIET_UDP } {
            self.rest(quiet).await;
            if self.is_let_through(hop, Purpose::QuietInnocent, address, goal).await {
                self.try_out(self.round(hop, Purpose::QuietOwn), address, goal).await;
                self.is_let_through(hop, Purpose::QuietAgain, address, goal).await;
                return;
            }
        }
    }

    /// Whether the server answers what no filter knows: over UDP its message behind noise; over TCP printable characters, which it
    /// answers by closing.
    async fn is_let_through(&self, hop: u16, purpose: Purpose, address: SocketAddr, goal: &Goal) -> bool {
        let is_tcp = matches!(goal.by, By::Tunnel(protocol) if protocol.is_tcp());
        let first = if is_tcp { FirstMessage::Instead(Shape::Printable) } else { FirstMessage::Disguised };
        let before = self.log.count();
        self.try_out(Round { first, ..self.round(hop, purpose) }, address, goal).await;
        self.log.look(|rows| {
            let mut own = rows[before.min(rows.len())..].iter().filter(|row| row.purpose == purpose);
            own.next_back().is_some_and(crate::follow_up::is_answered)
        })
    }
}

/// Whether every first message to an address was sent, and met with silence.
fn all_silent(rows: &[Observation], hop: u16, address: SocketAddr) -> bool {
    let own = rows.iter().filter(|row| row.vpn().is_some() && row.hop == hop && row.purpose != Purpose::Helper);
    let mut own = own.filter(|row| row.address == Some(address.ip())).peekable();
    own.peek().is_some() && own.all(|row| row.outcome.failure() == Some(Failure::GenericTimeoutError))
}

/// The message as clients send it, and in disguise.
const WAYS: [(Purpose, FirstMessage); 2] =
    [(Purpose::Retry, FirstMessage::Plain), (Purpose::JunkFirst, FirstMessage::Disguised)];
