//! Who speaks independently of whom: what one submitter says counts once, whatever networks, versions and times he writes down,
//! and what is said of one network counts once, whoever hands it in.

use std::collections::{BTreeMap, BTreeSet};

use super::key::{NetworkKey, Number};

/// Who handed a measurement in, as whoever runs the analysis knows it: the file it came in, or the file from which it was merged.
/// Never taken from a field of a measurement, which its submitter can fill as he likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Submitter(pub u32);

/// How many independent voices a statement needs before others are held against it: the fewest that no single submitter can
/// bring about (OONI analysis reference, section 6, rows 2 and 4).
pub const WANTED: usize = 2;

/// More than these are not told apart: nobody asks.
const MOST: usize = 8;

/// Where a voice comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vantage {
    /// Number of the network; `None` where it is not known, which is nobody's in particular.
    pub network: Option<Number>,
    /// Who says so.
    pub submitter: Submitter,
}

/// The most vantages that differ both in network and in submitter: a matching of the two (Kuhn 1955), at most [`MOST`].
pub fn independent(vantages: impl IntoIterator<Item = Vantage>) -> usize {
    let mut by_submitter: BTreeMap<Submitter, BTreeSet<Number>> = BTreeMap::new();
    for vantage in vantages {
        if let Some(network) = vantage.network {
            by_submitter.entry(vantage.submitter).or_default().insert(network);
        }
    }
    let mut taken = BTreeMap::new();
    let mut found = 0;
    for submitter in by_submitter.keys() {
        found += usize::from(find(*submitter, &by_submitter, &mut taken, &mut BTreeSet::new()));
        if found == MOST {
            break;
        }
    }
    found
}

/// The same of networks by their keys.
pub fn apart<'a>(voices: impl IntoIterator<Item = (&'a NetworkKey, Submitter)>) -> usize {
    let voices: BTreeSet<(&NetworkKey, Submitter)> = voices.into_iter().collect();
    let networks: BTreeSet<&NetworkKey> = voices.iter().map(|(network, _)| *network).collect();
    let number = |network: &NetworkKey| {
        let place = networks.iter().position(|other| *other == network);
        place.filter(|_| network.asn.is_some()).map(Number::of)
    };
    independent(voices.iter().map(|(network, submitter)| Vantage { network: number(network), submitter: *submitter }))
}

/// Finds a network for a submitter, moving others to their next where that makes room.
fn find(
    submitter: Submitter,
    networks: &BTreeMap<Submitter, BTreeSet<Number>>,
    taken: &mut BTreeMap<Number, Submitter>,
    asked: &mut BTreeSet<Number>,
) -> bool {
    for &network in networks.get(&submitter).into_iter().flatten() {
        if !asked.insert(network) {
            continue;
        }
        let holder = taken.get(&network).copied();
        if holder.is_none_or(|holder| find(holder, networks, taken, asked)) {
            taken.insert(network, submitter);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pairs: &[(usize, u32)]) -> usize {
        let vantage = |&(network, by)| Vantage { network: Some(Number::of(network)), submitter: Submitter(by) };
        independent(pairs.iter().map(vantage))
    }

    #[test]
    fn one_submitter_is_one_voice_whatever_networks_he_claims() {
        assert_eq!(count(&[(1, 1), (2, 1), (3, 1)]), 1);
        assert_eq!(count(&[(1, 1), (2, 1), (1, 2)]), 2);
    }

    #[test]
    fn one_network_is_one_voice_whoever_speaks_for_it() {
        assert_eq!(count(&[(1, 1), (1, 2), (1, 3)]), 1);
        assert_eq!(count(&[(1, 1), (1, 2), (1, 3), (2, 3), (3, 3)]), 2);
    }

    #[test]
    fn an_unknown_network_is_nobodys() {
        let unknown = |by| Vantage { network: None, submitter: Submitter(by) };
        assert_eq!(independent([unknown(1), unknown(2)]), 0);
    }

    #[test]
    fn independent_voices_are_all_counted_up_to_a_bound() {
        let apart: Vec<(usize, u32)> = (0..20).zip(0..).collect();
        assert_eq!(count(&apart[..5]), 5);
        assert_eq!(count(&apart), MOST);
    }
}
