//! `analyzer merge`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use faultline_record::{
    Database, Failure, Filter, HealthCheck, HealthCheckId, HealthReason, HealthSignal, Outcome, Reader, SignalKind,
};
use support::{Folder, Ran, analyzer, blocked, command, ran, reachable, silent, unproven};

/// Three files with five different measurements in seven places.
fn three_files(folder: &Folder) -> [String; 3] {
    [
        folder.database("a.sqlite", &[reachable(1, "a"), blocked(2, "b")]),
        folder.database("b.sqlite", &[blocked(2, "b"), silent(3, "c"), unproven(4, "d")]),
        folder.database("c.sqlite", &[reachable(1, "a"), reachable(5, "e")]),
    ]
}

fn merged(out: &str, inputs: &[&str]) -> Ran {
    analyzer(&[&["merge", out], inputs].concat())
}

fn held(file: &str) -> u64 {
    Reader::open(file.as_ref()).unwrap().count(&Filter::default()).unwrap()
}

#[test]
fn a_merge_counts_what_it_read_and_a_second_one_adds_nothing() {
    let folder = Folder::new();
    let [a, b, c] = three_files(&folder);
    let out = folder.path("out.sqlite");
    let first = merged(&out, &[&a, &b, &c]);
    assert_eq!((first.code, first.stderr.as_str()), (0, ""));
    assert_eq!(
        first.stdout,
        format!(
            "{a}: 2 measurements read, 2 new, 0 already there\n\
             {b}: 3 measurements read, 2 new, 1 already there\n\
             {c}: 2 measurements read, 1 new, 1 already there\n\
             in all: 7 measurements read, 5 new, 2 already there; {out} holds 5 measurements\n"
        )
    );
    let second = merged(&out, &[&a, &b, &c]);
    let sum = format!("in all: 7 measurements read, 0 new, 7 already there; {out} holds 5 measurements\n");
    assert!(second.code == 0 && second.stdout.ends_with(&sum), "{}", second.stdout);
    assert_eq!(held(&out), 5);
}

#[test]
fn a_merge_goes_on_when_nobody_reads_about_it() {
    let folder = Folder::new();
    let [a, b, c] = three_files(&folder);
    let out = folder.path("out.sqlite");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = ran(&command(&["merge", &out, &a, &b, &c]).stdout(writer).output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(held(&out), 5);
}

#[test]
fn the_merged_file_gives_the_same_verdicts_as_its_inputs() {
    let folder = Folder::new();
    let [a, b, c] = three_files(&folder);
    let out = folder.path("out.sqlite");
    assert_eq!(merged(&out, &[&a, &b, &c]).code, 0);
    let sorted = |files: &[&str]| {
        let ran = analyzer(&[&["verdicts", "--format", "jsonl"], files].concat());
        let mut lines: Vec<String> = ran.stdout.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&[&out]), sorted(&[&a, &b, &c]));
    assert_eq!(sorted(&[&out]).len(), 5);
}

#[test]
fn a_bad_input_is_named_and_the_others_go_on() {
    let folder = Folder::new();
    let [a, b, _] = three_files(&folder);
    let (foreign, out) = (folder.foreign("f.sqlite"), folder.path("out.sqlite"));
    let strict = merged(&out, &[&a, &foreign, &b]);
    assert_eq!(strict.code, 4);
    let lines: Vec<&str> = strict.stderr.lines().collect();
    let [line] = lines.as_slice() else { panic!("{}", strict.stderr) };
    assert!(line.starts_with(&format!("analyzer: {foreign}: this is not a Faultline database")), "{line}");
    assert_eq!(held(&out), 4);
    let lenient = merged(&out, &[&a, &foreign, &b, "--skip-bad"]);
    assert_eq!(lenient.code, 0);
    assert!(lenient.stderr.contains(&foreign), "{}", lenient.stderr);
}

#[test]
fn when_no_input_can_be_read_the_exit_code_is_3() {
    let folder = Folder::new();
    let (foreign, out) = (folder.foreign("f.sqlite"), folder.path("out.sqlite"));
    assert_eq!(merged(&out, &[&foreign]).code, 3);
    assert_eq!(merged(&out, &[&foreign, &folder.path("absent"), "--skip-bad"]).code, 3);
}

#[test]
fn an_output_that_cannot_be_used_is_a_storage_error_and_stays_as_it_was() {
    let folder = Folder::new();
    let [a, b, _] = three_files(&folder);
    let foreign = folder.foreign("f.sqlite");
    let before = std::fs::read(&foreign).unwrap();
    let into_foreign = merged(&foreign, &[&a]);
    assert_eq!((into_foreign.code, into_foreign.stdout.as_str()), (4, ""));
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
    let into_itself = merged(&a, &[&b, &a]);
    assert_eq!(into_itself.code, 4);
    assert!(into_itself.stderr.contains("the output is also an input"), "{}", into_itself.stderr);
    assert_eq!(held(&a), 2);
    assert_eq!(merged(&folder.path("no/such/out.sqlite"), &[&a]).code, 4);
}

#[test]
fn the_same_id_with_other_content_is_named_and_not_taken() {
    let folder = Folder::new();
    let mut other = blocked(2, "b");
    other.observations[2].outcome = Outcome::Failed(Failure::EofError);
    let first = folder.database("a.sqlite", &[blocked(2, "b")]);
    let second = folder.database("b.sqlite", &[other, reachable(1, "a")]);
    let out = folder.path("out.sqlite");
    let ran = merged(&out, &[&first, &second]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("2 measurements read, 1 new, 0 already there, 1 conflicting\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("differs from what is there under this id"), "{}", ran.stderr);
    assert_eq!(held(&out), 2);
}

#[test]
fn a_wrong_clock_is_named_by_the_merge_and_taken_off_by_whoever_reads() {
    let folder = Folder::new();
    let (file, out) = (folder.database("a.sqlite", &[reachable(1, "a")]), folder.path("out.sqlite"));
    let clock = |operator: &str| HealthSignal {
        kind: SignalKind::Clock,
        name: operator.into(),
        provider: Some(operator.into()),
        family: None,
        address: None,
        outcome: Outcome::Ok,
        value: Some(-3_600.0),
        duration_ms: 1.0,
        detail: None,
    };
    let check = HealthCheck {
        id: HealthCheckId::from_bytes([7; 16]),
        run: support::run_id(1),
        reason: HealthReason::During,
        offset_ms: 4_000.0,
        duration_ms: 10.0,
        signals: vec![clock("google"), clock("mozilla")],
    };
    Database::open_or_create(file.as_ref()).unwrap().insert_health(&check).unwrap();
    let ran = merged(&out, &[&file]);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("was 1:00:00 h behind, by the word of 2 operators"), "{}", ran.stderr);
    let line = analyzer(&["verdicts", "--format", "jsonl", &out]).stdout;
    let verdict: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(verdict["started_at"], "2026-11-22T11:00:05.001Z");
    assert_eq!(verdict["local_health"]["clock_ahead_ms"], -3_600_000);
    let id = verdict["id"].as_str().unwrap();
    let told = analyzer(&["explain", id, &out]).stdout;
    assert!(told.contains("its clock was 1:00:00 h behind; recorded as 2026-11-22T10:00:05.001Z"), "{told}");
}

#[test]
fn whatever_an_input_is_it_costs_one_line_and_the_good_ones_are_all_there() {
    let folder = Folder::new();
    let [a, b, c] = three_files(&folder);
    let bytes = std::fs::read(&a).unwrap();
    let made = |name: &str, bytes: &[u8]| {
        let path = folder.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    // Offsets in the header of a database: https://sqlite.org/fileformat2.html, 1.3.
    let with = |at: usize, value: u32| [&bytes[..at], &value.to_be_bytes(), &bytes[at + 4..]].concat();
    let bad = [
        (made("empty", b""), "is not a Faultline database"),
        (made("cut", &bytes[..bytes.len() / 2]), "damaged"),
        (made("noise", &[0xa5; 9_000]), "is not a Faultline database"),
        (made("newer", &with(60, 99)), "format 99 is newer"),
        (made("another", &with(68, 0x1234)), "is not a Faultline database"),
        (made("huge", &with(28, 25_000_000)), "damaged"),
        (folder.path("absent"), "there is no such file"),
        (folder.path("nothing"), "a directory"),
    ];
    std::fs::create_dir(folder.path("nothing")).unwrap();
    let out = folder.path("out.sqlite");
    let mut inputs: Vec<&str> = bad.iter().map(|(path, _)| path.as_str()).collect();
    inputs.insert(0, &a);
    inputs.insert(4, &b);
    inputs.push(&c);
    let ran = merged(&out, &inputs);
    assert_eq!((ran.code, held(&out)), (4, 5));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), bad.len(), "{}", ran.stderr);
    for ((path, words), line) in bad.iter().zip(lines) {
        assert!(line.contains(path) && line.contains(words), "{path}, {words}: {line}");
    }
    let ledger = analyzer(&["ledger", "--format", "jsonl", &out]).stdout;
    let names: Vec<String> =
        ledger.lines().map(|line| line.split("\"name\":\"").nth(1).unwrap()[..8].to_owned()).collect();
    assert_eq!(names, ["a.sqlite", "b.sqlite", "c.sqlite"]);
    let none = merged(&folder.path("none.sqlite"), &[&bad[0].0, &bad[1].0]);
    assert_eq!(none.code, 3, "{}", none.stderr);
}

#[test]
fn a_folder_stands_for_the_databases_in_it_and_the_output_is_none_of_them() {
    let folder = Folder::new();
    three_files(&folder);
    let out = folder.path("out.sqlite");
    for _ in 0..2 {
        let ran = merged(&out, &[&folder.path("")]);
        assert_eq!((ran.code, held(&out)), (0, 5), "{}", ran.stderr);
    }
    let lines = analyzer(&["verdicts", "--format", "jsonl", &folder.path("")]).stdout.lines().count();
    assert_eq!(lines, 5, "each measurement once");
}
