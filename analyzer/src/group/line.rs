//! One line of what was put together, in the shapes that verdicts have.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use faultline_verdict::words::clean;
use serde_json::Value;

use crate::cli::Format;

/// The columns of every shape but JSON.
const COLUMNS: [&str; 7] = ["what", "state", "cause", "mechanisms", "window", "network", "in words"];

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    /// Service, pattern or label.
    pub(super) what: String,
    /// A verdict's state, or nothing.
    pub(super) state: String,
    /// A verdict's cause, or nothing.
    pub(super) cause: String,
    /// Nodes of the tree of mechanisms.
    pub(super) mechanisms: Vec<String>,
    /// The window, in words.
    pub(super) window: String,
    /// The network, in words.
    pub(super) network: String,
    /// All of it, for a person.
    pub(super) words: String,
    /// All of it, for a program.
    pub(super) json: Value,
}

impl Line {
    fn cells(&self) -> [String; COLUMNS.len()] {
        let mechanisms = self.mechanisms.join(" ");
        [&self.what, &self.state, &self.cause, &mechanisms, &self.window, &self.network, &self.words]
            .map(|text| if text.is_empty() { "-".to_owned() } else { clean(text) })
    }
}

/// Prints lines to standard output.
pub(super) fn print(lines: &[Line], format: Format) -> io::Result<()> {
    let stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    let out = BufWriter::new(stdout);
    match format {
        Format::Jsonl => jsonl(lines, out),
        Format::Csv => csv(lines, out),
        Format::Table if is_terminal => table(lines, out),
        Format::Table => plain(lines, out),
    }
}

type Out = BufWriter<StdoutLock<'static>>;

fn jsonl(lines: &[Line], mut out: Out) -> io::Result<()> {
    for line in lines {
        serde_json::to_writer(&mut out, &line.json)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn csv(lines: &[Line], out: Out) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(COLUMNS.map(|name| name.replace(' ', "_")))?;
    lines.iter().try_for_each(|line| rows.write_record(line.cells()))?;
    rows.flush()
}

fn plain(lines: &[Line], mut out: Out) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{}", line.cells().join("\t")))?;
    out.flush()
}

fn table(lines: &[Line], mut out: Out) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(COLUMNS);
    for line in lines {
        table.add_row(line.cells());
    }
    writeln!(out, "{table}")?;
    out.flush()
}
