//! Merging: by id, once; what contradicts or is not sound does not get in.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use faultline_record::{
    Database, Filter, InputReport, Measurement, MergeReport, Merged, Progress, Reader, RecordError, Witnessed, merge,
};
use rusqlite::Connection;
use support::{empty_measurement, measurement_id, run_id, sample};
use tempfile::TempDir;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with the sample in it.
    fn sample(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        sample().store(&mut Database::open_or_create(&file).unwrap()).unwrap();
        file
    }

    /// A file with a second run of one measurement.
    fn second(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        let mut database = Database::open_or_create(&file).unwrap();
        database.insert_run(&support::run(2)).unwrap();
        let measurement = Measurement { run: run_id(2), ..empty_measurement(20, 5.0) };
        database.insert_measurement(&measurement).unwrap();
        file
    }

    /// The sample, altered.
    fn altered(&self, name: &str, sql: &str) -> PathBuf {
        let file = self.sample(name);
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
        connection.execute_batch(sql).unwrap();
        file
    }
}

fn merged(out: &Path, inputs: &[PathBuf]) -> MergeReport {
    merge(out, inputs, |_| ControlFlow::Continue(())).unwrap()
}

fn only(report: MergeReport) -> Result<Merged, RecordError> {
    assert!(!report.stopped);
    let [input]: [InputReport; 1] = report.inputs.try_into().unwrap();
    input.outcome
}

fn all(file: &Path) -> Vec<Witnessed> {
    let mut found = Vec::new();
    let filter = Filter { with_bodies: true, ..Filter::default() };
    let reader = Reader::open(file).unwrap();
    let end = reader.for_each(&filter, |witnessed| {
        found.push(witnessed);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(end.unwrap(), None);
    found
}

fn counts(measurements: u64, new: u64, already: u64, conflicting: u64) -> Merged {
    Merged { measurements, new, already, conflicting, ..Merged::default() }
}

#[test]
fn a_merged_file_holds_what_its_inputs_held() {
    let files = Files::new();
    let inputs = [files.sample("a.sqlite"), files.second("b.sqlite")];
    let out = files.path("out.sqlite");
    let report = merged(&out, &inputs);
    let outcomes: Vec<_> = report.inputs.into_iter().map(|input| input.outcome.unwrap()).collect();
    assert_eq!(outcomes, [counts(3, 3, 0, 0), counts(1, 1, 0, 0)]);
    assert_eq!(all(&out), [all(&inputs[0]), all(&inputs[1])].concat());
    let reader = Reader::open(&out).unwrap();
    assert_eq!(reader.runs().unwrap(), [support::run(1), support::run(2)]);
    assert_eq!(reader.run_end(run_id(1)).unwrap(), Some(sample().end));
    assert_eq!(reader.pace_marks(run_id(1)).unwrap(), sample().marks);
    assert_eq!(reader.health_checks(run_id(1)).unwrap(), sample().checks);
}

#[test]
fn merging_again_adds_nothing_and_the_order_does_not_matter() {
    let files = Files::new();
    let (a, b) = (files.sample("a.sqlite"), files.second("b.sqlite"));
    let [one, other] = ["one.sqlite", "other.sqlite"].map(|name| files.path(name));
    merged(&one, &[a.clone(), b.clone()]);
    merged(&other, &[b.clone(), a.clone(), b]);
    assert_eq!(all(&one), all(&other));
    assert_eq!(only(merged(&one, &[a])).unwrap(), Merged { known: true, ..counts(3, 0, 3, 0) });
    assert_eq!(only(merged(&one, std::slice::from_ref(&other))).unwrap(), counts(4, 0, 4, 0));
    assert_eq!(all(&one).len(), 4);
}

#[test]
fn a_run_that_went_on_since_the_last_merge_is_brought_up_to_date() {
    let files = Files::new();
    let (input, out) = (files.second("a.sqlite"), files.path("out.sqlite"));
    merged(&out, std::slice::from_ref(&input));
    let mut database = Database::open_or_create(&input).unwrap();
    database.insert_measurement(&Measurement { run: run_id(2), ..empty_measurement(21, 9.0) }).unwrap();
    database.finish_run(run_id(2), &sample().end).unwrap();
    assert_eq!(only(merged(&out, &[input])).unwrap(), counts(2, 1, 1, 0));
    assert_eq!(Reader::open(&out).unwrap().run_end(run_id(2)).unwrap(), Some(sample().end));
}

#[test]
fn one_id_with_two_contents_is_reported_and_the_output_keeps_its_own() {
    for sql in [
        "UPDATE measurements SET duration_ms = 1 WHERE id = (SELECT min(id) FROM measurements)",
        "UPDATE observations SET detail = 'x' WHERE step = 'http' AND seq = 5",
        "DELETE FROM dns_answers WHERE position = 2",
        "UPDATE tls_chains SET position = 7 WHERE position = 1",
        "INSERT INTO observations (measurement, seq, hop, purpose, step, operation, t0_ms, t_ms)
         SELECT min(id), 99, 0, 'main', 'tcp', 'connect', 0, 0 FROM measurements",
    ] {
        let files = Files::new();
        let (input, out) = (files.altered("a.sqlite", sql), files.sample("out.sqlite"));
        let before = all(&out);
        let found = only(merged(&out, &[input])).unwrap();
        assert_eq!((found.measurements, found.new, found.already, found.conflicting), (3, 0, 2, 1), "{sql}");
        assert_eq!((found.conflicts[0].table.as_str(), found.conflicts.len()), ("measurements", 1));
        assert_eq!(found.conflicts[0].id, measurement_id(1).to_string());
        assert_eq!(all(&out), before);
    }
}

#[test]
fn nothing_is_taken_for_a_run_that_the_output_knows_otherwise() {
    let files = Files::new();
    let (input, out) = (files.altered("a.sqlite", "UPDATE runs SET platform = 'other'"), files.path("out.sqlite"));
    Database::open_or_create(&out).unwrap().insert_run(&support::run(1)).unwrap();
    let found = only(merged(&out, &[input])).unwrap();
    assert_eq!((found.new, found.conflicting), (0, 3));
    assert!(found.conflicts.iter().any(|conflict| conflict.table == "runs"));
    assert_eq!(all(&out), []);
    assert_eq!(Reader::open(&out).unwrap().health_checks(run_id(1)).unwrap(), []);
}

#[test]
fn an_end_or_a_check_that_contradicts_is_reported_too() {
    let files = Files::new();
    let sql = "UPDATE run_ends SET measured = 7; DELETE FROM health_signals WHERE position = 3";
    let (input, out) = (files.altered("a.sqlite", sql), files.sample("out.sqlite"));
    let found = only(merged(&out, &[input])).unwrap();
    assert_eq!((found.already, found.conflicting), (3, 0));
    let count = |table| found.conflicts.iter().filter(|conflict| conflict.table == table).count();
    assert_eq!([count("run_ends"), count("health_checks")], [1, 5]);
}

#[test]
fn a_key_that_lies_about_its_content_is_refused() {
    for sql in [
        "UPDATE bodies SET bytes = x'00'",
        "UPDATE certificates SET der = x'00'",
        "UPDATE targets SET input = 'x'",
        "UPDATE networks SET asn = 1",
    ] {
        let files = Files::new();
        let (input, out) = (files.altered("a.sqlite", sql), files.path("out.sqlite"));
        let refused = only(merged(&out, &[input])).unwrap_err();
        assert!(matches!(refused, RecordError::BadRow { .. }), "{sql}: {refused}");
        assert_eq!(all(&out), []);
    }
}

#[test]
fn what_a_stranger_says_of_a_certificate_is_read_out_of_it_anew() {
    let files = Files::new();
    let sql = "UPDATE certificates SET subject = 'CN=your bank', not_after = 0";
    let (input, out) = (files.altered("a.sqlite", sql), files.path("out.sqlite"));
    only(merged(&out, &[input])).unwrap();
    assert_eq!(all(&out), all(&files.sample("b.sqlite")));
}

#[test]
fn a_bad_input_leaves_nothing_behind_and_the_next_goes_on() {
    for sql in [
        "UPDATE observations SET failure = 'no_such' WHERE failure = 'eof_error'",
        "UPDATE health_signals SET kind = 'x' WHERE position = 1",
        "UPDATE run_ends SET reason = 'x'",
        "UPDATE pace_marks SET rate = -1",
        "CREATE TABLE extra (a)",
        "DELETE FROM bodies",
        "DELETE FROM certificates",
        "DELETE FROM networks",
        "DELETE FROM runs",
        "DELETE FROM health_checks",
        "UPDATE dns_answers SET seq = 900 WHERE position = 0",
        "UPDATE tls_chains SET seq = 900 WHERE position = 0",
    ] {
        let files = Files::new();
        let (bad, good, out) = (files.altered("a.sqlite", sql), files.second("b.sqlite"), files.path("out.sqlite"));
        let report = merged(&out, &[bad.clone(), good.clone()]);
        let refused = report.inputs[0].outcome.as_ref().unwrap_err();
        assert!(refused.to_string().starts_with(&bad.display().to_string()), "{sql}: {refused}");
        assert_eq!(report.inputs[1].outcome.as_ref().unwrap(), &counts(1, 1, 0, 0));
        assert_eq!(all(&out), all(&good), "{sql}");
        assert_eq!(Reader::open(&out).unwrap().runs().unwrap().len(), 1, "{sql}");
    }
}

#[test]
fn who_breaks_off_keeps_what_was_merged_before() {
    let files = Files::new();
    let inputs = [files.path("missing.sqlite"), files.sample("a.sqlite")];
    let out = files.path("out.sqlite");
    let stop_at_refusal = |progress: Progress<'_>| match progress {
        Progress::Input(InputReport { outcome: Err(_), .. }) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let report = merge(&out, &inputs, stop_at_refusal).unwrap();
    assert!(report.stopped && report.inputs.len() == 1);
    let stop_while_checking = |progress: Progress<'_>| match progress {
        Progress::Checking { .. } => ControlFlow::Break(()),
        Progress::Input(_) => ControlFlow::Continue(()),
    };
    let inputs = [files.sample("b.sqlite")];
    assert!(merge(&out, &inputs, stop_while_checking).unwrap().stopped);
    assert_eq!(all(&out), []);
    assert_eq!(only(merged(&out, &inputs)).unwrap(), counts(3, 3, 0, 0));
}

#[test]
fn the_output_cannot_be_an_input_by_any_of_its_names() {
    let files = Files::new();
    let out = files.sample("out.sqlite");
    let (link, twin) = (files.path("link.sqlite"), files.path("twin.sqlite"));
    std::os::unix::fs::symlink(&out, &link).unwrap();
    fs::hard_link(&out, &twin).unwrap();
    for input in [out.clone(), link, twin] {
        let refused = merge(&out, &[input], |_| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(RecordError::OutputIsInput { .. })));
    }
}

#[test]
fn an_output_that_a_run_is_writing_to_is_left_alone() {
    let files = Files::new();
    let (input, out) = (files.sample("a.sqlite"), files.path("out.sqlite"));
    let database = Database::open_or_create(&out).unwrap();
    let _run = database.lock_for_run().unwrap();
    let refused = merge(&out, &[input], |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(RecordError::AlreadyRunning { .. })));
}
