//! The same endpoint, address or refusal in other networks: the control.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::{Measurement, Purpose, normal_name};

use super::super::independent::{Submitter, Vantage, WANTED, independent};
use super::super::key::{self, Hour, NetworkKey, Number};
use super::super::seen::{self, Socket};
use super::super::store::Tally;
use super::super::{Context, ControlState, Place};
use super::{Here, NEAR};
use crate::features::Connection;
use crate::rules::Finding;

/// Voices of others on one thing.
#[derive(Debug, Default)]
pub struct Others {
    pub(super) reached: Vec<Vantage>,
    pub(super) failed: Vec<Vantage>,
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

impl Context {
    /// Others who wanted the same endpoint in other networks, within so many hours.
    pub(in super::super) fn others(&self, measurement: &Measurement, place: Place<'_>, hours: Hour) -> Option<Others> {
        let own = NetworkKey::of_measurement(measurement);
        let at = key::hour(place.began);
        let key = key::endpoint(&measurement.target.endpoint)?;
        let near = self.store.ends(&key, at.saturating_sub(hours)..=at.saturating_add(hours));
        let tallies = near.filter(|(_, tally)| self.is_other(tally.vantage, &own, place.submitter));
        Some(self.gathered(tallies, at, &own))
    }

    /// The few who speak of the endpoint, where they are too few or differ: who, how old their word is, and how many say what.
    pub(in super::super) fn few(
        &self,
        of: &Measurement,
        place: Place<'_>,
    ) -> Option<(Vec<String>, Option<Hour>, String)> {
        let others = self.others(of, place, NEAR)?;
        let voices = others.reached.iter().chain(&others.failed).filter_map(|vantage| vantage.network);
        let name = |network| self.store.network_of(network).map_or_else(|| "a helper".to_owned(), NetworkKey::words);
        let who: BTreeSet<String> = voices.map(name).collect();
        let (reached, failed) = (others.reached.len(), others.failed.len());
        let text = format!("{reached} reach it and {failed} do not: too few that are independent, or they differ");
        (!who.is_empty()).then(|| (who.into_iter().collect(), Some(others.age.max(1)), text))
    }

    pub(super) fn is_other(&self, vantage: Vantage, own: &NetworkKey, submitter: Submitter) -> bool {
        let is_elsewhere = vantage.network.is_some_and(|network| {
            // A network at home and over the air of the same operator is one operator's.
            self.store.network_of(network).is_none_or(|key| (&key.country, key.asn) != (&own.country, own.asn))
        });
        vantage.submitter != submitter && is_elsewhere
    }

    pub(super) fn gathered<'a>(
        &self,
        tallies: impl Iterator<Item = (Hour, &'a Tally)>,
        at: Hour,
        own: &NetworkKey,
    ) -> Others {
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
    pub(super) fn country(&self, vantage: Vantage) -> Option<String> {
        let network = vantage.network?;
        let country = self.store.network_of(network).map_or("helper", |key| key.country.as_str());
        (!country.is_empty()).then(|| country.to_owned())
    }

    pub(super) fn endpoint(&self, here: &Here<'_>) -> Option<Finding> {
        let others = self.others(here.features.measurement, here.place, NEAR)?;
        match others.state() {
            ControlState::Disagrees => {
                Some(here.finding("context.reached_elsewhere", self, &others.reached, others.age.max(1)))
            }
            ControlState::Agrees => {
                Some(here.finding("context.fails_elsewhere", self, &others.failed, others.age.max(1)))
            }
            ControlState::Absent => None,
        }
    }

    /// An address at which others verified the name's certificate, and the vantage did not get so far.
    pub(super) fn genuine_address(&self, here: &Here<'_>) -> Option<Finding> {
        let failed = |connection: &&Connection<'_>| connection.tried() && !connection.verified();
        let name = normal_name(&here.features.host);
        let at = |connection: &Connection<'_>| Socket::of(connection.tcp);
        let sockets = here.features.main().filter(failed).filter_map(at);
        let quic = here.features.quic_with(Purpose::Main).filter(|quic| !quic.row.outcome.is_ok());
        let mut sockets = sockets.chain(quic.filter_map(|quic| Socket::of(quic.row)));
        sockets.find_map(|socket| {
            let proofs = self.store.proofs(&name, socket).iter().filter(|proof| proof.is_near(here.hour, NEAR));
            let others: Vec<Vantage> = proofs
                .map(|proof| proof.vantage)
                .filter(|vantage| self.is_other(*vantage, &here.own, here.vantage.submitter))
                .collect();
            let is_shown = independent(others.iter().copied()) >= WANTED;
            is_shown.then(|| here.finding_at("context.genuine_address_fails", self, &others, NEAR, &socket.address))
        })
    }

    /// The same refusal in the clear in other countries.
    pub(super) fn same_refusal(&self, here: &Here<'_>) -> Option<Finding> {
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

/// How many countries independent submitters speak of.
pub(super) fn countries(voices: &[(String, Submitter)]) -> usize {
    let names: BTreeSet<&str> = voices.iter().map(|(country, _)| country.as_str()).collect();
    let number = |country: &str| names.iter().position(|name| *name == country).map(Number::of);
    let as_vantage =
        |(country, submitter): &(String, Submitter)| Vantage { network: number(country), submitter: *submitter };
    independent(voices.iter().map(as_vantage))
}
