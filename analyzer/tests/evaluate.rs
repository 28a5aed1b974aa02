//! `analyzer evaluate`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::fs;

use faultline_record::{Failure, Outcome};
use serde_json::{Value, json};
use support::{Folder, Ran, analyzer, bare, blocked, id, reachable, silent, unproven};

/// A label of a measurement; what is given overrides that the site works.
fn label(number: u8, changes: &Value) -> String {
    let mut label = json!({
        "schema": "faultline/label/1", "measurement": id(number), "scenario": "a", "family": "healthy", "split": "train",
        "seed": 1, "vantage": "home", "phase": "now", "input": "https://x.com/", "state": "ok", "accept": ["ok"],
        "cause": "none", "accept_causes": ["none"], "causes": ["none"], "mechanisms": [], "locus": null
    });
    for (key, value) in changes.as_object().unwrap() {
        label[key] = value.clone();
    }
    label.to_string() + "\n"
}

fn reset(number: u8) -> String {
    let truth = json!({
        "family": "reset", "scenario": "b", "state": "blocked", "accept": ["blocked"], "cause": "interference",
        "accept_causes": ["interference"], "causes": ["interference"], "mechanisms": ["tls.reset"]
    });
    label(number, &truth)
}

fn outage(number: u8) -> String {
    let truth = json!({
        "family": "outage", "scenario": "c", "split": "test", "state": "insufficient", "accept": ["insufficient"],
        "cause": "isp", "accept_causes": ["isp", "unknown"], "causes": ["isp"]
    });
    label(number, &truth)
}

/// A folder of two databases and labels: a reachable site, a blocked one, one at a minute that was not proven, and a
/// silent one whose label (blocked) the verdict (impaired) does not meet.
fn world() -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path("one")).unwrap();
    fs::create_dir(folder.path("two")).unwrap();
    folder.database("one/home.sqlite", &[reachable(1, "a"), blocked(2, "b")]);
    folder.database("two/home.sqlite", &[unproven(3, "c"), silent(4, "d"), blocked(2, "b")]);
    fs::write(folder.path("one/labels.jsonl"), label(1, &json!({})) + &reset(2)).unwrap();
    fs::write(folder.path("two/labels.jsonl"), outage(3) + "\n" + &reset(4)).unwrap();
    folder
}

fn evaluate(folder: &Folder, more: &[&str]) -> Ran {
    let root = folder.path("");
    analyzer(&[&["evaluate", &root, "--labels", &root], more].concat())
}

fn scores(folder: &Folder) -> Value {
    let ran = evaluate(folder, &["--format=json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// `k/n` of a figure.
fn share(scores: &Value, pointer: &str) -> String {
    let share = scores.pointer(pointer).unwrap();
    format!("{}/{}", share["k"], share["n"])
}

#[test]
fn verdicts_are_matched_with_labels_and_scored_by_split() {
    let scores = scores(&world());
    assert_eq!(scores["schema"], "faultline/evaluation/1");
    assert_eq!(scores["basis"]["labelled"], 4);
    assert_eq!((&scores["basis"]["measurements_again"], &scores["basis"]["files"]), (&json!(1), &json!(2)));
    let at = |pointer: &str| share(&scores, pointer);
    assert_eq!((at("/all/detection/accept"), at("/splits/train/detection/accept")), ("3/4".into(), "2/3".into()));
    assert_eq!((at("/all/detection/sensitivity"), at("/all/detection/specificity")), ("1/2".into(), "2/2".into()));
    assert_eq!(at("/splits/test/detection/outage_called_blocking"), "0/1");
    assert_eq!(at("/all/mechanisms/layer"), "1/2");
    assert_eq!(scores["all"]["states"]["blocked"], json!({"blocked": 1, "impaired": 1}));
    assert_eq!(scores["families"][0]["family"], "reset");
    assert_eq!((&scores["wrong"][0]["example"], &scores["wrong"][0]["n"]), (&json!(id(4)), &json!(1)));
}

#[test]
fn the_baseline_calls_an_outage_blocking_where_we_do_not() {
    let scores = scores(&world());
    assert_eq!(share(&scores, "/all/baseline/sensitivity"), "2/2");
    assert_eq!(share(&scores, "/all/baseline/outage_called_blocking"), "1/1");
    assert_eq!(share(&scores, "/all/baseline/specificity"), "1/2");
}

#[test]
fn an_empty_answer_for_one_family_is_no_failure_to_the_baseline_and_no_answer_at_all_is() {
    let folder = Folder::new();
    let mut no_ipv6 = reachable(1, "a");
    let mut empty = no_ipv6.observations[0].clone();
    (empty.seq, empty.outcome) = (9, Outcome::Failed(Failure::DnsNoAnswer));
    no_ipv6.observations.push(empty.clone());
    let mut nothing = bare(2, "b", "https://x.com/");
    nothing.observations.push(empty);
    folder.database("a.sqlite", &[no_ipv6, nothing]);
    fs::write(folder.path("labels.jsonl"), label(1, &json!({})) + &label(2, &json!({}))).unwrap();
    assert_eq!(share(&scores(&folder), "/all/baseline/specificity"), "1/2");
}

#[test]
fn the_page_is_the_same_bytes_every_time_and_can_go_to_a_file() {
    let folder = world();
    let (once, again) = (evaluate(&folder, &[]), evaluate(&folder, &["-o", &folder.path("page.md")]));
    assert_eq!((once.code, again.code, again.stdout.as_str()), (0, 0, ""));
    assert_eq!(once.stdout, fs::read_to_string(folder.path("page.md")).unwrap());
    let rests = "It rests on 4 labelled measurements (1 marked test, 3 marked train) from 3 worlds of 3 scenarios in 3 \
                 families; 2 files read.";
    assert!(once.stdout.contains(rests), "{}", once.stdout);
    assert!(once.stdout.contains("Worst families: reset (1/2 = 0.500).\n"), "{}", once.stdout);
}

#[test]
fn what_has_no_label_and_what_has_no_measurement_is_counted() {
    let folder = world();
    fs::write(folder.path("two/labels.jsonl"), outage(3) + &outage(9) + &outage(3)).unwrap();
    let basis = scores(&folder)["basis"].clone();
    assert_eq!((&basis["labelled"], &basis["unlabelled"]), (&json!(3), &json!(1)));
    assert_eq!((&basis["missing"], &basis["labels_again"]), (&json!(1), &json!(1)));
}

#[test]
fn a_bad_label_is_an_error_that_names_the_file_and_the_line() {
    let folder = world();
    fs::write(folder.path("two/labels.jsonl"), outage(3) + "{\"schema\": 1}\n").unwrap();
    let ran = evaluate(&folder, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("two/labels.jsonl:2: "), "{}", ran.stderr);
}

#[test]
fn where_no_label_fits_nothing_is_scored() {
    let folder = Folder::new();
    let database = folder.database("a.sqlite", &[reachable(1, "a")]);
    fs::write(folder.path("x.jsonl"), outage(9)).unwrap();
    let ran = analyzer(&["evaluate", &database, "--labels", &folder.path("x.jsonl")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert_eq!(ran.stderr, "analyzer: nothing to score: 1 label, 1 measurement, and none in common\n");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_rest_is_scored() {
    let folder = world();
    folder.foreign("one/x.sqlite");
    let ran = evaluate(&folder, &["--format", "json"]);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("x.sqlite"), "{}", ran.stderr);
    let scores: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&scores["basis"]["files"], &scores["basis"]["labelled"]), (&json!(2), &json!(4)));
}

#[test]
fn committed_figures_hold_until_one_drops() {
    let folder = world();
    let check = folder.path("figures.json");
    assert_eq!(evaluate(&folder, &["--write-check", &check]).code, 0);
    let same = evaluate(&folder, &["--check", &check]);
    assert_eq!((same.code, same.stderr.as_str()), (0, "analyzer: 0 of 10 figures worse than committed\n"));
    // The sites of one/ are now outages by their labels: verdicts that were right are wrong, and all of train.
    let down = |label: String| label.replace("[\"blocked\"]", "[\"down\"]").replace("[\"ok\"]", "[\"down\"]");
    fs::write(folder.path("one/labels.jsonl"), down(label(1, &json!({}))) + &down(reset(2))).unwrap();
    let worse = evaluate(&folder, &["--check", &check]);
    assert_eq!(worse.code, 1);
    assert!(worse.stdout.starts_with("# Evaluation\n"));
    // Two measurements of the other family tell nothing, where half of them were right before.
    let lines = "analyzer: train: accept 0.000 (0/3, 0.000 to 0.561), committed 0.667, tolerance 0.020\n\
                 analyzer: family healthy: accept 0.000 (0/1, 0.000 to 0.793), committed 1.000, tolerance 0.020\n\
                 analyzer: 2 of 10 figures worse than committed\n";
    assert_eq!(worse.stderr, lines);
}
