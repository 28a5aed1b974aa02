//! Rules on the context. They fire only where a measurement failed by itself; none is determinate; what others say is held against
//! it only where independent submitters say so; and what only its own submitter says is held against nobody else's.

mod elsewhere;
mod feeds;
mod here;
mod names;

use std::collections::BTreeSet;
use std::fmt::Display;

use faultline_record::{Failure, named};

use super::independent::Vantage;
use super::key::{self, Hour, NetworkKey};
use super::{Context, ControlState, Place};
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

named! {
    /// What the context is asked about a measurement that failed.
    pub enum Question {
        /// The very address: did others verify the name's certificate there?
        Address = "address",
        /// The endpoint: do others reach it?
        Endpoint = "endpoint",
        /// The name: do other networks' resolvers give it?
        Name = "name",
        /// A public resolver that denies the name here: does it give it elsewhere?
        Resolver = "resolver",
        /// The own resolver: does it give one address for names of many?
        OneAddress = "one_address",
        /// Other targets here in the same minutes: does nearly everything fail?
        Network = "network",
        /// The own past: did it work here?
        Past = "past",
        /// The software: does the failure follow it?
        Software = "software",
        /// A refusal in the clear: do others meet it?
        Refusal = "refusal",
        /// Feeds: do they tell of an outage here?
        Outage = "outage_feeds",
        /// Feeds: was something wanted unusually much here?
        Demand = "demand_feeds",
    }
}

impl Context {
    /// Adds what the context finds to what was found; one question may be left `out`.
    pub(crate) fn fire(
        &self,
        features: &Features<'_>,
        place: Place<'_>,
        out: Option<Question>,
        found: &mut Vec<Finding>,
    ) {
        let Some(here) = self.here(features, place, found) else { return };
        if found.iter().any(is_refusal) {
            found.extend(self.answer(Question::Refusal, &here, found).filter(|_| out != Some(Question::Refusal)));
            return;
        }
        let mut ask = |question: Question| {
            let finding = self.answer(question, &here, found).filter(|_| out != Some(question));
            if let Some(finding) = &finding {
                drop_guesses(finding, found);
                found.push(finding.clone());
            }
            finding.is_some()
        };
        // Where the whole network is out, that others reach it is no wonder.
        if !ask(Question::Network) {
            let _ =
                [Question::Address, Question::Endpoint, Question::Name, Question::Resolver].into_iter().any(&mut ask);
            for question in [Question::OneAddress, Question::Past, Question::Software] {
                ask(question);
            }
        }
        // Last: whether a feed counts depends on what else was found.
        ask(Question::Outage);
        ask(Question::Demand);
    }

    /// The answer to every question, each asked as if the others were not; nothing where there is nothing to ask.
    pub(in super::super) fn answers(
        &self,
        features: &Features<'_>,
        place: Place<'_>,
        found: &[Finding],
    ) -> Vec<(Question, Option<Finding>)> {
        let Some(here) = self.here(features, place, found) else { return Vec::new() };
        let is_asked = |question: &Question| (*question == Question::Refusal) == found.iter().any(is_refusal);
        let asked = Question::ALL.iter().copied().filter(is_asked);
        asked.map(|question| (question, self.answer(question, &here, found))).collect()
    }

    /// What is asked about, if there is anything to ask: something failed, and it is no refusal that stands by itself.
    fn here<'f>(&self, features: &'f Features<'f>, place: Place<'f>, found: &[Finding]) -> Option<Here<'f>> {
        if found.iter().filter(|finding| finding.rule.group == "response").any(|finding| !is_refusal(finding)) {
            return None;
        }
        let failing =
            found.iter().filter(|finding| finding.rule.likelihoods.ok < 0.0 && finding.rule.group != "control");
        let mut rows: Vec<u32> = failing.flat_map(|finding| finding.observations.clone()).collect();
        rows.sort_unstable();
        rows.dedup();
        let own = NetworkKey::of_measurement(features.measurement);
        let vantage = Vantage { network: self.store.find_network(&own), submitter: place.submitter };
        let is_asked = !rows.is_empty() || found.iter().any(is_refusal);
        is_asked.then(|| Here { features, vantage, own, hour: key::hour(place.began), place, rows })
    }

    /// What is found by one question.
    fn answer(&self, question: Question, here: &Here<'_>, found: &[Finding]) -> Option<Finding> {
        match question {
            Question::Address => self.genuine_address(here),
            Question::Endpoint => self.endpoint(here),
            Question::Name => self.name(here, found),
            Question::Resolver => self.resolver(here),
            Question::OneAddress => self.one_address(here),
            Question::Network => self.network(here),
            Question::Past => self.past(here),
            Question::Software => self.by_software(here),
            Question::Refusal => self.same_refusal(here),
            Question::Outage => self.outage(here, found),
            Question::Demand => self.demand(here),
        }
    }
}

/// What a rule of the context says of a failure; `None` of what stands beside and is held against nobody.
pub fn of_question(rule: &str) -> Option<ControlState> {
    Some(match rule {
        "context.reached_elsewhere"
        | "context.genuine_address_fails"
        | "context.name_resolves"
        | "context.resolver_answers_elsewhere"
        | "context.one_address_for_many"
        | "context.worked_before"
        | "context.feeds_as_usual" => ControlState::Disagrees,
        "context.fails_elsewhere"
        | "context.name_denied_elsewhere"
        | "context.same_refusal"
        | "context.network_fails"
        | "context.follows_software"
        | "context.feed_outage_beside"
        | "context.feeds_tell_outage" => ControlState::Agrees,
        "context.demand" => return None,
        _ => ControlState::Absent,
    })
}

fn is_refusal(finding: &Finding) -> bool {
    finding.rule.id == "http.plain_refusal"
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
        let (count, sources) = (networks.len(), networks.iter().cloned().collect());
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
        Finding { sources, age_hours: Some(age), ..Finding::new(id, self.rows.clone(), fields) }
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
