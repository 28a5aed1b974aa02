//! A profile: what many voices say together. Existence, prevalence and state are different questions and have different answers;
//! no figure of single verdicts is ever averaged.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::{MeasurementId, named};
use serde::{Serialize, Serializer};

use super::shrink::{Prevalence, Prior, Weighed, effective};
use super::voice::{Class, Voice};
use crate::context::{self, NetworkKey, Submitter};
use crate::verdict::{Cause, State};

/// A state holds if more than this share of the voices say so.
const MAJORITY: f64 = 0.5;

named! {
    /// Whether there was interference at all, be it once.
    pub enum Existence {
        /// Settled in measurements of as many independent submitters as the floor asks for.
        Shown = "shown",
        /// Somebody says so; too few.
        Claimed = "claimed",
        /// Nobody says so.
        None = "none",
    }
}

/// Who speaks, of which network, and what he says.
pub type Spoken<'a> = (&'a NetworkKey, Submitter, &'a Voice);

/// How many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Measurements that say something.
    pub measurements: u64,
    /// Measurements that say nothing: not counted in anything else.
    pub insufficient: u64,
    /// Submitters with different files: at least so many probes.
    pub probes: usize,
    /// Runs by the files' own word: at most so many probes (counted up to 64 a submitter).
    pub runs: usize,
    /// Networks.
    pub networks: usize,
    /// Voices that differ in submitter, and over several networks in network, too: what the floor is held against.
    pub independent: usize,
}

/// What holds for a cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// What the majority says; `insufficient` below the floor, `impaired` where there is no majority.
    pub state: State,
    /// Its likeliest cause.
    pub cause: Cause,
    /// The mechanism that most voices name, of those that say that somebody interferes.
    pub mechanism: Option<String>,
    /// Whether there was interference at all.
    pub existence: Existence,
    /// The share of voices that meet interference; drawn to that of the same target elsewhere, with its 90 % interval.
    #[serde(serialize_with = "rounded_prevalence")]
    pub prevalence: Prevalence,
    /// The share of voices that say what the majority says.
    #[serde(serialize_with = "rounded")]
    pub consensus: f64,
    /// How many there were.
    pub n: Counts,
    /// A measurement that says the same, with the same mechanism; where none does, one that claims interference. The smallest id of these.
    pub witness: Option<MeasurementId>,
}

/// The voices of a cell, weighed.
#[derive(Debug)]
pub struct Panel<'a> {
    spoken: Vec<(Spoken<'a>, f64)>,
    across: bool,
    counts: Counts,
}

impl<'a> Panel<'a> {
    /// Weighs voices: repeated measurements by their design effect; and where a cell goes `across` networks so that nobody counts for
    /// more than one, and no network does.
    pub fn of(spoken: Vec<Spoken<'a>>, across: bool) -> Self {
        let judged: Vec<Spoken<'a>> = spoken.iter().filter(|(.., voice)| voice.judged() > 0).copied().collect();
        let submitters: BTreeSet<Submitter> = judged.iter().map(|(_, submitter, _)| *submitter).collect();
        let networks: BTreeSet<&NetworkKey> = judged.iter().map(|(network, ..)| *network).collect();
        let independent = if across { apart(&judged) } else { submitters.len() };
        let runs = judged.iter().flat_map(|(_, submitter, voice)| voice.runs().map(|run| (*submitter, run)));
        let count = |count: fn(&Voice) -> u32| spoken.iter().map(|(.., voice)| u64::from(count(voice))).sum();
        let counts = Counts {
            measurements: count(Voice::measurements),
            insufficient: count(|voice| voice.count(|state| state == State::Insufficient)),
            probes: submitters.len(),
            runs: runs.collect::<BTreeSet<_>>().len(),
            networks: networks.len(),
            independent,
        };
        let weight = |(network, submitter, voice): &Spoken<'a>| {
            let of_network = judged.iter().filter(|other| other.0 == *network).count();
            let of_submitter = judged.iter().filter(|other| other.1 == *submitter).count();
            let share = if across { of_network.max(of_submitter) } else { 1 };
            effective(voice.judged()) / f64::from(u32::try_from(share).unwrap_or(u32::MAX))
        };
        let weighed = judged.iter().map(|one| (*one, weight(one))).collect();
        Self { spoken: if judged.is_empty() { unheard(spoken) } else { weighed }, across, counts }
    }

    /// Voices that meet interference, and all.
    pub fn weighed(&self) -> Weighed {
        Weighed { blocked: self.weight_of(Class::Blocked), of: self.total() }
    }

    /// The profile, with that floor under what is stated.
    pub fn profile(&self, floor: usize, prior: Prior) -> Profile {
        let existence = self.existence(floor);
        let (state, consensus) = self.state(floor, existence);
        let class = Class::of(state);
        let mechanism = self.mechanism().filter(|_| class == Some(Class::Blocked));
        Profile {
            state,
            cause: self.cause(state),
            witness: self.witness(state, mechanism.as_deref(), existence),
            mechanism,
            existence,
            prevalence: prior.posterior(self.weighed()),
            consensus,
            n: self.counts,
        }
    }

    fn total(&self) -> f64 {
        self.spoken.iter().map(|(_, weight)| weight).sum()
    }

    fn weight_of(&self, class: Class) -> f64 {
        self.spoken.iter().map(|((.., voice), weight)| weight * voice.share(class)).sum()
    }

    fn state(&self, floor: usize, existence: Existence) -> (State, f64) {
        let total = self.total();
        let classes = [Class::Ok, Class::Impaired, Class::Down, Class::Blocked];
        let shares = classes.map(|class| (class, if total > 0.0 { self.weight_of(class) / total } else { 0.0 }));
        // The first of equals: the least that can be said.
        let (class, consensus) =
            shares.into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Class::Ok, 0.0));
        let state = match class {
            _ if self.counts.independent < floor || self.counts.measurements == 0 => State::Insufficient,
            _ if consensus <= MAJORITY + 1e-9 => State::Impaired,
            Class::Ok => State::Ok,
            Class::Impaired => State::Impaired,
            Class::Down => State::Down,
            Class::Blocked if existence == Existence::Shown => State::Blocked,
            Class::Blocked => State::LikelyBlocked,
        };
        (state, consensus)
    }

    /// Settled interference, by whom.
    fn existence(&self, floor: usize) -> Existence {
        let with = |is: fn(State) -> bool| {
            let own = self.spoken.iter().filter(move |((.., voice), _)| voice.count(is) > 0);
            own.map(|(spoken, _)| *spoken).collect::<Vec<_>>()
        };
        let settled = with(|state| state == State::Blocked);
        let submitters: BTreeSet<Submitter> = settled.iter().map(|(_, submitter, _)| *submitter).collect();
        let voices = if self.across { apart(&settled) } else { submitters.len() };
        match voices {
            voices if voices >= floor && voices > 0 => Existence::Shown,
            _ if !with(|state| Class::of(state) == Some(Class::Blocked)).is_empty() => Existence::Claimed,
            _ => Existence::None,
        }
    }

    /// The mechanism that weighs most, the first by name of equals.
    fn mechanism(&self) -> Option<String> {
        let mut weights: BTreeMap<&str, f64> = BTreeMap::new();
        for ((.., voice), weight) in &self.spoken {
            for (mechanism, counted) in voice.mechanisms() {
                *weights.entry(mechanism).or_default() +=
                    weight * f64::from(counted.count) / f64::from(voice.judged().max(1));
            }
        }
        weights.into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(mechanism, _)| mechanism.to_owned())
    }

    /// The cause that weighs most among what says that state's class, or says nothing where that is all there is.
    fn cause(&self, state: State) -> Cause {
        if self.counts.measurements > 0 && state == State::Insufficient {
            return Cause::Unknown;
        }
        let class = Class::of(state);
        let mut weights: BTreeMap<Cause, f64> = BTreeMap::new();
        for ((.., voice), weight) in &self.spoken {
            for (_, cause, counted) in voice.said().filter(|(said, ..)| Class::of(*said) == class) {
                *weights.entry(cause).or_default() += weight * f64::from(counted.count);
            }
        }
        let most =
            weights.into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(Cause::Unknown, |(cause, _)| cause);
        let is_country = self.across && apart(&self.everybody()) > 1;
        if class.is_none() && most == Cause::Isp && is_country { Cause::Shutdown } else { most }
    }

    fn everybody(&self) -> Vec<Spoken<'a>> {
        self.spoken.iter().map(|(spoken, _)| *spoken).collect()
    }

    /// A measurement of that mechanism, or of that state, or of its class; where there is none, or nothing is stated, one that claims
    /// interference.
    fn witness(&self, state: State, mechanism: Option<&str>, existence: Existence) -> Option<MeasurementId> {
        let voices = || self.spoken.iter().map(|((.., voice), _)| *voice);
        if let Some(mechanism) = mechanism {
            let own = voices().flat_map(Voice::mechanisms).filter(|(name, _)| &***name == mechanism);
            return own.map(|(_, counted)| counted.witness).min();
        }
        let of = |is: &dyn Fn(State) -> bool| {
            let own = voices().flat_map(Voice::said).filter(|(said, ..)| is(*said));
            own.map(|(.., counted)| counted.witness).min()
        };
        let class = Class::of(state);
        let stated =
            class.and_then(|class| of(&|said| said == state).or_else(|| of(&|said| Class::of(said) == Some(class))));
        let is_claimed = |said| existence != Existence::None && Class::of(said) == Some(Class::Blocked);
        stated.or_else(|| of(&is_claimed))
    }
}

/// Voices that say nothing: each counts as one, for what can be said of why.
fn unheard(spoken: Vec<Spoken<'_>>) -> Vec<(Spoken<'_>, f64)> {
    spoken.into_iter().map(|one| (one, 1.0)).collect()
}

/// How many of them are independent.
fn apart(spoken: &[Spoken<'_>]) -> usize {
    context::apart(spoken.iter().map(|(network, submitter, _)| (*network, *submitter)))
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn rounded<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(three_decimals(*value))
}

fn rounded_prevalence<S: Serializer>(value: &Prevalence, serializer: S) -> Result<S::Ok, S::Error> {
    let Prevalence { share, low, high } = *value;
    let of = |value| three_decimals(value);
    serde_json::json!({"share": of(share), "low": of(low), "high": of(high)}).serialize(serializer)
}

fn three_decimals(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0 + 0.0
}
