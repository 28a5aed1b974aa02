//! Whether a measurement is the same as one that was met: by all of its content, and not by its id, which anybody can copy to push
//! somebody else's out of the count.

mod bytes;

use std::collections::{HashMap, HashSet};

use faultline_record::{Measurement, MeasurementId, Witnessed, sha256};
use faultline_verdict::Submitter;

use bytes::Bytes;

/// The first 64 bits of a SHA-256, of which there is one for each measurement in memory: who wants his to pass for another's under its id
/// has 2^64 to try.
pub type Content = [u8; 8];

/// Measurements that were met, each with the submitter whose file had it first.
#[derive(Debug, Default)]
pub struct Met {
    /// The first content of each id.
    first: HashMap<MeasurementId, (Content, Owner)>,
    /// Other contents under an id that was met.
    others: HashMap<(MeasurementId, Content), Owner>,
}

/// Who had it first, and the last reading that counted it.
#[derive(Clone, Copy, Debug)]
struct Owner {
    submitter: Submitter,
    last: u8,
}

impl Met {
    /// Whether it counts for that submitter in the reading of that number: once, and for whoever had it first. Without a content it is
    /// the one that its id had.
    pub fn counts(&mut self, id: MeasurementId, content: Option<Content>, submitter: Submitter, reading: u8) -> bool {
        let new = Owner { submitter, last: 0 };
        let (first, owner) = self.first.entry(id).or_insert((content.unwrap_or_default(), new));
        let owner = match content {
            Some(content) if content != *first => self.others.entry((id, content)).or_insert(new),
            _ => owner,
        };
        let is_new = owner.submitter == submitter && owner.last < reading;
        if is_new {
            owner.last = reading;
        }
        is_new
    }

    /// Ids under which more than one content was met.
    pub fn contested(&self) -> HashSet<MeasurementId> {
        self.others.keys().map(|(id, _)| *id).collect()
    }
}

/// A hash over everything that a verdict can rest on; certificates and bodies by their hashes.
pub fn content(witnessed: &Witnessed) -> Content {
    let Measurement { id: _, run, target, started_at, offset_ms, duration_ms, network, observations } =
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
    let mut content = Content::default();
    content.copy_from_slice(&hash[..size_of::<Content>()]);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> MeasurementId {
        MeasurementId::from_bytes([1; 16])
    }

    #[test]
    fn each_content_counts_once_a_reading_for_whoever_had_it_first() {
        let mut met = Met::default();
        let mut counts = |content: u8, by, reading| met.counts(id(), Some([content; 8]), Submitter(by), reading);
        assert_eq!([counts(1, 1, 1), counts(1, 1, 1), counts(1, 2, 1), counts(2, 2, 1)], [true, false, false, true]);
        assert_eq!([counts(1, 2, 2), counts(1, 1, 2), counts(2, 2, 2), counts(2, 2, 2)], [false, true, true, false]);
        assert_eq!(met.contested(), HashSet::from([id()]));
    }

    #[test]
    fn what_nobody_contests_is_known_by_its_id_alone() {
        let mut met = Met::default();
        assert!(met.counts(id(), Some([1; 8]), Submitter(1), 1));
        assert!(met.contested().is_empty());
        assert_eq!([1, 2, 1].map(|by| met.counts(id(), None, Submitter(by), 2)), [true, false, false]);
    }
}
