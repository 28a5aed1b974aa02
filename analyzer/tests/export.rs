//! `analyzer export --format ooni`, run as a user runs it, and loaded by OONI's own Python package.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use faultline_record::{Endpoint, Failure, Measurement, Outcome, Purpose, StepData, Target, Vpn, VpnProtocol};
use serde_json::Value;
use support::{Folder, analyzer, blocked, page_in_the_clear, reachable, silent};

/// A tunnel whose server does not answer.
fn tunnel(number: u8) -> Measurement {
    let like = silent(number, "proton-vpn/openvpn-udp");
    let mut row = like.observations.last().unwrap().clone();
    row.outcome = Outcome::Failed(Failure::GenericTimeoutError);
    row.address = Some("203.0.113.88".parse().unwrap());
    row.data = StepData::Vpn(Vpn::planned(VpnProtocol::OpenvpnUdp));
    let endpoint = Endpoint::parse("openvpn+udp://203.0.113.88:1194").unwrap();
    Measurement {
        target: Target { input: endpoint.to_string(), endpoint, ..like.target.clone() },
        observations: vec![faultline_record::Observation { seq: 1, purpose: Purpose::Main, ..row }],
        ..like
    }
}

fn exported(folder: &Folder) -> PathBuf {
    let page = "<html><head><title>Example</title></head></html>";
    let measurements = [
        reachable(1, "a"),
        blocked(2, "b"),
        page_in_the_clear(3, "http://plain.example/", page, &[("server", "x"), ("set-cookie", "a=1")]),
        tunnel(4),
    ];
    let db = folder.database("a.sqlite", &measurements);
    let twin = folder.database("b.sqlite", &measurements[..2]);
    let out = folder.path("out");
    let ran = analyzer(&["export", "--format", "ooni", "-o", &out, &db, &twin]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("4 measurements written") && ran.stderr.contains("2 measurements met again"),
        "{}",
        ran.stderr
    );
    Path::new(&out).join("ooni.jsonl")
}

#[test]
fn an_export_is_imported_again_to_verdicts_that_do_not_contradict() {
    let folder = Folder::new();
    let file = exported(&folder);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("203.0.113.88") && text.lines().count() == 4);
    let db = folder.path("back.sqlite");
    let ran = analyzer(&["import", "--format", "ooni", "--db", &db, file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = analyzer(&["verdicts", "--format", "jsonl", &db]);
    let mut states: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row["input"].as_str().unwrap().starts_with("http"))
        .map(|row| row["verdict"]["state"].as_str().unwrap().to_owned())
        .collect();
    states.sort();
    // What proved the network, and the experiments that settled the matter, are not in OONI's lists: less is known, and nothing else.
    assert_eq!(states, ["insufficient", "insufficient", "ok"]);
    let again = analyzer(&["export", "--format", "ooni", "-o", &folder.path("again"), &db]);
    assert!(
        again.stderr.contains("0 measurements written") && again.stderr.contains("were imported"),
        "{}",
        again.stderr
    );
}

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let folder = Folder::new();
    let foreign = folder.foreign("f.sqlite");
    let ran = analyzer(&["export", "--format", "ooni", "-o", &folder.path("out"), &foreign]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains(&foreign), "{}", ran.stderr);
    let db = folder.database("a.sqlite", &[reachable(1, "a")]);
    let ran = analyzer(&["export", "--format", "ooni", "-o", &foreign, &db]);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains(&foreign), "{}", ran.stderr);
}

/// Loads each line and prints what it found in it.
const SCRIPT: &str = r"
import json, sys
import orjson
from oonidata.dataclient import load_measurement
for line in open(sys.argv[1], 'rb'):
    one = load_measurement(msmt=orjson.loads(line))
    keys = one.test_keys
    of = lambda name: getattr(keys, name, None) or []
    pages = [row.response.body_str for row in of('requests') if row.response and row.response.body_str]
    heads = [row.response.headers_list_str for row in of('requests') if row.response and row.response.headers_list]
    print(json.dumps({
        'class': type(one).__name__, 'asn': one.probe_asn, 'input': one.input, 'start': one.measurement_start_time,
        'queries': [row.hostname for row in of('queries')], 'answers': [a.ipv4 for row in of('queries') for a in row.answers or []],
        'dials': [row.ip for row in of('tcp_connect')], 'shakes': [[row.server_name, row.failure] for row in of('tls_handshakes')],
        'codes': [row.response.code for row in of('requests')], 'pages': pages, 'heads': heads}))
";

/// A Python with OONI's package: made once in the folder for tests' files; `None` if there is no Python, or `PyPI` cannot be reached.
fn python() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oonidata-0.3.0");
    let python = venv.join("bin/python");
    let loads = || {
        Command::new(&python).args(["-c", "import oonidata.dataclient"]).output().is_ok_and(|ran| ran.status.success())
    };
    if loads() {
        return Some(python);
    }
    let run =
        |program: &Path, args: &[&str]| Command::new(program).args(args).output().is_ok_and(|ran| ran.status.success());
    let made = run(Path::new("python3"), &["-m", "venv", venv.to_str()?])
        && run(&python, &["-m", "pip", "install", "--quiet", "oonidata==0.3.0"]);
    (made && loads()).then_some(python)
}

#[test]
fn oonis_own_package_loads_what_is_exported() {
    let Some(python) = python() else {
        eprintln!("skipped: no Python 3 with oonidata 0.3.0 could be had");
        return;
    };
    let folder = Folder::new();
    let file = exported(&folder);
    let ran = Command::new(python).args(["-c", SCRIPT, file.to_str().unwrap()]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).unwrap();
    eprintln!("{text}");
    let mut rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.sort_by_key(|row| row["input"].to_string());
    let [plain, one, other, tunnel] = rows.as_slice() else { panic!("{text}") };
    assert_eq!((&plain["class"], &tunnel["class"]), (&"WebConnectivity".into(), &"BaseMeasurement".into()));
    assert_eq!((&plain["asn"], &plain["codes"]), (&"AS17557".into(), &Value::from(vec![200])));
    assert_eq!(plain["pages"][0], "<html><head><title>Example</title></head></html>");
    assert_eq!(plain["heads"][0][1], Value::from(vec!["set-cookie", "a=1"]));
    let failures =
        |row: &Value| row["shakes"].as_array().unwrap().iter().map(|shake| shake[1].clone()).collect::<Vec<_>>();
    let mut shakes = [failures(one), failures(other)].concat();
    shakes.sort_by_key(Value::to_string);
    assert_eq!(shakes.first(), Some(&Value::from("connection_reset")));
    assert_eq!(shakes.last(), Some(&Value::Null));
    assert_eq!(one["answers"], Value::from(vec!["192.0.2.7"]));
    assert_eq!(tunnel["dials"], Value::Array(Vec::new()));
}
