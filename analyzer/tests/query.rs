//! `analyzer query`, run as a user runs it.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use faultline_record::{Measurement, Outcome, Purpose, StepData, VpnProtocol};
use serde_json::{Value, json};
use support::{Folder, analyzer, blocked, id, reachable, silent, tunnel, unproven};

/// Two files that share one measurement: four in all, of four states.
fn two_files(folder: &Folder) -> (String, String) {
    let shared = blocked(2, "x/web");
    let first = folder.database("a.sqlite", &[reachable(1, "wikipedia.org"), shared.clone()]);
    let second = folder.database("b.sqlite", &[shared, unproven(3, "x/api"), silent(4, "signal/chat")]);
    (first, second)
}

fn lines(db: &[&str], sql: &str) -> Vec<Value> {
    let mut args = vec!["query", "--format", "jsonl", sql];
    for path in db {
        args.extend(["--db", path]);
    }
    let ran = analyzer(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn states_are_counted_over_files_and_what_stands_in_both_is_counted_once() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let sql = "SELECT country, state, count(*) AS n FROM verdicts GROUP BY 1, 2 ORDER BY 2";
    let row = |state: &str| json!({"country": "PK", "state": state, "n": 1});
    let expected = ["blocked", "impaired", "insufficient", "ok"].map(row);
    assert_eq!(lines(&[&first, &second], sql), expected);
    assert_eq!(lines(&[folder.path("").as_str()], sql), expected, "the folder stands for the files in it");
    assert_eq!(lines(&[&first, &second], "SELECT count(*) AS n FROM measurements"), [json!({"n": 4})]);
    let checks = lines(&[&first, &second], "SELECT count(DISTINCT id) AS n, count(*) AS signals FROM health_checks");
    assert_eq!(checks, [json!({"n": 2, "signals": 10})]);
}

#[test]
fn the_table_of_verdicts_says_what_the_command_says() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let rows = lines(&[&first, &second], "SELECT * FROM verdicts ORDER BY id");
    let printed = analyzer(&["verdicts", &first, &second, "--format", "jsonl"]);
    let mut printed: Vec<Value> = printed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    printed.sort_by_key(|line| line["id"].as_str().unwrap().to_owned());
    assert_eq!(rows.len(), printed.len());
    for (row, line) in rows.iter().zip(printed) {
        for (column, place) in [("id", "/id"), ("target", "/target"), ("started_at", "/started_at")] {
            assert_eq!(Some(&row[column]), line.pointer(place));
        }
        for (column, place) in [("asn", "/network/asn"), ("network_kind", "/network/kind")] {
            assert_eq!(Some(&row[column]), line.pointer(place));
        }
        let verdict = &line["verdict"];
        for column in ["state", "cause", "mechanisms", "ruleset", "weights"] {
            assert_eq!(row[column], verdict[column], "{column}");
        }
        assert_eq!(row["fingerprints"], verdict["references"]["fingerprints"]);
        let rules = verdict["evidence"].as_array().unwrap().iter().map(|evidence| evidence["rule"].clone());
        assert_eq!(row["rules"], rules.collect::<Value>());
        let rounded = (row["p_blocked"].as_f64().unwrap() * 1000.0).round() / 1000.0;
        assert_eq!(Some(rounded), verdict["p"]["blocked"].as_f64());
    }
}

/// A tunnel's server that is silent, on a host that lives.
fn silent_tunnel(number: u8, name: &str, protocol: VpnProtocol, host: &str) -> Measurement {
    let mut measurement = tunnel(number, name, protocol, host, false);
    measurement.observations.truncate(2);
    let rows = &mut measurement.observations;
    let mut alive = rows[1].clone();
    (alive.seq, alive.purpose, alive.outcome, alive.data) = (2, Purpose::HostAlive, Outcome::Ok, StepData::Tcp);
    alive.port = Some(443);
    rows[1] = alive;
    measurement
}

#[test]
fn the_table_of_verdicts_judges_each_among_the_others_of_its_run_as_the_command_does() {
    let folder = Folder::new();
    let mut all: Vec<Measurement> = (1..=4).map(|number| reachable(number, "wikipedia.org")).collect();
    all.push(silent_tunnel(5, "one/a", VpnProtocol::OpenvpnUdp, "203.82.48.1"));
    all.push(silent_tunnel(6, "two/a", VpnProtocol::Ikev2, "203.82.48.2"));
    all.push(silent_tunnel(7, "three/a", VpnProtocol::OpenvpnUdp, "203.82.48.3"));
    let file = folder.database("a.sqlite", &all);
    let rows = lines(&[&file], "SELECT id, state, rules FROM verdicts WHERE target LIKE '%/a' ORDER BY id");
    let printed = analyzer(&["verdicts", &file, "--target", "*/a", "--format", "jsonl"]);
    let printed: Vec<Value> = printed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    for row in &rows {
        let line = printed.iter().find(|line| line["id"] == row["id"]).unwrap();
        assert_eq!(row["state"], line["verdict"]["state"]);
        assert!(row["rules"].as_array().unwrap().contains(&"vpn.several_providers".into()), "{row}");
    }
}

#[test]
fn conditions_that_become_part_of_reading_leave_what_they_would_leave_afterwards() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let db = [first.as_str(), second.as_str()];
    let mut elsewhere: Measurement = reachable(9, "x/web");
    (elsewhere.network.asn, elsewhere.network.country) = (Some(64500), None);
    let third = folder.database("c.sqlite", &[elsewhere]);
    let all = [db[0], db[1], &third];
    let count = |condition: &str| {
        // Arithmetic on both sides keeps a condition from the files.
        let sql = format!("SELECT count(*) AS n FROM observations WHERE {condition}");
        lines(&all, &sql)[0]["n"].as_u64().unwrap()
    };
    for (pushed, not) in [
        ("target = 'x/web'", "target || '' = 'x/web'"),
        ("asn IN (64500, 1)", "asn + 0 IN (64500, 1)"),
        ("country = 'PK' OR country = 'IN'", "concat(country, '') IN ('PK', 'IN')"),
        ("country IS NULL", "concat(country, '') = ''"),
        ("started_at > '2026-11-22T10:00:05.002Z'", "CAST(started_at AS BIGINT) > 1795341605002"),
        (
            "started_at BETWEEN '2026-11-22T10:00:05.002Z' AND '2026-11-22T10:00:05.003Z'",
            "CAST(started_at AS BIGINT) IN (1795341605002, 1795341605003)",
        ),
    ] {
        assert_eq!(count(pushed), count(not), "{pushed}");
    }
    assert!(count("target = 'x/web'") > 0 && count("asn = 64500") > 0);
    let plan = lines(&all, "EXPLAIN SELECT id FROM verdicts WHERE target = 'x/web' AND state = 'ok'");
    let logical = plan[0]["plan"].as_str().unwrap();
    assert!(logical.contains("projection=[id, target, state]"), "only what is asked for is made: {logical}");
    assert!(logical.contains("partial_filters=[verdicts.target"), "{logical}");
}

#[test]
fn rows_are_lines_with_tabs_csv_with_a_header_or_json() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[blocked(1, "bell\u{7}/web")]);
    let sql = "SELECT target, started_at, mechanisms, country IS NULL AS nowhere FROM verdicts";
    let print = |format| analyzer(&["query", "--db", &file, "--format", format, sql]).stdout;
    let table = print("table");
    assert!(!table.contains('\u{7}'), "a stranger's word does not ring");
    assert_eq!(table.lines().next(), Some("target\tstarted_at\tmechanisms\tnowhere"));
    assert!(table.ends_with("\t2026-11-22T10:00:05.001Z\ttls.reset.sni\tfalse\n"), "{table}");
    assert_eq!(print("csv").lines().next(), Some("target,started_at,mechanisms,nowhere"));
    let line: Value = serde_json::from_str(&print("jsonl")).unwrap();
    assert_eq!(line["mechanisms"], json!(["tls.reset.sni"]));
}

#[test]
fn what_was_written_as_parquet_gives_the_same_answers() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    for table in ["verdicts", "observations"] {
        let file = folder.path(&format!("{table}.parquet"));
        let sql = format!("SELECT * FROM {table}");
        let ran = analyzer(&["query", "--db", &first, "--db", &second, "--format", "parquet", "--output", &file, &sql]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    }
    let tables = Folder::new();
    for table in ["verdicts.parquet", "observations.parquet"] {
        std::fs::rename(folder.path(table), tables.path(table)).unwrap();
    }
    for sql in [
        "SELECT * FROM verdicts WHERE started_at < '2026-11-22T10:00:05.004Z' AND country = 'PK' ORDER BY id",
        "SELECT measurement, seq, step, failure FROM observations ORDER BY 1, 2",
        "SELECT v.state, count(*) AS n FROM observations o JOIN verdicts v ON v.id = o.measurement GROUP BY 1 ORDER BY 1",
    ] {
        assert_eq!(lines(&[tables.path("").as_str()], sql), lines(&[&first, &second], sql), "{sql}");
    }
    let both = lines(&[&first, &tables.path("")], "SELECT count(*) AS n FROM verdicts");
    assert_eq!(both, [json!({"n": 6})], "a folder of Parquet stands beside the files");
}

#[test]
fn rows_that_are_not_sorted_come_in_the_order_of_the_files() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let rows = lines(&[&second, &first], "SELECT id FROM measurements");
    let ids: Vec<String> = [2, 4, 3, 1].map(|number| id(number).to_string()).to_vec();
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), ids);
}

#[test]
fn a_query_that_cannot_be_answered_says_why_and_a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[reachable(1, "x/web")]);
    let ask = |sql: &str| {
        let ran = analyzer(&["query", "--db", &file, sql]);
        assert_eq!(ran.code, 2, "{sql}: {}", ran.stderr);
        ran.stderr
    };
    assert!(ask("SELEC").contains("Expected: an SQL statement, found: SELEC at Line: 1, Column: 1"));
    assert!(ask("SELECT 1 FROM nosuch").contains("table 'nosuch' not found; the tables are measurements, "));
    assert!(ask("SELECT nosuch FROM verdicts").contains("No field named nosuch"));
    assert!(ask("SELECT 1 / 0").contains("Divide by zero"));
    for writes in [
        "CREATE TABLE a AS SELECT 1",
        "COPY verdicts TO 'a.csv'",
        "DROP TABLE verdicts",
        "SET datafusion.execution.batch_size = 1",
        "INSERT INTO verdicts SELECT * FROM verdicts",
        "CREATE EXTERNAL TABLE p STORED AS CSV LOCATION '/etc/passwd'",
    ] {
        ask(writes);
    }
    let one = "SELECT count(*) AS n FROM measurements";
    let foreign = folder.foreign("foreign.txt");
    let ran = analyzer(&["query", "--db", &file, "--db", &foreign, "--format", "csv", one]);
    assert_eq!((ran.code, ran.stdout.as_str()), (4, "n\n1\n"));
    assert!(ran.stderr.contains("foreign.txt: this is not a Faultline database"), "{}", ran.stderr);
    for nothing in [foreign.as_str(), "/nonexistent.sqlite"] {
        let ran = analyzer(&["query", "--db", nothing, one]);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(nothing), "{}", ran.stderr);
    }
    let parquet = Folder::new();
    std::fs::write(parquet.path("verdicts.parquet"), "certainly no Parquet").unwrap();
    let ran = analyzer(&["query", "--db", &parquet.path(""), one]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
}

#[test]
fn an_export_holds_all_tables_and_answers_as_the_files_do() {
    let folder = Folder::new();
    let (first, second) = two_files(&folder);
    let tables = Folder::new();
    let out = tables.path("out");
    let ran = analyzer(&["export", "--format", "parquet", "--output", &out, &first, &second]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("verdicts: 4 rows"), "{}", ran.stderr);
    for sql in [
        "SELECT * FROM measurements ORDER BY id",
        "SELECT * FROM observations ORDER BY measurement, seq",
        "SELECT * FROM dns_answers ORDER BY measurement, seq, position",
        "SELECT * FROM health_checks ORDER BY id, position",
        "SELECT * FROM verdicts ORDER BY id",
    ] {
        let rows = lines(&[&out], sql);
        assert!(!rows.is_empty() && rows == lines(&[&first, &second], sql), "{sql}");
    }
    let again = analyzer(&["export", "--format", "parquet", "--output", &out, &first]);
    assert_eq!(again.code, 2, "{}", again.stderr);
    let csv = tables.path("csv");
    let foreign = folder.foreign("foreign.txt");
    let ran = analyzer(&["export", "--format", "csv", "--output", &csv, &first, &foreign]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let verdicts = std::fs::read_to_string(tables.path("csv/verdicts/part-0000.csv")).unwrap();
    assert_eq!(verdicts.lines().count(), 3);
    assert_eq!(analyzer(&["export", "--format", "csv", "--output", &tables.path("none"), &foreign]).code, 3);
}
