//! The unmodified probe in the scenarios that everything else builds upon: what it prints is compared with the truth,
//! once, without retries. All scenarios together are the benchmark (`testbed benchmark`), which is scored.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use common::{beside, can_run, probe, testbed};

fn run(arguments: &[&str]) -> Output {
    testbed().arg("run").args(arguments).env(testbed::measure::PROBE_VARIABLE, probe()).output().unwrap()
}

fn agrees_with_the_truth(scenario: &str) {
    if !can_run() {
        return;
    }
    let output = run(&[scenario]);
    let (said, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{talk}");
}

macro_rules! scenarios {
    ($($test:ident: $scenario:literal;)*) => {
        $(
            #[test]
            fn $test() {
                agrees_with_the_truth($scenario);
            }
        )*
    };
}

scenarios! {
    a_clean_network_is_ok: "clean";
    a_denied_name_is_blocked: "dns-nxdomain";
    a_forged_private_address_is_blocked: "dns-bogon";
    silence_at_all_addresses_of_a_great_service_is_likely_blocked: "ip-drop";
    a_reset_by_server_name_is_blocked: "sni-reset";
    silence_by_server_name_is_blocked: "sni-drop";
    a_refusing_server_is_down_and_not_blocked: "server-down";
    without_a_network_nothing_is_said_about_targets: "no-network";
    with_the_upstream_dead_nothing_is_said_about_targets: "upstream-dead";
    behind_a_captive_portal_nothing_is_said_about_targets: "captive-portal";
    several_censors_at_once_are_told_apart: "demo";
}

/// The verdicts of JSON lines, by measurement.
fn verdicts(lines: &str) -> BTreeMap<String, serde_json::Value> {
    let objects = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    objects.map(|object| (object["id"].as_str().unwrap().to_owned(), object["verdict"].clone())).collect()
}

fn analyzer(arguments: &[&str], database: &Path) -> String {
    let output = Command::new(beside("analyzer")).args(arguments).arg(database).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_analyzer_says_of_the_file_what_the_probe_said_and_explains_it() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["sni-reset", "--out", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = verdicts(&std::fs::read_to_string(folder.path().join("sni-reset-1/measurements.jsonl")).unwrap());
    let database = folder.path().join("sni-reset-1/home.sqlite");
    assert_eq!(verdicts(&analyzer(&["verdicts", "--format", "jsonl"], &database)), said);

    let (id, _) = said.iter().find(|(_, verdict)| verdict["state"] == "blocked").unwrap();
    let explained = analyzer(&["explain", id], &database);
    for part in ["tls.sni_differential", "x.com offered", "connection_reset", "an innocent name"] {
        assert!(explained.contains(part), "{part} is missing:\n{explained}");
    }
}

#[test]
fn what_both_know_of_a_country_settles_the_same_in_both() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["known-answer", "--out", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = verdicts(&std::fs::read_to_string(folder.path().join("known-answer-1/measurements.jsonl")).unwrap());
    let database = folder.path().join("known-answer-1/home.sqlite");
    assert_eq!(verdicts(&analyzer(&["verdicts", "--format", "jsonl"], &database)), said);
    let knows = |verdict: &serde_json::Value| verdict["evidence"].to_string().contains("dns.known_answer");
    assert_eq!(said.values().filter(|verdict| knows(verdict)).count(), 1, "{said:#?}");
}

#[test]
fn a_proxy_that_signs_is_told_of_beside_targets_that_work() {
    if !can_run() {
        return;
    }
    for (scenario, told) in [
        ("proxy-for-plain-http-signed", "one signs what it passes on (signed by proxy.isp.example)"),
        ("proxy-for-plain-http", "none that signs"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run(&[scenario, "--out", folder.path().to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let round = folder.path().join(format!("{scenario}-1"));
        let said = verdicts(&std::fs::read_to_string(round.join("measurements.jsonl")).unwrap());
        let explained = analyzer(&["explain", said.keys().next().unwrap()], &round.join("home.sqlite"));
        let words = explained.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told), "{explained}");
    }
}

#[test]
fn variations_by_seed_leave_a_label_for_every_measurement() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let output = run(&["--family", "tls-sni-reset", "--count", "2", "--seed", "11", "--out", out]);
    assert!(output.status.code() == Some(0) || output.status.code() == Some(4), "{output:?}");
    let labels = std::fs::read_to_string(folder.path().join("labels.jsonl")).unwrap();
    let labels: Vec<serde_json::Value> = labels.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rounds: Vec<_> = std::fs::read_dir(folder.path()).unwrap().filter_map(|entry| entry.ok()).collect();
    let folders = rounds.iter().map(|entry| entry.path()).filter(|path| path.is_dir());
    let measured: Vec<String> = folders
        .flat_map(|round| {
            verdicts(&analyzer(&["verdicts", "--format", "jsonl"], &round.join("home.sqlite"))).into_keys()
        })
        .collect();
    assert!(measured.len() >= 4, "{measured:?}");
    assert_eq!(labels.len(), measured.len());
    for label in &labels {
        assert!(measured.iter().any(|id| label["measurement"] == id.as_str()), "{label}");
    }
}

#[test]
fn what_looks_dead_from_one_network_is_likely_blocked_where_three_others_reach_it() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["address-dropped-at-one-of-four", "--out", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let round = folder.path().join("address-dropped-at-one-of-four-1");
    let file = |vantage: &str| round.join(format!("{vantage}.sqlite")).to_str().unwrap().to_owned();
    let others = [file("home"), file("office"), file("abroad")];
    let of_mobile = |lines: &str| {
        let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut own =
            lines.filter(|line| line["network"]["asn"] == 64_501 && line["target"] == "gardenclub.example.org");
        own.next().unwrap()["verdict"].clone()
    };
    let alone = of_mobile(&analyzer(&["verdicts", "--format", "jsonl"], file("mobile").as_ref()));
    assert_eq!(alone["state"], "impaired", "{alone}");
    let arguments: Vec<&str> =
        ["verdicts", "--context", "--format", "jsonl"].into_iter().chain(others.iter().map(String::as_str)).collect();
    let in_context = of_mobile(&analyzer(&arguments, file("mobile").as_ref()));
    assert_eq!(in_context["state"], "likely_blocked", "{in_context}");
    assert!(in_context["evidence"].to_string().contains("context."), "{in_context}");
}

#[test]
fn a_family_that_is_nowhere_is_named() {
    let output = run(&["--family", "no-such-family"]);
    assert!(!output.status.success());
    if can_run() {
        assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-family"));
    }
}
