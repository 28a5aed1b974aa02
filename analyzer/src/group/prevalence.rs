//! How much more often one group is interfered with than another, where both were measured side by side.

use crate::evaluate::share::{Share, float};

/// The standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_985;

/// Two groups in one stratum: the same network, the same window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stratum {
    /// Those of the first group: interfered with, of all.
    pub(super) first: Share,
    /// Those of the second.
    pub(super) second: Share,
}

/// A difference of shares, first less second, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Strata that hold both groups: no other says anything.
    pub(super) strata: usize,
}

/// Mantel's and Haenszel's difference of shares over strata, with the variance of Sato (Biometrics 45, 1989, p. 1323), which
/// holds for few large strata and for many small ones. `None` where no stratum holds both groups.
pub(super) fn difference(strata: &[Stratum]) -> Option<Difference> {
    let both: Vec<&Stratum> = strata.iter().filter(|stratum| stratum.first.n > 0 && stratum.second.n > 0).collect();
    let sum = |of: fn(&Stratum) -> f64| both.iter().map(|stratum| of(stratum)).sum::<f64>();
    let weight = sum(Stratum::weight);
    if both.is_empty() {
        return None;
    }
    let value = sum(|s| (s.a() * s.n0() - s.b() * s.n1()) / s.n()) / weight;
    let variance = (value * sum(Stratum::p) + sum(Stratum::q)) / (weight * weight);
    let half = Z * variance.max(0.0).sqrt();
    Some(Difference { value, low: (value - half).max(-1.0), high: (value + half).min(1.0), strata: both.len() })
}

impl Stratum {
    fn a(&self) -> f64 {
        float(self.first.k)
    }

    fn b(&self) -> f64 {
        float(self.second.k)
    }

    fn n1(&self) -> f64 {
        float(self.first.n)
    }

    fn n0(&self) -> f64 {
        float(self.second.n)
    }

    fn n(&self) -> f64 {
        self.n1() + self.n0()
    }

    fn weight(&self) -> f64 {
        self.n1() * self.n0() / self.n()
    }

    fn p(&self) -> f64 {
        let (a, b, n1, n0) = (self.a(), self.b(), self.n1(), self.n0());
        (n1 * n1 * b - n0 * n0 * a + n1 * n0 * (n0 - n1) / 2.0) / (self.n() * self.n())
    }

    fn q(&self) -> f64 {
        let (a, b, n1, n0) = (self.a(), self.b(), self.n1(), self.n0());
        (a * (n0 - b) + b * (n1 - a)) / (2.0 * self.n())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stratum(a: u64, n1: u64, b: u64, n0: u64) -> Stratum {
        Stratum { first: Share { k: a, n: n1 }, second: Share { k: b, n: n0 } }
    }

    #[test]
    fn of_one_stratum_of_equal_groups_it_is_the_plain_difference_with_its_plain_variance() {
        let found = difference(&[stratum(30, 100, 10, 100)]).unwrap();
        let half = Z * (0.3 * 0.7 / 100.0 + 0.1 * 0.9 / 100.0_f64).sqrt();
        assert!((found.value - 0.2).abs() < 1e-12 && (found.low - (0.2 - half)).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_network_that_fails_for_everybody_makes_no_difference() {
        // Pooled, 51 of 60 against 19 of 60 would look like one.
        let strata = [stratum(50, 50, 10, 10), stratum(1, 10, 5, 50)];
        let found = difference(&strata).unwrap();
        assert!(found.value.abs() < 1e-12 && found.low < 0.0 && found.high > 0.0, "{found:?}");
    }

    #[test]
    fn what_was_not_measured_side_by_side_says_nothing() {
        assert_eq!(difference(&[stratum(5, 5, 0, 0), stratum(0, 0, 0, 5)]), None);
        assert_eq!(difference(&[stratum(5, 5, 0, 0), stratum(1, 2, 1, 2)]).unwrap().strata, 1);
    }
}
