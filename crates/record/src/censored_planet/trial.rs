//! Rows of one trial: a request to a server, or a question to a resolver.

use std::net::SocketAddr;

use crate::failure::Failure;
use crate::foreign::Oddities;
use crate::model::{HealthSignal, NotRun, Observation, Outcome, Purpose, SignalKind, StepData};
use crate::ooni::failures;

/// Trials of one measurement that are kept: ten times what real ones have.
pub(super) const TRIALS: usize = 64;

/// When a trial began and ended, milliseconds since the measurement's start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) from_ms: f64,
    pub(super) to_ms: f64,
}

/// How a step ended, with the words that came with it.
pub(super) type End = (Outcome, Option<String>);

/// How errors end that are the measuring machine's own.
const OWN: [&str; 4] = ["address already in use", "too many open files", "protocol error", "protocol not available"];

/// What a trial's error means. Those of the measuring machine itself are no failures of anybody's.
pub(super) fn end_of(error: Option<&str>, odd: &mut Oddities) -> End {
    let Some(text) = error.map(str::trim).filter(|text| !text.is_empty() && *text != "null") else {
        return (Outcome::Ok, None);
    };
    if OWN.iter().any(|words| text.ends_with(words)) {
        return (Outcome::NotRun(NotRun::LocalLimit), Some(without_addresses(text)));
    }
    let text = without_addresses(text);
    (Outcome::Failed(failures::of(&text, odd).failure), Some(text))
}

/// An error without the addresses and ports at both ends (`read tcp 192.0.2.1:4711->198.51.100.1:80: ...`): the first is the measuring
/// machine's, and with both of them no two texts are alike.
fn without_addresses(text: &str) -> String {
    let is_pair = |word: &&str| !word.contains("->");
    text.split(' ').filter(is_pair).collect::<Vec<_>>().join(" ")
}

/// Rows in the making.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Observation>,
    connections: u32,
}

impl Rows {
    /// A number for a new connection.
    pub(super) fn connection(&mut self) -> u32 {
        self.connections += 1;
        self.connections
    }

    /// Adds a row.
    pub(super) fn push(
        &mut self,
        purpose: Purpose,
        connection: Option<u32>,
        to: SocketAddr,
        span: Span,
        (outcome, detail): End,
        data: StepData,
    ) {
        let seq = u32::try_from(self.rows.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.rows.push(Observation {
            seq,
            hop: 0,
            purpose,
            connection,
            t0_ms: span.from_ms,
            t_ms: span.to_ms,
            outcome,
            detail,
            address: Some(to.ip()),
            port: Some(to.port()),
            ttl: None,
            data,
        });
    }
}

/// What answered an innocent name as it should: the way to the server is open, and the server lives.
pub(super) fn answered(kind: SignalKind, name: &str, to: SocketAddr, span: Span) -> HealthSignal {
    HealthSignal {
        kind,
        name: name.to_owned(),
        provider: Some(name.to_owned()),
        family: Some(crate::model::Family::of(to.ip())),
        address: Some(to.ip()),
        outcome: Outcome::Ok,
        value: None,
        duration_ms: (span.to_ms - span.from_ms).max(0.0),
        detail: None,
    }
}

/// Whether an error comes from connecting: nothing was sent then.
pub(super) fn is_of_dialling(error: &str) -> bool {
    error.contains("dial ")
        || error.contains("connect:")
        || error.contains("getsockopt:")
        || error.starts_with("connection reset by peer")
        || error.ends_with("connection refused")
        || error.ends_with("network is unreachable")
        || error.ends_with("no route to host")
        || error.ends_with("context deadline exceeded")
}

/// What came is not what is due.
pub(super) fn unexpected(words: &str) -> End {
    (Outcome::Failed(Failure::UnexpectedResponse), Some(words.to_owned()))
}
