//! The same page over HTTP/3, where a site offers it and `--http3` asks for it; and what settles why it is silent.

use std::net::SocketAddr;

use faultline_record::{Failure, Purpose};

use super::Walk;
use super::connect::{By, Goal, Round};
use crate::follow_up::ROUNDS;

impl Walk {
    /// A handshake and a request. Where nothing answers, the experiments of QUIC follow: by name, and for versions.
    pub(super) async fn http3_copy(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let (Some(offer), Some(url)) = (&goal.tls, &goal.url) else { return };
        let copy = Goal { port: address.port(), tls: Some(offer.clone()), url: Some(url.clone()), by: By::Quic };
        let round = Round::new(hop, Purpose::Http3Copy, &self.drive.config().limits);
        self.try_out(round, address, &copy).await;
        let is_silent = self.log.look(|rows| {
            let mut tried = rows.iter().filter(|row| row.purpose == Purpose::Http3Copy && row.quic().is_some());
            tried.any(|row| row.outcome.failure() == Some(Failure::GenericTimeoutError))
        });
        if is_silent {
            for _ in 0..ROUNDS {
                self.quic_differential(hop, address, &offer.host).await;
            }
            self.negotiate(hop, address).await;
        }
    }
}
