//! Texts of feeds, read: IODA's and Cloudflare Radar's JSON, and tables of dated numbers or of events, as CSV or as JSON rows.
//!
//! Sources: IODA's API v2 (`/v2/signals/raw`, `/v2/outages/events`, `/v2/outages/alerts`) and the CSV of its dashboard; Cloudflare Radar's API
//! (`radar/annotations/outages`, `radar/traffic_anomalies`, time series). A text has no place of its own where its publisher's page has it: the
//! user gives it then.

mod json;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::foreign::{Oddities, Refusal};
use crate::model::{Announcement, Feed, Place, Point, Series, SeriesKind, Timestamp};

/// What a text does not say of itself, as the user gives it. What is given wins over what is found.
#[derive(Clone, Debug)]
pub struct Hints {
    /// What its series are.
    pub kind: SeriesKind,
    /// Whose it is.
    pub source: Option<String>,
    /// Where it is of.
    pub place: Place,
    /// What its values count.
    pub unit: Option<String>,
}

/// A feed, and what was odd about its text.
#[derive(Clone, Debug, Default)]
pub struct FeedRead {
    /// What it says.
    pub feed: Feed,
    /// What was odd.
    pub oddities: Oddities,
}

/// Reads the text of a whole feed.
pub fn read(text: &[u8], hints: &Hints) -> Result<FeedRead, Refusal> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut taking = Taking::new(hints);
    let result = match text.as_bytes().first() {
        None => Err("there is nothing in it".to_owned()),
        Some(b'{' | b'[') => json::read(text, &mut taking),
        Some(_) => table::read(text, &mut taking),
    };
    result.map_err(Refusal)?;
    taking.finish().map_err(Refusal)
}

/// A feed in the making.
struct Taking<'h> {
    hints: &'h Hints,
    series: BTreeMap<Series, BTreeMap<Timestamp, (f64, Option<f64>)>>,
    announcements: Vec<Announcement>,
    odd: Oddities,
}

impl<'h> Taking<'h> {
    fn new(hints: &'h Hints) -> Self {
        Self { hints, series: BTreeMap::new(), announcements: Vec::new(), odd: Oddities::default() }
    }

    /// The place that was given, completed by the one that was found.
    fn place(&self, found: Place) -> Result<Place, String> {
        let given = &self.hints.place;
        let place = Place {
            country: given.country.clone().or(found.country),
            region: given.region.clone().or(found.region),
            asn: given.asn.or(found.asn),
        };
        if place.is_nowhere() {
            return Err("it does not say where it is of; give --country, --region or --asn".into());
        }
        Ok(place)
    }

    /// The source that was given, or the one that was recognised.
    fn source(&self, found: Option<&str>) -> Result<String, String> {
        let source = self.hints.source.clone().or_else(|| found.map(str::to_owned));
        source.ok_or_else(|| "it does not say who publishes it; give --source".into())
    }

    /// Takes a value; one that is not finite is odd.
    fn point(&mut self, series: &Series, point: Point) {
        if !point.value.is_finite() || point.baseline.is_some_and(|baseline| !baseline.is_finite()) {
            self.odd.note("value that is no number", &point.value.to_string());
            return;
        }
        let points = if let Some(points) = self.series.get_mut(series) {
            points
        } else {
            self.series.entry(series.clone()).or_default()
        };
        let told = (point.value, point.baseline);
        if points.insert(point.at, told).is_some_and(|before| before != told) {
            self.odd.note("two values of one moment, of which the last was taken", &point.at.to_string());
        }
    }

    fn finish(self) -> Result<FeedRead, String> {
        let told = |(at, (value, baseline))| Point { at, value, baseline };
        let series = self.series.into_iter().map(|(series, points)| (series, points.into_iter().map(told).collect()));
        let feed = Feed { series: series.collect(), announcements: self.announcements };
        if feed.series.is_empty() && feed.announcements.is_empty() {
            return Err("neither a dated number nor an event was found in it".into());
        }
        Ok(FeedRead { feed, oddities: self.odd })
    }
}

/// A time as feeds write it: RFC 3339, without a zone (UTC), a day, or seconds or milliseconds since 1970.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() >= 9 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return Some(Timestamp::from_millisecond(if number < 100_000_000_000 { number * 1_000 } else { number }));
    }
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp);
    }
    let bare = text.trim_end_matches("UTC").trim_end_matches('Z').trim_end().replacen(' ', "T", 1);
    let civil = bare.parse::<DateTime>().ok().or_else(|| Some(bare.parse::<Date>().ok()?.at(0, 0, 0, 0)))?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| Timestamp::from_millisecond(zoned.timestamp().as_millisecond()))
}

/// A two-letter code of a country.
fn country(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

/// The number of an autonomous system, with or without `AS` before it.
fn asn(text: &str) -> Option<u32> {
    text.trim().trim_start_matches(['A', 'S', 'a', 's']).parse().ok().filter(|&number| number != 0)
}

/// What a heading says is counted, and in which unit: `BGP (#Visible /24s)`.
fn signal_and_unit(heading: &str) -> (String, Option<String>) {
    let heading = heading.trim();
    match heading.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        Some((signal, unit)) if !signal.trim().is_empty() => (signal.trim().to_owned(), Some(unit.trim().to_owned())),
        _ => (heading.to_owned(), None),
    }
}
