//! `analyzer cells`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use faultline_record::Measurement;
use serde_json::Value;
use support::{Folder, analyzer, blocked, reachable, run_id, silent};

/// The measurement, by another probe.
fn by(probe: u8, mut measurement: Measurement) -> Measurement {
    measurement.run = run_id(probe);
    measurement
}

/// The same, in another network.
fn abroad(asn: u32, country: &str, mut measurement: Measurement) -> Measurement {
    measurement.network.asn = Some(asn);
    measurement.network.country = Some(country.into());
    measurement
}

fn folder_of_four() -> (Folder, Vec<String>) {
    let folder = Folder::new();
    let files = vec![
        folder.database("a.sqlite", &[by(1, blocked(1, "x/web"))]),
        folder.database("b.sqlite", &[by(2, blocked(2, "x/web"))]),
        folder.database("c.sqlite", &[by(3, abroad(64_500, "DE", reachable(3, "x/web")))]),
        folder.database("d.sqlite", &[by(4, abroad(64_501, "FR", reachable(4, "x/web")))]),
    ];
    (folder, files)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn cells(files: &[String], more: &[&str]) -> support::Ran {
    let args: Vec<&str> =
        ["cells"].into_iter().chain(files.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    analyzer(&args)
}

#[test]
fn a_cell_names_what_it_rests_on_and_the_same_files_give_the_same_bytes() {
    let (_folder, files) = folder_of_four();
    for format in ["jsonl", "csv", "table"] {
        let first = cells(&files, &["--format", format]);
        assert_eq!(first.code, 0, "{}", first.stderr);
        assert_eq!(first.stdout, cells(&files, &["--format", format]).stdout);
        assert_eq!(first.stderr, "analyzer: 3 cells (4 files read twice)\n");
    }
    let all = lines(&cells(&files, &["--format", "jsonl"]).stdout);
    let here = all.iter().find(|cell| cell["country"] == "PK").unwrap();
    assert_eq!((&here["state"], &here["mechanism"]), (&"blocked".into(), &"tls.reset.sni".into()), "{here}");
    assert_eq!((&here["n"]["probes"], &here["existence"]), (&2.into(), &"shown".into()));
    assert_eq!(here["ruleset"], "1");
    for name in [&here["weights"], &here["references"]["context"], &here["references"]["fingerprints"]] {
        assert_eq!(name.as_str().unwrap().len(), 32, "{here}");
    }
}

#[test]
fn one_file_is_one_submitter_unless_its_runs_are_said_to_be_apart() {
    let folder = Folder::new();
    let file = folder.database("all.sqlite", &[by(1, blocked(1, "x/web")), by(2, blocked(2, "x/web"))]);
    let state = |more: &[&str]| {
        let args: Vec<&str> = [&["--format", "jsonl"], more].concat();
        lines(&cells(std::slice::from_ref(&file), &args).stdout)[0]["state"].clone()
    };
    assert_eq!(state(&[]), "insufficient");
    assert_eq!(state(&["--submitters", "run"]), "blocked");
    assert_eq!(state(&["--floor", "1"]), "blocked");
}

#[test]
fn what_others_reach_is_likely_blocked_where_it_is_silent() {
    let (folder, mut files) = folder_of_four();
    files.drain(..2);
    for probe in [5, 6] {
        files.push(folder.database(&format!("{probe}.sqlite"), &[by(probe, silent(probe, "x/web"))]));
    }
    let all = lines(&cells(&files, &["--format", "jsonl", "--by", "country"]).stdout);
    let here = all.iter().find(|cell| cell["country"] == "PK").unwrap();
    assert_eq!(
        (&here["state"], &here["existence"]),
        (&"insufficient".into(), &"claimed".into()),
        "one network is one voice"
    );
    let all = lines(&cells(&files, &["--format", "jsonl"]).stdout);
    let here = all.iter().find(|cell| cell["country"] == "PK").unwrap();
    assert_eq!((&here["state"], &here["cause"]), (&"likely_blocked".into(), &"interference".into()), "{here}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_count() {
    let (folder, mut files) = folder_of_four();
    files.push(folder.foreign("notes.sqlite"));
    let ran = cells(&files, &["--format", "jsonl"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (4, 3), "{}", ran.stderr);
    assert!(ran.stderr.contains("notes.sqlite"), "{}", ran.stderr);
}

#[test]
fn verdicts_in_context_are_those_alone_where_nobody_else_measured_and_name_the_context() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[blocked(1, "x/web"), reachable(2, "x/api"), silent(3, "x/app")]);
    let without_references = |mut line: Value| {
        line["verdict"]["references"] = Value::Null;
        line
    };
    let alone = lines(&analyzer(&["verdicts", &file, "--format", "jsonl"]).stdout);
    let in_context = lines(&analyzer(&["verdicts", "--context", &file, "--format", "jsonl"]).stdout);
    assert!(in_context.iter().all(|line| line["verdict"]["references"]["context"].is_string()));
    assert!(alone.iter().all(|line| line["verdict"]["references"]["context"].is_null()));
    let all = |lines: Vec<Value>| lines.into_iter().map(without_references).collect::<Vec<_>>();
    assert_eq!(all(in_context), all(alone));
}

#[test]
fn verdicts_in_context_rest_on_all_files_also_where_few_are_printed() {
    let (folder, mut files) = folder_of_four();
    files.drain(..2);
    files.push(folder.database("e.sqlite", &[by(5, silent(5, "x/web"))]));
    let mut args = vec!["verdicts", "--context", "--format", "jsonl", "--run"];
    let run = run_id(5).to_string();
    args.push(&run);
    args.extend(files.iter().map(String::as_str));
    let ran = analyzer(&args);
    let all = lines(&ran.stdout);
    assert_eq!(all.len(), 1, "{}", ran.stderr);
    assert_eq!(all[0]["verdict"]["state"], "likely_blocked", "{}", all[0]);
    assert!(ran.stdout.contains("context.reached_elsewhere"));
}

#[test]
fn a_file_that_one_merged_oneself_has_as_many_submitters_as_its_ledger() {
    let (folder, files) = folder_of_four();
    let merged = folder.path("merged.sqlite");
    let args: Vec<&str> = ["merge", &merged].into_iter().chain(files.iter().map(String::as_str)).collect();
    assert_eq!(analyzer(&args).code, 0);
    let here = |more: &[&str]| {
        let args: Vec<&str> = [&["--format", "jsonl"], more].concat();
        let all = lines(&cells(std::slice::from_ref(&merged), &args).stdout);
        let cell = all.iter().find(|cell| cell["country"] == "PK").unwrap();
        (cell["state"].clone(), cell["n"]["probes"].clone())
    };
    assert_eq!(here(&[]), ("insufficient".into(), 1.into()));
    assert_eq!(here(&["--submitters", "ledger"]), ("blocked".into(), 2.into()));
}

#[test]
fn the_same_measurement_in_two_files_is_one_voice() {
    let folder = Folder::new();
    let files = ["a.sqlite", "b.sqlite"].map(|name| folder.database(name, &[by(1, blocked(1, "x/web"))])).to_vec();
    let all = lines(&cells(&files, &["--format", "jsonl"]).stdout);
    assert_eq!((&all[0]["n"]["probes"], &all[0]["n"]["measurements"]), (&1.into(), &1.into()), "{}", all[0]);
}

#[test]
fn attack_a_stolen_id_does_not_push_a_measurement_out() {
    let folder = Folder::new();
    let mut files = vec![folder.database("0.sqlite", &[by(1, reachable(1, "x/web")), by(2, reachable(2, "x/web"))])];
    files.push(folder.database("a.sqlite", &[by(1, blocked(1, "x/web"))]));
    files.push(folder.database("b.sqlite", &[by(2, blocked(2, "x/web"))]));
    let all = lines(&cells(&files, &["--format", "jsonl"]).stdout);
    assert_eq!((&all[0]["state"], &all[0]["existence"]), (&"blocked".into(), &"shown".into()), "{}", all[0]);
    assert_eq!(all[0]["n"]["probes"], 3);
}
