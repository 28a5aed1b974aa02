//! `--fingerprints`, used as a user uses it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use faultline_record::Measurement;
use serde_json::Value;
use support::{Folder, analyzer, id, page_in_the_clear, reachable};

const HEADER: &str = "\u{feff}name,scope,other_names,location_found,pattern_type,pattern,confidence_no_fp,expected_countries,source,exp_url,notes\r\n";

/// The page comes from a vantage in Pakistan.
fn blocked_in_clear() -> Measurement {
    page_in_the_clear(1, "http://x.com/", "<html>\n<title>Access\nrestricted</title>", &[("server", "filter/2.1")])
}

fn verdict(folder: &Folder, rows: &str) -> Value {
    let file = folder.database("a.sqlite", &[blocked_in_clear()]);
    let list = folder.path("list.csv");
    std::fs::write(&list, format!("{HEADER}{rows}")).unwrap();
    let ran = analyzer(&["verdicts", &file, "--format=jsonl", "--fingerprints", &list]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str::<Value>(&ran.stdout).unwrap()["verdict"].clone()
}

#[test]
fn each_pattern_type_of_a_file_settles_a_verdict_at_home() {
    for pattern in [
        "body,contains,\"<title>Access\nrestricted\"",
        "body,prefix,<html>",
        "body,full,\"<html>\n<title>Access\nrestricted</title>\"",
        "body,regexp,Access.restr[a-z]+",
        "header.server,full,filter/2.1",
        "header.server,prefix,filter/",
        "header.Server,regexp,^filter/\\d",
    ] {
        let folder = Folder::new();
        let found = verdict(&folder, &format!("t,nat,,{pattern},5,\"IR, PK\",s,,\r\n"));
        assert_eq!(
            (&found["state"], &found["mechanisms"][0]),
            (&"blocked".into(), &"http.blockpage".into()),
            "{pattern}"
        );
        assert_eq!(found["evidence"][0]["rule"], "http.known_blockpage", "{found:#}");
        let elsewhere = verdict(&Folder::new(), &format!("t,nat,,{pattern},5,IR,s,,\r\n"));
        assert_eq!(elsewhere["state"], "ok", "{pattern}: another country's");
    }
}

#[test]
fn a_list_of_false_positives_takes_it_back() {
    let rows = "t,nat,,body,contains,Access,5,PK,s,,\nu,fp,,header.server,prefix,filter,5,,s,,\n";
    assert_eq!(verdict(&Folder::new(), rows)["state"], "ok");
}

#[test]
fn explain_and_evaluate_use_them_as_well() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[blocked_in_clear(), reachable(2, "x/web")]);
    let list = folder.path("list.csv");
    std::fs::write(&list, format!("{HEADER}t.page,isp,,body,contains,Access,,PK,s,,\n")).unwrap();
    let ran = analyzer(&["explain", &id(1).to_string(), &file, "--fingerprints", &list]);
    assert!(ran.stdout.contains("Verdict: blocked") && ran.stdout.contains("t.page"), "{}{}", ran.stdout, ran.stderr);
    let without = analyzer(&["explain", &id(1).to_string(), &file]);
    assert!(without.stdout.contains("Verdict: reachable"), "{}", without.stdout);
    let ran = analyzer(&["evaluate", &file, "--labels", &file, "--fingerprints", &folder.path("missing.csv")]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("missing.csv"), "{}", ran.stderr);
}

#[test]
fn a_bad_file_is_refused_with_file_and_line_before_anything_is_read() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[blocked_in_clear()]);
    let list = folder.path("bad.csv");
    std::fs::write(&list, format!("{HEADER}a,nat,,body,regexp,(x,,PK,s,,\nb,world,,dns,full,1.2.3.4,,PK,s,,\n"))
        .unwrap();
    let ran = analyzer(&["verdicts", &file, "--fingerprints", &list]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("bad.csv:2: the regular expression cannot be used"), "{}", ran.stderr);
    assert!(ran.stderr.contains("bad.csv:3: unknown scope \"world\""), "{}", ran.stderr);
}
