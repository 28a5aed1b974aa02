//! Context: what many measurements say that one does not have.
//!
//! Made in a first reading of all measurements, asked in a second. Kept are summaries by key and no rows: by endpoint and hour,
//! which vantages reached it; by network and ten minutes, how many targets worked; by name, what resolvers said and where a
//! certificate proved it. Whatever a file says of itself can be forged, so that a statement counts as often as independent
//! submitters in different networks make it (see [`Submitter`]), and what is absent accuses nobody.

mod entries;
mod feeds;
mod fire;
mod independent;
mod key;
mod seen;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use faultline_record::{Announcement, Measurement, Point, Series, Timestamp, named, sha256};

use crate::verdict::Verdict;

pub use entries::Entry;
pub use feeds::{FeedWord, Teller};
pub use fire::Question;
pub use independent::Submitter;
pub use key::{HOUR_MS, Hour, NetworkKey, begin, endpoint as endpoint_key, hour, hours_between};
pub use seen::Proves;

pub(crate) use entries::entries;
pub(crate) use independent::apart;

use feeds::Feeds;
use independent::{Vantage, independent};
use seen::{Socket, Word};
use store::Store;

/// What made a measurement, by its run's own word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Software {
    /// Name and version.
    pub version: String,
    /// Operating system and architecture.
    pub platform: String,
}

/// From whom a measurement comes, and what made it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Who handed it in.
    pub submitter: Submitter,
    /// What made it.
    pub software: &'a Software,
    /// When it began, by a clock that is right as far as that is known.
    pub began: Timestamp,
}

named! {
    /// What a control says: others who wanted the same in the same hours.
    pub enum ControlState {
        /// It fails for them as well.
        Agrees = "agrees",
        /// They reach it.
        Disagrees = "disagrees",
        /// There are too few of them, or they differ: it says nothing.
        Absent = "absent",
    }
}

/// The summaries.
#[derive(Clone, Debug, Default)]
pub struct Context {
    store: Store,
    feeds: Feeds,
    /// Sum of the hashes of what was added, so that no order changes it.
    sum: [u64; 4],
    count: u64,
}

impl Context {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a measurement says, with the verdict on it by itself. Each measurement is added once; the caller sees to that.
    pub fn add(&mut self, measurement: &Measurement, verdict: &Verdict, place: Place<'_>, proves: Proves<'_>) {
        self.sign(measurement, verdict, place);
        let network = self.store.network(&NetworkKey::of(&measurement.network));
        let vantage = Vantage { network, submitter: place.submitter };
        let helper = Vantage { network: Some(store::HELPER), submitter: place.submitter };
        let hour = hour(place.began);
        if let Some(key) = key::endpoint(&measurement.target.endpoint) {
            let end = seen::end(measurement, verdict);
            self.store.ended(&key, hour, vantage, end, seen::refusal(measurement));
            self.store.ended(&key, hour, helper, seen::helper_end(measurement), None);
            if let Some(end) = end {
                self.store.by_software(&key, hour, vantage, place.software, end);
                self.store.minute(&key, place.began, vantage, end);
            }
        }
        for (name, socket, by_helper) in seen::proven(measurement, place.began, proves) {
            self.store.proven(&name, socket, hour, if by_helper { helper } else { vantage });
        }
        self.add_words(measurement, hour, vantage);
    }

    fn add_words(&mut self, measurement: &Measurement, hour: Hour, vantage: Vantage) {
        let mut said: BTreeMap<(String, Option<String>), Word> = BTreeMap::new();
        for (name, resolver, word, addresses) in seen::words(measurement) {
            if resolver.is_none() {
                self.store.answered(&name, vantage, &addresses);
            }
            let best = said.entry((name, resolver)).or_insert(word);
            *best = (*best).min(word);
        }
        let given: BTreeSet<String> =
            said.iter().filter(|(_, word)| **word == Word::Given).map(|((name, _), _)| name.clone()).collect();
        for ((name, resolver), word) in said {
            // What is given by somebody else in the same place is in dispute there, and no denial to be held against others.
            if word == Word::Denied && given.contains(&name) {
                continue;
            }
            self.store.said(&name, resolver.as_deref(), hour, vantage, word);
        }
    }

    /// Adds what somebody announces of a place.
    pub fn add_announcement(&mut self, one: &Announcement, teller: Teller) {
        if self.feeds.announce(one, teller) {
            self.add_hash(&feeds::hash(one, teller));
        }
    }

    /// Adds a series that somebody publishes of a place, with its values.
    pub fn add_series(&mut self, of: &Series, points: &[Point], teller: Teller) {
        if self.feeds.measure(of, points, teller) {
            self.add_hash(&feeds::hash(&(of, points), teller));
        }
    }

    /// What feeds say of a network (or, without a number, of a country) from one moment to another.
    pub fn feed_words(&self, network: &NetworkKey, from: Timestamp, to: Timestamp) -> Vec<FeedWord> {
        self.feeds.words(network, from, to)
    }

    /// What feeds come to together: an outage is believed only by two sources of different submitters, or by one that whoever runs the
    /// analysis vouches for; `agrees` is said of such a one alone.
    pub fn feed_state(&self, words: &[FeedWord]) -> ControlState {
        let of = |state| words.iter().filter(|word| !word.is_demand && word.state == state).collect::<Vec<_>>();
        match of(ControlState::Agrees) {
            told if self.feeds.are_believed(&told) => ControlState::Agrees,
            told if told.is_empty() && !of(ControlState::Disagrees).is_empty() => ControlState::Disagrees,
            _ => ControlState::Absent,
        }
    }

    /// Names everything that was added, whatever the order: 128 bits of a sum of SHA-256 hashes, in hexadecimal digits.
    pub fn snapshot(&self) -> String {
        let mut bytes: Vec<u8> = self.sum.iter().flat_map(|lane| lane.to_be_bytes()).collect();
        bytes.extend(self.count.to_be_bytes());
        faultline_record::hex(&sha256(&bytes)[..16])
    }

    fn sign(&mut self, measurement: &Measurement, verdict: &Verdict, place: Place<'_>) {
        let text = format!(
            "{} {} {} {:?} {:?} {}",
            measurement.id,
            place.began.as_millisecond(),
            verdict.state,
            NetworkKey::of(&measurement.network),
            place.software,
            place.submitter.0
        );
        self.add_hash(&sha256(text.as_bytes()));
    }

    fn add_hash(&mut self, hash: &[u8; 32]) {
        for (lane, bytes) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            *lane = lane.wrapping_add(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
        }
        self.count += 1;
    }

    /// What others in other networks say of the endpoint of a measurement, in its hour and the two beside it.
    pub fn control(&self, measurement: &Measurement, place: Place<'_>) -> ControlState {
        let near = self.others(measurement, place, fire::NEAR);
        near.map_or(ControlState::Absent, |others| others.state())
    }

    /// Whether an address was proven to be a name's by certificates that we verified, from independent networks.
    pub fn is_genuine(&self, name: &str, address: IpAddr, port: u16) -> bool {
        let socket = Socket { address, port, is_udp: false };
        independent(self.store.proofs(name, socket).iter().map(|proof| proof.vantage)) >= independent::WANTED
    }
}
