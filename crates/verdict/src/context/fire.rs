//! Rules on the context. They fire only where a measurement failed by itself; none is determinate; what others say is held against
//! it only where independent submitters say so; and what only its own submitter says is held against nobody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use faultline_record::{Engine, Failure, Measurement, Observation, is_bogon, normal_name};

use super::independent::{Submitter, Vantage, WANTED, independent};
use super::key::{self, Hour, NetworkKey};
use super::seen::{self, Socket, Word};
use super::store::Tally;
use super::{Context, ControlState, Place, Software};
use crate::features::{Connection, Features, is_denial};
use crate::rules::{Finding, listed};

/// Hours on either side of a measurement's own that count as the same.
pub const NEAR: Hour = 1;
/// How far back the series' own past reaches, hours: a week, so that every day of it is in it once.
const PAST: Hour = 168;
/// Hours of the past in which the target worked before that is said.
const WORKED: usize = 3;
/// Others that failed in the same minutes before the network is doubted, and the share of those that may have worked.
const OTHERS: usize = 10;
const MAY_WORK: usize = 10;
/// Independent voices before a failure is laid to software: more than elsewhere, since it takes back a block.
const SOFTWARE: usize = 3;
/// Unrelated names at one address that is none of theirs.
const NAMES: usize = 3;

/// Voices of others on one thing.
#[derive(Debug, Default)]
pub struct Others {
    reached: Vec<Vantage>,
    failed: Vec<Vantage>,
    /// Of those that failed, the countries that are not the measurement's own, each with who says so; the helper's is one.
    failed_abroad: Vec<(String, Submitter)>,
    age: Hour,
}

impl Others {
    /// What they say together. One voice never decides, and one that contradicts needs one more against it.
    pub fn state(&self) -> ControlState {
        let (reached, failed) = (self.voices(), independent(self.failed.iter().copied()));
        if reached >= WANTED && reached * 2 >= failed {
            ControlState::Disagrees
        } else if reached < WANTED && failed >= WANTED + reached && countries(&self.failed_abroad) >= WANTED {
            ControlState::Agrees
        } else {
            ControlState::Absent
        }
    }

    fn voices(&self) -> usize {
        independent(self.reached.iter().copied())
    }
}

/// A measurement that failed, and what is asked about it.
struct Here<'a> {
    features: &'a Features<'a>,
    vantage: Vantage,
    own: NetworkKey,
    hour: Hour,
    software: &'a Software,
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
        let here =
            Here { features, vantage, own, hour: key::hour(measurement.started_at), software: place.software, rows };
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

    /// Others who wanted the same endpoint in other networks, within so many hours.
    pub(super) fn others(&self, measurement: &Measurement, submitter: Submitter, hours: Hour) -> Option<Others> {
        let own = NetworkKey::of_measurement(measurement);
        let at = key::hour(measurement.started_at);
        let key = key::endpoint(&measurement.target.endpoint)?;
        let near = self.store.ends(&key, at.saturating_sub(hours)..=at.saturating_add(hours));
        let tallies = near.filter(|(_, tally)| self.is_other(tally.vantage, &own, submitter));
        Some(self.gathered(tallies, at, &own))
    }

    fn is_other(&self, vantage: Vantage, own: &NetworkKey, submitter: Submitter) -> bool {
        let is_elsewhere = vantage.network.is_some_and(|network| {
            // A network at home and over the air of the same operator is one operator's.
            self.store.network_of(network).is_none_or(|key| (&key.country, key.asn) != (&own.country, own.asn))
        });
        vantage.submitter != submitter && is_elsewhere
    }

    fn gathered<'a>(&self, tallies: impl Iterator<Item = (Hour, &'a Tally)>, at: Hour, own: &NetworkKey) -> Others {
        let mut sums: BTreeMap<Vantage, (u32, u32)> = BTreeMap::new();
        let mut others = Others::default();
        for (hour, tally) in tallies {
            let (reached, failed) = sums.entry(tally.vantage).or_default();
            (*reached, *failed) = (reached.saturating_add(tally.reached), failed.saturating_add(tally.failed));
            others.age = others.age.max((hour - at).abs());
        }
        for (vantage, (reached, failed)) in sums {
            match (reached, failed) {
                (0, 0) => {}
                (reached, failed) if reached >= failed => others.reached.push(vantage),
                _ => {
                    let abroad = self.country(vantage).filter(|country| *country != own.country);
                    others.failed_abroad.extend(abroad.map(|country| (country, vantage.submitter)));
                    others.failed.push(vantage);
                }
            }
        }
        others
    }

    /// The country of a vantage, if it is known; helpers are abroad.
    fn country(&self, vantage: Vantage) -> Option<String> {
        let network = vantage.network?;
        let country = self.store.network_of(network).map_or("helper", |key| key.country.as_str());
        (!country.is_empty()).then(|| country.to_owned())
    }

    fn endpoint(&self, here: &Here<'_>) -> Option<Finding> {
        let others = self.others(here.features.measurement, here.vantage.submitter, NEAR)?;
        match others.state() {
            ControlState::Disagrees => {
                Some(here.finding("context.reached_elsewhere", self, &others.reached, others.age))
            }
            ControlState::Agrees => Some(here.finding("context.fails_elsewhere", self, &others.failed, others.age)),
            ControlState::Absent => None,
        }
    }

    /// An address at which others verified the name's certificate, and the vantage did not get so far.
    fn genuine_address(&self, here: &Here<'_>) -> Option<Finding> {
        let failed = |connection: &&Connection<'_>| connection.tried() && !connection.verified();
        let name = normal_name(&here.features.host);
        let at = |connection: &Connection<'_>| Socket::of(connection.tcp);
        let sockets = here.features.main().filter(failed).filter_map(at);
        let quic = here.features.quic_with(faultline_record::Purpose::Main).filter(|quic| !quic.row.outcome.is_ok());
        let mut sockets = sockets.chain(quic.filter_map(|quic| Socket::of(quic.row)));
        sockets.find_map(|socket| {
            let is_near = |first: Hour, last: Hour| first <= here.hour + NEAR && last >= here.hour - NEAR;
            let proofs = self.store.proofs(&name, socket).iter().filter(|proof| is_near(proof.first, proof.last));
            let others: Vec<Vantage> = proofs
                .map(|proof| proof.vantage)
                .filter(|vantage| self.is_other(*vantage, &here.own, here.vantage.submitter))
                .collect();
            let is_shown = independent(others.iter().copied()) >= WANTED;
            is_shown.then(|| here.finding_at("context.genuine_address_fails", self, &others, NEAR, &socket.address))
        })
    }

    /// The name has no usable address here; what do other networks' own resolvers say?
    fn name(&self, here: &Here<'_>, found: &[Finding]) -> Option<Finding> {
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
    fn resolver(&self, here: &Here<'_>) -> Option<Finding> {
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
    fn one_address(&self, here: &Here<'_>) -> Option<Finding> {
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

    /// It worked in this network before.
    fn past(&self, here: &Here<'_>) -> Option<Finding> {
        let key = key::endpoint(&here.features.measurement.target.endpoint)?;
        here.vantage.network?;
        let own = |tally: &Tally| tally.vantage == here.vantage && tally.reached > 0;
        let past = self.store.ends(&key, here.hour - PAST..=here.hour - 1).filter(|(_, tally)| own(tally));
        let hours: BTreeSet<Hour> = past.map(|(hour, _)| hour).collect();
        let last = *hours.last()?;
        let age = here.hour - last;
        (hours.len() >= WORKED).then(|| here.finding_at("context.worked_before", self, &[], age, &hours.len()))
    }

    /// Nearly everything failed here in these minutes, which others in the country reach.
    fn network(&self, here: &Here<'_>) -> Option<Finding> {
        let (mut worked, mut failed) = (BTreeSet::new(), BTreeSet::new());
        for stretch in self.store.stretches(here.features.measurement.started_at, here.vantage) {
            worked.extend(stretch.worked.iter().copied());
            failed.extend(stretch.failed.iter().copied());
        }
        if failed.len() < OTHERS || worked.len() * MAY_WORK > failed.len() {
            return None;
        }
        let hours = here.hour - NEAR..=here.hour + NEAR;
        let compatriots = |name: u32| {
            let others = self.store.ends_of(name, hours.clone()).map(|(_, tally)| tally).filter(|tally| {
                self.is_other(tally.vantage, &here.own, here.vantage.submitter)
                    && self.country(tally.vantage).is_some_and(|country| country == here.own.country)
            });
            others.filter(|tally| tally.reached > tally.failed).map(|tally| tally.vantage).collect::<Vec<_>>()
        };
        let reached: Vec<Vec<Vantage>> = failed.iter().map(|&name| compatriots(name)).collect();
        let shared = reached.iter().filter(|voices| !voices.is_empty()).count();
        let voices: Vec<Vantage> = reached.into_iter().flatten().collect();
        let is_shown = shared * 2 >= failed.len() && independent(voices.iter().copied()) >= WANTED;
        is_shown.then(|| here.finding_at("context.network_fails", self, &voices, NEAR, &failed.len()))
    }

    /// It fails with this software or on this platform wherever it is, and works with others in the same networks.
    fn by_software(&self, here: &Here<'_>) -> Option<Finding> {
        let key = key::endpoint(&here.features.measurement.target.endpoint)?;
        let parts: [fn(&Software) -> &str; 2] = [|software| &software.version, |software| &software.platform];
        parts.into_iter().find_map(|part| {
            let own = part(here.software);
            let rows =
                || self.store.ends_by_software(&key, here.hour).filter(|(software, _)| !part(software).is_empty());
            let (mut failed, mut reached, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
            for (software, tally) in rows() {
                match (part(software) == own, tally.reached > 0) {
                    (true, true) => reached.push(tally.vantage),
                    (true, false) => failed.push(tally.vantage),
                    (false, true) => elsewhere.push(tally.vantage),
                    (false, false) => {}
                }
            }
            let of_country = |vantage: &Vantage| self.country(*vantage).map(|country| (country, vantage.submitter));
            let countries = countries(&failed.iter().filter_map(of_country).collect::<Vec<_>>());
            let against = independent(reached.iter().copied());
            let networks = |voices: &[Vantage]| voices.iter().filter_map(|v| v.network).collect::<BTreeSet<u32>>();
            let is_shown = independent(failed.iter().copied()) >= SOFTWARE + against
                && against < WANTED
                && countries >= WANTED
                && independent(elsewhere.iter().copied()) >= SOFTWARE
                && !networks(&failed).is_disjoint(&networks(&elsewhere));
            is_shown.then(|| here.finding_at("context.follows_software", self, &failed, 24, &own))
        })
    }

    /// The same refusal in the clear in other countries.
    fn same_refusal(&self, here: &Here<'_>) -> Option<Finding> {
        let measurement = here.features.measurement;
        let status = seen::refusal(measurement)?;
        let key = key::endpoint(&measurement.target.endpoint)?;
        let near = self.store.ends(&key, here.hour - NEAR..=here.hour + NEAR).map(|(_, tally)| tally);
        let abroad = |vantage| self.country(vantage).is_some_and(|country| country != here.own.country);
        let voices: Vec<Vantage> = near
            .filter(|tally| tally.refused == Some(status))
            .map(|tally| tally.vantage)
            .filter(|&vantage| self.is_other(vantage, &here.own, here.vantage.submitter) && abroad(vantage))
            .collect();
        let is_shown = independent(voices.iter().copied()) >= WANTED;
        is_shown.then(|| here.finding_at("context.same_refusal", self, &voices, NEAR, &status))
    }
}

impl Here<'_> {
    /// Whoever is told over HTTPS or TLS that there is no such name has a control that nobody on the way can forge.
    fn is_denied_over_https(&self) -> bool {
        let over_https = self.features.others.iter().filter(|l| matches!(l.dns.engine, Engine::Doh | Engine::Dot));
        over_https.filter_map(|lookup| lookup.row.outcome.failure()).any(is_denial)
    }

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

/// How many countries independent submitters speak of.
fn countries(voices: &[(String, Submitter)]) -> usize {
    let names: BTreeSet<&str> = voices.iter().map(|(country, _)| country.as_str()).collect();
    let number = |country: &str| names.iter().position(|name| *name == country).and_then(|n| u32::try_from(n).ok());
    let as_vantage =
        |(country, submitter): &(String, Submitter)| Vantage { network: number(country), submitter: *submitter };
    independent(voices.iter().map(as_vantage))
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
