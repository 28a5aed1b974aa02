//! Tables with a heading: dated numbers, a column a signal; or events, with a beginning and what is known of them.

use crate::model::{Announcement, Place, Point, Series, Timestamp};

use super::{Taking, asn, country, signal_and_unit, time};

/// Columns that are looked at: wider tables are no feeds.
const COLUMNS: usize = 256;

/// The cells of a row.
pub(super) struct Row(pub(super) Vec<String>);

impl Row {
    fn get(&self, column: Option<usize>) -> &str {
        column.and_then(|column| self.0.get(column)).map_or("", |cell| cell.trim())
    }
}

/// Rows of a table, from the first on: they are gone through twice.
pub(super) type Rows<'r> = Box<dyn Iterator<Item = Row> + 'r>;

/// Reads comma-separated values (RFC 4180), or the same with semicolons or tabs.
pub(super) fn read(text: &str, taking: &mut Taking<'_>) -> Result<(), String> {
    let first = text.lines().next().unwrap_or_default();
    let count = |byte: u8| first.bytes().filter(|&one| one == byte).count();
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|&byte| count(byte)).unwrap_or(b',');
    let open = || csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let headings =
        open().headers().map_err(|error| format!("no table: {error}"))?.iter().map(str::to_owned).collect::<Vec<_>>();
    let row = |record: csv::StringRecord| Row(record.iter().take(COLUMNS).map(str::to_owned).collect());
    let broken = open().records().filter(Result::is_err).count();
    if broken > 0 {
        taking.odd.note("rows that are no comma-separated values, left out", &broken.to_string());
    }
    take(&headings, &mut || Box::new(open().into_records().filter_map(Result::ok).map(row)), taking)
}

/// What each column is.
#[derive(Debug, Default)]
struct Columns {
    at: Option<usize>,
    to: Option<usize>,
    country: Option<usize>,
    region: Option<usize>,
    asn: Option<usize>,
    baseline: Option<usize>,
    kind: Option<usize>,
    cause: Option<usize>,
    score: Option<usize>,
    words: Option<usize>,
    /// Whether the time is that of a beginning.
    is_event: bool,
}

const AT: &[&str] = &["time", "timestamp", "datetime", "date", "day", "time_e", "ts", "hour", "week", "epoch"];
const FROM: &[&str] =
    &["start", "startdate", "start_date", "start_time", "from", "started_at", "begin", "start time", "start date"];
const TO: &[&str] = &["end", "enddate", "end_date", "end_time", "to", "until", "ended_at", "end time", "end date"];
const COUNTRY: &[&str] = &["country", "country_code", "cc", "iso", "iso2", "countrycode", "location", "geo"];
const REGION: &[&str] = &["region", "state", "province", "city", "name_1", "scope", "district"];
const ASN: &[&str] = &["asn", "as", "as_number"];
const BASELINE: &[&str] = &["baseline", "expected", "usual", "previous", "average", "typical"];
const KIND: &[&str] = &["type", "kind", "event_type", "outage_type", "eventtype", "outagetype"];
const CAUSE: &[&str] = &["cause", "outage_cause", "outagecause", "reason"];
const SCORE: &[&str] = &["score", "severity"];
const WORDS: &[&str] = &["description", "details", "notes", "comment"];
/// Numbers that are no values of a signal.
const NO_SIGNAL: &[&str] =
    &["lat", "lon", "lng", "latitude", "longitude", "id", "id_1", "index", "rank", "year", "month"];

impl Columns {
    fn of(headings: &[String]) -> Self {
        let plain: Vec<String> = headings.iter().map(|heading| signal_and_unit(heading).0.to_lowercase()).collect();
        let find = |names: &[&str]| plain.iter().position(|heading| names.contains(&heading.as_str()));
        let from = find(FROM);
        Self {
            at: from.or_else(|| find(AT)),
            to: find(TO),
            country: find(COUNTRY),
            region: find(REGION),
            asn: find(ASN),
            baseline: find(BASELINE),
            kind: find(KIND),
            cause: find(CAUSE),
            score: find(SCORE),
            words: find(WORDS),
            is_event: from.is_some(),
        }
    }

    /// Columns that are not values.
    fn taken(&self) -> [Option<usize>; 10] {
        let Self { at, to, country, region, asn, baseline, kind, cause, score, words, .. } = *self;
        [at, to, country, region, asn, baseline, kind, cause, score, words]
    }

    fn place(&self, row: &Row, taking: &Taking<'_>) -> Result<Place, String> {
        let word = |column| Some(row.get(column)).filter(|text| !text.is_empty());
        let code = word(self.country);
        let found = code.and_then(country);
        if let (Some(code), None, None) = (code, &found, &taking.hints.place.country) {
            return Err(format!("{code:?} is no two-letter code of a country; give --country"));
        }
        taking.place(Place {
            country: found,
            region: word(self.region).map(str::to_owned),
            asn: word(self.asn).and_then(asn),
        })
    }
}

/// Takes a table: of events if it has a column of beginnings, else of dated numbers.
pub(super) fn take<'r>(
    headings: &[String],
    rows: &mut dyn FnMut() -> Rows<'r>,
    taking: &mut Taking<'_>,
) -> Result<(), String> {
    let columns = Columns::of(headings);
    if columns.at.is_none() {
        let shown: String = headings.join(", ").chars().take(120).collect();
        return Err(format!("no column is of times (the headings are: {shown})"));
    }
    if columns.is_event {
        return rows().try_for_each(|row| event(&columns, &row, taking));
    }
    let values = values(headings, &columns, rows());
    if values.is_empty() {
        return Err("no column is of numbers".into());
    }
    let ioda = headings.iter().any(|heading| heading.contains("#Visible /24s") || heading.contains("#/24s Up"));
    let source = taking.source(ioda.then_some("ioda"))?;
    for row in rows() {
        let Some(at) = at(&columns, &row, taking) else { continue };
        let place = columns.place(&row, taking)?;
        for &column in &values {
            number(column, headings, &columns, &row, at, (&source, &place), taking);
        }
    }
    Ok(())
}

fn at(columns: &Columns, row: &Row, taking: &mut Taking<'_>) -> Option<Timestamp> {
    let text = row.get(columns.at);
    let at = time(text);
    if at.is_none() {
        taking.odd.note("no time", text);
    }
    at
}

/// Columns in which every cell that is not empty is a number, and some are.
fn values(headings: &[String], columns: &Columns, rows: Rows<'_>) -> Vec<usize> {
    let is_other = |place: usize| {
        let name = signal_and_unit(&headings[place]).0.to_lowercase();
        columns.taken().contains(&Some(place)) || NO_SIGNAL.contains(&name.as_str())
    };
    let mut counts = vec![(0_u64, 0_u64); headings.len()];
    for row in rows {
        for (cell, (numbers, others)) in row.0.iter().zip(&mut counts) {
            match cell.trim() {
                "" => {}
                text if parse(text).is_some() => *numbers += 1,
                _ => *others += 1,
            }
        }
    }
    let fits = |place: &usize| !is_other(*place) && counts[*place].0 > 0 && counts[*place].1 == 0;
    (0..headings.len()).filter(fits).collect()
}

fn parse(text: &str) -> Option<f64> {
    let bare = text.trim().trim_end_matches('%').replace(',', "");
    bare.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn number(
    column: usize,
    headings: &[String],
    columns: &Columns,
    row: &Row,
    at: Timestamp,
    (source, place): (&str, &Place),
    taking: &mut Taking<'_>,
) {
    let Some(value) = parse(row.get(Some(column))) else { return };
    let (signal, unit) = signal_and_unit(&headings[column]);
    let unit = taking.hints.unit.clone().or(unit);
    let series = Series {
        kind: taking.hints.kind,
        source: source.to_owned(),
        signal,
        unit,
        step_ms: None,
        place: place.clone(),
    };
    taking.point(&series, Point { at, value, baseline: parse(row.get(columns.baseline)) });
}

fn event(columns: &Columns, row: &Row, taking: &mut Taking<'_>) -> Result<(), String> {
    let Some(from) = at(columns, row, taking) else { return Ok(()) };
    let word = |column| Some(row.get(column)).filter(|text| !text.is_empty()).map(str::to_owned);
    let one = Announcement {
        source: taking.source(None)?,
        kind: word(columns.kind).map_or_else(|| "outage".to_owned(), |kind| kind.to_lowercase()),
        place: columns.place(row, taking)?,
        from,
        to: time(row.get(columns.to)),
        cause: word(columns.cause),
        score: parse(row.get(columns.score)),
        words: word(columns.words),
    };
    taking.announcements.push(one);
    Ok(())
}
