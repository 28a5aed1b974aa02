//! Cells: verdicts on single measurements brought together, rung by rung, without ever averaging them.
//!
//! A cell is a target, a network and a stretch of time, and for names a resolver; a country is made of its networks. Counts are kept
//! by submitter, so that a probe that measures a thousand times is one voice; nothing is kept by measurement but one witness.

mod beta;
mod names;
mod profile;
mod resolvers;
mod services;
mod shrink;
mod voice;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use faultline_record::{Endpoint, Measurement, Timestamp, named};
use serde::Serialize;

use crate::context::{Context, Hour, NetworkKey, Place, Submitter, begin, endpoint_key, hour};
use crate::service::Services;
use crate::table::Table;
use crate::verdict::{Cause, Verdict};

pub use profile::{Counts, Existence, Profile};
pub use resolvers::{Answered, resolvers};
pub use shrink::Prevalence;

pub(crate) use names::{Names, Words};
pub(crate) use shrink::effective;

use profile::Panel;
use services::ByService;
use shrink::{Prior, Weighed, prior, strength};
use voice::{Said, Voice};

named! {
    /// What measurements are brought together by, beside target and time.
    pub enum Rung {
        /// The network.
        Network = "network",
        /// The network and the resolver, of what was said of the target's name.
        Resolver = "resolver",
        /// The network, and a service with all its endpoints, joined by `any_of` and `all_of`.
        Service = "service",
        /// The country.
        Country = "country",
        /// The country, and a service with all its endpoints: each submitter's word on it first, then all networks.
        ServiceCountry = "service-country",
    }
}

impl Rung {
    /// Whether cells are of services and not of endpoints.
    pub fn is_of_services(self) -> bool {
        matches!(self, Self::Service | Self::ServiceCountry)
    }

    /// Whether a cell goes across the networks of a country.
    pub fn is_across(self) -> bool {
        matches!(self, Self::Country | Self::ServiceCountry)
    }
}

/// How cells are made.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// By what.
    pub rung: Rung,
    /// Length of a cell, hours, at least 1.
    pub hours: i64,
    /// Independent submitters below which nothing is stated.
    pub floor: usize,
}

/// Which cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    endpoint: Arc<str>,
    country: Arc<str>,
    network: Option<(Option<u32>, bool)>,
    resolver: Option<Arc<str>>,
    begin: Hour,
}

/// One cell, as it is printed.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The target's name, as most submitters give it; where cells are of services, the service's id.
    pub target: String,
    /// The endpoint; left out for services, and for tunnels, whose addresses are nobody's business.
    pub endpoint: Option<String>,
    /// ISO 3166-1 alpha-2; empty if not known.
    pub country: String,
    /// Autonomous system number, where cells are of networks.
    pub asn: Option<u32>,
    /// Whether the network is a mobile one, where cells are of networks.
    pub mobile: Option<bool>,
    /// The resolver, where cells are of resolvers.
    pub resolver: Option<String>,
    /// Its first moment.
    pub begin: Timestamp,
    /// Its length, hours.
    pub hours: i64,
    /// What holds.
    #[serde(flatten)]
    pub profile: Profile,
}

/// The voices of a cell, by network and submitter.
type Voices = BTreeMap<(NetworkKey, Submitter), Voice>;

/// Cells in the making.
#[derive(Debug)]
pub struct Cells {
    grid: Grid,
    words: Words,
    voices: BTreeMap<Key, Voices>,
    services: ByService,
    names: Names,
}

impl Cells {
    /// None yet.
    pub fn new(grid: Grid) -> Self {
        Self::of_services(grid, Services::default())
    }

    /// None yet; and which endpoints make which service.
    pub fn of_services(grid: Grid, known: Services) -> Self {
        let services = ByService { known, seen: BTreeMap::new() };
        Self { grid, words: Words::default(), voices: BTreeMap::new(), services, names: Names::default() }
    }

    /// Adds a measurement with its verdict. Each measurement is added once; the caller sees to that.
    pub fn add(&mut self, measurement: &Measurement, verdict: &Verdict, place: Place<'_>, context: Option<&Context>) {
        if self.grid.rung.is_of_services() {
            return self.add_to_service(measurement, verdict, place);
        }
        let Some(endpoint) = endpoint_key(&measurement.target.endpoint) else { return };
        let endpoint = self.words.keep(&endpoint);
        self.names.add(&mut self.words, &endpoint, &measurement.target, place.submitter);
        let said = Said {
            measurement: measurement.id,
            run: measurement.run,
            state: verdict.state,
            cause: verdict.cause,
            mechanisms: verdict.mechanisms.iter().map(|mechanism| self.words.keep(mechanism)).collect(),
        };
        if self.grid.rung != Rung::Resolver {
            return self.put(&endpoint, measurement, place, None, &said);
        }
        for answered in resolvers(measurement, verdict, context) {
            let mechanisms = answered.mechanism.iter().map(|mechanism| self.words.keep(mechanism)).collect();
            let cause = if answered.mechanism.is_some() { Cause::Interference } else { Cause::Unknown };
            let said = Said { state: answered.state, cause, mechanisms, ..said.clone() };
            let resolver = self.words.keep(&answered.resolver);
            self.put(&endpoint, measurement, place, Some(resolver), &said);
        }
    }

    fn put(
        &mut self,
        endpoint: &Arc<str>,
        measurement: &Measurement,
        place: Place<'_>,
        resolver: Option<Arc<str>>,
        said: &Said,
    ) {
        let (key, network) = self.key(endpoint, measurement, place.began, resolver);
        self.voices.entry(key).or_default().entry((network, place.submitter)).or_default().add(said);
    }

    fn add_to_service(&mut self, measurement: &Measurement, verdict: &Verdict, place: Place<'_>) {
        let placed = self.services.known.place(&measurement.target);
        let Some(id) = placed.map(|placed| placed.service.to_owned()) else { return };
        let id = self.words.keep(&id);
        let (key, network) = self.key(&id, measurement, place.began, None);
        self.services.add(key, (network, place.submitter), measurement, verdict);
    }

    fn key(
        &mut self,
        endpoint: &Arc<str>,
        of: &Measurement,
        began: Timestamp,
        resolver: Option<Arc<str>>,
    ) -> (Key, NetworkKey) {
        let network = NetworkKey::of(&of.network);
        let hours = self.grid.hours.max(1);
        let key = Key {
            endpoint: Arc::clone(endpoint),
            country: self.words.keep(&network.country),
            network: (!self.grid.rung.is_across()).then_some((network.asn, network.is_mobile)),
            resolver,
            begin: hour(began).div_euclid(hours) * hours,
        };
        (key, network)
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.voices.len() + self.services.seen.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every cell, by endpoint, country, network, resolver and time.
    pub fn profiles<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = Cell> + 'a {
        let weighed = |(key, voices): (&'a Key, Cow<'a, Voices>)| (&*key.endpoint, self.panel(&voices).weighed());
        let like = Like::of(self.all().map(weighed), table);
        self.all().map(move |(key, voices)| {
            let panel = self.panel(&voices);
            let prior = like.prior(&key.endpoint, panel.weighed());
            self.cell(key, panel.profile(self.grid.floor, prior))
        })
    }

    /// Every cell's voices: those of endpoints as they were added, those of services as they are judged now.
    fn all(&self) -> impl Iterator<Item = (&Key, Cow<'_, Voices>)> {
        let of_endpoints = self.voices.iter().map(|(key, voices)| (key, Cow::Borrowed(voices)));
        of_endpoints.chain(self.services.voices().map(|(key, voices)| (key, Cow::Owned(voices))))
    }

    fn panel<'a>(&self, voices: &'a Voices) -> Panel<'a> {
        let spoken = voices.iter().map(|((network, submitter), voice)| (network, *submitter, voice));
        Panel::of(spoken.collect(), self.grid.rung.is_across())
    }

    fn cell(&self, key: &Key, profile: Profile) -> Cell {
        let is_tunnel = Endpoint::parse(&key.endpoint).is_ok_and(|endpoint| matches!(endpoint, Endpoint::Vpn { .. }));
        let is_service = self.grid.rung.is_of_services();
        Cell {
            target: if is_service { key.endpoint.to_string() } else { self.names.of(&key.endpoint) },
            endpoint: (!is_tunnel && !is_service).then(|| key.endpoint.to_string()),
            country: key.country.to_string(),
            asn: key.network.and_then(|(asn, _)| asn),
            mobile: key.network.map(|(_, is_mobile)| is_mobile),
            resolver: key.resolver.as_deref().map(str::to_owned),
            begin: begin(key.begin),
            hours: self.grid.hours.max(1),
            profile,
        }
    }
}

/// What cells are drawn to: the same endpoint elsewhere and at other times; else everything; else the table's prevalence.
struct Like<'a> {
    by_endpoint: BTreeMap<&'a str, Weighed>,
    all: Weighed,
    strength: f64,
    table: &'a Table,
}

impl<'a> Like<'a> {
    fn of(cells: impl Iterator<Item = (&'a str, Weighed)>, table: &'a Table) -> Self {
        let (mut by_endpoint, mut each) = (BTreeMap::<&str, Weighed>::new(), Vec::new());
        for (endpoint, weighed) in cells {
            let sum = by_endpoint.entry(endpoint).or_default();
            *sum = sum.and(weighed);
            each.push(weighed);
        }
        let all = each.iter().fold(Weighed::default(), |sum, cell| sum.and(*cell));
        Self { by_endpoint, all, strength: strength(&each), table }
    }

    fn prior(&self, endpoint: &str, own: Weighed) -> Prior {
        let rest = self.by_endpoint.get(endpoint).map_or(Weighed::default(), |sum| sum.without(own));
        let of_everything = prior(self.all.without(own), self.table.prior.blocked, self.strength).mean;
        prior(rest, of_everything, self.strength)
    }
}
