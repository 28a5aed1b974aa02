//! What the ways of asking have in common: from a reply to rows of an observation.

use std::net::IpAddr;

use faultline_record::{Dns, DnsAnswer, DnsRecord, Engine, Failure, Outcome, QueryType};
use hickory_proto::op::{DnsRequestOptions, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::net::NetError;

use super::tap::Passed;
use super::{Fault, errno, tls, way};

/// Records kept of one reply: a reply over UDP holds a few dozen at most, and a hostile one shall not fill the file.
const RECORDS: usize = 64;

/// A question's end.
#[derive(Clone, Debug)]
pub struct Answered {
    /// How it ended.
    pub outcome: Outcome,
    /// Whose words came with a failure, or what was odd about the replies.
    pub detail: Option<String>,
    /// What was seen.
    pub seen: Dns,
    /// Where the question went, if that is known.
    pub server: Option<std::net::SocketAddr>,
}

impl Answered {
    /// Every address in every reply, each once.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for address in self.seen.addresses().chain(self.seen.late_addresses()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// A question: name, type, and who is asked in what way.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name, without a final dot.
    pub hostname: String,
    /// The type.
    pub query_type: QueryType,
    /// Whether recursion is desired (RFC 1035, 4.1.1).
    pub recursive: bool,
}

impl Question {
    /// A question for a name's addresses of one family.
    pub fn new(hostname: &str, query_type: QueryType) -> Self {
        Self { hostname: hostname.to_owned(), query_type, recursive: true }
    }

    /// The same without recursion: what the resolver knows, and no search.
    #[must_use]
    pub fn without_recursion(self) -> Self {
        Self { recursive: false, ..self }
    }

    /// The row of the question while nothing has come back.
    pub fn unanswered(&self, engine: Engine, resolver: &str) -> Dns {
        Dns {
            engine,
            resolver: resolver.to_owned(),
            hostname: self.hostname.clone(),
            query_type: self.query_type,
            rcode: None,
            answers: Vec::new(),
            replies: 0,
        }
    }

    /// The name, fully qualified, so that no search list is applied to it.
    fn name(&self) -> Result<Name, Fault> {
        let mut name = Name::from_ascii(&self.hostname)
            .map_err(|error| Fault::new(Outcome::Failed(Failure::InvalidArgument), error))?;
        name.set_fqdn(true);
        Ok(name)
    }

    /// The question as it is sent.
    pub(super) fn query(&self) -> Result<Query, Fault> {
        let record_type = match self.query_type {
            QueryType::A => RecordType::A,
            QueryType::Aaaa => RecordType::AAAA,
            QueryType::Https => RecordType::HTTPS,
        };
        Ok(Query::query(self.name()?, record_type))
    }

    /// How it is asked through hickory's clients.
    pub(super) fn options(&self) -> DnsRequestOptions {
        let mut options = way::options();
        options.recursion_desired = self.recursive;
        options
    }
}

/// The outcome of a reply.
pub(super) fn outcome(rcode: ResponseCode, has_address: bool) -> Outcome {
    match rcode {
        ResponseCode::NoError if has_address => Outcome::Ok,
        ResponseCode::NoError => Outcome::Failed(Failure::DnsNoAnswer),
        ResponseCode::NXDomain => Outcome::Failed(Failure::DnsNxdomainError),
        ResponseCode::ServFail => Outcome::Failed(Failure::DnsServfailError),
        ResponseCode::Refused => Outcome::Failed(Failure::DnsRefusedError),
        _ => Outcome::Failed(Failure::DnsServerMisbehaving),
    }
}

/// The rows of a reply to a query, one at least.
pub(super) fn rows(reply: u16, after_ms: u32, message: &Message, query: &Query) -> Vec<DnsAnswer> {
    let rcode = Some(u16::from(message.metadata.response_code));
    let opt = Some(message.edns.is_some());
    // A reply that leaves the question out says nothing of how it would have spelled it.
    let case_kept = message.queries.first().map(|echo| echo.name.eq_case(&query.name));
    let row = |ttl, record| DnsAnswer { reply, rcode, after_ms, ttl, opt, case_kept, record };
    let mut rows: Vec<_> = message
        .answers
        .iter()
        .filter_map(|answer| record(&answer.data).map(|record| row(Some(answer.ttl), record)))
        .take(RECORDS)
        .collect();
    if rows.is_empty() {
        rows.push(row(None, DnsRecord::Empty));
    }
    rows
}

fn record(data: &RData) -> Option<DnsRecord> {
    match data {
        RData::A(address) => Some(DnsRecord::Address(IpAddr::V4(address.0))),
        RData::AAAA(address) => Some(DnsRecord::Address(IpAddr::V6(address.0))),
        RData::CNAME(name) => Some(DnsRecord::Cname(plain(&name.0))),
        _ => None,
    }
}

/// The keys for an encrypted `ClientHello` in a reply: the first list of configurations that a record of services holds.
pub(super) fn keys_in(message: &Message) -> Option<Vec<u8>> {
    message.answers.iter().find_map(|answer| match &answer.data {
        RData::HTTPS(service) => service.svc_params.iter().find_map(|(_, value)| match value {
            SvcParamValue::EchConfigList(list) => Some(list.0.clone()),
            _ => None,
        }),
        _ => None,
    })
}

fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// Whether rows of the first reply hold an address of the type asked for.
pub(super) fn has_address(rows: &[DnsAnswer], query_type: QueryType) -> bool {
    rows.iter().any(|row| match row.record {
        DnsRecord::Address(address) => address.is_ipv4() == (query_type == QueryType::A),
        _ => false,
    })
}

/// What a server gave: a reply, or none. A reply always has an RCODE; where there is none, the transport failed.
pub(super) fn replied(
    seen: &mut Dns,
    query: &Query,
    result: Result<&Message, &NetError>,
    after_ms: u32,
) -> (Outcome, Option<String>) {
    match result {
        Ok(message) => {
            let rcode = message.metadata.response_code;
            seen.answers = rows(0, after_ms, message, query);
            seen.replies = 1;
            seen.rcode = Some(rcode.into());
            (outcome(rcode, has_address(&seen.answers, seen.query_type)), None)
        }
        Err(error) => {
            let fault = transport_fault(error);
            (fault.outcome, fault.detail)
        }
    }
}

/// The failure of a transport under DNS: UDP, TCP, or TLS and HTTP of DoH.
pub(super) fn transport_fault(error: &NetError) -> Fault {
    let outcome = match error {
        NetError::Timeout => Outcome::Failed(Failure::GenericTimeoutError),
        NetError::Io(error) => tls::fault(error, &Passed::default()).outcome,
        NetError::H2(inner) => match inner.get_io() {
            Some(error) => errno::outcome(error),
            None => Outcome::Failed(Failure::Http2ProtocolError),
        },
        NetError::RustlsError(error) => tls::tls_fault(error, &Passed::default()).outcome,
        NetError::Busy => Outcome::NotRun(faultline_record::NotRun::LocalLimit),
        NetError::Proto(_) | NetError::Truncated | NetError::QueryCaseMismatch => {
            Outcome::Failed(Failure::DnsServerMisbehaving)
        }
        // hickory's own words for an answer over HTTP that is not one: a status, a content type.
        NetError::Msg(_) | NetError::Message(_) | NetError::Decode(_) | NetError::ParseInt(_) => {
            Outcome::Failed(Failure::UnexpectedResponse)
        }
        _ => Outcome::Failed(Failure::UnknownFailure),
    };
    // A service's page comes as an error's words.
    Fault::said(outcome, error)
}
