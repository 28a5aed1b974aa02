//! What one measurement adds to the context: a handful of facts, no rows.

use std::net::IpAddr;
use std::sync::Arc;

use faultline_record::{
    Certificate, Engine, HostName, Measurement, Observation, Outcome, Purpose, Step, StepData, Timestamp, is_bogon,
    normal_name,
};

use crate::features::is_denial;
use crate::verdict::{Cause, State, Verdict};

/// Whether a chain, leaf first, is valid for a name at a time: by roots and a verifier of the caller's, never by what a file says.
pub type Proves<'a> = &'a dyn Fn(&[Arc<Certificate>], &str, Timestamp) -> bool;

/// How it ended, as far as others can be held against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It works.
    Reached,
    /// It does not, in a minute in which the vantage's network was proven, and nothing says that somebody interferes there.
    Failed,
    /// Somebody interferes there, or likely so: of the target itself this says nothing.
    Blocked,
}

/// How a question for a name ended, what says most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Addresses that can be public.
    Given,
    /// The name is denied, or has only addresses that cannot be public.
    Denied,
    /// Nothing, or that the resolver cannot.
    Silent,
}

/// An address and port over one transport: what a certificate was shown at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// UDP (QUIC) and not TCP.
    pub is_udp: bool,
}

impl Socket {
    /// Where a row of a connection went.
    pub fn of(row: &Observation) -> Option<Self> {
        Some(Self { address: row.address?, port: row.port?, is_udp: matches!(row.step(), Step::Quic) })
    }
}

/// How it ended, if that says anything. A refusal in the clear says nothing: who refused is not known.
pub fn end(measurement: &Measurement, verdict: &Verdict) -> Option<End> {
    match (verdict.state, verdict.cause) {
        (State::Insufficient, _) => None,
        (State::Ok, Cause::ServerSide) => Some(End::Reached),
        _ if refusal(measurement).is_some() => None,
        (State::Ok, _) => Some(End::Reached),
        (State::Blocked | State::LikelyBlocked, _) | (State::Impaired, Cause::Interference) => Some(End::Blocked),
        (State::Down | State::Impaired, _) => Some(End::Failed),
    }
}

/// The status by which the last response turned the visitor away (RFC 9110, 15.5; RFC 6585, 4; RFC 7725), if it did.
pub fn refusal(measurement: &Measurement) -> Option<u16> {
    let own = measurement.observations.iter().filter(|row| row.purpose == Purpose::Main);
    let last = own.rev().find_map(|row| row.http().filter(|_| row.outcome.is_ok())?.status)?;
    matches!(last, 401 | 403 | 407 | 429 | 451).then_some(last)
}

/// Names and where they were proven, by whom (the helper, or the vantage).
pub fn proven<'a>(
    measurement: &'a Measurement,
    began: Timestamp,
    proves: Proves<'a>,
) -> impl Iterator<Item = (String, Socket, bool)> + 'a {
    measurement.observations.iter().filter_map(move |row| {
        let tls = row.tls().or(row.quic()).filter(|_| row.outcome.is_ok())?;
        let name = tls.sni.as_deref().map(normal_name).or_else(|| own_name(measurement))?;
        let is_proven = !tls.chain.is_empty() && proves(&tls.chain, &name, began);
        is_proven.then_some((name, Socket::of(row)?, row.purpose == Purpose::Helper))
    })
}

fn own_name(measurement: &Measurement) -> Option<String> {
    match measurement.target.endpoint.host_and_port().0 {
        HostName::Name(name) if !name.is_empty() => Some(normal_name(&name)),
        _ => None,
    }
}

/// The helper's own end, where it answered: whether it had of the target what the vantage wanted.
pub fn helper_end(measurement: &Measurement) -> Option<End> {
    let rows = || measurement.observations.iter().filter(|row| row.purpose == Purpose::Helper);
    let connected = || rows().filter(|row| row.connection.is_some() && row.outcome.not_run().is_none());
    let ended = |row: &Observation| match &row.data {
        StepData::Tls(_) | StepData::Quic(_) | StepData::Vpn(_) => row.outcome.is_ok(),
        StepData::Http(http) => row.outcome.is_ok() && http.status.is_some_and(|status| status < 500),
        StepData::Tcp | StepData::Dns(_) => false,
    };
    let is_asked = rows().any(|row| row.http().is_some() && row.connection.is_none() && row.outcome.is_ok());
    let is_tried = connected().next().is_some();
    (is_asked && is_tried).then(|| if connected().any(ended) { End::Reached } else { End::Failed })
}

/// What resolvers said: the name, the resolver (the system's is `None`: it is the network's own), their word, and the
/// addresses of an answer.
pub fn words(measurement: &Measurement) -> impl Iterator<Item = (String, Option<String>, Word, Vec<IpAddr>)> {
    let asked = |row: &&Observation| matches!(row.purpose, Purpose::Main | Purpose::Retry | Purpose::Comparison);
    measurement.observations.iter().filter(asked).filter_map(|row| {
        let dns = row.dns()?;
        let addresses: Vec<IpAddr> = dns.addresses().filter(|address| !is_bogon(*address)).collect();
        let word = match row.outcome {
            Outcome::Ok if addresses.is_empty() => Word::Denied,
            Outcome::Ok => Word::Given,
            Outcome::Failed(failure) if is_denial(failure) => Word::Denied,
            Outcome::Failed(_) => Word::Silent,
            Outcome::NotRun(_) => return None,
        };
        let resolver = (dns.engine != Engine::System).then(|| format!("{} {}", dns.engine.name(), dns.resolver));
        Some((normal_name(&dns.hostname), resolver, word, addresses))
    })
}
