//! `analyzer import --format outages|demand` and `analyzer feeds`, run as a user runs them; on samples of others' where they are.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::path::PathBuf;

use serde_json::Value;
use support::{Folder, Ran, analyzer};

fn import(folder: &Folder, args: &[&str]) -> Ran {
    analyzer(&[&["import", "--db", &folder.path("out.sqlite"), "--json"], args].concat())
}

fn write(folder: &Folder, name: &str, text: &str) -> String {
    let path = folder.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn listed(folder: &Folder) -> Vec<Value> {
    let ran = analyzer(&["feeds", "--format", "jsonl", &folder.path("out.sqlite")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn outages_and_demand_are_imported_once_and_listed_with_what_they_span() {
    let folder = Folder::new();
    let outages = write(
        &folder,
        "radar.json",
        r#"{"result": {"annotations": [{"asns": [17557], "locations": ["PK"], "eventType": "OUTAGE", "outage": {"outageCause": "CABLE_CUT"},
            "startDate": "2024-08-15T04:00:00Z", "endDate": "2024-08-15T09:00:00Z"}]}}"#,
    );
    let demand = write(
        &folder,
        "signups.csv",
        "date,country,signups,baseline\n2024-11-10,PK,4500,1000\n2024-11-11,PK,2000,1000\n",
    );
    let ran = import(&folder, &["--format", "outages", &outages]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let given = ["--format", "demand", "--source", "a-vpn", "--unit", "sign-ups", &demand];
    let account: Value = serde_json::from_str(&import(&folder, &given).stdout).unwrap();
    assert_eq!((&account["feeds"]["found"], &account["feeds"]["new"]), (&Value::from(2), &Value::from(2)));
    let account: Value = serde_json::from_str(&import(&folder, &given).stdout).unwrap();
    assert_eq!(account["feeds"]["new"], 0);
    let [series, event] = listed(&folder).try_into().unwrap();
    assert_eq!(
        (&series["kind"], &series["unit"], &series["most"]),
        (&"demand".into(), &"sign-ups".into(), &4500.0.into())
    );
    assert_eq!((&event["cause"], &event["place"]["asn"]), (&"CABLE_CUT".into(), &17557.into()));
    let words = analyzer(&["feeds", &folder.path("out.sqlite")]).stdout;
    assert!(words.contains("a-vpn demand PK: signups (sign-ups): 2 values"), "{words}");
    assert!(words.contains("cloudflare-radar outage PK/AS17557: 2024-08-15T04:00:00.000Z to"), "{words}");
    let ledger = analyzer(&["ledger", &folder.path("out.sqlite")]).stdout;
    assert_eq!(ledger.lines().count(), 3, "{ledger}");
    assert!(ledger.contains("import outages radar.json") && ledger.contains("2 found, 2 added"), "{ledger}");
}

#[test]
fn what_does_not_say_enough_is_refused_with_the_option_that_helps() {
    let folder = Folder::new();
    let table = write(&folder, "a.csv", "date,value\n2024-11-10,4500\n");
    for (args, words) in [
        (vec!["--format", "outages", &table], "--source"),
        (vec!["--format", "outages", "--source", "x", &table], "--country"),
    ] {
        let ran = import(&folder, &args);
        assert_eq!(ran.code, 3);
        assert!(ran.stderr.contains(words) && ran.stderr.contains(&table), "{}", ran.stderr);
    }
    let ran = import(&folder, &["--format", "ooni", "--country", "PK", &table]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!(import(&folder, &["--format", "outages", "--source", "x", "--country", "pk", &table]).code, 0);
    assert_eq!(import(&folder, &["--format", "demand", "--country", "Pakistan", &table]).code, 2);
}

#[test]
fn the_samples_of_ioda_and_of_a_power_cut_are_imported_whole() {
    let Some(events) = std::env::var_os("FAULTLINE_SHARED_DATA")
        .map(|data| PathBuf::from(data).join("events"))
        .filter(|events| events.is_dir())
    else {
        eprintln!("skipped: FAULTLINE_SHARED_DATA names no folder with samples of feeds");
        return;
    };
    let folder = Folder::new();
    let file = |name: &str| events.join(name).to_str().unwrap().to_owned();
    let iran = import(&folder, &["--format", "outages", "--country", "IR", &file("ioda-iran-2025-12-to-2026-01.csv")]);
    assert_eq!(iran.code, 0, "{}", iran.stderr);
    let account: Value = serde_json::from_str(&iran.stdout).unwrap();
    assert_eq!((&account["feeds"]["series"], account["odd"].as_object().unwrap().len()), (&Value::from(5), 0));
    let cut = file("venezuela-2019-07-power-cut.csv");
    let venezuela = import(&folder, &["--format", "outages", "--country", "VE", "--source", "ip-observatory", &cut]);
    assert_eq!(venezuela.code, 0, "{}", venezuela.stderr);
    let series = listed(&folder);
    eprintln!("{}", analyzer(&["feeds", &folder.path("out.sqlite")]).stdout);
    let of = |source: &str| series.iter().filter(|one| one["source"] == source).count();
    assert_eq!(of("ioda"), 5);
    assert_eq!(account["feeds"]["found"], 12_587);
    assert!(of("ip-observatory") == 13 && series.iter().all(|one| one["place"]["country"] != Value::Null));
}
