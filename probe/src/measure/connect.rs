//! Connections to a host's addresses, side by side: TCP, then TLS, then one request a family.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faultline_record::{NotRun, Purpose, StepData, Tls, Vpn, VpnProtocol};
use futures_util::future::join_all;
use url::Url;

use super::Walk;
use super::log::Place;
use super::steps::{Offer, planned_request};
use crate::drive::{Channel, Fetch, FirstMessage, Hello, QuicChannel};
use crate::limits::Limits;

/// What is wanted of a connection.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    pub(super) port: u16,
    /// A handshake, if there is to be one.
    pub(super) tls: Option<Offer>,
    /// A request, if there is to be one.
    pub(super) url: Option<Url>,
    /// What carries it.
    pub(super) by: By,
}

impl Goal {
    /// What a redirect is relative to, where redirects are followed: over QUIC they are not, for they lead to TCP.
    pub(super) fn leads_from(&self) -> Option<&Url> {
        self.url.as_ref().filter(|_| self.by == By::Tcp)
    }
}

/// What carries a connection's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// TCP.
    Tcp,
    /// QUIC, which is connection and handshake in one.
    Quic,
    /// The first message of a tunnel, over UDP or TCP.
    Tunnel(VpnProtocol),
}

impl By {
    /// The step that stands in the place of TCP and TLS, not made yet; `None` where it is these.
    pub(super) fn instead(self) -> Option<StepData> {
        match self {
            Self::Tcp => None,
            Self::Quic => Some(StepData::Quic(Tls::default())),
            Self::Tunnel(protocol) => Some(StepData::Vpn(Vpn::planned(protocol))),
        }
    }
}

/// Which round connections belong to, and how long each step may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) hop: u16,
    pub(super) purpose: Purpose,
    pub(super) tcp: Duration,
    pub(super) tls: Duration,
    pub(super) http: Duration,
    /// Whether a request is made although the chain is not valid for the name that was offered.
    pub(super) trusts_anyone: bool,
    /// The longest segments that the peer is told to send, octets.
    pub(super) segments: Option<u32>,
    /// How the name is sent.
    pub(super) hello: Hello,
    /// How a tunnel's first message is sent.
    pub(super) first: FirstMessage,
    /// Whether a proxy that lets everybody through is made use of, and an account that the user has given.
    pub(super) leads_on: bool,
    /// How many routers far a handshake is sent.
    pub(super) ttl: Option<u8>,
    /// Octets of a body that are read, where it is less than usual.
    pub(super) body: Option<usize>,
}

impl Round {
    pub(super) fn new(hop: u16, purpose: Purpose, limits: &Limits) -> Self {
        Self {
            hop,
            purpose,
            tcp: limits.tcp,
            tls: limits.tls,
            http: limits.http,
            trusts_anyone: false,
            segments: None,
            hello: Hello::Plain,
            first: FirstMessage::Plain,
            leads_on: true,
            ttl: None,
            body: None,
        }
    }

    /// A round of follow-ups: after a failure nobody waits that long again.
    pub(super) fn follow_up(hop: u16, purpose: Purpose, limits: &Limits) -> Self {
        let limit = limits.follow_up_tls;
        Self { tcp: limit, tls: limit, http: limit, ..Self::new(hop, purpose, limits) }
    }

    pub(super) fn place(self, connection: Option<u32>, address: Option<SocketAddr>) -> Place {
        Place { hop: self.hop, purpose: self.purpose, connection, address, ttl: None }
    }
}

/// What came of connections.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// What was wanted was had: a verified handshake, a connection where no handshake was wanted, a response where the
    /// request goes in the clear.
    pub(super) at_goal: bool,
    /// The request's end, if one was made.
    pub(super) fetch: Option<Fetch>,
    /// Why the last step was not made, if it was not.
    stopped: Option<NotRun>,
}

impl Reached {
    fn stopped(reason: NotRun) -> Self {
        Self { stopped: Some(reason), ..Self::default() }
    }

    fn had() -> Self {
        Self { at_goal: true, ..Self::default() }
    }
}

impl Walk {
    /// Connects to the addresses of one family. One request is made, over the connection that is ready first.
    pub(super) async fn connect_all(&self, round: Round, addresses: &[IpAddr], goal: &Goal) -> Reached {
        if addresses.is_empty() {
            return Reached::default();
        }
        let claim = AtomicBool::new(false);
        let chains = addresses.iter().map(|&ip| self.chain(round, SocketAddr::new(ip, goal.port), goal, &claim));
        let all = join_all(chains).await.into_iter().reduce(|one, other| Reached {
            at_goal: one.at_goal || other.at_goal,
            fetch: one.fetch.or(other.fetch),
            stopped: one.stopped.or(other.stopped),
        });
        let all = all.unwrap_or_default();
        if let (Some(url), false) = (&goal.url, claim.into_inner()) {
            let reason = all.stopped.unwrap_or(NotRun::PreviousStepFailed);
            self.log.skip(round.place(None, None), reason, planned_request(url));
        }
        all
    }

    /// Addresses beyond the cap have a row each, and no more.
    pub(super) fn leave_out(&self, round: Round, addresses: &[IpAddr], goal: &Goal) {
        for &address in addresses {
            let place = round.place(None, Some(SocketAddr::new(address, goal.port)));
            self.log.skip(place, NotRun::AddressCap, goal.by.instead().unwrap_or(StepData::Tcp));
        }
    }

    /// There is nothing to connect to: every planned step has a row that says so.
    pub(super) fn skip_all(&self, round: Round, goal: &Goal, reason: NotRun) {
        let place = round.place(None, None);
        let instead = goal.by.instead();
        let has_tls = goal.tls.is_some() && instead.is_none();
        self.log.skip(place, reason, instead.unwrap_or(StepData::Tcp));
        if has_tls {
            self.log.skip(place, reason, StepData::Tls(Tls::default()));
        }
        if let Some(url) = &goal.url {
            self.log.skip(place, reason, planned_request(url));
        }
    }

    /// One connection, as far as it gets.
    pub(super) async fn chain(&self, round: Round, address: SocketAddr, goal: &Goal, claim: &AtomicBool) -> Reached {
        let place = round.place(Some(self.log.connection()), Some(address));
        match (goal.by, &goal.tls) {
            (By::Quic, Some(offer)) => {
                let end = self.quic(place, address, offer, round).await;
                return match end {
                    Ok(channel) => self.request_by_quic(place, channel, goal, claim, round).await,
                    Err(reason) => Reached::stopped(reason),
                };
            }
            (By::Tunnel(protocol), offer) => {
                let end = self.tunnel(place, address, protocol, offer.as_ref(), round).await;
                return end.map_or_else(Reached::stopped, |()| Reached::had());
            }
            _ => {}
        }
        let tcp = self.tcp(place, address, round).await;
        let channel = match (tcp, &goal.tls) {
            (Ok(stream), None) => Ok(Channel::Plain(stream)),
            (Ok(stream), Some(offer)) => {
                self.tls(place, stream, offer, round).await.map(|stream| Channel::Secure(Box::new(stream)))
            }
            (Err(reason), None) => Err(reason),
            (Err(reason), Some(_)) => {
                self.log.skip(place, reason, StepData::Tls(Tls::default()));
                Err(reason)
            }
        };
        match (channel, &goal.url) {
            (Err(reason), _) => Reached::stopped(reason),
            (Ok(_), None) => Reached::had(),
            (Ok(channel), Some(url)) => {
                let is_secure = goal.tls.is_some();
                if claim.swap(true, Ordering::Relaxed) {
                    return Reached { at_goal: is_secure, ..Reached::default() };
                }
                match self.http(place, channel, url, round).await {
                    Ok(fetch) => {
                        let responded = fetch.seen.status.is_some();
                        Reached { at_goal: is_secure || responded, fetch: Some(fetch), stopped: None }
                    }
                    Err(reason) => Reached { at_goal: is_secure, ..Reached::stopped(reason) },
                }
            }
        }
    }

    /// The request behind a QUIC handshake, if there is to be one and nobody else makes it.
    async fn request_by_quic(
        &self,
        place: Place,
        channel: Option<QuicChannel>,
        goal: &Goal,
        claim: &AtomicBool,
        round: Round,
    ) -> Reached {
        let (Some(channel), Some(url)) = (channel, &goal.url) else { return Reached::had() };
        if claim.swap(true, Ordering::Relaxed) {
            return Reached::had();
        }
        let get = Box::pin(self.drive.get_by_quic(channel, url, round.http));
        match self.request(place, url, get).await {
            Ok(fetch) => Reached { fetch: Some(fetch), ..Reached::had() },
            Err(reason) => Reached { at_goal: true, ..Reached::stopped(reason) },
        }
    }
}
