//! Measurements written for these tests, in the shapes of every generation, and what rows they become.

use serde_json::{Value, json};

use super::*;

use crate::model::{Engine, NotRun, Observation, Outcome, Purpose, Step, VpnAnswer};

/// An envelope around keys.
fn measurement(test: &str, input: &Value, keys: &Value) -> Value {
    json!({
        "test_name": test, "test_version": "1.0.0", "data_format_version": "0.2.0", "input": input, "test_keys": keys,
        "measurement_start_time": "2026-01-02 03:04:05", "test_start_time": "2026-01-02 03:04:00", "test_runtime": 2.0,
        "probe_asn": "AS64500", "probe_cc": "PK", "probe_ip": "127.0.0.1", "software_name": "ooniprobe",
        "software_version": "3.30.0", "report_id": "r1", "annotations": {"platform": "android", "network_type": "mobile"}
    })
}

fn took(json: &Value) -> Read {
    read(json.to_string().as_bytes()).unwrap()
}

/// Endpoint, and the rows as `purpose step outcome address`.
fn told(read: &Read) -> Vec<(String, Vec<String>)> {
    let row = |row: &Observation| {
        let outcome = match row.outcome {
            Outcome::Ok => "ok".to_owned(),
            Outcome::Failed(failure) => failure.name().to_owned(),
            Outcome::NotRun(reason) => format!("({})", reason.name()),
        };
        let to = row.address.map_or_else(|| "-".to_owned(), |ip| format!("{ip}:{}", row.port.unwrap_or(0)));
        format!("{}{} {} {outcome} {to}", "+".repeat(usize::from(row.hop)), row.purpose, row.step())
    };
    let of = |one: &Measurement| (one.target.endpoint.to_string(), one.observations.iter().map(row).collect());
    read.import.measurements.iter().map(of).collect()
}

fn query(engine: &str, host: &str, kind: &str, addresses: &[&str], failure: &Value) -> Value {
    let answer = |ip: &&str| {
        let (kind, key) = if ip.contains(':') { ("AAAA", "ipv6") } else { ("A", "ipv4") };
        json!({"answer_type": kind, key: ip})
    };
    json!({"engine": engine, "hostname": host, "query_type": kind, "failure": failure, "t": 0.1, "tags": ["depth=0"],
        "answers": addresses.iter().map(answer).collect::<Vec<_>>(), "resolver_address": if engine == "udp" { "9.9.9.9:53" } else { "" }})
}

fn dial(ip: &str, port: u16, failure: &Value, more: &Value) -> Value {
    with(&json!({"ip": ip, "port": port, "status": {"failure": failure, "success": failure.is_null()}, "t": 0.2}), more)
}

fn shake(address: &str, name: &str, failure: &Value, more: &Value) -> Value {
    with(&json!({"address": address, "server_name": name, "failure": failure, "no_tls_verify": false, "t": 0.3}), more)
}

fn fetch(url: &str, code: u16, failure: &Value, more: &Value) -> Value {
    let response = json!({"code": code, "body": "x", "headers": {"Location": "https://b.example/"}});
    with(&json!({"request": {"url": url, "method": "GET"}, "response": response, "failure": failure, "t": 0.4}), more)
}

fn with(row: &Value, more: &Value) -> Value {
    let mut row = row.clone();
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more.clone());
    }
    row
}

fn flow(id: i64) -> Value {
    json!({"transaction_id": id, "tags": ["depth=0"]})
}

/// A `web_connectivity` 0.5 whose name the system's resolver denies, while another's address proves itself.
fn denied() -> Value {
    let keys = json!({
        "queries": [query("getaddrinfo", "a.example", "ANY", &[], &json!("dns_nxdomain_error")),
            query("udp", "a.example", "A", &["93.184.216.34"], &Value::Null)],
        "tcp_connect": [dial("93.184.216.34", 443, &Value::Null, &flow(50001))],
        "tls_handshakes": [shake("93.184.216.34:443", "a.example", &Value::Null, &flow(50001))],
        "requests": [fetch("https://a.example/", 200, &Value::Null, &flow(50001))],
        "control_failure": null,
        "control": {"dns": {"failure": null, "addrs": ["93.184.216.34"]},
            "tcp_connect": {"93.184.216.34:443": {"status": true, "failure": null}},
            "tls_handshake": {"93.184.216.34:443": {"server_name": "a.example", "status": true, "failure": null}},
            "http_request": {"status_code": 200, "failure": null, "title": "A", "body_length": 7, "headers": {"X-A": "b"}}}
    });
    measurement("web_connectivity", &json!("https://a.example/"), &keys)
}

#[test]
fn steps_of_one_transaction_share_a_connection_and_others_answers_are_for_comparison() {
    let read = took(&denied());
    let expected = [
        "main dns dns_nxdomain_error -",
        "comparison dns ok 9.9.9.9:53",
        "comparison tcp ok 93.184.216.34:443",
        "comparison tls ok 93.184.216.34:443",
        "comparison http ok 93.184.216.34:443",
        "helper http ok -",
        "helper dns ok -",
        "helper tcp ok 93.184.216.34:443",
        "helper tls ok 93.184.216.34:443",
        "helper http ok -",
    ];
    assert_eq!(told(&read), [("https://a.example/".to_owned(), expected.map(str::to_owned).to_vec())]);
    let rows = &read.import.measurements[0].observations;
    assert_eq!(rows[2].connection, rows[4].connection);
    let page = rows[9].http().unwrap();
    assert_eq!((page.title.as_deref(), page.header("x-a"), page.body_length), (Some("A"), Some("b"), 7));
    let check = read.import.check.unwrap();
    assert_eq!((check.reason, check.signals.len()), (HealthReason::Import, 4));
    assert_eq!(read.oddities.count(), 0);
}

#[test]
fn a_reply_that_came_late_belongs_to_its_question() {
    let asked = |ip: &str, t: f64| {
        with(
            &query("udp", "a.example", "A", &[ip], &Value::Null),
            &json!({"transaction_id": 20_001, "t0": 0.1, "t": t}),
        )
    };
    let keys =
        json!({"queries": [asked("8.7.198.45", 0.2)], "x_dns_duplicate_responses": [asked("93.184.216.34", 0.35)]});
    let read = took(&measurement("web_connectivity", &json!("https://a.example/"), &keys));
    let dns = read.import.measurements[0].observations[0].dns().unwrap().clone();
    assert_eq!((dns.replies, dns.addresses().count(), dns.late_addresses().count()), (2, 1, 1));
    assert_eq!(dns.answers[1].after_ms, 250);
    let keys = json!({"x_dns_duplicate_responses": [asked("93.184.216.34", 0.35)]});
    assert_eq!(took(&measurement("web_connectivity", &json!("https://a.example/"), &keys)).oddities.count(), 1);
}

#[test]
fn ids_and_provenance_come_from_the_content_alone() {
    let (one, again) = (took(&denied()), took(&denied()));
    assert_eq!(one.import, again.import);
    let mut named = denied();
    named["measurement_uid"] = "20260102030405.1_PK_webconnectivity_0123".into();
    let first = took(&named).import;
    named["annotations"]["flavor"] = "other".into();
    let second = took(&named).import;
    assert_eq!(first.measurements[0].id, second.measurements[0].id);
    assert_ne!(first.measurements[0].id, one.import.measurements[0].id);
    assert_eq!(first.origin.uid.as_deref(), Some("20260102030405.1_PK_webconnectivity_0123"));
    let at = &one.import.measurements[0];
    assert_eq!((at.started_at.to_string().as_str(), at.offset_ms), ("2026-01-02T03:04:05.000Z", 5_000.0));
    assert_eq!((at.network.asn, at.network.country.as_deref()), (Some(64_500), Some("PK")));
    let wrapped = json!({"format": "json", "content": denied()});
    assert_eq!(took(&wrapped).import.measurements[0].observations, at.observations);
}

#[test]
fn a_bogon_is_no_answer_and_was_knocked_at_all_the_same() {
    let keys = json!({
        "queries": [query("getaddrinfo", "a.example", "ANY", &["10.10.34.35"], &Value::Null)],
        "tcp_connect": [dial("10.10.34.35", 443, &json!("generic_timeout_error"), &flow(50001))],
    });
    let read = took(&measurement("web_connectivity", &json!("https://a.example/"), &keys));
    let rows = [
        "main dns dns_bogon_error -",
        "main tcp generic_timeout_error 10.10.34.35:443",
        "main tls (previous_step_failed) 10.10.34.35:443",
    ];
    assert_eq!(told(&read)[0].1, rows);
    assert_eq!(read.import.check, None);
}

#[test]
fn redirects_are_hops_with_and_without_depths() {
    let deep = |depth: u16, id: i64| json!({"transaction_id": id, "tags": [format!("depth={depth}")]});
    let keys = json!({
        "queries": [query("getaddrinfo", "a.example", "ANY", &["93.184.216.34"], &Value::Null),
            with(&query("getaddrinfo", "b.example", "ANY", &["93.184.216.35"], &Value::Null), &json!({"tags": ["depth=1"]}))],
        "tcp_connect": [dial("93.184.216.34", 80, &Value::Null, &deep(0, 1)), dial("93.184.216.34", 443, &Value::Null, &deep(0, 2)),
            dial("93.184.216.35", 443, &Value::Null, &deep(1, 3))],
        "tls_handshakes": [shake("93.184.216.34:443", "a.example", &Value::Null, &deep(0, 2)),
            shake("93.184.216.35:443", "b.example", &json!("connection_reset"), &deep(1, 3))],
        "requests": [fetch("http://a.example/", 301, &Value::Null, &deep(0, 1))],
    });
    let read = took(&measurement("web_connectivity", &json!("http://a.example/"), &keys));
    let rows = [
        "main dns ok -",
        "main tcp ok 93.184.216.34:80",
        "main http ok 93.184.216.34:80",
        "https_copy tcp ok 93.184.216.34:443",
        "https_copy tls ok 93.184.216.34:443",
        "+main dns ok -",
        "+main tcp ok 93.184.216.35:443",
        "+main tls connection_reset 93.184.216.35:443",
    ];
    assert_eq!(told(&read)[0].1, rows);

    let keys = json!({
        "queries": [query("system", "a.example", "A", &["93.184.216.34"], &Value::Null)],
        "tcp_connect": [dial("93.184.216.34", 80, &Value::Null, &json!({}))],
        "requests": [fetch("https://c.example/", 0, &json!("dns_nxdomain_error"), &json!({})),
            fetch("https://b.example/", 302, &Value::Null, &json!({})), fetch("http://a.example/", 301, &Value::Null, &json!({}))],
    });
    let read = took(&measurement("web_connectivity", &json!("http://a.example/"), &keys));
    let rows = [
        "main dns ok -",
        "main tcp ok 93.184.216.34:80",
        "main http ok 93.184.216.34:80",
        "+main tcp ok -",
        "+main tls ok -",
        "+main http ok -",
        "++main dns dns_nxdomain_error -",
    ];
    assert_eq!(told(&read)[0].1, rows);
}

#[test]
fn a_failed_request_of_old_data_is_laid_to_the_step_that_it_tells_of() {
    let ended = |failure: &str, url: &str| {
        let keys = json!({"requests": [fetch(url, 0, &json!(failure), &json!({}))]});
        told(&took(&measurement("web_connectivity", &json!(url), &keys)))[0].1.clone()
    };
    assert_eq!(
        ended("connection_reset", "https://a.example/"),
        ["main tcp ok -", "main tls connection_reset -", "main http (previous_step_failed) -"]
    );
    assert_eq!(
        ended("ssl_unknown_authority", "https://a.example/"),
        ["main tcp ok -", "main tls ssl_unknown_authority -", "main http (previous_step_failed) -"]
    );
    assert_eq!(ended("generic_timeout_error", "https://a.example/"), ["main tcp generic_timeout_error -"]);
    assert_eq!(ended("eof_error", "http://a.example/"), ["main tcp ok -", "main http eof_error -"]);
    assert_eq!(ended("connection_refused", "http://192.0.2.1/"), ["main tcp connection_refused 192.0.2.1:80"]);
}

#[test]
fn a_service_becomes_a_measurement_for_each_endpoint() {
    let (e1, e2) = (&["3.33.252.61"][..], &["15.197.206.217", "3.33.252.61"][..]);
    let at = |t: f64| json!({"t": t});
    let keys = json!({
        "queries": [with(&query("system", "e1.whatsapp.net", "A", e1, &Value::Null), &at(0.01)),
            with(&query("system", "e2.whatsapp.net", "A", e2, &Value::Null), &at(0.02)),
            query("system", "web.whatsapp.com", "A", &["157.240.245.60"], &Value::Null),
            query("system", "v.whatsapp.net", "A", &[], &json!("dns_nxdomain_error"))],
        "tcp_connect": [dial("3.33.252.61", 5222, &Value::Null, &at(0.05)), dial("15.197.206.217", 443, &json!("generic_timeout_error"), &at(9.0)),
            dial("157.240.245.60", 443, &Value::Null, &at(0.2))],
        "tls_handshakes": [shake("157.240.245.60:443", "web.whatsapp.com", &Value::Null, &at(0.3))],
        "requests": [fetch("https://web.whatsapp.com/", 400, &Value::Null, &json!({})),
            fetch("https://v.whatsapp.net/v2/register", 0, &json!("dns_nxdomain_error"), &json!({}))],
    });
    let read = took(&measurement("whatsapp", &Value::Null, &keys));
    let names: Vec<(&str, String)> = read
        .import
        .measurements
        .iter()
        .map(|one| (one.target.name.as_str(), one.target.endpoint.to_string()))
        .collect();
    for (name, endpoint) in [
        ("whatsapp/web", "https://web.whatsapp.com/"),
        ("whatsapp/registration", "tls://v.whatsapp.net:443"),
        ("whatsapp/chat-1-5222", "tcp://e1.whatsapp.net:5222"),
        ("whatsapp/chat-2-443", "tcp://e2.whatsapp.net:443"),
    ] {
        assert!(names.contains(&(name, endpoint.to_owned())), "{name}: {names:?}");
    }
    assert_eq!(names.len(), 4);
    let ids: BTreeSet<_> = read.import.measurements.iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn resolvers_and_relays_and_tunnels_become_targets_of_their_own() {
    let late = json!([{"answers": [{"answer_type": "A", "ipv4": "203.0.113.9"}], "failure": null, "t": 0.5}]);
    let pings = json!({"pings": [{"query": query("udp", "x.com", "A", &["8.7.198.45"], &Value::Null), "delayed_responses": late}]});
    let read = took(&measurement("dnsping", &json!("udp://9.9.9.9:53"), &pings));
    assert_eq!(told(&read)[0].0, "dns://9.9.9.9/x.com");
    let dns = read.import.measurements[0].observations[0].dns().unwrap().clone();
    assert_eq!((dns.engine, dns.replies, dns.late_addresses().count()), (Engine::Udp, 2, 1));

    let lookup = json!({"queries": [with(&query("dot", "example.org", "A", &["93.184.216.34"], &Value::Null), &json!({"resolver_address": "8.8.4.4:853"}))],
        "tls_handshakes": [shake("8.8.4.4:853", "dns.google", &Value::Null, &json!({}))]});
    let keys = json!({"domain": "example.org", "bootstrap": null, "lookups": {"dot://8.8.4.4:853": lookup}});
    let read = took(&measurement("dnscheck", &json!("dot://dns.google:853"), &keys));
    let rows = ["main dns ok 8.8.4.4:853", "main tcp ok 8.8.4.4:853", "main tls ok 8.8.4.4:853"].map(str::to_owned);
    assert_eq!(told(&read), [("dns://8.8.4.4/example.org".to_owned(), rows.to_vec())]);

    let relay = json!({"target_address": "192.0.2.7:443", "target_protocol": "or_port", "tcp_connect": [dial("192.0.2.7", 443, &Value::Null, &json!({}))],
        "tls_handshakes": [shake("192.0.2.7:443", "", &Value::Null, &json!({}))]});
    let hidden = json!({"target_address": "[scrubbed]", "target_protocol": "obfs4"});
    let read = took(&measurement("tor", &Value::Null, &json!({"targets": {"a": relay, "b": hidden}})));
    let rows = ["main tcp ok 192.0.2.7:443", "main tls ssl_unknown_authority 192.0.2.7:443"].map(str::to_owned);
    assert_eq!(
        told(&read),
        [("tls://192.0.2.7:443".to_owned(), rows.to_vec()), ("ooni://tor/b".to_owned(), Vec::new())]
    );
    assert!(read.import.measurements[0].target.private_ca);

    let row = |transport: &str, failure: Value| json!({"ip": "192.0.2.9", "port": 1194, "transport": transport, "provider": "riseup", "failure": failure, "t0": 0.1, "t": 0.4});
    let keys = json!({"openvpn_handshake": [row("udp", Value::Null), row("tcp", json!("generic_timeout_error"))]});
    let read = took(&measurement("openvpn", &Value::Null, &keys));
    assert_eq!(told(&read)[1].1, ["main vpn generic_timeout_error 192.0.2.9:1194"]);
    let first = &read.import.measurements[0];
    assert_eq!(
        (first.target.name.as_str(), first.observations[0].vpn().unwrap().answer),
        ("riseup/openvpn-udp", Some(VpnAnswer::ServerReset))
    );
}

#[test]
fn a_binding_request_is_a_handshake_and_without_an_address_none() {
    let events = |read: bool| {
        let mut events = vec![
            json!({"operation": "connect", "proto": "udp", "address": "192.0.2.5:3478", "failure": null, "t": 0.05}),
            json!({"operation": "write", "num_bytes": 20, "failure": null, "t": 0.06}),
        ];
        events.extend(read.then(|| json!({"operation": "read", "num_bytes": 32, "failure": null, "t": 0.1})));
        events
    };
    let keys = |failure: Value, events: Vec<Value>| json!({"endpoint": "stun.example:3478", "failure": failure, "network_events": events});
    let input = json!("stun://stun.example:3478");
    let read = took(&measurement("stunreachability", &input, &keys(Value::Null, events(true))));
    assert_eq!(told(&read), [("stun://stun.example:3478".to_owned(), vec!["main vpn ok 192.0.2.5:3478".to_owned()])]);
    let row = &read.import.measurements[0].observations[0];
    let vpn = row.vpn().unwrap();
    assert_eq!((vpn.answer, vpn.bytes_received, row.t_ms), (Some(VpnAnswer::Accepted), 32, 100.0));

    let silent = keys(json!("generic_timeout_error"), events(false));
    let read = took(&measurement("stunreachability", &input, &silent));
    assert_eq!(told(&read)[0].1, ["main vpn generic_timeout_error 192.0.2.5:3478"]);

    let unnamed = keys(json!("dns_nxdomain_error"), Vec::new());
    let read = took(&measurement("stunreachability", &input, &unnamed));
    assert!(matches!(read.import.measurements[0].observations[0].outcome, Outcome::NotRun(NotRun::NoAddress)));

    let nowhere = json!({"endpoint": "stun.example:99999", "failure": null});
    let read = took(&measurement("stunreachability", &Value::Null, &nowhere));
    assert_eq!(told(&read)[0].0, "ooni://stunreachability");
}

#[test]
fn pings_are_tries_and_tries_again_and_quic_is_quic() {
    let ping = |failure: Value| json!({"quic_handshake": shake("192.0.2.7:443", "x.example", &failure, &json!({"network": "udp"}))});
    let keys = json!({"pings": [ping(json!("generic_timeout_error")), ping(Value::Null)]});
    let read = took(&measurement("simplequicping", &json!("quichandshake://192.0.2.7:443"), &keys));
    let rows = ["main quic generic_timeout_error 192.0.2.7:443", "retry quic ok 192.0.2.7:443"].map(str::to_owned);
    assert_eq!(told(&read), [("quic://192.0.2.7:443".to_owned(), rows.to_vec())]);
}

#[test]
fn ipv6_without_a_way_is_not_run_and_no_failure() {
    let keys = json!({"tcp_connect": [dial("2001:4860::1", 443, &json!("network_unreachable"), &json!({})), dial("192.0.2.7", 443, &Value::Null, &json!({}))]});
    let read = took(&measurement("urlgetter", &json!("tlshandshake://x.example:443"), &keys));
    let rows = &read.import.measurements[0].observations;
    assert_eq!(rows[0].outcome, Outcome::NotRun(NotRun::NoIpv6));
    assert!(rows[1].step() == Step::Tcp && rows[1].outcome.is_ok() && rows[1].purpose == Purpose::Main, "{rows:?}");
}

#[test]
fn every_test_is_taken_and_none_is_dropped_whatever_its_keys_are() {
    for (test, _) in TESTS.iter().chain(&[("never_heard_of", "")]) {
        for keys in [
            json!(null),
            json!([]),
            json!({}),
            json!({"queries": 1, "tcp_connect": {}, "requests": [null, 2], "pings": [{}], "targets": [], "lookups": {"x": null}}),
        ] {
            for input in [json!(null), json!("https://a.example/"), json!("nonsense"), json!(["a"]), json!(7)] {
                let read = took(&measurement(test, &input, &keys));
                assert!(!read.import.measurements.is_empty(), "{test} {input} {keys}");
            }
        }
    }
}

#[test]
fn legacy_spellings_are_understood() {
    let keys = json!({"start_time": 1_448_291_668.0, "control_resolver": "8.8.8.8:53",
        "queries": [{"answers": [], "failure": "no_answer", "hostname": "a.example", "query_type": "A", "resolver_hostname": "192.0.2.53", "resolver_port": 53}]});
    let mut old = measurement("dns_consistency", &json!("a.example"), &keys);
    for key in ["measurement_start_time", "test_start_time", "annotations", "report_id"] {
        old.as_object_mut().unwrap().remove(key);
    }
    let read = took(&old);
    assert_eq!(read.import.measurements[0].started_at.to_string(), "2015-11-23T15:14:28.000Z");
    assert_eq!(
        told(&read),
        [("dns://192.0.2.53/a.example".to_owned(), vec!["main dns dns_no_answer 192.0.2.53:53".to_owned()])]
    );

    let keys = json!({"connection": "connection_refused_error"});
    let read = took(&measurement("tcp_connect", &json!("192.0.2.7:443"), &keys));
    assert_eq!(told(&read)[0].1, ["main tcp connection_refused 192.0.2.7:443"]);

    let mut mbm = measurement(
        "facebook_messenger",
        &Value::Null,
        &json!({"tcp_connect": [{"ip": "31.13.86.8", "port": 443, "status": {"failure": false, "success": true}}]}),
    );
    mbm["probe_asn"] = 30722.into();
    let read = took(&mbm);
    assert_eq!(
        (told(&read)[0].1[0].as_str(), read.import.measurements[0].network.asn),
        ("main tcp ok 31.13.86.8:443", Some(30722))
    );
}

#[test]
fn what_is_no_measurement_is_refused_with_the_reason() {
    for (text, word) in [
        ("", "no JSON"),
        ("{\"a\":", "no JSON"),
        ("[]", "a list is no measurement"),
        ("{}", "no test_name"),
        ("{\"test_name\": \"ndt\"}", "when it was made"),
        ("{\"test_name\": \"ndt\", \"test_start_time\": \"yesterday\"}", "when it was made"),
    ] {
        let refusal = read(text.as_bytes()).unwrap_err().to_string();
        assert!(refusal.contains(word), "{text}: {refusal}");
    }
    assert!(read("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn text_that_is_no_unicode_is_taken_with_a_note() {
    let text = denied().to_string().replace("\"android\"", "\"\\ud800\"");
    let read = super::read(text.as_bytes()).unwrap();
    assert_eq!(read.oddities.count(), 1);
    let mut bytes = denied().to_string().into_bytes();
    let place = bytes.windows(7).position(|part| part == b"android").unwrap();
    bytes[place] = 0xff;
    assert_eq!(super::read(&bytes).unwrap().oddities.count(), 1);
}

/// A generator that gives the same numbers everywhere (splitmix64; Steele, Lea, Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }
}

/// The samples here, and OONI's own where they are.
fn samples() -> Vec<Vec<u8>> {
    let mut samples = vec![denied().to_string().into_bytes()];
    let Some(shared) = std::env::var_os("FAULTLINE_SHARED_DATA") else {
        eprintln!("skipped: OONI's own samples: FAULTLINE_SHARED_DATA is not set");
        return samples;
    };
    for folder in ["ooni-measurements", "qa-scenarios"] {
        let entries = std::fs::read_dir(std::path::Path::new(&shared).join(folder)).unwrap();
        samples.extend(entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()));
    }
    samples
}

#[test]
fn no_cut_and_no_flipped_byte_makes_the_reader_panic_or_hang() {
    let mut numbers = Numbers(20_261_126);
    for sample in samples() {
        for cut in 0..48 {
            let _ = read(&sample[..sample.len() * cut / 48]);
        }
        for _ in 0..40 {
            let mut bytes = sample.clone();
            for _ in 0..=numbers.next(8) {
                let place = numbers.next(bytes.len());
                bytes[place] = u8::try_from(numbers.next(256)).unwrap();
            }
            let _ = read(&bytes);
        }
        // Other values in the places of right ones: JSON stays JSON.
        let text = String::from_utf8_lossy(&sample).into_owned();
        for (from, to) in
            [("null", "{}"), ("null", "-1e300"), ("true", "[[]]"), ("\"A\"", "7"), (":443", ":99999999"), ("0.", "-0.")]
        {
            let _ = read(text.replace(from, to).as_bytes());
        }
    }
}

#[test]
fn a_hostile_answer_chain_or_input_fits_the_schema() {
    let answers: Vec<Value> = (0..70_000).map(|_| json!({"answer_type": "A", "ipv4": "192.0.2.7"})).collect();
    let certificates: Vec<Value> = (0..70_000).map(|_| json!({"format": "base64", "data": "AAAA"})).collect();
    let late: Vec<Value> = (0..70_000).map(|_| json!({"answers": [], "t": 1})).collect();
    let asked = with(&query("udp", "a.example", "A", &[], &Value::Null), &json!({"answers": answers}));
    let keys = json!({"queries": [asked], "pings": [{"query": asked, "delayed_responses": late}],
        "tls_handshakes": [shake("192.0.2.7:443", "a.example", &Value::Null, &json!({"peer_certificates": certificates}))]});
    let folder = tempfile::tempdir().unwrap();
    let mut database = crate::Database::open_or_create(&folder.path().join("out.sqlite")).unwrap();
    for (test, input) in [
        ("web_connectivity", "https://a.example/".to_owned()),
        ("dnsping", "x".to_owned()),
        ("ndt", "x".repeat(100_000)),
    ] {
        let read = took(&measurement(test, &json!(input), &keys));
        assert!(read.oddities.count() > 0, "{test}");
        assert_eq!(database.insert_imports(&[read.import]).unwrap().measurements, 1, "{test}");
    }
}

#[test]
fn rows_by_the_thousand_are_arranged_in_no_time() {
    let begun = std::time::Instant::now();
    let many: Vec<String> = (0..200).map(|number| format!("3.33.{}.{}", number / 250, number % 250)).collect();
    let answers: Vec<&str> = many.iter().map(String::as_str).collect();
    let queries: Vec<Value> =
        (0..1_000).map(|_| query("system", "e1.whatsapp.net", "A", &answers, &Value::Null)).collect();
    let dials: Vec<Value> =
        (0..1_000).map(|number| dial(&many[number % 200], 443, &json!("eof_error"), &json!({}))).collect();
    let deep: Vec<Value> = (0..1_000)
        .map(|depth| fetch("http://a.example/", 200, &Value::Null, &json!({"tags": [format!("depth={depth}")]})))
        .collect();
    let keys = json!({"queries": queries, "tcp_connect": dials, "requests": deep});
    for test in ["whatsapp", "web_connectivity"] {
        took(&measurement(test, &json!("http://a.example/"), &keys));
    }
    // Unoptimised, on a machine that does much else, it takes a second.
    assert!(begun.elapsed().as_secs() < 60);
}

#[test]
fn a_hostile_number_of_rows_is_cut_with_a_note() {
    let dials: Vec<Value> = (0..5_000).map(|_| dial("192.0.2.7", 443, &Value::Null, &json!({}))).collect();
    let shakes: Vec<Value> =
        (0..5_000).map(|_| shake("192.0.2.7:443", "a.example", &Value::Null, &json!({}))).collect();
    let keys = json!({"tcp_connect": dials, "tls_handshakes": shakes});
    let read = took(&measurement("web_connectivity", &json!("https://a.example/"), &keys));
    assert_eq!(read.oddities.iter().filter(|(kind, ..)| *kind == "more rows than are kept").count(), 2);
    assert!(read.import.measurements[0].observations.len() <= 4_000);
}

#[test]
fn dates_of_sites_tell_the_clock_and_two_of_one_report_settle_it() {
    let of = |second: u32, host: &str, headers: Value| {
        json!({"test_name": "web_connectivity", "measurement_start_time": format!("2026-01-02 05:04:{second:02}"),
            "test_start_time": "2026-01-02 05:04:00", "report_id": "r", "input": format!("https://{host}/"), "probe_cc": "PK",
            "probe_asn": "AS64500", "test_keys": {
                "tls_handshakes": [{"address": "93.184.216.34:443", "server_name": host, "failure": null, "t": 0.5}],
                "requests": [{"address": "93.184.216.34:443", "t": 1.0, "failure": null,
                    "request": {"url": format!("https://{host}/")}, "response": {"code": 200, "body": "x", "headers": headers}}]}})
    };
    // The clock is two hours ahead; the second answer lay in a cache for a minute.
    let first = of(1, "a.example", json!({"Date": "Fri, 02 Jan 2026 03:04:02 GMT"}));
    let second = of(11, "b.example", json!({"Date": "Fri, 02 Jan 2026 03:03:12 GMT", "Age": "60"}));
    let odd = of(21, "c.example", json!({"Date": "yesterday", "Age": "-1"}));
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("a.sqlite"), folder.path().join("out.sqlite"));
    let imports: Vec<_> =
        [first, second, odd].iter().map(|json| read(json.to_string().as_bytes()).unwrap().import).collect();
    let said = |import: &crate::database::Import| {
        let signals = import.check.as_ref().unwrap().signals.iter();
        signals.filter(|signal| signal.kind == SignalKind::Clock).filter_map(|signal| signal.value).collect::<Vec<_>>()
    };
    assert_eq!(imports.iter().map(said).collect::<Vec<_>>(), [vec![7_200.0], vec![7_200.0], vec![]]);
    crate::database::Database::open_or_create(&file).unwrap().insert_imports(&imports).unwrap();
    let report = crate::merge(&out, &[file], |_| std::ops::ControlFlow::Continue(())).unwrap();
    let merged = report.inputs[0].outcome.as_ref().unwrap();
    assert_eq!(merged.clocks.iter().map(|clock| clock.ahead_ms).collect::<Vec<_>>(), [7_200_000]);
    let witnessed = crate::Reader::open(&out).unwrap().measurement(imports[2].measurements[0].id).unwrap().unwrap();
    assert_eq!(witnessed.began().to_string(), "2026-01-02T03:04:21.000Z");
}
