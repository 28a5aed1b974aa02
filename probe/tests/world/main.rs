//! Runs of the built program against servers of our own: account, limits, interruption, loss of the network.
//!
//! Each test runs itself again in namespaces of its own (see `inside`) and takes no port of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a mistake of its own may panic")]

mod endpoints;
mod inside;
mod keys;

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use inside::{World, cut, inside, mend};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

/// A second is the unit here: the silent server costs ten of them a target.
const SECOND: Duration = Duration::from_secs(1);

struct Ran {
    code: Option<i32>,
    objects: Vec<Value>,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        let objects =
            out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{out}{err}"))).collect();
        Self { code: output.status.code(), objects, err }
    }
}

impl Ran {
    fn states(&self) -> BTreeMap<&str, usize> {
        let mut states = BTreeMap::new();
        for object in &self.objects {
            *states.entry(object["verdict"]["state"].as_str().unwrap()).or_default() += 1;
        }
        states
    }

    fn says(&self, words: &str) {
        assert!(self.err.contains(words), "{words:?} is not in {:?}", self.err);
    }
}

async fn run(world: &World, args: &[&str]) -> Ran {
    world.probe(args).output().await.unwrap().into()
}

/// Starts the program, waits, sends it a signal, and waits for its end.
async fn signalled(world: &World, args: &[&str], after: Duration, signal: nix::sys::signal::Signal) -> Ran {
    let child = world.probe(args).spawn().unwrap();
    tokio::time::sleep(after).await;
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(id, signal).unwrap();
    child.wait_with_output().await.unwrap().into()
}

#[test]
fn healthy_sites_are_ok_and_every_target_is_accounted_for() {
    inside("healthy_sites_are_ok_and_every_target_is_accounted_for", |world| async move {
        let ran = run(&world, &["run", "--json", "--rate", "0", "--list", &world.list("site", 40)]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(ran.states(), [("ok", 40)].into(), "{}", ran.err);
        ran.says("40 targets planned: 40 measured, 0 not run");
        assert!(ran.objects.iter().all(|object| object["local_health"]["state"] == "ok"));
    });
}

#[test]
fn an_interrupted_run_keeps_what_it_has_and_blames_nobody() {
    inside("an_interrupted_run_keeps_what_it_has_and_blames_nobody", |world| async move {
        let list = world.list("silent", 40);
        let args = ["run", "--json", "--parallel", "4", "--list", &list];
        let ran = signalled(&world, &args, SECOND * 3, nix::sys::signal::Signal::SIGINT).await;
        assert_eq!(ran.code, Some(130), "{}", ran.err);
        assert_eq!(ran.states(), [("insufficient", 4)].into());
        ran.says("40 targets planned: 4 measured, 36 not run");
        for object in &ran.objects {
            let rows = object["observations"].as_array().unwrap();
            assert!(rows.iter().any(|row| row["not_run"] == "interrupted"), "{object}");
            assert!(rows.iter().all(|row| row["step"] != "tls" || row["failure"].is_null()), "{object}");
        }
    });
}

#[test]
fn a_terminated_check_still_prints_an_object_for_every_input() {
    inside("a_terminated_check_still_prints_an_object_for_every_input", |world| async move {
        let inputs: Vec<String> = (0..9).map(|n| format!("https://silent-{n}.example/")).collect();
        let mut args = vec!["check", "--json", "--parallel", "2"];
        args.extend(inputs.iter().map(String::as_str));
        let ran = signalled(&world, &args, SECOND * 2, nix::sys::signal::Signal::SIGTERM).await;
        assert_eq!(ran.code, Some(130), "{}", ran.err);
        assert_eq!(ran.objects.iter().map(|object| object["input"].as_str().unwrap()).collect::<Vec<_>>(), inputs);
        assert_eq!(ran.states(), [("insufficient", 9)].into());
    });
}

#[test]
fn a_killed_run_keeps_what_was_recorded() {
    inside("a_killed_run_keeps_what_was_recorded", |world| async move {
        let (sites, silent) = (world.list("site", 20), world.list("silent", 20));
        let args = ["run", "--rate", "0", "--list", &sites, "--list", &silent, "--parallel", "30"];
        let ran = signalled(&world, &args, SECOND * 4, nix::sys::signal::Signal::SIGKILL).await;
        assert_eq!(ran.code, None);
        let runs = run(&world, &["results", "list", "--json"]).await.objects;
        assert!(runs[0]["end"].is_null());
        let kept = runs[0]["measurements"].as_u64().unwrap();
        assert!((5..=20).contains(&kept), "{kept}");
        let again = run(&world, &["check", "--json", "site-1.example"]).await;
        assert_eq!(again.states(), [("ok", 1)].into(), "{}", again.err);
    });
}

#[test]
fn limits_end_a_run_and_what_was_not_begun_is_counted() {
    inside("limits_end_a_run_and_what_was_not_begun_is_counted", |world| async move {
        let list = world.list("site", 200);
        let ran = run(&world, &["run", "--json", "--max-time", "2s", "--rate", "10", "--list", &list]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.says("--max-time");
        let measured = ran.objects.len();
        assert!((1..100).contains(&measured), "{measured}");
        ran.says(&format!("200 targets planned: {measured} measured, {} not run", 200 - measured));

        let ran = run(&world, &["run", "--json", "--max-data", "60KB", "--rate", "0", "--list", &list]).await;
        ran.says("--max-data");
        assert!((1..199).contains(&ran.objects.len()), "{}", ran.err);
        ran.says(&format!("200 targets planned: {} measured", ran.objects.len()));
    });
}

#[test]
fn a_network_that_goes_and_comes_back_costs_no_false_verdict() {
    inside("a_network_that_goes_and_comes_back_costs_no_false_verdict", |world| async move {
        let (sites, refusing) = (world.list("site", 15), world.list("refusing", 15));
        let args = ["run", "--json", "--rate", "3", "--parallel", "2", "--list", &refusing, "--list", &sites];
        let child = world.probe(&args).spawn().unwrap();
        tokio::time::sleep(SECOND).await;
        cut();
        tokio::time::sleep(SECOND * 15).await;
        mend();
        let ran = Ran::from(child.wait_with_output().await.unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.says("30 targets planned: 30 measured, 0 not run");
        assert!(ran.states()["insufficient"] > 0, "{:?}", ran.states());
        assert_eq!(ran.states().keys().filter(|state| state.contains("blocked")).count(), 0, "{:?}", ran.states());
        ran.says("this machine has no network");
    });
}

#[test]
fn a_pace_that_breaks_the_line_is_halved_and_its_rows_are_marked() {
    inside("a_pace_that_breaks_the_line_is_halved_and_its_rows_are_marked", |world| async move {
        world.bears(8);
        let list = world.list("site", 120);
        let ran = run(&world, &["run", "--json", "--rate", "150", "--list", &list]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.says("120 targets planned: 120 measured, 0 not run");
        ran.says("our own pace was too much for this connection");
        let overloaded = |object: &&Value| object["local_health"]["overloaded"] == true;
        let marked = ran.objects.iter().filter(overloaded).count();
        assert!((1..120).contains(&marked), "{marked}");
        assert_eq!(ran.states(), [("ok", 120)].into(), "a valid certificate stands under any load");
    });
}

/// A helper in the world, and where it listens.
async fn helper(world: &World, args: &[&str]) -> (tokio::process::Child, String) {
    let mut child =
        world.probe_outside(&[&["helper", "serve", "--listen", "127.0.0.1:0"], args].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let url = line.split_whitespace().last().unwrap().trim_end_matches("/v1/check").to_owned();
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, url)
}

#[test]
fn a_target_that_the_helper_cannot_reach_either_is_down_and_an_absent_helper_says_nothing() {
    let name = "a_target_that_the_helper_cannot_reach_either_is_down_and_an_absent_helper_says_nothing";
    inside(name, |world| async move {
        let (mut child, url) = helper(&world, &["--allow-private"]).await;
        let check = async |url: &str| run(&world, &["check", "--json", "--helper", url, "refusing-1.example"]).await;
        let rules = |ran: &Ran| -> Vec<String> {
            let evidence = ran.objects[0]["verdict"]["evidence"].as_array().unwrap().iter();
            evidence.map(|row| row["rule"].as_str().unwrap().to_owned()).collect()
        };
        let ran = check(&url).await;
        assert_eq!(ran.states(), [("down", 1)].into(), "{:#}", ran.objects[0]["verdict"]);
        assert!(rules(&ran).contains(&"control.also_fails".to_owned()));

        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        let ran = check(&url).await;
        assert!(!rules(&ran).iter().any(|rule| rule.starts_with("control.")), "{:#}", ran.objects[0]["verdict"]);
        let rows = ran.objects[0]["observations"].as_array().unwrap();
        let errands: Vec<_> = rows.iter().filter(|row| row["purpose"] == "helper").collect();
        assert_eq!((errands.len(), &errands[0]["failure"]), (1, &Value::from("connection_refused")));
    });
}

#[test]
fn a_helper_does_not_reach_for_its_own_machine_unless_told() {
    inside("a_helper_does_not_reach_for_its_own_machine_unless_told", |world| async move {
        let (_child, url) = helper(&world, &[]).await;
        let ran = run(&world, &["check", "--json", "--helper", &url, "refusing-1.example"]).await;
        let rows = ran.objects[0]["observations"].as_array().unwrap();
        let seen = rows.iter().filter(|row| row["purpose"] == "helper" && row["step"] == "tcp");
        assert_eq!(seen.map(|row| row["not_run"].clone()).collect::<Vec<_>>(), ["bogon_address"]);
        let verdict = &ran.objects[0]["verdict"];
        assert!(!verdict.to_string().contains("control."), "{verdict:#}");
    });
}

#[test]
fn a_name_that_every_resolver_here_denies_and_the_helper_reaches_is_likely_blocked() {
    let name = "a_name_that_every_resolver_here_denies_and_the_helper_reaches_is_likely_blocked";
    inside(name, |world| async move {
        let alone = run(&world, &["check", "--json", "denied.example"]).await;
        assert_eq!(alone.states(), [("down", 1)].into(), "{:#}", alone.objects[0]["verdict"]);
        let (_child, url) = helper(&world, &["--allow-private"]).await;
        let ran = run(&world, &["check", "--json", "--helper", &url, "denied.example"]).await;
        let verdict = &ran.objects[0]["verdict"];
        assert_eq!(ran.states(), [("likely_blocked", 1)].into(), "{verdict:#}");
        assert_eq!(verdict["mechanisms"], serde_json::json!(["dns.nxdomain"]), "{verdict:#}");
    });
}
