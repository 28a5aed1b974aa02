//! `analyzer verdicts --by`, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use faultline_record::{Endpoint, Measurement, VpnProtocol};
use serde_json::Value;
use support::{Folder, Ran, analyzer, at_network, blocked, reachable, silent, tunnel};

const PROTOCOLS: [VpnProtocol; 3] = [VpnProtocol::OpenvpnUdp, VpnProtocol::OpenvpnTcp, VpnProtocol::Ikev2];

fn json_lines(ran: &Ran, schema: &str) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["schema"] == schema).collect()
}

/// A site that works, of a name of its own.
fn site(number: u8, name: &str) -> Measurement {
    let mut measurement = reachable(number, name);
    measurement.target.endpoint = Endpoint::parse(&format!("https://{name}/")).unwrap();
    measurement
}

/// Providers with a server for each of three protocols, on these networks; whether a server is let through is asked for each.
fn providers(names: &[&str], networks: &[u32], passes: impl Fn(&str, VpnProtocol) -> bool) -> Vec<Measurement> {
    numbered(0, names, networks, passes)
}

fn numbered(
    first: u8,
    names: &[&str],
    networks: &[u32],
    passes: impl Fn(&str, VpnProtocol) -> bool,
) -> Vec<Measurement> {
    let (mut all, mut number) = (Vec::new(), first);
    let mut next = || {
        number += 1;
        number
    };
    for &asn in networks {
        for (name, host) in names.iter().zip(1..) {
            for protocol in PROTOCOLS {
                let role = protocol.to_string().replace('+', "-");
                let target = format!("{name}/{role}");
                let ip = format!("198.51.100.{host}");
                all.push(at_network(asn, tunnel(next(), &target, protocol, &ip, passes(name, protocol))));
            }
        }
        all.extend(["a.example", "b.example", "c.example"].map(|name| at_network(asn, site(next(), name))));
    }
    all
}

#[test]
fn a_service_of_which_one_function_is_blocked_is_impaired_and_the_function_is_named() {
    let folder = Folder::new();
    let mut media = blocked(2, "whatsapp/media");
    media.target.endpoint = Endpoint::parse("tls://media.example:443").unwrap();
    let mut web = silent(3, "signal/web");
    web.target.endpoint = Endpoint::parse("https://signal.org/").unwrap();
    let mut calls = reachable(4, "whatsapp/web");
    calls.target.endpoint = Endpoint::parse("https://web.whatsapp.com/").unwrap();
    let file = folder.database("a.sqlite", &[media, web, calls]);
    let services =
        json_lines(&analyzer(&["verdicts", &file, "--by", "service", "--format", "jsonl"]), "faultline/service/1");
    let whatsapp = services.iter().find(|line| line["verdict"]["service"] == "whatsapp").unwrap();
    assert_eq!(whatsapp["verdict"]["state"], "impaired", "{whatsapp:#}");
    assert_eq!(whatsapp["verdict"]["cause"], "interference");
    assert_eq!(whatsapp["verdict"]["mechanisms"][0], "tls.reset.sni");
    assert_eq!(whatsapp["network"]["asn"], 17557);
    let states: Vec<&Value> =
        whatsapp["verdict"]["functions"].as_array().unwrap().iter().map(|own| &own["state"]).collect();
    assert!(states.contains(&&"blocked".into()) && states.contains(&&"ok".into()), "{states:?}");
}

#[test]
fn a_filter_of_a_protocol_on_three_networks_is_named_with_its_providers() {
    let folder = Folder::new();
    let names = ["nordvpn", "mullvad", "surfshark", "some-vpn", "another-vpn"];
    let all = providers(&names, &[17557, 45595, 9541], |_, protocol| protocol != VpnProtocol::Ikev2);
    let file = folder.database("a.sqlite", &all);
    let ran = analyzer(&["verdicts", &file, "--by=service", "--format=jsonl"]);
    let found = json_lines(&ran, "faultline/spread/1");
    assert_eq!(found.len(), 3, "{}", ran.stdout);
    for line in &found {
        let finding = &line["finding"];
        assert_eq!((&finding["pattern"], &finding["state"]), (&"protocol_interference".into(), &"blocked".into()));
        assert_eq!(finding["providers"].as_array().unwrap().len(), 5);
        assert_eq!(finding["mechanisms"][0], "vpn.ikev2.timeout");
    }
    let wide = json_lines(&ran, "faultline/wide-spread/1");
    assert_eq!((wide.len(), &wide[0]["networks"]["with"], &wide[0]["networks"]["of"]), (1, &3.into(), &3.into()));
    assert_eq!(wide[0]["country"], "PK");
    // What a reader gets names providers and protocols, and no server.
    for format in ["table", "csv", "jsonl"] {
        let ran = analyzer(&["verdicts", &file, "--by=service", "--format", format]);
        assert!(ran.stdout.contains("mullvad") && !ran.stdout.contains("198.51.100."), "{format}: {}", ran.stdout);
    }
}

#[test]
fn licensed_and_unregistered_providers_are_compared_on_the_same_networks() {
    let folder = Folder::new();
    let names = ["crest-vpn", "kestrel-vpn", "steer-lucid", "proton-vpn", "other-vpn", "third-vpn"];
    let is_foreign = |name: &str| matches!(name, "proton-vpn" | "other-vpn" | "third-vpn");
    let all = providers(&names, &[17557, 45595, 9541], |name, _| !is_foreign(name));
    let file = folder.database("a.sqlite", &all);
    let labels = folder.path("labels.csv");
    std::fs::write(
        &labels,
        "provider,country,label,source,date\nother-vpn,PK,unregistered,a test,2026-11-26\n\
         third-vpn,PK,unregistered,a test,2026-11-26\n",
    )
    .unwrap();
    let args = ["verdicts", &file, "--by", "label:registration", "--format", "jsonl", "--label-file", &labels];
    let ran = analyzer(&args);
    let by_label = json_lines(&ran, "faultline/label-prevalence/1");
    let of = |label: &str| by_label.iter().find(|line| line["label"] == label).unwrap()["providers"].clone();
    assert_eq!((&of("licensed")["k"], &of("licensed")["n"]), (&0.into(), &9.into()), "{}", ran.stdout);
    assert_eq!((&of("unregistered")["k"], &of("unregistered")["n"]), (&9.into(), &9.into()));
    assert!(of("licensed")["high"].as_f64().unwrap() > 0.2, "nine without a block do not prove that there is none");
    let difference = &json_lines(&ran, "faultline/label-difference/1")[0]["difference"];
    assert_eq!((&difference["value"], &difference["network_windows"]), (&1.0.into(), &3.into()));
    // Without the file two of them are unknown, and count for nothing.
    let without = analyzer(&args[..6]);
    let by_label = json_lines(&without, "faultline/label-prevalence/1");
    assert!(
        by_label.iter().any(|line| line["label"] == "unknown" && line["providers"]["n"] == 6),
        "{}",
        without.stdout
    );
}

#[test]
fn a_provider_that_no_network_measured_beside_another_is_not_compared() {
    let folder = Folder::new();
    let mut all = providers(&["crest-vpn"], &[17557], |_, _| true);
    all.extend(numbered(100, &["proton-vpn"], &[45595], |_, _| false));
    let file = folder.database("a.sqlite", &all);
    let ran = analyzer(&["verdicts", &file, "--by", "label:registration", "--format", "jsonl"]);
    assert!(json_lines(&ran, "faultline/label-difference/1")[0]["difference"].is_null(), "{}", ran.stdout);
    assert!(ran.stdout.lines().count() >= 3, "{}", ran.stdout);
}

#[test]
fn the_same_files_give_the_same_bytes_whatever_their_order() {
    let folder = Folder::new();
    let all = providers(&["nordvpn", "mullvad"], &[17557], |_, protocol| protocol != VpnProtocol::Ikev2);
    let (first, second) = all.split_at(4);
    let (first, second) = (folder.database("a.sqlite", first), folder.database("b.sqlite", second));
    for by in ["service", "label:registration"] {
        let one = analyzer(&["verdicts", &first, &second, "--by", by, "--format", "jsonl"]);
        let other = analyzer(&["verdicts", &second, &first, "--by", by, "--format", "jsonl"]);
        assert_eq!(one.stdout, other.stdout, "{by}");
        assert!(!one.stdout.is_empty());
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_words() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[reachable(1, "x/web")]);
    for (args, words) in [
        (vec!["--by", "colour"], "service or label:registration was expected"),
        (vec!["--window", "2h"], "--by"),
        (vec!["--by", "service", "--window", "soon"], "run, or a time such as"),
        (vec!["--by", "service", "--services", "/nowhere.toml"], "failed to read the service"),
    ] {
        let ran = analyzer(&[&["verdicts", file.as_str()][..], &args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn no_output_tells_where_a_server_is_unless_it_is_asked_for() {
    let folder = Folder::new();
    let named = tunnel(1, "some-vpn/openvpn-udp", VpnProtocol::OpenvpnUdp, "198.51.100.7", false);
    let typed = tunnel(2, "openvpn+udp:198.51.100.8:1194", VpnProtocol::OpenvpnUdp, "198.51.100.8", true);
    let file = folder.database("a.sqlite", &[named, typed]);
    let (whole, part) = (support::id(1).to_string(), "2222");
    let calls: [&[&str]; 9] = [
        &["verdicts", &file],
        &["verdicts", &file, "--format", "csv"],
        &["verdicts", &file, "--format", "jsonl"],
        &["verdicts", &file, "--by", "service"],
        &["verdicts", &file, "--by", "service", "--format", "jsonl"],
        &["verdicts", &file, "--by", "label:registration", "--format", "jsonl"],
        &["explain", &whole, &file],
        &["explain", &whole, &file, "--json"],
        &["explain", part, &file],
    ];
    for args in calls {
        let ran = analyzer(args);
        assert!(!(ran.stdout.clone() + &ran.stderr).contains("198.51.100."), "{args:?}: {}{}", ran.stdout, ran.stderr);
        assert!(!ran.stdout.is_empty() || ran.code == 2, "{args:?}: {}", ran.stderr);
    }
    for args in [["verdicts", &file, "--with-endpoints"], ["explain", &file, "--with-endpoints"]] {
        let args = if args[0] == "explain" { vec![args[0], &whole, args[1], args[2]] } else { args.to_vec() };
        assert!(analyzer(&args).stdout.contains("198.51.100."), "{args:?}");
    }
}
