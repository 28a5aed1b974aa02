//! Databases with known measurements, and the analyzer run on them as a user runs it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a broken fixture may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use faultline_record::{
    Availability, Database, Dns, DnsAnswer, DnsRecord, Endpoint, Engine, Failure, HealthCheck, HealthCheckId,
    HealthReason, HealthSignal, Http, Measurement, MeasurementId, Network, NetworkKind, NotRun, Observation, Outcome,
    Purpose, QueryType, Run, RunEnd, RunId, RunSummary, SignalKind, StepData, Target, Timestamp, Tls, Vpn, VpnAnswer,
    VpnProtocol, sha256,
};
use tempfile::TempDir;

const ADDRESS: &str = "192.0.2.7";

/// What the analyzer printed and how it ended.
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// The built binary with these arguments, without the user's own settings.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_analyzer"));
    command.args(args);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FAULTLINE_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the analyzer to its end.
pub fn analyzer(args: &[&str]) -> Ran {
    ran(&command(args).output().unwrap())
}

pub fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code().unwrap() }
}

/// A folder of databases.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// A database of these measurements, which may belong to any run of [`run_id`].
    pub fn database(&self, name: &str, measurements: &[Measurement]) -> String {
        let path = self.path(name);
        store(Path::new(&path), measurements);
        path
    }

    /// A file that is not ours.
    pub fn foreign(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, "certainly no database".repeat(100)).unwrap();
        path
    }
}

fn store(path: &Path, measurements: &[Measurement]) {
    let mut database = Database::open_or_create(&PathBuf::from(path)).unwrap();
    let runs: std::collections::BTreeSet<RunId> = measurements.iter().map(|measurement| measurement.run).collect();
    for &id in &runs {
        database.insert_run(&run(id)).unwrap();
        for (number, offset_ms) in [(0, 0.0), (1, 30_000.0)] {
            database.insert_health(&check(id, number, offset_ms)).unwrap();
        }
    }
    measurements.iter().try_for_each(|measurement| database.insert_measurement(measurement)).unwrap();
    for &id in &runs {
        let summary = RunSummary {
            end: RunEnd::Completed,
            duration_ms: 31_000.0,
            measured: 3,
            not_run: 0,
            connections: 9,
            bytes_sent: 1,
            bytes_received: 2,
        };
        database.finish_run(id, &summary).unwrap();
    }
}

pub fn run_id(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

/// Ids that differ in their last byte only: all but the whole of one is ambiguous.
pub fn id(number: u8) -> MeasurementId {
    let mut bytes = [0x22; 16];
    bytes[15] = number;
    MeasurementId::from_bytes(bytes)
}

fn run(id: RunId) -> Run {
    Run {
        id,
        started_at: Timestamp::from_millisecond(1_795_341_600_000),
        software_name: "faultline-probe".into(),
        software_version: "0.1.0".into(),
        platform: "linux x86_64".into(),
        lists_sha256: sha256(b"lists"),
        plan_sha256: sha256(b"plan"),
        consent: "option".into(),
        planned: 3,
        left_out: 0,
        tls_fingerprint: "rustls".into(),
    }
}

/// A vantage at which everything works.
fn check(run: RunId, number: u8, offset_ms: f64) -> HealthCheck {
    use SignalKind::{ControlByAddress, ControlByName, Link, Resolver, Route};
    let mut key = *run.as_bytes();
    key[15] = 0xc0 + number;
    let signal = |(kind, provider): &(SignalKind, &str)| HealthSignal {
        kind: *kind,
        name: format!("control/{provider}"),
        provider: Some((*provider).into()),
        family: None,
        address: None,
        outcome: Outcome::Ok,
        value: None,
        duration_ms: 50.0,
        detail: None,
    };
    let kinds =
        [(Link, "eth0"), (Route, "eth0"), (ControlByName, "iana"), (ControlByAddress, "quad9"), (Resolver, "system")];
    HealthCheck {
        id: HealthCheckId::from_bytes(key),
        run,
        reason: HealthReason::During,
        offset_ms,
        duration_ms: 500.0,
        signals: kinds.iter().map(signal).collect(),
    }
}

/// A measurement without rows, in the middle of run 1.
pub fn bare(number: u8, name: &str, input: &str) -> Measurement {
    Measurement {
        id: id(number),
        run: run_id(1),
        target: Target {
            input: input.into(),
            name: name.into(),
            endpoint: Endpoint::parse(input).unwrap(),
            category: Some("NEWS".into()),
            list: Some("pk.csv".into()),
            availability: Availability::Unknown,
            private_ca: false,
        },
        started_at: Timestamp::from_millisecond(1_795_341_605_000 + i64::from(number)),
        offset_ms: 5_000.0 + f64::from(number),
        duration_ms: 1_000.0,
        network: Network {
            asn: Some(17557),
            as_name: Some("Example Telecom".into()),
            country: Some("PK".into()),
            kind: NetworkKind::Mobile,
        },
        observations: Vec::new(),
    }
}

fn push(measurement: &mut Measurement, purpose: Purpose, outcome: Outcome, data: StepData) {
    let is_dns = matches!(data, StepData::Dns(_));
    let rows = &measurement.observations;
    let seq = u32::try_from(rows.len()).unwrap() + 1;
    let opened = rows.iter().filter(|row| row.data == StepData::Tcp).count() + usize::from(data == StepData::Tcp);
    measurement.observations.push(Observation {
        seq,
        hop: 0,
        purpose,
        connection: (!is_dns).then_some(u32::try_from(opened).unwrap()),
        t0_ms: 40.0,
        t_ms: 61.0,
        outcome,
        detail: None,
        address: (!is_dns).then(|| ADDRESS.parse().unwrap()),
        port: (!is_dns).then_some(443),
        ttl: None,
        data,
    });
}

fn resolved(measurement: &mut Measurement) {
    let record = DnsRecord::Address(ADDRESS.parse().unwrap());
    let dns = Dns {
        engine: Engine::System,
        resolver: "system".into(),
        hostname: "x.com".into(),
        query_type: QueryType::A,
        rcode: Some(0),
        answers: vec![DnsAnswer {
            reply: 0,
            rcode: Some(0),
            after_ms: 10,
            ttl: Some(60),
            opt: None,
            case_kept: None,
            record,
        }],
        replies: 1,
    };
    push(measurement, Purpose::Main, Outcome::Ok, StepData::Dns(dns));
}

fn handshake(measurement: &mut Measurement, purpose: Purpose, sni: &str, outcome: Outcome) {
    push(measurement, purpose, Outcome::Ok, StepData::Tcp);
    let tls = Tls {
        sni: Some(sni.into()),
        bytes_received: if outcome.is_ok() { 3_000 } else { 0 },
        first_bytes: outcome.is_ok().then_some(faultline_record::FirstBytes::Handshake),
        ..Tls::default()
    };
    push(measurement, purpose, outcome, StepData::Tls(tls));
}

/// The site answers over a certificate that is valid for its name.
pub fn reachable(number: u8, name: &str) -> Measurement {
    let mut measurement = bare(number, name, "https://x.com/");
    resolved(&mut measurement);
    handshake(&mut measurement, Purpose::Main, "x.com", Outcome::Ok);
    let http = Http { url: "https://x.com/".into(), status: Some(200), ..Http::default() };
    push(&mut measurement, Purpose::Main, Outcome::Ok, StepData::Http(http));
    measurement
}

/// A page that came in the clear, with these headers.
pub fn page_in_the_clear(number: u8, url: &str, body: &str, headers: &[(&str, &str)]) -> Measurement {
    let mut measurement = bare(number, url, url);
    resolved(&mut measurement);
    push(&mut measurement, Purpose::Main, Outcome::Ok, StepData::Tcp);
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (url, body_length) = (url.to_owned(), body.len() as u64);
    let http =
        Http { url, status: Some(200), headers, body: Some(body.as_bytes().into()), body_length, ..Http::default() };
    push(&mut measurement, Purpose::Main, Outcome::Ok, StepData::Http(http));
    measurement
}

/// The own name is reset three times of three, and an innocent one answered as often; row 3 is the first reset.
pub fn blocked(number: u8, name: &str) -> Measurement {
    let mut measurement = bare(number, name, "https://x.com/");
    resolved(&mut measurement);
    let reset = Outcome::Failed(Failure::ConnectionReset);
    handshake(&mut measurement, Purpose::Main, "x.com", reset);
    push(
        &mut measurement,
        Purpose::Main,
        Outcome::NotRun(NotRun::PreviousStepFailed),
        StepData::Http(Http { url: "https://x.com/".into(), ..Http::default() }),
    );
    for _ in 0..3 {
        handshake(&mut measurement, Purpose::InnocentSni, "example.com", Outcome::Ok);
        handshake(&mut measurement, Purpose::Retry, "x.com", reset);
    }
    measurement
}

/// The one address does not answer, at a time when nobody looked at the vantage.
pub fn unproven(number: u8, name: &str) -> Measurement {
    let mut measurement = bare(number, name, "https://x.com/");
    measurement.offset_ms = 200_000.0;
    resolved(&mut measurement);
    push(&mut measurement, Purpose::Main, Outcome::Failed(Failure::GenericTimeoutError), StepData::Tcp);
    measurement
}

/// The one address does not answer, though the vantage works.
pub fn silent(number: u8, name: &str) -> Measurement {
    Measurement { offset_ms: 6_000.0 + f64::from(number), ..unproven(number, name) }
}

/// The server of a provider of tunnels, at this address: it answers, or it answers behind noise only, as where somebody filters
/// first messages.
pub fn tunnel(number: u8, name: &str, protocol: VpnProtocol, host: &str, passes: bool) -> Measurement {
    let mut measurement = bare(number, name, &format!("{protocol}://{host}:1194"));
    let silent = Outcome::Failed(Failure::GenericTimeoutError);
    let plain = if passes { Outcome::Ok } else { silent };
    let mut exchange = |purpose: Purpose, outcome: Outcome| {
        let answer = outcome.is_ok().then_some(VpnAnswer::ServerReset);
        let data =
            StepData::Vpn(Vpn { bytes_received: 26 * u64::from(outcome.is_ok()), answer, ..Vpn::planned(protocol) });
        push(&mut measurement, purpose, outcome, data);
        if let Some(row) = measurement.observations.last_mut() {
            (row.address, row.port) = (host.parse().ok(), Some(1194));
        }
    };
    exchange(Purpose::Main, plain);
    for _ in 0..if passes { 0 } else { 2 } {
        exchange(Purpose::JunkFirst, Outcome::Ok);
        exchange(Purpose::Retry, plain);
    }
    measurement
}

/// The same measurement of a network with this number.
pub fn at_network(asn: u32, measurement: Measurement) -> Measurement {
    let network = Network { asn: Some(asn), as_name: None, ..measurement.network.clone() };
    Measurement { network, ..measurement }
}
