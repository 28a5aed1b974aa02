//! `analyzer calibrate`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::{Folder, analyzer, blocked, id, reachable};

fn label(number: u8, split: &str, state: &str) -> Value {
    let is_blocked = state == "blocked";
    json!({
        "schema": "faultline/label/1", "measurement": id(number), "scenario": "s", "family": format!("f-{split}"), "split": split,
        "seed": 1, "vantage": "home", "phase": "now", "input": "https://x.com/", "state": state, "accept": [state],
        "cause": if is_blocked { "interference" } else { "none" },
        "accept_causes": [if is_blocked { "interference" } else { "none" }],
        "causes": [if is_blocked { "interference" } else { "none" }], "mechanisms": [],
    })
}

fn labels(folder: &Folder, labels: &[Value]) -> String {
    let path = folder.path("labels.jsonl");
    let lines: Vec<String> = labels.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn a_page_says_what_the_probabilities_are_worth_and_twice_the_same() {
    let folder = Folder::new();
    let file = folder.database(
        "a.sqlite",
        &[blocked(1, "x/web"), reachable(2, "x/web"), blocked(3, "x/web"), reachable(4, "x/web")],
    );
    let labels = labels(
        &folder,
        &[label(1, "train", "blocked"), label(2, "train", "ok"), label(3, "test", "blocked"), label(4, "test", "ok")],
    );
    let ran = analyzer(&["calibrate", &file, "--labels", &labels]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for part in
        ["Fitted on 2 measurements", "checked on 2 of", "## `test` families", "Brier score", "is not clearly better"]
    {
        assert!(ran.stdout.contains(part), "{part} is missing:\n{}", ran.stdout);
    }
    assert_eq!(ran.stdout, analyzer(&["calibrate", &file, "--labels", &labels]).stdout);
}

#[test]
fn without_held_out_families_nothing_is_fitted() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[blocked(1, "x/web")]);
    let ran = analyzer(&["calibrate", &file, "--labels", &labels(&folder, &[label(1, "train", "blocked")])]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("`train` and `test`"), "{}", ran.stderr);
}
