//! On a terminal: the question before the first run, the table after it.

use std::process::{Command, Stdio};

use crate::support::{Bench, Ran, namespaces_work};

/// Runs a shell line on a terminal of its own (by `script`) without network; `None` where that cannot be done.
fn on_a_terminal(bench: &Bench, line: &str, typed: &str) -> Option<Ran> {
    let there = Command::new("script").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !there {
        eprintln!("skipped: there is no `script` here to make a terminal with");
    }
    if !there || !namespaces_work() {
        return None;
    }
    let line = format!("stty cols 120; exec unshare -Urn {} {line}", env!("CARGO_BIN_EXE_probe"));
    let script = format!("printf '{typed}' | script -qec \"{line}\" /dev/null");
    Some(bench.run(Command::new("sh").args(["-c", &script])))
}

#[test]
fn the_first_run_asks_and_anything_but_yes_sends_nothing() {
    let bench = Bench::new();
    let Some(ran) = on_a_terminal(&bench, "check https://x.com/", "no\\n") else { return };
    assert_eq!(ran.code, Some(2), "{}", ran.out);
    assert!(ran.out.contains("can see which names and addresses"), "{}", ran.out);
    assert!(ran.out.contains("nothing was sent"), "{}", ran.out);
    assert!(!bench.path("data").exists());
}

#[test]
fn consent_is_asked_once_and_the_table_is_for_a_person() {
    let bench = Bench::new();
    let Some(ran) = on_a_terminal(&bench, "check https://x.com/", "yes\\n") else { return };
    assert_eq!(ran.code, Some(3), "{}", ran.out);
    assert!(ran.out.contains("in words") && ran.out.contains("x/web") && ran.out.contains("not known"), "{}", ran.out);
    let again = on_a_terminal(&bench, "check https://x.com/", "").unwrap();
    assert_eq!(again.code, Some(3), "{}", again.out);
    assert!(!again.out.contains("Type yes"), "{}", again.out);
}
