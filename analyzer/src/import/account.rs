//! What came of an import: what was taken, what was odd, what was refused and why.

use std::collections::BTreeMap;
use std::time::Duration;

use faultline_record::foreign::Oddities;
use faultline_record::{Feed, Import, Stored};
use faultline_verdict::words::{clean, counted};
use serde::Serialize;

/// Refusals that are listed; more are counted.
const LISTED: usize = 50;

/// The account of an import.
#[derive(Debug, Default, Serialize)]
pub struct Account {
    schema: &'static str,
    /// What was imported.
    pub format: &'static str,
    /// Measurements of the other tool's that were taken.
    pub read: u64,
    /// Ours that were made of them.
    pub made: u64,
    /// Of those, the ones that were not there before.
    pub new: u64,
    /// By test.
    pub tests: BTreeMap<String, Taken>,
    /// Of feeds: what was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feeds: Option<Feeds>,
    /// Records that are no measurements and stand beside them, by what they are.
    pub passed_over: BTreeMap<&'static str, u64>,
    /// Texts that were not kept, since they tell an address of the vantage.
    pub not_kept: u64,
    /// What was odd.
    pub odd: Oddities,
    /// What was refused: place and reason of the first ones.
    pub refused: Vec<Refused>,
    /// How much was refused in all.
    pub refused_in_all: u64,
    /// Bytes of text that were read, unpacked.
    pub bytes: u64,
    /// How long it took, seconds.
    pub seconds: f64,
}

/// What was taken of one test.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Measurements of the other tool's.
    pub read: u64,
    /// Ours that were made of them.
    pub made: u64,
    /// Rows of those.
    pub rows: u64,
    /// Those of theirs that gave no rows: there is nothing to judge.
    pub nothing_to_judge: u64,
}

/// What was taken of feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Feeds {
    /// Series that they told of.
    pub series: u64,
    /// Values of those, and announcements.
    pub found: u64,
    /// Of those, announcements.
    pub announcements: u64,
    /// Of all, the ones that were not there before.
    pub new: u64,
    /// Values of a moment of which another value was there, which stayed.
    pub conflicting: u64,
}

/// Something that was not taken.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The input.
    pub input: String,
    /// The line on which it begins, where there are lines.
    pub line: Option<u64>,
    /// Why.
    pub reason: String,
}

impl Account {
    /// An empty one.
    pub fn new(format: &'static str) -> Self {
        Self { schema: "faultline/import/1", format, ..Self::default() }
    }

    /// Notes a feed that was stored.
    pub fn took_feed(&mut self, feed: &Feed, stored: Stored) {
        let feeds = self.feeds.get_or_insert_default();
        feeds.series += feed.series.len() as u64;
        feeds.announcements += feed.announcements.len() as u64;
        feeds.found += stored.found;
        feeds.new += stored.added;
        feeds.conflicting += stored.conflicting;
        self.read += 1;
        self.made += stored.found;
        self.new += stored.added;
    }

    /// Notes a record that is no measurement.
    pub fn pass_over(&mut self, what: &'static str) {
        *self.passed_over.entry(what).or_default() += 1;
    }

    /// Notes a measurement that was read.
    pub fn took(&mut self, import: &Import) {
        let rows: usize = import.measurements.iter().map(|measurement| measurement.observations.len()).sum();
        let taken = self.tests.entry(import.origin.test_name.clone()).or_default();
        taken.read += 1;
        taken.made += import.measurements.len() as u64;
        taken.rows += rows as u64;
        taken.nothing_to_judge += u64::from(rows == 0);
        self.read += 1;
        self.made += import.measurements.len() as u64;
    }

    /// Notes something that was refused.
    pub fn refuse(&mut self, input: &str, line: Option<u64>, reason: &str) {
        self.refused_in_all += 1;
        if self.refused.len() < LISTED {
            self.refused.push(Refused { input: input.to_owned(), line, reason: reason.to_owned() });
        }
    }

    /// Notes how long it took.
    pub fn took_time(&mut self, elapsed: Duration) {
        self.seconds = elapsed.as_secs_f64();
    }

    /// The account for a person.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.tests.is_empty() {
            text += "taken:\n";
            text += &self.table();
        }
        let beside: Vec<String> =
            self.passed_over.iter().map(|(what, count)| format!("{what}: {count} times")).collect();
        text += &paragraph("no measurements, passed over", &beside, self.passed_over.values().sum());
        let odd: Vec<String> =
            self.odd.iter().map(|(kind, value, count)| clean(&format!("{kind}: {value:?}, {count} times"))).collect();
        text += &paragraph("odd values, taken as far as they could be", &odd, self.odd.count());
        let place = |refused: &Refused| refused.line.map_or_else(String::new, |line| format!(":{line}"));
        let named = |one: &Refused| clean(&format!("{}{}: {}", one.input, place(one), one.reason));
        let refused: Vec<String> = self.refused.iter().map(named).collect();
        text += &paragraph("refused", &refused, self.refused_in_all);
        text + &self.sum()
    }

    fn table(&self) -> String {
        let width = self.tests.keys().map(|test| clean(test).chars().count()).max().unwrap_or(0).max(4);
        let line = |test: &str, cells: [&str; 4]| {
            let [read, made, rows, nothing] = cells;
            format!("  {test:width$} {read:>8} {made:>12} {rows:>10} {nothing:>16}\n")
        };
        let mut text = line("test", ["read", "measurements", "rows", "nothing to judge"]);
        for (test, taken) in &self.tests {
            let cells = [taken.read, taken.made, taken.rows, taken.nothing_to_judge].map(|count| count.to_string());
            text += &line(&clean(test), cells.each_ref().map(String::as_str));
        }
        text
    }

    fn sum(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a figure for a person")]
        let megabytes = self.bytes as f64 / 1e6;
        let pace = if self.seconds > 0.0 { megabytes / self.seconds } else { 0.0 };
        let already = self.made - self.new.min(self.made);
        let kept = if self.not_kept > 0 {
            format!("; {} not kept for telling an address of the vantage", counted(self.not_kept, "text"))
        } else {
            String::new()
        };
        format!(
            "{}: {} new, {already} already there{}; {} refused{kept}; {megabytes:.1} MB in {:.2} s, {pace:.1} MB/s",
            self.taken_words(),
            self.new,
            self.conflict_words(),
            self.refused_in_all,
            self.seconds
        )
    }

    fn taken_words(&self) -> String {
        let whose = match self.format {
            "ooni" => " of OONI's",
            "censored-planet" => " of Censored Planet's",
            _ => "",
        };
        match &self.feeds {
            Some(Feeds { series, announcements, .. }) => format!(
                "{} with {} and {} read, {} in all",
                counted(self.read, "text"),
                if *series == 1 { "1 series".to_owned() } else { format!("{series} series") },
                counted(*announcements, "announcement"),
                counted(self.made, "value"),
            ),
            None => format!("{}{whose} read, {} of ours made of them", counted(self.read, "measurement"), self.made),
        }
    }

    fn conflict_words(&self) -> String {
        let conflicting = self.feeds.as_ref().map_or(0, |feeds| feeds.conflicting);
        if conflicting == 0 {
            String::new()
        } else {
            format!(" ({conflicting} of them with another value, which was kept)")
        }
    }
}

/// A headline and its lines, where there is anything under it.
fn paragraph(headline: &str, lines: &[String], in_all: u64) -> String {
    if in_all == 0 {
        return String::new();
    }
    format!("{headline} ({in_all}):\n  {}\n", lines.join("\n  "))
}
