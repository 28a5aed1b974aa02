//! Files of every released format can be read for ever, and what the documentation says of the format is true.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use faultline_record::{Database, Filter, Reader, data_format, merge};
use support::sample;

/// Copies of all released databases, so that the originals stay untouched.
fn released(folder: &Path) -> Vec<PathBuf> {
    let originals = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released")).unwrap();
    let copy = |original: PathBuf| {
        let copy = folder.join(original.file_name().unwrap());
        fs::copy(&original, &copy).unwrap();
        copy
    };
    originals
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().unwrap() == "sqlite")
        .map(copy)
        .collect()
}

fn holds_the_sample(file: &Path) {
    let sample = sample();
    let reader = Reader::open(file).unwrap();
    let mut found = Vec::new();
    let end = reader.for_each(&Filter { with_bodies: true, ..Filter::default() }, |witnessed| {
        found.push(witnessed.measurement);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(end.unwrap(), None);
    assert_eq!(found, sample.measurements);
    assert_eq!(reader.runs().unwrap(), std::slice::from_ref(&sample.run));
    assert_eq!(reader.run_end(sample.run.id).unwrap(), Some(sample.end));
    assert_eq!(reader.health_checks(sample.run.id).unwrap(), sample.checks);
    assert_eq!(reader.pace_marks(sample.run.id).unwrap(), sample.marks);
}

#[test]
fn every_released_format_is_read_is_merged_and_is_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let files = released(folder.path());
    assert!(!files.is_empty());
    for file in files {
        holds_the_sample(&file);
        let out = folder.path().join("merged.sqlite");
        merge(&out, std::slice::from_ref(&file), |_| ControlFlow::Continue(()))
            .unwrap()
            .inputs
            .remove(0)
            .outcome
            .unwrap();
        holds_the_sample(&out);
        Database::open_or_create(&file).unwrap().insert_measurement(&support::empty_measurement(9, 99_000.0)).unwrap();
        assert_eq!(Reader::open(&file).unwrap().count(&Filter::default()).unwrap(), 4);
    }
}

#[test]
fn the_page_on_the_data_format_is_the_generated_one() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data-format.md");
    let written = fs::read_to_string(page).unwrap();
    assert!(
        written == data_format(),
        "renew it: cargo run -p faultline-record --example data_format > docs/data-format.md"
    );
}
