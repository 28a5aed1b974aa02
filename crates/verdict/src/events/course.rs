//! Where a share changes over time: Page's cumulative sum (Page 1954) of the log-likelihood ratios of votes. A vote is what one
//! submitter says in one hour, so that nobody is heard more often for measuring more often.
//!
//! Figures: a sum of 8 (in powers of ten) lets a series without any change be told of once in 10^8 votes or less (Lorden 1971), and a
//! full change be seen after five of them. The methods table of the science reference proposes 10^6 for one series; thousands of series
//! are watched at the same time, and at 10^6 campaigns of 278,400 votes had a false alarm in one of two. A day without votes
//! is waited for; after that what was heard counts for half after each 48 hours (as in OONI's detector).

use std::collections::BTreeSet;

use crate::context::{Hour, Submitter};

/// Sum from which a change is told of.
const OPEN: f64 = 8.0;
/// Sum from which its end is: less, since an end that is missed would be a claim about every hour after it.
const CLOSE: f64 = 3.0;
/// No change is believed to hold for more than this share of votes.
const MOST: f64 = 0.95;
/// Hours without votes that change nothing, and those after which half is forgotten.
const PATIENCE: Hour = 24;
const HALF_LIFE: f64 = 48.0;

/// Shares of votes that say so where nothing is wrong, and where something is.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Where nothing is wrong.
    pub before: f64,
    /// Where something is.
    pub during: f64,
}

impl Rates {
    /// Interference: of benign measurements of the testbed fewer than 1 in 400 are laid to it (rule of three); four times as many are
    /// allowed for. A change to 70 % is looked for, as OONI's detector does.
    pub const INTERFERED: Self = Self { before: 0.01, during: 0.7 };
    /// A target that does not work in a proven minute: targets fail by themselves more often (delay table of the science reference,
    /// its middle row).
    pub const FAILED: Self = Self { before: 0.05, during: 0.7 };
    /// A provider that is cut off (the same table, its first row).
    pub const CUT_OFF: Self = Self { before: 0.02, during: 0.7 };

    /// What a vote weighs for a change, in powers of ten: by the share of a submitter's measurements that say so.
    fn weight(self, share: f64) -> f64 {
        let Self { before, during } = self;
        share * (during / before).log10() + (1.0 - share) * ((1.0 - during) / (1.0 - before)).log10()
    }
}

/// What one submitter says in one hour.
#[derive(Clone, Copy, Debug)]
pub struct Vote {
    /// The hour.
    pub hour: Hour,
    /// Who.
    pub submitter: Submitter,
    /// The share of his measurements that say so.
    pub share: f64,
    /// What they weigh together, in measurements: little more than one.
    pub weight: f64,
}

/// A stretch in which the share is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first hour in which somebody says so.
    pub begin: Hour,
    /// The hour in which it was certain.
    pub shown: Hour,
    /// The first hour of the end, and the hour in which that was certain, if it has one.
    pub end: Option<(Hour, Hour)>,
}

/// What a series comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Its changed stretches, in order.
    pub spans: Vec<Span>,
    /// Stretches that would be certain, were the floor lower: too few submitters say so.
    pub held_back: usize,
}

/// How much of what is said during a change says so: an end is a return from there, so that what acts three times in ten has not ended
/// after four votes that it did not meet.
#[derive(Clone, Copy, Default)]
struct Level {
    so: f64,
    of: f64,
}

impl Level {
    fn and(self, votes: &[Vote]) -> Self {
        let sum = |of: fn(&Vote) -> f64| votes.iter().map(of).sum::<f64>();
        Self { so: self.so + sum(|vote| vote.share * vote.weight), of: self.of + sum(|vote| vote.weight) }
    }

    /// The rates for an end: the share so far, with one vote of either kind beforehand (Laplace's rule).
    fn rates(self, rates: Rates) -> Rates {
        let share = (self.so + 1.0) / (self.of + 2.0);
        Rates { during: share.clamp(rates.before * 2.0, MOST), ..rates }
    }
}

/// A sum, since when it is above nothing, and who brought it there.
#[derive(Default)]
struct Sum {
    value: f64,
    since: Option<Hour>,
    voices: BTreeSet<Submitter>,
    is_held_back: bool,
}

impl Sum {
    /// An hour's votes, each with its weight for the change; whether it is certain now, and since when.
    fn add(&mut self, hour: Hour, weights: &[(Submitter, f64)], limit: f64, floor: usize) -> Option<Hour> {
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        self.value = (self.value + sum).clamp(0.0, limit * 2.0);
        if self.value == 0.0 {
            *self = Self::default();
            return None;
        }
        self.voices.extend(weights.iter().filter(|(_, weight)| *weight > 0.0).map(|(submitter, _)| *submitter));
        let since = *self.since.get_or_insert(hour);
        if self.value < limit {
            return None;
        }
        self.is_held_back = self.voices.len() < floor;
        (!self.is_held_back).then_some(since)
    }
}

/// Follows the votes of a series, which are in the order of their hours.
pub fn course(votes: &[Vote], rates: Rates, floor: usize) -> Course {
    let mut course = Course::default();
    let (mut sum, mut open, mut last) = (Sum::default(), false, None);
    // During a change: its level up to where an end may have begun, and with what was said since.
    let (mut level, mut pending) = (Level::default(), Level::default());
    for votes in votes.chunk_by(|a, b| a.hour == b.hour) {
        let hour = votes[0].hour;
        sum.value *= kept(hour - last.replace(hour).unwrap_or(hour));
        let (sign, rates) = if open { (-1.0, level.rates(rates)) } else { (1.0, rates) };
        let weights: Vec<(Submitter, f64)> =
            votes.iter().map(|vote| (vote.submitter, sign * vote.weight * rates.weight(vote.share))).collect();
        let was_held_back = sum.is_held_back;
        pending = if !open && sum.since.is_none() { Level::default().and(votes) } else { pending.and(votes) };
        let certain = sum.add(hour, &weights, if open { CLOSE } else { OPEN }, floor);
        if !open || sum.since.is_none() {
            level = pending;
        }
        course.held_back += usize::from(!open && sum.is_held_back && !was_held_back);
        let Some(since) = certain else { continue };
        if open {
            if let Some(span) = course.spans.last_mut() {
                span.end = Some((since, hour));
            }
        } else {
            course.spans.push(Span { begin: since, shown: hour, end: None });
        }
        open = !open;
        sum = Sum::default();
    }
    for span in &mut course.spans {
        span.begin = began(votes, *span, rates);
    }
    course
}

/// The likeliest hour of a beginning, now that it is known how much is changed: votes between a lone failure and the change speak for
/// the later one (the maximum-likelihood estimate of a change point; Hinkley 1970).
fn began(votes: &[Vote], span: Span, rates: Rates) -> Hour {
    let place = |hour: Hour| votes.partition_point(|vote| vote.hour < hour);
    // What was heard until it was certain was picked because it rose: how much is changed is told by what came after.
    let after = place(span.shown)..span.end.map_or(votes.len(), |(end, _)| place(end));
    let rates = Level::default().and(&votes[after]).rates(rates);
    let (mut sum, mut least, mut begin) = (0.0, 0.0, span.begin);
    for hour in votes[place(span.begin)..place(span.shown + 1)].chunk_by(|a, b| a.hour == b.hour) {
        if sum < least {
            (least, begin) = (sum, hour[0].hour);
        }
        sum += hour.iter().map(|vote| vote.weight * rates.weight(vote.share)).sum::<f64>();
    }
    begin
}

/// What is left of what was heard so many hours ago.
fn kept(gap: Hour) -> f64 {
    let hours = i32::try_from(gap).unwrap_or(i32::MAX);
    if gap > PATIENCE { 0.5_f64.powf(f64::from(hours) / HALF_LIFE) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(said: &[(Hour, u32, f64)]) -> Vec<Vote> {
        said.iter().map(|&(hour, by, share)| Vote { hour, submitter: Submitter(by), share, weight: 1.0 }).collect()
    }

    fn follow(said: &[(Hour, u32, f64)]) -> Course {
        course(&votes(said), Rates::INTERFERED, 2)
    }

    /// Two submitters who say the same in each of these hours.
    fn both(hours: std::ops::Range<Hour>, share: f64) -> Vec<(Hour, u32, f64)> {
        hours.flat_map(|hour| [(hour, 1, share), (hour, 2, share)]).collect()
    }

    #[test]
    fn two_who_say_so_for_three_hours_are_certain_and_the_change_begins_where_it_began() {
        let said = [both(0..10, 0.0), both(10..20, 1.0)].concat();
        // By hand: a vote is worth log10(0.7 / 0.01) = 1.845; six are 11.1, four 7.4.
        assert_eq!(follow(&said).spans, [Span { begin: 10, shown: 12, end: None }]);
    }

    #[test]
    fn one_alone_is_held_back_however_often_he_says_so() {
        let alone: Vec<_> = (0..100).map(|hour| (hour, 1, 1.0)).collect();
        assert_eq!(follow(&alone), Course { spans: vec![], held_back: 1 });
    }

    #[test]
    fn an_end_is_told_of_when_two_say_so_and_never_on_the_word_of_one() {
        let blocked = both(0..10, 1.0);
        let one = (10..40).map(|hour| (hour, 2, 0.0)).collect::<Vec<_>>();
        assert_eq!(follow(&[blocked.clone(), one].concat()).spans[0].end, None);
        let ended = follow(&[blocked, both(10..20, 0.0), both(20..30, 1.0)].concat());
        assert_eq!(
            ended.spans.iter().map(|span| (span.begin, span.end)).collect::<Vec<_>>(),
            [(0, Some((10, 11))), (20, None)]
        );
    }

    #[test]
    fn a_lone_failure_now_and_then_is_no_change() {
        let said: Vec<_> =
            (0..1_000).map(|hour| (hour, u32::from(hour % 2 == 0), f64::from(u8::from(hour % 50 == 0)))).collect();
        assert_eq!(follow(&said), Course::default());
    }

    #[test]
    fn what_acts_three_times_in_ten_is_seen_in_the_end() {
        let said: Vec<_> =
            (0..200).map(|hour| (hour, u32::from(hour % 2 == 0), f64::from(u8::from(hour % 10 < 3)))).collect();
        assert_eq!(follow(&said).spans.len(), 1);
    }

    #[test]
    fn a_lone_failure_before_a_change_is_no_part_of_it() {
        let four = |hour, bad: u32| (0..4).map(move |by| (hour, by, f64::from(u8::from(by < bad))));
        let said: Vec<_> =
            [(0, 0), (1, 1), (2, 4), (3, 4)].into_iter().flat_map(|(hour, bad)| four(hour, bad)).collect();
        // By hand: the hour before is worth 1.845 - 3 * 0.519 = 0.288 by the rates that are looked for, and less than nothing by what holds.
        assert_eq!(follow(&said).spans[0].begin, 2);
    }

    #[test]
    fn what_was_heard_long_ago_is_no_part_of_a_change_now() {
        let said = [both(0..1, 1.0), both(1_000..1_001, 1.0)].concat();
        assert_eq!(follow(&said), Course::default());
    }
}
