//! Connections: which handshake and which request ran over which.

use std::net::SocketAddr;

use crate::failure::{Failure, Layer};

use super::flow::{Dial, Fetch, Flow, Mark, Shake};

/// Steps of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Line<'f> {
    pub(super) to: Option<SocketAddr>,
    transaction: Option<i64>,
    pub(super) dial: Option<&'f Dial>,
    pub(super) shake: Option<&'f Shake>,
    pub(super) fetch: Option<&'f Fetch>,
}

/// What ran over one connection each, in the order of the connections. Flows are told apart by transaction where there is one, else
/// by address, else (in data before 2022, which names neither) by host.
pub(super) fn lines(flow: &Flow) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = flow.dials.iter().map(Line::of_dial).collect();
    for shake in flow.shakes.iter().filter(|shake| !shake.quic) {
        let free = |line: &&mut Line<'_>| line.shake.is_none() && line.stands();
        match lines.iter_mut().filter(free).find(|line| line.is_of(shake.mark.transaction, shake.to)) {
            Some(line) => line.shake = Some(shake),
            None => lines.push(Line {
                to: shake.to,
                transaction: shake.mark.transaction,
                shake: Some(shake),
                ..Line::default()
            }),
        }
    }
    for fetch in flow.fetches.iter().filter(|fetch| !fetch.by_tor) {
        let place = lines.iter().position(|line| line.can_carry(fetch));
        match place {
            Some(place) => lines[place].fetch = Some(fetch),
            None if never_began(fetch, &lines) => {}
            None => lines.push(Line {
                to: fetch.to,
                transaction: fetch.mark.transaction,
                fetch: Some(fetch),
                ..Line::default()
            }),
        }
    }
    lines
}

/// Whether a request failed by what its connections failed by, or for want of an address: it was never sent.
fn never_began(fetch: &Fetch, lines: &[Line<'_>]) -> bool {
    let Some(failed) = fetch.mark.failed.as_ref().filter(|_| fetch.http.status.is_none()) else { return false };
    failed.failure.layer() == Layer::Dns || lines.iter().any(|line| line.failure() == Some(failed.failure))
}

impl<'f> Line<'f> {
    fn of_dial(dial: &'f Dial) -> Self {
        Self { to: Some(dial.to), transaction: dial.mark.transaction, dial: Some(dial), ..Self::default() }
    }

    /// Whether the connection stood, as far as is told.
    pub(super) fn stands(&self) -> bool {
        self.dial.is_none_or(|dial| dial.mark.failed.is_none())
    }

    /// A request of which nothing is told but that it failed, by a failure that comes before anything is sent as well as after.
    pub(super) fn stops_unseen(&self) -> bool {
        let failed =
            |fetch: &Fetch| fetch.mark.failed.as_ref().filter(|_| fetch.http.status.is_none()).map(|f| f.failure);
        let failure = if self.dial.is_none() && self.shake.is_none() { self.fetch.and_then(failed) } else { None };
        failure.is_some_and(|failure| {
            use Failure::{ConnectionAborted, ConnectionReset, EofError};
            !matches!(failure, ConnectionAborted | ConnectionReset | EofError)
                && !matches!(failure.layer(), Layer::Tls | Layer::Http)
        })
    }

    fn failure(&self) -> Option<Failure> {
        let of = |mark: &Mark| mark.failed.as_ref().map(|failed| failed.failure);
        self.dial.and_then(|dial| of(&dial.mark)).or_else(|| self.shake.and_then(|shake| of(&shake.mark)))
    }

    fn is_of(&self, transaction: Option<i64>, to: Option<SocketAddr>) -> bool {
        match (transaction, self.transaction) {
            (Some(wanted), Some(own)) => wanted == own,
            _ => to.is_none() || self.to == to,
        }
    }

    /// Whether a request can have been made over this connection.
    fn can_carry(&self, fetch: &Fetch) -> bool {
        if self.fetch.is_some() || !self.stands() {
            return false;
        }
        if fetch.mark.transaction.is_some() && self.transaction.is_some() || fetch.to.is_some() {
            return self.is_of(fetch.mark.transaction, fetch.to);
        }
        let is_port = self.to.is_some_and(|to| Some(to.port()) == fetch.url.port_or_known_default());
        let is_host = self.shake.is_none_or(|shake| shake.tls.sni.as_deref() == fetch.url.domain());
        let is_whole = self.shake.is_none_or(|shake| shake.mark.failed.is_none());
        is_port && is_host && is_whole
    }
}

/// A failure that only a response can bring.
pub(super) fn is_of_responses(failure: Failure) -> bool {
    failure.layer() == Layer::Http
}
