//! `analyzer feeds`: what others publish of places, as far as it was imported: series with what they span, and announcements.

use std::io::{self, Write};

use faultline_record::{Announcement, Place, SeriesSummary, Timestamp};
use faultline_verdict::words::clean;
use serde_json::{Value, json};

use crate::cli::{FeedsArgs, ListFormat};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};

/// Prints them, file by file.
pub fn run(options: &FeedsArgs) -> Result<Exit, AnalyzerError> {
    let mut files = Files::of(&options.files)?;
    let mut out = io::stdout().lock();
    let end = files.each(|reader| {
        let (series, announcements) = (reader.feed_series()?, reader.announcements()?);
        let mut print = || match options.format {
            ListFormat::Table => table(&mut out, &series, &announcements),
            ListFormat::Jsonl => jsonl(&mut out, &series, &announcements),
        };
        Ok(print().err().map(Stop::Output))
    });
    end.map_or_else(Stop::end, |()| Ok(files.exit()))
}

fn table(out: &mut impl Write, series: &[SeriesSummary], announcements: &[Announcement]) -> io::Result<()> {
    for SeriesSummary { series: of, points, first, last, least, most, .. } in series {
        let unit = of.unit.as_ref().map_or_else(String::new, |unit| format!(" ({unit})"));
        let name = clean(&format!("{} {} {}: {}{unit}", of.source, of.kind, place(&of.place), of.signal));
        let number = |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let span = format!("{} to {}, from {} to {}", day(*first), day(*last), number(least), number(most));
        writeln!(out, "{name}: {points} values, {span}")?;
    }
    for one in announcements {
        let Announcement { source, kind, from, to, cause, score, words, .. } = one;
        let end = to.map_or_else(|| "no end told".to_owned(), |to| to.to_string());
        let score = score.map_or_else(String::new, |score| format!(", score {score}"));
        let first = format!("{source} {kind} {}: {from} to {end}{score}", place(&one.place));
        let told = [Some(&first), cause.as_ref(), words.as_ref()].into_iter().flatten().map(String::as_str);
        writeln!(out, "{}", clean(&told.collect::<Vec<_>>().join(", ")))?;
    }
    Ok(())
}

fn day(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

fn place(place: &Place) -> String {
    let Place { country, region, asn } = place;
    let parts = [country.clone(), region.clone(), asn.map(|asn| format!("AS{asn}"))];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

fn jsonl(out: &mut impl Write, series: &[SeriesSummary], announcements: &[Announcement]) -> io::Result<()> {
    let of_place = |Place { country, region, asn }: &Place| json!({"country": country, "region": region, "asn": asn});
    let rows = series.iter().map(|SeriesSummary { series: of, points, first, last, least, most, .. }| {
        json!({"schema": "faultline/feed-series/1", "kind": of.kind, "source": of.source, "signal": of.signal, "unit": of.unit,
               "step_ms": of.step_ms, "place": of_place(&of.place), "values": points, "first": first, "last": last,
               "least": least, "most": most})
    });
    let told = announcements.iter().map(|one| {
        json!({"schema": "faultline/feed-event/1", "source": one.source, "kind": one.kind, "place": of_place(&one.place),
               "from": one.from, "to": one.to, "cause": one.cause, "score": one.score, "words": one.words})
    });
    rows.chain(told).try_for_each(|row: Value| writeln!(out, "{row}"))
}
