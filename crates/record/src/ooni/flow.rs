//! The steps of an OONI measurement, read from its lists (df-001, df-002, df-005, df-006, df-008), not yet arranged.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use url::Url;

use crate::failure::Failure;
use crate::model::{DnsRecord, Engine, Http, QueryType, Tls};

use super::failures::Failed;
use super::json::Json;
use super::oddities::Oddities;
use super::reader::{FlowReader, REPLIES};

/// Rows of a list that are kept: ten times what the longest of real lists has. What is arranged by looking at every pair stays cheap.
const ROWS: usize = 2_000;

/// A record of an answer, with its time to live in seconds.
pub(super) type Record = (DnsRecord, Option<u32>);

/// What every step has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Mark {
    /// Start, milliseconds since the measurement's start; the end where only that is told.
    pub(super) t0_ms: f64,
    /// End, milliseconds since the measurement's start.
    pub(super) t_ms: f64,
    /// Steps of one flow share this.
    pub(super) transaction: Option<i64>,
    /// Redirect hop (tag `depth=N`).
    pub(super) depth: u16,
    /// How it ended.
    pub(super) failed: Option<Failed>,
}

/// A question to a resolver.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) mark: Mark,
    pub(super) host: String,
    /// `None`: `getaddrinfo`, which asks for both.
    pub(super) kind: Option<QueryType>,
    pub(super) engine: Engine,
    /// The resolver's stable name.
    pub(super) resolver: String,
    pub(super) server: Option<SocketAddr>,
    pub(super) rcode: Option<u16>,
    pub(super) records: Vec<Record>,
    /// Replies that came after the first, each with its time after the question, milliseconds.
    pub(super) late: Vec<(f64, Vec<Record>)>,
}

impl Query {
    /// The addresses that were given.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.records.iter().filter_map(|(record, _)| if let DnsRecord::Address(ip) = record { Some(*ip) } else { None })
    }
}

impl Query {
    /// A question that a request's failure tells of.
    pub(super) fn implied(mark: &Mark, host: &str) -> Self {
        Self {
            mark: mark.clone(),
            host: host.to_ascii_lowercase(),
            kind: None,
            engine: Engine::System,
            resolver: "system".into(),
            server: None,
            rcode: None,
            records: Vec::new(),
            late: Vec::new(),
        }
    }
}

/// A TCP connection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dial {
    pub(super) mark: Mark,
    pub(super) to: SocketAddr,
}

/// A TLS handshake, over TCP or inside QUIC.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shake {
    pub(super) mark: Mark,
    pub(super) to: Option<SocketAddr>,
    pub(super) quic: bool,
    /// Whether the chain was verified.
    pub(super) verified: bool,
    pub(super) tls: Tls,
}

impl Shake {
    /// Its chain was not looked at. A handshake that completed is then what we record of a chain that no root of ours holds.
    pub(super) fn leave_unverified(&mut self) {
        self.verified = false;
        if self.mark.failed.is_none() {
            let detail = Some("the handshake completed; the chain was not verified".to_owned());
            self.mark.failed = Some(Failed { failure: Failure::SslUnknownAuthority, detail });
        }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fetch {
    pub(super) mark: Mark,
    pub(super) url: Url,
    pub(super) to: Option<SocketAddr>,
    pub(super) http: Http,
    /// Whether it went through Tor: then it is a control's.
    pub(super) by_tor: bool,
}

/// Everything that a set of lists tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) queries: Vec<Query>,
    pub(super) dials: Vec<Dial>,
    pub(super) shakes: Vec<Shake>,
    /// In the order in which they were made.
    pub(super) fetches: Vec<Fetch>,
}

impl Flow {
    /// Reads the lists of `keys`.
    pub(super) fn read(keys: &Json<'_>, oddities: &mut Oddities) -> Self {
        let mut reader = FlowReader::with_events(list(keys, "network_events", oddities), oddities);
        let mut flow = Self::default();
        for row in list(keys, "queries", reader.oddities) {
            flow.queries.extend(reader.query(row));
        }
        for row in list(keys, "x_dns_duplicate_responses", reader.oddities) {
            if let Some(late) = reader.query(row) {
                flow.answered_again(late, reader.oddities);
            }
        }
        for key in ["tcp_connect", "tcp_connects"] {
            let rows = list(keys, key, reader.oddities);
            flow.dials.extend(rows.iter().filter_map(|row| reader.dial(row)));
        }
        for (key, quic) in [("tls_handshakes", false), ("quic_handshakes", true)] {
            let rows = list(keys, key, reader.oddities);
            flow.shakes.extend(rows.iter().map(|row| reader.shake(row, quic)));
        }
        let rows = list(keys, "requests", reader.oddities);
        flow.fetches.extend(rows.iter().rev().filter_map(|row| reader.fetch(row)));
        // Last first, says df-001; several flows in one measurement are told apart by their times.
        flow.fetches.sort_by(|a, b| a.mark.depth.cmp(&b.mark.depth).then(a.mark.t0_ms.total_cmp(&b.mark.t0_ms)));
        flow
    }

    /// The steps of one redirect hop.
    pub(super) fn at_depth(&self, depth: u16) -> Self {
        let is_here = |mark: &Mark| mark.depth == depth;
        Self {
            queries: self.queries.iter().filter(|row| is_here(&row.mark)).cloned().collect(),
            dials: self.dials.iter().filter(|row| is_here(&row.mark)).cloned().collect(),
            shakes: self.shakes.iter().filter(|row| is_here(&row.mark)).cloned().collect(),
            fetches: self.fetches.iter().filter(|row| is_here(&row.mark)).cloned().collect(),
        }
    }

    /// The last redirect hop.
    pub(super) fn depth(&self) -> u16 {
        self.marks().map(|mark| mark.depth).max().unwrap_or(0)
    }

    fn marks(&self) -> impl Iterator<Item = &Mark> {
        let queries = self.queries.iter().map(|row| &row.mark);
        let dials = self.dials.iter().map(|row| &row.mark);
        let shakes = self.shakes.iter().map(|row| &row.mark);
        queries.chain(dials).chain(shakes).chain(self.fetches.iter().map(|row| &row.mark))
    }

    /// Adds a reply that came after the first to the question that it answers.
    fn answered_again(&mut self, late: Query, oddities: &mut Oddities) {
        let is_same = |query: &&mut Query| {
            (&query.host, query.kind, &query.resolver) == (&late.host, late.kind, &late.resolver)
                && query.mark.transaction == late.mark.transaction
        };
        match self.queries.iter_mut().find(is_same).filter(|query| query.late.len() < REPLIES) {
            Some(query) => query.late.push(((late.mark.t_ms - query.mark.t0_ms).max(0.0), late.records)),
            None => oddities.note("late reply to no question", &late.host),
        }
    }

    /// Adds the lists of another set.
    pub(super) fn extend(&mut self, other: Self) {
        self.queries.extend(other.queries);
        self.dials.extend(other.dials);
        self.shakes.extend(other.shakes);
        self.fetches.extend(other.fetches);
    }
}

/// The members of an object, as many as are kept.
pub(super) fn members<'j, 'a>(
    keys: &'j Json<'a>,
    key: &'static str,
    oddities: &mut Oddities,
) -> &'j [(Cow<'a, str>, Json<'a>)] {
    let members = keys.get(key).members();
    if members.len() > ROWS {
        oddities.note("more rows than are kept", key);
    }
    &members[..members.len().min(ROWS)]
}

/// The elements of a list; what is no list is odd.
pub(super) fn list<'j, 'a>(keys: &'j Json<'a>, key: &'static str, oddities: &mut Oddities) -> &'j [Json<'a>] {
    match keys.get(key) {
        Json::List(rows) if rows.len() > ROWS => {
            oddities.note("more rows than are kept", key);
            &rows[..ROWS]
        }
        Json::List(rows) => rows,
        Json::Null => &[],
        other => {
            oddities.note("no list", &format!("{key}: {}", other.kind()));
            &[]
        }
    }
}
