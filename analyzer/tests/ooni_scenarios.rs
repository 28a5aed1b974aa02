//! OONI's fifty scenarios for Web Connectivity, rebuilt from their facts, written as OONI writes them, imported and judged.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod scenarios {
    pub mod cases;
    pub mod world;
}
mod support;

use std::fmt::Write;

use scenarios::cases::{Truth, all};
use serde_json::Value;
use support::{Folder, analyzer};

/// Interference that nobody can see from these rows: names that lead to a proxy which passes on the site itself, under its own
/// certificate. A probe of ours asks it for a stranger as well; OONI's does not.
const UNSEEN: [&str; 2] = ["dnsHijackingToProxyWithHTTPURL", "dnsHijackingToProxyWithHTTPSURL"];

/// State, mechanisms and likeliest cause of a scenario.
fn judged() -> Vec<(&'static str, Truth, Value)> {
    let folder = Folder::new();
    let (db, mut judged) = (folder.path("out.sqlite"), Vec::new());
    for (number, (name, truth, world)) in all().into_iter().enumerate() {
        let (file, db) = (folder.path(name), format!("{db}{number}"));
        std::fs::write(&file, world.json().to_string()).unwrap();
        let ran = analyzer(&["import", "--format", "ooni", "--db", &db, &file]);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        assert!(!ran.stderr.contains("odd values"), "{name}: {}", ran.stderr);
        let ran = analyzer(&["verdicts", "--format", "jsonl", &db]);
        judged.push((name, truth, serde_json::from_str::<Value>(&ran.stdout).unwrap()["verdict"].clone()));
    }
    judged
}

fn is_blocking(verdict: &Value) -> bool {
    matches!(verdict["state"].as_str(), Some("blocked" | "likely_blocked"))
}

fn has_layer(verdict: &Value, layers: &[&str]) -> bool {
    let nodes = verdict["mechanisms"].as_array().unwrap().iter().filter_map(Value::as_str);
    nodes.into_iter().any(|node| layers.iter().any(|layer| node.split('.').next() == Some(layer)))
}

#[test]
fn the_fifty_scenarios_of_oonis_are_judged_by_what_they_prove() {
    let judged = judged();
    assert_eq!(judged.len(), 50);
    let (mut found, mut layer, mut flagged, mut site, mut of) = (0, 0, 0, 0, [0; 3]);
    let mut wrong = String::new();
    for (name, truth, verdict) in &judged {
        let right = match truth {
            Truth::Interference(layers) => {
                of[0] += 1;
                found += usize::from(is_blocking(verdict));
                layer += usize::from(is_blocking(verdict) && has_layer(verdict, layers));
                is_blocking(verdict) && has_layer(verdict, layers) || UNSEEN.contains(name) && verdict["state"] == "ok"
            }
            Truth::Healthy => {
                of[1] += 1;
                flagged += usize::from(is_blocking(verdict));
                verdict["state"] == "ok"
            }
            Truth::Site => {
                of[2] += 1;
                site += usize::from(verdict["state"] == "down");
                verdict["state"] == "down"
            }
        };
        if !right {
            let _ = writeln!(wrong, "{name}: {} {} {}", verdict["state"], verdict["mechanisms"], verdict["evidence"]);
        }
    }
    eprintln!("interference found: {found} of {}, at the right layer: {layer}", of[0]);
    eprintln!("healthy called blocked: {flagged} of {}", of[1]);
    eprintln!("site's own failure laid to the site: {site} of {}", of[2]);
    assert_eq!(of, [28, 10, 12]);
    assert_eq!(wrong, "", "{wrong}");
    assert_eq!((found, layer, flagged, site), (26, 26, 0, 12));
}
