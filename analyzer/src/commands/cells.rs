//! `analyzer cells`: verdicts in the light of all others, brought together by target, network and hour.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal, Write};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use faultline_record::Timestamp;
use faultline_verdict::words::{clean, counted};
use faultline_verdict::{
    Cell, Cells, ControlState, FeedWord, Grid, HOUR_MS, NetworkKey, Rung, State, state_words, table,
};
use serde_json::{Value, json};

use crate::basis::Basis;
use crate::cli::{CellsArgs, Format};
use crate::exit::{AnalyzerError, Exit};
use crate::group;
use crate::in_context::All;
use crate::interrupt::Interrupt;
use crate::print::cell as flat_cell;
use crate::say;

/// The format of a line of JSON.
const SCHEMA: &str = "faultline/cell/1";
/// How much of an id a table shows: its end, since a `UUIDv7` begins with the time.
const SHORT_ID: usize = 8;

/// Reads all files twice and prints their cells.
pub fn run(options: &CellsArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let grid = Grid { rung: options.by, hours: options.hours, floor: usize::from(options.together.floor) };
    let mut cells = Cells::of_services(grid, group::services_of(&options.together.services)?);
    let read = All::read(&options.files, &options.together, interrupt, |witnessed, verdict, place, context| {
        cells.add(&witnessed.measurement, verdict, place, Some(context));
    })?;
    let all = match read {
        Ok(all) => all,
        Err(stop) => {
            say("nothing was counted");
            return stop.end();
        }
    };
    let basis = all.basis(&options.together);
    let basis = OfCells { by: options.by, basis };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match options.format {
        Format::Jsonl => jsonl(&mut out, &cells, &basis)?,
        Format::Csv => csv(&mut out, &cells, &basis)?,
        Format::Table => in_words(&mut out, &cells, &basis)?,
    }
    out.flush()?;
    let exit = all.files.exit();
    if exit != Exit::Nothing {
        say(&format!(
            "{} ({} read twice)",
            counted(cells.len() as u64, "cell"),
            counted(all.files.sound() as u64, "file")
        ));
    }
    Ok(exit)
}

/// What every cell rests on, printed with each.
struct OfCells<'a> {
    by: Rung,
    basis: Basis<'a>,
}

impl OfCells<'_> {
    fn json(&self, cell: &Cell) -> Value {
        let mut value = json!(cell);
        if let Value::Object(object) = &mut value {
            object.insert("by".into(), self.by.name().into());
            self.basis.name(object, SCHEMA, &self.feeds(cell));
        }
        value
    }

    /// What feeds say of the cell's place in its hours: beside its state, which they do not move.
    fn feeds(&self, cell: &Cell) -> (ControlState, Vec<FeedWord>) {
        let place =
            NetworkKey { country: cell.country.clone(), asn: cell.asn, is_mobile: cell.mobile.unwrap_or_default() };
        let last = cell.begin.as_millisecond() + cell.hours * HOUR_MS - 1;
        let words = self.basis.context.feed_words(&place, cell.begin, Timestamp::from_millisecond(last));
        (self.basis.context.feed_state(&words), words)
    }
}

fn jsonl(out: &mut impl Write, cells: &Cells, basis: &OfCells<'_>) -> io::Result<()> {
    for cell in cells.profiles(table()) {
        serde_json::to_writer(&mut *out, &basis.json(&cell))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Columns, with where their content stands in the JSON object.
const COLUMNS: [(&str, &str); 28] = [
    ("begin", "/begin"),
    ("hours", "/hours"),
    ("target", "/target"),
    ("endpoint", "/endpoint"),
    ("country", "/country"),
    ("asn", "/asn"),
    ("mobile", "/mobile"),
    ("resolver", "/resolver"),
    ("state", "/state"),
    ("cause", "/cause"),
    ("mechanism", "/mechanism"),
    ("existence", "/existence"),
    ("prevalence", "/prevalence/share"),
    ("prevalence_low", "/prevalence/low"),
    ("prevalence_high", "/prevalence/high"),
    ("consensus", "/consensus"),
    ("measurements", "/n/measurements"),
    ("insufficient", "/n/insufficient"),
    ("probes", "/n/probes"),
    ("runs", "/n/runs"),
    ("networks", "/n/networks"),
    ("independent", "/n/independent"),
    ("witness", "/witness"),
    ("floor", "/floor"),
    ("ruleset", "/ruleset"),
    ("weights", "/weights"),
    ("context", "/references/context"),
    ("feeds", "/feeds/state"),
];

fn csv(out: &mut impl Write, cells: &Cells, basis: &OfCells<'_>) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(COLUMNS.iter().map(|(name, _)| *name))?;
    for cell in cells.profiles(table()) {
        let json = basis.json(&cell);
        rows.write_record(COLUMNS.iter().map(|(_, at)| json.pointer(at).map_or_else(String::new, flat_cell)))?;
    }
    rows.flush()
}

/// A table on a terminal, else lines with tabs; what all of it rests on goes before it.
fn in_words(out: &mut impl Write, cells: &Cells, basis: &OfCells<'_>) -> io::Result<()> {
    let header = [
        "when (UTC)",
        "target",
        "where",
        "state",
        "mechanism",
        "interfered with",
        "rests on",
        "witness ends",
        "feeds tell",
    ];
    writeln!(out, "# {}", basis.basis.words())?;
    if !io::stdout().is_terminal() {
        writeln!(out, "# {}", header.join("\t"))?;
        for cell in cells.profiles(table()) {
            writeln!(out, "{}", in_cells(&cell, basis).join("\t"))?;
        }
        return Ok(());
    }
    let mut sheet = Table::new();
    sheet.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    for cell in cells.profiles(table()) {
        sheet.add_row(in_cells(&cell, basis));
    }
    writeln!(out, "{sheet}")
}

fn in_cells(cell: &Cell, basis: &OfCells<'_>) -> [String; 9] {
    let profile = &cell.profile;
    let begin = cell.begin.to_string().get(..13).unwrap_or_default().replace('T', " ");
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    let prevalence = profile.prevalence;
    let interval =
        format!("{} ({} to {})", percent(prevalence.share), percent(prevalence.low), percent(prevalence.high));
    let interfered =
        if profile.n.measurements == 0 { "-".to_owned() } else { format!("{}, {interval}", profile.existence) };
    let n = profile.n;
    let networks = if n.networks > 1 { format!(", {} networks", n.networks) } else { String::new() };
    let rests_on =
        format!("{}, {}{networks}", counted(n.measurements, "measurement"), counted(n.probes as u64, "probe"));
    let witness = profile.witness.map_or_else(|| "-".to_owned(), |id| id.to_string());
    [
        begin,
        clean(&named(cell)),
        place(cell),
        match profile.state {
            State::Insufficient => "not known".to_owned(),
            state => format!("{} ({} agree)", state_words(state), percent(profile.consensus)),
        },
        profile.mechanism.clone().unwrap_or_else(|| "-".to_owned()),
        interfered,
        rests_on,
        witness.get(witness.len().saturating_sub(SHORT_ID)..).unwrap_or(&witness).to_owned(),
        told(&basis.feeds(cell)),
    ]
}

/// What feeds tell, in a word, with who tells of it.
fn told((state, words): &(ControlState, Vec<FeedWord>)) -> String {
    let of = |is: &dyn Fn(&FeedWord) -> bool| {
        let sources: BTreeSet<&str> = words.iter().filter(|word| is(word)).map(|word| word.source.as_str()).collect();
        clean(&sources.into_iter().collect::<Vec<_>>().join(", "))
    };
    let claims = of(&|word| word.state == ControlState::Agrees);
    let demand = of(&|word| word.is_demand);
    let outage = match state {
        ControlState::Agrees => format!("an outage ({claims})"),
        ControlState::Disagrees => "no outage".to_owned(),
        ControlState::Absent if !claims.is_empty() => format!("an outage, by one word ({claims})"),
        ControlState::Absent => "-".to_owned(),
    };
    if demand.is_empty() { outage } else { format!("{outage}; demand ({demand})") }
}

/// The name, with the endpoint where it may be told.
fn named(cell: &Cell) -> String {
    cell.endpoint.as_ref().map_or_else(|| cell.target.clone(), |endpoint| format!("{} {endpoint}", cell.target))
}

fn place(cell: &Cell) -> String {
    let country = if cell.country.is_empty() { "??" } else { &cell.country };
    let network = match (cell.asn, cell.mobile) {
        (Some(asn), Some(true)) => format!(" AS{asn} mobile"),
        (Some(asn), _) => format!(" AS{asn}"),
        (None, Some(_)) => " AS?".to_owned(),
        (None, None) => String::new(),
    };
    let resolver = cell.resolver.as_ref().map_or_else(String::new, |resolver| format!(" {}", clean(resolver)));
    format!("{}{network}{resolver}", clean(country))
}
