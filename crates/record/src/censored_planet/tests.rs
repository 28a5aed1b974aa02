//! Objects of every version, written for these tests in the formats' own words; and every cut and flipped byte of them.

#![allow(clippy::needless_pass_by_value, reason = "literals are handed over")]

use serde_json::{Value, json};

use super::*;
use crate::database::{Database, Import};
use crate::failure::Failure;
use crate::model::{Measurement, NotRun, Outcome, Purpose, Step};

fn quack() -> Value {
    let sent = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let trial = |sent: String, received: &str, success, error: &str, second: u32| {
        json!({"Sent": sent, "Received": received, "Success": success, "Error": error,
               "StartTime": format!("2020-09-20T07:45:{second:02}.5-04:00"), "EndTime": format!("2020-09-20T07:45:{second:02}.9-04:00")})
    };
    json!({"Server": "192.0.2.9", "Keyword": "news.example", "Retries": 1, "Results": [
        trial(sent("news.example"), "HTTP/1.1 403 Forbidden", false, "Incorrect echo response", 10),
        trial(String::new(), "", false, "read tcp 203.0.113.5:4711->192.0.2.9:7: read: connection reset by peer", 12),
        trial(sent("innocent.example"), &sent("innocent.example"), true, "", 14),
    ], "Blocked": true, "FailSanity": false, "StatefulBlock": false})
}

fn hyperquack(service: &str, error: Option<&str>, response: Value) -> Value {
    let trial = |second: u32, more: Value| {
        let mut trial = json!({"start_time": format!("2021-05-30T01:02:{second:02}.25-04:00"),
                               "end_time": format!("2021-05-30T01:02:{second:02}.75-04:00")});
        trial.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        trial
    };
    let own = json!({"matches_template": false, "error": error, "response": response});
    json!({"vp": "192.0.2.9", "location": {"country_name": "Pakistan", "country_code": "PK"}, "service": service,
        "test_url": "news.example", "response": [
            trial(1, json!({"matches_template": true, "control_url": "control-1.example"})),
            trial(2, own.clone()), trial(3, own),
            trial(4, json!({"matches_template": true, "control_url": "control-2.example"})),
        ], "anomaly": true, "controls_failed": false, "stateful_block": false, "tag": "2021-05-30T01:01:01"})
}

fn satellite(addresses: Value, error: &str, rcode: i64) -> Value {
    let innocent = json!({"url": "innocent.example", "has_type_a": true, "error": "null", "rcode": 0,
                          "response": {"93.184.216.34": {"matched": ["ip"]}}});
    let own =
        json!({"url": "news.example", "has_type_a": rcode == 0, "error": error, "rcode": rcode, "response": addresses});
    json!({"vp": "192.0.2.53", "test_url": "news.example", "location": {"country_code": "PK"}, "passed_liveness": true,
        "in_control_group": true, "connect_error": false, "anomaly": true, "excluded": false, "exclude_reason": [],
        "start_time": "2021-10-20 14:51:41.295287198 -0400 EDT", "end_time": "2021-10-20 14:51:41.397573385 -0400 EDT",
        "response": [innocent, own], "confidence": {"average": 0, "matches": null}})
}

const SCANS: [&str; 2] = [
    "raw/CP_Quack-echo-2020-09-20-01-02-03/results.json",
    "CP_Satellite-2020-09-02-12-00-01.tar.gz:x/answers_err.json",
];

fn import_from(object: &Value, place: &str) -> Import {
    match read(object.to_string().as_bytes(), place).unwrap() {
        Object::Measurement(read) => {
            assert_eq!(read.oddities.count(), 0, "{:?}", read.oddities);
            read.import
        }
        Object::Beside(what) => panic!("{what}"),
    }
}

fn only(import: &Import) -> &Measurement {
    let [one] = import.measurements.as_slice() else { panic!() };
    one
}

/// Each row's purpose, step and end.
fn told(measurement: &Measurement) -> Vec<(Purpose, Step, String)> {
    let end = |outcome: Outcome| match outcome {
        Outcome::Ok => "ok".to_owned(),
        Outcome::Failed(failure) => failure.name().to_owned(),
        Outcome::NotRun(reason) => reason.name().to_owned(),
    };
    measurement.observations.iter().map(|row| (row.purpose, row.step(), end(row.outcome))).collect()
}

#[test]
fn the_oldest_objects_tell_their_protocol_in_the_scans_name_and_controls_by_what_was_sent() {
    let import = import_from_odd(&quack(), SCANS[0]);
    let measurement = only(&import);
    assert_eq!(measurement.target.endpoint.to_string(), "http://news.example/");
    assert_eq!(measurement.started_at.to_string(), "2020-09-20T11:45:10.500Z");
    assert_eq!(import.origin.report.as_deref(), Some("CP_Quack-echo-2020-09-20-01-02-03"));
    assert_eq!(import.run.started_at.to_string(), "2020-09-20T01:02:03.000Z");
    let rows = told(measurement);
    let http = |purpose| rows.iter().find(|row| row.0 == purpose && row.1 == Step::Http).unwrap().2.clone();
    assert_eq!(http(Purpose::Main), Failure::UnexpectedResponse.name());
    assert_eq!(http(Purpose::Retry), Failure::ConnectionReset.name());
    assert_eq!(http(Purpose::InnocentHost), "ok");
    assert!(measurement.observations.iter().all(|row| row.port == Some(7)));
    assert_eq!(import.check.unwrap().signals[0].name, "innocent.example");
}

#[test]
fn the_measuring_machines_own_address_is_not_kept() {
    let import = import_from_odd(&quack(), SCANS[0]);
    let details: Vec<_> = only(&import).observations.iter().filter_map(|row| row.detail.clone()).collect();
    assert!(details.iter().any(|detail| detail.contains("reset by peer")));
    assert!(details.iter().all(|detail| !detail.contains("203.0.113.5")), "{details:?}");
}

#[test]
fn a_reset_over_tls_is_the_handshakes_between_innocent_ones_that_stood() {
    let reset = "read tcp 203.0.113.5:1->192.0.2.9:443: read: connection reset by peer";
    let import = import_from(&hyperquack("https", Some(reset), Value::Null), "");
    let rows = told(only(&import));
    let tls: Vec<_> = rows.iter().filter(|row| row.1 == Step::Tls).map(|row| (row.0, row.2.as_str())).collect();
    let reset = Failure::ConnectionReset.name();
    assert_eq!(
        tls,
        [(Purpose::InnocentSni, "ok"), (Purpose::Main, reset), (Purpose::Retry, reset), (Purpose::InnocentSni, "ok")]
    );
    assert_eq!(only(&import).network.country.as_deref(), Some("PK"));
    assert_eq!(import.check.unwrap().signals.len(), 2);
}

#[test]
fn what_came_instead_of_the_expected_is_a_response_with_its_page() {
    let page = json!({"status_line": "403 Forbidden", "headers": {"Server": ["x"]}, "body": "no"});
    let import = import_from(&hyperquack("http", Some("Status lines does not match"), page), "");
    let own =
        only(&import).observations.iter().find(|row| row.purpose == Purpose::Main && row.step() == Step::Http).unwrap();
    let http = own.http().unwrap();
    assert!(own.outcome.is_ok());
    assert_eq!(
        (http.status, http.body.as_deref(), http.header("server")),
        (Some(403), Some(b"no".as_slice()), Some("x"))
    );
}

#[test]
fn a_failure_of_the_measuring_machine_is_a_step_that_was_not_run() {
    let own = "dial tcp 0.0.0.0:0->192.0.2.9:80: bind: address already in use";
    let import = import_from(&hyperquack("http", Some(own), Value::Null), "");
    let rows = told(only(&import));
    assert!(rows.contains(&(Purpose::Main, Step::Tcp, NotRun::LocalLimit.name().to_owned())), "{rows:?}");
    assert!(!rows.iter().any(|row| row.0 == Purpose::Main && row.1 == Step::Http));
}

#[test]
fn answers_of_resolvers_are_questions_between_innocent_ones() {
    let forged = import_from(&satellite(json!({"10.10.34.34": {"matched": null}}), "null", 0), "");
    assert_eq!(only(&forged).target.endpoint.to_string(), "dns://192.0.2.53/news.example");
    assert_eq!(only(&forged).started_at.to_string(), "2021-10-20T18:51:41.295Z");
    assert!(told(only(&forged)).contains(&(Purpose::Main, Step::Dns, Failure::DnsBogonError.name().to_owned())));
    let refused = import_from(&satellite(json!({}), "null", 3), "");
    assert!(told(only(&refused)).contains(&(Purpose::Main, Step::Dns, Failure::DnsNxdomainError.name().to_owned())));
    let error = "read udp 203.0.113.5:15097->192.0.2.53:53: i/o timeout";
    let silent = import_from(&satellite(json!({}), error, -1), "");
    assert!(told(only(&silent)).contains(&(Purpose::Main, Step::Dns, Failure::GenericTimeoutError.name().to_owned())));
    assert_eq!(silent.check.unwrap().signals.len(), 1);
}

#[test]
fn older_answers_are_read_with_what_the_controls_gave_too() {
    let place = "CP_Satellite-2020-09-02-12-00-01/interference.json";
    let first = json!({"resolver": "192.0.2.53", "query": "news.example", "passed": true,
                       "answers": {"151.101.1.184": ["ip", "cert"], "151.101.129.184": ["cert"]}});
    let import = import_from_odd(&first, place);
    let compared = only(&import).observations.iter().find(|row| row.purpose == Purpose::Comparison).unwrap();
    assert_eq!(compared.dns().unwrap().addresses().count(), 1);
    assert_eq!(only(&import).started_at.to_string(), "2020-09-02T12:00:01.000Z");
    let none = json!({"resolver": "192.0.2.53", "query": "news.example", "error": "no_answer"});
    let import = import_from_odd(&none, SCANS[1]);
    assert_eq!(told(only(&import))[0].2, Failure::DnsNoAnswer.name());
    let second = json!({"vp": "192.0.2.53", "location": {"country_code": "CN"}, "test_url": "news.example",
        "response": {"104.20.161.135": [], "rcode": ["0", "0"]}, "passed_control": true,
        "start_time": "2021-03-05 15:32:05.324807502 -0500 EST m=+6.8", "end_time": "2021-03-05 15:32:05.366 -0500 EST m=+6.9"});
    let import = import_from(&second, "");
    assert_eq!(only(&import).started_at.to_string(), "2021-03-05T20:32:05.324Z");
    assert!(only(&import).observations[0].outcome.is_ok());
    let codes = json!({"vp": "192.0.2.53", "location": {"country_code": "CN"}, "test_url": "news.example",
        "response": {"rcode": ["2", "2", "-1"]}, "start_time": "2021-03-05 15:32:05 -0500 EST"});
    let ends: Vec<_> = told(only(&import_from_odd(&codes, ""))).into_iter().map(|row| (row.0, row.2)).collect();
    assert_eq!(
        ends[..2],
        [(Purpose::Main, "dns_servfail_error".into()), (Purpose::Retry, "dns_servfail_error".into())]
    );
}

/// The same for what may be odd (the oldest tell no country).
fn import_from_odd(object: &Value, place: &str) -> Import {
    let Object::Measurement(read) = read(object.to_string().as_bytes(), place).unwrap() else { panic!() };
    read.import
}

#[test]
fn the_same_text_of_two_scans_is_two_measurements_and_of_one_scan_one() {
    let object = json!({"resolver": "192.0.2.53", "query": "news.example", "answers": ["151.101.1.184"]});
    let id = |place: &str| only(&import_from_odd(&object, place)).id;
    let [first, again, other] = [
        "a/CP_Satellite-2020-09-02-12-00-01/x.json",
        "CP_Satellite-2020-09-02-12-00-01.tar:x.json",
        "CP_Satellite-2020-09-09-12-00-01/x.json",
    ];
    assert_eq!(id(first), id(again));
    assert_ne!(id(first), id(other));
}

#[test]
fn what_stands_beside_measurements_is_told_apart_and_what_cannot_be_read_is_refused() {
    for object in [
        json!({"saddr": "192.0.2.1", "data": "00"}),
        json!({"vp": "192.0.2.1", "name": "ns.example"}),
        json!({"vp": "192.0.2.1", "service": "http", "template": {}}),
        json!({"ip": "192.0.2.1", "asnum": 1}),
        json!({"ip": "192.0.2.1", "keyword": "x", "http": {}}),
    ] {
        assert!(matches!(read(object.to_string().as_bytes(), ""), Ok(Object::Beside(_))), "{object}");
    }
    let undated = json!({"resolver": "192.0.2.53", "query": "news.example", "answers": []});
    let flat = json!({"server_ip": "192.0.2.1", "domain": "x.example"});
    for (text, words) in [
        ("{}", "no measurement"),
        ("[1]", "no measurement"),
        ("{\"a\"", "no JSON"),
        ("", "no JSON"),
        (undated.to_string().as_str(), "when it was made"),
        (flat.to_string().as_str(), "results.json"),
    ] {
        let refused = read(text.as_bytes(), "").unwrap_err();
        assert!(refused.to_string().contains(words), "{text}: {refused}");
    }
}

#[test]
fn every_object_is_stored_once_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    let objects = [
        quack(),
        hyperquack("https", Some("EOF"), Value::Null),
        hyperquack("discard", None, "x".into()),
        satellite(json!({}), "null", 2),
    ];
    let imports: Vec<_> = objects.iter().map(|object| import_from_odd(object, SCANS[0])).collect();
    assert_eq!(database.insert_imports(&imports).unwrap().measurements, 4);
    assert_eq!(database.insert_imports(&imports).unwrap().measurements, 0);
    let reader = crate::reader::Reader::open(&file).unwrap();
    for import in &imports {
        assert_eq!(&reader.measurement(only(import).id).unwrap().unwrap().measurement, only(import));
    }
}

#[test]
fn no_cut_and_no_flipped_byte_makes_it_panic() {
    let objects = [
        quack(),
        hyperquack("https", Some("EOF"), json!({"tls": {"version": 771, "cert": "AAAA"}})),
        satellite(json!({"1.1.1.1": {}}), "x", -1),
    ];
    for object in objects {
        let text = object.to_string().into_bytes();
        for place in 0..text.len() {
            let _ = read(&text[..place], SCANS[0]);
            for bit in [1, 4, 32] {
                let mut flipped = text.clone();
                flipped[place] ^= bit;
                let _ = read(&flipped, SCANS[1]);
            }
        }
    }
}
