//! One response's coming.

use faultline_record::{Arrival, Failure, Http, Observation, Outcome};

/// Bytes that may come before a rate shows: ten segments of 1,460 octets start a connection (RFC 6928), a policer lets a
/// burst pass of some tens of packets, and freezes begin after 16 to 20 KB.
const START: u64 = 16 * 1024;

/// What came of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Status of the response, if its head came.
    pub status: Option<u16>,
    /// Octets of body, as far as they were kept.
    pub length: u64,
    /// Whether the body came to its end, or to as much as was wanted.
    pub is_whole: bool,
    /// Whether it was given up for want of time.
    pub timed_out: bool,
    /// How long it was waited for, milliseconds.
    pub ms: f64,
    /// How long the connection took to stand, milliseconds: a round trip, and more if packets were lost.
    pub round_trip_ms: f64,
    /// Bytes that came before the request.
    pub before: u64,
    /// When bytes came after it.
    pub arrivals: Vec<Arrival>,
}

/// Octets that a response may be short of before a rate shows it: less than a full segment (1,460 octets over Ethernet, RFC 6928) is nothing.
/// A response of which nothing came has at most this rate; how much less is not known, and must not make the others' spread look wide.
const SEGMENT: u64 = 1_460;

impl Transfer {
    /// Of a connection's rows; `None` where no request was made.
    pub fn of(tcp: &Observation, tls: Option<&Observation>, request: &Observation) -> Option<Self> {
        let http = request.http().filter(|_| request.outcome.not_run().is_none())?;
        let length = kept(http);
        let ms = (request.t_ms - request.t0_ms).max(1.0);
        Some(Self {
            status: http.status,
            length,
            is_whole: request.outcome.is_ok(),
            timed_out: request.outcome == Outcome::Failed(Failure::GenericTimeoutError),
            ms,
            round_trip_ms: tcp.t_ms - tcp.t0_ms,
            before: tls.and_then(Observation::tls).map_or(0, |tls| tls.bytes_received),
            arrivals: if http.arrivals.is_empty() { at_once(length, ms) } else { http.arrivals.clone() },
        })
    }

    /// Bytes that came after the request.
    pub fn bytes(&self) -> u64 {
        self.arrivals.last().map_or(0, |last| last.bytes)
    }

    /// How many bytes the rate of all of these is better not taken of: their common start.
    pub(super) fn start_of<'a>(all: impl IntoIterator<Item = &'a Self>) -> u64 {
        all.into_iter().map(Self::bytes).filter(|bytes| *bytes > 0).min().map_or(0, |least| (least / 2).min(START))
    }

    /// The round trip of a path over which all of these came: the least that a connection took, since lost packets make
    /// it longer.
    pub(super) fn round_trip_of<'a>(all: impl IntoIterator<Item = &'a Self>) -> f64 {
        all.into_iter().map(|transfer| transfer.round_trip_ms).fold(f64::INFINITY, f64::min)
    }

    /// Kilobits a second of what came after the first `start` bytes. What comes within a round trip was sent at once, and is
    /// no measure of a path's rate: it counts as one round trip. Where time ran out, silence counts to its end.
    pub(super) fn kbit(&self, start: u64, round_trip_ms: f64) -> f64 {
        let (from, to) = (self.since(start), self.end());
        let bytes = if to.bytes == 0 { SEGMENT } else { to.bytes.saturating_sub(from.bytes).max(1) };
        let ms = f64::from(to.ms.saturating_sub(from.ms)).max(round_trip_ms).max(1.0);
        // Bits over milliseconds are kilobits over seconds.
        as_f64(bytes) * 8.0 / ms
    }

    /// The last point at which no more than that many bytes had come.
    pub(super) fn since(&self, start: u64) -> Arrival {
        let before = self.arrivals.iter().rev().find(|point| point.bytes <= start);
        before.copied().unwrap_or(Arrival { ms: 0, bytes: 0 })
    }

    /// The last point, at the time at which waiting ended.
    fn end(&self) -> Arrival {
        let last = self.arrivals.last().copied().unwrap_or(Arrival { ms: 0, bytes: 0 });
        if self.timed_out { Arrival { ms: last.ms.max(whole_ms(self.ms)), ..last } } else { last }
    }

    /// How long nothing came before waiting ended, milliseconds.
    pub fn silence_ms(&self) -> f64 {
        self.ms - self.arrivals.last().map_or(0.0, |last| f64::from(last.ms))
    }
}

/// What a row without points shows of its body's coming.
fn at_once(length: u64, ms: f64) -> Vec<Arrival> {
    if length == 0 { Vec::new() } else { vec![Arrival { ms: whole_ms(ms), bytes: length }] }
}

/// The body's length; of one that was cut, as much as was kept: how much more was read at once is chance.
fn kept(http: &Http) -> u64 {
    let of_body = http.body.as_ref().filter(|_| http.body_truncated).map(|body| body.len() as u64);
    of_body.unwrap_or(http.body_length)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "spans are positive and far below 2^32 ms")]
fn whole_ms(ms: f64) -> u32 {
    ms as u32
}

#[expect(clippy::cast_precision_loss, reason = "counts of bytes are far below 2^52")]
pub(super) fn as_f64(count: u64) -> f64 {
    count as f64
}
