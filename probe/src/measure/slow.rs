//! Follow-ups on what was slow: the same request at the same address in turns, so that congestion and load meet both, for
//! as long as the rounds can still show a difference and the run's budget of bytes has room.

use std::net::SocketAddr;

use faultline_record::{NotRun, Observation, Purpose, Step};
use faultline_verdict::goodput::{self, Comparison, MOST_ROUNDS, Transfer, may_yet_differ, stops};

use super::Walk;
use super::connect::{By, Goal, Round};
use super::experiments::encrypted;
use super::steps::{Offer, planned_request};
use crate::drive::Alpn;
use crate::follow_up::over_tls;

/// Octets of a body that are read in a round: behind the burst that a policer lets pass, three seconds at 130 kbit/s.
const BODY: usize = 64 * 1024;
/// Octets that a round of two requests may cost: two bodies, with what was read at once beyond them, heads and handshakes.
const ROUND_COST: u64 = 4 * BODY as u64;
/// Rounds after which a name that stops each time, where an innocent one never does, has shown it.
const FREEZE_ROUNDS: usize = 3;

/// Rounds in which the other request may come to nothing before nothing is compared: packets are lost, too.
const MISSES: usize = 2;

/// One of the two requests of a round.
struct Turn {
    round: Round,
    address: SocketAddr,
    goal: Goal,
}

impl Walk {
    /// The target's own request, inside TLS that names an innocent host and inside TLS that names the target: all that an
    /// observer can tell them by is the name.
    pub(super) async fn slow_name(&self, hop: u16, address: SocketAddr, own: &str, goal: &Goal) {
        let turn = |purpose, host: &str| {
            let offer = Offer { host: host.to_owned(), alpn: Alpn::Web };
            let goal = Goal { port: address.port(), tls: Some(offer), url: goal.url.clone(), by: By::Tcp };
            Turn { round: Round { trusts_anyone: true, ..self.in_turns(hop, purpose) }, address, goal }
        };
        let innocent = turn(Purpose::InnocentSni, &self.drive.config().innocent_sni);
        self.take_turns(&turn(Purpose::Retry, own), &innocent).await;
    }

    /// The target's own request in the clear and over TLS.
    pub(super) async fn slow_plain(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let Some(encrypted) = encrypted(goal) else { return };
        let copy =
            Turn { round: self.in_turns(hop, Purpose::HttpsCopy), address: over_tls(address.ip()), goal: encrypted };
        let own = Turn { round: self.in_turns(hop, Purpose::Retry), address, goal: goal.clone() };
        self.take_turns(&own, &copy).await;
    }

    fn in_turns(&self, hop: u16, purpose: Purpose) -> Round {
        Round { body: Some(BODY), ..self.round(hop, purpose) }
    }

    /// The other request goes first in each round.
    async fn take_turns(&self, own: &Turn, other: &Turn) {
        let (mut rounds, mut misses) = (Vec::new(), 0);
        for _ in 0..MOST_ROUNDS {
            if !self.drive.meter().has_room(ROUND_COST) {
                return self.no_room(own);
            }
            let other = self.take_turn(other).await;
            misses += usize::from(other.is_none());
            if misses == MISSES {
                return;
            }
            let own = self.take_turn(own).await;
            rounds.extend(own.zip(other).map(|(own, other)| goodput::Round { own, other }));
            if is_settled(&rounds) {
                return;
            }
        }
    }

    /// What came of one request, if it was made.
    async fn take_turn(&self, turn: &Turn) -> Option<Transfer> {
        let before = self.log.count();
        self.try_out(turn.round, turn.address, &turn.goal).await;
        self.log.look(|rows| transfer(&rows[before.min(rows.len())..]))
    }

    /// A round that would cost more than the run may.
    fn no_room(&self, own: &Turn) {
        if let Some(url) = &own.goal.url {
            let place = own.round.place(None, Some(own.address));
            self.log.skip(place, NotRun::MaxData, planned_request(url));
        }
    }
}

/// Whether further rounds would show no more.
fn is_settled(rounds: &[goodput::Round]) -> bool {
    let own: Vec<&Transfer> = rounds.iter().map(|round| &round.own).collect();
    let is_frozen = rounds.len() >= FREEZE_ROUNDS && stops(&own).is_some();
    let is_spared = rounds.iter().all(|round| round.other.is_whole);
    let is_shown = Comparison::of(rounds).is_some_and(|shown| shown.is_slower());
    is_shown || (is_frozen && is_spared) || !may_yet_differ(rounds)
}

/// What the rows of one connection show of its request.
fn transfer(rows: &[Observation]) -> Option<Transfer> {
    let of = |step| rows.iter().find(|row| row.step() == step);
    Transfer::of(of(Step::Tcp)?, of(Step::Tls), of(Step::Http)?)
}
