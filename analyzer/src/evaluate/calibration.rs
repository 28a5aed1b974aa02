//! Probabilities against outcomes: log loss, Brier score, and the calibration error of the likeliest state.

use faultline_verdict::State;
use serde::Serialize;

use super::row::Row;
use super::share::{float, four_decimals};

/// Bins of the calibration error, of equal mass (Nguyen and O'Connor 2015; bins of equal width are mostly empty here).
const BINS: u64 = 10;

/// A probability of nought costs as much as this one: a log loss without bounds says nothing but that one row was wrong.
const FLOOR: f64 = 1e-6;

/// How far probabilities can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// On how many rows it rests: those whose truth is ok, down or blocked, and that were given a probability.
    pub n: u64,
    /// Mean negative natural logarithm of the probability of what is true.
    #[serde(serialize_with = "four_decimals")]
    pub log_loss: f64,
    /// Mean over the rows of the squared errors summed over the three states: 0 to 2 (Brier 1950).
    #[serde(serialize_with = "four_decimals")]
    pub brier: f64,
    /// Mean distance of confidence and outcome over the bins, weighted by rows.
    #[serde(serialize_with = "four_decimals")]
    #[serde(rename = "calibration_error")]
    pub error: f64,
    /// The bins, least confident first.
    pub bins: Vec<Bin>,
}

/// Rows of like confidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub n: u64,
    /// Mean probability of the likeliest state.
    #[serde(serialize_with = "four_decimals")]
    pub confidence: f64,
    /// How often it was the true one. Rows of one and the same confidence are taken as equally right, so that no order
    /// among them moves the figure.
    #[serde(serialize_with = "four_decimals")]
    pub right: f64,
}

/// Probabilities of the three states, and which of them is true.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Forecast {
    p: [f64; 3],
    truth: usize,
}

impl Calibration {
    /// Over these rows; `None` where there is nothing to rest on.
    pub fn of(rows: &[&Row]) -> Option<Self> {
        let forecasts: Vec<Forecast> = rows.iter().filter_map(|row| forecast(row)).collect();
        let n = forecasts.len() as u64;
        let mean = |score: fn(&Forecast) -> f64| forecasts.iter().map(score).sum::<f64>() / float(n);
        let bins = bins(forecasts.iter().map(Forecast::top).collect());
        let distance = |bin: &Bin| float(bin.n) * (bin.confidence - bin.right).abs();
        (n > 0).then(|| Self {
            n,
            log_loss: mean(Forecast::log_loss),
            brier: mean(Forecast::brier),
            error: bins.iter().map(distance).sum::<f64>() / float(n),
            bins,
        })
    }
}

fn forecast(row: &Row) -> Option<Forecast> {
    let p = row.said.p;
    let truth = match row.label.state {
        State::Ok => 0,
        State::Down => 1,
        State::Blocked | State::LikelyBlocked => 2,
        State::Impaired | State::Insufficient => return None,
    };
    (row.said.state != State::Insufficient).then_some(Forecast { p: [p.ok, p.down, p.blocked], truth })
}

impl Forecast {
    fn log_loss(&self) -> f64 {
        -self.p[self.truth].max(FLOOR).ln()
    }

    fn brier(&self) -> f64 {
        let error = |(state, p): (usize, &f64)| (p - if state == self.truth { 1.0 } else { 0.0 }).powi(2);
        self.p.iter().enumerate().map(error).sum()
    }

    /// The probability of the likeliest state, and 1 if it is the true one.
    fn top(&self) -> (f64, f64) {
        let top = self.p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (top, if self.p[self.truth] >= top { 1.0 } else { 0.0 })
    }
}

fn bins(mut tops: Vec<(f64, f64)>) -> Vec<Bin> {
    tops.sort_by(|a, b| a.0.total_cmp(&b.0));
    let tops: Vec<(f64, f64)> = tops.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()).flat_map(levelled).collect();
    let n = tops.len() as u64;
    let edge = |bin: u64| usize::try_from(bin * n / BINS).unwrap_or(tops.len());
    (0..BINS).map(|bin| &tops[edge(bin)..edge(bin + 1)]).filter(|rows| !rows.is_empty()).map(bin).collect()
}

/// Rows of one confidence, each as right as they are together.
fn levelled(ties: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let right = mean(ties.iter().map(|tie| tie.1), ties.len());
    ties.iter().map(move |tie| (tie.0, right))
}

fn bin(rows: &[(f64, f64)]) -> Bin {
    Bin {
        n: rows.len() as u64,
        confidence: mean(rows.iter().map(|row| row.0), rows.len()),
        right: mean(rows.iter().map(|row| row.1), rows.len()),
    }
}

fn mean(values: impl Iterator<Item = f64>, n: usize) -> f64 {
    values.sum::<f64>() / float(n as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evaluate::row::tests::{row, works};

    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-9, "{value}, not {wanted}");
    }

    #[test]
    fn scores_are_those_reckoned_by_hand() {
        // Blocked is true and has 0.8; ok is true and has 0.5.
        let rows = [row(1, &json!({}), State::Blocked, [0.1, 0.1, 0.8]), row(2, &works(), State::Ok, [0.5, 0.3, 0.2])];
        let scores = Calibration::of(&rows.iter().collect::<Vec<_>>()).unwrap();
        near(scores.log_loss, (-(0.8_f64.ln()) - 0.5_f64.ln()) / 2.0);
        near(scores.brier, ((0.01 + 0.01 + 0.04) + (0.25 + 0.09 + 0.04)) / 2.0);
        near(scores.error, 0.35);
    }

    #[test]
    fn a_sure_error_costs_much_and_not_everything() {
        let wrong = row(1, &works(), State::Blocked, [0.0, 0.0, 1.0]);
        let scores = Calibration::of(&[&wrong]).unwrap();
        near(scores.log_loss, 1e6_f64.ln());
        near(scores.brier, 2.0);
    }

    #[test]
    fn what_was_not_decided_or_cannot_be_is_left_out() {
        let undecided = row(1, &works(), State::Insufficient, [0.3, 0.3, 0.4]);
        let unscored = row(2, &json!({"state": "impaired"}), State::Blocked, [0.0, 0.0, 1.0]);
        assert_eq!(Calibration::of(&[&undecided, &unscored]), None);
    }

    #[test]
    fn bins_have_equal_mass_and_ties_are_level_whatever_their_order() {
        let mut tops: Vec<(f64, f64)> = (0..20).map(|n| (0.9, if n % 4 == 0 { 0.0 } else { 1.0 })).collect();
        let there = bins(tops.clone());
        tops.reverse();
        assert_eq!(there, bins(tops));
        assert_eq!(there.len(), 10);
        assert!(there.iter().all(|bin| bin.n == 2 && (bin.right - 0.75).abs() < 1e-9));
        assert_eq!(
            bins(vec![(0.5, 1.0); 23]).iter().map(|bin| bin.n).collect::<Vec<_>>(),
            [2, 2, 2, 3, 2, 2, 3, 2, 2, 3]
        );
    }
}
