//! Connections that stop for good after so much was carried (16 to 20 KB, or some twenty packets, as reported from Russia
//! since 2024: net4people/bbs issue 490).

use super::transfer::Transfer;

/// Nothing came for so long before waiting ended, milliseconds: longer than the pauses of a sender whose packets are
/// dropped by a policer or lost (0.2, 0.4 and 0.8 s, RFC 6298 with the 0.2 s floor of common systems).
const SILENCE_MS: f64 = 2_000.0;
/// Less than that after the request is no response of which much came: session tickets (RFC 8446, 4.6.1) and settings.
const LEAST: u64 = 4 * 1024;
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

/// Where all of these stopped, if every one did, and at near the same count. What is merely slow brings more the longer one
/// waits, and goes on until waiting ends.
pub fn stops_at(transfers: &[&Transfer]) -> Option<Stop> {
    let stopped = |transfer: &&Transfer| {
        let began = transfer.status.is_some() || transfer.bytes() >= LEAST;
        let is_stopped = transfer.timed_out && began && transfer.silence_ms() >= SILENCE_MS;
        is_stopped.then(|| transfer.before + transfer.bytes())
    };
    let counts: Vec<u64> = transfers.iter().map(stopped).collect::<Option<_>>()?;
    let (least, most) = (*counts.iter().min()?, *counts.iter().max()?);
    #[expect(clippy::cast_precision_loss, reason = "counts of bytes are far below 2^52")]
    let is_near = most - least <= NEAR || (most - least) as f64 <= NEAR_SHARE * most as f64;
    is_near.then_some(Stop { least, most })
}
