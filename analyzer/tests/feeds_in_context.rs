//! Feeds of outages in the light of which verdicts, cells and explanations stand, run as a user runs them.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::path::PathBuf;

use faultline_record::feed_text::{self, Hints};
use faultline_record::{DnsRecord, Measurement, Place, SeriesKind, StepData, Timestamp};
use faultline_verdict::{Context, ControlState, NetworkKey, Submitter, Teller};
use serde_json::Value;
use support::{Folder, Ran, analyzer, blocked, id, reachable, run_id, silent};

/// An outage of the network of the measurements, in their hour, as Cloudflare Radar tells of one.
const RADAR: &str = r#"{"result": {"annotations": [{"asns": [17557], "locations": ["PK"], "eventType": "OUTAGE",
    "outage": {"outageCause": "CABLE_CUT"}, "startDate": "2026-11-22T08:00:00Z", "endDate": "2026-11-22T12:00:00Z"}]}}"#;

/// The same, as IODA tells of one: from 08:00 for four hours.
const IODA: &str = r#"{"data": [{"location": "asn/17557", "start": 1795334400, "duration": 14400, "datasource": "bgp", "score": 900.0}]}"#;

fn feed(folder: &Folder, name: &str, text: &str) -> String {
    let (path, database) = (folder.path(&format!("{name}.json")), folder.path(&format!("{name}.sqlite")));
    std::fs::write(&path, text).unwrap();
    let ran = analyzer(&["import", "--format", "outages", "--db", &database, &path]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    database
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verdicts(args: &[&str]) -> Vec<Value> {
    let ran = analyzer(&[&["verdicts", "--context", "--format", "jsonl"], args].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    lines(&ran)
}

/// Of the measurement of that number.
fn state_and_cause(verdicts: &[Value], number: u8) -> (String, String) {
    let verdict = verdicts.iter().find(|verdict| verdict["id"] == id(number).to_string()).unwrap();
    let word = |at: &str| verdict.pointer(at).unwrap().as_str().unwrap().to_owned();
    (word("/verdict/state"), word("/verdict/cause"))
}

/// The measurement, by another probe in another network.
fn abroad(probe: u8, asn: u32, country: &str, mut measurement: Measurement) -> Measurement {
    measurement.run = run_id(probe);
    measurement.network.asn = Some(asn);
    measurement.network.country = Some(country.into());
    measurement
}

/// The same at an address that can be public: no outage explains one that cannot.
fn public(mut measurement: Measurement) -> Measurement {
    let address = "104.244.42.1".parse().unwrap();
    for row in &mut measurement.observations {
        row.address = row.address.map(|_| address);
        if let StepData::Dns(dns) = &mut row.data {
            dns.answers[0].record = DnsRecord::Address(address);
        }
    }
    measurement
}

/// One that is silent and one that is blocked here, and two others that reach it.
fn world(folder: &Folder) -> Vec<String> {
    vec![
        folder.database("a.sqlite", &[public(silent(1, "x/web")), public(blocked(2, "x/web"))]),
        folder.database("b.sqlite", &[abroad(3, 64_500, "DE", reachable(3, "x/web"))]),
        folder.database("c.sqlite", &[abroad(4, 64_501, "FR", reachable(4, "x/web"))]),
    ]
}

fn args(files: &[String]) -> Vec<&str> {
    files.iter().map(String::as_str).collect()
}

#[test]
fn a_feed_that_is_vouched_for_takes_back_what_is_likely_and_not_what_is_settled() {
    let folder = Folder::new();
    let (files, ioda) = (world(&folder), feed(&folder, "ioda", IODA));
    let of = |more: &[&str]| verdicts(&[&args(&files), more].concat());
    assert_eq!(state_and_cause(&of(&[]), 1), ("likely_blocked".into(), "interference".into()));
    let with = of(&["--feeds", &ioda]);
    assert_eq!(state_and_cause(&with, 1), ("impaired".into(), "isp".into()));
    assert_eq!(state_and_cause(&with, 2), ("blocked".into(), "interference".into()));
    let context = |verdicts: &[Value]| verdicts[0]["verdict"]["references"]["context"].clone();
    assert_ne!(context(&with), context(&of(&[])));
    assert_eq!(with, of(&["--feeds", &ioda]));
}

#[test]
fn attack_a_feed_in_a_strangers_file_counts_only_with_another_source_of_another_submitter() {
    let folder = Folder::new();
    let (files, ioda, radar) = (world(&folder), feed(&folder, "ioda", IODA), feed(&folder, "radar", RADAR));
    let state = |more: &[&str]| state_and_cause(&verdicts(&[&args(&files), more].concat()), 1).0;
    assert_eq!(state(&[&ioda]), "likely_blocked");
    assert_eq!(state(&[&radar]), "likely_blocked");
    assert_eq!(state(&[&ioda, &radar]), "impaired");
    let both = folder.path("both.sqlite");
    assert_eq!(analyzer(&["merge", &both, &ioda, &radar]).code, 0);
    assert_eq!(state(&[&both]), "likely_blocked", "one file is one submitter's");
}

#[test]
fn cells_tell_what_feeds_say_of_their_place_and_hours() {
    let folder = Folder::new();
    let (files, radar) = (world(&folder), feed(&folder, "radar", RADAR));
    let cells = |format: &str, more: &[&str]| {
        let ran = analyzer(&[&["cells", "--format", format], args(&files).as_slice(), more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    };
    let of = |more: &[&str], country: &str| {
        let all = lines(&cells("jsonl", more));
        all.into_iter().find(|cell| cell["country"] == country).unwrap()["feeds"].clone()
    };
    let told = of(&["--feeds", &radar], "PK");
    assert_eq!((&told["state"], &told["words"][0]["source"]), (&"agrees".into(), &"cloudflare-radar".into()), "{told}");
    assert!(told["words"][0]["text"].as_str().unwrap().contains("CABLE_CUT"), "{told}");
    assert_eq!(of(&["--feeds", &radar], "DE")["state"], "absent");
    assert_eq!(of(&[], "PK")["state"], "absent");
    let table = cells("table", &["--feeds", &radar]).stdout;
    assert!(table.contains("an outage (cloudflare-radar)"), "{table}");
    assert!(cells("csv", &["--feeds", &radar]).stdout.lines().next().unwrap().ends_with(",feeds"));
}

#[test]
fn explain_in_context_tells_each_answer_its_source_its_age_and_the_verdict_without_it() {
    let folder = Folder::new();
    let (files, ioda) = (world(&folder), feed(&folder, "ioda", IODA));
    let explain = |more: &[&str]| {
        let whole = id(1).to_string();
        let ran =
            analyzer(&[&["explain", &whole, "--context", "--feeds", &ioda], args(&files).as_slice(), more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let text = explain(&[]).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Verdict: not working (impaired)",
        "What others say",
        "without any of them: not working (impaired), cause unknown",
        "endpoint: disagrees",
        "source: AS64500 (DE, mobile), AS64501 (FR, mobile); age: 1 h at most",
        "outage feeds: agrees",
        "ioda: outage of AS17557 from 2026-11-22T08:00:00.000Z to 2026-11-22T12:00:00.000Z, bgp",
        "source: ioda; age: 2 h at most",
        "used (context.feeds_tell_outage); without it: likely blocked (likely_blocked), cause interference",
        "past: absent nobody says anything of it",
        "demand feeds: beside",
        "weights: ",
        "context: ",
    ] {
        assert!(text.contains(part), "{part:?} is missing of:\n{text}");
    }
    let json: Value = serde_json::from_str(&explain(&["--json"])).unwrap();
    assert_eq!(json["verdict"]["state"], "impaired");
    let context = &json["context"];
    assert_eq!(context["without_context"]["cause"], "unknown");
    let entries = context["entries"].as_array().unwrap();
    let feeds = entries.iter().find(|entry| entry["question"] == "outage_feeds").unwrap();
    assert_eq!((&feeds["state"], &feeds["used"]), (&"agrees".into(), &true.into()), "{feeds}");
    assert_eq!(feeds["without_it"]["state"], "likely_blocked");
    assert!(entries.iter().all(|entry| entry["state"].is_string() || entry["question"] == "demand_feeds"));
}

#[test]
fn what_is_told_beside_is_said_to_have_moved_nothing() {
    let folder = Folder::new();
    let files = [folder.database("a.sqlite", &[public(silent(1, "x/web"))]), feed(&folder, "ioda", IODA)];
    let whole = id(1).to_string();
    let ran = analyzer(&[&["explain", whole.as_str(), "--context"], args(&files).as_slice()].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("told (context.feed_claims_outage), and moved nothing"), "{text}");
    assert!(text.contains("outage feeds: absent"), "{text}");
}

#[test]
fn explain_in_context_of_what_works_says_that_nobody_was_asked() {
    let folder = Folder::new();
    let mut works = reachable(1, "x/web");
    if let StepData::Http(http) = &mut works.observations.last_mut().unwrap().data {
        // Kept, and read for an explanation alone.
        (http.body, http.body_length) = (Some(b"a page"[..].into()), 6);
    }
    let file = folder.database("a.sqlite", &[works]);
    let ran = analyzer(&["explain", &id(1).to_string(), "--context", &file]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("others are asked only where something failed"), "{}", ran.stdout);
}

#[test]
fn feeds_that_cannot_be_read_are_no_feeds_that_say_nothing() {
    let folder = Folder::new();
    let (files, foreign) = (world(&folder), folder.foreign("feeds.sqlite"));
    let ran = analyzer(&[&["cells", "--feeds", &foreign], args(&files).as_slice()].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("feeds.sqlite") && ran.stderr.contains("--feeds"), "{}", ran.stderr);
}

#[test]
fn the_shutdown_of_iran_in_january_2026_is_in_iodas_sample_and_the_weeks_before_are_not() {
    let Some(sample) = iran() else { return };
    let folder = Folder::new();
    let feeds = folder.path("feeds.sqlite");
    let import = ["import", "--format", "outages", "--country", "IR", "--db", &feeds, sample.to_str().unwrap()];
    assert_eq!(analyzer(&import).code, 0);
    let measured = |number: u8, day: &str| {
        let mut measurement = abroad(number, 58_224, "IR", public(silent(number, "x/web")));
        measurement.started_at = format!("2026-01-{day}T15:10:00Z").parse::<Timestamp>().unwrap();
        folder.database(&format!("{number}.sqlite"), &[measurement])
    };
    let cause =
        |number: u8, day: &str| state_and_cause(&verdicts(&[&measured(number, day), "--feeds", &feeds]), number).1;
    assert_eq!(cause(5, "05"), "unknown");
    assert_eq!(cause(6, "09"), "isp");
    assert_eq!(cause(7, "10"), "isp");
}

#[test]
fn signals_of_iran_tell_of_an_outage_in_nearly_every_hour_of_the_shutdown_and_in_few_before() {
    let Some(sample) = iran() else { return };
    let place = Place { country: Some("IR".into()), ..Place::default() };
    let hints = Hints { kind: SeriesKind::Connectivity, source: None, place, unit: None };
    let read = feed_text::read(&std::fs::read(sample).unwrap(), &hints).unwrap();
    let mut context = Context::new();
    let own = Teller { submitter: Submitter(0), is_vouched: true };
    for (of, points) in &read.feed.series {
        context.add_series(of, points, own);
    }
    let country = NetworkKey { country: "IR".into(), ..NetworkKey::default() };
    let told = |from: &str, hours: i64| {
        let begin: Timestamp = from.parse().unwrap();
        let hour = |hour: i64| Timestamp::from_millisecond(begin.as_millisecond() + hour * 3_600_000);
        let is_told =
            |&at: &Timestamp| context.feed_state(&context.feed_words(&country, at, at)) == ControlState::Agrees;
        (0..hours).map(hour).filter(is_told).count()
    };
    let (before, during) = (told("2025-12-10T00:00:00Z", 28 * 24), told("2026-01-09T00:00:00Z", 7 * 24));
    eprintln!("outages told in {before} of 672 hours before, and in {during} of 168 of the shutdown");
    assert!(during >= 160, "{during}");
    assert!(before <= 6, "{before}");
}

/// IODA's sample, where it is.
fn iran() -> Option<PathBuf> {
    let sample = std::env::var_os("FAULTLINE_SHARED_DATA")
        .map(|data| PathBuf::from(data).join("events/ioda-iran-2025-12-to-2026-01.csv"))
        .filter(|sample| sample.is_file());
    if sample.is_none() {
        eprintln!("skipped: FAULTLINE_SHARED_DATA names no folder with samples of feeds");
    }
    sample
}
