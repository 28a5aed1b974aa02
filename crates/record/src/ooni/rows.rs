//! From steps to the rows of one measurement: who was asked for whom, and what ran over one connection.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use url::Url;

use crate::bogon::is_bogon;
use crate::failure::{Failure, Layer};
use crate::model::{
    Dns, DnsAnswer, DnsRecord, Engine, NotRun, Observation, Outcome, Purpose, QueryType, StepData, Tls,
};

use super::failures::Failed;
use super::flow::{Fetch, Flow, Mark, Query, Record, Shake};
use super::lines::{Line, is_of_responses, lines};

/// Rows that a measurement can hold (`seq` in the schema).
const ROWS: usize = 65_535;

/// Rows in the making.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Observation>,
    connections: u32,
}

/// Where a row belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) hop: u16,
    pub(super) purpose: Purpose,
    pub(super) connection: Option<u32>,
    pub(super) to: Option<SocketAddr>,
}

/// What a hop went for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal<'u> {
    /// The URL, where one was asked for.
    pub(super) url: Option<&'u Url>,
    /// What counts as a second try.
    pub(super) again: Again,
}

/// When a connection is a second try at the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Never: the test goes to every address once.
    Never,
    /// When it is made for a request, after another one was.
    Requests,
    /// When another one stood before.
    Connections,
}

impl Rows {
    /// The rows, in the order in which they were added.
    pub(super) fn finish(self) -> Vec<Observation> {
        self.rows
    }

    /// A number for a new connection.
    pub(super) fn connection(&mut self) -> u32 {
        self.connections += 1;
        self.connections
    }

    /// Adds a row.
    pub(super) fn push(&mut self, place: Place, mark: &Mark, data: StepData) {
        let outcome = mark.failed.as_ref().map_or(Outcome::Ok, |failed| Outcome::Failed(failed.failure));
        self.add(place, (mark.t0_ms, mark.t_ms), outcome, mark.failed.as_ref().and_then(|f| f.detail.clone()), data);
    }

    /// Adds a row of a step that was not made.
    pub(super) fn skip(&mut self, place: Place, at_ms: f64, reason: NotRun, data: StepData) {
        self.add(place, (at_ms, at_ms), Outcome::NotRun(reason), None, data);
    }

    /// Adds a row that another row implies.
    fn imply(&mut self, place: Place, at_ms: f64, data: StepData) {
        self.add(place, (at_ms, at_ms), Outcome::Ok, Some("implied by the step after it".into()), data);
    }

    fn add(
        &mut self,
        place: Place,
        (began, ended): (f64, f64),
        outcome: Outcome,
        detail: Option<String>,
        data: StepData,
    ) {
        if self.rows.len() < ROWS {
            #[expect(clippy::cast_possible_truncation, reason = "at most 65,535 rows")]
            let seq = self.rows.len() as u32 + 1;
            let Place { hop, purpose, connection, to } = place;
            let (address, port) = (to.map(|to| to.ip()), to.map(|to| to.port()));
            self.rows.push(Observation {
                seq,
                hop,
                purpose,
                connection,
                t0_ms: began,
                t_ms: ended,
                outcome,
                detail,
                address,
                port,
                ttl: None,
                data,
            });
        }
    }

    /// Adds a question; one for both families becomes a row for each that was answered.
    pub(super) fn query(&mut self, hop: u16, purpose: Purpose, query: &Query) {
        let of_family = |v6: bool| {
            let fits = move |record: &DnsRecord| !matches!(record, DnsRecord::Address(ip) if ip.is_ipv6() != v6);
            query.records.iter().filter(move |(record, _)| fits(record)).cloned().collect::<Vec<_>>()
        };
        let has = |v6: bool| query.addresses().any(|ip| ip.is_ipv6() == v6);
        if let Some(kind) = query.kind {
            return self.question(hop, purpose, query, kind, &query.records);
        }
        if has(false) || !has(true) {
            self.question(hop, purpose, query, QueryType::A, &of_family(false));
        }
        if has(true) {
            self.question(hop, purpose, query, QueryType::Aaaa, &of_family(true));
        }
    }

    fn question(&mut self, hop: u16, purpose: Purpose, query: &Query, query_type: QueryType, records: &[Record]) {
        let mut answers = replied(0, query.mark.t_ms - query.mark.t0_ms, records);
        let mut replies = u16::from(!records.is_empty() || query.rcode.is_some() || query.mark.failed.is_none());
        for (after_ms, late) in &query.late {
            answers.extend(replied(replies, *after_ms, late));
            replies = replies.saturating_add(1);
        }
        let mut mark = query.mark.clone();
        let is_wrong = mark.failed.is_none() && query.addresses().any(is_bogon);
        if is_wrong {
            // As the probe has it: an answer with an address that cannot be public is none.
            mark.failed = Some(Failure::DnsBogonError.into());
        }
        let place = Place { hop, purpose, connection: None, to: query.server };
        let is_out_of_reach = query.server.is_some_and(|to| to.is_ipv6()) && is_routeless(&mark);
        let Query { engine, resolver, host, rcode, .. } = query;
        let data = StepData::Dns(Dns {
            engine: *engine,
            resolver: resolver.clone(),
            hostname: host.clone(),
            query_type,
            rcode: *rcode,
            answers,
            replies,
        });
        if is_out_of_reach {
            self.skip(place, mark.t_ms, NotRun::NoIpv6, data);
        } else {
            self.push(place, &mark, data);
        }
    }

    /// Arranges a hop: questions, then connections with what ran over them.
    pub(super) fn hop(&mut self, hop: u16, goal: Goal<'_>, flow: &Flow) {
        let has_system = flow.queries.iter().any(|query| query.engine == Engine::System);
        for query in &flow.queries {
            let is_other = has_system && query.engine != Engine::System;
            self.query(hop, if is_other { Purpose::Comparison } else { Purpose::Main }, query);
        }
        let own = |query: &&Query| query.engine == Engine::System || !has_system;
        let given: BTreeSet<IpAddr> = flow.queries.iter().filter(own).flat_map(Query::addresses).collect();
        let no_ipv6 = !flow.dials.iter().any(|dial| dial.to.is_ipv6() && dial.mark.failed.is_none());
        self.denied(hop, flow);
        self.left_alone(hop, goal, &given, flow);
        let (mut stood, mut asked_for) = (false, false);
        self.quic(hop, goal, flow);
        for line in lines(flow) {
            let is_again = match goal.again {
                Again::Never => false,
                Again::Requests => asked_for && line.fetch.is_some(),
                Again::Connections => stood,
            };
            let purpose = purpose(&line, goal, &given, !flow.queries.is_empty(), is_again);
            stood |= line.stands() && purpose == Purpose::Main;
            asked_for |= line.fetch.is_some();
            self.line(hop, purpose, &line, goal, no_ipv6);
        }
    }

    fn quic(&mut self, hop: u16, goal: Goal<'_>, flow: &Flow) {
        let mut gone_to = BTreeSet::new();
        for shake in flow.shakes.iter().filter(|shake| shake.quic) {
            let is_again = !gone_to.insert(shake.to) && goal.again == Again::Connections;
            let purpose = if is_again { Purpose::Retry } else { Purpose::Main };
            let place = Place { hop, purpose, connection: Some(self.connection()), to: shake.to };
            self.push(place, &shake.mark, handshake(shake));
        }
    }

    /// Addresses that cannot be public and were not dialled: OONI leaves loopback alone.
    fn left_alone(&mut self, hop: u16, goal: Goal<'_>, given: &BTreeSet<IpAddr>, flow: &Flow) {
        let Some(port) = goal.url.and_then(Url::port_or_known_default) else { return };
        let dialled = |ip: &IpAddr| flow.dials.iter().any(|dial| dial.to.ip() == *ip);
        for &ip in given.iter().filter(|ip| is_bogon(**ip) && !dialled(ip)) {
            let to = Some(SocketAddr::new(ip, port));
            let place = Place { hop, purpose: Purpose::Main, connection: Some(self.connection()), to };
            self.skip(place, 0.0, NotRun::BogonAddress, StepData::Tcp);
        }
    }

    /// Names that requests could not resolve, where no question says so.
    fn denied(&mut self, hop: u16, flow: &Flow) {
        let mut told: BTreeSet<&str> = flow.queries.iter().map(|query| query.host.as_str()).collect();
        for fetch in &flow.fetches {
            let failed = fetch.mark.failed.as_ref().filter(|failed| failed.failure.layer() == Layer::Dns);
            if let (Some(_), Some(host)) = (failed, fetch.url.domain())
                && told.insert(host)
            {
                self.query(hop, Purpose::Main, &Query::implied(&fetch.mark, host));
            }
        }
    }

    fn line(&mut self, hop: u16, purpose: Purpose, line: &Line<'_>, goal: Goal<'_>, no_ipv6: bool) {
        let place = Place { hop, purpose, connection: Some(self.connection()), to: line.to };
        let wants_tls = match line.fetch {
            Some(fetch) => fetch.url.scheme() == "https",
            None => line.shake.is_some() || goal.url.is_some_and(|url| url.scheme() == "https"),
        };
        if !self.connect(place, line, no_ipv6) {
            let at_ms = line.dial.map_or(0.0, |dial| dial.mark.t_ms);
            if wants_tls {
                self.skip(place, at_ms, NotRun::PreviousStepFailed, StepData::Tls(Tls::default()));
            }
            return;
        }
        if line.stops_unseen() {
            return;
        }
        let stands = match (line.shake, line.fetch) {
            (Some(shake), _) => {
                self.push(place, &shake.mark, handshake(shake));
                shake.mark.failed.is_none()
            }
            (None, Some(fetch)) if wants_tls => self.implied_handshake(place, fetch),
            (None, _) => true,
        };
        if let Some(fetch) = line.fetch {
            let data = StepData::Http(fetch.http.clone());
            if stands {
                self.push(place, &fetch.mark, data);
            } else {
                self.skip(place, fetch.mark.t_ms, NotRun::PreviousStepFailed, data);
            }
        }
    }

    /// The connection's row; whether it stood.
    fn connect(&mut self, place: Place, line: &Line<'_>, no_ipv6: bool) -> bool {
        match line.dial {
            Some(dial) if no_ipv6 && dial.to.is_ipv6() && is_routeless(&dial.mark) => {
                self.skip(place, dial.mark.t_ms, NotRun::NoIpv6, StepData::Tcp);
                false
            }
            Some(dial) => {
                self.push(place, &dial.mark, StepData::Tcp);
                dial.mark.failed.is_none()
            }
            None if line.stops_unseen() => {
                let mark = line.fetch.map(|fetch| fetch.mark.clone()).unwrap_or_default();
                self.push(place, &mark, StepData::Tcp);
                true
            }
            None => {
                let next = line.shake.map(|shake| &shake.mark).or(line.fetch.map(|fetch| &fetch.mark));
                self.imply(place, next.map_or(0.0, |mark| mark.t0_ms), StepData::Tcp);
                true
            }
        }
    }

    /// The handshake of a request over TLS that has no row of its own; whether it stood. How a request failed that may have failed
    /// in either is taken for the handshake's: that is where names are read.
    fn implied_handshake(&mut self, place: Place, fetch: &Fetch) -> bool {
        let sni = fetch.url.domain().map(str::to_owned);
        let failed = fetch.mark.failed.as_ref().filter(|_| fetch.http.status.is_none());
        match failed {
            Some(Failed { failure, .. }) if is_of_responses(*failure) => {
                self.imply(place, fetch.mark.t0_ms, StepData::Tls(Tls { sni, bytes_received: 1, ..Tls::default() }));
                true
            }
            Some(_) => {
                self.push(place, &fetch.mark, StepData::Tls(Tls { sni, ..Tls::default() }));
                false
            }
            None => {
                self.imply(place, fetch.mark.t0_ms, StepData::Tls(Tls { sni, bytes_received: 1, ..Tls::default() }));
                true
            }
        }
    }
}

/// There is no way for IPv6 from here: what OONI's own analysis leaves out for it as well.
fn is_routeless(mark: &Mark) -> bool {
    use Failure::{AddressNotAvailable, HostUnreachable, NetworkUnreachable};
    let failure = mark.failed.as_ref().map(|failed| failed.failure);
    matches!(failure, Some(NetworkUnreachable | HostUnreachable | AddressNotAvailable))
}

fn handshake(shake: &Shake) -> StepData {
    if shake.quic { StepData::Quic(shake.tls.clone()) } else { StepData::Tls(shake.tls.clone()) }
}

/// The records of one reply.
fn replied(reply: u16, after_ms: f64, records: &[Record]) -> Vec<DnsAnswer> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the type's range")]
    let after_ms = after_ms.clamp(0.0, f64::from(u32::MAX)) as u32;
    let answer = |record, ttl| DnsAnswer { reply, rcode: None, after_ms, ttl, opt: None, case_kept: None, record };
    match records {
        [] if reply > 0 => vec![answer(DnsRecord::Empty, None)],
        records => records.iter().map(|(record, ttl)| answer(record.clone(), *ttl)).collect(),
    }
}

fn purpose(line: &Line<'_>, goal: Goal<'_>, given: &BTreeSet<IpAddr>, asked: bool, is_again: bool) -> Purpose {
    let is_literal = goal.url.is_some_and(|url| url.domain().is_none());
    let is_given = line.to.is_none_or(|to| given.contains(&to.ip()));
    let is_encrypted_copy = line.shake.is_some()
        && line.fetch.is_none()
        && goal.url.is_some_and(|url| {
            url.scheme() == "http" && line.to.is_some_and(|to| url.port_or_known_default() != Some(to.port()))
        });
    match () {
        () if is_encrypted_copy => Purpose::HttpsCopy,
        () if asked && !is_literal && !is_given => Purpose::Comparison,
        () if is_again => Purpose::Retry,
        () => Purpose::Main,
    }
}
