//! What others publish of a place: series of numbers, and what they announce as outages. Facts about who said what; never measured here.

use super::time::Timestamp;
use crate::names::named;

named! {
    /// What kind of series somebody publishes.
    pub enum SeriesKind {
        /// How connected a place is: routes, addresses that answer, traffic.
        Connectivity = "connectivity",
        /// How much something is wanted: sign-ups, searches, downloads.
        Demand = "demand",
    }
}

/// Where a series or an event is of. Everything empty is nowhere: such a feed is of no use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// ISO 3166-1 alpha-2 code in upper case.
    pub country: Option<String>,
    /// Part of the country, in the source's own words.
    pub region: Option<String>,
    /// Autonomous system number.
    pub asn: Option<u32>,
}

impl Place {
    /// Whether it names nothing.
    pub fn is_nowhere(&self) -> bool {
        *self == Self::default()
    }
}

/// What a series is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// Its kind.
    pub kind: SeriesKind,
    /// Who publishes it.
    pub source: String,
    /// What its values are of, in the source's own words.
    pub signal: String,
    /// What a value counts, if the source says so.
    pub unit: Option<String>,
    /// Milliseconds from one value to the next, if they come regularly.
    pub step_ms: Option<i64>,
    /// Where.
    pub place: Place,
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Beginning of the interval.
    pub at: Timestamp,
    /// The value: finite.
    pub value: f64,
    /// What the source itself compares it with: finite.
    pub baseline: Option<f64>,
}

/// What somebody announces.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// Who.
    pub source: String,
    /// What it is called there.
    pub kind: String,
    /// Where.
    pub place: Place,
    /// When it began.
    pub from: Timestamp,
    /// When it ended, if it had and somebody said so.
    pub to: Option<Timestamp>,
    /// The cause that the source names.
    pub cause: Option<String>,
    /// The source's own measure of how grave it is.
    pub score: Option<f64>,
    /// What else it says.
    pub words: Option<String>,
}

/// What an import of a feed gives: series with values, and announcements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feed {
    /// Values by series.
    pub series: Vec<(Series, Vec<Point>)>,
    /// Announcements.
    pub announcements: Vec<Announcement>,
}

/// A series as a file holds it, with what its values span.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSummary {
    /// The key of its content.
    pub id: [u8; 16],
    /// What it is of.
    pub series: Series,
    /// How many values there are.
    pub points: u64,
    /// The first value's time.
    pub first: Option<Timestamp>,
    /// The last value's time.
    pub last: Option<Timestamp>,
    /// The smallest value.
    pub least: Option<f64>,
    /// The largest value.
    pub most: Option<f64>,
}

/// What came of storing feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Values and announcements that were given.
    pub found: u64,
    /// Of those, the ones that were new.
    pub added: u64,
    /// Of those, values of a moment of which another value is there, which stays.
    pub conflicting: u64,
}
