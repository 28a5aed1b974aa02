//! `analyzer verdicts`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::io::Read;
use std::process::Stdio;

use faultline_record::{Filter, Measurement, Reader, Witnessed};
use faultline_verdict::{Fingerprints, judge_with, verdict_json};
use serde_json::Value;
use support::{Folder, analyzer, bare, blocked, command, id, ran, reachable, run_id, silent, unproven};

/// Two files that share one measurement: four in all, of four states.
fn two_files(folder: &Folder) -> (String, String) {
    let shared = blocked(2, "x/web");
    let first = folder.database("a.sqlite", &[reachable(1, "wikipedia.org"), shared.clone()]);
    let second = folder.database("b.sqlite", &[shared, unproven(3, "x/api"), silent(4, "signal/chat")]);
    (first, second)
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn judged(file: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let reader = Reader::open(file.as_ref()).unwrap();
    let end = reader.for_each(&Filter::default(), |witnessed: Witnessed| {
        all.push(verdict_json(
            &witnessed,
            &judge_with(Fingerprints::built_in(), &witnessed.measurement, &witnessed.witness),
        ));
        std::ops::ControlFlow::<()>::Continue(())
    });
    assert_eq!(end.unwrap(), None);
    all
}

#[test]
fn a_measurement_in_two_files_is_printed_once_and_the_count_says_so() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let ran = analyzer(&["verdicts", &first, &second, "--format", "jsonl"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ids: Vec<Value> = json_lines(&ran.stdout).into_iter().map(|line| line["id"].clone()).collect();
    assert_eq!(ids, [1, 2, 4, 3].map(|number| Value::from(id(number).to_string())));
    assert_eq!(
        ran.stderr,
        "analyzer: 4 measurements: 1 blocked, 1 not working, 1 not known, 1 reachable (2 files read to the end); 1 measurement met again and \
         counted once\n"
    );
}

#[test]
fn json_lines_are_what_judging_the_same_facts_gives() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    for file in [&first, &second] {
        let ran = analyzer(&["verdicts", file, "--format=jsonl"]);
        assert_eq!(json_lines(&ran.stdout), judged(file));
    }
    let states: Vec<Value> = judged(&second).iter().map(|line| line["verdict"]["state"].clone()).collect();
    assert_eq!(states, ["blocked", "impaired", "insufficient"]);
}

#[test]
fn the_same_files_give_the_same_bytes_in_every_format() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    for format in ["table", "jsonl", "csv"] {
        let args = ["verdicts", &first, &second, "--format", format];
        let (once, again) = (analyzer(&args), analyzer(&args));
        assert_eq!(once.stdout, again.stdout, "{format}");
        assert!(once.stdout.lines().count() >= 4, "{format}: {}", once.stdout);
    }
}

#[test]
fn csv_is_flat_with_a_header_and_agrees_with_the_json() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let ran = analyzer(&["verdicts", &first, &second, "--format", "csv"]);
    let mut rows = csv::Reader::from_reader(ran.stdout.as_bytes());
    let header = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| rows[row][header.iter().position(|known| known == name).unwrap()].to_owned();
    assert_eq!(rows.len(), 4);
    assert_eq!(cell(1, "id"), id(2).to_string());
    assert_eq!(cell(1, "state"), "blocked");
    assert_eq!(cell(1, "mechanisms"), "tls.reset.sni");
    assert_eq!(cell(1, "asn"), "17557");
    assert_eq!(cell(1, "state_ipv4"), "blocked");
    assert_eq!(cell(1, "state_ipv6"), "");
    assert_eq!(cell(1, "p_blocked"), judged(&first)[1]["verdict"]["p"]["blocked"].to_string());
    assert!(cell(1, "rules").starts_with("tls.sni_differential;"), "{}", cell(1, "rules"));
    assert_eq!(cell(0, "local_health"), "ok");
    assert_eq!(cell(3, "local_health"), "");
}

#[test]
fn without_a_terminal_a_table_is_plain_lines_of_eight_fields() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let ran = analyzer(&["verdicts", &first, &second]);
    let lines: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|fields| fields.len() == 8), "{}", ran.stdout);
    let (known, started) = (id(2).to_string(), "2026-11-22T10:00:05.002Z");
    let network = "AS17557 Example Telecom, PK, mobile";
    assert_eq!(lines[1][..7], ["x/web", "blocked", "tls.reset.sni", "99%", &known, started, network]);
    assert!(lines[1][7].contains("(connection_reset)"), "{}", lines[1][7]);
    assert_eq!(lines[3][1..4], ["insufficient", "-", "-"]);
}

#[test]
fn states_targets_and_runs_can_be_chosen_by_option_or_environment() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let other_run = Measurement { run: run_id(9), ..reachable(5, "x/web") };
    let third = folder.database("c.sqlite", &[other_run]);
    let ids = |extra: &[&str]| -> Vec<String> {
        let args = [&["verdicts", &first, &second, &third, "--format", "jsonl"], extra].concat();
        let ran = analyzer(&args);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        json_lines(&ran.stdout).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    };
    let known = |numbers: &[u8]| numbers.iter().map(|&number| id(number).to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&["--state", "blocked"]), known(&[2]));
    assert_eq!(ids(&["--state", "blocked,ok"]), known(&[1, 2, 5]));
    assert_eq!(ids(&["--state", "blocked", "--state", "impaired"]), known(&[2, 4]));
    assert_eq!(ids(&["--target", "X/*"]), known(&[2, 3, 5]));
    assert_eq!(ids(&["--target", "X/*", "--state", "ok"]), known(&[5]));
    assert_eq!(ids(&["--run", &run_id(9).to_string()]), known(&[5]));
    assert_eq!(ids(&["--run", &run_id(8).to_string()]), known(&[]));
    let from_environment = ran(&command(&["verdicts"])
        .env("FAULTLINE_DB", &first)
        .env("FAULTLINE_STATE", "ok")
        .env("FAULTLINE_FORMAT", "jsonl")
        .output()
        .unwrap());
    assert_eq!(json_lines(&from_environment.stdout).len(), 1, "{}", from_environment.stderr);
}

#[test]
fn a_bad_file_among_good_ones_is_named_and_the_good_ones_are_read() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let (foreign, absent) = (folder.foreign("foreign.sqlite"), folder.path("absent.sqlite"));
    let ran = analyzer(&["verdicts", &first, &foreign, &absent, &second, "--format", "jsonl"]);
    assert_eq!(ran.code, 4);
    assert_eq!(ran.stdout.lines().count(), 4);
    assert!(ran.stderr.contains(&format!("analyzer: {foreign}: this is not a Faultline database")), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("analyzer: {absent}: there is no such file")), "{}", ran.stderr);
    assert!(ran.stderr.contains("(2 files read to the end)"), "{}", ran.stderr);
}

#[test]
fn damaged_altered_and_newer_files_are_told_apart() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let whole = std::fs::read(&second).unwrap();
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(folder.path(name), bytes).unwrap();
        folder.path(name)
    };
    let cases = [
        (changed("cut.sqlite", &|bytes| bytes.truncate(whole.len() / 2)), "the database is damaged"),
        // Byte 63 is the last of `user_version` (https://sqlite.org/fileformat2.html, 1.3).
        (changed("newer.sqlite", &|bytes| bytes[63] = 99), "format 99 is newer"),
        (
            changed("value.sqlite", &|bytes| replace(bytes, b"connection_reset", b"connection_rezet")),
            "connection_rezet",
        ),
    ];
    for (file, reason) in cases {
        let ran = analyzer(&["verdicts", &file, &first, "--format", "jsonl"]);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        let named = ran.stderr.lines().next().unwrap();
        assert!(named.contains(&format!("analyzer: {file}: ")) && named.contains(reason), "{named}");
        assert_eq!(json_lines(&ran.stdout).len(), 2, "the other file is read all the same");
    }
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at: Vec<usize> = (0..bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    assert!(!at.is_empty());
    for at in at {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}

#[test]
fn when_nothing_can_be_read_the_exit_code_is_3_and_nothing_is_claimed() {
    let folder = Folder::new();
    let foreign = folder.foreign("foreign.sqlite");
    let empty = folder.path("empty");
    std::fs::create_dir(&empty).unwrap();
    for file in [foreign.as_str(), &folder.path("absent.sqlite"), &empty] {
        let ran = analyzer(&["verdicts", file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{file}");
        assert!(ran.stderr.starts_with(&format!("analyzer: {file}: ")), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for args in [&["verdicts"][..], &["verdicts", "a", "--state", "fine"], &["verdicts", "a", "--run", "x"], &["tell"]]
    {
        let ran = analyzer(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
    }
    assert!(analyzer(&["verdicts", "a", "--state", "fine"]).stderr.contains("likely_blocked"));
}

#[test]
fn a_reader_that_goes_away_early_is_no_error() {
    let folder = Folder::new();
    // Far more than a pipe and our own buffer hold.
    let many: Vec<Measurement> = (0..=255).map(|number| reachable(number, &"x".repeat(2_000))).collect();
    let file = folder.database("many.sqlite", &many);
    for format in ["table", "jsonl", "csv"] {
        let mut child = command(&["verdicts", &file, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ran = ran(&child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{format}");
    }
}

#[test]
fn ctrl_c_ends_at_a_whole_line_with_130() {
    let folder = Folder::new();
    let many: Vec<Measurement> = (0..=255).map(|number| reachable(number, &"x".repeat(2_000))).collect();
    let file = folder.database("many.sqlite", &many);
    let mut child = command(&["verdicts", &file, "--format", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = vec![0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut text).unwrap();
    // It has begun, and stands still as soon as the pipe is full, long before the end: the signal comes in between.
    let kill = format!("kill -INT {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    stdout.read_to_end(&mut text).unwrap();
    let ran = ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(ran.stderr.ends_with("analyzer: interrupted; there are more\n"), "{}", ran.stderr);
    let lines = json_lines(std::str::from_utf8(&text).unwrap());
    assert!((1..256).contains(&lines.len()), "{} lines", lines.len());
}

#[test]
fn nobody_listening_to_the_talk_is_no_error() {
    let folder = Folder::new();
    let (first, _) = two_files(&folder);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = ran(&command(&["verdicts", &first, &folder.path("absent")]).stderr(writer).output().unwrap());
    assert_eq!((ran.code, ran.stdout.lines().count()), (4, 2));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_a_storage_error() {
    let folder = Folder::new();
    let (first, _) = two_files(&folder);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = ran(&command(&["verdicts", &first]).stdout(full).output().unwrap());
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.starts_with("analyzer: failed to write the output: "), "{}", ran.stderr);
}

#[test]
fn names_in_a_strangers_file_cannot_steer_a_terminal() {
    let folder = Folder::new();
    let mut forged = bare(1, "x\u{1b}[2J\n", "https://x.com/");
    forged.network.as_name = Some("\u{1b}]0;owned\u{7}".into());
    let file = folder.database("a.sqlite", &[forged]);
    for args in [["verdicts", &file].as_slice(), &["explain", &id(1).to_string(), &file]] {
        let ran = analyzer(args);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains(r"\u{1b}[2J"), "{}", ran.stdout);
        assert!(!ran.stdout.chars().any(|c| c.is_control() && !"\n\t".contains(c)), "{:?}", ran.stdout);
    }
}
