//! From rows to the model: one function a table, each reading the columns in the order of `tables`.

use std::net::IpAddr;
use std::path::Path;

use rusqlite::Row;

use crate::cells::Cells;
use crate::error::RecordError;
use crate::failure::Failure;
use crate::insert::operation_name;
use crate::model::{
    Availability, Certificate, Dns, DnsAnswer, DnsRecord, Endpoint, Engine, Family, FirstBytes, HealthCheck,
    HealthCheckId, HealthReason, HealthSignal, Http, Measurement, MeasurementId, Network, NetworkKind, NotRun,
    Observation, Origin, Outcome, PaceMark, Purpose, QueryType, Run, RunEnd, RunId, RunSummary, SignalKind, Step,
    StepData, Target, Timestamp, Tls, Vpn, VpnAnswer, VpnKey, VpnProof, VpnProtocol, arrivals_of,
};
use crate::tables;

type Read<T> = Result<T, RecordError>;

pub(crate) fn run(file: &Path, row: &Row<'_>) -> Read<Run> {
    let mut cells = Cells::new(file, &tables::RUNS, row);
    Ok(Run {
        id: RunId::from_bytes(cells.read()?),
        started_at: Timestamp::from_millisecond(cells.read()?),
        software_name: cells.read()?,
        software_version: cells.read()?,
        platform: cells.read()?,
        lists_sha256: cells.read()?,
        plan_sha256: cells.read()?,
        consent: cells.read()?,
        planned: cells.read()?,
        left_out: cells.read()?,
        tls_fingerprint: cells.read()?,
    })
}

pub(crate) fn run_end(file: &Path, row: &Row<'_>) -> Read<RunSummary> {
    let mut cells = Cells::new(file, &tables::RUN_ENDS, row);
    cells.skip(1);
    Ok(RunSummary {
        end: cells.parse(RunEnd::from_name)?,
        duration_ms: cells.milliseconds()?,
        measured: cells.read()?,
        not_run: cells.read()?,
        connections: cells.count()?,
        bytes_sent: cells.count()?,
        bytes_received: cells.count()?,
    })
}

pub(crate) fn pace_mark(file: &Path, row: &Row<'_>) -> Read<PaceMark> {
    let mut cells = Cells::new(file, &tables::PACE_MARKS, row);
    cells.skip(1);
    Ok(PaceMark { from_ms: cells.milliseconds()?, to_ms: cells.milliseconds()?, rate: cells.milliseconds()? })
}

/// A check without its signals.
pub(crate) fn health_check(file: &Path, row: &Row<'_>) -> Read<HealthCheck> {
    let mut cells = Cells::new(file, &tables::HEALTH_CHECKS, row);
    Ok(HealthCheck {
        id: HealthCheckId::from_bytes(cells.read()?),
        run: RunId::from_bytes(cells.read()?),
        reason: cells.parse(HealthReason::from_name)?,
        offset_ms: cells.milliseconds()?,
        duration_ms: cells.milliseconds()?,
        signals: Vec::new(),
    })
}

pub(crate) fn health_signal(file: &Path, row: &Row<'_>) -> Read<HealthSignal> {
    let mut cells = Cells::new(file, &tables::HEALTH_SIGNALS, row);
    cells.skip(1);
    cells.position()?;
    Ok(HealthSignal {
        kind: cells.parse(SignalKind::from_name)?,
        name: cells.read()?,
        provider: cells.read()?,
        family: cells.parse_or_null(Family::from_name)?,
        address: cells.parse_or_null(address)?,
        outcome: outcome(&mut cells)?,
        value: cells.read()?,
        duration_ms: cells.milliseconds()?,
        detail: cells.read()?,
    })
}

/// Key of a target or of a network.
type ContentKey = [u8; 16];

/// A measurement without its observations; what it refers to is fetched by its keys.
pub(crate) fn measurement(
    file: &Path,
    row: &Row<'_>,
    fetch: impl FnOnce(ContentKey, ContentKey) -> Read<(Target, Network)>,
) -> Read<Measurement> {
    let mut cells = Cells::new(file, &tables::MEASUREMENTS, row);
    let (id, run) = (MeasurementId::from_bytes(cells.read()?), RunId::from_bytes(cells.read()?));
    let (target, network) = (cells.read()?, cells.read()?);
    let started_at = Timestamp::from_millisecond(cells.read()?);
    let (offset_ms, duration_ms) = (cells.milliseconds()?, cells.milliseconds()?);
    let (target, network) = fetch(target, network)?;
    Ok(Measurement { id, run, target, started_at, offset_ms, duration_ms, network, observations: Vec::new() })
}

pub(crate) fn origin(file: &Path, row: &Row<'_>) -> Read<Origin> {
    let mut cells = Cells::new(file, &tables::ORIGINS, row);
    cells.skip(1);
    Ok(Origin {
        format: cells.read()?,
        test_name: cells.read()?,
        test_version: cells.read()?,
        report: cells.read()?,
        uid: cells.read()?,
        sha256: cells.read()?,
    })
}

pub(crate) fn target(file: &Path, row: &Row<'_>) -> Read<Target> {
    let mut cells = Cells::new(file, &tables::TARGETS, row);
    cells.skip(1);
    Ok(Target {
        input: cells.read()?,
        name: cells.read()?,
        endpoint: cells.parse(|text| Endpoint::parse_stored(text).ok())?,
        category: cells.read()?,
        list: cells.read()?,
        availability: cells.parse(Availability::from_name)?,
        private_ca: cells.flag()?,
    })
}

pub(crate) fn network(file: &Path, row: &Row<'_>) -> Read<Network> {
    let mut cells = Cells::new(file, &tables::NETWORKS, row);
    cells.skip(1);
    Ok(Network {
        asn: cells.read()?,
        as_name: cells.read()?,
        country: cells.read()?,
        kind: cells.parse(NetworkKind::from_name)?,
    })
}

/// A body's key, where the observation has one.
pub(crate) type BodyKey = Option<[u8; 32]>;

/// An observation without its answers, chain and body.
pub(crate) fn observation(file: &Path, row: &Row<'_>) -> Read<(Observation, BodyKey)> {
    let mut cells = Cells::new(file, &tables::OBSERVATIONS, row);
    cells.skip(1);
    let (seq, hop, purpose) = (cells.position()?, cells.read()?, cells.parse(Purpose::from_name)?);
    let step = cells.parse(Step::from_name)?;
    cells.parse(|operation| (operation == operation_name(step)).then_some(()))?;
    let mut seen = Observation {
        seq,
        hop,
        purpose,
        connection: cells.read()?,
        t0_ms: cells.milliseconds()?,
        t_ms: cells.milliseconds()?,
        outcome: outcome(&mut cells)?,
        detail: cells.read()?,
        address: cells.parse_or_null(address)?,
        port: cells.read()?,
        ttl: None,
        data: StepData::Tcp,
    };
    let (data, body) = step_data(&mut cells, step)?;
    seen.data = data;
    // The last columns, behind those of the first steps.
    let mut last = Cells::new(file, &tables::OBSERVATIONS, row);
    last.skip(tables::TTL_COLUMN);
    seen.ttl = last.read()?;
    if step == Step::Vpn {
        seen.data = StepData::Vpn(Vpn {
            protocol: last.parse(VpnProtocol::from_name)?,
            bytes_received: last.count()?,
            answer: last.parse_or_null(VpnAnswer::from_name)?,
            proof: last.parse_or_null(VpnProof::from_name)?,
            key: last.parse_or_null(VpnKey::from_name)?,
        });
    }
    if let StepData::Http(http) = &mut seen.data {
        let mut last = Cells::new(file, &tables::OBSERVATIONS, row);
        last.skip(tables::TITLE_COLUMN);
        http.title = last.read()?;
        http.head_ms = last.read()?;
        http.arrivals = last.parse_or_null(arrivals_of)?.unwrap_or_default();
    }
    Ok((seen, body))
}

fn step_data(cells: &mut Cells<'_>, step: Step) -> Read<(StepData, BodyKey)> {
    match step {
        Step::Dns => Ok((StepData::Dns(dns(cells)?), None)),
        // A tunnel's columns are read by who calls: they come last.
        Step::Tcp | Step::Vpn => Ok((StepData::Tcp, None)),
        Step::Tls => {
            cells.skip(tables::DNS_COLUMNS);
            Ok((StepData::Tls(tls(cells)?), None))
        }
        Step::Quic => {
            cells.skip(tables::DNS_COLUMNS);
            Ok((StepData::Quic(tls(cells)?), None))
        }
        Step::Http => {
            cells.skip(tables::DNS_COLUMNS + tables::TLS_COLUMNS);
            let (http, body) = http(cells)?;
            Ok((StepData::Http(http), body))
        }
    }
}

fn dns(cells: &mut Cells<'_>) -> Read<Dns> {
    Ok(Dns {
        engine: cells.parse(Engine::from_name)?,
        resolver: cells.read()?,
        hostname: cells.read()?,
        query_type: cells.parse(QueryType::from_name)?,
        rcode: cells.read()?,
        replies: cells.read()?,
        answers: Vec::new(),
    })
}

fn tls(cells: &mut Cells<'_>) -> Read<Tls> {
    Ok(Tls {
        sni: cells.read()?,
        version: cells.read()?,
        cipher_suite: cells.read()?,
        alpn: cells.read()?,
        bytes_received: cells.count()?,
        first_bytes: cells.parse_or_null(FirstBytes::from_name)?,
        chain: Vec::new(),
    })
}

fn http(cells: &mut Cells<'_>) -> Read<(Http, BodyKey)> {
    let (url, protocol, status) = (cells.read()?, cells.read()?, cells.read()?);
    let headers = cells.parse(|text| serde_json::from_str(text).ok())?;
    let body = cells.read()?;
    let (body_length, body_truncated) = (cells.count()?, cells.flag()?);
    // Its title, and when it came, stand in the last columns.
    Ok((Http { url, protocol, status, headers, body_length, body_truncated, ..Http::default() }, body))
}

/// Which observation an answer or a certificate belongs to.
pub(crate) type Seq = u32;

pub(crate) fn dns_answer(file: &Path, row: &Row<'_>) -> Read<(Seq, DnsAnswer)> {
    let mut cells = Cells::new(file, &tables::DNS_ANSWERS, row);
    cells.skip(1);
    let seq = cells.position()?;
    cells.position()?;
    let (reply, rcode, after_ms, ttl) = (cells.read()?, cells.read()?, cells.read()?, cells.read()?);
    let address = cells.parse_or_null(address)?;
    let cname: Option<String> = cells.read()?;
    let record = match (address, cname) {
        (Some(address), None) => DnsRecord::Address(address),
        (None, Some(name)) => DnsRecord::Cname(name),
        (None, None) => DnsRecord::Empty,
        (Some(_), Some(_)) => return Err(cells.bad()),
    };
    let (opt, case_kept) = (cells.read()?, cells.read()?);
    Ok((seq, DnsAnswer { reply, rcode, after_ms, ttl, opt, case_kept, record }))
}

/// Which certificate stands where in whose chain.
pub(crate) fn chain_link(file: &Path, row: &Row<'_>) -> Read<(Seq, [u8; 32])> {
    let mut cells = Cells::new(file, &tables::TLS_CHAINS, row);
    cells.skip(1);
    let seq = cells.position()?;
    cells.position()?;
    Ok((seq, cells.read()?))
}

pub(crate) fn certificate(file: &Path, row: &Row<'_>) -> Read<Certificate> {
    let mut cells = Cells::new(file, &tables::CERTIFICATES, row);
    Ok(Certificate {
        sha256: cells.read()?,
        der: cells.read()?,
        subject: cells.read()?,
        issuer: cells.read()?,
        not_before: cells.read()?,
        not_after: cells.read()?,
    })
}

fn outcome(cells: &mut Cells<'_>) -> Read<Outcome> {
    let failure = cells.parse_or_null(Failure::from_name)?;
    let not_run = cells.parse_or_null(NotRun::from_name)?;
    match (failure, not_run) {
        (None, None) => Ok(Outcome::Ok),
        (Some(failure), None) => Ok(Outcome::Failed(failure)),
        (None, Some(reason)) => Ok(Outcome::NotRun(reason)),
        (Some(_), Some(_)) => Err(cells.bad()),
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}
