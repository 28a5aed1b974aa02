//! Connections that stop for good after so much was carried (16 to 20 KB, or some twenty packets, as reported from Russia
//! since 2024: net4people/bbs issue 490).

use faultline_record::{Failure, Http, Observation, Outcome};

use super::transfer::{Transfer, as_f64};

/// Nothing came for so long before waiting ended, milliseconds: longer than the pauses of a sender whose packets are
/// dropped by a policer or lost (0.2, 0.4 and 0.8 s, RFC 6298 with the 0.2 s floor of common systems).
const SILENCE_MS: f64 = 2_000.0;
/// A sender that goes on sending pauses no longer, milliseconds: the next time-out of that row.
const PAUSE_MS: f64 = 3_000.0;
/// Less than that after the request is no response of which much came: session tickets (RFC 8446, 4.6.1) and settings.
pub const LEAST: u64 = 4 * 1024;
/// Counts that are as near as this are the same: four segments, by which acknowledgements and losses shift a box's count;
const NEAR: u64 = 6 * 1024;
/// or as this share.
const NEAR_SHARE: f64 = 0.3;

/// Where connections stopped: the least and the most bytes that one received, of TCP's payload, handshake included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
}

/// Whether a response began: its head came, or so much that it can be nothing else.
pub fn has_begun(http: &Http) -> bool {
    http.status.is_some() || http.arrivals.last().is_some_and(|last| last.bytes >= LEAST)
}

/// Whether a response was still coming when its time was up: it is slow, and has not stopped.
pub fn still_comes(request: &Observation) -> bool {
    let Some(http) = request.http().filter(|http| http.status.is_some()) else { return false };
    let last = http.arrivals.last().filter(|last| last.bytes >= LEAST);
    let is_late = request.outcome == Outcome::Failed(Failure::GenericTimeoutError);
    is_late && last.is_some_and(|last| request.t_ms - request.t0_ms - f64::from(last.ms) < PAUSE_MS)
}

/// Where these stopped for good, handshakes included, if every one did: nothing came any more for half the time that was
/// waited, and longer than a sender pauses. What is merely slow goes on until waiting ends.
pub fn stops(transfers: &[&Transfer]) -> Option<Stop> {
    let stopped = |transfer: &&Transfer| {
        let is_silent = transfer.silence_ms() >= SILENCE_MS.max(transfer.ms / 2.0);
        (transfer.timed_out && is_silent).then(|| transfer.before + transfer.bytes())
    };
    let counts: Vec<u64> = transfers.iter().map(stopped).collect::<Option<_>>()?;
    Some(Stop { least: *counts.iter().min()?, most: *counts.iter().max()? })
}

/// The same, where a response had begun each time and all stopped at near the same count. Where packets are lost as well they do
/// not: what comes behind a gap is not handed on.
pub fn stops_at(transfers: &[&Transfer]) -> Option<Stop> {
    // A path that swallows long packets lets a head pass, and nothing behind it.
    let began = |transfer: &&Transfer| transfer.bytes() >= LEAST;
    let stop = stops(transfers).filter(|_| transfers.iter().all(began))?;
    let apart = stop.most - stop.least;
    (apart <= NEAR || as_f64(apart) <= NEAR_SHARE * as_f64(stop.most)).then_some(stop)
}
