//! Rules on the context. They fire only where a measurement failed by itself; none is determinate; what others say is held against
//! it only where independent submitters say so; and what only its own submitter says is held against nobody else's.

mod elsewhere;
mod here;
mod names;

use std::collections::BTreeSet;
use std::fmt::Display;

use faultline_record::Failure;

use super::independent::Vantage;
use super::key::{self, Hour, NetworkKey};
use super::{Context, Place};
use crate::features::Features;
use crate::rules::{Finding, listed};

/// Hours on either side of a measurement's own that count as the same.
pub const NEAR: Hour = 1;

/// A measurement that failed, and what is asked about it.
struct Here<'a> {
    features: &'a Features<'a>,
    vantage: Vantage,
    own: NetworkKey,
    hour: Hour,
    place: Place<'a>,
    /// Rows that the failure rests on.
    rows: Vec<u32>,
}

impl Context {
    /// Adds what the context finds to what was found.
    pub(crate) fn fire(&self, features: &Features<'_>, place: Place<'_>, found: &mut Vec<Finding>) {
        let is_response = |finding: &&Finding| finding.rule.group == "response";
        if found.iter().filter(is_response).any(|finding| finding.rule.id != "http.plain_refusal") {
            return;
        }
        let failing =
            found.iter().filter(|finding| finding.rule.likelihoods.ok < 0.0 && finding.rule.group != "control");
        let mut rows: Vec<u32> = failing.flat_map(|finding| finding.observations.clone()).collect();
        rows.sort_unstable();
        rows.dedup();
        let measurement = features.measurement;
        let own = NetworkKey::of_measurement(measurement);
        let vantage = Vantage { network: self.store.find_network(&own), submitter: place.submitter };
        let here = Here { features, vantage, own, hour: key::hour(place.began), place, rows };
        if found.iter().any(|finding| finding.rule.id == "http.plain_refusal") {
            found.extend(self.same_refusal(&here));
        } else if !here.rows.is_empty() {
            self.fire_on_failure(&here, found);
        }
    }

    fn fire_on_failure(&self, here: &Here<'_>, found: &mut Vec<Finding>) {
        if let Some(outage) = self.network(here) {
            // That others reach it is no wonder then.
            found.push(outage);
            return;
        }
        let by_others = self
            .genuine_address(here)
            .or_else(|| self.endpoint(here))
            .or_else(|| self.name(here, found))
            .or_else(|| self.resolver(here));
        if let Some(finding) = by_others {
            drop_guesses(&finding, found);
            found.push(finding);
        }
        let rest = [self.one_address(here), self.past(here), self.by_software(here)];
        found.extend(rest.into_iter().flatten());
    }
}

impl Here<'_> {
    fn finding(&self, id: &str, context: &Context, voices: &[Vantage], age: Hour) -> Finding {
        self.finding_at(id, context, voices, age, &"")
    }

    /// A finding on the failure's rows, with where the voices come from and how old they are at most, hours.
    fn finding_at(&self, id: &str, context: &Context, voices: &[Vantage], age: Hour, what: &dyn Display) -> Finding {
        let networks: BTreeSet<String> = voices
            .iter()
            .filter_map(|vantage| vantage.network)
            .map(|network| context.store.network_of(network).map_or_else(|| "a helper".to_owned(), NetworkKey::words))
            .collect();
        let count = networks.len();
        let networks = listed(networks);
        let failure = self.failure().map_or("", Failure::name);
        let fields: &[(&str, &dyn Display)] = &[
            ("host", &self.features.host),
            ("failure", &failure),
            ("networks", &networks),
            ("count", &count),
            ("age", &age),
            ("what", what),
        ];
        Finding::new(id, self.rows.clone(), fields)
    }

    /// The first failure that the finding rests on.
    fn failure(&self) -> Option<Failure> {
        let mut rows = self.features.measurement.observations.iter().filter(|row| self.rows.contains(&row.seq));
        rows.find_map(|row| row.outcome.failure())
    }
}

/// What is a guess for want of a control has no say beside one.
fn drop_guesses(finding: &Finding, found: &mut Vec<Finding>) {
    let refuted = match finding.rule.id.as_str() {
        "context.fails_elsewhere" | "context.name_denied_elsewhere" => "target.rarely_down",
        "context.name_resolves" | "context.resolver_answers_elsewhere" => "dns.failure_everywhere",
        _ => return,
    };
    found.retain(|finding| finding.rule.id != refuted);
}
