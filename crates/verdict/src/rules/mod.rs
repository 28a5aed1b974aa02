//! Rules: from features to findings. Every rule that fires is kept; the table says what each is worth.

mod answer;
mod anywhere;
mod connect;
mod control;
mod control_page;
mod dns;
mod freeze;
mod handshake;
mod known;
mod name;
mod negotiation;
mod outside;
mod page;
mod questions;
mod quic;
mod resolver;
mod response;
mod slow;
mod turns;
mod vpn;
mod vpn_ladder;

use std::fmt::Display;

use faultline_record::Observation;

pub use known::Known;

use crate::features::Features;
use crate::table::{Rule, table};
use crate::verdict::Evidence;

pub(crate) use page::are_alike;

/// A rule that fired.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The table's row.
    pub rule: &'static Rule,
    /// Node of the mechanism tree that this finding points at, if interference it is.
    pub mechanism: Option<String>,
    /// `seq` of the observations it rests on.
    pub observations: Vec<u32>,
    /// The sentence.
    pub text: String,
    /// Of what others say: who.
    pub sources: Vec<String>,
    /// Of what others say: how old it is at most, hours.
    pub age_hours: Option<i64>,
}

impl Finding {
    /// A finding of that rule; `fields` fill the sentence.
    pub fn new(id: &str, observations: Vec<u32>, fields: &[(&str, &dyn Display)]) -> Self {
        let rule = table().rule(id);
        let text = fields
            .iter()
            .fold(rule.text.clone(), |text, (key, value)| text.replace(&format!("{{{key}}}"), &value.to_string()));
        Self { rule, mechanism: None, observations, text, sources: Vec::new(), age_hours: None }
    }

    /// The same, pointing at a mechanism.
    #[must_use]
    pub fn pointing_at(self, mechanism: impl Into<String>) -> Self {
        Self { mechanism: Some(mechanism.into()), ..self }
    }

    /// As it stands in a verdict.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            rule: self.rule.id.clone(),
            weight: self.rule.likelihoods.weight(),
            observations: self.observations.clone(),
            text: self.text.clone(),
        }
    }
}

/// Every rule that fires on these features.
pub fn findings(features: &Features<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    response::fire(features, &mut found);
    anywhere::fire(features, &mut found);
    dns::fire(features, &mut found);
    questions::fire(features, &mut found);
    answer::fire(features, &mut found);
    known::fire(features, &mut found);
    connect::fire(features, &mut found);
    handshake::fire(features, &mut found);
    slow::fire(features, &mut found);
    quic::fire(features, &mut found);
    vpn::fire(features, &mut found);
    // Last: it looks at what the vantage's own rows have said.
    control::fire(features, &mut found);
    control_page::fire(features, &mut found);
    found
}

/// What comes most often; of equals, the last to appear.
fn commonest<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut counts: Vec<(T, usize)> = Vec::new();
    for item in items {
        match counts.iter_mut().find(|(known, _)| *known == item) {
            Some((_, count)) => *count += 1,
            None => counts.push((item, 1)),
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(item, _)| item)
}

/// How long a step took, milliseconds.
fn span(row: &Observation) -> f64 {
    row.t_ms - row.t0_ms
}

/// Addresses or other things, for a sentence: up to four, else three and the count of the rest.
pub(crate) fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.len() {
        0 => "none".to_owned(),
        1..=4 => items.join(", "),
        n => format!("{} and {} more", items[..3].join(", "), n - 3),
    }
}
