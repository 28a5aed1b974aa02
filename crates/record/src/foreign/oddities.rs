//! What was odd in imported data: counted, with an example each, never passed over.

use std::collections::BTreeMap;

use serde::Serialize;

/// How many different values of a kind are listed; more are counted together.
const LISTED: usize = 40;
/// How much of a value is shown, characters.
const SHOWN: usize = 80;
/// What stands for the values beyond [`LISTED`].
const OTHERS: &str = "(others)";

/// Odd values by kind, each with how often it was met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Oddities(BTreeMap<&'static str, BTreeMap<String, u64>>);

impl Oddities {
    /// Notes one.
    pub(crate) fn note(&mut self, kind: &'static str, value: &str) {
        self.add(kind, value.chars().take(SHOWN).collect(), 1);
    }

    fn add(&mut self, kind: &'static str, value: String, count: u64) {
        let values = self.0.entry(kind).or_default();
        let key = if values.len() < LISTED || values.contains_key(&value) { value } else { OTHERS.to_owned() };
        *values.entry(key).or_default() += count;
    }

    /// Adds those of another.
    pub fn extend(&mut self, other: Self) {
        for (kind, values) in other.0 {
            for (value, count) in values {
                self.add(kind, value, count);
            }
        }
    }

    /// Kind, value and count of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, u64)> {
        self.0
            .iter()
            .flat_map(|(kind, values)| values.iter().map(move |(value, count)| (*kind, value.as_str(), *count)))
    }

    /// How many were noted in all.
    pub fn count(&self) -> u64 {
        self.iter().map(|(_, _, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oddity_is_counted_and_a_flood_of_them_is_not_kept() {
        let mut oddities = Oddities::default();
        (0..100).for_each(|number| oddities.note("unknown failure", &number.to_string()));
        let mut sum = Oddities::default();
        sum.extend(oddities.clone());
        sum.extend(oddities);
        assert_eq!(sum.count(), 200);
        assert!(sum.iter().count() <= LISTED + 1);
    }
}
