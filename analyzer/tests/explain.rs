//! `analyzer explain`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use faultline_record::{Failure, Filter, Measurement, Outcome, Reader};
use faultline_verdict::{Fingerprints, State, judge_with, measurement_json, table};
use serde_json::Value;
use support::{Folder, analyzer, blocked, id, reachable, run_id, silent, unproven};

/// The text with its wrapping undone.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn explained(measurement: &Measurement) -> String {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", std::slice::from_ref(measurement));
    let ran = analyzer(&["explain", &measurement.id.to_string(), &file]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    unwrapped(&ran.stdout)
}

/// The positions of these texts, which must all be there, in this order.
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let at = text[from..].find(part);
        from += at.unwrap_or_else(|| panic!("{part:?} is missing after position {from} of:\n{text}"));
    }
}

#[test]
fn a_blocked_site_is_explained_down_to_the_rows() {
    let text = explained(&blocked(2, "x/web"));
    let origin = &table().rule("tls.sni_differential").origin;
    assert_in_order(
        &text,
        &[
            "x/web (https://x.com/)",
            "measured 2026-11-22T10:00:05.002Z from AS17557 Example Telecom, PK, mobile",
            "Verdict: blocked, ",
            "cause: interference",
            "mechanism: tls.reset.sni",
            "over ipv4: blocked",
            "1. tls.sni_differential, weight +",
            "settles the matter",
            "while an innocent name got an answer 3 of 3 times",
            "row 8: the target's name once more, TLS handshake with 192.0.2.7:443, name x.com offered, connection_reset after \
             21 ms, nothing came",
            &format!("weight from: {}", unwrapped(origin)),
            "health.proven, weight +0.00",
            "Seen besides",
            "row 1: question to the system's resolver for x.com (A), 192.0.2.7 after 21 ms",
            "The vantage itself",
            "4.5 s before: this connection works (2 of 2 controls answered)",
            "control by name control/iana of iana: works, after 50 ms",
            "24.0 s after: this connection works",
            "Not run, and so no evidence",
            "row 4: request for https://x.com/ at 192.0.2.7:443, not run: the step before it failed",
            "Where this comes from",
            &format!("measurement: {}", id(2)),
            &format!("run: {}", run_id(1)),
            "software: faultline-probe 0.1.0 on linux x86_64",
            "ended: completed",
            "lists: SHA-256 ",
            "list: pk.csv",
            "Settled",
        ],
    );
}

#[test]
fn every_row_a_finding_rests_on_is_told_and_no_row_is_left_out() {
    let measurement = blocked(2, "x/web");
    let text = explained(&measurement);
    for row in &measurement.observations {
        assert!(text.contains(&format!("row {}: ", row.seq)), "row {} is missing:\n{text}", row.seq);
    }
}

#[test]
fn what_is_not_settled_ends_with_what_would_settle_it() {
    for (measurement, state, advice) in [
        (silent(1, "a"), State::Impaired, "from another network and from another country"),
        (unproven(1, "a"), State::Insufficient, "Measure again: while the minute"),
        (without_follow_ups(blocked(1, "a")), State::LikelyBlocked, "Offer an innocent name"),
    ] {
        let text = explained(&measurement);
        assert_in_order(&text, &[&format!("({state})"), "Where this comes from", "What would settle it", advice]);
        assert!(!text.contains("Settled:"), "{text}");
    }
    assert!(explained(&reachable(1, "a")).ends_with("Settled: for this network at this time, nothing more is needed"));
}

fn without_follow_ups(mut measurement: Measurement) -> Measurement {
    measurement.observations.truncate(3);
    measurement
}

#[test]
fn json_is_the_measurement_with_its_provenance() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[blocked(2, "x/web")]);
    let ran = analyzer(&["explain", &id(2).to_string(), &file, "--json"]);
    let mut printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    let provenance = printed.as_object_mut().unwrap().remove("provenance").unwrap();
    let witnessed = Reader::open(file.as_ref()).unwrap().measurement(id(2)).unwrap().unwrap();
    assert_eq!(
        printed,
        measurement_json(&witnessed, &judge_with(Fingerprints::built_in(), &witnessed.measurement, &witnessed.witness))
    );
    assert_eq!(provenance["file"], file);
    assert_eq!(provenance["run"]["software_name"], "faultline-probe");
    assert_eq!(provenance["run_end"]["end"], "completed");
    assert_eq!(provenance["also_in"], Value::Array(Vec::new()));
}

#[test]
fn the_beginning_or_end_of_an_id_is_enough_where_it_is_unique() {
    let folder = Folder::new();
    let mut alone = reachable(1, "alone");
    alone.id = "0192f3a1-7b2c-7000-8000-000000000001".parse().unwrap();
    let first = folder.database("a.sqlite", &[alone.clone(), blocked(2, "x/web")]);
    let second = folder.database("b.sqlite", &[alone, blocked(3, "x/api")]);
    for part in ["0192f3a1-7b", "0192F3A17B", "0", "00000001"] {
        let ran = analyzer(&["explain", part, &first, &second]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.starts_with("alone (https://x.com/)"), "{}", ran.stdout);
        assert!(unwrapped(&ran.stdout).contains(&format!("also in: {second} (the same)")), "{}", ran.stdout);
    }
    let ran = analyzer(&["explain", "2222", &first, &second]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert_in_order(&ran.stderr, &["several measurements", &id(2).to_string(), "x/web", &id(3).to_string(), "x/api"]);
}

#[test]
fn the_same_id_with_other_content_in_another_file_is_said() {
    let folder = Folder::new();
    let mut other = blocked(2, "x/web");
    other.observations[2].outcome = Outcome::Failed(Failure::EofError);
    let first = folder.database("a.sqlite", &[blocked(2, "x/web")]);
    let second = folder.database("b.sqlite", &[other]);
    let ran = analyzer(&["explain", &id(2).to_string(), &first, &second]);
    assert!(
        unwrapped(&ran.stdout).contains(&format!("also in: {second} (NOT the same under this id)")),
        "{}",
        ran.stdout
    );
}

#[test]
fn an_id_that_is_nowhere_is_exit_3_and_one_that_is_none_is_usage() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[reachable(1, "a")]);
    for id in [id(9).to_string().as_str(), "99"] {
        let ran = analyzer(&["explain", id, &file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
        assert!(ran.stderr.starts_with("analyzer: no measurement with id "), "{}", ran.stderr);
    }
    assert_eq!(analyzer(&["explain", "x.com", &file]).code, 2);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_changes_the_exit_code() {
    let folder = Folder::new();
    let (file, foreign) = (folder.database("a.sqlite", &[reachable(1, "a")]), folder.foreign("f.sqlite"));
    let ran = analyzer(&["explain", "22", &foreign, &file]);
    assert_eq!(ran.code, 4);
    assert!(ran.stdout.starts_with("a (https://x.com/)"), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches(&foreign).count(), 1, "{}", ran.stderr);
    assert_eq!(analyzer(&["explain", "22", &foreign]).code, 3);
    // It may have held the measurement: "not there" would be too much to say.
    let absent = analyzer(&["explain", "99", &foreign, &file]);
    assert_eq!(absent.code, 4);
    assert!(!absent.stderr.contains("no measurement"), "{}", absent.stderr);
}

#[test]
fn explaining_changes_nothing_in_the_file() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[reachable(1, "a")]);
    let before = std::fs::read(&file).unwrap();
    analyzer(&["explain", "22", &file]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(Reader::open(file.as_ref()).unwrap().count(&Filter::default()).unwrap(), 1);
}
