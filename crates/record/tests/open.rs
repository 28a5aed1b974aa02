//! Opening: what is not ours, not sound or not to be had is refused with its own words, for writing and for reading.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use faultline_record::{Database, Filter, Reader, RecordError};
use rusqlite::Connection;
use support::sample;
use tempfile::TempDir;

/// A folder with a sound file in it.
fn sound() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    sample().store(&mut Database::open_or_create(&file).unwrap()).unwrap();
    (folder, file)
}

/// A sound file, altered by SQL that a stranger might run.
fn altered(sql: &str) -> (TempDir, PathBuf) {
    let (folder, file) = sound();
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
    connection.execute_batch(sql).unwrap();
    (folder, file)
}

fn both(file: &Path) -> [RecordError; 2] {
    let errors = [Database::open_or_create(file).unwrap_err(), Reader::open(file).unwrap_err()];
    for error in &errors {
        assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
    }
    errors
}

/// Reads everything.
fn read(file: &Path) -> Result<u64, RecordError> {
    let mut count = 0;
    Reader::open(file)?.for_each(&Filter { with_bodies: true, ..Filter::default() }, |_| {
        count += 1;
        std::ops::ControlFlow::<()>::Continue(())
    })?;
    Ok(count)
}

#[test]
fn a_new_file_can_be_read_by_its_owner_only_and_so_can_what_stands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    database.insert_run(&support::run(1)).unwrap();
    let _lock = database.lock_for_run().unwrap();
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        assert_eq!(fs::metadata(&name).unwrap().permissions().mode() & 0o777, 0o600, "{name:?}");
    }
}

#[test]
fn an_empty_file_is_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    File::create(&file).unwrap();
    Database::open_or_create(&file).unwrap();
    assert_eq!(read(&file).unwrap(), 0);
}

#[test]
fn a_file_without_a_database_in_it_is_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "not a database ".repeat(100)).unwrap();
    assert!(both(&file).iter().all(|error| matches!(error, RecordError::Foreign { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a database ".repeat(100));
}

#[test]
fn a_database_of_another_program_is_foreign_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.sqlite");
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE a (b); PRAGMA user_version = 1").unwrap();
    let before = fs::read(&file).unwrap();
    assert!(both(&file).iter().all(|error| matches!(error, RecordError::Foreign { .. })));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_newer_format_is_refused_with_its_number() {
    let (_folder, file) = altered("PRAGMA user_version = 7");
    let newer = |error: &RecordError| matches!(error, RecordError::Newer { version: 7, known: 3, .. });
    assert!(both(&file).iter().all(newer));
}

#[test]
fn a_directory_a_pipe_and_a_missing_file_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert!(both(folder.path()).iter().all(|error| matches!(error, RecordError::NotAFile { what: "a directory", .. })));
    assert!(both(Path::new("/dev/null")).iter().all(|error| matches!(error, RecordError::NotAFile { .. })));
    let nowhere = folder.path().join("missing/results.sqlite");
    assert!(matches!(both(&nowhere), [RecordError::NoFolder { .. }, RecordError::NotFound { .. }]));
    assert!(matches!(Reader::open(&folder.path().join("a")), Err(RecordError::NotFound { .. })));
}

#[test]
fn a_file_that_another_process_holds_is_locked() {
    let (_folder, file) = sound();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM pace_marks").unwrap();
    let mut waiting = Database::open_or_create(&file);
    if let Ok(database) = &mut waiting {
        waiting = database.insert_run(&support::run(2)).map(|()| unreachable!("the other process holds the file"));
    }
    assert!(matches!(waiting, Err(RecordError::Locked { .. })), "{waiting:?}");
}

#[test]
fn a_file_that_may_not_be_written_is_read_only() {
    let (_folder, file) = sound();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    if fs::OpenOptions::new().write(true).open(&file).is_ok() {
        eprintln!("skipped: this user may write to files of mode 0400");
        return;
    }
    assert!(matches!(Database::open_or_create(&file), Err(RecordError::ReadOnly { .. })));
    assert_eq!(read(&file).unwrap(), 3);
}

#[test]
fn damaged_pages_are_found_before_any_row_is_read() {
    let (_folder, file) = altered("VACUUM; PRAGMA journal_mode = DELETE");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    let error = Reader::open(&file).unwrap_err();
    assert!(matches!(error, RecordError::Corrupt { .. }), "{error}");
}

#[test]
fn a_file_cut_short_is_damaged() {
    let (_folder, file) = altered("VACUUM; PRAGMA journal_mode = DELETE");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let error = Reader::open(&file).unwrap_err();
    assert!(matches!(error, RecordError::Corrupt { .. }), "{error}");
}

#[test]
fn a_schema_that_is_not_ours_letter_by_letter_is_refused() {
    for sql in [
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN SELECT 1; END",
        "CREATE TABLE extra (a)",
        "CREATE INDEX extra ON runs (platform)",
        "DROP INDEX measurements_by_time",
        "ALTER TABLE bodies ADD COLUMN more TEXT",
        "DROP TABLE pace_marks",
    ] {
        let (_folder, file) = altered(sql);
        let error = Reader::open(&file).unwrap_err();
        assert!(matches!(error, RecordError::Altered { .. }), "{sql}: {error}");
    }
}

#[test]
fn rows_that_refer_to_nothing_are_damage() {
    for sql in [
        "UPDATE measurements SET id = x'00' WHERE offset_ms < 2000",
        "UPDATE measurements SET run = zeroblob(16)",
        "DELETE FROM targets",
        "DELETE FROM certificates",
        "DELETE FROM bodies",
    ] {
        let (_folder, file) = altered(sql);
        let error = read(&file).unwrap_err();
        assert!(matches!(error, RecordError::Corrupt { .. }), "{sql}: {error}");
    }
}

#[test]
fn a_value_outside_the_vocabulary_is_named_with_its_place() {
    for (sql, place) in [
        ("UPDATE observations SET failure = 'no_such' WHERE failure = 'eof_error'", "observations.failure"),
        ("UPDATE observations SET purpose = ''", "observations.purpose"),
        ("UPDATE observations SET operation = 'connect' WHERE step = 'http'", "observations.operation"),
        ("UPDATE observations SET failure = 'eof_error', not_run = 'max_time'", "observations.not_run"),
        ("UPDATE observations SET t0_ms = -1", "observations.t0_ms"),
        ("UPDATE observations SET hop = 65536", "observations.hop"),
        ("UPDATE observations SET tls_bytes_received = -1 WHERE step = 'tls'", "observations.tls_bytes_received"),
        ("UPDATE observations SET http_body_truncated = 2 WHERE step = 'http'", "observations.http_body_truncated"),
        ("UPDATE observations SET seq = 65536 WHERE step = 'tcp' AND seq > 11", "observations.seq"),
        ("UPDATE networks SET asn = -1", "networks.asn"),
        ("UPDATE dns_answers SET cname = 'x'", "dns_answers.cname"),
        ("UPDATE observations SET address = '1.2.3' WHERE seq = 3", "observations.address"),
        ("UPDATE observations SET http_headers = '[[1]]' WHERE step = 'http'", "observations.http_headers"),
        ("UPDATE observations SET http_arrivals = '[[2,1],[1,2]]' WHERE step = 'http'", "observations.http_arrivals"),
        ("UPDATE observations SET dns_engine = NULL WHERE step = 'dns'", "observations.dns_engine"),
        ("UPDATE observations SET t_ms = 9e999 WHERE seq = 1", "observations.t_ms"),
        ("UPDATE observations SET detail = CAST(x'ff' AS TEXT) WHERE seq = 1", "observations.detail"),
        ("UPDATE targets SET endpoint = 'gopher://x'", "targets.endpoint"),
        ("UPDATE networks SET kind = 'wire'", "networks.kind"),
        ("UPDATE dns_answers SET address = 'x' WHERE address IS NOT NULL", "dns_answers.address"),
        ("UPDATE health_signals SET kind = 'x'", "health_signals.kind"),
        ("UPDATE health_checks SET reason = 'x'", "health_checks.reason"),
    ] {
        let (_folder, file) = altered(sql);
        match read(&file) {
            Err(RecordError::BadRow { table, column, .. }) => assert_eq!(format!("{table}.{column}"), place),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn a_strange_value_cannot_write_on_the_terminal() {
    let (_folder, file) = altered("UPDATE observations SET purpose = char(27) || '[2J' || hex(zeroblob(1000))");
    let text = read(&file).unwrap_err().to_string();
    assert!(!text.contains('\u{1b}') && text.contains("observations, row") && text.len() < 400, "{text}");
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused_and_never_ends_the_program() {
    let (_folder, file) = altered("VACUUM; PRAGMA journal_mode = DELETE");
    let sound = fs::read(&file).unwrap();
    let (mut good, mut bad) = (0, 0);
    for round in 0..400_usize {
        // Spread over the whole file by a stride without a common factor; every other round hits the first page.
        let place = if round % 2 == 0 { round * 7_919 % sound.len() } else { round * 31 % 4096 };
        let mut bytes = sound.clone();
        bytes[place] ^= 1 << (round % 8);
        fs::write(&file, bytes).unwrap();
        *(if read(&file).is_ok() { &mut good } else { &mut bad }) += 1;
    }
    // Most of a small file is unused space.
    assert!(good > 20 && bad > 20, "{good} read, {bad} refused");
}

#[test]
fn what_a_killed_run_left_in_the_wal_is_read() {
    let (folder, file) = sound();
    let kept = folder.path().join("kept.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    database.insert_measurement(&support::empty_measurement(9, 50_000.0)).unwrap();
    // As a kill leaves it: both files, no orderly end.
    fs::copy(&file, &kept).unwrap();
    fs::copy(folder.path().join("results.sqlite-wal"), folder.path().join("kept.sqlite-wal")).unwrap();
    drop(database);
    assert_eq!(read(&kept).unwrap(), 4);
}

#[test]
fn reading_leaves_the_file_as_it_is() {
    let (_folder, file) = sound();
    let before = fs::read(&file).unwrap();
    assert_eq!(read(&file).unwrap(), 3);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_second_run_is_turned_away_at_once_also_by_another_name() {
    let (folder, file) = sound();
    let other_name = folder.path().join("link.sqlite");
    symlink(&file, &other_name).unwrap();
    let [first, second] = [&file, &other_name].map(|name| Database::open_or_create(name).unwrap());
    let lock = first.lock_for_run().unwrap();
    assert!(matches!(second.lock_for_run(), Err(RecordError::AlreadyRunning { .. })));
    drop(lock);
    second.lock_for_run().unwrap();
}

#[test]
fn a_file_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a?mode=memory", "50% #1.sqlite", "file:x", "ünicode \u{202e}.sqlite"] {
        let file = folder.path().join(name);
        sample().store(&mut Database::open_or_create(&file).unwrap()).unwrap();
        assert_eq!(read(&file).unwrap(), 3, "{name}");
        assert!(file.exists());
    }
}
