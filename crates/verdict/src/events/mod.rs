//! Events: what changed, where, from when to when, told once.
//!
//! Verdicts, each in the light of all others, become series by endpoint and network. Where the share that says so changes (see
//! [`course`]) there is a stretch: of interference in a network or a country, of a network or a country that is cut off, of a target that
//! fails everywhere. Stretches of one incident are one event (see [`incident`]). Below a floor of independent submitters nothing is told;
//! how much that holds back is counted.

mod course;
mod incident;
mod series;
mod stretch;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use faultline_record::{Endpoint, Measurement};

use crate::cells::{Names, Words};
use crate::context::{NetworkKey, Place, endpoint_key, hours_between};
use crate::service::Services;
use crate::verdict::{Cause, Verdict};

pub use tell::{Controls, Event, Hypothesis, Interval, Kind, Onset};

use incident::overlap;
use series::{Placed, Point, SUSPECTS, Said, in_order};
use stretch::{Asked, Stretch, stretches};

/// The measurements of one endpoint, by network.
#[derive(Debug, Default)]
struct OfEndpoint {
    /// What endpoints of one target have in common.
    family: String,
    /// The service that it is known to be of, whatever files call it.
    service: Option<String>,
    is_tunnel: bool,
    by_network: BTreeMap<NetworkKey, Vec<Point>>,
}

/// Events in the making.
#[derive(Debug)]
pub struct Events {
    floor: usize,
    known: Services,
    words: Words,
    names: Names,
    endpoints: BTreeMap<Arc<str>, OfEndpoint>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The events, in the order in which they began.
    pub events: Vec<Event>,
    /// Stretches that too few independent submitters speak of.
    pub held_back: usize,
    /// Stretches of failures of which it is not known who did it.
    pub unexplained: usize,
    /// Countries in which was measured.
    pub countries: usize,
    /// Hours from the first measurement to the last.
    pub hours: f64,
}

impl Events {
    /// None yet; with the submitters that an event needs, and which endpoints make which service.
    pub fn new(floor: usize, known: Services) -> Self {
        let (words, names) = (Words::default(), Names::default());
        Self { floor: floor.max(1), known, words, names, endpoints: BTreeMap::new() }
    }

    /// Adds a measurement with its verdict. Each measurement is added once; the caller sees to that.
    pub fn add(&mut self, measurement: &Measurement, verdict: &Verdict, place: Place<'_>) {
        let (Some(said), Some(endpoint)) = (Said::of(verdict), endpoint_key(&measurement.target.endpoint)) else {
            return;
        };
        let endpoint = self.words.keep(&endpoint);
        self.names.add(&mut self.words, &endpoint, &measurement.target, place.submitter);
        let likely = |cause: Cause| verdict.causes.get(&cause).copied().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "three decimals are enough of a probability")]
        let point = Point {
            at: place.began,
            id: measurement.id,
            submitter: place.submitter,
            said,
            is_settled: verdict.state == crate::State::Blocked,
            mechanism: verdict.mechanisms.first().map(|mechanism| self.words.keep(mechanism)),
            likely: SUSPECTS.map(|cause| likely(cause) as f32),
        };
        let of = self.endpoints.entry(endpoint).or_default();
        if of.service.is_none() {
            of.service = self.known.service_of(&measurement.target.endpoint).map(str::to_owned);
        }
        of.is_tunnel = matches!(measurement.target.endpoint, Endpoint::Vpn { .. });
        of.by_network.entry(NetworkKey::of_measurement(measurement)).or_default().push(point);
    }

    /// What all of it comes to.
    pub fn found(&mut self) -> Found {
        for (endpoint, of) in &mut self.endpoints {
            of.by_network.values_mut().for_each(|points| points.sort_by_key(|point| (point.at, point.id)));
            of.family = family(of, endpoint, &self.names);
        }
        let mut found = Found { countries: self.countries().len(), hours: self.hours(), ..Found::default() };
        let mut all = self.of_endpoints(&mut found);
        all.extend(self.of_networks(&mut found));
        let incidents = incident::incidents(all);
        found.events = incidents.iter().filter_map(|incident| tell::event(self, incident)).collect();
        found.unexplained = incidents.len() - found.events.len();
        found.events.sort_by(|a, b| (a.onset.latest, &a.id).cmp(&(b.onset.latest, &b.id)));
        found
    }

    /// Interference in networks and countries, and what fails by itself.
    fn of_endpoints(&self, found: &mut Found) -> Vec<Stretch<'_>> {
        let mut all = Vec::new();
        for (endpoint, of) in &self.endpoints {
            let asked = |said| Asked { endpoint: Some(endpoint), family: &of.family, said };
            let mut own = Vec::new();
            for pool in pools(of.by_network.iter()) {
                self.take(&pool, asked(Said::Interfered), &mut own, found);
            }
            let everywhere = in_time(of.by_network.iter());
            let mut failed = Vec::new();
            self.take(&everywhere, asked(Said::Failed), &mut failed, found);
            // Where somebody interferes, not every failure shows it.
            failed.retain(|failed| !own.iter().any(|blocked| overlap(blocked, failed)));
            all.extend(own);
            all.extend(failed);
        }
        all
    }

    /// Networks and countries that are cut off.
    fn of_networks(&self, found: &mut Found) -> Vec<Stretch<'_>> {
        let asked = Asked { endpoint: None, family: "", said: Said::CutOff };
        let networks: BTreeSet<&NetworkKey> = self.endpoints.values().flat_map(|of| of.by_network.keys()).collect();
        let mut all = Vec::new();
        for network in &networks {
            if network.asn.is_some() {
                self.take(&self.of_network(network), asked, &mut all, found);
            }
        }
        for country in self.countries() {
            let own = self.endpoints.values().flat_map(|of| of.by_network.iter());
            let pool = in_time(own.filter(|(network, _)| network.country == country));
            self.take(&pool, asked, &mut all, found);
        }
        all
    }

    fn countries(&self) -> BTreeSet<&str> {
        let networks = self.endpoints.values().flat_map(|of| of.by_network.keys());
        networks.map(|network| network.country.as_str()).filter(|country| !country.is_empty()).collect()
    }

    fn hours(&self) -> f64 {
        let ends = self
            .endpoints
            .values()
            .flat_map(|of| of.by_network.values())
            .filter_map(|points| points.first().zip(points.last()).map(|(first, last)| (first.at, last.at)));
        let span = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        span.map_or(0.0, |(from, to)| hours_between(from, to))
    }

    /// All that was measured in a network.
    fn of_network(&self, network: &NetworkKey) -> Vec<Placed<'_>> {
        in_time(self.endpoints.values().filter_map(|of| of.by_network.get_key_value(network)))
    }

    fn take<'a>(&self, pool: &[Placed<'a>], asked: Asked<'a>, into: &mut Vec<Stretch<'a>>, found: &mut Found) {
        let (own, held_back) = stretches(pool, asked, self.floor);
        found.held_back += held_back;
        into.extend(own);
    }
}

/// The service, where it is known by the endpoint; that of a tunnel by what most submitters call it, since lists of servers do not travel with
/// results; else the host, whatever the protocol.
fn family(of: &OfEndpoint, endpoint: &str, names: &Names) -> String {
    let host = || {
        let place = endpoint.split_once("://").map_or(endpoint, |(_, place)| place);
        let place = place.split(['/', '?']).next().unwrap_or(place);
        place.rsplit_once(':').map_or(place, |(host, _)| host).to_owned()
    };
    let called = || names.of(endpoint).split_once('/').map(|(service, _)| service.to_owned());
    of.service.clone().or_else(|| called().filter(|_| of.is_tunnel)).unwrap_or_else(host)
}

type Series<'a> = (&'a NetworkKey, &'a Vec<Point>);

/// Measurements of several series in the order of time.
fn in_time<'a>(series: impl Iterator<Item = Series<'a>>) -> Vec<Placed<'a>> {
    in_order(series.flat_map(|(network, points)| points.iter().map(move |point| (network, point))).collect())
}

/// The rungs: each network, and each country of several networks.
fn pools<'a>(series: impl Iterator<Item = Series<'a>> + Clone) -> Vec<Vec<Placed<'a>>> {
    let mut countries: BTreeMap<&str, Vec<Series<'a>>> = BTreeMap::new();
    for (network, points) in series.clone() {
        countries.entry(&network.country).or_default().push((network, points));
    }
    let several = countries.into_iter().filter(|(country, own)| !country.is_empty() && own.len() > 1);
    let each = series.map(|one| in_time(std::iter::once(one)));
    each.chain(several.map(|(_, own)| in_time(own.into_iter()))).collect()
}
