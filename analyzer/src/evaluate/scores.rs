//! All scores of a set of labelled measurements: in total, on either split, and by family.

use std::collections::{BTreeMap, BTreeSet};

use faultline_verdict::State;
use serde::Serialize;

use super::calibration::Calibration;
use super::cost::{Costs, by_state};
use super::detection::{Detection, TwoCauses};
use super::label::{Cause, Split};
use super::matrix::Matrix;
use super::mechanisms::Mechanisms;
use super::risk::{Point, area, curve};
use super::row::Row;
use super::share::rounded;

/// Names and versions the JSON.
const SCHEMA: &str = "faultline/evaluation/1";

/// On what the figures rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// Files of measurements read to the end.
    pub files: u64,
    /// Labelled measurements: what is scored.
    pub labelled: u64,
    /// Measurements without a label; not scored.
    pub unlabelled: u64,
    /// Labels whose measurement is in none of the files; not scored.
    pub missing: u64,
    /// Measurements that were met again and counted once.
    pub measurements_again: u64,
    /// Labels that were met again and counted once.
    pub labels_again: u64,
    /// Scenarios that were scored.
    pub scenarios: u64,
    /// Families of scenarios.
    pub families: u64,
    /// Scenarios, each with a seed.
    pub worlds: u64,
    /// Versions of the evidence table that verdicts were computed with.
    pub rulesets: BTreeSet<String>,
}

/// Everything that is said about verdicts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    schema: &'static str,
    /// On what it rests.
    pub basis: Basis,
    /// Families with labels of either split: what was fitted on them is not held out.
    pub in_both_splits: Vec<String>,
    /// Scores in total.
    pub all: Scores,
    /// Scores on the splits, by their names.
    pub splits: BTreeMap<&'static str, Scores>,
    /// Scores by family, the worst first.
    pub families: Vec<FamilyScores>,
    /// What follow-ups cost, by the state that was said.
    pub costs: Vec<Costs>,
    /// What was said that is not accepted, or mistakes blocked for not blocked, the most frequent first.
    pub wrong: Vec<Wrong>,
}

/// Scores of a set of rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// On how many measurements they rest.
    pub n: u64,
    /// Blocked or not.
    pub detection: Detection,
    /// The same of a baseline on the same rows: any failure is blocking.
    pub baseline: Detection,
    /// Where somebody interferes while something else is out of order.
    pub two_causes: TwoCauses,
    /// True states against states said.
    pub states: Matrix,
    /// True causes against causes said.
    pub causes: Matrix,
    /// How well mechanisms are named.
    pub mechanisms: Mechanisms,
    /// Harmonic mean of hierarchical precision and recall.
    pub mechanisms_f1: Option<f64>,
    /// How far probabilities can be trusted.
    pub calibration: Option<Calibration>,
    /// Risk at given coverages.
    pub risk: Vec<Point>,
    /// Mean risk over all coverages.
    pub risk_area: Option<f64>,
}

/// Scores of a family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyScores {
    /// Its name.
    pub family: String,
    /// Its splits: one, if the labels are sound.
    pub splits: Vec<Split>,
    /// Blocked or not.
    pub detection: Detection,
    /// How well mechanisms are named.
    pub mechanisms: Mechanisms,
}

/// Something that was said and is not accepted, or that mistakes blocked for not blocked even if the label accepts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wrong {
    /// The family.
    pub family: String,
    /// The scenario.
    pub scenario: String,
    /// Where and when: the vantage and the phase.
    pub at: String,
    /// What was measured.
    pub input: String,
    /// What is true.
    pub truth: State,
    /// What was said.
    pub said: State,
    /// Whether the label accepts it.
    pub accepted: bool,
    /// How often.
    pub n: u64,
    /// One of them, for `analyzer explain`.
    pub example: String,
}

impl Evaluation {
    /// Scores rows.
    pub fn of(basis: Basis, rows: &[Row]) -> Self {
        let all: Vec<&Row> = rows.iter().collect();
        let on = |split: Split| all.iter().copied().filter(|row| row.label.split == split).collect::<Vec<_>>();
        let families = families(&all);
        let both = families.iter().filter(|family| family.splits.len() > 1).map(|family| family.family.clone());
        let scenario = |row: &&Row| (row.label.family.clone(), row.label.scenario.clone());
        Self {
            schema: SCHEMA,
            costs: by_state(&all),
            basis: Basis {
                labelled: rows.len() as u64,
                scenarios: distinct(all.iter().map(scenario)),
                families: families.len() as u64,
                worlds: distinct(all.iter().map(|row| (scenario(row), row.label.seed))),
                ..basis
            },
            in_both_splits: both.collect(),
            splits: Split::ALL.iter().map(|&split| (split.name(), Scores::of(&on(split)))).collect(),
            wrong: wrong(&all),
            all: Scores::of(&all),
            families,
        }
    }
}

impl Scores {
    fn of(rows: &[&Row]) -> Self {
        let states = rows.iter().map(|row| (row.label.state.name(), row.said.state.name()));
        let causes = rows.iter().map(|row| (row.label.cause.name(), row.said.cause.name()));
        let mechanisms = Mechanisms::of(rows);
        Self {
            n: rows.len() as u64,
            detection: Detection::of(rows, |row| &row.said),
            baseline: Detection::of(rows, |row| &row.baseline),
            two_causes: TwoCauses::of(rows),
            states: Matrix::of(State::ALL.iter().map(|state| state.name()).collect(), states),
            causes: Matrix::of(Cause::ALL.iter().map(|cause| cause.name()).collect(), causes),
            mechanisms_f1: mechanisms.f1().map(rounded),
            mechanisms,
            calibration: Calibration::of(rows),
            risk: curve(rows),
            risk_area: area(rows).map(rounded),
        }
    }
}

fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> u64 {
    items.collect::<BTreeSet<T>>().len() as u64
}

/// By family, the smallest share of accepted states first, then the more measurements, then the name.
fn families(rows: &[&Row]) -> Vec<FamilyScores> {
    let mut by_family: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_family.entry(&row.label.family).or_default().push(row);
    }
    let mut families: Vec<FamilyScores> = by_family.into_iter().map(|(name, rows)| family(name, &rows)).collect();
    let accept = |family: &FamilyScores| (family.detection.accept.value().unwrap_or(0.0), family.detection.accept.n);
    families.sort_by(|a, b| {
        let (a, b) = (accept(a), accept(b));
        a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))
    });
    families
}

fn family(name: &str, rows: &[&Row]) -> FamilyScores {
    FamilyScores {
        family: name.to_owned(),
        splits: rows.iter().map(|row| row.label.split).collect::<BTreeSet<_>>().into_iter().collect(),
        detection: Detection::of(rows, |row| &row.said),
        mechanisms: Mechanisms::of(rows),
    }
}

fn wrong(rows: &[&Row]) -> Vec<Wrong> {
    let mut kinds: BTreeMap<Wrong, (u64, String)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.state_accepted() || row.is_mistaken()) {
        let example = row.label.measurement.to_string();
        let (n, first) = kinds.entry(Wrong::kind(row)).or_insert_with(|| (0, example.clone()));
        *n += 1;
        *first = example.min(std::mem::take(first));
    }
    let counted = kinds.into_iter().map(|(kind, (n, example))| Wrong { n, example, ..kind });
    let mut wrong: Vec<Wrong> = counted.collect();
    wrong.sort_by_key(|wrong| (wrong.accepted, std::cmp::Reverse(wrong.n)));
    wrong
}

impl Wrong {
    /// What this row has in common with others that were got wrong in the same way.
    fn kind(row: &Row) -> Self {
        let label = &row.label;
        Self {
            family: label.family.clone(),
            scenario: label.scenario.clone(),
            at: format!("{}, {}", label.vantage, label.phase),
            input: label.input.clone(),
            truth: label.state,
            said: row.said.state,
            accepted: row.state_accepted(),
            n: 0,
            example: String::new(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evaluate::row::tests::{row, works};

    const P: [f64; 3] = [0.1, 0.1, 0.8];

    fn with(mut changes: Value, more: &Value) -> Value {
        for (key, value) in more.as_object().unwrap() {
            changes[key] = value.clone();
        }
        changes
    }

    /// Three families: one held out and right, one half right, one wrong.
    pub fn evaluation() -> Evaluation {
        let named = |family: &str, split: &str| json!({"family": family, "split": split, "scenario": family});
        let rows = [
            row(1, &with(json!({}), &named("good", "test")), State::Blocked, P),
            row(2, &with(works(), &named("half", "train")), State::Ok, [0.9, 0.1, 0.0]),
            row(3, &with(json!({}), &named("half", "train")), State::Down, [0.1, 0.8, 0.1]),
            row(4, &with(works(), &named("poor", "train")), State::Blocked, P),
        ];
        let basis = Basis { files: 2, labelled: 4, unlabelled: 1, missing: 3, ..Basis::default() };
        Evaluation::of(basis, &rows)
    }

    #[test]
    fn families_come_worst_first_and_splits_apart() {
        let evaluation = evaluation();
        let order: Vec<&str> = evaluation.families.iter().map(|family| family.family.as_str()).collect();
        assert_eq!(order, ["poor", "half", "good"]);
        assert_eq!((evaluation.splits["test"].n, evaluation.splits["train"].n, evaluation.all.n), (1, 3, 4));
        let basis = &evaluation.basis;
        assert_eq!((basis.scenarios, basis.families, basis.worlds), (3, 3, 3));
        assert!(evaluation.in_both_splits.is_empty());
    }

    #[test]
    fn what_was_wrong_is_listed_with_an_example() {
        let wrong = evaluation().wrong;
        let told: Vec<_> =
            wrong.iter().map(|wrong| (wrong.scenario.as_str(), wrong.truth, wrong.said, wrong.n)).collect();
        assert_eq!(told, [("half", State::Blocked, State::Down, 1), ("poor", State::Ok, State::Blocked, 1)]);
        assert!(wrong[0].example.starts_with("03030303"));
    }

    #[test]
    fn a_family_on_both_sides_of_the_fence_is_named() {
        let rows = [row(1, &json!({}), State::Blocked, P), row(2, &json!({"split": "test"}), State::Blocked, P)];
        assert_eq!(Evaluation::of(Basis::default(), &rows).in_both_splits, ["f"]);
    }
}
