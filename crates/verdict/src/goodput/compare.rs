//! The same response in turns: is it slower under one condition than under the other, and by how much?
//!
//! Rounds alternate, so that congestion and a busy server meet both. Two things must hold: ranks that chance would hardly
//! bring about (Mann and Whitney 1947, exact), which assumes nothing of how rates are distributed; and a ratio that is far
//! from one with its interval (Student's t on the logarithms of the rounds' ratios, since rates vary by factors).

use super::limit::Limit;
use super::transfer::{Transfer, as_f64};
use crate::rules::are_alike;

/// Rounds that are made at most, and that are enough: of six and six, chance leaves two inversions or fewer once in 231.
pub const MOST_ROUNDS: usize = 6;
/// Rounds that must have come to something: of five and five, chance leaves no inversion once in 252.
const ROUNDS_WANTED: usize = 5;
/// Chance must be rarer.
const RARE: f64 = 0.005;
/// The ratio must be as small (design: 0.2 to 0.3; science table row 29: below 0.3; more is left here, since a short response
/// over a long path is mostly slow start, of which a limit takes less). Of normal logarithms with the spread of a line that
/// loses a tenth on the testbed (0.3), chance gives such six rounds less than once in 100,000; of 0.8, once in 1,000.
const RATIO: f64 = 0.4;
/// Its interval must end below.
const FAR: f64 = 0.5;
/// A ratio that is no smaller after two rounds is not waited for.
const HOPELESS: f64 = 0.6;

/// Quantiles of Student's t that leave 2.5 % above, for 1 to 11 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
const STUDENT: [f64; 11] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201];

/// One round: the response in question, and the one it is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Of the target's own name, or in the clear.
    pub own: Transfer,
    /// Of an innocent name, or over TLS.
    pub other: Transfer,
}

/// A mean and the interval that holds it in 95 of 100 cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The (geometric) mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Of values above zero, on their logarithms; `None` of fewer than two.
    fn of(values: &[f64]) -> Option<Self> {
        let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
        let count = as_f64(logs.len() as u64);
        let student = STUDENT[logs.len().checked_sub(2)?.min(STUDENT.len() - 1)];
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = student * (variance / count).sqrt();
        Some(Self { mean: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
    }
}

/// What the rounds show together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How many rounds.
    pub rounds: usize,
    /// Kilobits a second of the responses in question.
    pub own: Interval,
    /// Kilobits a second of the others.
    pub other: Interval,
    /// The first over the second.
    pub ratio: Interval,
    /// How likely ranks are that are as far apart, or farther, if there is no difference.
    pub chance: f64,
    /// What keeps the own rate down, or both, if it is nearly the same each time.
    pub limit: Option<Limit>,
}

impl Comparison {
    /// Of rounds that brought one body; `None` if they did not, or of fewer than two.
    pub fn of(rounds: &[Round]) -> Option<Self> {
        are_of_one_body(rounds).then(|| Self::of_any(rounds, false)).flatten()
    }

    /// Of rounds that were answered alike, whole or not: enough to say that both are slow.
    pub fn of_answers(rounds: &[Round]) -> Option<Self> {
        let status = rounds.first()?.other.status.filter(|_| rounds.len() > 1)?;
        let is_same = |one: &Transfer| one.status.is_none_or(|own| own == status);
        rounds
            .iter()
            .all(|round| is_same(&round.own) && is_same(&round.other))
            .then(|| Self::of_any(rounds, true))
            .flatten()
    }

    fn of_any(rounds: &[Round], is_of_both: bool) -> Option<Self> {
        let (own, other) = rates(rounds);
        let ratios: Vec<f64> = own.iter().zip(&other).map(|(own, other)| own / other).collect();
        let others = rounds.iter().filter(|_| is_of_both).map(|round| &round.other);
        let limited: Vec<&Transfer> = rounds.iter().map(|round| &round.own).chain(others).collect();
        Some(Self {
            rounds: rounds.len(),
            own: Interval::of(&own)?,
            other: Interval::of(&other)?,
            ratio: Interval::of(&ratios)?,
            chance: chance(inversions(&own, &other), rounds.len()),
            limit: Limit::of(&limited),
        })
    }

    /// Whether the own responses are slower, beyond chance and by far.
    pub fn is_slower(&self) -> bool {
        self.rounds >= ROUNDS_WANTED && self.chance < RARE && self.ratio.mean <= RATIO && self.ratio.high <= FAR
    }
}

/// Whether the others' bodies are what the own ones are or would have become, of which one at least must have begun. What differs in content may differ in the
/// server's work.
pub fn are_of_one_body(rounds: &[Round]) -> bool {
    let Some(model) = rounds.first().map(|round| &round.other) else { return false };
    if !model.is_whole || model.status.is_none() {
        return false;
    }
    let is_alike = |one: &Transfer| one.status == model.status && are_alike(one.length, model.length);
    let fits = |one: &Transfer| {
        let may_become = one.status.is_none() || one.status == model.status;
        if one.is_whole { is_alike(one) } else { may_become && one.length <= model.length }
    };
    let is_known = rounds.iter().any(|round| round.own.status == model.status);
    is_known && rounds.iter().all(|round| fits(&round.own) && fits(&round.other))
}

/// Whether further rounds can show the own responses to be slower: after what these were, ranks can still come to be far
/// enough apart, and the ratio is not near one.
pub fn may_yet_differ(rounds: &[Round]) -> bool {
    let (own, other) = rates(rounds);
    let most = (0..MOST_ROUNDS).take_while(|&count| chance(count, MOST_ROUNDS) < RARE).last().unwrap_or(0);
    let ratios: Vec<f64> = own.iter().zip(&other).map(|(own, other)| own / other).collect();
    inversions(&own, &other) <= most && Interval::of(&ratios).is_none_or(|ratio| ratio.mean <= HOPELESS)
}

/// Kilobits a second of the own responses and of the others, taken alike.
fn rates(rounds: &[Round]) -> (Vec<f64>, Vec<f64>) {
    let all = || rounds.iter().flat_map(|round| [&round.own, &round.other]);
    let (start, round_trip) = (Transfer::start_of(all()), Transfer::round_trip_of(all()));
    rounds.iter().map(|round| (round.own.kbit(start, round_trip), round.other.kbit(start, round_trip))).unzip()
}

/// How many pairs of an own and another rate have the own one as fast or faster.
fn inversions(own: &[f64], other: &[f64]) -> usize {
    own.iter().map(|own| other.iter().filter(|other| own >= *other).count()).sum()
}

/// The share of all orders of `rounds` and `rounds` rates that have so many inversions or fewer.
fn chance(inversions: usize, rounds: usize) -> f64 {
    let with = |count| orders(count, rounds, rounds);
    let all: u64 = (0..=rounds * rounds).map(with).sum();
    as_f64((0..=inversions.min(rounds * rounds)).map(with).sum()) / as_f64(all)
}

/// How many orders of so many own and other rates have exactly so many inversions: the fastest of all is an own one, which
/// is then before every other, or it is not.
fn orders(inversions: usize, own: usize, other: usize) -> u64 {
    if own == 0 || other == 0 {
        return u64::from(inversions == 0);
    }
    let own_first = inversions.checked_sub(other).map_or(0, |rest| orders(rest, own - 1, other));
    own_first + orders(inversions, own, other - 1)
}
