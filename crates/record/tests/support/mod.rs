//! A run with one of everything, for tests and for the released databases. Fixed to the letter: the databases of
//! released formats hold it.

#![allow(dead_code, reason = "each test uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use faultline_record::{
    Availability, Certificate, Database, Dns, DnsAnswer, DnsRecord, Endpoint, Engine, Failure, Family, FirstBytes,
    HealthCheck, HealthCheckId, HealthReason, HealthSignal, Http, Measurement, MeasurementId, Network, NetworkKind,
    NotRun, Observation, Outcome, PaceMark, Purpose, QueryType, RecordError, Run, RunEnd, RunId, RunSummary,
    SignalKind, StepData, Target, Timestamp, Tls, sha256,
};

/// The vocabularies as they were at format 1: they grow, the sample does not.
const REASONS: [HealthReason; 5] =
    [HealthReason::Before, HealthReason::During, HealthReason::OnFailure, HealthReason::Canary, HealthReason::After];

const SIGNALS: [SignalKind; 8] = [
    SignalKind::Link,
    SignalKind::Route,
    SignalKind::Gateway,
    SignalKind::Captive,
    SignalKind::ControlByName,
    SignalKind::ControlByAddress,
    SignalKind::Resolver,
    SignalKind::Clock,
];

const NOT_RUN: [NotRun; 12] = [
    NotRun::Interrupted,
    NotRun::MaxTime,
    NotRun::MaxData,
    NotRun::TargetDeadline,
    NotRun::NoAddress,
    NotRun::BogonAddress,
    NotRun::NoIpv6,
    NotRun::PreviousStepFailed,
    NotRun::AddressCap,
    NotRun::NoNetwork,
    NotRun::NotNeeded,
    NotRun::LocalLimit,
];

/// A run, everything in it, and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub run: Run,
    pub end: RunSummary,
    pub marks: Vec<PaceMark>,
    pub checks: Vec<HealthCheck>,
    pub measurements: Vec<Measurement>,
}

impl Sample {
    /// Writes everything.
    pub fn store(&self, database: &mut Database) -> Result<(), RecordError> {
        database.insert_run(&self.run)?;
        self.checks.iter().try_for_each(|check| database.insert_health(check))?;
        self.measurements.iter().try_for_each(|measurement| database.insert_measurement(measurement))?;
        self.marks.iter().try_for_each(|mark| database.insert_pace_mark(self.run.id, mark))?;
        database.finish_run(self.run.id, &self.end)
    }
}

/// A 16-byte id that sorts by its two numbers.
fn id(kind: u8, number: u8) -> [u8; 16] {
    let mut bytes = [0x11; 16];
    bytes[0] = kind;
    bytes[1] = number;
    bytes
}

pub fn run_id(number: u8) -> RunId {
    RunId::from_bytes(id(1, number))
}

pub fn measurement_id(number: u8) -> MeasurementId {
    MeasurementId::from_bytes(id(2, number))
}

pub fn run(number: u8) -> Run {
    Run {
        id: run_id(number),
        started_at: Timestamp::from_millisecond(1_795_341_600_007),
        software_name: "faultline-probe".into(),
        software_version: "0.1.0".into(),
        platform: "linux x86_64".into(),
        lists_sha256: sha256(b"lists"),
        plan_sha256: sha256(b"plan"),
        consent: "option".into(),
        planned: u32::MAX,
        left_out: 3,
        tls_fingerprint: "rustls 0.23; X25519MLKEM768, X25519".into(),
    }
}

pub fn sample() -> Sample {
    let reasons = REASONS.iter().enumerate();
    Sample {
        run: run(1),
        end: RunSummary {
            end: RunEnd::MaxTime,
            duration_ms: 90_000.125,
            measured: 3,
            not_run: 1,
            connections: 12,
            bytes_sent: 4_000,
            bytes_received: 1 << 40,
        },
        marks: vec![PaceMark { from_ms: 1_000.0, to_ms: 2_500.5, rate: 20.0 }],
        checks: reasons.map(|(index, &reason)| check(u8::try_from(index).unwrap(), reason)).collect(),
        measurements: vec![web(), chat(), unreached()],
    }
}

/// Checks stand at 0 s, 10 s, 20 s, ... and take half a second.
pub fn check(number: u8, reason: HealthReason) -> HealthCheck {
    HealthCheck {
        id: HealthCheckId::from_bytes(id(3, number)),
        run: run_id(1),
        reason,
        offset_ms: f64::from(number) * 10_000.0,
        duration_ms: 500.0,
        signals: SIGNALS.iter().map(|&kind| signal(kind)).collect(),
    }
}

fn signal(kind: SignalKind) -> HealthSignal {
    let bare = HealthSignal {
        kind,
        name: format!("signal/{kind}"),
        provider: None,
        family: None,
        address: None,
        outcome: Outcome::Ok,
        value: None,
        duration_ms: 0.0,
        detail: None,
    };
    match kind {
        SignalKind::Route => {
            HealthSignal { family: Some(Family::V6), outcome: Outcome::NotRun(NotRun::NoIpv6), ..bare }
        }
        SignalKind::Clock => {
            HealthSignal { value: Some(-0.25), detail: Some("Date: \u{201c}…\u{201d}".into()), ..bare }
        }
        SignalKind::ControlByAddress => HealthSignal {
            provider: Some("quad9".into()),
            family: Some(Family::V4),
            address: Some("9.9.9.9".parse().unwrap()),
            outcome: Outcome::Failed(Failure::GenericTimeoutError),
            duration_ms: 499.999,
            ..bare
        },
        _ => bare,
    }
}

fn target(input: &str, name: &str) -> Target {
    Target {
        input: input.into(),
        name: name.into(),
        endpoint: Endpoint::parse(input).unwrap(),
        category: None,
        list: None,
        availability: Availability::Unknown,
        private_ca: false,
    }
}

/// A measurement without steps.
pub fn empty_measurement(number: u8, offset_ms: f64) -> Measurement {
    Measurement {
        id: measurement_id(number),
        run: run_id(1),
        target: target("https://example.org/?a=%20b", "example.org"),
        started_at: Timestamp::from_millisecond(1_795_341_600_500 + i64::from(number)),
        offset_ms,
        duration_ms: 1_000.0,
        network: Network::default(),
        observations: Vec::new(),
    }
}

/// A step that succeeded.
pub fn step(seq: u32, data: StepData) -> Observation {
    Observation {
        seq,
        hop: 0,
        purpose: Purpose::Main,
        connection: Some(1),
        t0_ms: f64::from(seq) * 1.1,
        t_ms: f64::from(seq) * 1.1 + 0.7,
        outcome: Outcome::Ok,
        detail: None,
        address: Some(Ipv4Addr::new(192, 0, 2, 7).into()),
        port: Some(443),
        ttl: None,
        data,
    }
}

fn answer(reply: u16, record: DnsRecord) -> DnsAnswer {
    DnsAnswer {
        reply,
        rcode: Some(0),
        after_ms: 7 + u32::from(reply),
        ttl: Some(300),
        opt: None,
        case_kept: None,
        record,
    }
}

pub fn dns(engine: Engine, answers: Vec<DnsAnswer>) -> StepData {
    StepData::Dns(Dns {
        engine,
        resolver: "resolver/quad9".into(),
        hostname: "example.org".into(),
        query_type: QueryType::Aaaa,
        rcode: Some(0),
        replies: 3,
        answers,
    })
}

/// Two certificates made for this purpose, of a key that was thrown away.
pub fn chain() -> Vec<Arc<Certificate>> {
    let ders: [&[u8]; 2] = [include_bytes!("leaf.der"), include_bytes!("authority.der")];
    ders.iter().map(|der| Arc::new(Certificate::from_der(der.to_vec()))).collect()
}

pub fn tls(chain: Vec<Arc<Certificate>>) -> StepData {
    StepData::Tls(Tls {
        sni: Some("example.org".into()),
        version: Some("TLSv1.3".into()),
        cipher_suite: Some("TLS_AES_128_GCM_SHA256".into()),
        alpn: Some("h2".into()),
        chain,
        bytes_received: 3_141,
        first_bytes: Some(FirstBytes::Handshake),
    })
}

pub fn http(body: &[u8]) -> Http {
    Http {
        url: "https://example.org/?a=%20b".into(),
        protocol: Some("h2".into()),
        status: Some(200),
        headers: vec![
            ("server".into(), "\"quoted\"\u{0}\u{fffd}".into()),
            ("set-cookie".into(), "a=1".into()),
            ("set-cookie".into(), String::new()),
        ],
        body: Some(body.into()),
        body_length: 300_000,
        body_truncated: true,
        ..Http::default()
    }
}

/// Every kind of step that succeeds, with late answers and a chain.
fn web() -> Measurement {
    let v6: IpAddr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).into();
    let mapped: IpAddr = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().into();
    let answers = vec![
        answer(0, DnsRecord::Cname("www.example.org".into())),
        answer(0, DnsRecord::Address(v6)),
        answer(1, DnsRecord::Address(mapped)),
        DnsAnswer { rcode: None, ttl: None, ..answer(2, DnsRecord::Empty) },
    ];
    let seen = vec![
        Observation { connection: None, address: None, port: None, ..step(1, dns(Engine::System, answers)) },
        Observation { purpose: Purpose::Comparison, connection: None, ..step(2, dns(Engine::Doh, Vec::new())) },
        step(3, StepData::Tcp),
        step(4, tls(chain())),
        step(5, StepData::Http(http(b"<html>hello</html>"))),
        Observation { hop: 1, connection: Some(2), ..step(6, StepData::Http(http(b""))) },
        Observation { hop: 2, ..step(7, StepData::Http(Http { body: None, ..http(b"") })) },
    ];
    let network = Network {
        asn: Some(u32::MAX),
        as_name: Some("Beispielnetz \u{2603}".into()),
        country: Some("PK".into()),
        kind: NetworkKind::Mobile,
    };
    let known = target("https://example.org/?a=%20b", "example.org");
    let target = Target { category: Some("NEWS".into()), list: Some("pk.csv".into()), private_ca: true, ..known };
    Measurement { target, network, observations: seen, ..empty_measurement(1, 1_200.5) }
}

/// Steps that failed, in one way and another.
fn chat() -> Measurement {
    let failed = |failure, detail: &str| (Outcome::Failed(failure), Some(detail.to_owned()));
    let (refused, why) = failed(Failure::ConnectionRefused, "refused (os error 111)");
    let (reset, how) = failed(Failure::ConnectionReset, "");
    let unknown = Certificate::from_der(b"not a certificate".to_vec());
    let seen = vec![
        Observation { outcome: refused, detail: why, ..step(1, StepData::Tcp) },
        Observation { outcome: reset, detail: how, purpose: Purpose::Retry, ..step(2, StepData::Tls(Tls::default())) },
        Observation {
            outcome: Outcome::Failed(Failure::SslUnknownAuthority),
            purpose: Purpose::InnocentSni,
            ..step(3, tls(vec![Arc::new(unknown)]))
        },
        Observation { outcome: Outcome::Failed(Failure::EofError), ..step(9, StepData::Http(Http::default())) },
    ];
    let known = target("tcp://[2001:db8::1]:5222", "whatsapp/chat");
    let target = Target { availability: Availability::High, ..known };
    Measurement { target, observations: seen, ..empty_measurement(2, 12_000.0) }
}

/// Steps that were never done.
fn unreached() -> Measurement {
    let reasons = (1..).zip(&NOT_RUN);
    let not_run =
        reasons.map(|(seq, &reason)| Observation { outcome: Outcome::NotRun(reason), ..step(seq, StepData::Tcp) });
    Measurement { observations: not_run.collect(), ..empty_measurement(3, 35_000.0) }
}
