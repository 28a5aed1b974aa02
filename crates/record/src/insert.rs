//! From the model to rows. No transaction is begun or ended here.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, Result, ToSql, params};

use crate::model::{
    Certificate, Dns, DnsAnswer, DnsRecord, HealthCheck, HealthSignal, Http, Measurement, MeasurementId, Network,
    Observation, Origin, Outcome, PaceMark, Run, RunId, RunSummary, Step, StepData, Target, Tls, Vpn, arrivals_text,
    sha256,
};
use crate::tables::{DNS_COLUMNS, HTTP_COLUMNS, INSERTS, TIMING_COLUMNS, TLS_COLUMNS, Table, VPN_COLUMNS};

/// A row in the making: values are bound in the order of the table's columns.
pub(crate) struct NewRow<'c> {
    statement: CachedStatement<'c>,
    bound: usize,
}

impl<'c> NewRow<'c> {
    pub(crate) fn of(connection: &'c Connection, insert: &str) -> Result<Self> {
        Ok(Self { statement: connection.prepare_cached(insert)?, bound: 0 })
    }

    pub(crate) fn put(&mut self, values: &[&dyn ToSql]) -> Result<()> {
        for value in values {
            self.bound += 1;
            self.statement.raw_bind_parameter(self.bound, value)?;
        }
        Ok(())
    }

    fn nulls(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.put(params![None::<i64>]))
    }

    pub(crate) fn store(self) -> Result<()> {
        self.store_new().map(drop)
    }

    /// The same, and whether the row was not there.
    pub(crate) fn store_new(mut self) -> Result<bool> {
        debug_assert_eq!(self.bound, self.statement.parameter_count());
        self.statement.raw_execute().map(|rows| rows > 0)
    }
}

/// SQLite's integers are signed: a count above 2^63 - 1 (8 EiB) is stored as that.
pub(crate) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Key of a row that is unique by its content.
pub(crate) fn content_key(content: &serde_json::Value) -> [u8; 16] {
    let digest = sha256(content.to_string().as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

pub(crate) fn run(connection: &Connection, run: &Run, format: i64) -> Result<()> {
    let mut row = NewRow::of(connection, &INSERTS.run)?;
    row.put(params![
        run.id.as_bytes(),
        run.started_at.as_millisecond(),
        run.software_name,
        run.software_version,
        run.platform,
        run.lists_sha256,
        run.plan_sha256,
        run.consent,
        run.planned,
        run.left_out,
        run.tls_fingerprint,
        format,
    ])?;
    row.store()
}

pub(crate) fn run_end(connection: &Connection, run: RunId, summary: &RunSummary) -> Result<()> {
    let mut row = NewRow::of(connection, &INSERTS.run_end)?;
    row.put(params![
        run.as_bytes(),
        summary.end.name(),
        summary.duration_ms,
        summary.measured,
        summary.not_run,
        count(summary.connections),
        count(summary.bytes_sent),
        count(summary.bytes_received),
    ])?;
    row.store()
}

pub(crate) fn pace_mark(connection: &Connection, run: RunId, mark: &PaceMark) -> Result<()> {
    let mut row = NewRow::of(connection, &INSERTS.pace_mark)?;
    row.put(params![run.as_bytes(), mark.from_ms, mark.to_ms, mark.rate])?;
    row.store()
}

pub(crate) fn health_check(connection: &Connection, check: &HealthCheck) -> Result<()> {
    let mut row = NewRow::of(connection, &INSERTS.health_check)?;
    row.put(params![
        check.id.as_bytes(),
        check.run.as_bytes(),
        check.reason.name(),
        check.offset_ms,
        check.duration_ms,
    ])?;
    row.store()?;
    (0_u32..).zip(&check.signals).try_for_each(|(position, signal)| health_signal(connection, check, position, signal))
}

fn health_signal(connection: &Connection, check: &HealthCheck, position: u32, signal: &HealthSignal) -> Result<()> {
    let mut row = NewRow::of(connection, &INSERTS.health_signal)?;
    row.put(params![
        check.id.as_bytes(),
        position,
        signal.kind.name(),
        signal.name,
        signal.provider,
        signal.family.map(|family| family.name()),
        signal.address.map(|address| address.to_string()),
        failure_name(signal.outcome),
        not_run_name(signal.outcome),
        signal.value,
        signal.duration_ms,
        signal.detail,
    ])?;
    row.store()
}

fn failure_name(outcome: Outcome) -> Option<&'static str> {
    outcome.failure().map(|failure| failure.name())
}

fn not_run_name(outcome: Outcome) -> Option<&'static str> {
    outcome.not_run().map(|reason| reason.name())
}

pub(crate) fn measurement(connection: &Connection, measurement: &Measurement) -> Result<()> {
    let target = target(connection, &measurement.target)?;
    let network = network(connection, &measurement.network)?;
    let mut row = NewRow::of(connection, &INSERTS.measurement)?;
    row.put(params![
        measurement.id.as_bytes(),
        measurement.run.as_bytes(),
        target,
        network,
        measurement.started_at.as_millisecond(),
        measurement.offset_ms,
        measurement.duration_ms,
    ])?;
    row.store()?;
    measurement.observations.iter().try_for_each(|seen| observation(connection, measurement.id, seen))
}

pub(crate) fn origin(connection: &Connection, id: MeasurementId, origin: &Origin) -> Result<()> {
    let Origin { format, test_name, test_version, report, uid, sha256 } = origin;
    let mut row = NewRow::of(connection, &INSERTS.origin)?;
    row.put(params![id.as_bytes(), format, test_name, test_version, report, uid, sha256])?;
    row.store()
}

/// Whether a row of that key is there.
pub(crate) fn has(connection: &Connection, table: &Table, key: &[u8; 16]) -> Result<bool> {
    let select = format!("SELECT 1 FROM {} WHERE {} = ?1", table.name, table.columns[0]);
    connection.prepare_cached(&select)?.exists([key])
}

fn network(connection: &Connection, network: &Network) -> Result<[u8; 16]> {
    let Network { asn, as_name, country, kind } = network;
    let key = content_key(&serde_json::json!([asn, as_name, country, kind.name()]));
    let mut row = NewRow::of(connection, &INSERTS.network)?;
    row.put(params![key, asn, as_name, country, kind.name()])?;
    row.store()?;
    Ok(key)
}

fn target(connection: &Connection, target: &Target) -> Result<[u8; 16]> {
    let Target { input, name, endpoint, category, list, availability, private_ca } = target;
    let (endpoint, availability, private_ca) = (endpoint.to_string(), availability.name(), i64::from(*private_ca));
    let key = content_key(&serde_json::json!([input, name, endpoint, category, list, availability, private_ca]));
    let mut row = NewRow::of(connection, &INSERTS.target)?;
    row.put(params![key, input, name, endpoint, category, list, availability, private_ca])?;
    row.store()?;
    Ok(key)
}

/// The operation that a step is, as rows name it.
pub(crate) fn operation_name(step: Step) -> &'static str {
    match step {
        Step::Dns => "resolve",
        Step::Tcp => "connect",
        Step::Tls => "handshake",
        Step::Http => "round_trip",
        Step::Quic => "quic_handshake",
        Step::Vpn => "first_message",
    }
}

fn observation(connection: &Connection, id: MeasurementId, seen: &Observation) -> Result<()> {
    let body = seen.http().and_then(|http| http.body.as_deref()).map(|bytes| body(connection, bytes)).transpose()?;
    let mut row = NewRow::of(connection, &INSERTS.observation)?;
    row.put(params![
        id.as_bytes(),
        seen.seq,
        seen.hop,
        seen.purpose.name(),
        seen.step().name(),
        operation_name(seen.step()),
        seen.connection,
        seen.t0_ms,
        seen.t_ms,
        failure_name(seen.outcome),
        not_run_name(seen.outcome),
        seen.detail,
        seen.address.map(|address| address.to_string()),
        seen.port,
    ])?;
    dns(&mut row, seen.dns())?;
    tls(&mut row, seen.tls().or(seen.quic()))?;
    http(&mut row, seen.http(), body)?;
    row.put(params![seen.ttl])?;
    vpn(&mut row, seen.vpn())?;
    row.put(params![seen.http().and_then(|http| http.title.as_deref())])?;
    timing(&mut row, seen.http())?;
    row.store()?;
    match &seen.data {
        StepData::Dns(dns) => dns_answers(connection, id, seen.seq, &dns.answers),
        StepData::Tls(tls) | StepData::Quic(tls) => chain(connection, id, seen.seq, &tls.chain),
        StepData::Tcp | StepData::Http(_) | StepData::Vpn(_) => Ok(()),
    }
}

fn dns(row: &mut NewRow<'_>, dns: Option<&Dns>) -> Result<()> {
    let Some(dns) = dns else { return row.nulls(DNS_COLUMNS) };
    row.put(params![dns.engine.name(), dns.resolver, dns.hostname, dns.query_type.name(), dns.rcode, dns.replies,])
}

fn tls(row: &mut NewRow<'_>, tls: Option<&Tls>) -> Result<()> {
    let Some(tls) = tls else { return row.nulls(TLS_COLUMNS) };
    row.put(params![
        tls.sni,
        tls.version,
        tls.cipher_suite,
        tls.alpn,
        count(tls.bytes_received),
        tls.first_bytes.map(|first| first.name()),
    ])
}

fn vpn(row: &mut NewRow<'_>, vpn: Option<&Vpn>) -> Result<()> {
    let Some(vpn) = vpn else { return row.nulls(VPN_COLUMNS) };
    row.put(params![
        vpn.protocol.name(),
        count(vpn.bytes_received),
        vpn.answer.map(|answer| answer.name()),
        vpn.proof.map(|proof| proof.name()),
        vpn.key.map(|key| key.name()),
    ])
}

fn http(row: &mut NewRow<'_>, http: Option<&Http>, body: Option<[u8; 32]>) -> Result<()> {
    let Some(http) = http else { return row.nulls(HTTP_COLUMNS) };
    row.put(params![
        http.url,
        http.protocol,
        http.status,
        serde_json::json!(http.headers).to_string(),
        body,
        count(http.body_length),
        http.body_truncated,
    ])
}

fn timing(row: &mut NewRow<'_>, http: Option<&Http>) -> Result<()> {
    let Some(http) = http else { return row.nulls(TIMING_COLUMNS) };
    row.put(params![http.head_ms, arrivals_text(&http.arrivals)])
}

fn body(connection: &Connection, bytes: &[u8]) -> Result<[u8; 32]> {
    let key = sha256(bytes);
    let mut row = NewRow::of(connection, &INSERTS.body)?;
    row.put(params![key, bytes])?;
    row.store()?;
    Ok(key)
}

fn dns_answers(connection: &Connection, id: MeasurementId, seq: u32, answers: &[DnsAnswer]) -> Result<()> {
    for (position, answer) in (0_u32..).zip(answers) {
        let (address, cname) = match &answer.record {
            DnsRecord::Address(address) => (Some(address.to_string()), None),
            DnsRecord::Cname(name) => (None, Some(name)),
            DnsRecord::Empty => (None, None),
        };
        let mut row = NewRow::of(connection, &INSERTS.dns_answer)?;
        row.put(params![id.as_bytes(), seq, position, answer.reply, answer.rcode, answer.after_ms, answer.ttl])?;
        row.put(params![address, cname, answer.opt, answer.case_kept])?;
        row.store()?;
    }
    Ok(())
}

fn chain(connection: &Connection, id: MeasurementId, seq: u32, chain: &[Arc<Certificate>]) -> Result<()> {
    for (position, link) in (0_u32..).zip(chain) {
        certificate(connection, link)?;
        let mut row = NewRow::of(connection, &INSERTS.tls_chain)?;
        row.put(params![id.as_bytes(), seq, position, link.sha256])?;
        row.store()?;
    }
    Ok(())
}

pub(crate) fn certificate(connection: &Connection, certificate: &Certificate) -> Result<()> {
    let Certificate { sha256, der, subject, issuer, not_before, not_after } = certificate;
    let mut row = NewRow::of(connection, &INSERTS.certificate)?;
    row.put(params![sha256, der, subject, issuer, not_before, not_after])?;
    row.store()
}
