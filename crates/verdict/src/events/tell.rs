//! An incident as it is told: what, where, when, by whom, and what else could have done it.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::{MeasurementId, Timestamp, hex, named, sha256};
use serde::Serialize;

use super::Events;
use super::incident::{country, end, onset};
use super::series::{Placed, Point, SUSPECTS, Said, in_order};
use super::stretch::{Stretch, mechanisms};
use crate::context::{self, Hour, NetworkKey, Submitter, hour};
use crate::verdict::Cause;
use crate::words::counted;

/// Probabilities are not believed beyond this: what one measurement can say for or against a cause.
const LEAST: f64 = 0.001;
/// By so much the likeliest cause of failures must lead, in powers of ten, before they are laid to it.
const LEAD: f64 = 1.0;
/// Voices in different networks before failures are the target's own, or several networks' outage is a country's.
const VOICES: usize = 2;
/// Names that a sentence lists.
const LISTED: usize = 3;

named! {
    /// What happened.
    pub enum Kind {
        /// Targets are interfered with.
        Blocking = "blocking",
        /// Targets are slowed down.
        Throttling = "throttling",
        /// A network is cut off.
        Outage = "outage",
        /// Several networks of a country are cut off in the same hours.
        Shutdown = "shutdown",
        /// A target fails by itself.
        TargetOutage = "target_outage",
    }
}

/// When something began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Onset {
    /// The last time that all was well where it was first seen; `None` if it never was.
    pub earliest: Option<Timestamp>,
    /// The first time that it was not.
    pub latest: Timestamp,
}

/// When something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// The last time that it was seen.
    pub earliest: Timestamp,
    /// The first time that it was gone.
    pub latest: Timestamp,
}

/// What could have done it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hypothesis {
    /// A cause.
    pub name: &'static str,
    /// How well it explains what was measured: the logarithm of each submitter's probability of it in each hour, summed; the best is
    /// nearest to 0, and differences are odds.
    pub log10_likelihood: f64,
}

/// What was measured beside it in its hours: of targets, other targets in its networks; of networks, other networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Controls {
    /// Measurements of what worked.
    pub ok: usize,
    /// All that say something.
    pub total: usize,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Names it: the same for the same files.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// Names of targets; none where it is networks.
    pub targets: Vec<String>,
    /// Where, as far as it is known.
    pub networks: Vec<NetworkKey>,
    /// The country, if it is one.
    pub country: Option<String>,
    /// How, by the share of measurements that name it.
    pub mechanisms: Vec<String>,
    /// When it began.
    pub onset: Onset,
    /// When it was certain: the end of the hour in which so many had said so that it could be told.
    pub certain: Timestamp,
    /// When it ended; `None` where nobody has shown that.
    pub end: Option<Interval>,
    /// The last time that it was seen.
    pub last_seen: Timestamp,
    /// Whole hours from the first sight to the last in which nobody measured anything in its networks.
    pub silent_hours: usize,
    /// Who could have done it, the likeliest first.
    pub hypotheses: Vec<Hypothesis>,
    /// Measurements that say so.
    pub n_measurements: usize,
    /// Measurements in its time and place that do not.
    pub n_against: usize,
    /// Submitters who say so: at least so many probes.
    pub n_probes: usize,
    /// Networks, by number.
    pub n_networks: usize,
    /// What worked beside it.
    pub controls: Controls,
    /// A measurement that shows it: the first of the strongest.
    pub witness: MeasurementId,
    /// All of it in a sentence.
    pub text: String,
}

/// What kind of event it is; `None` where nobody knows who did it.
fn kind(said: Said, facts: &[Placed<'_>], hypotheses: &[Hypothesis]) -> Option<Kind> {
    // Those who say so and differ both in network and in submitter.
    let is_apart = || context::apart(facts.iter().map(|(network, point)| (*network, point.submitter))) >= VOICES;
    match said {
        Said::CutOff => Some(if is_apart() { Kind::Shutdown } else { Kind::Outage }),
        Said::Failed => {
            let lead = hypotheses[0].log10_likelihood - hypotheses[1].log10_likelihood;
            let is_targets = hypotheses[0].name == Cause::Target.name() && lead >= LEAD && is_apart();
            is_targets.then_some(Kind::TargetOutage)
        }
        Said::Interfered | Said::Worked => {
            let slowed =
                |placed: &&Placed<'_>| placed.1.mechanism.as_deref().is_some_and(|how| how.contains(".throttle"));
            let is_slowed = facts.iter().filter(slowed).count() * 2 > facts.len();
            Some(if is_slowed { Kind::Throttling } else { Kind::Blocking })
        }
    }
}

/// Measurements that say so, each once, in the order of time.
fn facts<'a>(incident: &[Stretch<'a>]) -> Vec<Placed<'a>> {
    let mut all = in_order(incident.iter().flat_map(|stretch| stretch.so.iter().copied()).collect());
    all.dedup_by_key(|(_, point)| point.id);
    all
}

/// The suspects, the likeliest first: each submitter has one voice an hour.
fn hypotheses(facts: &[Placed<'_>]) -> Vec<Hypothesis> {
    let mut voices: BTreeMap<(Hour, Submitter), ([f64; 3], f64)> = BTreeMap::new();
    for (_, point) in facts {
        let (sums, count) = voices.entry((point.hour(), point.submitter)).or_default();
        for (sum, likely) in sums.iter_mut().zip(point.likely) {
            *sum += f64::from(likely).clamp(LEAST, 1.0).log10();
        }
        *count += 1.0;
    }
    let total = |suspect: usize| voices.values().map(|(sums, count)| sums[suspect] / count).sum::<f64>();
    let mut all: Vec<Hypothesis> = (0..SUSPECTS.len())
        .map(|n| Hypothesis { name: SUSPECTS[n].name(), log10_likelihood: (total(n) * 100.0).round() / 100.0 + 0.0 })
        .collect();
    all.sort_by(|a, b| b.log10_likelihood.total_cmp(&a.log10_likelihood));
    all
}

/// The incident as an event; `None` where nobody knows who did it.
pub fn event(events: &Events, incident: &[Stretch<'_>]) -> Option<Event> {
    let facts = facts(incident);
    let hypotheses = hypotheses(&facts);
    let kind = kind(incident.first()?.asked.said, &facts, &hypotheses)?;
    let (earliest, latest) = onset(incident)?;
    let end = end(incident).map(|(earliest, latest)| Interval { earliest, latest });
    let last_seen = incident.iter().map(|stretch| stretch.last).max()?;
    let networks: BTreeSet<&NetworkKey> =
        incident.iter().flat_map(|stretch| stretch.networks.iter().copied()).collect();
    let endpoints: BTreeSet<&str> = incident.iter().filter_map(|stretch| stretch.asked.endpoint).collect();
    let targets: BTreeSet<String> = endpoints.iter().map(|endpoint| events.names.of(endpoint)).collect();
    let countries: BTreeSet<&str> =
        incident.iter().map(country).chain(networks.iter().map(|own| own.country.as_str())).collect();
    let country = countries.first().filter(|country| countries.len() == 1 && !country.is_empty());
    let beside = Beside::of(events, &endpoints, &networks, (latest, last_seen));
    let strongest = |placed: &&Placed<'_>| (!placed.1.is_settled, placed.1.at, placed.1.id);
    let mut event = Event {
        id: String::new(),
        kind,
        targets: targets.into_iter().collect(),
        country: country.map(|country| (*country).to_owned()),
        mechanisms: mechanisms(&facts).into_iter().map(str::to_owned).collect(),
        onset: Onset { earliest, latest },
        certain: incident.iter().map(|stretch| stretch.certain).min()?,
        end,
        last_seen,
        silent_hours: beside.silent_hours,
        hypotheses,
        n_measurements: facts.len(),
        n_against: incident.iter().map(|stretch| stretch.against).sum(),
        n_probes: facts.iter().map(|(_, point)| point.submitter).collect::<BTreeSet<_>>().len(),
        n_networks: networks.iter().filter_map(|network| network.asn).collect::<BTreeSet<_>>().len(),
        networks: networks.into_iter().cloned().collect(),
        controls: beside.controls,
        witness: facts.iter().min_by_key(strongest)?.1.id,
        text: String::new(),
    };
    event.id = id(&event);
    event.text = text(&event);
    Some(event)
}

/// What was measured besides, while it lasted.
#[derive(Default)]
struct Beside {
    controls: Controls,
    silent_hours: usize,
}

impl Beside {
    fn of(
        events: &Events,
        endpoints: &BTreeSet<&str>,
        networks: &BTreeSet<&NetworkKey>,
        (from, to): (Timestamp, Timestamp),
    ) -> Self {
        let mut beside = Self::default();
        let mut heard: BTreeSet<Hour> = BTreeSet::new();
        for (endpoint, of) in &events.endpoints {
            for (network, points) in &of.by_network {
                let after = points.partition_point(|point| point.at < from);
                let points = &points[after..points.partition_point(|point| point.at <= to)];
                let is_here = networks.contains(network);
                if is_here {
                    heard.extend(points.iter().map(Point::hour));
                }
                let is_control =
                    if endpoints.is_empty() { !is_here } else { is_here && !endpoints.contains(&**endpoint) };
                if is_control {
                    let judged = || points.iter().filter(|point| point.said != Said::CutOff || endpoints.is_empty());
                    beside.controls.ok += judged().filter(|point| point.said == Said::Worked).count();
                    beside.controls.total += judged().count();
                }
            }
        }
        // Hours that are heard lie between the two; how many lie there is told by a file, and not counted one by one.
        let all = hour(to).saturating_sub(hour(from)).saturating_add(1);
        beside.silent_hours = usize::try_from(all).unwrap_or(0).saturating_sub(heard.len());
        beside
    }
}

/// A name: the first sixteen digits of a SHA-256 over what, where and when.
fn id(event: &Event) -> String {
    let networks: Vec<String> = event.networks.iter().map(NetworkKey::words).collect();
    let text = format!("{} {:?} {networks:?} {}", event.kind, event.targets, event.onset.latest);
    hex(&sha256(text.as_bytes())[..8])
}

fn text(event: &Event) -> String {
    let networks = event.networks.iter().map(NetworkKey::words);
    let place = listed(&networks.collect::<Vec<_>>());
    let targets = listed(&event.targets);
    let how = event.mechanisms.first().map_or(String::new(), |how| format!(" ({how})"));
    let what = match event.kind {
        Kind::Blocking => format!("interference with {targets}{how} in {place}"),
        Kind::Throttling => format!("{targets} slowed down{how} in {place}"),
        Kind::Outage => format!("{place} cut off"),
        Kind::Shutdown => format!("several networks cut off together: {place}"),
        Kind::TargetOutage => format!("{targets} not working anywhere, seen from {place}"),
    };
    let began = match event.onset.earliest {
        Some(good) => format!("well at {}, first seen at {}", minute(good), minute(event.onset.latest)),
        None => format!("so since the first measurement at {}", minute(event.onset.latest)),
    };
    let ended = match event.end {
        Some(end) => format!("last seen at {}, gone at {}", minute(end.earliest), minute(end.latest)),
        None => format!("last seen at {}, and nobody has shown its end", minute(event.last_seen)),
    };
    let silent = match event.silent_hours {
        0 => String::new(),
        hours => format!("; in {} of them nobody measured there", counted(hours as u64, "hour")),
    };
    let Controls { ok, total } = event.controls;
    let besides = if event.targets.is_empty() { "in other networks" } else { "of other targets there" };
    format!(
        "{what}: {began}; {ended}{silent}; {} by {} in {} say so, {} there and then do not; {ok} of {total} {besides} worked",
        counted(event.n_measurements as u64, "measurement"),
        counted(event.n_probes as u64, "probe"),
        counted(event.n_networks as u64, "network"),
        event.n_against,
    )
}

fn minute(at: Timestamp) -> String {
    at.to_string().get(..16).unwrap_or_default().replace('T', " ")
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
