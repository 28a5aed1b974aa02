//! `analyzer import --format ooni`, run as a user runs it, on measurements written for these tests.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use support::{Folder, Ran, analyzer, command, ran};

/// A `web_connectivity` 0.5 of a site that answers; `number` makes it another one.
fn reachable(number: u32) -> Value {
    let row = |more: Value| {
        let mut row = json!({"failure": null, "t0": 0.1, "t": 0.2, "tags": ["depth=0"], "transaction_id": 50001});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    json!({
        "test_name": "web_connectivity", "test_version": "0.5.28", "data_format_version": "0.2.0",
        "measurement_start_time": format!("2026-01-02 03:04:{:02}", number % 60), "test_start_time": "2026-01-02 03:04:00",
        "test_runtime": 1.5, "input": format!("https://site{number}.example/"), "probe_asn": "AS64500", "probe_cc": "PK",
        "probe_network_name": "Example Telecom", "software_name": "ooniprobe-cli", "software_version": "3.30.0",
        "report_id": "20260102T030400Z_webconnectivity_PK_64500_n1_x", "annotations": {"platform": "linux", "network_type": "wifi"},
        "test_helpers": {"backend": {"address": "https://th.example/", "type": "https"}},
        "test_keys": {
            "queries": [row(json!({"engine": "getaddrinfo", "hostname": format!("site{number}.example"), "query_type": "ANY",
                "transaction_id": 10001, "answers": [{"answer_type": "A", "ipv4": "93.184.216.34"}]}))],
            "tcp_connect": [row(json!({"ip": "93.184.216.34", "port": 443, "status": {"failure": null, "success": true}}))],
            "tls_handshakes": [row(json!({"address": "93.184.216.34:443", "server_name": format!("site{number}.example"),
                "no_tls_verify": false, "tls_version": "TLSv1.3", "peer_certificates": []}))],
            "requests": [row(json!({"address": "93.184.216.34:443", "request": {"method": "GET",
                "url": format!("https://site{number}.example/")}, "response": {"code": 200, "body": "hello", "headers": {"A": "b"}}}))],
            "control_failure": null, "control": {"dns": {"failure": null, "addrs": ["93.184.216.34"]},
                "tcp_connect": {"93.184.216.34:443": {"status": true, "failure": null}},
                "http_request": {"failure": null, "status_code": 200, "body_length": 5, "title": "x"}}
        }
    })
}

/// The same, with the connection reset as soon as the name is sent.
fn reset(number: u32) -> Value {
    let mut measurement = reachable(number);
    let keys = &mut measurement["test_keys"];
    keys["tls_handshakes"][0]["failure"] = "connection_reset".into();
    keys["requests"] = json!([]);
    keys["control"]["tls_handshake"] =
        json!({"93.184.216.34:443": {"status": true, "failure": null, "server_name": "x"}});
    measurement
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| reachable(number).to_string() + "\n").collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn write(folder: &Folder, name: &str, bytes: &[u8]) -> String {
    let path = folder.path(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn import(folder: &Folder, inputs: &[&str]) -> Ran {
    let db = folder.path("out.sqlite");
    analyzer(&[&["import", "--format", "ooni", "--db", &db, "--json"], inputs].concat())
}

/// The account, and `read/made/new/refused`.
fn account(ran: &Ran) -> (Value, String) {
    let account: Value = serde_json::from_str(&ran.stdout).unwrap();
    let figures = ["read", "made", "new", "refused_in_all"].map(|key| account[key].to_string()).join("/");
    (account, figures)
}

fn verdicts(folder: &Folder) -> Vec<Value> {
    let ran = analyzer(&["verdicts", "--format", "jsonl", &folder.path("out.sqlite")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_in_a_file_decides_and_not_its_name() {
    let text = lines(0..3);
    let pretty = serde_json::to_vec_pretty(&reachable(0)).unwrap();
    let list = serde_json::to_vec(&[reachable(0), reachable(1), reachable(2)]).unwrap();
    let two_frames = [zstd(lines(0..2).as_bytes()), zstd(lines(2..3).as_bytes())].concat();
    let two_members = [gzip(lines(0..1).as_bytes()), gzip(lines(1..3).as_bytes())].concat();
    let archive = tar(&[("a.jsonl", lines(0..2).as_bytes()), ("deep/b.json.gz", &gzip(lines(2..3).as_bytes()))]);
    for (layout, bytes, count) in [
        ("lines", text.as_bytes().to_vec(), 3),
        ("one, on many lines", pretty, 1),
        ("a list", list, 3),
        ("gzip", gzip(text.as_bytes()), 3),
        ("gzip, two members", two_members, 3),
        ("zstd", zstd(text.as_bytes()), 3),
        ("zstd, two frames", two_frames, 3),
        ("tar", archive.clone(), 3),
        ("tar in gzip", gzip(&archive), 3),
        ("tar in zstd", zstd(&archive), 3),
        ("with a byte order mark", ["\u{feff}".as_bytes(), text.as_bytes()].concat(), 3),
        ("OONI's wrapping", json!({"format": "json", "content": reachable(1)}).to_string().into_bytes(), 1),
    ] {
        let folder = Folder::new();
        let ran = import(&folder, &[&write(&folder, "misnamed.txt", &bytes)]);
        assert_eq!((ran.code, account(&ran).1), (0, format!("{count}/{count}/{count}/0")), "{layout}: {}", ran.stderr);
        assert!(verdicts(&folder).iter().all(|one| one["verdict"]["state"] == "ok"), "{layout}");
    }
}

#[test]
fn standard_input_and_folders_are_read() {
    let folder = Folder::new();
    fs::create_dir(folder.path("in")).unwrap();
    write(&folder, "in/b.jsonl", lines(0..2).as_bytes());
    write(&folder, "in/a.json", lines(2..3).as_bytes());
    let mut child =
        command(&["import", "--format", "ooni", "--db", &folder.path("out.sqlite"), "--json", "-", &folder.path("in")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(&gzip(lines(3..5).as_bytes())).unwrap();
    let ran = ran(&child.wait_with_output().unwrap());
    assert_eq!((ran.code, account(&ran).1.as_str()), (0, "5/5/5/0"), "{}", ran.stderr);
}

#[test]
fn the_same_file_again_adds_nothing_and_two_imports_merge_without_a_conflict() {
    let (one, other) = (Folder::new(), Folder::new());
    let file = write(&one, "a.jsonl", lines(0..4).as_bytes());
    assert_eq!(account(&import(&one, &[&file])).1, "4/4/4/0");
    assert_eq!(account(&import(&one, &[&file, &file])).1, "8/8/0/0");
    assert_eq!(account(&import(&other, &[&write(&other, "b.gz", &gzip(lines(2..6).as_bytes()))])).1, "4/4/4/0");
    let merged = one.path("all.sqlite");
    let ran = analyzer(&["merge", &merged, &one.path("out.sqlite"), &other.path("out.sqlite")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("4 measurements read, 2 new, 2 already there"), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_read_is_named_with_its_line_and_the_rest_is_taken() {
    let folder = Folder::new();
    let whole = reachable(7).to_string();
    let cut = &whole[..whole.find("2026").unwrap() + 4];
    let text = format!("{}{cut}\n{{\"a\": 1}}\nnonsense\n{}", lines(0..1), lines(1..2));
    let good_but_cut = &gzip(lines(2..30).as_bytes());
    let cut_archive = write(&folder, "cut.gz", &good_but_cut[..good_but_cut.len() / 2]);
    let ran = import(&folder, &[&write(&folder, "a.jsonl", text.as_bytes()), &cut_archive, &folder.path("nowhere")]);
    assert_eq!(ran.code, 4);
    let (account, _) = account(&ran);
    let place =
        |number: usize| (account["refused"][number]["line"].clone(), account["refused"][number]["reason"].to_string());
    assert!(place(0).0 == json!(2) && place(0).1.contains("cut short"), "{account}");
    assert!(place(1).0 == json!(3) && place(1).1.contains("no test_name"), "{account}");
    assert!(place(2).0 == json!(4) && place(2).1.contains("no JSON object"), "{account}");
    assert!(ran.stderr.contains("a.jsonl:2: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("nowhere: "), "{}", ran.stderr);
    assert!(account["read"].as_u64().unwrap() > 2, "{account}");
    assert_eq!(verdicts(&folder).len() as u64, account["new"].as_u64().unwrap());
}

#[test]
fn where_nothing_can_be_read_the_exit_code_says_so() {
    for (name, bytes, word) in [
        ("old.yamloo", "###########\n# OONI Probe Report for HTTP Host\n---\ninput: x\n".as_bytes(), "YAML"),
        ("empty", b"".as_slice(), "nothing in it"),
        ("a.zip", b"PK\x03\x04rest", "zip"),
        ("a.lz4", b"\x04\x22\x4d\x18rest", "lz4"),
        ("noise", &[0x7f, b'E', 0, 1, 2, 3], "neither JSON"),
        ("no-gzip", b"\x1f\x8bnot really", "no-gzip"),
        ("no-zstd", b"\x28\xb5\x2f\xfd\xff\xff\xff", "no-zstd"),
    ] {
        let folder = Folder::new();
        let ran = import(&folder, &[&write(&folder, name, bytes)]);
        assert_eq!(ran.code, 3, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{name}: {}", ran.stderr);
    }
}

#[test]
fn an_archive_that_claims_what_it_does_not_hold_ends_with_a_word() {
    let folder = Folder::new();
    let mut archive = tar(&[("a.jsonl", lines(0..1).as_bytes()), ("b.jsonl", b"x")]);
    // The second header claims 8 GiB less one; what follows is missing.
    let second = 512 + lines(0..1).len().div_ceil(512) * 512;
    let mut header = tar::Header::new_gnu();
    header.set_path("b.jsonl").unwrap();
    header.set_size((1 << 33) - 1);
    header.set_cksum();
    archive[second..second + 512].copy_from_slice(header.as_bytes());
    let ran = import(&folder, &[&write(&folder, "a.tar", &archive)]);
    assert_eq!((ran.code, account(&ran).0["read"].clone()), (4, json!(1)), "{}", ran.stderr);
    // A name of 3 GiB would have to be held whole.
    let mut named = tar::Header::new_gnu();
    named.set_entry_type(tar::EntryType::GNULongName);
    named.set_path("././@LongLink").unwrap();
    named.set_size(3 << 30);
    named.set_cksum();
    let path = folder.path("long.tar");
    let mut file = File::create(&path).unwrap();
    file.write_all(named.as_bytes()).unwrap();
    file.set_len(3 << 30).unwrap();
    let ran = import(&folder, &[&path]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("headers are larger"), "{}", ran.stderr);
}

#[test]
fn a_measurement_that_is_longer_than_any_real_one_is_refused_with_its_place() {
    let folder = Folder::new();
    let path = folder.path("long.jsonl");
    let mut file = File::create(&path).unwrap();
    file.write_all(lines(0..1).as_bytes()).unwrap();
    file.write_all(b"{\"test_name\": \"").unwrap();
    (0..66).for_each(|_| file.write_all(&vec![b'x'; 1 << 20]).unwrap());
    file.write_all(b"\"}\n").unwrap();
    file.write_all(lines(1..2).as_bytes()).unwrap();
    let ran = import(&folder, &[&path]);
    assert_eq!((ran.code, account(&ran).1.as_str()), (4, "2/2/2/1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("long.jsonl:2: it is longer than 64 MiB"), "{}", ran.stderr);
}

#[test]
fn an_import_is_judged_by_its_own_control_and_not_by_checks_that_nobody_made() {
    let folder = Folder::new();
    let mut alone = reset(2);
    alone["test_keys"]["control"] = Value::Null;
    alone["test_keys"]["control_failure"] = "generic_timeout_error".into();
    alone["report_id"] = "another".into();
    let text = format!("{}\n{alone}\n", reset(1));
    assert_eq!(import(&folder, &[&write(&folder, "a.jsonl", text.as_bytes())]).code, 0);
    let verdicts = verdicts(&folder);
    let of = |input: &str| verdicts.iter().find(|one| one["input"] == input).unwrap();
    let proven = of("https://site1.example/");
    assert_eq!(
        (&proven["verdict"]["state"], &proven["verdict"]["mechanisms"]),
        (&json!("likely_blocked"), &json!(["tls.reset"]))
    );
    assert_eq!((&proven["network"]["asn"], &proven["network"]["kind"]), (&json!(64500), &json!("wifi")));
    assert_eq!(of("https://site2.example/")["verdict"]["state"], "insufficient");
}

#[test]
fn an_explanation_tells_where_an_import_comes_from() {
    let folder = Folder::new();
    import(&folder, &[&write(&folder, "a.jsonl", lines(1..2).as_bytes())]);
    let id = verdicts(&folder)[0]["id"].as_str().unwrap().to_owned();
    let ran = analyzer(&["explain", &id, &folder.path("out.sqlite")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("imported: ooni web_connectivity 0.5.28"), "{}", ran.stdout);
    assert!(ran.stdout.contains("20260102T030400Z_webconnectivity_PK_64500_n1_x"), "{}", ran.stdout);
}

#[test]
fn odd_values_and_unknown_tests_are_taken_counted_and_listed() {
    let folder = Folder::new();
    let mut odd = reset(1);
    odd["test_name"] = "brand_new_test".into();
    odd["test_keys"]["tls_handshakes"][0]["failure"] = "unknown_failure: the moon is full".into();
    odd["test_keys"]["tcp_connect"][0]["ip"] = "[scrubbed]".into();
    odd["probe_asn"] = "AS0".into();
    let ran = import(&folder, &[&write(&folder, "a.json", odd.to_string().as_bytes())]);
    let (account, figures) = account(&ran);
    assert_eq!((ran.code, figures.as_str()), (0, "1/1/1/0"), "{}", ran.stderr);
    let odd = &account["odd"];
    assert_eq!(odd["unknown failure"]["unknown_failure: the moon is full"], 1);
    assert_eq!(odd["test that this version does not know"]["brand_new_test"], 1);
    assert_eq!(odd["connection to no address"]["[scrubbed]"], 1);
    assert_eq!(odd["network not known"]["AS0"], 1);
    assert!(ran.stderr.contains("the moon is full"), "{}", ran.stderr);
}
