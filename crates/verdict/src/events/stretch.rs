//! Stretches of time in which something is said of an endpoint or a network, of one rung: a network, a country, or everywhere.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::Timestamp;

use super::course::{Course, Rates, Span, course};
use super::series::{Placed, Said, votes};
use crate::context::{Hour, NetworkKey, begin};

/// One measurement in so many that does not say so is a slip; more of them are what acts only now and then.
const PARTIAL: usize = 10;

/// Of what measurements are asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The endpoint; `None` where it is the network.
    pub endpoint: Option<&'a str>,
    /// The service, or the host: what endpoints of one target have in common.
    pub family: &'a str,
    /// What is asked: whether it is said so.
    pub said: Said,
}

impl Asked<'_> {
    fn rates(&self) -> Rates {
        match self.said {
            Said::CutOff => Rates::CUT_OFF,
            Said::Failed => Rates::FAILED,
            Said::Interfered | Said::Worked => Rates::INTERFERED,
        }
    }

    /// Whether a measurement answers: what is cut off says nothing of an endpoint.
    fn hears(&self, said: Said) -> bool {
        self.endpoint.is_none() || said != Said::CutOff
    }
}

/// One stretch.
#[derive(Clone, Debug)]
pub struct Stretch<'a> {
    /// What is said.
    pub asked: Asked<'a>,
    /// Where: the networks in which it is said at least half as often as in all that were asked.
    pub networks: BTreeSet<&'a NetworkKey>,
    /// The last time that it was not so there, if it ever was.
    pub good: Option<Timestamp>,
    /// The first time that it was so.
    pub first: Timestamp,
    /// When it was certain: the end of the hour whose votes settled it.
    pub certain: Timestamp,
    /// The last time that it was so.
    pub last: Timestamp,
    /// The first time after it that it was not so, where it has ended.
    pub over: Option<Timestamp>,
    /// The layer in which most of it shows.
    pub layer: &'a str,
    /// Measurements in its time and place that say so, and those that do not.
    pub so: Vec<Placed<'a>>,
    pub against: usize,
}

/// Mechanisms of those who say so, the most frequent first.
pub fn mechanisms<'a>(so: &[Placed<'a>]) -> Vec<&'a str> {
    let mut counts: BTreeMap<&'a str, usize> = BTreeMap::new();
    for mechanism in so.iter().filter_map(|(_, point)| point.mechanism.as_deref()) {
        *counts.entry(mechanism).or_default() += 1;
    }
    let mut all: Vec<(&'a str, usize)> = counts.into_iter().collect();
    all.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    all.into_iter().map(|(name, _)| name).collect()
}

/// The layer of a mechanism: addresses show in TCP, and QUIC is what is sent over UDP.
fn layer(mechanism: &str) -> &str {
    match mechanism.split('.').next().unwrap_or_default() {
        "ip" => "tcp",
        "udp" => "quic",
        layer => layer,
    }
}

/// The stretches of measurements, which are in the order of time; and how many are held back for want of submitters.
pub fn stretches<'a>(points: &[Placed<'a>], asked: Asked<'a>, floor: usize) -> (Vec<Stretch<'a>>, usize) {
    let heard: Vec<Placed<'a>> = points.iter().filter(|(_, point)| asked.hears(point.said)).copied().collect();
    let is_so = |said: Said| said == asked.said;
    if !heard.iter().any(|(_, point)| is_so(point.said)) {
        return (Vec::new(), 0);
    }
    let votes = votes(heard.iter().map(|(_, point)| *point), |point| is_so(point.said));
    let Course { spans, held_back } = course(&votes, asked.rates(), floor);
    (spans.iter().filter_map(|span| stretch(&heard, asked, span)).collect(), held_back)
}

fn stretch<'a>(heard: &[Placed<'a>], asked: Asked<'a>, span: &Span) -> Option<Stretch<'a>> {
    let is_so = |said: Said| said == asked.said;
    let inside =
        |placed: &&Placed<'a>| placed.1.hour() >= span.begin && span.end.is_none_or(|(end, _)| placed.1.hour() < end);
    let networks = most_say_so(heard.iter().filter(inside), is_so);
    let here: Vec<Placed<'a>> = heard.iter().filter(|(network, _)| networks.contains(network)).copied().collect();
    let so: Vec<Placed<'a>> = here.iter().filter(inside).filter(|(_, point)| is_so(point.said)).copied().collect();
    let (first, last) = (so.first()?.1.at, so.last()?.1.at);
    let against = here.iter().filter(inside).count() - so.len();
    // What acts now and then leaves good measurements in between, which say nothing of when it began or ended: then hours do.
    let is_whole = against * PARTIAL <= so.len();
    let well = || here.iter().filter(|(_, point)| !is_so(point.said)).map(|(_, point)| point.at);
    let from = if is_whole { first } else { begin(span.begin) };
    let over = |(_, certain): (_, Hour)| if is_whole { well().find(|at| *at > last) } else { Some(begin(certain + 1)) };
    Some(Stretch {
        asked,
        good: well().rfind(|at| *at < from),
        over: span.end.and_then(over),
        against,
        networks,
        certain: begin(span.shown + 1),
        layer: mechanisms(&so).first().map_or("", |mechanism| layer(mechanism)),
        first,
        last,
        so,
    })
}

/// Networks in which it is said at least half as often as in all of them together.
fn most_say_so<'a, 'p>(
    points: impl Iterator<Item = &'p Placed<'a>>,
    is_so: impl Fn(Said) -> bool,
) -> BTreeSet<&'a NetworkKey>
where
    'a: 'p,
{
    let mut counts: BTreeMap<&NetworkKey, (usize, usize)> = BTreeMap::new();
    for (network, point) in points {
        let (so, of) = counts.entry(network).or_default();
        (*so, *of) = (*so + usize::from(is_so(point.said)), *of + 1);
    }
    let (all_so, all) = counts.values().fold((0, 0), |(so, of), own| (so + own.0, of + own.1));
    counts.into_iter().filter(|(_, (so, of))| 2 * so * all >= all_so * of).map(|(network, _)| network).collect()
}
