//! What a scan's name tells, its times, and the run and origin of a measurement.

use std::net::IpAddr;

use jiff::civil::DateTime;

use crate::database::Import;
use crate::foreign::json::Json;
use crate::foreign::{Oddities, stable_id};
use crate::model::{
    Endpoint, HealthCheck, HealthCheckId, HealthReason, HealthSignal, Measurement, MeasurementId, Network, NetworkKind,
    Observation, Origin, Run, RunId, Target, Timestamp, hex, sha256,
};

/// Where an object stood, and its hash.
pub(super) struct Scan<'p> {
    /// The scan's name; empty if no part of the path is one.
    pub(super) name: &'p str,
    pub(super) sha256: [u8; 32],
}

/// Who was asked, and for what.
pub(super) struct Subject<'s> {
    /// The test's name: `quack`, `hyperquack`, `satellite`.
    pub(super) test: &'static str,
    /// Its version.
    pub(super) version: &'static str,
    /// The server inside the network.
    pub(super) server: IpAddr,
    pub(super) network: Network,
    /// As the data write it.
    pub(super) input: &'s str,
    pub(super) endpoint: Endpoint,
}

impl Scan<'_> {
    /// The time in the scan's name (`-YYYY-MM-DD-HH-MM-SS` at its end), milliseconds since the epoch.
    pub(super) fn begun(&self) -> Option<i64> {
        let from = self.name.len().checked_sub("YYYY-MM-DD-HH-MM-SS".len())?;
        let stamp = self.name.get(from..)?;
        let text: String =
            stamp.char_indices().map(|(place, c)| if place == 10 { 'T' } else { colon(place, c) }).collect();
        utc(&text)
    }

    /// Brings the parts together. Times of rows are milliseconds since `started_at`.
    pub(super) fn import(
        &self,
        subject: Subject<'_>,
        started_at: i64,
        rows: Vec<Observation>,
        signals: Vec<HealthSignal>,
    ) -> Import {
        let Subject { test, version, server, network, input, endpoint } = subject;
        let begun = self.begun().filter(|&begun| begun <= started_at).unwrap_or(started_at);
        let duration_ms = rows.iter().map(|row| row.t_ms).fold(0.0, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one scan")]
        let offset_ms = (started_at - begun) as f64;
        // One run a server: what one server's checks prove says nothing of another's network.
        let run = RunId::from_bytes(stable_id(
            begun,
            &format!("censored-planet {} {begun} {server} {test} {version}", self.name),
        ));
        let id =
            |what: &str| stable_id(started_at, &format!("censored-planet {} {} {what}", self.name, hex(&self.sha256)));
        let check = (!signals.is_empty()).then(|| HealthCheck {
            id: HealthCheckId::from_bytes(id("check")),
            run,
            reason: HealthReason::Import,
            offset_ms,
            duration_ms,
            signals,
        });
        let measurement = Measurement {
            id: MeasurementId::from_bytes(id("measurement")),
            run,
            target: target(endpoint, input),
            started_at: Timestamp::from_millisecond(started_at),
            offset_ms,
            duration_ms,
            network,
            observations: rows,
        };
        let origin = Origin {
            format: "censored-planet".into(),
            test_name: test.into(),
            test_version: Some(version.into()),
            report: Some(self.name.to_owned()).filter(|name| !name.is_empty()),
            uid: None,
            sha256: self.sha256,
        };
        Import { run: run_of(run, begun, test, version), check, measurements: vec![measurement], origin, raw: None }
    }
}

fn colon(place: usize, c: char) -> char {
    if place > 10 && c == '-' { ':' } else { c }
}

fn target(endpoint: Endpoint, input: &str) -> Target {
    Target {
        // The server is not the name's: its certificate is for other names.
        private_ca: true,
        ..Target::new(endpoint, input)
    }
}

fn run_of(id: RunId, begun: i64, test: &str, version: &str) -> Run {
    Run {
        id,
        started_at: Timestamp::from_millisecond(begun),
        software_name: format!("censored-planet-{test}"),
        software_version: version.to_owned(),
        platform: "remote".into(),
        lists_sha256: sha256(b""),
        plan_sha256: sha256(b""),
        consent: "none: servers of operators were asked from outside".into(),
        planned: 0,
        left_out: 0,
        tls_fingerprint: "unknown".into(),
    }
}

/// The network of a server, as far as its location tells.
pub(super) fn network(json: &Json<'_>, odd: &mut Oddities) -> Network {
    let code = json.get("location").get("country_code").word().map(str::to_ascii_uppercase);
    let country = code.filter(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
    if country.is_none() {
        odd.note("country not known", json.get("location").get("country_name").text().unwrap_or("no location"));
    }
    Network { asn: None, as_name: None, country, kind: NetworkKind::Unknown }
}

/// A time as the data write it, milliseconds since the epoch: RFC 3339, or Go's `2021-03-05 15:32:05.324 -0500 EST m=+6.8`.
pub(super) fn time(value: &Json<'_>, odd: &mut Oddities) -> Option<i64> {
    let text = value.word()?;
    let parsed = text.parse::<jiff::Timestamp>().ok().map(|stamp| stamp.as_millisecond()).or_else(|| of_go(text));
    if parsed.is_none() {
        odd.note("no time", text);
    }
    parsed
}

fn of_go(text: &str) -> Option<i64> {
    let mut words = text.split_ascii_whitespace();
    let (day, clock, offset) = (words.next()?, words.next()?, words.next()?);
    let (hours, minutes) = (offset.get(..3)?, offset.get(3..)?);
    format!("{day}T{clock}{hours}:{minutes}").parse::<jiff::Timestamp>().ok().map(|stamp| stamp.as_millisecond())
}

fn utc(text: &str) -> Option<i64> {
    let civil: DateTime = text.parse().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_millisecond())
}
