//! The evidence table, read from `rules.toml`: weights with their origin. Data, no logic.

use std::sync::LazyLock;

use faultline_record::{hex, sha256};
use serde::Deserialize;

/// Three log10 likelihoods, one a state of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Likelihoods {
    /// Somebody interferes.
    pub blocked: f64,
    /// The target does not work.
    pub down: f64,
    /// The target works.
    pub ok: f64,
}

impl Likelihoods {
    /// Column by column, `scale` times `other` added.
    #[must_use]
    pub fn plus(self, other: Self, scale: f64) -> Self {
        Self {
            blocked: self.blocked + scale * other.blocked,
            down: self.down + scale * other.down,
            ok: self.ok + scale * other.ok,
        }
    }

    /// log10 likelihood ratio of blocked against the better of the other two.
    pub fn weight(self) -> f64 {
        self.blocked - self.down.max(self.ok)
    }

    /// How much the finding says at all: largest minus smallest column.
    pub fn spread(self) -> f64 {
        self.blocked.max(self.down).max(self.ok) - self.blocked.min(self.down).min(self.ok)
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rule {
    /// Public contract: `layer.finding`.
    pub id: String,
    /// Rules that look at the same thing.
    pub group: String,
    /// What the finding is worth.
    #[serde(flatten)]
    pub likelihoods: Likelihoods,
    /// Whether it settles the matter: an artefact or a differential.
    pub determinate: bool,
    /// Where the figures come from.
    pub origin: String,
    /// The sentence, with `{fields}`.
    pub text: String,
}

/// State thresholds on `p`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Threshold {
    /// At least this, with a determinate finding: `blocked`.
    pub blocked: f64,
    /// At least this: `likely_blocked`.
    pub likely_blocked: f64,
    /// At least this: `down`.
    pub down: f64,
    /// At least this: `ok`.
    pub ok: f64,
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Table {
    /// The ruleset's version, printed with every verdict.
    pub version: String,
    /// Prevalence before anything is seen (not logarithms).
    pub prior: Likelihoods,
    /// State thresholds.
    pub threshold: Threshold,
    /// The rules.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// Names the figures: the first half of the SHA-256 over prior, thresholds, and every rule's id, group, columns and
    /// whether it is determinate; words and origins do not count.
    #[serde(skip)]
    pub weights: String,
}

/// Why a text is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not TOML, or not of this shape.
    #[error("not a ruleset: {0}")]
    Malformed(#[from] toml::de::Error),
    /// Two rules of one id.
    #[error("rule {0} stands twice")]
    Twice(String),
    /// A figure by which nothing can be weighed.
    #[error("rule {0}: a figure is not a number of at most 0")]
    Figure(String),
    /// The prior is no distribution.
    #[error("the prior does not sum to 1")]
    Prior,
}

impl Table {
    /// A table from its text, which stays for as long as the program runs: tables are few, and verdicts refer to them.
    ///
    /// # Errors
    /// What is wrong with it, the first thing.
    pub fn read(text: &str) -> Result<&'static Self, TableError> {
        let table = Self::parse(text)?;
        let mut seen = std::collections::BTreeSet::new();
        for rule in &table.rules {
            let columns = [rule.likelihoods.blocked, rule.likelihoods.down, rule.likelihoods.ok];
            if !columns.iter().all(|column| column.is_finite() && *column <= 0.0) {
                return Err(TableError::Figure(rule.id.clone()));
            }
            if !seen.insert(rule.id.as_str()) {
                return Err(TableError::Twice(rule.id.clone()));
            }
        }
        let prior = [table.prior.blocked, table.prior.down, table.prior.ok];
        let is_distribution = prior.iter().all(|p| *p > 0.0) && (prior.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        if is_distribution { Ok(Box::leak(Box::new(table))) } else { Err(TableError::Prior) }
    }

    fn parse(text: &str) -> Result<Self, TableError> {
        let mut table: Self = toml::from_str(text)?;
        table.weights = hex(&sha256(table.figures().as_bytes())[..16]);
        Ok(table)
    }

    /// Everything that moves a verdict, in one text.
    fn figures(&self) -> String {
        let columns = |l: Likelihoods| format!("{:?} {:?} {:?}", l.blocked, l.down, l.ok);
        let threshold = self.threshold;
        let mut lines: Vec<String> = self
            .rules
            .iter()
            .map(|rule| format!("{} {} {} {}", rule.id, rule.group, columns(rule.likelihoods), rule.determinate))
            .collect();
        lines.sort();
        format!("{}\n{threshold:?}\n{}", columns(self.prior), lines.join("\n"))
    }

    /// The rule of that id, if the table has it.
    pub fn find(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The rule of that id.
    ///
    /// # Panics
    /// If the code fires a rule that the table does not have: a defect of ours that a test catches.
    pub fn rule(&self, id: &str) -> &Rule {
        self.find(id).unwrap_or_else(|| panic!("rules.toml has no rule {id:?}"))
    }
}

/// The table that is compiled in.
///
/// # Panics
/// If `rules.toml` is malformed: a defect of ours that every test catches.
#[allow(clippy::expect_used)] // compiled in; no user's input
pub fn table() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::parse(include_str!("../rules.toml")).expect("rules.toml is well-formed"));
    &TABLE
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_one_id_an_origin_and_one_likeliest_state() {
        let mut seen = BTreeSet::new();
        for rule in &table().rules {
            assert!(seen.insert(&rule.id), "{} stands twice", rule.id);
            assert!(rule.origin.len() > 20, "{} has no origin", rule.id);
            let columns = [rule.likelihoods.blocked, rule.likelihoods.down, rule.likelihoods.ok];
            assert!(columns.iter().all(|&column| column <= 0.0), "{} is not relative to its likeliest state", rule.id);
            assert!(rule.id.contains('.'), "{} names no layer", rule.id);
        }
    }

    #[test]
    fn weights_are_named_by_their_figures_and_by_no_word() {
        let text = include_str!("../rules.toml");
        let said_otherwise = Table::read(&text.replace("answered with status", "replied with status")).unwrap();
        assert_eq!(said_otherwise.weights, table().weights);
        let weighed_otherwise = Table::read(&text.replacen("blocked = -3.5", "blocked = -3.4", 1)).unwrap();
        assert_ne!(weighed_otherwise.weights, table().weights);
    }

    #[test]
    fn a_table_that_cannot_weigh_is_refused() {
        let text = include_str!("../rules.toml");
        for (from, to) in [
            ("blocked = -3.5", "blocked = nan"),
            ("blocked = 0.0835", "blocked = 0.5"),
            ("[threshold]", "[thresholds]"),
            ("id = \"tls.verified_handshake\"", "id = \"http.verified_response\""),
        ] {
            assert!(Table::read(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }

    #[test]
    fn the_prior_is_a_distribution() {
        let prior = table().prior;
        assert!((prior.blocked + prior.down + prior.ok - 1.0).abs() < 1e-9);
    }

    #[test]
    fn no_lone_failure_is_determinate() {
        for id in ["tls.reset", "tls.timeout", "tls.close", "tcp.timeout", "tcp.refused", "dns.failure_alone"] {
            assert!(!table().rule(id).determinate, "{id}");
        }
    }
}
