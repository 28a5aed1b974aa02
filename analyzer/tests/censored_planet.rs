//! `analyzer import --format censored-planet`, `--again`, and what is kept for it, run as a user runs them.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::{Folder, Ran, analyzer};

/// A trial sandwich of Hyperquack: innocent, own three times, innocent.
fn trials(service: &str, name: &str, own: &Value) -> Value {
    let at = |second: u32| format!("2021-05-30T01:02:{second:02}.25-04:00");
    let trial = |second: u32, more: &Value| {
        let mut trial = json!({"start_time": at(second), "end_time": at(second + 1)});
        trial.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        trial
    };
    let innocent = |number: u32| json!({"matches_template": true, "control_url": format!("control-{number}.example")});
    json!({"vp": "198.51.100.9", "location": {"country_name": "Pakistan", "country_code": "PK"}, "service": service, "test_url": name,
        "response": [trial(1, &innocent(1)), trial(2, own), trial(3, own), trial(4, own), trial(5, &innocent(2))],
        "anomaly": true, "controls_failed": false, "stateful_block": false, "tag": "2021-05-30T01:01:01"})
}

/// A question of Satellite's, with the innocent one before it.
fn question(name: &str, answer: &Value, rcode: i64) -> Value {
    json!({"vp": "198.51.100.53", "test_url": name, "location": {"country_code": "PK"}, "passed_liveness": true,
        "start_time": "2021-10-20 14:51:41.295287198 -0400 EDT", "end_time": "2021-10-20 14:51:41.397573385 -0400 EDT",
        "response": [
            {"url": "innocent.example", "has_type_a": true, "error": "null", "rcode": 0, "response": {"93.184.216.34": {"matched": ["ip"]}}},
            {"url": name, "has_type_a": true, "error": "null", "rcode": rcode, "response": answer}]})
}

const RESET: &str = "read tcp 203.0.113.5:11397->198.51.100.9:443: read: connection reset by peer";

fn scan() -> String {
    let objects = [
        trials("https", "reset.example", &json!({"matches_template": false, "error": RESET})),
        trials("https", "passes.example", &json!({"matches_template": true})),
        trials("http", "silent.example", &json!({"matches_template": false, "error": "read: i/o timeout"})),
        question("forged.example", &json!({"10.10.34.34": {"matched": null}}), 0),
        question("agreed.example", &json!({"93.184.216.34": {"matched": ["ip", "cert"]}}), 0),
        json!({"saddr": "198.51.100.53", "data": "00"}),
    ];
    objects.map(|object| object.to_string() + "\n").concat()
}

fn import(args: &[&str]) -> Ran {
    analyzer(&[&["import", "--format", "censored-planet", "--json", "--db"], args].concat())
}

/// State and mechanisms by target.
fn verdicts(db: &str) -> Vec<(String, String, String)> {
    let ran = analyzer(&["verdicts", "--format", "jsonl", db]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut found: Vec<_> = ran
        .stdout
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let verdict = &row["verdict"];
            (
                row["target"].as_str().unwrap().into(),
                verdict["state"].as_str().unwrap().into(),
                verdict["mechanisms"].to_string(),
            )
        })
        .collect();
    found.sort();
    found
}

#[test]
fn names_that_pass_and_names_that_do_not_are_told_apart_by_the_innocent_ones_beside_them() {
    let folder = Folder::new();
    let (file, db) = (folder.path("results.json"), folder.path("out.sqlite"));
    std::fs::write(&file, scan()).unwrap();
    let ran = import(&[&db, &file]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let account: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&account["read"], &account["new"], &account["refused_in_all"]), (&5.into(), &5.into(), &0.into()));
    assert_eq!(account["passed_over"]["an answer to the scan for resolvers"], 1);
    let found = verdicts(&db);
    let state = |name: &str| found.iter().find(|row| row.0.contains(name)).map(|row| row.1.as_str()).unwrap();
    eprintln!("{found:#?}");
    // That a name passes says nothing of its site: nobody went there.
    assert_eq!(state("passes.example"), "insufficient");
    assert_eq!(state("reset.example"), "blocked");
    assert_eq!(state("silent.example"), "blocked");
    assert_ne!(state("forged.example"), "ok");
    assert_eq!(state("agreed.example"), "ok");
    let again: Value = serde_json::from_str(&import(&[&db, &file]).stdout).unwrap();
    assert_eq!(again["new"], 0);
}

#[test]
fn what_is_kept_is_read_again_to_the_same_verdicts_and_can_be_left_out() {
    let folder = Folder::new();
    let [db, bare, anew] = ["out.sqlite", "bare.sqlite", "anew.sqlite"].map(|name| folder.path(name));
    let file = folder.path("CP_Quack-https-2021-05-30-01-01-01.json");
    std::fs::write(&file, scan()).unwrap();
    assert_eq!(import(&[&db, &file]).code, 0);
    let ooni = folder.path("ooni.json");
    let told = json!({"test_name": "ndt", "measurement_start_time": "2017-01-01 00:00:00", "probe_ip": "203.0.113.77", "test_keys": {}});
    let hidden = json!({"test_name": "dash", "measurement_start_time": "2017-01-01 00:00:00", "probe_ip": "127.0.0.1", "test_keys": {}});
    std::fs::write(&ooni, format!("{told}\n{hidden}\n")).unwrap();
    let ran = analyzer(&["import", "--format", "ooni", "--db", &db, &ooni]);
    assert!(ran.stderr.contains("1 text not kept for telling an address"), "{}", ran.stderr);
    let ran = analyzer(&["import", "--again", "--json", "--db", &anew, &db]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let account: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&account["read"], &account["new"]), (&6.into(), &6.into()));
    let but_the_one =
        |rows: Vec<(String, String, String)>| rows.into_iter().filter(|row| row.0 != "ndt").collect::<Vec<_>>();
    assert_eq!(verdicts(&anew), but_the_one(verdicts(&db)));
    assert!(!std::fs::read(&db).unwrap().windows(12).any(|bytes| bytes == b"203.0.113.77"));
    let ran = analyzer(&["merge", &folder.path("all.sqlite"), &db, &anew]);
    assert!(ran.stdout.contains("6 measurements read, 0 new, 6 already there\n"), "{}", ran.stdout);
    assert_eq!(import(&[&bare, "--no-raw", &file]).code, 0);
    let ran = analyzer(&["import", "--again", "--db", &folder.path("none.sqlite"), &bare]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}
