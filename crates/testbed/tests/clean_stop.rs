//! Nothing of a world is left when it has ended: no process, no namespace, no device, no file. Also after a crash.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{can_run, testbed};

const DEADLINE: Duration = Duration::from_secs(10);

/// A folder of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The namespaces that any process is in.
fn namespaces_in_use() -> BTreeSet<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let links = processes.flat_map(|process| ["pid", "net", "mnt", "user"].map(|kind| process.join("ns").join(kind)));
    links.filter_map(|link| Some(fs::read_link(link).ok()?.to_string_lossy().into_owned())).collect()
}

/// A world in which a stand-in for the probe has written down its namespaces and waits.
struct Waiting {
    folder: Folder,
    child: Child,
    namespaces: BTreeSet<String>,
}

impl Waiting {
    fn start(name: &str) -> Self {
        let folder = Folder::new(name);
        let (script, note) = (folder.0.join("probe"), folder.0.join("note"));
        // Its own namespaces, and those of the daemon's host.
        let text = format!(
            "#!/bin/sh\nfor n in pid net mnt user; do readlink /proc/self/ns/$n; done >{0}.part\n\
             nsenter --net=/run/netns/abroad readlink /proc/self/ns/net >>{0}.part\nmv {0}.part {0}\nsleep 1000\n",
            note.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = testbed();
        command.args(["run", "clean"]).env(testbed::measure::PROBE_VARIABLE, &script).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        wait_until("the world starts", || note.exists());
        let namespaces = fs::read_to_string(&note).unwrap().lines().map(String::from).collect();
        let world = Self { folder, child, namespaces };
        assert_eq!(world.left().len(), 5, "five namespaces are in use while it runs: {:?}", world.left());
        world
    }

    fn left(&self) -> Vec<String> {
        self.namespaces.intersection(&namespaces_in_use()).cloned().collect()
    }

    fn nothing_is_left(&mut self) {
        self.child.wait().unwrap();
        wait_until("everything ends", || self.left().is_empty());
        assert!(!Path::new("/run/netns/abroad").exists() && !Path::new("/run/testbed").exists());
        assert!(!Path::new("/sys/class/net/uplink").exists());
        assert!(self.folder.0.exists());
    }
}

#[test]
fn nothing_is_left_after_the_testbed_was_killed() {
    if !can_run() {
        return;
    }
    let mut world = Waiting::start("killed");
    world.child.kill().unwrap();
    world.nothing_is_left();
}

#[test]
fn nothing_is_left_after_the_testbed_was_asked_to_stop() {
    if !can_run() {
        return;
    }
    let mut world = Waiting::start("stopped");
    let pid = i32::try_from(world.child.id()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    world.nothing_is_left();
}

#[test]
fn nothing_is_left_after_a_world_ended_by_itself() {
    if !can_run() {
        return;
    }
    let script = "for n in pid net mnt user; do readlink /proc/self/ns/$n; done";
    let lines = common::in_client("clean", script);
    let namespaces: BTreeSet<String> = lines.lines().map(String::from).collect();
    assert_eq!(namespaces.len(), 4);
    wait_until("everything ends", || namespaces.is_disjoint(&namespaces_in_use()));
}

#[test]
fn a_world_starts_and_stops_within_two_seconds() {
    if !can_run() {
        return;
    }
    let start = Instant::now();
    assert_eq!(common::in_client("clean", "echo here").trim(), "here");
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
}
