//! The tables of the context. Their size grows with the number of different things that were met, never with how often.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use faultline_record::Timestamp;
use smallvec::SmallVec;

use super::Software;
use super::independent::Vantage;
use super::key::{Hour, Interned, NetworkKey, Number};
use super::seen::{End, Socket, Word};

/// Length of the stretches in which other targets of a vantage are counted, milliseconds.
const STRETCH_MS: i64 = 600_000;
/// Hours of a day.
const DAY: i64 = 24;
/// Targets that are told apart in a stretch; vantages of one proof; names of one address.
const KEPT: usize = 64;
/// The number that stands for the networks of helpers: all of them are one, since one helper serves many.
pub const HELPER: Number = Number::NOBODYS;

/// Room for one thing inside the table: most entries never hold a second, and there are millions.
type Few<T> = SmallVec<[T; 1]>;

/// An hour, day or stretch in half the room.
type Brief = i32;

/// What one vantage met at one endpoint in one hour.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// Who.
    pub vantage: Vantage,
    /// How often it worked.
    pub reached: u32,
    /// How often it failed.
    pub failed: u32,
    /// The last status by which somebody turned it away.
    pub refused: Option<u16>,
}

/// The same by what measured, in one day.
#[derive(Clone, Copy, Debug)]
pub struct SoftwareTally {
    /// Number of the software.
    pub software: Number,
    /// The rest.
    pub tally: Tally,
}

/// The targets of one vantage in one stretch.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// Endpoints that worked.
    pub worked: Few<Number>,
    /// Endpoints that failed.
    pub failed: Few<Number>,
}

/// A vantage that saw a certificate of the name's there.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Who.
    pub vantage: Vantage,
    /// First hour.
    first: Brief,
    /// Last hour.
    last: Brief,
}

impl Proof {
    /// Whether that hour, or one so many before or after it, lies in its time.
    pub fn is_near(&self, hour: Hour, within: Hour) -> bool {
        Hour::from(self.first) <= hour + within && Hour::from(self.last) >= hour - within
    }
}

/// What one vantage heard of a name from a resolver in one hour: the best of it.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Who.
    pub vantage: Vantage,
    /// What.
    pub word: Word,
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub struct Store {
    names: Interned<String>,
    networks: Interned<NetworkKey>,
    software: Interned<Software>,
    ends: HashMap<(Number, Brief), Few<Tally>>,
    by_software: HashMap<(Number, Brief), Few<SoftwareTally>>,
    stretches: HashMap<(Vantage, Brief), Stretch>,
    proofs: HashMap<(Number, Socket), Few<Proof>>,
    proven: HashSet<IpAddr>,
    answered: HashMap<(Vantage, IpAddr), Few<Number>>,
    said: HashMap<(Number, Option<Number>, Brief), Few<Said>>,
}

impl Store {
    /// The number of a network, if it is known which it is.
    pub fn network(&mut self, key: &NetworkKey) -> Option<Number> {
        key.asn.map(|_| self.networks.number(key))
    }

    /// The number of a network that was met.
    pub fn find_network(&self, key: &NetworkKey) -> Option<Number> {
        key.asn.and_then(|_| self.networks.find(key))
    }

    /// The network of a number; `None` for helpers'.
    pub fn network_of(&self, number: Number) -> Option<&NetworkKey> {
        self.networks.thing(number)
    }

    /// A measurement of an endpoint ended so.
    pub fn ended(&mut self, key: &str, hour: Hour, vantage: Vantage, end: Option<End>, refused: Option<u16>) {
        let end = end.filter(|end| *end != End::Blocked);
        if end.is_none() && refused.is_none() {
            return;
        }
        let tallies = self.ends.entry((self.names.number(key), brief(hour))).or_default();
        count(find_or_add(tallies, vantage), end, refused);
    }

    /// The same, by what measured.
    pub fn by_software(&mut self, key: &str, hour: Hour, vantage: Vantage, software: &Software, end: End) {
        let software = self.software.number(software);
        let rows = self.by_software.entry((self.names.number(key), brief(hour.div_euclid(DAY)))).or_default();
        let known = rows.iter().position(|row| row.software == software && row.tally.vantage == vantage);
        let place = known.unwrap_or_else(|| {
            rows.push(SoftwareTally { software, tally: empty(vantage) });
            rows.len() - 1
        });
        count(&mut rows[place].tally, Some(end), None);
    }

    /// The same, beside other targets of the vantage.
    pub fn minute(&mut self, key: &str, at: Timestamp, vantage: Vantage, end: End) {
        let name = self.names.number(key);
        let stretch = self.stretches.entry((vantage, brief(at.as_millisecond().div_euclid(STRETCH_MS)))).or_default();
        keep(if end == End::Reached { &mut stretch.worked } else { &mut stretch.failed }, name);
    }

    /// A certificate proved a name there.
    pub fn proven(&mut self, name: &str, socket: Socket, hour: Hour, vantage: Vantage) {
        let hour = brief(hour);
        self.proven.insert(socket.address);
        let proofs = self.proofs.entry((self.names.number(name), socket)).or_default();
        if let Some(proof) = proofs.iter_mut().find(|proof| proof.vantage == vantage) {
            (proof.first, proof.last) = (proof.first.min(hour), proof.last.max(hour));
        } else if proofs.len() < KEPT {
            proofs.push(Proof { vantage, first: hour, last: hour });
        }
    }

    /// The system's resolver gave these addresses for a name.
    pub fn answered(&mut self, name: &str, vantage: Vantage, addresses: &[IpAddr]) {
        let name = self.names.number(name);
        for &address in addresses {
            keep(self.answered.entry((vantage, address)).or_default(), name);
        }
    }

    /// A resolver (the system's: `None`) said that of a name.
    pub fn said(&mut self, name: &str, resolver: Option<&str>, hour: Hour, vantage: Vantage, word: Word) {
        let resolver = resolver.map(|resolver| self.names.number(resolver));
        let rows = self.said.entry((self.names.number(name), resolver, brief(hour))).or_default();
        match rows.iter_mut().find(|row| row.vantage == vantage) {
            Some(row) => row.word = row.word.min(word),
            None => rows.push(Said { vantage, word }),
        }
    }

    /// What was met at an endpoint in these hours, with the hour.
    pub fn ends(&self, key: &str, hours: std::ops::RangeInclusive<Hour>) -> impl Iterator<Item = (Hour, &Tally)> {
        self.names.find(key).into_iter().flat_map(move |name| self.ends_of(name, hours.clone()))
    }

    /// The same by the endpoint's number.
    pub fn ends_of(&self, name: Number, hours: std::ops::RangeInclusive<Hour>) -> impl Iterator<Item = (Hour, &Tally)> {
        hours.flat_map(move |hour| {
            self.ends.get(&(name, brief(hour))).into_iter().flatten().map(move |tally| (hour, tally))
        })
    }

    /// What was met at an endpoint in the day of an hour, by what measured.
    pub fn ends_by_software(&self, key: &str, hour: Hour) -> impl Iterator<Item = (&Software, &Tally)> {
        let day = brief(hour.div_euclid(DAY));
        let rows = self.names.find(key).and_then(|name| self.by_software.get(&(name, day)));
        let software = |row: &SoftwareTally| self.software.thing(row.software);
        rows.into_iter().flatten().filter_map(move |row| Some((software(row)?, &row.tally)))
    }

    /// The stretches of a vantage around a time: its own, and the two beside it.
    pub fn stretches(&self, at: Timestamp, vantage: Vantage) -> impl Iterator<Item = &Stretch> {
        let own = at.as_millisecond().div_euclid(STRETCH_MS);
        (own - 1..=own + 1).filter_map(move |stretch| self.stretches.get(&(vantage, brief(stretch))))
    }

    /// Who proved a name there.
    pub fn proofs(&self, name: &str, socket: Socket) -> &[Proof] {
        let proofs = self.names.find(name).and_then(|name| self.proofs.get(&(name, socket)));
        proofs.map_or(&[], SmallVec::as_slice)
    }

    /// Whether an address was proven to be any name's.
    pub fn is_proven(&self, address: IpAddr) -> bool {
        self.proven.contains(&address)
    }

    /// Names for which a vantage's own resolver gave that address.
    pub fn names_at(&self, vantage: Vantage, address: IpAddr) -> impl Iterator<Item = &str> {
        let names = self.answered.get(&(vantage, address)).into_iter().flatten();
        names.filter_map(|&name| self.names.thing(name).map(String::as_str))
    }

    /// What a resolver (the system's: `None`) said of a name in these hours.
    pub fn words(
        &self,
        name: &str,
        resolver: Option<&str>,
        hours: std::ops::RangeInclusive<Hour>,
    ) -> impl Iterator<Item = &Said> {
        let number = |text: &str| self.names.find(text);
        let asked = resolver.map_or(Some(None), |resolver| number(resolver).map(Some));
        let key = number(name).zip(asked);
        key.into_iter().flat_map(move |(name, resolver)| {
            hours.clone().filter_map(move |hour| self.said.get(&(name, resolver, brief(hour)))).flatten()
        })
    }
}

/// A time in 32 bits, which reach for 40,000 years of stretches, and for more of hours; what lies beyond is their end.
fn brief(time: i64) -> Brief {
    Brief::try_from(time).unwrap_or(if time < 0 { Brief::MIN } else { Brief::MAX })
}

fn empty(vantage: Vantage) -> Tally {
    Tally { vantage, reached: 0, failed: 0, refused: None }
}

fn find_or_add(tallies: &mut Few<Tally>, vantage: Vantage) -> &mut Tally {
    let known = tallies.iter().position(|tally| tally.vantage == vantage);
    let place = known.unwrap_or_else(|| {
        tallies.push(empty(vantage));
        tallies.len() - 1
    });
    &mut tallies[place]
}

fn count(tally: &mut Tally, end: Option<End>, refused: Option<u16>) {
    tally.reached = tally.reached.saturating_add(u32::from(end == Some(End::Reached)));
    tally.failed = tally.failed.saturating_add(u32::from(matches!(end, Some(End::Failed | End::Blocked))));
    tally.refused = refused.or(tally.refused);
}

/// Keeps a number once, while there is room.
fn keep(kept: &mut Few<Number>, number: Number) {
    if kept.len() < KEPT && !kept.contains(&number) {
        kept.push(number);
    }
}
