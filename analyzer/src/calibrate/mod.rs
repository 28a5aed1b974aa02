//! Calibration: weights fitted to labelled measurements of the `train` families, held against those of the `test` families.
//!
//! The set weights are where the fit starts and what it is drawn to. Nothing here changes the shipped table.

mod fit;
pub mod markdown;
mod solve;

use std::collections::{BTreeMap, BTreeSet};

use faultline_verdict::{Likelihoods, Probabilities, Rule, State, Table, Verdict, shares, stands_beside, weigh};

use crate::evaluate::label::Split;
use crate::evaluate::{Row, float};

pub use fit::{Check, Fit};

use solve::{CLASSES, Case, Problem, probabilities};

/// A rule is fitted if it counted in so many measurements of so many families: fewer cannot tell it from its scenario (science
/// reference, section 6: at most one parameter for ten events).
const MEASUREMENTS: usize = 10;
const FAMILIES: usize = 3;
/// Losses of a family that differ by no more are the same.
const SAME: f64 = 1e-4;
/// How strongly weights are drawn to the set ones; the one that foretells families left out best is taken.
const RIDGES: [f64; 7] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
/// The least that a log10 likelihood can become: one in ten thousand.
const LEAST: f64 = -4.0;

/// One labelled measurement.
#[derive(Clone, Debug)]
pub struct Example {
    /// What is true and what was said.
    pub row: Row,
    shares: Vec<(usize, f64)>,
    truth: usize,
}

/// What the fit rests on.
#[derive(Debug)]
pub struct Examples<'a> {
    table: &'a Table,
    all: Vec<Example>,
    /// Measurements whose truth or verdict is not of the three states.
    pub undecided: u64,
    /// Measurements whose probabilities the evidence does not give again.
    pub unexplained: u64,
}

impl<'a> Examples<'a> {
    /// None yet.
    pub fn new(table: &'a Table) -> Self {
        Self { table, all: Vec::new(), undecided: 0, unexplained: 0 }
    }

    /// One more, by its label and its verdict.
    pub fn add(&mut self, row: Row, verdict: &Verdict) {
        let truth = match row.label.state {
            State::Blocked | State::LikelyBlocked => 0,
            State::Down => 1,
            State::Ok => 2,
            State::Impaired | State::Insufficient => return self.undecided += 1,
        };
        if verdict.state == State::Insufficient {
            return self.undecided += 1;
        }
        let fired = verdict.evidence.iter().filter_map(|evidence| self.table.find(&evidence.rule));
        let counted = shares(fired.filter(|rule| !stands_beside(rule)));
        let p = weigh(self.table.prior, counted.iter().map(|(rule, share)| (rule.likelihoods, *share)));
        if (p.blocked - verdict.p.blocked).abs() > 1e-9 || (p.down - verdict.p.down).abs() > 1e-9 {
            return self.unexplained += 1;
        }
        let place = |rule: &Rule| self.table.rules.iter().position(|other| other.id == rule.id);
        let shares = counted.into_iter().filter_map(|(rule, share)| Some((place(rule)?, share))).collect();
        self.all.push(Example { row, shares, truth });
    }

    /// Those of a split.
    fn of(&self, split: Split) -> Vec<&Example> {
        self.all.iter().filter(|example| example.row.label.split == split).collect()
    }

    /// Fits and checks; `None` where there is nothing to fit on or to check with.
    pub fn fit(&self) -> Option<Fit<'a>> {
        let (train, test) = (self.of(Split::Train), self.of(Split::Test));
        if train.is_empty() || test.is_empty() {
            return None;
        }
        let fitted = fitted(self.table, &train);
        let losses = RIDGES.map(|ridge| (ridge, self.left_out(&train, &fitted, ridge)));
        let as_set = self.loss(&train, &self.start());
        let (ridge, _) = losses.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let weights = self.problem(&fitted, ridge).solve(&self.cases(&train));
        Some(Fit {
            table: self.table,
            n: [train.len(), test.len()],
            as_set,
            losses: losses.to_vec(),
            ridge,
            support: support(&train),
            checks: Check::both(self, &train, &test, &weights),
            fitted,
            weights,
        })
    }

    fn start(&self) -> Vec<[f64; CLASSES]> {
        self.table.rules.iter().map(|rule| columns(rule.likelihoods)).collect()
    }

    fn prior(&self) -> [f64; CLASSES] {
        columns(self.table.prior).map(f64::log10)
    }

    /// The likeliest state of a finding stays the likeliest, and what is as likely stays so: what a finding speaks for is a
    /// matter of reasons, how loudly one of measurement.
    fn problem(&self, fitted: &BTreeSet<usize>, ridge: f64) -> Problem {
        let start = self.start();
        let bound = |rule: usize, value: f64| {
            if fitted.contains(&rule) && value < 0.0 { (LEAST, 0.0) } else { (value, value) }
        };
        let bounds = start.iter().enumerate().map(|(rule, row)| row.map(|value| bound(rule, value))).collect();
        Problem { prior: self.prior(), start, bounds, ridge }
    }

    /// Cases of the table's prevalence, whatever share of each state the scenarios have: worlds are written to be interesting.
    fn cases(&self, examples: &[&Example]) -> Vec<Case> {
        let prior = columns(self.table.prior);
        let count = |truth| examples.iter().filter(|example| example.truth == truth).count();
        let counts = [count(0), count(1), count(2)];
        let there: f64 = (0..CLASSES).filter(|&class| counts[class] > 0).map(|class| prior[class]).sum();
        let mass = |truth: usize| prior[truth] / there / float(counts[truth] as u64);
        let case = |example: &&Example| Case {
            shares: example.shares.clone(),
            truth: example.truth,
            mass: mass(example.truth),
        };
        examples.iter().map(case).collect()
    }

    /// The loss on each family by weights that were fitted without it, by the table's prevalence.
    fn left_out(&self, train: &[&Example], fitted: &BTreeSet<usize>, ridge: f64) -> f64 {
        let all = self.cases(train);
        let families: BTreeSet<&str> = train.iter().map(|example| example.row.label.family.as_str()).collect();
        let loss = |family: &str| {
            let (inside, rest): (Vec<_>, Vec<_>) =
                train.iter().copied().zip(&all).partition(|(example, _)| example.row.label.family == family);
            let rest: Vec<&Example> = rest.into_iter().map(|(example, _)| example).collect();
            let weights = self.problem(fitted, ridge).solve(&self.cases(&rest));
            inside.into_iter().map(|(_, case)| self.loss_of(case, &weights)).sum::<f64>()
        };
        families.into_iter().map(loss).sum()
    }

    fn loss(&self, examples: &[&Example], weights: &[[f64; CLASSES]]) -> f64 {
        self.cases(examples).iter().map(|case| self.loss_of(case, weights)).sum()
    }

    /// Squared errors summed over the classes (Brier 1950).
    fn brier(&self, examples: &[&Example], weights: &[[f64; CLASSES]]) -> f64 {
        let of = |case: &Case| {
            let p = probabilities(self.prior(), weights, &case.shares);
            let error = |(class, p): (usize, f64)| (p - if class == case.truth { 1.0 } else { 0.0 }).powi(2);
            case.mass * p.into_iter().enumerate().map(error).sum::<f64>()
        };
        self.cases(examples).iter().map(of).sum()
    }

    fn loss_of(&self, case: &Case, weights: &[[f64; CLASSES]]) -> f64 {
        let p = probabilities(self.prior(), weights, &case.shares)[case.truth];
        -case.mass * p.max(1e-6).ln()
    }

    /// The rows, with the probabilities that these weights give.
    fn said_by(&self, examples: &[&Example], weights: &[[f64; CLASSES]]) -> Vec<Row> {
        let row = |example: &&Example| {
            let [blocked, down, ok] = probabilities(self.prior(), weights, &example.shares);
            let mut row = example.row.clone();
            row.said.p = Probabilities { ok, down, blocked };
            row
        };
        examples.iter().map(row).collect()
    }
}

/// Blocked, down, ok.
fn columns(likelihoods: Likelihoods) -> [f64; CLASSES] {
    [likelihoods.blocked, likelihoods.down, likelihoods.ok]
}

/// In how many measurements and families each rule counted.
fn support(examples: &[&Example]) -> BTreeMap<usize, (usize, usize)> {
    let mut seen: BTreeMap<usize, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for example in examples {
        for (rule, _) in &example.shares {
            let (count, families) = seen.entry(*rule).or_default();
            *count += 1;
            families.insert(&example.row.label.family);
        }
    }
    seen.into_iter().map(|(rule, (count, families))| (rule, (count, families.len()))).collect()
}

/// Rules that were met often enough, and that say anything of which the amount could be another.
fn fitted(table: &Table, train: &[&Example]) -> BTreeSet<usize> {
    let speaks = |rule: &usize| columns(table.rules[*rule].likelihoods).iter().any(|&column| column < 0.0);
    let enough = |(_, (measurements, families)): &(usize, (usize, usize))| {
        *measurements >= MEASUREMENTS && *families >= FAMILIES
    };
    support(train).into_iter().filter(enough).map(|(rule, _)| rule).filter(speaks).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use faultline_verdict::{Cause, Evidence, table};
    use serde_json::json;

    use super::*;
    use crate::evaluate::row::tests::{row, works};

    /// A verdict on which that rule alone was found, with the probabilities that it gives.
    fn verdict(rule: &str, p: Option<Probabilities>) -> Verdict {
        let fired = table().find(rule).unwrap();
        let p = p.unwrap_or_else(|| weigh(table().prior, [(fired.likelihoods, 1.0)]));
        let evidence = vec![Evidence { rule: rule.into(), weight: 0.0, observations: Vec::new(), text: String::new() }];
        Verdict {
            state: State::Impaired,
            cause: Cause::Unknown,
            causes: BTreeMap::new(),
            mechanisms: Vec::new(),
            p,
            families: BTreeMap::new(),
            ruleset: "1".into(),
            weights: String::new(),
            references: BTreeMap::new(),
            evidence,
        }
    }

    /// `tls.reset` in five families of each split, where a third of the sites works all the same.
    fn resets() -> Examples<'static> {
        let mut examples = Examples::new(table());
        for number in 0..120_u8 {
            let mut changes = if number % 3 == 0 { works() } else { json!({"state": "blocked"}) };
            changes["family"] = format!("family {}", number % 5).into();
            changes["split"] = (if number < 60 { "train" } else { "test" }).into();
            let row = row(number, &changes, State::Impaired, [0.0, 0.0, 1.0]);
            examples.add(row, &verdict("tls.reset", None));
        }
        examples
    }

    #[test]
    fn a_weight_that_labels_contradict_is_fitted_to_them_and_keeps_what_it_speaks_for() {
        let examples = resets();
        let fit = examples.fit().unwrap();
        let weights = fit.weights();
        assert_eq!((weights.len(), weights[0].rule, weights[0].support), (1, "tls.reset", (60, 5)));
        let [blocked, down, ok] = weights[0].fitted;
        assert!(blocked.abs() < 1e-12 && down <= 0.0 && ok <= 0.0, "{:?}", weights[0].fitted);
        // At the prevalence of 1 in 10, a sign that meets every site alike says nothing.
        assert!(ok > -0.5 && ok > weights[0].set[2] + 1.0, "{:?}", weights[0].fitted);
        assert!(fit.is_clearly_better());
        assert!(markdown::page(&examples, &fit).contains("the fit is clearly better"));
    }

    #[test]
    fn what_is_met_seldom_or_in_few_families_keeps_its_weight() {
        let mut examples = Examples::new(table());
        for number in 0..40_u8 {
            let mut changes = works();
            changes["family"] = format!("family {}", number % 2).into();
            changes["split"] = (if number < 20 { "train" } else { "test" }).into();
            examples.add(row(number, &changes, State::Impaired, [0.0, 0.0, 1.0]), &verdict("tls.reset", None));
        }
        let fit = examples.fit().unwrap();
        assert!(fit.weights().is_empty() && !fit.is_clearly_better());
    }

    #[test]
    fn what_cannot_be_fitted_is_counted() {
        let mut examples = Examples::new(table());
        let impaired = row(1, &json!({"state": "impaired"}), State::Impaired, [0.0, 0.0, 1.0]);
        examples.add(impaired, &verdict("tls.reset", None));
        let other = Probabilities { ok: 0.1, down: 0.1, blocked: 0.8 };
        examples.add(row(2, &works(), State::Ok, [0.0, 0.0, 1.0]), &verdict("tls.reset", Some(other)));
        assert_eq!((examples.undecided, examples.unexplained), (1, 1));
        assert!(examples.fit().is_none());
    }
}
