//! `analyzer generate`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use support::{Folder, analyzer};

#[test]
fn made_up_measurements_are_files_that_every_other_command_takes() {
    let folder = Folder::new();
    let made = folder.path("made");
    let generate = ["generate", "--measurements", "1201", "--files", "3", "--seed", "5", "--output", &made];
    let ran = analyzer(&generate);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("1201 measurements in 3 files"), "{}", ran.stderr);
    let files: Vec<String> = (0..3).map(|number| format!("{made}/volunteer-000{number}.sqlite")).collect();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let all = folder.path("all.sqlite");
    let ran = analyzer(&[vec!["merge", &all], names.clone()].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // More than two slices a file, judged by several threads: the same lines, one after the other and run by run.
    let judge = |files: &[&str]| analyzer(&[vec!["verdicts", "--format", "csv"], files.to_vec()].concat());
    let (apart, merged) = (judge(&names), judge(&[&all]));
    assert_eq!((apart.code, merged.code), (0, 0), "{}{}", apart.stderr, merged.stderr);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(apart.stdout.lines().count(), 1202);
    assert_eq!(sorted(&apart.stdout), sorted(&merged.stdout));
    assert_eq!(judge(&[&all]).stdout, merged.stdout, "the same bytes again");
    assert_eq!(analyzer(&generate).code, 2, "what is there is not touched");
}
