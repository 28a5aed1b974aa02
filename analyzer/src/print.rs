//! Verdicts on standard output, in four shapes, one after the other: none keeps more than a page of them. What a verdict becomes is
//! made by whoever judged it, on any core; printing it is left to one.

use std::io::{self, Write};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use faultline_record::{Measurement, Witnessed};
use faultline_verdict::{State, Verdict, Withheld, sentence_of, state_words, verdict_json, verdict_line};
use serde_json::Value;

use faultline_verdict::words;

/// Rows of a table on a terminal before it is printed and the next begins.
const PAGE: usize = 200;

/// How much of an id a table shows: its end, since a `UUIDv7` begins with the time.
const SHORT_ID: usize = 8;

/// How much is told of the servers of tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Provider and protocol.
    Names,
    /// Their addresses, too.
    Endpoints,
}

/// What `--with-endpoints` asks for.
pub fn told(with_endpoints: Option<bool>) -> Told {
    if with_endpoints.unwrap_or_default() { Told::Endpoints } else { Told::Names }
}

impl Told {
    /// What is left out of a measurement.
    pub fn withheld(self, measurement: &Measurement) -> Withheld {
        match self {
            Self::Names => Withheld::of(measurement),
            Self::Endpoints => Withheld::default(),
        }
    }

    fn json(self, witnessed: &Witnessed, verdict: &Verdict) -> Value {
        self.withheld(&witnessed.measurement).value(verdict_json(witnessed, verdict))
    }
}

/// A shape, and how much is told in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object a line (design, section 6).
    Jsonl(Told),
    /// Comma-separated values: [`COLUMNS`], then the rules that fired and the sentence.
    Csv(Told),
    /// One line a verdict, fields separated by tabs: target, state, mechanisms, confidence, id, start, network, words. The
    /// same first five, and the words last, as the probe's own lines.
    Lines(Told),
    /// A row of a table for a terminal.
    Row(Told),
}

/// What a verdict became.
#[derive(Debug)]
pub enum Made {
    /// A line with its end.
    Line(Vec<u8>),
    /// Cells of a row.
    Row(Box<[Cell; 5]>),
}

impl Shape {
    /// The verdict in this shape.
    pub fn make(self, witnessed: &Witnessed, verdict: &Verdict) -> Made {
        match self {
            Self::Jsonl(told) => Made::Line(json_line(told, witnessed, verdict)),
            Self::Csv(told) => Made::Line(csv_line(&csv_cells(told, witnessed, verdict))),
            Self::Lines(told) => Made::Line(plain_line(told, witnessed, verdict)),
            Self::Row(told) => Made::Row(Box::new(row(told, witnessed, verdict))),
        }
    }

    /// What stands above the first line.
    pub fn head(self) -> Vec<u8> {
        match self {
            Self::Csv(_) => {
                csv_line(&COLUMNS.map(|(name, _)| name).into_iter().chain(["rules", "summary"]).collect::<Vec<_>>())
            }
            _ => Vec::new(),
        }
    }
}

fn json_line(told: Told, witnessed: &Witnessed, verdict: &Verdict) -> Vec<u8> {
    let is_whole = told.withheld(&witnessed.measurement).is_nothing();
    let line = if is_whole { verdict_line(witnessed, verdict) } else { told.json(witnessed, verdict).to_string() };
    (line + "\n").into_bytes()
}

/// Columns of the CSV and where their values stand in the JSON of a verdict.
const COLUMNS: [(&str, &str); 27] = [
    ("id", "/id"),
    ("run", "/run"),
    ("started_at", "/started_at"),
    ("duration_ms", "/duration_ms"),
    ("target", "/target"),
    ("input", "/input"),
    ("category", "/category"),
    ("asn", "/network/asn"),
    ("as_name", "/network/as_name"),
    ("country", "/network/country"),
    ("network_kind", "/network/kind"),
    ("state", "/verdict/state"),
    ("cause", "/verdict/cause"),
    ("mechanisms", "/verdict/mechanisms"),
    ("p_ok", "/verdict/p/ok"),
    ("p_down", "/verdict/p/down"),
    ("p_blocked", "/verdict/p/blocked"),
    ("state_ipv4", "/verdict/families/ipv4"),
    ("state_ipv6", "/verdict/families/ipv6"),
    ("local_health", "/local_health/state"),
    ("ruleset", "/verdict/ruleset"),
    ("tunnel", "/tunnel/protocol"),
    ("tunnel_kind", "/tunnel/kind"),
    ("tunnel_payload", "/tunnel/payload"),
    ("weights", "/verdict/weights"),
    ("context", "/verdict/references/context"),
    ("fingerprints", "/verdict/references/fingerprints"),
];

fn csv_cells(told: Told, witnessed: &Witnessed, verdict: &Verdict) -> Vec<String> {
    let json = told.json(witnessed, verdict);
    let mut cells: Vec<String> =
        COLUMNS.iter().map(|(_, at)| json.pointer(at).map_or_else(String::new, cell)).collect();
    cells.push(verdict.evidence.iter().map(|evidence| evidence.rule.as_str()).collect::<Vec<_>>().join(";"));
    let sentence = sentence_of(&witnessed.measurement, verdict);
    cells.push(told.withheld(&witnessed.measurement).text(&sentence).into_owned());
    cells
}

fn csv_line(cells: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut rows = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(Vec::with_capacity(1 << 10));
    // A vector takes every byte.
    let _ = rows.write_record(cells);
    rows.into_inner().unwrap_or_default()
}

/// A value in a flat cell: nothing for null, a list with semicolons.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(";"),
        other => other.to_string(),
    }
}

fn plain_line(told: Told, witnessed: &Witnessed, verdict: &Verdict) -> Vec<u8> {
    let measurement = &witnessed.measurement;
    let fields = [
        words::clean(&measurement.target.name),
        verdict.state.to_string(),
        or_dash(verdict.mechanisms.join(" ")),
        or_dash(percent(verdict)),
        measurement.id.to_string(),
        witnessed.began().to_string(),
        words::network(&measurement.network),
        words::clean(&sentence_of(measurement, verdict)),
    ];
    format!("{}\n", told.withheld(measurement).text(&fields.join("\t"))).into_bytes()
}

fn row(told: Told, witnessed: &Witnessed, verdict: &Verdict) -> [Cell; 5] {
    let measurement = &witnessed.measurement;
    let started = witnessed.began().to_string();
    let started = started.get(..16).unwrap_or(&started).replace('T', " ");
    let id = measurement.id.to_string();
    let id = id.get(id.len().saturating_sub(SHORT_ID)..).unwrap_or(&id);
    let withheld = told.withheld(measurement);
    [
        Cell::new(format!("{}\n{id}", withheld.text(&words::clean(&measurement.target.name)))),
        Cell::new(state_words(verdict.state)).fg(colour(verdict.state)).add_attribute(Attribute::Bold),
        Cell::new(or_dash(percent(verdict))),
        Cell::new(format!("{started}\n{}", words::network(&measurement.network))),
        Cell::new(withheld.text(&why(measurement, verdict))),
    ]
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Lines as they come, and rows in tables page by page.
pub struct Printer<W> {
    out: W,
    width: Option<u16>,
    page: Option<Table>,
}

impl<W: Write> Printer<W> {
    /// Begins with what stands above the first line. Tables are as wide as the terminal unless a width is given.
    pub fn new(mut out: W, shape: Shape, width: Option<u16>) -> io::Result<Self> {
        out.write_all(&shape.head())?;
        Ok(Self { out, width, page: None })
    }

    /// One verdict.
    pub fn put(&mut self, made: Made) -> io::Result<()> {
        let cells = match made {
            Made::Line(line) => return self.out.write_all(&line),
            Made::Row(cells) => cells,
        };
        let width = self.width;
        let page = self.page.get_or_insert_with(|| fresh(width));
        page.add_row(*cells);
        if page.row_count() >= PAGE { self.finish() } else { Ok(()) }
    }

    /// The end: whatever is still kept goes out.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Some(page) = self.page.take() {
            writeln!(self.out, "{page}")?;
        }
        self.out.flush()
    }
}

fn fresh(width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["target, id ends", "state", "sure", "when (UTC), network", "in words"]);
    if let Some(width) = width {
        table.set_width(width);
    }
    table
}

fn colour(state: State) -> Color {
    match state {
        State::Blocked | State::LikelyBlocked => Color::Red,
        State::Down | State::Impaired => Color::Yellow,
        State::Insufficient => Color::Grey,
        State::Ok => Color::Green,
    }
}

/// How far a clock was ahead or behind, in hours, minutes and seconds.
pub fn clock_words(ahead_ms: i64) -> String {
    let seconds = ahead_ms.unsigned_abs().div_ceil(1_000);
    let side = if ahead_ms > 0 { "ahead" } else { "behind" };
    format!("{}:{:02}:{:02} h {side}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// How sure the verdict is of its state; nothing where it says nothing.
pub fn percent(verdict: &Verdict) -> String {
    match verdict.state {
        State::Insufficient => String::new(),
        // Never "100%": the figures are not calibrated, and nothing is certain.
        state => format!("{:.0}%", (verdict.p.of(state) * 100.0).min(99.0)),
    }
}

fn why(measurement: &Measurement, verdict: &Verdict) -> String {
    let sentence = words::clean(&sentence_of(measurement, verdict));
    if verdict.mechanisms.is_empty() { sentence } else { format!("{}: {sentence}", verdict.mechanisms.join(", ")) }
}

#[cfg(test)]
mod tests {
    use faultline_record::{Availability, Endpoint, MeasurementId, Network, RunId, Target, Timestamp, Witness};
    use faultline_verdict::judge;

    use super::*;

    fn witnessed(name: &str) -> Witnessed {
        let target = Target {
            input: "https://x.com/".into(),
            name: name.into(),
            endpoint: Endpoint::parse("https://x.com/").unwrap(),
            category: None,
            list: None,
            availability: Availability::Unknown,
            private_ca: false,
        };
        let measurement = Measurement {
            id: MeasurementId::from_bytes([0xab; 16]),
            run: RunId::from_bytes([1; 16]),
            target,
            started_at: Timestamp::from_millisecond(1_795_341_605_000),
            offset_ms: 0.0,
            duration_ms: 1.0,
            network: Network { asn: Some(17557), ..Network::default() },
            observations: Vec::new(),
        };
        Witnessed { measurement, witness: Witness::default() }
    }

    fn printed(count: usize, width: u16) -> String {
        let mut out = Vec::new();
        let shape = Shape::Row(Told::Names);
        let mut pages = Printer::new(&mut out, shape, Some(width)).unwrap();
        for number in 0..count {
            let witnessed = witnessed(&format!("site{number}.example"));
            pages.put(shape.make(&witnessed, &judge(&witnessed.measurement, &witnessed.witness))).unwrap();
        }
        pages.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_fits_the_terminal_and_shows_what_explain_takes() {
        let text = printed(1, 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for part in ["site0.example", "abababab", "not known", "2026-11-22 10:00", "AS17557"] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }

    #[test]
    fn many_verdicts_are_many_pages_and_each_verdict_is_on_one() {
        let text = printed(2 * PAGE + 1, 80);
        assert_eq!(text.matches("in words").count(), 3);
        assert_eq!(text.matches("abababab").count(), 2 * PAGE + 1);
        assert!(text.contains(&format!("site{}.example", 2 * PAGE)));
    }
}
