//! The writing thread: everything in order, and nothing lost when storage fails.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::future::Future;
use std::path::Path;

use faultline_record::{Database, Entry, Filter, PaceMark, Reader, RecordError, Writer, WriterStopped};
use rusqlite::Connection;
use support::{empty_measurement, run, run_id, sample};

fn now<T>(task: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(task)
}

fn new_database(file: &Path) -> Database {
    let mut database = Database::open_or_create(file).unwrap();
    database.insert_run(&run(1)).unwrap();
    database
}

fn measurement(number: u8) -> Entry {
    Entry::Measurement(empty_measurement(number, f64::from(number)))
}

#[test]
fn every_kind_of_entry_is_stored_and_the_database_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let sample = sample();
    let writer = Writer::start(new_database(&file), 2);
    now(async {
        for measurement in &sample.measurements {
            writer.write(Entry::Measurement(measurement.clone())).await.unwrap();
        }
        writer.write(Entry::Health(sample.checks[0].clone())).await.unwrap();
        writer.write(Entry::Pace(sample.run.id, sample.marks[0])).await.unwrap();
    });
    let report = writer.finish();
    assert!(report.error.is_none() && report.unsaved.is_empty());
    report.database.unwrap().finish_run(sample.run.id, &sample.end).unwrap();
    let reader = Reader::open(&file).unwrap();
    assert_eq!(reader.count(&Filter::default()).unwrap(), 3);
    assert_eq!(reader.health_checks(run_id(1)).unwrap(), sample.checks[..1]);
    assert_eq!(reader.pace_marks(run_id(1)).unwrap(), sample.marks);
}

#[test]
fn after_an_error_of_storage_everything_unsaved_is_given_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let database = new_database(&file);
    // From now on the table takes no third measurement.
    let stranger = Connection::open(&file).unwrap();
    let trap = "CREATE TRIGGER full BEFORE INSERT ON measurements WHEN (SELECT count(*) FROM measurements) >= 2
                BEGIN SELECT RAISE(FAIL, 'no more'); END";
    stranger.execute_batch(trap).unwrap();
    let writer = Writer::start(database, 1);
    let heard = now(async {
        let mut heard = Vec::new();
        for number in 1..=20 {
            heard.push(writer.write(measurement(number)).await);
        }
        heard
    });
    assert!(writer.failed());
    // With room for one entry, a failure is heard of three entries later at the latest.
    assert_eq!((heard[0], heard[5], heard[19]), (Ok(()), Err(WriterStopped), Err(WriterStopped)));
    let report = writer.finish();
    assert!(matches!(report.error, Some(RecordError::Sqlite { .. })), "{:?}", report.error);
    assert_eq!(report.unsaved, (3..=20).map(measurement).collect::<Vec<_>>());
    stranger.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(Reader::open(&file).unwrap().count(&Filter::default()).unwrap(), 2);
}

#[test]
fn an_entry_of_an_unknown_run_is_an_error_not_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::start(new_database(&folder.path().join("results.sqlite")), 8);
    let stray = Entry::Pace(run_id(7), PaceMark { from_ms: 0.0, to_ms: 1.0, rate: 1.0 });
    let _ = now(writer.write(stray.clone()));
    let report = writer.finish();
    assert_eq!(report.unsaved, [stray]);
    assert!(report.error.is_some());
}
