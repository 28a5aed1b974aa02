//! What a helper looks at for somebody else: one endpoint, no redirects, no follow-ups, by the steps that every
//! measurement is made of.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use faultline_record::{Endpoint, Family, HostName, NotRun, Observation, Purpose, StepData};
use tokio_util::sync::CancellationToken;

use super::connect::{Goal, Round};
use super::log::{Cut, Log, Place};
use super::wireguard::Sender;
use super::{Walk, goal, plain};
use crate::drive::Drive;
use crate::vpn_keys::ProxyKeys;

/// What is to be looked at, and what not.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Addresses to try besides those that the system's resolver gives.
    pub addresses: Vec<IpAddr>,
    /// A first message that is sent as it is, where only the client could make it.
    pub datagram: Option<Box<[u8; faultline_wire::wireguard::INITIATION]>>,
    /// Addresses tried in all.
    pub cap: usize,
    /// Addresses that are never dialled, whoever names them.
    pub forbidden: Arc<[IpAddr]>,
    /// Whether addresses that cannot be public are dialled.
    pub dials_bogons: bool,
    /// How long it may take; what is not done then is `not_run`.
    pub limit: Duration,
    /// Ends it early.
    pub cancel: CancellationToken,
}

/// Surveys an endpoint. Rows of addresses that were given (not resolved) have the purpose `comparison`.
pub async fn survey(drive: &Drive, wanted: Survey) -> Vec<Observation> {
    let walk = Walk {
        drive: drive.clone(),
        log: Log::start(),
        cut: Cut::new(wanted.cancel.clone(), wanted.limit),
        private_ca: false,
        dials_bogons: wanted.dials_bogons,
        helper: None,
        purse: Arc::default(),
        resting: Arc::default(),
        rests: AtomicUsize::new(0),
        sender: wanted.datagram.clone().map_or(Sender::Nobody, Sender::Client),
        openvpn_key: None,
        authority: None,
        proxy_keys: ProxyKeys::default(),
        server_name: plain(&wanted.endpoint.host_and_port().0),
        server_key: wanted.endpoint.server_key(),
    };
    walk.survey(&wanted).await;
    walk.log.take()
}

impl Walk {
    async fn survey(&self, wanted: &Survey) {
        let (host, goal) = goal(&wanted.endpoint);
        let resolved = match host {
            HostName::Address(address) => vec![address],
            HostName::Name(name) => self.resolve_both(&name).await,
        };
        let given = wanted.addresses.iter().copied().filter(|address| !resolved.contains(address));
        let mut given: Vec<IpAddr> = given.collect();
        given.truncate(wanted.cap.saturating_sub(resolved.len()).max(wanted.cap / 2));
        let own = resolved.into_iter().take(wanted.cap - given.len()).collect();
        let own = self.allowed(own, wanted, Purpose::Main, &goal);
        let given = self.allowed(given, wanted, Purpose::Comparison, &goal);
        // The page is asked of an address that the helper found for itself: the client's may be a censor's.
        let silent = Goal { url: goal.url.clone().filter(|_| own.is_empty()), ..goal.clone() };
        let limits = &self.drive.config().limits;
        // For strangers nothing is sent through anybody's proxy.
        let round = |purpose| Round { leads_on: false, ..Round::new(0, purpose, limits) };
        tokio::join!(
            self.connect_all(round(Purpose::Main), &own, &goal),
            self.connect_all(round(Purpose::Comparison), &given, &silent),
        );
    }

    async fn resolve_both(&self, name: &str) -> Vec<IpAddr> {
        let six =
            async { if self.drive.config().ipv6 { self.resolve(0, name, Family::V6).await } else { Ok(Vec::new()) } };
        let (four, six) = tokio::join!(self.resolve(0, name, Family::V4), six);
        four.into_iter().chain(six).flatten().collect()
    }

    /// Leaves out what is forbidden; each such address has a row that says so.
    fn allowed(&self, addresses: Vec<IpAddr>, wanted: &Survey, purpose: Purpose, goal: &Goal) -> Vec<IpAddr> {
        let (refused, allowed) =
            addresses.into_iter().partition(|address: &IpAddr| wanted.forbidden.contains(&address.to_canonical()));
        let refused: Vec<IpAddr> = refused;
        for address in refused {
            let at = Some(SocketAddr::new(address, goal.port));
            let place = Place { hop: 0, purpose, connection: Some(self.log.connection()), address: at, ttl: None };
            self.log.skip(place, NotRun::BogonAddress, StepData::Tcp);
        }
        allowed
    }
}
