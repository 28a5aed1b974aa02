//! What else is known of the vantage: its other targets, its own past, and what it measures with.

use std::collections::BTreeSet;

use super::super::independent::{Vantage, WANTED, independent};
use super::super::key::{self, Hour, Number};
use super::super::store::Tally;
use super::super::{Context, Software};
use super::elsewhere::countries;
use super::{Here, NEAR};
use crate::rules::Finding;

/// How far back the series' own past reaches, hours: a week, so that every day of it is in it once.
const PAST: Hour = 168;
/// Hours of the past in which the target worked before that is said.
const WORKED: usize = 3;
/// Others that failed in the same minutes before the network is doubted, and the share of those that may have worked.
const OTHERS: usize = 10;
const MAY_WORK: usize = 10;
/// Independent voices before a failure is laid to software: more than elsewhere, since it takes back a block.
const SOFTWARE: usize = 3;

impl Context {
    /// It worked in this network before.
    pub(super) fn past(&self, here: &Here<'_>) -> Option<Finding> {
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
    pub(super) fn network(&self, here: &Here<'_>) -> Option<Finding> {
        let (mut worked, mut failed) = (BTreeSet::new(), BTreeSet::new());
        for stretch in self.store.stretches(here.place.began, here.vantage) {
            worked.extend(stretch.worked.iter().copied());
            failed.extend(stretch.failed.iter().copied());
        }
        if failed.len() < OTHERS || worked.len() * MAY_WORK > failed.len() {
            return None;
        }
        let hours = here.hour - NEAR..=here.hour + NEAR;
        let compatriots = |name: Number| {
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
    pub(super) fn by_software(&self, here: &Here<'_>) -> Option<Finding> {
        let key = key::endpoint(&here.features.measurement.target.endpoint)?;
        let parts: [fn(&Software) -> &str; 2] = [|software| &software.version, |software| &software.platform];
        parts.into_iter().find_map(|part| {
            let own = part(here.place.software);
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
            let networks = |voices: &[Vantage]| voices.iter().filter_map(|v| v.network).collect::<BTreeSet<Number>>();
            let is_shown = independent(failed.iter().copied()) >= SOFTWARE + against
                && against < WANTED
                && countries >= WANTED
                && independent(elsewhere.iter().copied()) >= SOFTWARE
                && !networks(&failed).is_disjoint(&networks(&elsewhere));
            is_shown.then(|| here.finding_at("context.follows_software", self, &failed, 24, &own))
        })
    }
}
