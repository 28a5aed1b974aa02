//! Each measurement is paired with the checks that stand nearest to it on the run's clock.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::sync::Arc;

use faultline_record::{Database, HealthCheck, HealthReason, Measurement, PaceMark, Reader, Witness};
use support::{check, empty_measurement, measurement_id, run_id};

/// The witness of a measurement from 20 s to 21 s, among these checks (start, length, reason) and pace marks.
fn witness(checks: &[(f64, f64, HealthReason)], marks: &[(f64, f64)]) -> Witness {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    database.insert_run(&support::run(1)).unwrap();
    for (number, &(offset_ms, duration_ms, reason)) in (0..).zip(checks) {
        database.insert_health(&HealthCheck { offset_ms, duration_ms, ..check(number, reason) }).unwrap();
    }
    for &(from_ms, to_ms) in marks {
        database.insert_pace_mark(run_id(1), &PaceMark { from_ms, to_ms, rate: 20.0 }).unwrap();
    }
    database.insert_measurement(&Measurement { ..empty_measurement(1, 20_000.0) }).unwrap();
    Reader::open(&file).unwrap().measurement(measurement_id(1)).unwrap().unwrap().witness
}

fn starts(checks: &[Arc<HealthCheck>]) -> Vec<f64> {
    checks.iter().map(|check| check.offset_ms).collect()
}

fn start(check: Option<&HealthCheck>) -> Option<f64> {
    check.map(|check| check.offset_ms)
}

const FULL: HealthReason = HealthReason::During;

#[test]
fn the_nearest_checks_before_and_after_are_taken() {
    let found =
        witness(&[(0.0, 500.0, FULL), (10_000.0, 500.0, FULL), (30_000.0, 1.0, FULL), (40_000.0, 1.0, FULL)], &[]);
    assert_eq!((start(found.before.as_deref()), start(found.after.as_deref())), (Some(10_000.0), Some(30_000.0)));
    assert_eq!(found.before.unwrap().signals.len(), 8);
    assert_eq!(starts(&found.during), [0.0; 0]);
}

#[test]
fn checks_that_overlap_stand_apart_whichever_way_they_overlap() {
    let checks = [(19_900.0, 200.0, FULL), (20_100.0, 100.0, FULL), (20_900.0, 900.0, FULL), (100.0, 60_000.0, FULL)];
    let found = witness(&checks, &[]);
    assert_eq!(starts(&found.during), [100.0, 19_900.0, 20_100.0, 20_900.0]);
    assert_eq!((found.before, found.after), (None, None));
}

#[test]
fn what_ends_as_the_measurement_begins_is_before_and_what_begins_as_it_ends_is_after() {
    let found = witness(&[(19_500.0, 500.0, FULL), (21_000.0, 500.0, FULL)], &[]);
    assert_eq!((start(found.before.as_deref()), start(found.after.as_deref())), (Some(19_500.0), Some(21_000.0)));
    assert_eq!(found.during, []);
}

#[test]
fn before_is_the_check_that_ended_last_not_the_one_that_began_last() {
    let found = witness(&[(1_000.0, 18_000.0, FULL), (2_000.0, 10.0, FULL)], &[]);
    assert_eq!(start(found.before.as_deref()), Some(1_000.0));
}

#[test]
fn a_canary_is_no_full_check() {
    let canary = HealthReason::Canary;
    assert_eq!(
        witness(&[(19_000.0, 1.0, canary), (20_500.0, 1.0, canary), (22_000.0, 1.0, canary)], &[]),
        Witness::default()
    );
}

#[test]
fn a_pace_mark_counts_only_where_it_overlaps() {
    assert!(!witness(&[], &[(0.0, 19_999.0), (21_001.0, 30_000.0)]).overloaded);
    assert!(witness(&[], &[(0.0, 20_000.0)]).overloaded);
    assert!(witness(&[], &[(20_500.0, 20_600.0)]).overloaded);
    assert!(witness(&[], &[(21_000.0, 30_000.0)]).overloaded);
}

#[test]
fn checks_of_another_run_are_no_witness() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    for run in [1, 2] {
        database.insert_run(&support::run(run)).unwrap();
        let run = run_id(run);
        let number = run.as_bytes()[1];
        let offset_ms = f64::from(number) * 1_000.0;
        database.insert_health(&HealthCheck { run, offset_ms, ..check(number, FULL) }).unwrap();
        database.insert_measurement(&Measurement { run, ..empty_measurement(number, 20_000.0) }).unwrap();
    }
    let reader = Reader::open(&file).unwrap();
    let mut seen = Vec::new();
    let all = reader.for_each(&faultline_record::Filter::default(), |found| {
        seen.push((found.measurement.run, start(found.witness.before.as_deref())));
        std::ops::ControlFlow::<()>::Continue(())
    });
    assert_eq!(all.unwrap(), None);
    assert_eq!(seen, [(run_id(1), Some(1_000.0)), (run_id(2), Some(2_000.0))]);
}
