//! The evidence table, read from `rules.toml`: weights with their origin. Data, no logic.

use std::sync::LazyLock;

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
}

impl Table {
    /// The rule of that id.
    ///
    /// # Panics
    /// If the code fires a rule that the table does not have: a defect of ours that a test catches.
    pub fn rule(&self, id: &str) -> &Rule {
        let found = self.rules.iter().find(|rule| rule.id == id);
        found.unwrap_or_else(|| panic!("rules.toml has no rule {id:?}"))
    }
}

/// The table that is compiled in.
///
/// # Panics
/// If `rules.toml` is malformed: a defect of ours that every test catches.
#[allow(clippy::expect_used)] // compiled in; no user's input
pub fn table() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| toml::from_str(include_str!("../rules.toml")).expect("rules.toml is well-formed"));
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
