//! OONI's own sample and scenario files, imported and judged: run where they are, and said to be skipped where they are not.
//!
//! They are other people's and no part of this repository. `FAULTLINE_SHARED_DATA` names the folder that holds `ooni-measurements/`
//! (36 samples, 31 test names) and `qa-scenarios/` (12 of the scenarios that OONI generates in its simulated network).

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Folder, analyzer};

/// What is true of the scenario files, and of the samples that OONI itself calls healthy.
const LABELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ooni/labels.jsonl");

fn shared(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("FAULTLINE_SHARED_DATA").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("skipped: {test}: FAULTLINE_SHARED_DATA names no folder of OONI's sample files");
    }
    folder
}

fn imported(folder: &Folder, inputs: &[&Path]) -> Value {
    let db = folder.path("out.sqlite");
    let mut args = vec!["import", "--format", "ooni", "--json", "--db", &db];
    args.extend(inputs.iter().map(|input| input.to_str().unwrap()));
    let ran = analyzer(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    eprintln!("{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn every_sample_is_imported_and_none_is_dropped() {
    let Some(shared) = shared("samples") else { return };
    let folder = Folder::new();
    let account = imported(&folder, &[&shared.join("ooni-measurements")]);
    assert_eq!((&account["read"], &account["refused_in_all"]), (&Value::from(36), &Value::from(0)));
    let tests = account["tests"].as_object().unwrap();
    assert_eq!(tests.len(), 31);
    assert!(tests.values().all(|taken| taken["made"].as_u64().unwrap() >= taken["read"].as_u64().unwrap()));
    assert_eq!(account["odd"].as_object().unwrap().len(), 0, "{}", account["odd"]);
    assert_eq!(imported(&folder, &[&shared.join("ooni-measurements")])["new"], 0);
}

#[test]
fn scenarios_and_healthy_services_are_judged_as_their_labels_say() {
    let Some(shared) = shared("scenarios") else { return };
    let folder = Folder::new();
    imported(&folder, &[&shared.join("qa-scenarios"), &shared.join("ooni-measurements")]);
    let ran = analyzer(&["evaluate", &folder.path("out.sqlite"), "--labels", LABELS, "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let scores: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(scores["basis"]["missing"], 0, "a label without its measurement");
    let share = |pointer: &str| {
        let share = scores.pointer(pointer).unwrap();
        format!("{}/{}", share["k"], share["n"])
    };
    let figures = [
        ("state accepted", "/all/detection/accept", "101/101"),
        ("interference found", "/all/detection/sensitivity", "6/6"),
        ("right layer", "/all/mechanisms/layer", "6/6"),
        ("benign not called blocked", "/all/detection/specificity", "95/95"),
    ];
    for (what, pointer, expected) in figures {
        eprintln!("{what}: {}", share(pointer));
        assert_eq!(share(pointer), expected, "{what}");
    }
}

#[test]
fn tunnels_and_resolvers_get_verdicts_too() {
    let Some(shared) = shared("tunnels") else { return };
    let folder = Folder::new();
    let samples = ["ts-040-openvpn_1.json", "ts-028-dnscheck_1.json", "ts-035-dnsping_1.json"];
    let samples = samples.map(|name| shared.join("ooni-measurements").join(name));
    imported(&folder, &samples.each_ref().map(PathBuf::as_path));
    let ran = analyzer(&["verdicts", "--state", "ok", "--format", "jsonl", &folder.path("out.sqlite")]);
    let targets: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["target"].as_str().unwrap().to_owned())
        .collect();
    assert!(targets.contains(&"riseup/openvpn-tcp".to_owned()), "{targets:?}");
    for resolver in ["example.org@8.8.8.8", "example.org@8.8.4.4"] {
        assert!(targets.contains(&resolver.to_owned()), "{targets:?}");
    }
}
