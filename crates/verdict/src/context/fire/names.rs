//! What resolvers said of the name: here, in other networks, and of other names.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::{Engine, Observation, is_bogon, normal_name};

use super::super::independent::Vantage;
use super::super::seen::Word;
use super::super::store::Tally;
use super::super::{Context, ControlState};
use super::elsewhere::Others;
use super::{Here, NEAR};
use crate::features::is_denial;
use crate::rules::{Finding, listed};

/// Unrelated names at one address that is none of theirs.
const NAMES: usize = 3;

impl Context {
    /// The name has no usable address here; what do other networks' own resolvers say?
    pub(super) fn name(&self, here: &Here<'_>, found: &[Finding]) -> Option<Finding> {
        let is_unresolved =
            here.features.main().all(|connection| !connection.tried()) && !here.features.system.is_empty();
        let is_about_names = found.iter().any(|finding| finding.rule.group == "dns");
        if !is_unresolved || !is_about_names {
            return None;
        }
        let others = self.words(here, None);
        match others.state() {
            ControlState::Disagrees if !here.is_denied_over_https() => {
                Some(here.finding("context.name_resolves", self, &others.reached, NEAR))
            }
            ControlState::Agrees => Some(here.finding("context.name_denied_elsewhere", self, &others.failed, NEAR)),
            _ => None,
        }
    }

    /// A public resolver that denies the name here over UDP and gives it elsewhere.
    pub(super) fn resolver(&self, here: &Here<'_>) -> Option<Finding> {
        if here.is_denied_over_https() {
            return None;
        }
        let denies = |row: &Observation| row.outcome.failure().is_some_and(is_denial);
        let over_udp = here.features.others.iter().filter(|lookup| lookup.dns.engine == Engine::Udp);
        let refusing = over_udp.filter(|lookup| {
            let mut addresses = lookup.dns.addresses().peekable();
            denies(lookup.row) || (addresses.peek().is_some() && addresses.all(is_bogon))
        });
        let mut asked = refusing.map(|lookup| format!("{} {}", lookup.dns.engine.name(), lookup.dns.resolver));
        asked.find_map(|resolver| {
            let others = self.words(here, Some(&resolver));
            let answers = others.state() == ControlState::Disagrees;
            let shown = resolver.rsplit(['/', ' ']).next().unwrap_or_default();
            let finding = || here.finding_at("context.resolver_answers_elsewhere", self, &others.reached, NEAR, &shown);
            answers.then(|| finding().pointing_at("dns.injection.other"))
        })
    }

    fn words(&self, here: &Here<'_>, resolver: Option<&str>) -> Others {
        let name = normal_name(&here.features.host);
        let mut best: BTreeMap<Vantage, Word> = BTreeMap::new();
        for said in self.store.words(&name, resolver, here.hour - NEAR..=here.hour + NEAR) {
            if self.is_other(said.vantage, &here.own, here.vantage.submitter) {
                let word = best.entry(said.vantage).or_insert(said.word);
                *word = (*word).min(said.word);
            }
        }
        let tallies: Vec<Tally> = best.into_iter().filter_map(|(vantage, word)| as_tally(vantage, word)).collect();
        self.gathered(tallies.iter().map(|tally| (here.hour, tally)), here.hour, &here.own)
    }

    /// One address that the own resolver gives for unrelated names and that nobody proved to be anybody's.
    pub(super) fn one_address(&self, here: &Here<'_>) -> Option<Finding> {
        let by_others = here.features.given_by_others();
        let proven = here.features.proven();
        if by_others.is_empty() {
            return None;
        }
        let own = here.features.given_by_system();
        let mut doubtful = own
            .difference(&by_others)
            .filter(|address| !is_bogon(**address) && !proven.contains(address) && !self.store.is_proven(**address));
        doubtful.find_map(|&address| {
            let families: BTreeSet<&str> = self.store.names_at(here.vantage, address).map(operator).collect();
            let is_shared = families.len() >= NAMES;
            let names = listed(families);
            let finding =
                || here.finding_at("context.one_address_for_many", self, &[], 0, &format!("{address} ({names})"));
            is_shared.then(|| finding().pointing_at("dns.injection.other"))
        })
    }
}

impl Here<'_> {
    /// Whoever is told over HTTPS or TLS that there is no such name has a control that nobody on the way can forge.
    fn is_denied_over_https(&self) -> bool {
        let over_https = self.features.others.iter().filter(|l| matches!(l.dns.engine, Engine::Doh | Engine::Dot));
        over_https.filter_map(|lookup| lookup.row.outcome.failure()).any(is_denial)
    }
}

fn as_tally(vantage: Vantage, word: Word) -> Option<Tally> {
    let (reached, failed) = match word {
        Word::Given => (1, 0),
        Word::Denied => (0, 1),
        Word::Silent => return None,
    };
    Some(Tally { vantage, reached, failed, refused: None })
}

/// Whose a name is, nearly: its last two labels. Names of one operator under a public suffix of two labels are taken for one, so
/// that less is found and nothing is invented.
fn operator(name: &str) -> &str {
    let mut dots = name.rmatch_indices('.');
    dots.nth(1).map_or(name, |(place, _)| &name[place + 1..])
}
