//! Committed figures, and what has become worse since: for CI, where a drop must not pass unseen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::detection::Detection;
use super::scores::Evaluation;
use super::share::{Share, rounded};

/// Names and versions the format.
const SCHEMA: &str = "faultline/evaluation-check/1";

/// How much worse a figure may become, where the file does not say.
const TOLERANCE: f64 = 0.02;

/// The name under which the tolerance of families' figures stands.
const FAMILY: &str = "family";

/// A figure that is checked, with its name and whether more of it is better.
type Figure = (&'static str, bool, fn(&Detection) -> Share);

/// The figures that are checked on either split.
const FIGURES: [Figure; 5] = [
    ("sensitivity", true, |detection| detection.sensitivity),
    ("specificity", true, |detection| detection.specificity),
    ("accept", true, |detection| detection.accept),
    ("outage_called_blocking", false, |detection| detection.outage_called_blocking),
    ("blocking_called_outage", false, |detection| detection.blocking_called_outage),
];

/// Figures of an earlier evaluation, and how much worse today's may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committed {
    schema: String,
    /// One for all figures, or one for each by its name (`family` for those of families).
    tolerance: Tolerance,
    /// By split, then by figure; none where there was nothing to have a share of.
    splits: BTreeMap<String, BTreeMap<String, Option<f64>>>,
    /// The share of accepted states, by family.
    families: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Tolerance {
    Same(f64),
    Each(BTreeMap<String, f64>),
}

impl Tolerance {
    fn of(&self, figure: &str) -> f64 {
        match self {
            Self::Same(tolerance) => *tolerance,
            Self::Each(tolerances) => tolerances.get(figure).copied().unwrap_or(TOLERANCE),
        }
    }
}

impl Committed {
    /// Today's figures, with the tolerances of `earlier` ones.
    pub fn of(evaluation: &Evaluation, earlier: Option<Self>) -> Self {
        let figures = |detection: &Detection| {
            let figure = |(name, _, share): &Figure| ((*name).to_owned(), share(detection).value().map(rounded));
            FIGURES.iter().map(figure).collect()
        };
        let families = evaluation.families.iter();
        Self {
            schema: SCHEMA.into(),
            tolerance: earlier.map_or(Tolerance::Same(TOLERANCE), |earlier| earlier.tolerance),
            splits: evaluation.splits.iter().map(|(name, of)| ((*name).into(), figures(&of.detection))).collect(),
            families: families
                .filter_map(|of| Some((of.family.clone(), rounded(of.detection.accept.value()?))))
                .collect(),
        }
    }

    /// Reads what [`Committed::text`] wrote.
    pub fn parse(text: &str) -> Result<Self, String> {
        let committed: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let known = |name: &String| FIGURES.iter().any(|figure| figure.0 == name) || name == FAMILY;
        let tolerances = match &committed.tolerance {
            Tolerance::Same(_) => None,
            Tolerance::Each(tolerances) => Some(tolerances.keys()),
        };
        let mut names = committed.splits.values().flat_map(BTreeMap::keys).chain(tolerances.into_iter().flatten());
        match names.find(|name| !known(name)) {
            Some(name) => Err(format!("there is no figure {name:?}")),
            None if committed.schema != SCHEMA => Err(format!("schema is {:?}, not {SCHEMA:?}", committed.schema)),
            None => Ok(committed),
        }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).map_or_else(|_| String::new(), |text| text + "\n")
    }

    /// What has become worse than it may, one line a figure, where all of its interval at 95 % is worse; and what is new, which fails
    /// nothing.
    pub fn compare(&self, evaluation: &Evaluation) -> Comparison {
        let mut comparison = Comparison::default();
        for (split, figures) in &self.splits {
            let detection = evaluation.splits.get(split.as_str()).map(|scores| &scores.detection);
            for (name, is_more_better, share) in FIGURES {
                let committed = figures.get(name).copied().flatten();
                let today = detection.map(share).unwrap_or_default();
                let about = format!("{split}: {name}");
                comparison.add(&about, committed, today, is_more_better, self.tolerance.of(name));
            }
        }
        for (name, committed) in &self.families {
            let today = evaluation.families.iter().find(|family| family.family == *name);
            let today = today.map(|family| family.detection.accept).unwrap_or_default();
            let about = format!("family {name}: accept");
            comparison.add(&about, Some(*committed), today, true, self.tolerance.of(FAMILY));
        }
        let families = evaluation.families.iter().map(|family| &family.family);
        comparison.unknown.extend(families.filter(|name| !self.families.contains_key(*name)).cloned());
        comparison
    }
}

/// Today's figures beside the committed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many figures were compared.
    pub compared: u64,
    /// One line for each that is worse than it may be.
    pub worse: Vec<String>,
    /// Families for which nothing is committed.
    pub unknown: Vec<String>,
}

impl Comparison {
    fn add(&mut self, about: &str, committed: Option<f64>, today: Share, is_more_better: bool, tolerance: f64) {
        let Some(committed) = committed else { return };
        self.compared += 1;
        let (Some(value), Some((low, high))) = (today.value(), today.interval()) else {
            self.worse.push(format!("{about} not measured, committed {committed:.3}"));
            return;
        };
        // What few measurements leave open is no drop: the better end of the interval has to be too bad.
        let drop = if is_more_better { committed - high } else { low - committed };
        // Committed figures are rounded to four decimals: half a digit of that is no drop.
        if drop > tolerance + 0.000_05 {
            let Share { k, n } = today;
            self.worse.push(format!(
                "{about} {value:.3} ({k}/{n}, {low:.3} to {high:.3}), committed {committed:.3}, tolerance {tolerance:.3}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::scores::tests::evaluation;

    #[test]
    fn what_was_just_written_holds_and_is_read_back_as_it_was() {
        let committed = Committed::of(&evaluation(), None);
        assert_eq!(Committed::parse(&committed.text()), Ok(committed.clone()));
        let comparison = committed.compare(&evaluation());
        assert_eq!((comparison.compared, &comparison.worse, &comparison.unknown), (10, &vec![], &vec![]));
    }

    #[test]
    fn a_drop_beyond_the_tolerance_is_a_line_and_one_within_it_is_not() {
        let mut committed = Committed::of(&evaluation(), None);
        committed.families.insert("half".into(), 0.97);
        committed.families.insert("poor".into(), 0.02);
        let worse = committed.compare(&evaluation()).worse;
        assert_eq!(worse, ["family half: accept 0.500 (1/2, 0.095 to 0.905), committed 0.970, tolerance 0.020"]);
        committed.tolerance = Tolerance::Each(BTreeMap::from([(FAMILY.to_owned(), 0.5)]));
        assert!(committed.compare(&evaluation()).worse.is_empty());
    }

    #[test]
    fn one_failure_of_ten_is_no_drop_and_two_are() {
        let mut committed = Committed::of(&evaluation(), None);
        committed.families.insert("few".into(), 1.0);
        let with = |k| {
            let mut evaluation = evaluation();
            let mut few = evaluation.families[0].clone();
            few.family = "few".into();
            few.detection.accept = Share { k, n: 10 };
            evaluation.families.push(few);
            evaluation
        };
        assert!(committed.compare(&with(9)).worse.is_empty());
        assert_eq!(
            committed.compare(&with(8)).worse,
            ["family few: accept 0.800 (8/10, 0.490 to 0.943), committed 1.000, tolerance 0.020"]
        );
    }

    #[test]
    fn of_confusions_more_is_worse() {
        let mut committed = Committed::of(&evaluation(), None);
        let train = committed.splits.get_mut("train").unwrap();
        assert_eq!(train["blocking_called_outage"], Some(1.0));
        train.insert("blocking_called_outage".into(), Some(0.1));
        assert_eq!(
            committed.compare(&evaluation()).worse,
            ["train: blocking_called_outage 1.000 (1/1, 0.207 to 1.000), committed 0.100, tolerance 0.020"]
        );
    }

    #[test]
    fn a_family_that_is_gone_fails_and_a_new_one_is_only_named() {
        let mut committed = Committed::of(&evaluation(), None);
        committed.families.insert("gone".into(), 1.0);
        committed.families.remove("good");
        let comparison = committed.compare(&evaluation());
        assert_eq!(comparison.worse, ["family gone: accept not measured, committed 1.000"]);
        assert_eq!(comparison.unknown, ["good"]);
    }

    #[test]
    fn tolerances_outlive_a_new_writing_and_unknown_figures_are_refused() {
        let text =
            r#"{"schema": "faultline/evaluation-check/1", "tolerance": {"family": 0.3}, "splits": {}, "families": {}}"#;
        let earlier = Committed::parse(text).unwrap();
        let written = Committed::of(&evaluation(), Some(earlier));
        assert!(
            (written.tolerance.of(FAMILY) - 0.3).abs() < 1e-9 && (written.tolerance.of("accept") - 0.02).abs() < 1e-9
        );
        assert!(Committed::parse(&text.replace(r#""family":"#, r#""famly":"#)).is_err());
        assert!(Committed::parse(&text.replace("check/1", "check/2")).is_err());
    }
}
