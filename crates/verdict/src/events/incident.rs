//! Which stretches are one incident: told once, however many endpoints and networks it covers, and however far it spreads.
//!
//! Key: the kind of what is said, the place, the target or the layer, and the time (methods table of the science reference: merge on
//! mechanism, target family and overlap of onsets). The same target in another network of the country, while it lasts, extends the
//! incident; other targets belong to it where they began in the same hours, in the same layer.

use faultline_record::Timestamp;

use super::series::Said;
use super::stretch::Stretch;
use crate::context::{HOUR_MS, hour};

/// An onset known no better than this says of nothing else when it began, milliseconds.
const VAGUE_MS: i64 = 24 * HOUR_MS;

/// A stretch in one network that begins and ends within so many hours of that of its country is a part of it, milliseconds: a failure of
/// its own before or after, with few votes against it, moves the ends of the smaller one.
const PART_MS: u64 = 6 * HOUR_MS.unsigned_abs();

/// Groups stretches; each group in the order of its first moments, the groups by that of their first.
pub fn incidents(all: Vec<Stretch<'_>>) -> Vec<Vec<Stretch<'_>>> {
    let is_part = |one: &Stretch<'_>| all.iter().any(|other| is_part_of(one, other));
    let parts: Vec<bool> = all.iter().map(is_part).collect();
    let mut all: Vec<Stretch<'_>> = all.into_iter().zip(parts).filter(|(_, part)| !part).map(|(one, _)| one).collect();
    all.sort_by(|a, b| (a.first, a.asked.endpoint, &a.networks).cmp(&(b.first, b.asked.endpoint, &b.networks)));
    let mut group: Vec<usize> = (0..all.len()).collect();
    for later in 0..all.len() {
        for earlier in 0..later {
            let (old, new) = (group[later], group[earlier]);
            if old != new && is_one(&all[earlier], &all[later]) {
                group.iter_mut().filter(|of| **of == old || **of == new).for_each(|of| *of = new.min(old));
            }
        }
    }
    let mut groups: Vec<Vec<Stretch<'_>>> = (0..all.len()).map(|_| Vec::new()).collect();
    for (stretch, of) in all.into_iter().zip(group) {
        groups[of].push(stretch);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Whether it is the same of fewer networks, at about the same time.
fn is_part_of(one: &Stretch<'_>, other: &Stretch<'_>) -> bool {
    let is_near = |a: Timestamp, b: Timestamp| a.as_millisecond().abs_diff(b.as_millisecond()) <= PART_MS;
    let ends_with = match (one.over, other.over) {
        (Some(a), Some(b)) => is_near(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    (one.asked.endpoint, one.asked.said) == (other.asked.endpoint, other.asked.said)
        && one.networks.len() < other.networks.len()
        && one.networks.is_subset(&other.networks)
        && is_near(one.first, other.first)
        && ends_with
}

fn is_one(a: &Stretch<'_>, b: &Stretch<'_>) -> bool {
    let is_same_country = country(a) == country(b);
    let is_same_family = a.asked.family == b.asked.family;
    a.asked.said == b.asked.said
        && match a.asked.said {
            Said::Failed => is_same_family && overlap(a, b),
            Said::CutOff => is_same_country && (began_together(a, b) || shares_a_network(a, b) && overlap(a, b)),
            Said::Interfered | Said::Worked => {
                let is_same_way = a.layer == b.layer;
                is_same_country && is_same_way && (is_same_family && overlap(a, b) || began_together(a, b))
            }
        }
}

/// The country of its networks, which for all but failures of targets are of one.
pub fn country<'a>(of: &Stretch<'a>) -> &'a str {
    of.networks.first().map_or("", |network| &network.country)
}

fn shares_a_network(a: &Stretch<'_>, b: &Stretch<'_>) -> bool {
    !a.networks.is_disjoint(&b.networks)
}

/// Whether both hold at some time, an hour more or less.
pub fn overlap(a: &Stretch<'_>, b: &Stretch<'_>) -> bool {
    let until = |of: &Stretch<'_>| of.over.map_or(i64::MAX, |over| over.as_millisecond().saturating_add(HOUR_MS));
    a.first.as_millisecond() <= until(b) && b.first.as_millisecond() <= until(a)
}

/// Whether both began between a good and a bad measurement that lie close enough to tell, with an hour in common, more or less.
fn began_together(a: &Stretch<'_>, b: &Stretch<'_>) -> bool {
    let onset = |of: &Stretch<'_>| {
        let good =
            of.good.filter(|good| of.first.as_millisecond().saturating_sub(good.as_millisecond()) <= VAGUE_MS)?;
        Some((hour(good), hour(of.first)))
    };
    let both = onset(a).zip(onset(b));
    both.is_some_and(|((a_from, a_to), (b_from, b_to))| a_from <= b_to + 1 && b_from <= a_to + 1)
}

/// When an incident began: between the last time that all was well where it was first seen, and that first time.
pub fn onset(of: &[Stretch<'_>]) -> Option<(Option<Timestamp>, Timestamp)> {
    let first = of.iter().min_by_key(|stretch| (stretch.first, std::cmp::Reverse(stretch.good)))?;
    Some((first.good, first.first))
}

/// When it ended, if all of it has: between the last time that it was so, and the first that it was not.
pub fn end(of: &[Stretch<'_>]) -> Option<(Timestamp, Timestamp)> {
    let ends: Option<Vec<_>> = of.iter().map(|stretch| stretch.over.map(|over| (stretch.last, over))).collect();
    ends?.into_iter().max()
}
