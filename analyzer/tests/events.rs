//! `analyzer events`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::fs;

use faultline_record::{Measurement, Timestamp};
use serde_json::Value;
use support::{Folder, Ran, analyzer, blocked, reachable, run_id, tunnel, unproven};

const HOUR_MS: i64 = 3_600_000;

/// The measurement, of that probe and hour.
fn of(probe: u8, hour: u8, mut measurement: Measurement) -> Measurement {
    measurement.run = run_id(probe);
    measurement.started_at =
        Timestamp::from_millisecond(measurement.started_at.as_millisecond() + i64::from(hour) * HOUR_MS);
    measurement
}

/// Two probes that meet a block in the hours 4 to 9 of twelve; in each of their files one measurement an hour.
fn block(name: &str) -> (Folder, Vec<String>) {
    let folder = Folder::new();
    let files = [1_u8, 2].map(|probe| {
        let measurements: Vec<Measurement> = (0..12)
            .map(|hour| {
                let id = probe * 100 + hour;
                of(probe, hour, if (4..10).contains(&hour) { blocked(id, name) } else { reachable(id, name) })
            })
            .collect();
        folder.database(&format!("{probe}.sqlite"), &measurements)
    });
    (folder, files.to_vec())
}

fn events(files: &[String], more: &[&str]) -> Ran {
    let args: Vec<&str> =
        ["events"].into_iter().chain(files.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    analyzer(&args)
}

fn array(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_block_is_told_once_with_its_beginning_its_end_and_what_it_rests_on() {
    let (_folder, files) = block("x/web");
    let ran = events(&files, &["--format", "json"]);
    let all = array(&ran);
    let [event] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&event["kind"], &event["targets"]), (&"blocking".into(), &serde_json::json!(["x/web"])));
    assert_eq!(event["mechanisms"][0], "tls.reset.sni");
    assert_eq!(
        (&event["n_measurements"], &event["n_probes"], &event["n_networks"]),
        (&12.into(), &2.into(), &1.into())
    );
    assert_eq!(event["hypotheses"][0]["name"], "interference");
    let hour = |pointer: &str| event.pointer(pointer).unwrap().as_str().unwrap()[11..13].parse::<i64>().unwrap();
    let first = hour("/onset/latest");
    let hours = [hour("/onset/earliest"), hour("/end/earliest"), hour("/end/latest")];
    assert_eq!(hours.map(|own| (own - first).rem_euclid(24)), [23, 5, 6]);
    assert_eq!(ran.stderr, "analyzer: 1 event (2 files read twice)\n");
    for name in ["weights", "id", "witness"] {
        assert!(event[name].as_str().is_some_and(|text| text.len() >= 16), "{name}: {event}");
    }
    assert_eq!(ran.stdout, events(&files, &["--format", "json"]).stdout, "the same files, the same bytes");
}

#[test]
fn attack_one_submitter_makes_no_event_and_ends_none() {
    let (folder, files) = block("x/web");
    let alone = events(&files[..1], &["--format", "json"]);
    assert_eq!(array(&alone), Vec::<Value>::new());
    assert!(
        alone.stderr.contains("1 change held back: fewer than 2 independent submitters say so"),
        "{}",
        alone.stderr
    );
    assert_eq!(array(&events(&files[..1], &["--format", "json", "--floor", "1"])).len(), 1);
    // Somebody writes down that it works, all the time, in as many runs as he likes.
    let forged: Vec<Measurement> = (0..12).map(|hour| of(10 + hour, hour, reachable(30 + hour, "x/web"))).collect();
    let with = [files, vec![folder.database("forged.sqlite", &forged)]].concat();
    let told = array(&events(&with, &["--format", "json"]));
    assert_eq!((told.len(), &told[0]["kind"]), (1, &"blocking".into()));
}

#[test]
fn failures_in_minutes_that_nobody_proved_are_no_event() {
    let folder = Folder::new();
    let files = [1_u8, 2].map(|probe| {
        let measurements: Vec<Measurement> = (0..12)
            .map(|hour| {
                let id = probe * 100 + hour;
                of(probe, hour, if (4..10).contains(&hour) { unproven(id, "x/web") } else { reachable(id, "x/web") })
            })
            .collect();
        folder.database(&format!("{probe}.sqlite"), &measurements)
    });
    assert_eq!(array(&events(&files, &["--format", "json"])), Vec::<Value>::new());
}

#[test]
fn a_tunnels_address_is_in_no_event() {
    let folder = Folder::new();
    let host = "146.70.12.4";
    let files = [1_u8, 2].map(|probe| {
        let measurements: Vec<Measurement> = (0..12)
            .map(|hour| {
                let protocol = faultline_record::VpnProtocol::Wireguard;
                of(probe, hour, tunnel(probe * 100 + hour, "proton-vpn/wireguard", protocol, host, hour < 4))
            })
            .collect();
        folder.database(&format!("{probe}.sqlite"), &measurements)
    });
    for format in ["json", "table"] {
        let ran = events(&files, &["--format", format]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains("proton-vpn/wireguard"), "{}{}", ran.stdout, ran.stderr);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(host), "{}", ran.stdout);
    }
}

#[test]
fn what_cannot_be_read_is_named_and_a_score_needs_what_happened() {
    let (folder, files) = block("x/web");
    let foreign = folder.foreign("x.sqlite");
    let ran = events(&[files.clone(), vec![foreign]].concat(), &["--format", "json"]);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("x.sqlite"), "{}", ran.stderr);
    let missing = events(&files, &["--score", &folder.path("none.json")]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("none.json"), "{}", missing.stderr);
    fs::write(folder.path("bad.json"), "{}").unwrap();
    assert_eq!(events(&files, &["--score", &folder.path("bad.json")]).code, 2);
}

/// Of each kind one, and a day on which nothing happens.
#[test]
fn in_a_campaign_what_happened_is_told_once_and_nothing_else() {
    let folder = Folder::new();
    let made = folder.path("campaign");
    let ran = analyzer(&["generate", "--campaign", "9", "--files", "20", "--seed", "3", "--output", &made]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let happened = format!("{made}/events.json");
    let planted: Vec<Value> = serde_json::from_str(&fs::read_to_string(&happened).unwrap()).unwrap();
    let ran = analyzer(&["events", &made, "--score", &happened]);
    let figure = |name: &str| {
        let line = ran.stdout.lines().find(|line| line.contains(&format!("| {name} |")));
        line.unwrap_or_else(|| panic!("no {name} in {}", ran.stdout)).split('|').nth(2).unwrap().trim().to_owned()
    };
    let all = planted.len();
    assert!(figure("found, of all").starts_with(&format!("{all}/{all} ")), "{}", ran.stdout);
    assert_eq!((figure("told of"), figure("told of, for one that was found")), (all.to_string(), "1.00".into()));
    assert!(figure("false alarms").starts_with("0 in "), "{}", ran.stdout);
}
