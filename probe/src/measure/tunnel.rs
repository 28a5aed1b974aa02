//! A tunnel's steps: a connection and TLS where its protocol needs them, each a row of its own, and the exchange of first messages.

use std::net::SocketAddr;
use std::time::Duration;

use faultline_record::{NotRun, Outcome, StepData, Tls, Vpn, VpnCarrier, VpnKind, VpnPayload, VpnProtocol};

use super::Walk;
use super::connect::Round;
use super::log::{Place, Ticket};
use super::steps::{Offer, reason_after};
use crate::drive::{CUT, Exchange, FirstMessage, Known, Partner};
use crate::vpn_keys::ProxyKeys;

/// Of the usual time for an answer: what protocols wait that do not wait that long, or longer (vpn reference, section 7: 12 s for
/// IKE, 8 s for L2TP, where a TLS handshake has 10).
const IKE_SHARE: f64 = 1.2;
const L2TP_SHARE: f64 = 0.8;

/// An exchange that was begun, and what came of it unless it was cut short.
type Begun = (Ticket, Result<Exchange, NotRun>);

impl Walk {
    /// The first message of a tunnel. `Err` says why nothing can follow it.
    pub(super) async fn tunnel(
        &self,
        place: Place,
        address: SocketAddr,
        protocol: VpnProtocol,
        offer: Option<&Offer>,
        round: Round,
    ) -> Result<(), NotRun> {
        let planned = || StepData::Vpn(Vpn::planned(protocol));
        // Boxed: each is large, and lives across everything that this one does.
        let begun = match (protocol.carrier(), offer) {
            (VpnCarrier::Udp, _) => Box::pin(self.tunnel_by_udp(address, protocol, round)).await,
            (VpnCarrier::Tls, Some(offer)) if !is_instead(round.first) => {
                Box::pin(self.tunnel_by_tls(place, address, protocol, offer, round)).await
            }
            (VpnCarrier::Tcp | VpnCarrier::Tls, _) => {
                Box::pin(self.tunnel_by_tcp(place, address, protocol, round)).await
            }
        };
        let (ticket, done) = begun.inspect_err(|&reason| self.log.skip(place, reason, planned()))?;
        match done {
            Ok(Exchange { outcome, detail, seen }) => {
                self.log.end(ticket, place, outcome, detail, StepData::Vpn(seen));
                if outcome.is_ok() { Ok(()) } else { Err(reason_after(outcome)) }
            }
            Err(reason) => {
                self.log.end(ticket, place, Outcome::NotRun(reason), None, planned());
                Err(reason)
            }
        }
    }

    async fn tunnel_by_udp(&self, address: SocketAddr, protocol: VpnProtocol, round: Round) -> Result<Begun, NotRun> {
        if let Some(reason) = self.unsent(protocol) {
            return Err(reason);
        }
        let admission = self.turn(address.ip(), false).await?;
        let ticket = self.log.begin();
        let asking = async {
            if protocol == VpnProtocol::Wireguard {
                return self.ask_wireguard(admission, address, round).await;
            }
            let known = self.known(round);
            let patience = patience(protocol, round.tls);
            self.drive.tunnel_by_udp(admission, address, protocol, round.first, patience, &known).await
        };
        Ok((ticket, self.at_leisure(Box::pin(asking)).await))
    }

    async fn tunnel_by_tcp(
        &self,
        place: Place,
        address: SocketAddr,
        protocol: VpnProtocol,
        round: Round,
    ) -> Result<Begun, NotRun> {
        let admission = self.turn(address.ip(), true).await;
        let stream = self.dial(admission, place, address, round).await?;
        let ticket = self.log.begin();
        let asking = async {
            let server = self.server_name.as_str();
            if protocol == VpnProtocol::OpenvpnTcp {
                return self.drive.tunnel_by_tcp(stream, round.first, round.tls, &self.known(round)).await;
            }
            if (protocol.kind(), protocol.payload()) == (VpnKind::Proxy, VpnPayload::Encrypted) {
                let login = self.proxy_keys.login.clone().filter(|_| round.leads_on);
                let keys = ProxyKeys { login, ..self.proxy_keys.clone() };
                return self.drive.proxy_by_tcp(stream, protocol, round.first, round.tls, (&keys, server)).await;
            }
            let tap = stream.tap();
            self.drive.dialogue(stream, &tap, self.partner(protocol, false, round), round.first, round.tls).await
        };
        Ok((ticket, self.at_leisure(Box::pin(asking)).await))
    }

    /// Within TLS: whoever's certificate it is, for servers of tunnels mostly make their own. In disguise its greeting is cut in two.
    async fn tunnel_by_tls(
        &self,
        place: Place,
        address: SocketAddr,
        protocol: VpnProtocol,
        offer: &Offer,
        round: Round,
    ) -> Result<Begun, NotRun> {
        let round = Round { trusts_anyone: true, ..round };
        let admission = self.turn(address.ip(), true).await;
        let stream = self.dial(admission, place, address, round).await;
        let stream = stream.inspect_err(|&reason| self.log.skip(place, reason, StepData::Tls(Tls::default())))?;
        let tap = stream.tap();
        let stream = if round.first == FirstMessage::Disguised { stream.cut_after(CUT) } else { stream };
        let (stream, is_known) = self.tls_and_trust(place, stream, offer, round).await?;
        let ticket = self.log.begin();
        let asking = self.drive.dialogue(stream, &tap, self.partner(protocol, is_known, round), round.first, round.tls);
        Ok((ticket, self.at_leisure(Box::pin(asking)).await))
    }

    /// What is known of a server.
    fn known(&self, round: Round) -> Known<'_> {
        Known {
            key: self.openvpn_key.as_deref(),
            authority: self.authority.as_ref(),
            server: &self.server_name,
            public: self.server_key,
            logs_in: round.leads_on,
        }
    }

    fn partner(&self, protocol: VpnProtocol, is_known: bool, round: Round) -> Partner<'_> {
        let leads_on = round.leads_on && round.first == FirstMessage::Plain;
        Partner { protocol, host: &self.server_name, is_known, leads_on }
    }
}

/// Whether other octets go in the place of all that the protocol begins with, TLS included.
fn is_instead(first: FirstMessage) -> bool {
    matches!(first, FirstMessage::Instead(_))
}

/// How long a server is waited for, by how long one usually is.
fn patience(protocol: VpnProtocol, usual: Duration) -> Duration {
    match protocol {
        VpnProtocol::Ikev1 | VpnProtocol::Ikev2 => usual.mul_f64(IKE_SHARE),
        VpnProtocol::L2tp => usual.mul_f64(L2TP_SHARE),
        _ => usual,
    }
}
