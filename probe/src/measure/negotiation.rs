//! Follow-ups to a silent QUIC handshake that need no name: does a server of QUIC live at the address, and does UDP pass here at all?

use std::net::{IpAddr, SocketAddr};

use faultline_record::{Engine, Family, Outcome, Purpose, QueryType, StepData, Tls};
use futures_util::future::join_all;

use super::Walk;
use super::connect::Round;
use crate::drive::Question;

/// The port at which the unrelated operators answer (RFC 9114 section 3.1.2): of another port they tell nothing.
const PORT: u16 = 443;

impl Walk {
    /// Asks for versions at the address; where none come, at the unrelated operators' addresses, of which a name is asked besides:
    /// they answer DNS over UDP where UDP passes.
    pub(super) async fn negotiate(&self, hop: u16, address: SocketAddr) {
        let answered = self.versions(hop, Purpose::VersionNegotiation, address).await;
        if answered || address.port() != PORT {
            return;
        }
        self.ask_strangers(hop, Family::of(address.ip())).await;
    }

    /// Whether UDP passes here at all: unrelated operators are asked for versions and for a name, at their own addresses.
    pub(super) async fn ask_strangers(&self, hop: u16, family: Family) {
        let strangers = self.drive.config().strangers.quic.iter();
        let strangers = strangers.filter_map(|all| all.iter().copied().find(|one| Family::of(*one) == family));
        join_all(strangers.map(|stranger| self.ask_stranger(hop, stranger))).await;
    }

    async fn ask_stranger(&self, hop: u16, stranger: IpAddr) {
        let (question, label) = (Question::new(&self.drive.config().innocent_sni, QueryType::A), stranger.to_string());
        let planned = question.unanswered(Engine::Udp, &label);
        let asking = self.dns(hop, Purpose::QuicElsewhere, planned, self.drive.ask_udp(&question, &label, stranger));
        // The rows are all that is wanted.
        let _ = tokio::join!(asking, self.versions(hop, Purpose::QuicElsewhere, SocketAddr::new(stranger, PORT)));
    }

    /// One question for versions; whether it was answered.
    async fn versions(&self, hop: u16, purpose: Purpose, address: SocketAddr) -> bool {
        let round = Round::follow_up(hop, purpose, &self.drive.config().limits);
        let place = round.place(Some(self.log.connection()), Some(address));
        let planned = || StepData::Quic(Tls::default());
        let admission = self.admission(address.ip()).await;
        let Ok(admission) = admission.inspect_err(|&reason| self.log.skip(place, reason, planned())) else {
            return false;
        };
        let ticket = self.log.begin();
        match self.cut.guard(Box::pin(self.drive.negotiate(admission, address, round.tls))).await {
            Ok(done) => {
                self.log.end(ticket, place, done.outcome, done.detail, StepData::Quic(done.seen));
                done.outcome == Outcome::Ok
            }
            Err(reason) => {
                self.log.end(ticket, place, Outcome::NotRun(reason), None, planned());
                false
            }
        }
    }
}
