//! How well events are found, where it is known what happened (`analyzer generate --campaign`).
//!
//! An event that was told of and one that happened are the same where they are of one kind, of one place
//! and, where there are targets, of one target, and have some time in common.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use faultline_verdict::{Event, Found, Kind, hours_between};

use super::markdown::shown;
use super::share::{Share, float};
use crate::generate::Planted;

/// Hours of a week.
const WEEK_HOURS: f64 = 168.0;

/// The scores.
#[derive(Clone, Debug)]
pub struct EventScores {
    happened: usize,
    told: usize,
    /// Found, by kind.
    recall: Vec<(Kind, Share)>,
    /// Hours from the first moment to certainty, of those found, in order.
    latency: Vec<f64>,
    /// Told of, for those that were found.
    alerts: usize,
    /// The ids of those that nothing that happened answers to.
    false_alarms: Vec<String>,
    /// Whether the first moment lies in the interval that was told, and the last.
    onset: Share,
    end: Share,
    /// Countries times weeks of measuring.
    country_weeks: f64,
}

impl EventScores {
    /// Compares what was told with what happened.
    pub fn of(found: &Found, happened: &[Planted]) -> Self {
        let told = &found.events;
        let own = |planted: &Planted| told.iter().filter(|event| is_same(event, planted)).collect::<Vec<_>>();
        let pairs: Vec<(&Planted, Vec<&Event>)> = happened.iter().map(|planted| (planted, own(planted))).collect();
        let hits = || pairs.iter().filter(|(_, own)| !own.is_empty());
        let matched: BTreeSet<&str> = pairs.iter().flat_map(|(_, own)| own).map(|event| event.id.as_str()).collect();
        let recall = |kind: Kind| {
            let of_kind = pairs.iter().filter(move |(planted, _)| planted.kind == kind);
            (kind, Share::of(of_kind, |(_, own)| !own.is_empty()))
        };
        let mut latency: Vec<f64> = hits()
            .filter_map(|(planted, own)| {
                own.iter().map(|event| hours_between(planted.begin, event.certain)).min_by(f64::total_cmp)
            })
            .collect();
        latency.sort_by(f64::total_cmp);
        Self {
            happened: happened.len(),
            told: told.len(),
            recall: Kind::ALL.iter().map(|kind| recall(*kind)).filter(|(_, share)| share.n > 0).collect(),
            latency,
            alerts: matched.len(),
            false_alarms: told
                .iter()
                .map(|event| &event.id)
                .filter(|id| !matched.contains(id.as_str()))
                .cloned()
                .collect(),
            onset: Share::of(hits(), |(planted, own)| own.iter().any(|event| holds_onset(event, planted))),
            end: Share::of(hits(), |(planted, own)| own.iter().any(|event| holds_end(event, planted))),
            country_weeks: float(found.countries as u64) * found.hours / WEEK_HOURS,
        }
    }

    /// A page of Markdown.
    pub fn page(&self) -> String {
        let mut page = String::from("# Events found\n\n| figure | value |\n|---|---|\n");
        let all =
            self.recall.iter().fold(Share::default(), |sum, (_, own)| Share { k: sum.k + own.k, n: sum.n + own.n });
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(page, "| {name} | {value} |");
        };
        row("happened", self.happened.to_string());
        row("told of", self.told.to_string());
        row("found, of all", shown(all));
        for (kind, share) in &self.recall {
            row(&format!("found, of {kind}"), shown(*share));
        }
        row(
            "hours to certainty, median and most",
            format!("{}, {}", hours(self.median()), hours(self.latency.last().copied())),
        );
        let alerts = Share { k: self.alerts as u64, n: all.k };
        row(
            "told of, for one that was found",
            alerts.value().map_or_else(|| "-".to_owned(), |value| format!("{value:.2}")),
        );
        let weeks = self.country_weeks;
        row(
            "false alarms",
            format!("{} in {weeks:.1} country-weeks {}", self.false_alarms.len(), self.false_alarms.join(" ")),
        );
        row("first moment within the onset told", shown(self.onset));
        row("last moment within the end told", shown(self.end));
        page
    }

    fn median(&self) -> Option<f64> {
        self.latency.get(self.latency.len() / 2).copied()
    }
}

fn is_same(event: &Event, planted: &Planted) -> bool {
    let is_place = event.networks.iter().any(|network| network.asn.is_some_and(|asn| planted.networks.contains(&asn)));
    let is_target = planted.targets.is_empty() || event.targets.iter().any(|name| planted.targets.contains(name));
    event.kind == planted.kind
        && is_place
        && is_target
        && event.onset.latest < planted.end
        && event.last_seen >= planted.begin
}

fn holds_onset(event: &Event, planted: &Planted) -> bool {
    event.onset.earliest.is_none_or(|good| good < planted.begin) && planted.begin <= event.onset.latest
}

fn holds_end(event: &Event, planted: &Planted) -> bool {
    event.end.is_some_and(|end| end.earliest < planted.end && planted.end <= end.latest)
}

fn hours(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |hours| format!("{hours:.1}"))
}
