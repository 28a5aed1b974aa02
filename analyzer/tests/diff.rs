//! `analyzer diff`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use support::{Folder, analyzer, blocked, id, reachable, silent};

const RULES: &str = include_str!("../../crates/verdict/rules.toml");

fn file_of(folder: &Folder) -> String {
    folder.database("a.sqlite", &[reachable(1, "wikipedia.org"), blocked(2, "x/web"), silent(3, "signal/chat")])
}

/// A ruleset with one thing changed.
fn ruleset(folder: &Folder, from: &str, to: &str) -> String {
    assert!(RULES.contains(from));
    let path = folder.path("other.toml");
    std::fs::write(&path, RULES.replacen(from, to, 1)).unwrap();
    path
}

#[test]
fn a_ruleset_changes_nothing_beside_itself() {
    let folder = Folder::new();
    let same = ruleset(&folder, "answered with status", "replied with status");
    let ran = analyzer(&["diff", &file_of(&folder), "--ruleset", "1", &same]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert_eq!(ran.stderr, "analyzer: 0 of 3 verdicts change; the probabilities of 0 verdicts\n");
}

#[test]
fn a_verdict_that_another_threshold_changes_is_listed_with_both() {
    let folder = Folder::new();
    let lax = ruleset(&folder, "likely_blocked = 0.70", "likely_blocked = 0.45");
    let file = file_of(&folder);
    let ran = analyzer(&["diff", &file, "--ruleset", "1", &lax, "--format", "jsonl"]);
    let changes: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(changes.len(), 1, "{}", ran.stderr);
    let change = &changes[0];
    assert_eq!(change["id"], id(3).to_string());
    assert_eq!((&change["before"]["state"], &change["after"]["state"]), (&"impaired".into(), &"likely_blocked".into()));
    assert_ne!(change["before"]["weights"], change["after"]["weights"]);
    assert!(ran.stderr.contains("1 of 3 verdicts change: 1 from not working to likely blocked"), "{}", ran.stderr);
    let csv = analyzer(&["diff", &file, "--ruleset", "1", &lax, "--format", "csv"]);
    assert_eq!(csv.stdout.lines().count(), 2, "{}", csv.stdout);
}

#[test]
fn a_rule_that_a_ruleset_does_not_know_counts_for_nothing_and_is_named() {
    let folder = Folder::new();
    let without = ruleset(&folder, "id = \"tls.sni_differential\"", "id = \"tls.never_fired\"");
    let ran = analyzer(&["diff", &file_of(&folder), "--ruleset", "1", &without, "--format", "jsonl"]);
    assert!(ran.stderr.contains("count for nothing: tls.sni_differential"), "{}", ran.stderr);
    assert!(ran.stderr.contains("never fires: tls.never_fired"), "{}", ran.stderr);
    let change: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&change["before"]["state"], &change["id"]), (&"blocked".into(), &id(2).to_string().into()));
    assert_ne!(change["after"]["state"], "blocked");
}

#[test]
fn a_ruleset_that_cannot_be_used_is_refused_by_name() {
    let folder = Folder::new();
    let file = file_of(&folder);
    for (from, to) in [("down = -3.5", "down = 3.5"), ("[prior]", "[priors]")] {
        let bad = ruleset(&folder, from, to);
        let ran = analyzer(&["diff", &file, "--ruleset", "1", &bad]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("other.toml"), "{}", ran.stderr);
    }
    assert_eq!(analyzer(&["diff", &file, "--ruleset", "1", "no-such-version"]).code, 2);
}
