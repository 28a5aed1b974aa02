//! What a fit found, and what it is worth on measurements that it never saw.

use std::collections::{BTreeMap, BTreeSet};

use faultline_verdict::Table;

use super::solve::CLASSES;
use super::{Example, Examples, SAME, columns};
use crate::evaluate::Calibration;
use crate::evaluate::label::Split;

/// Probabilities held against the truth, by the set weights and by the fitted ones.
#[derive(Debug)]
pub struct Check {
    /// Which split.
    pub split: Split,
    /// As the scenarios are: set, fitted.
    pub plain: [Option<Calibration>; 2],
    /// Log loss at the table's prevalence: set, fitted.
    pub loss: [f64; 2],
    /// Brier score at the table's prevalence: set, fitted.
    pub brier: [f64; 2],
    /// Families in which the fitted ones lose less, as much, and more.
    pub families: [usize; 3],
}

impl Check {
    pub(super) fn both(
        examples: &Examples<'_>,
        train: &[&Example],
        test: &[&Example],
        weights: &[[f64; CLASSES]],
    ) -> [Self; 2] {
        [Self::of(examples, Split::Train, train, weights), Self::of(examples, Split::Test, test, weights)]
    }

    fn of(all: &Examples<'_>, split: Split, examples: &[&Example], weights: &[[f64; CLASSES]]) -> Self {
        let start = all.start();
        let calibration = |weights: &[[f64; CLASSES]]| {
            let rows = all.said_by(examples, weights);
            Calibration::of(&rows.iter().collect::<Vec<_>>())
        };
        let mut gains: BTreeMap<&str, f64> = BTreeMap::new();
        for (case, example) in all.cases(examples).iter().zip(examples) {
            *gains.entry(&example.row.label.family).or_default() +=
                all.loss_of(case, &start) - all.loss_of(case, weights);
        }
        let count = |holds: fn(f64) -> bool| gains.values().filter(|gain| holds(**gain)).count();
        let [more, same, less] = [|gain| gain > SAME, |gain: f64| gain.abs() <= SAME, |gain| gain < -SAME];
        Self {
            split,
            plain: [calibration(&start), calibration(weights)],
            loss: [all.loss(examples, &start), all.loss(examples, weights)],
            brier: [all.brier(examples, &start), all.brier(examples, weights)],
            families: [count(more), count(same), count(less)],
        }
    }
}

/// A fit, and what it is worth.
#[derive(Debug)]
pub struct Fit<'a> {
    /// Whose weights are the set ones.
    pub table: &'a Table,
    /// Measurements for training and for testing.
    pub n: [usize; 2],
    /// Loss of the set weights on the training families.
    pub as_set: f64,
    /// By ridge, the loss on families left out.
    pub losses: Vec<(f64, f64)>,
    /// The ridge that was taken.
    pub ridge: f64,
    pub(super) support: BTreeMap<usize, (usize, usize)>,
    /// Training and test.
    pub checks: [Check; 2],
    pub(super) fitted: BTreeSet<usize>,
    pub(super) weights: Vec<[f64; CLASSES]>,
}

/// One fitted rule.
#[derive(Debug)]
pub struct Weight<'a> {
    /// Its id.
    pub rule: &'a str,
    /// Measurements and families that it counted in.
    pub support: (usize, usize),
    /// Blocked, down, ok as they are set.
    pub set: [f64; CLASSES],
    /// As fitted.
    pub fitted: [f64; CLASSES],
}

impl Fit<'_> {
    /// The fitted rules, those that moved most first.
    pub fn weights(&self) -> Vec<Weight<'_>> {
        let weight = |&rule: &usize| Weight {
            rule: &self.table.rules[rule].id,
            support: self.support.get(&rule).copied().unwrap_or_default(),
            set: columns(self.table.rules[rule].likelihoods),
            fitted: self.weights[rule],
        };
        let mut weights: Vec<Weight<'_>> = self.fitted.iter().map(weight).collect();
        weights.sort_by(|a, b| b.moved().total_cmp(&a.moved()).then_with(|| a.rule.cmp(b.rule)));
        weights
    }

    /// Whether the fitted weights are clearly better on the families that they never saw: less loss at the table's prevalence, a
    /// smaller Brier score, and in two of three families that differ.
    pub fn is_clearly_better(&self) -> bool {
        let test = &self.checks[1];
        test.loss[1] < test.loss[0] && test.brier[1] < test.brier[0] && test.families[0] >= 2 * test.families[2].max(1)
    }
}

impl Weight<'_> {
    fn moved(&self) -> f64 {
        self.set.iter().zip(self.fitted).map(|(set, fitted)| (set - fitted).abs()).fold(0.0, f64::max)
    }
}
