//! What is written is read back by our own importer to the same steps; and no address of a tunnel's server is in it.

use std::net::IpAddr;

use super::*;
use crate::model::{
    Availability, Dns, DnsAnswer, Engine, Http, MeasurementId, Network, QueryType, RunId, StepData, Target, Tls, Vpn,
    sha256,
};
use crate::ooni::read;

fn run() -> Run {
    let word = |text: &str| text.to_owned();
    Run {
        id: RunId::from_bytes([1; 16]),
        started_at: Timestamp::from_millisecond(1_795_341_600_000),
        software_name: word("faultline-probe"),
        software_version: word("0.1.0"),
        platform: word("linux x86_64"),
        lists_sha256: sha256(b""),
        plan_sha256: sha256(b""),
        consent: word("option"),
        planned: 1,
        left_out: 0,
        tls_fingerprint: word("x"),
    }
}

fn step(seq: u32, purpose: Purpose, outcome: Outcome, data: StepData) -> Observation {
    let is_dns = matches!(data, StepData::Dns(_));
    Observation {
        seq,
        hop: 0,
        purpose,
        connection: (!is_dns).then_some(1),
        t0_ms: f64::from(seq) * 10.0,
        t_ms: f64::from(seq) * 10.0 + 5.0,
        outcome,
        detail: Some("words of a peer".into()),
        address: (!is_dns).then(|| "93.184.216.34".parse().unwrap()),
        port: (!is_dns).then_some(443),
        ttl: None,
        data,
    }
}

fn measured(input: &str, name: &str, observations: Vec<Observation>) -> Measurement {
    Measurement {
        id: MeasurementId::from_bytes([2; 16]),
        run: run().id,
        target: Target {
            input: input.into(),
            name: name.into(),
            endpoint: Endpoint::parse(input).unwrap(),
            category: None,
            list: None,
            availability: Availability::Unknown,
            private_ca: false,
        },
        started_at: Timestamp::from_millisecond(1_795_341_605_000),
        offset_ms: 5_000.0,
        duration_ms: 100.0,
        network: Network {
            asn: Some(17557),
            as_name: Some("Example".into()),
            country: Some("PK".into()),
            kind: NetworkKind::Mobile,
        },
        observations,
    }
}

fn dns(address: &str) -> StepData {
    StepData::Dns(Dns {
        engine: Engine::System,
        resolver: "system".into(),
        hostname: "x.example".into(),
        query_type: QueryType::A,
        rcode: None,
        answers: vec![DnsAnswer::told(address.parse::<IpAddr>().unwrap())],
        replies: 1,
    })
}

fn tls(sni: &str, bytes_received: u64) -> StepData {
    StepData::Tls(Tls { sni: Some(sni.into()), version: Some("TLSv1.3".into()), bytes_received, ..Tls::default() })
}

fn page() -> StepData {
    let headers = vec![("set-cookie".to_owned(), "a=1".to_owned()), ("set-cookie".to_owned(), "b=2".to_owned())];
    let body = [0xff, 0x00, b'x'].as_slice().into();
    StepData::Http(Http {
        url: "https://x.example/".into(),
        status: Some(200),
        headers,
        body: Some(body),
        body_length: 3,
        ..Http::default()
    })
}

fn site() -> Measurement {
    let (ok, reset) = (Outcome::Ok, Outcome::Failed(Failure::ConnectionReset));
    measured(
        "https://x.example/",
        "x.example",
        vec![
            step(1, Purpose::Main, ok, dns("93.184.216.34")),
            step(2, Purpose::Main, ok, StepData::Tcp),
            step(3, Purpose::Main, reset, tls("x.example", 0)),
            step(4, Purpose::Main, Outcome::NotRun(crate::model::NotRun::PreviousStepFailed), page()),
            Observation { connection: Some(2), ..step(5, Purpose::InnocentSni, ok, StepData::Tcp) },
            Observation { connection: Some(2), ..step(6, Purpose::InnocentSni, ok, tls("innocent.example", 3_000)) },
            Observation { connection: Some(3), ..step(7, Purpose::Retry, ok, StepData::Tcp) },
            Observation { connection: Some(3), ..step(8, Purpose::Retry, ok, tls("x.example", 3_000)) },
            Observation { connection: Some(3), ..step(9, Purpose::Retry, ok, page()) },
        ],
    )
}

fn written(measurement: &Measurement) -> Value {
    write(measurement, &run(), measurement.started_at).unwrap()
}

#[test]
fn a_site_is_a_web_connectivity_measurement_that_reads_back_to_its_steps() {
    let json = written(&site());
    assert_eq!(
        (&json["test_name"], &json["probe_asn"], &json["probe_ip"]),
        (&"web_connectivity".into(), &"AS17557".into(), &"127.0.0.1".into())
    );
    assert_eq!(
        (&json["measurement_start_time"], &json["test_start_time"]),
        (&"2026-11-22T10:00:05".replace('T', " ").into(), &"2026-11-22 10:00:00".into())
    );
    let read = read(json.to_string().as_bytes()).unwrap();
    assert_eq!(read.oddities.count(), 0, "{:?}", read.oddities);
    let back = &read.import.measurements[0];
    let told = |one: &Measurement| -> Vec<_> {
        let of_site = |row: &&Observation| {
            matches!(row.purpose, Purpose::Main | Purpose::Retry) && row.outcome.not_run().is_none()
        };
        let mut rows: Vec<_> = one
            .observations
            .iter()
            .filter(of_site)
            .map(|row| (row.step().name(), row.address, row.port, row.outcome.failure()))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(told(back), told(&site()));
    assert_eq!((back.target.input.as_str(), &back.network), ("https://x.example/", &site().network));
    let http = back.observations.iter().find_map(Observation::http).unwrap();
    assert_eq!((http.body.as_deref(), http.headers.len()), (Some([0xff, 0x00, b'x'].as_slice()), 2));
}

#[test]
fn follow_ups_stand_apart_and_nothing_is_judged() {
    let keys = &written(&site())["test_keys"];
    let names = |keys: &Value| {
        keys["tls_handshakes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["server_name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(keys), ["x.example", "x.example"]);
    assert_eq!(names(&keys["x_follow_ups"]), ["innocent.example"]);
    assert_eq!((&keys["accessible"], &keys["blocking"]), (&Value::Null, &Value::Null));
    assert_eq!(keys["http_experiment_failure"], "connection_reset");
    assert!(!written(&site()).to_string().contains("words of a peer"));
}

#[test]
fn a_tunnels_server_is_told_by_no_field() {
    let vpn = |protocol| StepData::Vpn(Vpn { bytes_received: 0, ..Vpn::planned(protocol) });
    for (input, protocol, test) in [
        ("openvpn+udp://203.0.113.88:1194", VpnProtocol::OpenvpnUdp, "openvpn"),
        ("openvpn+tcp://secret.example:1194", VpnProtocol::OpenvpnTcp, "openvpn"),
        ("ikev2://203.0.113.88", VpnProtocol::Ikev2, "faultline_vpn"),
        (
            "wireguard://secret.example:51820?pubkey=ERERERERERERERERERERERERERERERERERERERERERE=",
            VpnProtocol::Wireguard,
            "faultline_vpn",
        ),
    ] {
        let at =
            |row: Observation| Observation { address: Some("203.0.113.88".parse().unwrap()), port: Some(1194), ..row };
        let rows = vec![
            step(1, Purpose::Main, Outcome::Ok, dns("203.0.113.88")),
            at(step(2, Purpose::Main, Outcome::Ok, StepData::Tcp)),
            at(step(3, Purpose::Main, Outcome::Failed(Failure::GenericTimeoutError), vpn(protocol))),
            at(step(4, Purpose::HostAlive, Outcome::Ok, StepData::Tcp)),
        ];
        let name = format!("{protocol}:203.0.113.88:1194");
        let json = written(&measured(input, &name, rows));
        assert_eq!(
            (&json["test_name"], &json["test_keys"]["failure"]),
            (&test.into(), &"generic_timeout_error".into())
        );
        let text = json.to_string();
        for secret in ["203.0.113.88", "secret.example", "1194", "ERERERE", "pubkey"] {
            assert!(!text.contains(secret), "{input}: {secret} in {text}");
        }
    }
}

#[test]
fn names_that_are_ours_alone_come_back_from_behind_unknown_failure() {
    for failure in Failure::ALL {
        let word = super::failure(Outcome::Failed(*failure)).unwrap();
        let mut odd = crate::foreign::Oddities::default();
        assert_eq!(crate::ooni::failures::of(&word, &mut odd).failure, *failure, "{word}");
        assert_eq!(odd.count(), 0, "{word}");
    }
}
