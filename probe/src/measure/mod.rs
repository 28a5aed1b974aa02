//! The walk of one target through its steps, and the rows that come of it.
//!
//! Each redirect hop is a round of its own: the system's resolver (A and AAAA apart) with the public ones beside it,
//! connections to all addresses side by side, one request a family. Where the system's answer led nowhere, the other
//! resolvers' addresses are tried in the same way, and follow-ups are made.
//!
//! A measurement always walks to its end and never fails. When the run ends or the target's deadline passes, each step
//! that is left, and the one under way, becomes `not_run` at once, with the reason.

mod anywhere;
mod connect;
mod control;
mod experiments;
mod http3;
mod ladder;
mod log;
mod names;
mod negotiation;
mod questions;
mod resolve;
mod slow;
mod steps;
mod survey;
#[cfg(test)]
mod tests;
mod tunnel;
mod wireguard;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use faultline_record::{
    Endpoint, Engine, Failure, Family, HostName, Http, Measurement, MeasurementId, Network, NotRun, Observation,
    Outcome, Purpose, QueryType, RunId, ServerKey, StepData, Target, Timestamp, VpnProtocol,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::connect::{By, Goal, Reached, Round};
use self::log::{Cut, Log, Place};
use self::resolve::{Comparisons, query_type};
use self::steps::Offer;
use self::wireguard::Sender;
use crate::clock::RunClock;
use crate::drive::{Alpn, Drive, Fetch, Question, Scrubber, is_bogon};
use crate::follow_up::{self, Experiment, Planner, Purse};
use crate::helper::HelperClient;
use crate::vpn_keys::{Authority, OpenvpnKey, ProxyKeys};

pub use self::survey::{Survey, survey};

/// What a measurement belongs to, and what can end it early.
#[derive(Clone, Debug)]
pub struct MeasureContext {
    /// The run.
    pub run: RunId,
    /// The run's clock.
    pub clock: RunClock,
    /// The vantage.
    pub network: Network,
    /// Ends the measurement early; what was not done is `not_run: interrupted`.
    pub cancel: CancellationToken,
    /// Whom to ask for a look from outside, where the vantage's own does not speak for itself.
    pub helper: Option<Arc<HelperClient>>,
    /// What the run's follow-ups have cost.
    pub purse: Arc<Purse>,
    /// How many measurements rest: they wait for a time to pass, and others can be made meanwhile.
    pub resting: Arc<AtomicUsize>,
}

impl MeasureContext {
    /// The context of a run's measurements, of which nothing is spent yet.
    pub fn new(
        run: RunId,
        clock: RunClock,
        network: Network,
        cancel: CancellationToken,
        helper: Option<Arc<HelperClient>>,
    ) -> Self {
        Self { run, clock, network, cancel, helper, purse: Arc::default(), resting: Arc::default() }
    }
}

/// Measures one target. Never fails: what went wrong is in the rows.
pub async fn measure(drive: &Drive, target: &Target, context: MeasureContext) -> Measurement {
    let started_at = Timestamp::now();
    let offset_ms = context.clock.now_ms();
    let walk = Arc::new(Walk {
        drive: drive.clone(),
        log: Log::start(),
        cut: Cut::new(context.cancel, drive.config().limits.target),
        private_ca: target.private_ca,
        dials_bogons: drive.dials_bogons() || names_own_machine(&target.endpoint),
        helper: context.helper,
        purse: context.purse,
        resting: context.resting,
        rests: AtomicUsize::new(0),
        sender: Sender::of(drive, target),
        openvpn_key: drive.config().vpn_keys.openvpn(target),
        authority: drive.config().vpn_keys.authority(target),
        proxy_keys: drive.config().vpn_keys.proxy(target),
        server_name: match target.endpoint.offered_name() {
            Some(name) => name.to_owned(),
            None => plain(&target.endpoint.host_and_port().0),
        },
        server_key: target.endpoint.server_key(),
    });
    match &target.endpoint {
        Endpoint::Dns { resolver, name } => Box::pin(walk.ask_one(*resolver, name)).await,
        // Boxed, so that those who hold many measurements at once hold little of each.
        endpoint => Box::pin(walk.follow(endpoint)).await,
    }
    Measurement {
        id: MeasurementId::new(),
        run: context.run,
        target: target.clone(),
        started_at,
        offset_ms,
        duration_ms: walk.log.now_ms(),
        network: context.network,
        observations: walk.log.take(),
    }
}

/// Whether the input itself names an address that cannot be public: a server of the user's own.
fn names_own_machine(endpoint: &Endpoint) -> bool {
    match endpoint.host_and_port().0 {
        HostName::Address(address) => is_bogon(address),
        HostName::Name(name) => is_localhost(&name),
    }
}

/// Names that are this machine and are asked of nobody (RFC 6761, 6.3).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// One measurement in the making.
#[derive(Debug)]
struct Walk {
    drive: Drive,
    log: Log,
    cut: Cut,
    private_ca: bool,
    dials_bogons: bool,
    helper: Option<Arc<HelperClient>>,
    purse: Arc<Purse>,
    resting: Arc<AtomicUsize>,
    /// How many of its own steps rest.
    rests: AtomicUsize,
    sender: Sender,
    openvpn_key: Option<Arc<OpenvpnKey>>,
    /// Whom the target's servers have their certificates from, by the user's word.
    authority: Option<Arc<Authority>>,
    proxy_keys: ProxyKeys,
    /// What a server's certificate is held against, where no name is offered.
    server_name: String,
    /// The server's public key, where the target names it by one.
    server_key: Option<ServerKey>,
}

/// Which experiments rows ask for.
type Stage = fn(&[Observation], u16, &str) -> Vec<Experiment>;

/// What is looked into once everybody has answered, in order.
const LAST_STAGES: [Stage; 6] = [
    follow_up::other_transports,
    follow_up::untried_addresses,
    follow_up::at_last,
    follow_up::other_transports,
    follow_up::untried_addresses,
    follow_up::questions_on_the_name,
];

/// What a walk keeps from hop to hop.
#[derive(Default)]
struct Known {
    /// Addresses of hosts that were resolved, by family.
    addresses: HashMap<String, [Vec<IpAddr>; 2]>,
    /// Comparisons that nobody has waited for yet.
    comparisons: Vec<Comparisons>,
    /// Follow-ups that were made, and what is next.
    planner: Planner,
}

impl Walk {
    /// Lets a time pass. The target's deadline is put off by it, and its place in the run is free meanwhile.
    async fn rest(&self, time: Duration) {
        self.cut.put_off(time);
        // When it is cut short, the rows after it say so.
        let _ = self.at_leisure(tokio::time::sleep(time)).await;
    }

    /// Does what is mostly waiting, of a few packets: its place in the run is free meanwhile.
    async fn at_leisure<T>(&self, doing: impl Future<Output = T>) -> Result<T, NotRun> {
        let _rest = Rest::begin(self);
        self.cut.guard(doing).await
    }

    /// `dns://`: one resolver's word, by our own query.
    async fn ask_one(&self, resolver: IpAddr, name: &str) {
        let types: &[QueryType] =
            if self.drive.config().ipv6 { &[QueryType::A, QueryType::Aaaa] } else { &[QueryType::A] };
        let label = resolver.to_string();
        let asking = types.iter().map(|&query_type| {
            let question = Question::new(name, query_type);
            let label = &label;
            async move {
                let planned = question.unanswered(Engine::Udp, label);
                if let Some(reason) = self.out_of_reach(resolver) {
                    let place = Place { hop: 0, purpose: Purpose::Main, connection: None, address: None, ttl: None };
                    return self.log.skip(place, reason, StepData::Dns(planned));
                }
                let asking = self.drive.ask_udp(&question, label, resolver);
                // The row is all that is wanted.
                let _ = self.dns(0, Purpose::Main, planned, asking).await;
            }
        });
        futures_util::future::join_all(asking).await;
    }

    /// Follows an endpoint and its redirects.
    async fn follow(self: &Arc<Self>, endpoint: &Endpoint) {
        let mut known = Known::default();
        let (mut host, mut goal) = goal(endpoint);
        let mut hops = Vec::new();
        for hop in 0.. {
            // Boxed: it holds every step and every experiment.
            let fetch = Box::pin(self.hop(hop, &host, &goal, &mut known)).await;
            hops.push(goal.clone());
            let Some(url) = fetch.and_then(|fetch| self.next(hop, goal.leads_from(), &fetch)) else { break };
            let endpoint = Endpoint::Web(url);
            (host, goal) = self::goal(&endpoint);
        }
        for comparison in std::mem::take(&mut known.comparisons) {
            // A comparison ends in rows; that it panicked would be a bug of ours, and is logged by the runtime.
            let _ = comparison.await;
        }
        for (hop, goal) in (0..).zip(&hops) {
            // What one stage found, the next asks about; a page's copy can put a name in dispute, and an address prove it.
            for stage in LAST_STAGES {
                self.settle(hop, goal, &mut known, stage).await;
            }
        }
    }

    /// One round: resolve, connect, and where that led nowhere, ask further.
    async fn hop(self: &Arc<Self>, hop: u16, host: &HostName, goal: &Goal, known: &mut Known) -> Option<Fetch> {
        let round = Round::new(hop, Purpose::Main, &self.drive.config().limits);
        let is_new = matches!(host, HostName::Name(name) if !known.addresses.contains_key(name));
        let comparisons = match host {
            HostName::Name(name) if is_new => Some(self.compare(hop, name)),
            _ => None,
        };
        let (four, six) = tokio::join!(
            self.family(round, host, Family::V4, goal, known.of(host, Family::V4)),
            self.family(round, host, Family::V6, goal, known.of(host, Family::V6)),
        );
        let addresses = [four.addresses, six.addresses];
        if addresses.iter().all(Vec::is_empty) {
            self.skip_all(round, goal, four.stopped.or(six.stopped).unwrap_or(NotRun::NoAddress));
        }
        let tried = addresses.concat();
        let control = async {
            if ![&four.end, &six.end].into_iter().any(|end| control::speaks_for_itself(end, goal)) {
                self.ask_helper(hop, host, goal, &tried).await;
            }
        };
        if four.end.at_goal || six.end.at_goal {
            known.comparisons.extend(comparisons);
            tokio::join!(self.settle(hop, goal, known, follow_up::wanted), control);
        } else {
            let (others, settled) =
                (self.try_others(hop, comparisons, &tried, goal), self.settle(hop, goal, known, follow_up::wanted));
            if self.goes_one_by_one(goal) {
                control.await;
                others.await;
                settled.await;
            } else {
                tokio::join!(others, settled, control);
            }
        }
        if let HostName::Name(name) = host {
            known.addresses.insert(name.clone(), addresses);
        }
        four.end.fetch.into_iter().chain(six.end.fetch).find(|fetch| fetch.seen.status.is_some())
    }

    /// Whether never two first messages may be under way: a server of `WireGuard`'s answers none that is dated before the last one, and
    /// pptpd, while a connection says nothing yet (for ten seconds), nobody else.
    fn goes_one_by_one(&self, goal: &Goal) -> bool {
        matches!(self.sender, Sender::Own(_)) || goal.by == By::Tunnel(VpnProtocol::Pptp)
    }

    /// One family of a round.
    async fn family(
        &self,
        round: Round,
        host: &HostName,
        family: Family,
        goal: &Goal,
        known: Option<Vec<IpAddr>>,
    ) -> FamilyEnd {
        let resolved = match (host, known) {
            (_, Some(addresses)) => Ok(addresses),
            (HostName::Address(address), None) => {
                Ok((Family::of(*address) == family).then_some(*address).into_iter().collect())
            }
            (HostName::Name(name), None) => self.resolve(round.hop, name, family).await,
        };
        let (addresses, stopped) = match resolved {
            Ok(addresses) => (addresses, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let (tested, left_out) = addresses.split_at(addresses.len().min(self.drive.config().limits.addresses));
        self.leave_out(round, left_out, goal);
        let end = self.connect_all(round, tested, goal).await;
        FamilyEnd { end, addresses, stopped }
    }

    /// Tries the addresses that only the other resolvers gave: a certificate that is valid there shows that the
    /// system's answer was not genuine.
    async fn try_others(&self, hop: u16, comparisons: Option<Comparisons>, tried: &[IpAddr], goal: &Goal) {
        let Some(comparisons) = comparisons else { return };
        // Without the comparisons there is nothing to try; see `follow` for the error.
        let found = comparisons.await.unwrap_or_default();
        let limits = &self.drive.config().limits;
        let round = Round::new(hop, Purpose::Comparison, limits);
        let of = |family| -> Vec<IpAddr> {
            let only = found.iter().copied().filter(|address| !tried.contains(address));
            only.filter(|&address| Family::of(address) == family).take(limits.addresses).collect()
        };
        let (four, six) = (of(Family::V4), of(Family::V6));
        tokio::join!(self.connect_all(round, &four, goal), self.connect_all(round, &six, goal));
    }

    /// Where a response leads. A redirect that cannot be followed has a row of its own in the next hop.
    fn next(&self, hop: u16, from: Option<&Url>, fetch: &Fetch) -> Option<Url> {
        let is_redirect = matches!(fetch.seen.status, Some(301 | 302 | 303 | 307 | 308));
        let location = fetch.location.as_deref().filter(|_| is_redirect)?;
        let failure = match from?.join(location) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => return None,
            Ok(url) if url.host_str().is_none_or(str::is_empty) => Failure::HttpInvalidRedirectLocationHost,
            Ok(_) if hop >= self.drive.config().limits.redirects => Failure::HttpTooManyRedirects,
            Ok(mut url) => {
                // What a probe never sends, a redirect does not make it send.
                let _ = url.set_username("").and_then(|()| url.set_password(None));
                return Some(url);
            }
            Err(_) => Failure::HttpInvalidRedirectLocationHost,
        };
        let place = Place { hop: hop + 1, purpose: Purpose::Main, connection: None, address: None, ttl: None };
        let http = Http { url: Scrubber::default().place(location), ..Http::default() };
        self.log.end(self.log.begin(), place, Outcome::Failed(failure), None, StepData::Http(http));
        None
    }
}

/// A measurement that rests, however many of its steps do; over when it is dropped.
struct Rest<'a>(&'a Walk);

impl<'a> Rest<'a> {
    fn begin(walk: &'a Walk) -> Self {
        if walk.rests.fetch_add(1, Ordering::Relaxed) == 0 {
            walk.resting.fetch_add(1, Ordering::Relaxed);
        }
        Self(walk)
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.0.rests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.resting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What came of one family in a round.
struct FamilyEnd {
    end: Reached,
    addresses: Vec<IpAddr>,
    /// Why the name was not resolved, if it was not.
    stopped: Option<NotRun>,
}

impl Known {
    fn of(&self, host: &HostName, family: Family) -> Option<Vec<IpAddr>> {
        let HostName::Name(name) = host else { return None };
        let index = usize::from(query_type(family) == QueryType::Aaaa);
        self.addresses.get(name).map(|addresses| addresses[index].clone())
    }
}

/// A host without the brackets that URLs put around addresses.
fn plain(host: &HostName) -> String {
    match host {
        HostName::Name(name) => name.clone(),
        HostName::Address(address) => address.to_string(),
    }
}

/// What an endpoint wants of a connection.
fn goal(endpoint: &Endpoint) -> (HostName, Goal) {
    let (host, port) = endpoint.host_and_port();
    let (tls, url) = match endpoint {
        Endpoint::Web(url) => {
            let offer = Offer { host: plain(&host), alpn: Alpn::Web };
            ((url.scheme() == "https").then_some(offer), Some(url.clone()))
        }
        Endpoint::Tls { sni, .. } | Endpoint::Quic { sni, .. } => {
            let name = sni.clone().unwrap_or_else(|| plain(&host));
            (Some(Offer { host: name, alpn: Alpn::None }), endpoint.http3_url())
        }
        Endpoint::Vpn { protocol, .. } if protocol.has_tls_step() => {
            (Some(Offer { host: plain(&host), alpn: Alpn::None }), None)
        }
        Endpoint::Tcp { .. } | Endpoint::Vpn { .. } | Endpoint::Dns { .. } | Endpoint::Foreign(_) => (None, None),
    };
    let host = match host {
        HostName::Name(name) if is_localhost(&name) => HostName::Address(Ipv4Addr::LOCALHOST.into()),
        host => host,
    };
    let by = match endpoint {
        Endpoint::Quic { .. } => By::Quic,
        Endpoint::Vpn { protocol, .. } => By::Tunnel(*protocol),
        _ => By::Tcp,
    };
    (host, Goal { port, tls, url, by })
}
