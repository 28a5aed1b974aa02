//! What is written is what is read.

mod support;

use std::ops::ControlFlow;

use faultline_record::{Database, Entry, Filter, Measurement, Reader, StepData, Writer};
use support::{measurement_id, run_id, sample};

fn all(reader: &Reader, filter: Filter) -> Vec<Measurement> {
    let mut found = Vec::new();
    let broke_off = reader.for_each(&filter, |witnessed| {
        found.push(witnessed.measurement);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(broke_off.unwrap(), None);
    found
}

#[test]
fn a_run_with_one_of_everything_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let sample = sample();
    sample.store(&mut Database::open_or_create(&file).unwrap()).unwrap();

    let reader = Reader::open(&file).unwrap();
    assert_eq!(reader.runs().unwrap(), [sample.run.clone()]);
    assert_eq!(reader.run_end(sample.run.id).unwrap(), Some(sample.end));
    assert_eq!(reader.pace_marks(sample.run.id).unwrap(), sample.marks);
    assert_eq!(reader.health_checks(sample.run.id).unwrap(), sample.checks);
    assert_eq!(all(&reader, Filter { with_bodies: true, ..Filter::default() }), sample.measurements);
    assert_eq!(reader.count(&Filter::default()).unwrap(), 3);
}
