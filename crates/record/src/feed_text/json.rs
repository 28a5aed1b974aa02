//! Feeds as JSON: those of IODA and of Cloudflare Radar by their members, and rows of anybody's as a table.

use crate::foreign::json::{Json, without_lone_surrogates};
use crate::model::{Announcement, Place, Point, Series, Timestamp};

use super::table::{self, Row};
use super::{Taking, asn, country, time};

const IODA: &str = "ioda";
const RADAR: &str = "cloudflare-radar";

/// Values of one series that are taken: five minutes over ten years.
const VALUES: usize = 1 << 20;

pub(super) fn read(text: &str, taking: &mut Taking<'_>) -> Result<(), String> {
    let mended;
    let json = match serde_json::from_str::<Json<'_>>(text) {
        Ok(json) => json,
        Err(error) => {
            mended = without_lone_surrogates(text);
            serde_json::from_str(&mended).map_err(|_| format!("no JSON: {error}"))?
        }
    };
    if json.get("success").flag() == Some(false) {
        return Err("it is the report of an error and no data".into());
    }
    let result = if json.get("result").is_null() { &json } else { json.get("result") };
    for (key, take) in [("annotations", annotation as Take), ("trafficAnomalies", anomaly)] {
        if !result.get(key).is_null() {
            return result.get(key).elements().iter().try_for_each(|one| take(one, taking));
        }
    }
    if let Some(done) = radar_series(result, taking) {
        return done;
    }
    let list = if json.get("data").is_null() { &json } else { json.get("data") };
    let mut rows = Vec::new();
    flat(list, 0, &mut rows);
    if rows.first().is_some_and(|row| ioda(row).is_some()) {
        return rows.iter().try_for_each(|row| {
            let Some(take) = ioda(row) else {
                taking.odd.note("row of another kind than the first, left out", row.kind());
                return Ok(());
            };
            take(row, taking)
        });
    }
    if rows.is_empty() {
        return Err("it is neither IODA's nor Cloudflare Radar's, nor a list of rows".into());
    }
    of_rows(&rows, taking)
}

type Take = fn(&Json<'_>, &mut Taking<'_>) -> Result<(), String>;

/// Objects of a list, also of lists within it (IODA's signals).
fn flat<'j, 'a>(json: &'j Json<'a>, depth: u8, rows: &mut Vec<&'j Json<'a>>) {
    match json {
        Json::List(list) if depth < 3 => list.iter().for_each(|one| flat(one, depth + 1, rows)),
        Json::Object(_) if depth > 0 || ioda(json).is_some() => rows.push(json),
        _ => {}
    }
}

/// Which of IODA's rows this is.
fn ioda(row: &Json<'_>) -> Option<Take> {
    let has = |key: &str| !row.get(key).is_null();
    match () {
        () if has("values") && has("datasource") => Some(signal),
        () if has("start") && has("duration") && has("location") => Some(event),
        () if has("entity") && has("time") && has("level") => Some(alert),
        () => None,
    }
}

/// IODA's signal: values from a moment on, one a step.
fn signal(row: &Json<'_>, taking: &mut Taking<'_>) -> Result<(), String> {
    let word = |key: &str| row.get(key).word().unwrap_or_default();
    let entity = entity(word("entityType"), word("entityCode"), word("entityName"), word("entityFqid"));
    let seconds = |key: &str| row.get(key).whole::<i64>();
    let (Some(from), Some(step)) = (seconds("from"), seconds("step").filter(|&step| step > 0)) else {
        return Err("a signal of IODA's has no times".into());
    };
    let subtype = row.get("subtype").word().map_or_else(String::new, |subtype| format!(" {subtype}"));
    let series = Series {
        kind: taking.hints.kind,
        source: taking.source(Some(IODA))?,
        signal: format!("{}{subtype}", word("datasource")),
        unit: taking.hints.unit.clone(),
        step_ms: step.checked_mul(1_000),
        place: taking.place(entity)?,
    };
    for (number, value) in (0_i64..).zip(row.get("values").elements()).take(VALUES) {
        let at =
            number.checked_mul(step).and_then(|since| since.checked_add(from)).and_then(|at| at.checked_mul(1_000));
        if let (Some(at), Some(value)) = (at, value.number()) {
            taking.point(&series, Point { at: Timestamp::from_millisecond(at), value, baseline: None });
        }
    }
    Ok(())
}

/// IODA's names of places: a country, a region within one (`geo.provider.EU.ES.1007`), a network.
fn entity(kind: &str, code: &str, name: &str, id: &str) -> Place {
    match kind {
        "country" => Place { country: country(code), ..Place::default() },
        "asn" => Place { asn: asn(code.split('-').next().unwrap_or(code)), ..Place::default() },
        _ => Place {
            country: id.rsplit('.').nth(1).and_then(country),
            region: [name, code].into_iter().find(|text| !text.is_empty()).map(str::to_owned),
            asn: None,
        },
    }
}

/// IODA's outage: where, when, for how long, how grave.
fn event(row: &Json<'_>, taking: &mut Taking<'_>) -> Result<(), String> {
    let (kind, code) = row.get("location").word().and_then(|text| text.split_once('/')).unwrap_or_default();
    let seconds = |key: &str| row.get(key).number();
    let (Some(start), Some(duration)) = (seconds("start"), seconds("duration")) else {
        taking.odd.note("event without times, left out", row.get("location").text().unwrap_or_default());
        return Ok(());
    };
    let words = [row.get("datasource").word(), row.get("method").word()].into_iter().flatten().collect::<Vec<_>>();
    let one = Announcement {
        source: taking.source(Some(IODA))?,
        kind: "outage".into(),
        place: taking.place(entity(kind, code, row.get("location_name").word().unwrap_or_default(), ""))?,
        from: stamp(start),
        to: Some(stamp(start + duration)),
        cause: None,
        score: row.get("score").number(),
        words: (!words.is_empty()).then(|| words.join(" ")),
    };
    taking.announcements.push(one);
    Ok(())
}

/// IODA's alert: that a signal left its usual range, or came back.
fn alert(row: &Json<'_>, taking: &mut Taking<'_>) -> Result<(), String> {
    let of = row.get("entity");
    let word = |key: &str| of.get(key).word().unwrap_or_default();
    let fqid = of.get("attrs").get("fqid").word().unwrap_or_default();
    let level = row.get("level").word().unwrap_or_default();
    let Some(time) = row.get("time").number() else {
        taking.odd.note("alert without a time, left out", word("code"));
        return Ok(());
    };
    let values = [("value", "value"), ("historyValue", "usually")]
        .map(|(key, name)| row.get(key).number().map_or_else(String::new, |value| format!(", {name} {value}")));
    let one = Announcement {
        source: taking.source(Some(IODA))?,
        kind: "alert".into(),
        place: taking.place(entity(word("type"), word("code"), word("name"), fqid))?,
        from: stamp(time),
        to: None,
        cause: None,
        score: None,
        words: Some(format!("{} {level}{}", row.get("datasource").word().unwrap_or_default(), values.concat())),
    };
    taking.announcements.push(one);
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to what a time can be")]
fn stamp(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond((seconds * 1_000.0).clamp(-1.0e14, 1.0e14) as i64)
}

/// Cloudflare Radar's annotation of an outage: one for each network, or each country, that it names.
fn annotation(row: &Json<'_>, taking: &mut Taking<'_>) -> Result<(), String> {
    let asns = row.get("asns").elements().iter().filter_map(Json::whole::<u32>);
    let countries: Vec<String> =
        row.get("locations").elements().iter().filter_map(Json::text).filter_map(country).collect();
    let only = if countries.len() == 1 { countries.first().cloned() } else { None };
    let mut places: Vec<Place> =
        asns.map(|asn| Place { asn: Some(asn), country: only.clone(), region: None }).collect();
    if places.is_empty() {
        places.extend(countries.into_iter().map(|code| Place { country: Some(code), ..Place::default() }));
    }
    if places.is_empty() {
        places.push(Place::default());
    }
    let region = row.get("scope").word().map(str::to_owned);
    let outage = row.get("outage");
    let words = [outage.get("outageType").word(), row.get("description").word()];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
    for place in places {
        announce(
            taking,
            row,
            Place { region: region.clone(), ..place },
            row.get("eventType").word().unwrap_or("outage"),
            outage.get("outageCause").word(),
            &words,
        )?;
    }
    Ok(())
}

/// Cloudflare Radar's traffic anomaly.
fn anomaly(row: &Json<'_>, taking: &mut Taking<'_>) -> Result<(), String> {
    let network = row.get("asnDetails");
    let place = Place {
        country: [
            row.get("locationDetails").get("code"),
            network.get("locations").get("code"),
            network.get("location").get("code"),
        ]
        .into_iter()
        .find_map(|code| code.text().and_then(country)),
        region: None,
        asn: network.get("asn").text().and_then(asn).or_else(|| network.get("asn").whole()),
    };
    let seen: Vec<&str> = row.get("visibleInDataSources").elements().iter().filter_map(Json::text).collect();
    let words = [row.get("status").word().unwrap_or_default(), &seen.join(", ")].join(" ");
    announce(taking, row, place, "anomaly", None, words.trim())
}

fn announce(
    taking: &mut Taking<'_>,
    row: &Json<'_>,
    place: Place,
    kind: &str,
    cause: Option<&str>,
    words: &str,
) -> Result<(), String> {
    let Some(from) = row.get("startDate").text().and_then(time) else {
        taking.odd.note("event without a beginning, left out", row.get("id").text().unwrap_or_default());
        return Ok(());
    };
    let one = Announcement {
        source: taking.source(Some(RADAR))?,
        kind: kind.to_ascii_lowercase(),
        place: taking.place(place)?,
        from,
        to: row.get("endDate").text().and_then(time),
        cause: cause.map(str::to_owned),
        score: None,
        words: (!words.is_empty()).then(|| words.to_owned()),
    };
    taking.announcements.push(one);
    Ok(())
}

/// Cloudflare Radar's time series: lists of times and of values side by side.
fn radar_series(result: &Json<'_>, taking: &mut Taking<'_>) -> Option<Result<(), String>> {
    let is_series = |json: &Json<'_>| !json.get("timestamps").is_null();
    let found: Vec<_> = result.members().iter().filter(|(_, member)| is_series(member)).collect();
    (!found.is_empty())
        .then(|| found.iter().try_for_each(|(name, member)| radar_one(name, member, result.get("meta"), taking)))
}

fn radar_one(name: &str, member: &Json<'_>, meta: &Json<'_>, taking: &mut Taking<'_>) -> Result<(), String> {
    let unit = meta.get("normalization").word().or_else(|| meta.get("units").elements().first()?.get("value").word());
    let times: Vec<Option<Timestamp>> =
        member.get("timestamps").elements().iter().take(VALUES).map(|one| one.text().and_then(time)).collect();
    for (key, values) in member.members().iter().filter(|(key, _)| key != "timestamps") {
        let series = Series {
            kind: taking.hints.kind,
            source: taking.source(Some(RADAR))?,
            signal: if key == "values" { name.to_owned() } else { format!("{name} {key}") },
            unit: taking.hints.unit.clone().or_else(|| unit.map(str::to_owned)),
            step_ms: None,
            place: taking.place(Place::default())?,
        };
        for (at, value) in times.iter().zip(values.elements()) {
            if let (Some(at), Some(value)) = (*at, value.number()) {
                taking.point(&series, Point { at, value, baseline: None });
            }
        }
    }
    Ok(())
}

/// Rows of anybody's, as a table whose headings are their members' names.
fn of_rows(rows: &[&Json<'_>], taking: &mut Taking<'_>) -> Result<(), String> {
    let mut headings: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().take(100).flat_map(|row| row.members()) {
        if !headings.contains(&name.as_ref()) {
            headings.push(name);
        }
    }
    let cell = |row: &Json<'_>, name: &str| match row.get(name) {
        Json::Text(text) => text.to_string(),
        Json::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let cells = |row: &&Json<'_>| Row(headings.iter().map(|name| cell(row, name)).collect());
    let owned: Vec<String> = headings.iter().map(|name| (*name).to_owned()).collect();
    table::take(&owned, &mut || Box::new(rows.iter().map(cells)), taking)
}
