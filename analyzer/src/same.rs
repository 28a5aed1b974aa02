//! Whether a measurement is the same as one that was met: by all of its content, and not by its id, which anybody can copy to push
//! somebody else's out of the count.

mod bytes;

use std::collections::HashMap;

use faultline_record::{Measurement, MeasurementId, Witnessed, sha256};
use faultline_verdict::Submitter;

use bytes::Bytes;

/// First half of a SHA-256.
type Content = [u8; 16];

/// What tells a measurement from others.
pub type Key = (MeasurementId, Content);

/// Measurements that were met, each with the submitter whose file had it first.
#[derive(Debug, Default)]
pub struct Met(HashMap<Key, (Submitter, u8)>);

impl Met {
    /// Whether it counts for that submitter in the reading of that number: once, and for whoever had it first.
    pub fn counts(&mut self, key: Key, submitter: Submitter, reading: u8) -> bool {
        let (owner, last) = self.0.entry(key).or_insert((submitter, 0));
        let is_new = *owner == submitter && *last < reading;
        if is_new {
            *last = reading;
        }
        is_new
    }
}

/// The key of a measurement: its id, and a hash over everything that a verdict can rest on; certificates and bodies by their hashes.
pub fn key(witnessed: &Witnessed) -> Key {
    let Measurement { id, run, target, started_at, offset_ms, duration_ms, network, observations } =
        &witnessed.measurement;
    let mut bytes = Bytes::default();
    bytes.raw(run.as_bytes());
    bytes.target(target);
    bytes.number(started_at.as_millisecond());
    bytes.real(*offset_ms);
    bytes.real(*duration_ms);
    bytes.network(network);
    bytes.witness(&witnessed.witness);
    bytes.each(observations, Bytes::observation);
    let hash = sha256(bytes.as_slice());
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    (*id, half)
}
