//! What one submitter says of one cell: counts by state, and one measurement to show for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use faultline_record::{MeasurementId, RunId};

use crate::verdict::{Cause, State};

/// Runs that are told apart; more are not needed to know that there were many.
const RUNS: usize = 64;

/// What verdicts of several states come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It works.
    Ok,
    /// It does not, and it cannot be told why.
    Impaired,
    /// It does not, and nobody interferes.
    Down,
    /// Somebody interferes, or likely so.
    Blocked,
}

impl Class {
    /// Of a state; `None` of what says nothing.
    pub fn of(state: State) -> Option<Self> {
        Some(match state {
            State::Ok => Self::Ok,
            State::Impaired => Self::Impaired,
            State::Down => Self::Down,
            State::Blocked | State::LikelyBlocked => Self::Blocked,
            State::Insufficient => return None,
        })
    }
}

/// One judgement, as far as cells are made of it.
#[derive(Clone, Debug)]
pub struct Said {
    /// The measurement.
    pub measurement: MeasurementId,
    /// Its run.
    pub run: RunId,
    /// The state.
    pub state: State,
    /// The cause.
    pub cause: Cause,
    /// The mechanisms.
    pub mechanisms: Vec<Arc<str>>,
}

/// How often, and the smallest id of those of whom it was said: the same whatever the order of reading.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// How often.
    pub count: u32,
    /// One of them.
    pub witness: MeasurementId,
}

impl Counted {
    fn and(self, witness: MeasurementId) -> Self {
        Self { count: self.count.saturating_add(1), witness: self.witness.min(witness) }
    }
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Voice {
    /// By state and cause.
    said: BTreeMap<(State, Cause), Counted>,
    /// Of those where somebody interferes, by mechanism.
    mechanisms: BTreeMap<Arc<str>, Counted>,
    runs: BTreeSet<RunId>,
    /// Measurements behind one judgement on many, where it is one.
    behind: Option<u32>,
}

impl Voice {
    /// One judgement that was made of many measurements and runs.
    pub fn of_many(said: &Said, measurements: u32, runs: &BTreeSet<RunId>) -> Self {
        let mut voice = Self::default();
        voice.add(said);
        voice.runs.extend(runs.iter().take(RUNS));
        voice.behind = Some(measurements);
        voice
    }

    /// One more.
    pub fn add(&mut self, said: &Said) {
        put(&mut self.said, (said.state, said.cause), said.measurement);
        if Class::of(said.state) == Some(Class::Blocked) {
            for mechanism in &said.mechanisms {
                put(&mut self.mechanisms, Arc::clone(mechanism), said.measurement);
            }
        }
        if self.runs.len() < RUNS {
            self.runs.insert(said.run);
        }
    }

    /// How many of those states.
    pub fn count(&self, is: impl Fn(State) -> bool) -> u32 {
        self.said.iter().filter(|((state, _), _)| is(*state)).map(|(_, counted)| counted.count).sum()
    }

    /// How many that say something.
    pub fn judged(&self) -> u32 {
        self.count(|state| state != State::Insufficient)
    }

    /// Measurements that it rests on.
    pub fn measurements(&self) -> u32 {
        self.behind.filter(|_| self.judged() > 0).unwrap_or_else(|| self.judged())
    }

    /// The share of a class among those.
    pub fn share(&self, class: Class) -> f64 {
        let of = self.judged();
        if of == 0 { 0.0 } else { f64::from(self.count(|state| Class::of(state) == Some(class))) / f64::from(of) }
    }

    /// States and causes.
    pub fn said(&self) -> impl Iterator<Item = (State, Cause, Counted)> {
        self.said.iter().map(|(&(state, cause), &counted)| (state, cause, counted))
    }

    /// Mechanisms.
    pub fn mechanisms(&self) -> impl Iterator<Item = (&Arc<str>, Counted)> {
        self.mechanisms.iter().map(|(mechanism, &counted)| (mechanism, counted))
    }

    /// Runs, as far as they are told apart.
    pub fn runs(&self) -> impl Iterator<Item = RunId> {
        self.runs.iter().copied()
    }
}

fn put<K: Ord>(map: &mut BTreeMap<K, Counted>, key: K, witness: MeasurementId) {
    map.entry(key).and_modify(|counted| *counted = counted.and(witness)).or_insert(Counted { count: 1, witness });
}
