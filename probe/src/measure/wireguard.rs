//! A tunnel of `WireGuard`'s: with whose keys it is asked, and how long it is waited for.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use faultline_record::{Endpoint, NotRun, Target, VpnProtocol};
use faultline_wire::wireguard::INITIATION;

use super::Walk;
use super::connect::Round;
use crate::drive::{Admission, Drive, Exchange, Patience, Peer};
use crate::vpn_keys::WireguardKey;

/// Of the time for a handshake: three first messages take fifteen seconds where a TLS handshake has ten (vpn reference,
/// section 7), two take six of a follow-up's four.
const LONGER: f64 = 1.5;

/// Where first messages come from.
#[derive(Clone, Debug)]
pub(super) enum Sender {
    /// Nobody can make one: the server's key is not known, or it is another protocol.
    Nobody,
    /// We make them.
    Own(Peer),
    /// A client of ours has made this one.
    Client(Box<[u8; INITIATION]>),
}

/// There is no first message for a helper to send.
pub(super) struct NoKey;

impl Sender {
    /// By the target and the keys that the user gave. Without one a key is made up, which a server under load answers.
    pub(super) fn of(drive: &Drive, target: &Target) -> Self {
        let Endpoint::Vpn { protocol: VpnProtocol::Wireguard, pubkey, .. } = target.endpoint else {
            return Self::Nobody;
        };
        let key = drive.config().vpn_keys.wireguard(target);
        let key = key.unwrap_or_else(|| Arc::new(WireguardKey::made_up()));
        pubkey.or(key.server).map_or(Self::Nobody, |server| Self::Own(Peer { server, key }))
    }
}

impl Walk {
    /// Why no first message is sent, if so.
    pub(super) fn unsent(&self, protocol: VpnProtocol) -> Option<NotRun> {
        match (protocol, &self.sender) {
            (VpnProtocol::Wireguard, Sender::Nobody) => Some(NotRun::NoKey),
            (VpnProtocol::Wireguard, Sender::Own(_)) if !self.drive.trusts_clock() => Some(NotRun::ClockWrong),
            _ => None,
        }
    }

    /// The exchange itself.
    pub(super) async fn ask_wireguard(&self, admission: Admission, address: SocketAddr, round: Round) -> Exchange {
        let patience = Patience { answer: round.tls.mul_f64(LONGER), data: self.drive.config().limits.tunnel_data };
        match &self.sender {
            Sender::Nobody => Exchange::not_run(VpnProtocol::Wireguard, NotRun::NoKey),
            Sender::Own(peer) => self.drive.tunnel_by_wireguard(admission, address, peer, round.first, patience).await,
            Sender::Client(message) => self.drive.relay_wireguard(admission, address, message, round.tls).await,
        }
    }

    /// A first message that a helper can send for us, if a key was given that a server may know.
    pub(super) async fn first_message_for_helper(&self) -> Result<String, NoKey> {
        let Sender::Own(peer) = &self.sender else { return Err(NoKey) };
        if peer.key.standing.is_none() || self.unsent(VpnProtocol::Wireguard).is_some() {
            return Err(NoKey);
        }
        let message = self.drive.wireguard_initiation(peer).await.ok_or(NoKey)?;
        Ok(BASE64_STANDARD.encode(message))
    }
}
