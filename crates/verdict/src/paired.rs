//! Tries in pairs, one of a name's own and one of an innocent's: does the own fail more often than chance lets it?
//!
//! Only pairs in which one of the two failed tell anything (`McNemar` 1947, Psychometrika 12:153). When what fails is chance
//! that knows no names, it is the own in half of these, however bad the line. Their odds against that are a sequential
//! probability ratio (Wald 1945, Annals of Mathematical Statistics 16:117): it may be looked at after each pair, and
//! chance alone ever brings it above 1/a with probability a at most.

/// Share of the pairs that tell anything in which it is the own name that failed, where somebody goes by names: nearly all;
/// the rest is left to the line.
const OWN_SHARE: f64 = 0.95;
/// Decimal logarithm of the odds from which interference is likely: chance gets there once in ten experiments.
pub const LIKELY: f64 = 1.0;
/// The same, from which the matter is settled: once in a hundred.
pub const SETTLED: f64 = 2.0;

/// What came of pairs of tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The own name failed and the innocent one was answered.
    pub own_failed: u32,
    /// The reverse.
    pub innocent_failed: u32,
}

impl Pairs {
    /// From both series in their order: whether each try was answered.
    pub fn of(own: impl IntoIterator<Item = bool>, innocent: impl IntoIterator<Item = bool>) -> Self {
        own.into_iter().zip(innocent).fold(Self::default(), |pairs, answered| match answered {
            (false, true) => Self { own_failed: pairs.own_failed + 1, ..pairs },
            (true, false) => Self { innocent_failed: pairs.innocent_failed + 1, ..pairs },
            _ => pairs,
        })
    }

    /// Decimal logarithm of the odds of "it goes by the name" against "it is chance".
    pub fn log10_odds(self) -> f64 {
        let each = |count: u32, share: f64| f64::from(count) * (2.0 * share).log10();
        each(self.own_failed, OWN_SHARE) + each(self.innocent_failed, 1.0 - OWN_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_end_alike_tell_nothing() {
        let pairs = Pairs::of([true, false, true, false], [true, false, true, false]);
        assert_eq!(pairs, Pairs::default());
        assert!(pairs.log10_odds().abs() < 1e-12);
    }

    #[test]
    fn four_failures_of_the_own_name_alone_are_likely_and_eight_settle_it() {
        let odds = |own_failed, innocent_failed| Pairs { own_failed, innocent_failed }.log10_odds();
        assert!(odds(3, 0) < LIKELY && odds(4, 0) >= LIKELY);
        assert!(odds(7, 0) < SETTLED && odds(8, 0) >= SETTLED);
        assert!(odds(8, 1) < SETTLED && odds(12, 1) >= SETTLED, "one of the innocent's takes four to make up for");
    }

    /// The bound of the ratio, by counting all ways in which twenty pairs can end by chance.
    #[test]
    fn chance_settles_it_once_in_a_hundred_at_most() {
        let mut ways = 0_u32;
        for outcomes in 0_u32..1 << 20 {
            let mut pairs = Pairs::default();
            let ever = (0..20).any(|pair| {
                let own = (outcomes >> pair) & 1;
                pairs.own_failed += own;
                pairs.innocent_failed += 1 - own;
                pairs.log10_odds() >= SETTLED
            });
            ways += u32::from(ever);
        }
        assert!(f64::from(ways) / f64::from(1 << 20) <= 0.01, "{ways} of 2^20");
    }
}
