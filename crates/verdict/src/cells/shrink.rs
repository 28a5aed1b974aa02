//! Prevalence from few voices: the share of a cell, drawn towards that of its like by as much as cells differ (a beta-binomial
//! model with an empirical prior), and repeated measurements of one probe counted as little more than one.

use super::beta::Beta;

/// How alike the measurements of one submitter in one cell are. One network, one minute's censor, one instrument: near 1, where
/// they would count as one whatever their number (OONI counts probes, and not measurements). Set by hand.
const ALIKE: f64 = 0.9;

/// Voices that the prior is worth at least and at most; and where cells are too few to tell.
const STRENGTH: (f64, f64) = (1.0, 20.0);
const UNKNOWN_STRENGTH: f64 = 2.0;
/// Cells before their differences are measured.
const CELLS: usize = 8;
/// Probability of the interval.
const LEVEL: f64 = 0.9;

/// What so many measurements of one submitter weigh: their number over the design effect 1 + (n - 1) ρ (Kish 1965).
pub fn effective(n: u32) -> f64 {
    let n = f64::from(n);
    if n == 0.0 { 0.0 } else { n / (1.0 + (n - 1.0) * ALIKE) }
}

/// A share of interfered-with voices, and how many voices it rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weighed {
    /// Effective voices that met interference.
    pub blocked: f64,
    /// Effective voices.
    pub of: f64,
}

impl Weighed {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { blocked: self.blocked + other.blocked, of: self.of + other.of }
    }

    /// The rest without a part of it.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        Self { blocked: (self.blocked - part.blocked).max(0.0), of: (self.of - part.of).max(0.0) }
    }

    /// The share, if there is anything to have a share of.
    pub fn share(self) -> Option<f64> {
        (self.of > 1e-9).then(|| (self.blocked / self.of).clamp(0.0, 1.0))
    }
}

/// A prevalence with its 90 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prevalence {
    /// Mean of the posterior.
    pub share: f64,
    /// 5 % lie below.
    pub low: f64,
    /// 5 % lie above.
    pub high: f64,
}

/// Where a cell's share is drawn to, and how strongly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// The share of its like.
    pub mean: f64,
    /// In voices.
    pub strength: f64,
}

impl Prior {
    /// The posterior of a cell.
    pub fn posterior(self, cell: Weighed) -> Prevalence {
        // Never quite certain beforehand: a prior of nothing could not be overruled.
        let mean = self.mean.clamp(0.01, 0.99);
        let (a, b) = (self.strength * mean + cell.blocked, self.strength * (1.0 - mean) + cell.of - cell.blocked);
        let beta = Beta { a: a.max(1e-3), b: b.max(1e-3) };
        let tail = (1.0 - LEVEL) / 2.0;
        Prevalence { share: beta.mean(), low: beta.quantile(tail), high: beta.quantile(1.0 - tail) }
    }
}

/// The prior that is told by the rest of its like, itself drawn to what holds of everything: few voices lend little.
pub fn prior(rest: Weighed, of_everything: f64, strength: f64) -> Prior {
    let mean = (rest.blocked + UNKNOWN_STRENGTH * of_everything) / (rest.of + UNKNOWN_STRENGTH);
    Prior { mean, strength: strength.min(rest.of + UNKNOWN_STRENGTH) }
}

/// By how many voices cells of one kind are alike: 1/ρ - 1 for the correlation ρ within cells, by moments (Kleinman 1973).
pub fn strength(cells: &[Weighed]) -> f64 {
    let total = cells.iter().fold(Weighed::default(), |sum, cell| sum.and(*cell));
    let (Some(mean), true) = (total.share(), cells.len() >= CELLS) else { return UNKNOWN_STRENGTH };
    let spread = mean * (1.0 - mean);
    let squares: f64 = cells.iter().map(|cell| cell.of * (cell.share().unwrap_or(mean) - mean).powi(2)).sum();
    let more = f64::from(u32::try_from(cells.len()).unwrap_or(u32::MAX)) - 1.0;
    let unit = total.of - cells.iter().map(|cell| cell.of * cell.of).sum::<f64>() / total.of - more;
    if spread < 1e-6 || unit < 1e-6 {
        return UNKNOWN_STRENGTH;
    }
    let within = (squares - spread * more) / (spread * unit);
    if within <= 0.0 { STRENGTH.1 } else { (1.0 / within - 1.0).clamp(STRENGTH.0, STRENGTH.1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(blocked: f64, of: f64) -> Weighed {
        Weighed { blocked, of }
    }

    #[test]
    fn a_probe_that_measures_a_thousand_times_is_little_more_than_one() {
        assert!((effective(1) - 1.0).abs() < 1e-12 && effective(0).abs() < 1e-12);
        assert!(effective(1_000) < 1.2 && effective(1_000) > effective(2));
    }

    #[test]
    fn a_thin_cell_leans_on_its_like_and_a_full_one_does_not() {
        let prior = Prior { mean: 0.1, strength: 2.0 };
        let thin = prior.posterior(weighed(1.0, 1.0));
        let full = prior.posterior(weighed(100.0, 100.0));
        assert!((thin.share - (0.2 + 1.0) / 3.0).abs() < 1e-9);
        assert!(full.share > 0.97 && full.low > 0.94 && thin.low < 0.1 && thin.high > 0.7);
        assert!(thin.low < thin.share && thin.share < thin.high);
    }

    #[test]
    fn few_voices_of_its_like_lend_little() {
        let one = prior(weighed(1.0, 1.0), 0.1, 20.0);
        assert!((one.mean - 0.4).abs() < 1e-9 && (one.strength - 3.0).abs() < 1e-9);
        let many = prior(weighed(90.0, 90.0), 0.1, 20.0);
        assert!(many.mean > 0.97 && (many.strength - 20.0).abs() < 1e-9);
    }

    #[test]
    fn cells_that_are_all_alike_lend_much_and_cells_that_differ_lend_little() {
        let alike = vec![weighed(2.0, 10.0); 30];
        let differ: Vec<Weighed> = (0..30).map(|n| weighed(if n % 2 == 0 { 0.0 } else { 10.0 }, 10.0)).collect();
        assert!((strength(&alike) - STRENGTH.1).abs() < 1e-9);
        assert!((strength(&differ) - STRENGTH.0).abs() < 1e-9);
        assert!((strength(&alike[..3]) - UNKNOWN_STRENGTH).abs() < 1e-9);
    }
}
