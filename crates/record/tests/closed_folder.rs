//! Files on a medium that cannot be written, where SQLite cannot make its -shm: read all the same.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use faultline_record::{Database, Filter, Reader, RecordError};
use support::{empty_measurement, sample};

/// Where this test's own program finds the mounted files.
const MOUNTED: &str = "FAULTLINE_TEST_MOUNTED";
const NAME: &str = "on_a_medium_that_cannot_be_written_a_file_is_read_with_and_without_its_wal";

/// Mounts a copy of a folder without the right to write, in a namespace of its own, and runs the program in it.
const SCRIPT: &str =
    r#"mount -t tmpfs tmpfs "$1" && cp "$2"/* "$1" && mount -o remount,ro "$1" && shift 2 && exec "$@""#;

#[test]
fn on_a_medium_that_cannot_be_written_a_file_is_read_with_and_without_its_wal() {
    if let Some(folder) = env::var_os(MOUNTED) {
        return read_in(Path::new(&folder));
    }
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system gives no mount namespace (unshare -rm)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (files, mounted) = (folder.path().join("files"), folder.path().join("mounted"));
    fs::create_dir(&files).unwrap();
    fs::create_dir(&mounted).unwrap();
    let _open = make(&files);
    let status = Command::new("unshare")
        .args(["-rm", "sh", "-c", SCRIPT, "sh"])
        .args([&mounted, &files, &env::current_exe().unwrap()])
        .args([NAME, "--exact", "--nocapture"])
        .env(MOUNTED, &mounted)
        .status();
    assert!(status.unwrap().success());
}

/// One file at rest, and one as a killed run leaves it.
fn make(folder: &Path) -> Database {
    sample().store(&mut Database::open_or_create(&folder.join("rest.sqlite")).unwrap()).unwrap();
    let mut database = Database::open_or_create(&folder.join("live.sqlite")).unwrap();
    sample().store(&mut database).unwrap();
    database.insert_measurement(&empty_measurement(9, 99_000.0)).unwrap();
    fs::rename(folder.join("live.sqlite-shm"), folder.join("gone")).unwrap();
    database
}

fn read_in(folder: &Path) {
    for (name, number) in [("rest.sqlite", 3), ("live.sqlite", 4)] {
        let reader = Reader::open(&folder.join(name)).unwrap();
        assert_eq!(reader.count(&Filter::default()).unwrap(), number, "{name}");
        let written = Database::open_or_create(&folder.join(name)).unwrap_err();
        assert!(matches!(written, RecordError::ReadOnly { .. } | RecordError::CannotOpen { .. }), "{written}");
    }
}
