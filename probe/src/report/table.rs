//! The verdicts of a run, one line a target: a table on a terminal, tab-separated lines elsewhere.

use std::io::{self, Write};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, LineStyle, Table};
use faultline_record::Witnessed;
use faultline_verdict::words::clean;
use faultline_verdict::{State, Verdict, sentence_of, state_words};

use super::Told;

/// More targets that are ok than this are counted on a terminal, not listed.
const OK_LISTED: usize = 20;

/// A target's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    target: String,
    state: State,
    mechanisms: String,
    p: f64,
    words: String,
    id: String,
}

/// How much is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Every target.
    Everything,
    /// Many that are ok are counted.
    Folded,
    /// Nothing that is ok.
    NotOk,
}

impl Row {
    /// The line of a verdict.
    pub fn new(witnessed: &Witnessed, verdict: &Verdict, told: Told) -> Self {
        let withheld = told.withheld(&witnessed.measurement);
        Self {
            target: clean(&withheld.text(&witnessed.measurement.target.name)),
            state: verdict.state,
            mechanisms: verdict.mechanisms.join(" "),
            p: verdict.p.of(verdict.state),
            words: clean(&withheld.text(&sentence_of(&witnessed.measurement, verdict))),
            id: witnessed.measurement.id.to_string(),
        }
    }

    fn confidence(&self) -> String {
        match self.state {
            State::Insufficient => "-".into(),
            _ if self.p >= 0.995 => ">99%".into(),
            _ => format!("{:.0}%", self.p * 100.0),
        }
    }

    fn mechanisms(&self) -> &str {
        if self.mechanisms.is_empty() { "-" } else { &self.mechanisms }
    }

    /// The end of the id, which tells measurements apart (its beginning is the time).
    fn short_id(&self) -> &str {
        self.id.get(self.id.len().saturating_sub(8)..).unwrap_or(&self.id)
    }
}

/// Worst first, then by name.
pub fn sort(rows: &mut [Row]) {
    rows.sort_by(|a, b| (a.state, &a.target, &a.id).cmp(&(b.state, &b.target, &b.id)));
}

/// Prints rows as lines: target, state, mechanisms, confidence, measurement, words; separated by tabs.
pub fn print_lines(rows: &[Row], listing: Listing, out: &mut impl Write) -> io::Result<()> {
    for row in rows.iter().filter(|row| listing != Listing::NotOk || row.state != State::Ok) {
        let (id, confidence) = (row.short_id(), row.confidence());
        writeln!(out, "{}\t{}\t{}\t{confidence}\t{id}\t{}", row.target, row.state, row.mechanisms(), row.words)?;
    }
    out.flush()
}

/// Prints rows as a table for a person.
pub fn print_table(rows: &[Row], listing: Listing, out: &mut impl Write) -> io::Result<()> {
    let ok = rows.iter().filter(|row| row.state == State::Ok).count();
    let folded = listing == Listing::NotOk || listing == Listing::Folded && ok > OK_LISTED;
    let listed = rows.iter().filter(|row| !folded || row.state != State::Ok);

    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["target", "state", "mechanism", "sure", "id", "in words"]);
    for row in listed {
        let state = Cell::new(state_words(row.state)).fg(colour(row.state)).add_attribute(Attribute::Bold);
        table.add_row([
            Cell::new(&row.target),
            state,
            Cell::new(row.mechanisms()),
            Cell::new(row.confidence()),
            Cell::new(row.short_id()),
            Cell::new(&row.words),
        ]);
    }
    if table.row_iter().len() > 0 {
        writeln!(out, "{table}")?;
    }
    if folded && ok > 0 {
        writeln!(out, "{ok} more are reachable")?;
    }
    out.flush()
}

fn colour(state: State) -> Color {
    match state {
        State::Blocked | State::LikelyBlocked => Color::Red,
        State::Down | State::Impaired => Color::Yellow,
        State::Insufficient => Color::Grey,
        State::Ok => Color::Green,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: &str, state: State) -> Row {
        Row {
            target: target.into(),
            state,
            mechanisms: if state == State::Blocked { "tls.reset.sni".into() } else { String::new() },
            p: 0.97,
            words: "words".into(),
            id: "0192f0c4-0000-7000-8000-00000000abcd".into(),
        }
    }

    fn printed(rows: &[Row], listing: Listing) -> (String, String) {
        let (mut lines, mut table) = (Vec::new(), Vec::new());
        print_lines(rows, listing, &mut lines).unwrap();
        print_table(rows, listing, &mut table).unwrap();
        (String::from_utf8(lines).unwrap(), String::from_utf8(table).unwrap())
    }

    #[test]
    fn what_is_blocked_comes_first_and_what_is_ok_last() {
        let mut rows = vec![row("c", State::Ok), row("b", State::Insufficient), row("d", State::Blocked)];
        rows.push(row("a", State::Ok));
        sort(&mut rows);
        assert_eq!(rows.iter().map(|row| row.target.as_str()).collect::<Vec<_>>(), ["d", "b", "a", "c"]);
    }

    #[test]
    fn a_line_has_six_fields_and_an_unproven_state_no_confidence() {
        let (lines, _) = printed(&[row("x/web", State::Blocked), row("y", State::Insufficient)], Listing::Everything);
        assert_eq!(
            lines,
            "x/web\tblocked\ttls.reset.sni\t97%\t0000abcd\twords\ny\tinsufficient\t-\t-\t0000abcd\twords\n"
        );
    }

    #[test]
    fn nothing_is_certain() {
        assert_eq!(Row { p: 1.0, ..row("x", State::Ok) }.confidence(), ">99%");
        assert_eq!(Row { p: 0.991, ..row("x", State::Ok) }.confidence(), "99%");
    }

    #[test]
    fn many_that_are_ok_are_counted_on_a_terminal_and_listed_elsewhere() {
        let mut rows = vec![row("x/web", State::Blocked)];
        rows.extend((0..30).map(|n| row(&format!("site-{n}"), State::Ok)));
        let (lines, table) = printed(&rows, Listing::Folded);
        assert_eq!(lines.lines().count(), 31);
        assert!(table.contains("30 more are reachable") && !table.contains("site-7"));
        assert!(table.contains("x/web"));
    }

    #[test]
    fn quiet_lists_nothing_that_is_ok() {
        let (lines, table) = printed(&[row("x/web", State::Blocked), row("y", State::Ok)], Listing::NotOk);
        assert_eq!(lines.lines().count(), 1);
        assert!(table.contains("1 more are reachable"));
    }
}
