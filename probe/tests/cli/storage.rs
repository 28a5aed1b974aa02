//! A database that cannot be used is named, with exit code 4; and nothing measured is lost.

use std::collections::BTreeSet;

use crate::support::{Bench, namespaces_work, text};
use faultline_record::Database;

const CHECK: [&str; 5] = ["check", "https://x.com/", "--yes", "--json", "--db"];

#[test]
fn a_file_of_another_kind_is_refused_and_left_alone() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    let file = bench
        .write("notes.txt", "These are my notes, and they are rather long, so that it is no empty file.\n".repeat(9));
    let before = std::fs::read(&file).unwrap();
    let ran = bench.probe_without_network(&[CHECK.as_slice(), &[text(&file)]].concat());
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("notes.txt") && ran.err.contains("not a Faultline database"), "{}", ran.err);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_folder_or_a_missing_folder_is_named() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    for file in [bench.path("."), bench.path("no/such/folder/a.sqlite")] {
        let ran = bench.probe_without_network(&[CHECK.as_slice(), &[text(&file)]].concat());
        assert_eq!(ran.code, Some(4), "{}", ran.err);
        assert!(ran.err.contains(text(&file)), "{}", ran.err);
    }
}

#[test]
fn a_second_run_on_the_same_database_exits_at_once_with_a_clear_word() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    let file = bench.path("a.sqlite");
    let database = Database::open_or_create(&file).unwrap();
    let lock = database.lock_for_run().unwrap();
    let ran = bench.probe_without_network(&[CHECK.as_slice(), &[text(&file)]].concat());
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("another run is writing"), "{}", ran.err);
    drop(lock);
    let ran = bench.probe_without_network(&[CHECK.as_slice(), &[text(&file)]].concat());
    assert_eq!(ran.code, Some(3), "{}", ran.err);
}

#[test]
fn of_a_missing_database_nothing_can_be_read() {
    let bench = Bench::new();
    let ran = bench.probe(&["results", "list", "--db", text(&bench.path("none.sqlite"))]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("there is no such file"), "{}", ran.err);
}

#[test]
fn what_a_full_disk_cannot_hold_is_printed() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    let inputs: Vec<String> = (0..200).map(|n| format!("https://site-{n}.example/")).collect();
    let script = format!(
        "mkdir disk; mount -t tmpfs -o size=600k tmpfs disk; exec \"$PROBE\" check {} --yes --json --db disk/a.sqlite",
        inputs.join(" ")
    );
    let ran = bench.shell_without_network(&script);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("full"), "{}", ran.err);
    let objects = ran.objects();
    let printed: BTreeSet<&str> = objects.iter().map(|object| object["input"].as_str().unwrap()).collect();
    assert_eq!(printed.len(), inputs.len());
    assert_eq!(objects.len(), inputs.len(), "each once");
}
