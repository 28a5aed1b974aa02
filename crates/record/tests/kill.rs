//! A run that is killed loses nothing that was stored, and leaves no half of anything.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::collections::HashSet;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use faultline_record::{Database, Filter, Measurement, MeasurementId, Reader, StepData};
use support::{chain, dns, empty_measurement, http, run, run_id, step, tls};

/// Tells this test's own program to be the one that is killed.
const VICTIM: &str = "FAULTLINE_TEST_VICTIM";
const NAME: &str = "killed_at_any_moment_fifty_times_nothing_stored_is_lost_or_half";
const KILLS: usize = 50;
/// Steps of each measurement.
const STEPS: usize = 12;

#[test]
fn killed_at_any_moment_fifty_times_nothing_stored_is_lost_or_half() {
    if let Some(file) = env::var_os(VICTIM) {
        write_until_killed(Path::new(&file));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    Database::open_or_create(&file).unwrap().insert_run(&run(1)).unwrap();
    let mut acknowledged = HashSet::new();
    for kill in 0..KILLS {
        let patience = random_up_to(Duration::from_millis(40));
        acknowledged.extend(write_and_kill(&file, patience));
        let found = whole_measurements(&file);
        let lost = acknowledged.difference(&found).count();
        assert_eq!(lost, 0, "kill {kill} after {patience:?}: {lost} of {} are missing", acknowledged.len());
        // The next run gets the file at once: the dead one holds no lock.
        drop(Database::open_or_create(&file).unwrap().lock_for_run().unwrap());
    }
    println!("{} measurements acknowledged over {KILLS} kills", acknowledged.len());
    assert!(acknowledged.len() > KILLS, "the victims hardly came to write");
}

fn random_up_to(limit: Duration) -> Duration {
    let random = RandomState::new().hash_one(());
    limit.mul_f64(f64::from(u32::try_from(random >> 32).unwrap()) / f64::from(u32::MAX))
}

/// Starts a victim, kills it some time after its first word, and gives back what it had acknowledged.
fn write_and_kill(file: &Path, patience: Duration) -> Vec<MeasurementId> {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env(VICTIM, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.by_ref().find(|line| line == "ready");
    std::thread::sleep(patience);
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(first.as_deref(), Some("ready"));
    // A line cut in two by the kill is no acknowledgement.
    lines.filter_map(|line| line.strip_prefix("stored ")?.strip_suffix('.')?.parse().ok()).collect()
}

fn write_until_killed(file: &Path) -> ! {
    let mut database = Database::open_or_create(file).unwrap();
    let _lock = database.lock_for_run().unwrap();
    println!("ready");
    for number in 0.. {
        let measurement = measurement(number);
        database.insert_measurement(&measurement).unwrap();
        let mut stdout = std::io::stdout();
        writeln!(stdout, "stored {}.", measurement.id).unwrap();
        stdout.flush().unwrap();
    }
    unreachable!("the victim outlived the killer")
}

/// One of several kilobytes, with a body that no other has.
fn measurement(number: u32) -> Measurement {
    let dns = step(1, dns(faultline_record::Engine::Udp, Vec::new()));
    let tls = step(2, tls(chain()));
    let body: Vec<u8> = number.to_le_bytes().repeat(2_000);
    let http = step(3, StepData::Http(http(&body)));
    let rest = (4..).map(|seq| step(seq, StepData::Tcp));
    Measurement {
        id: MeasurementId::new(),
        run: run_id(1),
        observations: [dns, tls, http].into_iter().chain(rest).take(STEPS).collect(),
        ..empty_measurement(0, f64::from(number))
    }
}

/// The ids in the file; opening checks every page, and each measurement must have all its steps.
fn whole_measurements(file: &Path) -> HashSet<MeasurementId> {
    let mut found = HashSet::new();
    let reader = Reader::open(file).unwrap();
    let end = reader.for_each(&Filter { with_bodies: true, ..Filter::default() }, |witnessed| {
        let Measurement { id, observations, .. } = witnessed.measurement;
        assert_eq!(observations.len(), STEPS);
        assert_eq!(observations[1].tls().unwrap().chain.len(), 2);
        assert_eq!(observations[2].http().unwrap().body.as_ref().unwrap().len(), 8_000);
        found.insert(id);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(end.unwrap(), None);
    found
}
