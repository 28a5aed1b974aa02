//! What comes into a file from others: the ledger, feeds, kept texts, clocks; inputs that claim much; and merges that are killed.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::env;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use faultline_record::{
    Announcement, Database, Feed, Filter, HealthCheck, HealthCheckId, HealthReason, HealthSignal, IntakeKind,
    Measurement, MeasurementId, Merged, Outcome, Place, Point, Reader, RecordError, Run, RunId, Series, SeriesKind,
    SignalKind, Timestamp, merge, ooni, sha256,
};
use rusqlite::Connection;
use support::{empty_measurement, run, run_id, sample};
use tempfile::TempDir;

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn outcome(out: &Path, input: &Path) -> Result<Merged, RecordError> {
    merge(out, &[input.to_owned()], |_| ControlFlow::Continue(())).unwrap().inputs.remove(0).outcome
}

fn feed(value: f64) -> Feed {
    let place = Place { country: Some("PK".into()), region: None, asn: Some(17557) };
    let series = Series {
        kind: SeriesKind::Connectivity,
        source: "ioda".into(),
        signal: "bgp".into(),
        unit: Some("/24s".into()),
        step_ms: Some(300_000),
        place: place.clone(),
    };
    let point = |minute: i64| Point { at: Timestamp::from_millisecond(minute * 60_000), value, baseline: None };
    let announcement = Announcement {
        source: "radar".into(),
        kind: "outage".into(),
        place,
        from: Timestamp::from_millisecond(0),
        to: None,
        cause: Some("CABLE_CUT".into()),
        score: None,
        words: None,
    };
    Feed { series: vec![(series, vec![point(0), point(5)])], announcements: vec![announcement] }
}

/// A file with a feed and the kept text of an imported measurement.
fn fed(folder: &TempDir, name: &str, value: f64) -> PathBuf {
    let file = path(folder, name);
    let mut database = Database::open_or_create(&file).unwrap();
    database.insert_feed(&feed(value)).unwrap();
    let text = br#"{"test_name": "ndt", "measurement_start_time": "2024-01-01 00:00:00", "test_keys": {}}"#;
    let mut import = ooni::read(text).unwrap().import;
    import.raw = Some(faultline_record::RawText { format: "ooni".into(), place: String::new(), text: text.to_vec() });
    database.insert_imports(&[import]).unwrap();
    file
}

#[test]
fn a_feed_is_stored_once_and_a_value_that_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "a.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    let counts = |stored: faultline_record::Stored| (stored.found, stored.added, stored.conflicting);
    assert_eq!(counts(database.insert_feed(&feed(1.0)).unwrap()), (3, 3, 0));
    assert_eq!(counts(database.insert_feed(&feed(1.0)).unwrap()), (3, 0, 0));
    assert_eq!(counts(database.insert_feed(&feed(2.0)).unwrap()), (3, 0, 2));
    let reader = Reader::open(&file).unwrap();
    let [summary] = reader.feed_series().unwrap().try_into().unwrap();
    assert_eq!((summary.points, summary.most, &summary.series), (2, Some(1.0), &feed(1.0).series[0].0));
    let moment = Timestamp::from_millisecond;
    assert_eq!(reader.feed_points(&summary.id, moment(1), moment(i64::MAX)).unwrap(), feed(1.0).series[0].1[1..]);
    assert_eq!(reader.announcements().unwrap(), feed(1.0).announcements);
}

#[test]
fn a_merge_takes_feeds_and_kept_texts_and_writes_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other, out) = (fed(&folder, "a.sqlite", 1.0), fed(&folder, "b.sqlite", 2.0), path(&folder, "out.sqlite"));
    outcome(&out, &one).unwrap();
    outcome(&out, &other).unwrap();
    let reader = Reader::open(&out).unwrap();
    assert_eq!(reader.feed_series().unwrap()[0].most, Some(1.0), "what was there stays");
    assert_eq!(reader.announcements().unwrap().len(), 1);
    let mut texts = Vec::new();
    reader
        .each_raw_text(|raw| {
            texts.push(raw.text);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((texts.len(), reader.raw_text_count().unwrap()), (1, 1));
    let ledger = reader.intakes().unwrap();
    let told: Vec<_> = ledger.iter().map(|intake| (intake.name.as_str(), intake.found, intake.added)).collect();
    assert_eq!(told, [("a.sqlite", 1, 1), ("b.sqlite", 1, 0)]);
    assert_eq!((ledger[0].kind, ledger[0].runs.len(), ledger[1].runs.len()), (IntakeKind::Merge, 1, 0));
    assert_eq!(
        (ledger[0].sha256, ledger[0].bytes),
        (sha256(&fs::read(&one).unwrap()), fs::metadata(&one).unwrap().len())
    );
}

#[test]
fn what_a_stranger_put_into_feeds_or_texts_is_checked_and_refused_whole() {
    for sql in [
        "UPDATE feed_points SET value = 9e999",
        "UPDATE feed_series SET kind = 'x'",
        "UPDATE feed_series SET signal = 'another'",
        "UPDATE feed_events SET source = 'another'",
        "UPDATE feed_events SET score = 9e999",
        "UPDATE raw_texts SET deflated = x'00'",
        "UPDATE raw_texts SET length = 1",
        "UPDATE raw_texts SET sha256 = zeroblob(32)",
        "UPDATE raw_texts SET length = 1099511627776",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (bad, out) = (fed(&folder, "a.sqlite", 1.0), path(&folder, "out.sqlite"));
        let connection = Connection::open(&bad).unwrap();
        connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        drop(connection);
        let refused = outcome(&out, &bad).unwrap_err();
        assert!(refused.to_string().starts_with(&bad.display().to_string()), "{sql}: {refused}");
        let reader = Reader::open(&out).unwrap();
        assert_eq!((reader.intakes().unwrap().len(), reader.raw_text_count().unwrap()), (0, 0), "{sql}");
        assert_eq!((reader.count(&Filter::default()).unwrap(), reader.feed_series().unwrap().len()), (0, 0), "{sql}");
    }
}

#[test]
fn inputs_that_claim_much_or_hold_nothing_are_refused_at_once_or_read_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let good = path(&folder, "good.sqlite");
    sample().store(&mut Database::open_or_create(&good).unwrap()).unwrap();
    let bytes = fs::read(&good).unwrap();
    let made = |name: &str, bytes: &[u8]| {
        let file = path(&folder, name);
        fs::write(&file, bytes).unwrap();
        file
    };
    let mut claims = bytes.clone();
    // 25 million pages of 4 KiB: 100 GB, by a header whose count holds.
    claims[28..32].copy_from_slice(&25_000_000_u32.to_be_bytes());
    claims[92..96].copy_from_slice(&bytes[24..28]);
    let refused = [
        made("empty.sqlite", b""),
        made("cut.sqlite", &bytes[..bytes.len() / 2]),
        made("header.sqlite", &bytes[..100]),
        made("claims.sqlite", &claims),
        made("noise.sqlite", &[0xa5; 9_000]),
    ];
    let sparse = made("sparse.sqlite", b"");
    File::options().write(true).open(&sparse).unwrap().set_len(100 << 30).unwrap();
    let tail = made("tail.sqlite", &bytes);
    File::options().write(true).open(&tail).unwrap().set_len(100 << 30).unwrap();
    let begun = Instant::now();
    let out = path(&folder, "out.sqlite");
    let inputs: Vec<_> = refused.iter().cloned().chain([sparse, tail, good]).collect();
    let report = merge(&out, &inputs, |_| ControlFlow::Continue(())).unwrap();
    for input in &report.inputs[..6] {
        let words = input.outcome.as_ref().unwrap_err().to_string();
        assert!(words.starts_with(&input.file.display().to_string()) && words.lines().count() == 1, "{words}");
    }
    assert_eq!(
        report.inputs[6].outcome.as_ref().unwrap().new,
        3,
        "pages that the header does not count are no part of it"
    );
    assert!(report.inputs[7].outcome.as_ref().unwrap().known, "nor of what it is known by");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// A run whose clock is ahead by so many seconds, by the word of two operators; one measurement.
fn skewed(file: &Path, number: u8, ahead_s: f64) {
    let mut database = Database::open_or_create(file).unwrap();
    database.insert_run(&run(number)).unwrap();
    let clock = |operator: &str, more: f64| HealthSignal {
        kind: SignalKind::Clock,
        name: format!("captive/{operator}"),
        provider: Some(operator.into()),
        family: None,
        address: None,
        outcome: Outcome::Ok,
        value: Some(ahead_s + more),
        duration_ms: 1.0,
        detail: None,
    };
    let check = HealthCheck {
        id: HealthCheckId::from_bytes([number; 16]),
        run: run_id(number),
        reason: HealthReason::Before,
        offset_ms: 0.0,
        duration_ms: 1.0,
        signals: vec![clock("google", 0.0), clock("mozilla", 1.0)],
    };
    database.insert_health(&check).unwrap();
    let measurement = Measurement { run: run_id(number), ..empty_measurement(number, 2_000.0) };
    database.insert_measurement(&measurement).unwrap();
}

#[test]
fn a_clock_that_was_wrong_is_found_said_and_corrected_where_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong, out) = (path(&folder, "a.sqlite"), path(&folder, "b.sqlite"), path(&folder, "out.sqlite"));
    skewed(&right, 7, 1.0);
    skewed(&wrong, 8, 7_200.0);
    assert_eq!(outcome(&out, &right).unwrap().clocks, []);
    let [clock] = outcome(&out, &wrong).unwrap().clocks.try_into().unwrap();
    assert_eq!((clock.run, clock.ahead_ms, clock.operators), (run_id(8), 7_200_500, 2));
    let mut began = Vec::new();
    let reader = Reader::open(&out).unwrap();
    let end = reader.for_each(&Filter::default(), |witnessed| {
        let recorded = witnessed.measurement.started_at.as_millisecond();
        began.push(recorded - witnessed.began().as_millisecond());
        ControlFlow::<()>::Continue(())
    });
    assert_eq!((end.unwrap(), began), (None, vec![0, 7_200_500]));
}

/// Tells this test's own program to be the one that is killed.
const VICTIM: &str = "FAULTLINE_TEST_MERGER";
const NAME: &str = "a_merge_that_is_killed_again_and_again_goes_on_where_it_was_and_ends_as_if_it_never_had_been";
const INPUTS: u8 = 6;
const MEASUREMENTS: u32 = 120;

/// Inputs of a run each.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    (0..INPUTS).map(|number| folder.join(format!("in-{number}.sqlite"))).collect()
}

fn fill(file: &Path, number: u8) {
    let mut database = Database::open_or_create(file).unwrap();
    let own = Run { id: RunId::from_bytes([number + 1; 16]), ..run(1) };
    database.insert_run(&own).unwrap();
    for one in 0..MEASUREMENTS {
        let mut id = [number + 1; 16];
        id[..4].copy_from_slice(&one.to_be_bytes());
        let id = MeasurementId::from_bytes(id);
        database.insert_measurement(&Measurement { id, run: own.id, ..empty_measurement(0, f64::from(one)) }).unwrap();
    }
}

#[test]
fn a_merge_that_is_killed_again_and_again_goes_on_where_it_was_and_ends_as_if_it_never_had_been() {
    if let Some(folder) = env::var_os(VICTIM) {
        let folder = PathBuf::from(folder);
        let report = merge(&folder.join("out.sqlite"), &inputs(&folder), |_| ControlFlow::Continue(())).unwrap();
        assert!(report.inputs.iter().all(|input| input.outcome.is_ok()));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    (0..INPUTS).zip(inputs(folder.path())).for_each(|(number, file)| fill(&file, number));
    let out = folder.path().join("out.sqlite");
    let mut kills = 0;
    // Each victim lives longer than the one before, so that the last ends by itself.
    let lives = (0..).map(|more| Duration::from_millis(30 + 40 * more));
    for patience in lives {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(VICTIM, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(patience);
        if let Some(ended) = victim.try_wait().unwrap() {
            assert!(ended.success());
            break;
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        kills += 1;
        if out.exists() && fs::metadata(&out).unwrap().len() > 0 {
            let held = Reader::open(&out).map_or(0, |reader| reader.count(&Filter::default()).unwrap());
            assert_eq!(held % u64::from(MEASUREMENTS), 0, "an input is there whole or not at all");
        }
    }
    println!("{kills} kills");
    assert!(kills > 0);
    let reader = Reader::open(&out).unwrap();
    assert_eq!(reader.count(&Filter::default()).unwrap(), u64::from(INPUTS) * u64::from(MEASUREMENTS));
    assert_eq!(reader.intakes().unwrap().len(), usize::from(INPUTS), "each input stands in the ledger once");
    let again = merge(&out, &inputs(folder.path()), |_| ControlFlow::Continue(())).unwrap();
    assert!(again.inputs.iter().all(|input| input.outcome.as_ref().is_ok_and(|merged| merged.known)));
}
