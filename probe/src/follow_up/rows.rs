//! Rows for the tests of what is wanted.

use std::net::SocketAddr;

use faultline_record::{Dns, DnsAnswer, Engine, Failure, Observation, Outcome, Purpose, QueryType, StepData};

/// A row of the measurement proper that took a millisecond; a connection's where it has an address.
pub(super) fn row(at: Option<&str>, outcome: Outcome, data: StepData) -> Observation {
    let at: Option<SocketAddr> = at.map(|at| at.parse().unwrap());
    Observation {
        seq: 1,
        hop: 0,
        purpose: Purpose::Main,
        connection: at.map(|_| 1),
        t0_ms: 0.0,
        t_ms: 1.0,
        outcome,
        detail: None,
        address: at.map(|at| at.ip()),
        port: at.map(|at| at.port()),
        ttl: None,
        data,
    }
}

/// What one resolver said of a name: an address, or nothing; `replies` came.
pub(super) fn said(
    (engine, resolver): (Engine, &str),
    hostname: &str,
    said: Result<&str, Failure>,
    replies: u16,
) -> StepData {
    let answer = |address: &str| DnsAnswer { rcode: Some(0), after_ms: 1, ..DnsAnswer::told(address.parse().unwrap()) };
    StepData::Dns(Dns {
        engine,
        resolver: resolver.into(),
        hostname: hostname.into(),
        query_type: QueryType::A,
        rcode: None,
        answers: said.ok().map(answer).into_iter().collect(),
        replies,
    })
}
