//! Follow-ups: experiments that tell a name from an address, an answer made for one name from a broken resolver, a page
//! of the site's own from one in its place, slowness of a name from slowness of a path.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use faultline_record::{Engine, Failure, NotRun, Observation, Outcome, Purpose, QueryType, StepData};
use url::Url;

use super::connect::{By, Goal, Reached, Round};
use super::log::Place;
use super::questions::random_below;
use super::steps::Offer;
use super::{Known, Walk};
use crate::drive::{Alpn, Channel, Fetch, Hello, KnownPage, Question, SYSTEM};
use crate::follow_up::{Aim, Answer, Cost, Experiment, Next, is_follow_up, over_tls};

/// How long to wait before a connection that failed is tried once more: past a burst of loss, within a user's patience.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Segments that every path carries: the size that TCP uses when it knows nothing of a path (RFC 9293 section 3.7.1), in
/// packets of 576 octets, which every IPv4 host has to accept (RFC 791 section 3.1).
const SMALL_SEGMENT: u32 = 536;

/// Farther than any host (the longest paths of traceroutes are some 30 routers long, which is traceroute(8)'s own bound).
const FARTHEST: u8 = 32;
/// How long an answer is waited for: some round trips of the longest paths.
const LOCATE_WAIT: Duration = Duration::from_millis(1_500);
/// How often it is asked at each distance before silence is believed.
const LOCATE_TRIES: usize = 2;

/// Whether a row of a handshake shows that somebody answered, be it to cut it off.
fn speaks(row: &Observation) -> bool {
    let is_cut = matches!(
        row.outcome.failure(),
        Some(Failure::ConnectionReset | Failure::ConnectionAborted | Failure::EofError)
    );
    row.tls().is_some_and(|tls| is_cut || tls.bytes_received > 0 || row.outcome.is_ok())
}

impl Walk {
    /// Makes the follow-ups that the hop's rows ask for, round by round as the planner says: each kind once in a measurement.
    pub(super) async fn settle(
        &self,
        hop: u16,
        goal: &Goal,
        known: &mut Known,
        wanted: impl Fn(&[Observation], u16, &str) -> Vec<Experiment>,
    ) {
        if !self.drive.config().follow_up.are_made() {
            return;
        }
        known.planner.begin_stage();
        loop {
            let next = self.log.look(|rows| {
                let mut asked = wanted(rows, hop, &self.drive.config().innocent_sni);
                asked.retain(|experiment| self.is_fit(experiment));
                known.planner.next(&asked, rows)
            });
            match next {
                Next::Done => break,
                Next::Round(experiment) if self.purse.allows(experiment.trial().round) => {
                    if known.planner.is_prolonged(&experiment) {
                        self.cut.put_off(Duration::from_secs_f64(experiment.trial().round.seconds));
                    }
                    let answer = self.one_round(hop, &experiment, goal).await;
                    known.planner.note(&experiment, answer);
                }
                Next::Round(experiment) | Next::TooDear(experiment) => {
                    self.too_dear(hop, &experiment);
                    known.planner.note(&experiment, None);
                }
            }
        }
    }

    /// Whether an experiment is for this user and this target.
    fn is_fit(&self, experiment: &Experiment) -> bool {
        match experiment {
            Experiment::Locate { .. } => self.drive.config().follow_up.locate(),
            Experiment::Http3Copy { .. } => self.drive.config().http3,
            // A service with an authority of its own shows what nobody else has signed; that is how it is.
            Experiment::ForgedCertificate { .. } => !self.private_ca,
            _ => true,
        }
    }

    /// One round, and what it says.
    async fn one_round(&self, hop: u16, experiment: &Experiment, goal: &Goal) -> Option<Answer> {
        let (before, spent) = self.log.look(|rows| (rows.len(), Cost::of(rows)));
        self.experiment(hop, experiment, goal).await;
        self.log.look(|rows| {
            self.purse.spend(Cost::of(rows).since(spent));
            let own = rows[before.min(rows.len())..].iter();
            let own: Vec<&Observation> = own.filter(|row| row.hop == hop && is_follow_up(row.purpose)).collect();
            Answer::of(&own)
        })
    }

    /// An experiment that is left out for what it would cost has a row that says so.
    fn too_dear(&self, hop: u16, experiment: &Experiment) {
        if experiment.trial().aim == Aim::Describes {
            return;
        }
        let place = Place { hop, purpose: Purpose::Retry, connection: None, address: None, ttl: None };
        self.log.skip(place, NotRun::Budget, StepData::Tcp);
    }

    /// One round of an experiment.
    async fn experiment(&self, hop: u16, experiment: &Experiment, goal: &Goal) {
        match experiment {
            Experiment::SniDifferential { address, own } => self.sni_differential(hop, *address, own, goal).await,
            Experiment::TcpRetry { address } => self.tcp_retry(hop, *address, goal).await,
            Experiment::OtherPort { address } => self.other_port(hop, *address).await,
            Experiment::HostDifferential { address } => self.host_differential(hop, *address, goal).await,
            Experiment::HostAnywhere { family } => self.host_anywhere(hop, *family, goal).await,
            Experiment::ForgedCertificate { address } => {
                let innocent = self.drive.config().innocent_sni.clone();
                self.offer(hop, Purpose::InnocentSni, *address, &innocent, goal).await;
            }
            Experiment::HttpsCopy { addresses } => self.https_copy(hop, addresses, goal).await,
            Experiment::RandomName => self.random_name(hop, goal).await,
            Experiment::ProxyCheck { address } => self.proxy_check(hop, *address, goal).await,
            Experiment::SlowName { address, own } => self.slow_name(hop, *address, own, goal).await,
            Experiment::SlowPlain { address } => self.slow_plain(hop, *address, goal).await,
            Experiment::QuicDifferential { address, own } => self.quic_differential(hop, *address, own).await,
            Experiment::TcpCopy { address, own } => self.offer(hop, Purpose::TcpCopy, *address, own, goal).await,
            Experiment::Http3Copy { address } => self.http3_copy(hop, *address, goal).await,
            Experiment::VersionNegotiation { address } => self.negotiate(hop, *address).await,
            Experiment::OtherHellos { address, own } => self.other_hellos(hop, *address, own, goal).await,
            Experiment::OtherForms { address, own } => self.other_forms(hop, *address, own, goal).await,
            Experiment::Encrypted { address, own } => self.encrypted(hop, *address, own).await,
            Experiment::Elsewhere { beside, own } => self.elsewhere(hop, *beside, own, goal).await,
            Experiment::Residual { address } => self.residual(hop, *address, goal).await,
            Experiment::Locate { address, own } => self.locate(hop, *address, own, goal).await,
            Experiment::Tunnel { address } => self.tunnel_ladder(hop, *address, goal).await,
            Experiment::TunnelLooks { address } => self.tunnel_looks(hop, *address, goal).await,
            Experiment::TunnelResidual { address } => self.tunnel_residual(hop, *address, goal).await,
            Experiment::NoResolver { address } => self.no_resolver(hop, *address, goal).await,
            Experiment::OtherTransport { name, system, resolvers } => {
                Box::pin(self.other_transports(hop, name, *system, resolvers)).await;
            }
            Experiment::AddressCheck { addresses } => Box::pin(self.address_check(hop, addresses, goal)).await,
            Experiment::NameQuestions { name, is_silent } => Box::pin(self.name_questions(hop, name, *is_silent)).await,
            Experiment::TcpQuestions { name, resolver } => Box::pin(self.tcp_questions(hop, name, resolver)).await,
            Experiment::SmallSegments { address } => {
                let round = Round { segments: Some(SMALL_SEGMENT), ..self.round(hop, Purpose::SmallSegments) };
                self.try_out(round, *address, goal).await;
            }
        }
    }

    /// The target's own handshake with the name sent in other ways, as long as none is answered.
    async fn other_hellos(&self, hop: u16, address: SocketAddr, own: &str, goal: &Goal) {
        for (purpose, hello) in [
            (Purpose::SplitSegments, Hello::Segments),
            (Purpose::SplitRecords, Hello::Records),
            (Purpose::NoSni, Hello::NoName),
        ] {
            let round = Round { hello, ..self.round(hop, purpose) };
            if self.offer_in(round, address, own, goal).await {
                break;
            }
        }
    }

    /// How far a handshake must be sent until it is cut off, and how far until an innocent one is answered.
    async fn locate(&self, hop: u16, address: SocketAddr, own: &str, goal: &Goal) {
        let innocent = self.drive.config().innocent_sni.clone();
        for (purpose, name) in [(Purpose::Locate, own), (Purpose::LocateInnocent, innocent.as_str())] {
            self.farthest(hop, purpose, address, name, goal).await;
        }
    }

    /// Halves the range of distances until the nearest is left at which somebody answers. What was not answered is asked once
    /// more: packets are lost, too.
    async fn farthest(&self, hop: u16, purpose: Purpose, address: SocketAddr, name: &str, goal: &Goal) {
        let (mut silent, mut answered) = (0, FARTHEST);
        while answered - silent > 1 {
            let ttl = silent.midpoint(answered);
            let round = Round { ttl: Some(ttl), ..self.round(hop, purpose) };
            let round = Round { tls: round.tls.min(LOCATE_WAIT), ..round };
            let mut is_answered = false;
            for _ in 0..LOCATE_TRIES {
                let before = self.log.count();
                self.offer_in(round, address, name, goal).await;
                is_answered = self.log.look(|rows| rows[before.min(rows.len())..].iter().any(speaks));
                if is_answered {
                    break;
                }
            }
            if is_answered { answered = ttl } else { silent = ttl }
        }
    }

    /// A handshake that offers this name, and no request.
    pub(super) async fn offer(&self, hop: u16, purpose: Purpose, address: SocketAddr, host: &str, goal: &Goal) {
        self.offer_in(self.round(hop, purpose), address, host, goal).await;
    }

    /// The same in a round; whether the certificate was valid.
    pub(super) async fn offer_in(&self, round: Round, address: SocketAddr, host: &str, goal: &Goal) -> bool {
        let Some(offer) = &goal.tls else { return false };
        let offer = Offer { host: host.to_owned(), alpn: offer.alpn };
        let goal = Goal { port: address.port(), tls: Some(offer), url: None, by: By::Tcp };
        self.try_out(round, address, &goal).await.at_goal
    }

    /// One connection to the goal, request included if the goal has one.
    pub(super) async fn try_out(&self, round: Round, address: SocketAddr, goal: &Goal) -> Reached {
        self.chain(round, address, goal, &AtomicBool::new(false)).await
    }

    pub(super) fn round(&self, hop: u16, purpose: Purpose) -> Round {
        Round::follow_up(hop, purpose, &self.drive.config().limits)
    }

    async fn sni_differential(&self, hop: u16, address: SocketAddr, own: &str, goal: &Goal) {
        let innocent = self.drive.config().innocent_sni.clone();
        for (purpose, name) in in_random_order([(Purpose::InnocentSni, innocent.as_str()), (Purpose::Retry, own)]) {
            self.offer(hop, purpose, address, name, goal).await;
        }
    }

    pub(super) async fn quic_differential(&self, hop: u16, address: SocketAddr, own: &str) {
        let innocent = self.drive.config().innocent_sni.clone();
        for (purpose, host) in in_random_order([(Purpose::InnocentSni, innocent.as_str()), (Purpose::Retry, own)]) {
            let offer = Offer { host: host.to_owned(), alpn: Alpn::Web };
            let goal = Goal { port: address.port(), tls: Some(offer), url: None, by: By::Quic };
            self.try_out(self.round(hop, purpose), address, &goal).await;
        }
    }

    async fn tcp_retry(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let goal = Goal { port: goal.port, tls: None, url: None, by: By::Tcp };
        self.rest(RETRY_AFTER).await;
        self.try_out(Round::new(hop, Purpose::Retry, &self.drive.config().limits), address, &goal).await;
    }

    async fn host_differential(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let Some(own) = &goal.url else { return };
        let mut innocent = own.clone();
        if innocent.set_host(Some(&self.drive.config().innocent_sni)).is_err() {
            return;
        }
        for (purpose, url) in in_random_order([(Purpose::InnocentHost, &innocent), (Purpose::Retry, own)]) {
            let goal = Goal { port: address.port(), tls: None, url: Some(url.clone()), by: By::Tcp };
            self.try_out(self.round(hop, purpose), address, &goal).await;
        }
    }

    /// The goal over TLS. Of the first address that proves itself the page is had, and no other is asked.
    async fn https_copy(&self, hop: u16, addresses: &[IpAddr], goal: &Goal) {
        let Some(goal) = encrypted(goal) else { return };
        for &address in addresses {
            let round = self.round(hop, Purpose::HttpsCopy);
            if self.try_out(round, over_tls(address), &goal).await.at_goal {
                break;
            }
        }
    }

    /// A name under the same top-level domain that nobody has registered: sixteen random hexadecimal digits.
    async fn random_name(&self, hop: u16, goal: &Goal) {
        let Some(domain) = goal.host().and_then(|host| host.rsplit_once('.').map(|(_, last)| last.to_owned())) else {
            return;
        };
        let question = Question::new(&random_below(&domain), QueryType::A);
        let planned = question.unanswered(Engine::System, SYSTEM);
        // The row is all that is wanted.
        let _ = self.dns(hop, Purpose::RandomName, planned, self.drive.ask_system(&question)).await;
    }

    async fn no_resolver(&self, hop: u16, address: IpAddr, goal: &Goal) {
        let Some(host) = goal.host().map(str::to_owned) else { return };
        let (question, label) = (Question::new(&host, QueryType::A), address.to_string());
        let planned = question.unanswered(Engine::Udp, &label);
        // The row is all that is wanted.
        let _ = self.dns(hop, Purpose::NoResolver, planned, self.drive.ask_udp(&question, &label, address)).await;
    }

    /// One stranger after the other, as long as each is answered for.
    async fn proxy_check(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let strangers = &self.drive.config().strangers;
        let round = self.round(hop, Purpose::ProxyCheck);
        if goal.tls.is_none() {
            for page in &strangers.pages {
                if !self.is_answered(round, address, page).await {
                    break;
                }
            }
            return;
        }
        for name in &strangers.names {
            let offer = Offer { host: name.clone(), alpn: Alpn::None };
            let goal = Goal { port: address.port(), tls: Some(offer), url: None, by: By::Tcp };
            if !self.try_out(round, address, &goal).await.at_goal {
                break;
            }
        }
    }

    /// Whether the known answer comes from that address; another answer is a failure, and its row says so.
    async fn is_answered(&self, round: Round, address: SocketAddr, page: &KnownPage) -> bool {
        let place = round.place(Some(self.log.connection()), Some(address));
        let Ok(stream) = self.tcp(place, address, round).await else { return false };
        let is_known = |fetch: &Fetch| {
            fetch.seen.status == Some(page.status) && fetch.seen.body.as_deref().unwrap_or(&[]) == page.body.as_bytes()
        };
        let ticket = self.log.begin();
        let get = Box::pin(self.drive.get(Channel::Plain(stream), &page.url, round.http));
        let (outcome, detail, seen) = match self.cut.guard(get).await {
            Ok(fetch) if fetch.outcome.is_ok() && !is_known(&fetch) => {
                (Outcome::Failed(Failure::UnexpectedResponse), None, StepData::Http(fetch.seen))
            }
            Ok(fetch) => (fetch.outcome, fetch.detail, StepData::Http(fetch.seen)),
            Err(reason) => (Outcome::NotRun(reason), None, super::steps::planned_request(&page.url)),
        };
        self.log.end(ticket, place, outcome, detail, seen);
        outcome.is_ok()
    }
}

/// The halves of a round, either one first: what comes second may suffer for what came first.
pub(super) fn in_random_order<T>([one, other]: [T; 2]) -> [T; 2] {
    if rand::random() { [one, other] } else { [other, one] }
}

impl Goal {
    /// The host's name, if it has one.
    pub(super) fn host(&self) -> Option<&str> {
        let by_url = self.url.as_ref().and_then(Url::domain);
        by_url.or(self.tls.as_ref().map(|offer| offer.host.as_str()))
    }
}

/// The same request over TLS at the port for it; `None` where that needs no other request.
pub(super) fn encrypted(goal: &Goal) -> Option<Goal> {
    let mut url = goal.url.clone().filter(|url| url.scheme() == "http")?;
    let host = url.domain()?.to_owned();
    url.set_scheme("https").ok()?;
    let offer = Offer { host, alpn: Alpn::Web };
    Some(Goal { port: 443, tls: Some(offer), url: Some(url), by: By::Tcp })
}
