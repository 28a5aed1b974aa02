//! What others publish of a place, beside measurements: outages that are announced, signals of connectivity, and demand.
//!
//! A feed speaks of a network or a country and never of a target: it can say that everything there was in trouble, and nothing else.
//! What it does not say is said by its silence neither. Rows of feeds stand in files that anybody can write, so that they count by
//! source and submitter, as measurements do by network and submitter.

mod course;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use faultline_record::{Announcement, Place, Point, Series, SeriesKind, Timestamp, sha256};
use serde::Serialize;

use super::ControlState;
use super::independent::{Submitter, Vantage, WANTED, independent};
use super::key::{HOUR_MS, Hour, Interned, NetworkKey, hour};
use course::Course;

/// How far the times of an announcement may be off: a round of IODA's active probing (ten minutes; Trinocular's are eleven).
const SLACK_MS: i64 = 660_000;
/// How long an announcement without an end is taken to hold: a day. An alert, which tells a moment, holds an hour.
const OPEN_MS: i64 = DAY_MS;
const ALERT_MS: i64 = HOUR_MS;
/// Days of an announcement that are looked at: longer ones end there.
const DAYS: i64 = 62;
/// Announcements that one teller has on one day of one place, and series in one place: nobody asks for more, and a flood of them costs
/// only whoever made it. Those that come first in their own order are kept, whatever the order of reading.
const KEPT: usize = 256;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Hours of a stretch that are looked at.
const HOURS: i64 = 31 * 24;

/// Who brings a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Teller {
    /// Who handed its rows in.
    pub submitter: Submitter,
    /// Whether whoever runs the analysis imported it himself, and so knows that its source says so.
    pub is_vouched: bool,
}

/// What one source says of a place and a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeedWord {
    /// Who publishes it.
    pub source: String,
    /// `agrees`: it tells of an outage; `disagrees`: it shows the place as usual; `absent`: it cannot tell.
    pub state: ControlState,
    /// How old it is, hours: since an announced outage began, or since the value was taken.
    pub age_hours: i64,
    /// What it says, in words.
    pub text: String,
    /// Whether it is about what is wanted, and not about connectivity.
    pub is_demand: bool,
    /// Who brings it.
    #[serde(skip)]
    pub teller: Teller,
}

/// Where feeds are of, as far as a measurement can be there.
type Where = (Option<String>, Option<u32>);

/// What was announced, by whoever brought it.
type ByTeller = BTreeMap<Teller, BTreeSet<Arc<Announced>>>;

/// What feeds say.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    sources: Interned<String>,
    /// By place and day.
    announced: HashMap<(Where, i64), ByTeller>,
    courses: HashMap<Where, BTreeMap<Teller, BTreeMap<Series, Course>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Announced {
    from: i64,
    to: i64,
    source: String,
    text: String,
    /// Of a part of the place only: a region, in which the vantage may be or not.
    is_part: bool,
    teller: Teller,
}

impl Feeds {
    /// Adds what somebody announces; `false` if it is of no use: that a signal is as usual again, or no place.
    pub fn announce(&mut self, one: &Announcement, teller: Teller) -> bool {
        let is_over = one.kind == "alert" && one.words.as_deref().is_some_and(|words| words.contains(" normal"));
        let Some(at) = place(&one.place).filter(|_| !is_over) else { return false };
        let from = one.from.as_millisecond();
        let open = if one.kind == "alert" { ALERT_MS } else { OPEN_MS };
        let to = one.to.map_or(from.saturating_add(open), Timestamp::as_millisecond);
        let to = to.clamp(from, from.saturating_add(DAYS * DAY_MS));
        self.sources.number(&one.source);
        let row = Announced {
            from: from.saturating_sub(SLACK_MS),
            to: to.saturating_add(SLACK_MS),
            source: one.source.clone(),
            text: words(one),
            is_part: one.place.region.is_some(),
            teller,
        };
        let row = Arc::new(row);
        for day in row.from.div_euclid(DAY_MS)..=row.to.div_euclid(DAY_MS) {
            let own = self.announced.entry((at.clone(), day)).or_default().entry(teller).or_default();
            own.insert(Arc::clone(&row));
            if own.len() > KEPT {
                own.pop_last();
            }
        }
        true
    }

    /// Adds a series; `false` if it is of no use, being of a part of a country.
    pub fn measure(&mut self, of: &Series, points: &[Point], teller: Teller) -> bool {
        let Some(at) = place(&of.place).filter(|_| of.place.region.is_none() && !points.is_empty()) else {
            return false;
        };
        self.sources.number(&of.source);
        let own = self.courses.entry(at).or_default().entry(teller).or_default();
        own.insert(of.clone(), Course::new(of, points, teller));
        if own.len() > KEPT {
            own.pop_last();
        }
        true
    }

    /// What sources say of a network (or, without a number, of a country) from one moment to another.
    pub fn words(&self, network: &NetworkKey, from: Timestamp, to: Timestamp) -> Vec<FeedWord> {
        let mut words = Vec::new();
        if self.announced.is_empty() && self.courses.is_empty() {
            return words;
        }
        for at in places(network) {
            self.announced(&at, from.as_millisecond(), to.as_millisecond(), &mut words);
            for courses in self.courses.get(&at).into_iter().flat_map(BTreeMap::values) {
                words.extend(told(courses, hour(from), hour(to)));
            }
        }
        words.sort_by(|a, b| (a.is_demand, &a.source, &a.text).cmp(&(b.is_demand, &b.source, &b.text)));
        words.dedup_by(|a, b| a.source == b.source && a.text == b.text && a.teller == b.teller);
        words
    }

    fn announced(&self, at: &Where, from: i64, to: i64, words: &mut Vec<FeedWord>) {
        let last = to.div_euclid(DAY_MS).min(from.div_euclid(DAY_MS) + HOURS / 24);
        let rows = (from.div_euclid(DAY_MS)..=last).filter_map(|day| self.announced.get(&(at.clone(), day)));
        for row in rows.flat_map(BTreeMap::values).flatten().filter(|row| row.from <= to && row.to >= from) {
            let state = if row.is_part { ControlState::Absent } else { ControlState::Agrees };
            let age_hours = (from - row.from - SLACK_MS).max(0) / HOUR_MS;
            let (source, text, teller) = (row.source.clone(), row.text.clone(), row.teller);
            words.push(FeedWord { source, state, age_hours, text, is_demand: false, teller });
        }
    }

    /// Whether enough of them say the same for it to be believed: two that differ in source and in submitter, or one that whoever runs
    /// the analysis vouches for.
    pub fn are_believed(&self, words: &[&FeedWord]) -> bool {
        let number =
            |word: &&FeedWord| Vantage { network: self.sources.find(&word.source), submitter: word.teller.submitter };
        words.iter().any(|word| word.teller.is_vouched) || independent(words.iter().map(number)) >= WANTED
    }
}

/// What the signals of one teller say of the first hour of a stretch in which one of them tells of an outage, else of its first.
fn told(courses: &BTreeMap<Series, Course>, first: Hour, last: Hour) -> Vec<FeedWord> {
    let of_hour = |at| borne_out(courses.values().filter_map(|course| course.word(at)).collect());
    let is_outage = |words: &Vec<FeedWord>| words.iter().any(|word| word.state == ControlState::Agrees);
    let mut hours = (first..=last.min(first + HOURS)).map(of_hour).filter(|words| !words.is_empty());
    let at_first = hours.next().unwrap_or_default();
    if is_outage(&at_first) { at_first } else { hours.find(is_outage).unwrap_or(at_first) }
}

/// The same words; where a source has several signals of a place, one that fell alone tells nothing (science table row 34: two of three).
fn borne_out(mut words: Vec<FeedWord>) -> Vec<FeedWord> {
    let mut signals: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for word in words.iter().filter(|word| !word.is_demand) {
        let (all, fell) = signals.entry(word.source.clone()).or_default();
        (*all, *fell) = (*all + 1, *fell + usize::from(word.state == ControlState::Agrees));
    }
    for word in words.iter_mut().filter(|word| word.state == ControlState::Agrees) {
        if let Some((all @ 2.., 1)) = signals.get(&word.source) {
            word.state = ControlState::Absent;
            word.text = format!("{}, alone of {all} signals", word.text);
        }
    }
    words
}

/// What names a row of a feed whatever the order: the first half of a SHA-256.
pub fn hash(row: &impl std::fmt::Debug, teller: Teller) -> [u8; 32] {
    sha256(format!("{row:?} {} {}", teller.submitter.0, teller.is_vouched).as_bytes())
}

fn place(place: &Place) -> Option<Where> {
    let country = place.country.as_deref().map(str::to_ascii_uppercase);
    (country.is_some() || place.asn.is_some()).then_some((country, place.asn))
}

/// The places a vantage is in: its network, and its country.
fn places(network: &NetworkKey) -> impl Iterator<Item = Where> {
    let country = Some(network.country.clone()).filter(|code| !code.is_empty());
    let own = network.asn.map(|asn| [(country.clone(), Some(asn)), (None, Some(asn))]);
    let whole = country.map(|code| (Some(code), None));
    let mut all: Vec<Where> = own.into_iter().flatten().chain(whole).collect();
    all.dedup();
    all.into_iter()
}

fn words(one: &Announcement) -> String {
    let end = one.to.map_or_else(|| "no end told".to_owned(), |to| to.to_string());
    let what = format!("{} of {} from {} to {end}", one.kind, place_words(&one.place), one.from);
    let told = [Some(what.as_str()), one.cause.as_deref(), one.words.as_deref()].into_iter().flatten();
    crate::words::clean(&told.collect::<Vec<_>>().join(", "))
}

/// A place in words: `AS17557 (PK)`.
fn place_words(place: &Place) -> String {
    let network = place.asn.map(|asn| format!("AS{asn}"));
    let land = [place.region.clone(), place.country.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let words = match (network, land.is_empty()) {
        (Some(network), true) => network,
        (Some(network), false) => format!("{network} ({land})"),
        (None, _) => land,
    };
    crate::words::clean(&words)
}

/// Whether a series is about connectivity.
fn is_demand(series: &Series) -> bool {
    series.kind == SeriesKind::Demand
}
