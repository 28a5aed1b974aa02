//! OONI's measurements (df-000 and the formats that it names), as rows of ours.
//!
//! Facts only: what OONI's tests say of their own (`blocking`, `accessible`, ...) is not taken over; verdicts are computed from the
//! rows, as for our own. What is odd is counted and listed. Reads one measurement at a time, from its text; knows no file.

mod clock;
mod control;
mod envelope;
mod export;
pub(crate) mod failures;
mod flow;
mod kinds;
mod lines;
mod part;
mod reader;
mod relays;
mod resolvers;
mod rows;
mod service;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::database::Import;
use crate::foreign::{Oddities, Read, Refusal, json, oddities};
use crate::model::{Endpoint, HealthCheck, HealthCheckId, HealthReason, HealthSignal, Measurement, SignalKind, sha256};

use envelope::Envelope;
pub use export::write;
use json::Json;
pub use kinds::TESTS;
use part::Part;

/// Addresses that must have taken a connection before they prove the network, where nobody proved who he is: as many as the gate
/// wants operators.
const ADDRESSES: usize = 2;

/// Reads the text of one measurement.
pub fn read(text: &[u8]) -> Result<Read, Refusal> {
    let mut oddities = Oddities::default();
    let text = text.trim_ascii();
    let lossy = String::from_utf8_lossy(text);
    if matches!(lossy, Cow::Owned(_)) {
        oddities.note("text that is not UTF-8", "replaced");
    }
    let mended;
    let json = match serde_json::from_str::<Json<'_>>(&lossy) {
        Ok(json) => json,
        Err(error) => {
            mended = json::without_lone_surrogates(&lossy);
            oddities.note("half of a surrogate pair", "replaced");
            serde_json::from_str(&mended).map_err(|_| Refusal(format!("no JSON: {error}")))?
        }
    };
    // OONI's "postcans" wrap a measurement as `{"format": "json", "content": {...}}`.
    let inner = json.get("content");
    let json = if inner.get("test_name").is_null() { &json } else { inner };
    if !matches!(json, Json::Object(_)) {
        return Err(Refusal(format!("{} is no measurement", json.kind())));
    }
    let envelope = Envelope::read(json, sha256(text), &mut oddities).map_err(Refusal)?;
    let keys = json.get("test_keys");
    let (parts, mut signals) = kinds::parts(&envelope, keys, &mut oddities);
    signals.extend(clock::signals(&envelope, &parts));
    let may_be_kept = !json.get("probe_ip").word().is_some_and(is_of_a_vantage);
    Ok(Read { import: import(&envelope, parts, signals), oddities, may_be_kept })
}

fn import(envelope: &Envelope, parts: Vec<Part>, signals: Vec<HealthSignal>) -> Import {
    let end_ms = parts.iter().flat_map(|part| &part.rows).map(|row| row.t_ms).fold(envelope.runtime_ms, f64::max);
    let is_about_names = parts.iter().all(|part| matches!(part.target.endpoint, Endpoint::Dns { .. }));
    let check = (is_proof(&signals) || is_about_names && !signals.is_empty()).then(|| HealthCheck {
        id: HealthCheckId::from_bytes(envelope.id("check")),
        run: envelope.run.id,
        reason: HealthReason::Import,
        offset_ms: envelope.offset_ms,
        duration_ms: end_ms,
        signals,
    });
    let mut taken = BTreeSet::new();
    let mut measurement = |part: Part| {
        let mut key = part.target.input.clone();
        while !taken.insert(key.clone()) {
            key.push('+');
        }
        Measurement {
            id: envelope.id_of(&key),
            run: envelope.run.id,
            target: part.target,
            started_at: envelope.started_at,
            offset_ms: envelope.offset_ms,
            duration_ms: end_ms,
            network: envelope.network.clone(),
            observations: part.rows,
        }
    };
    let measurements = parts.into_iter().map(&mut measurement).collect();
    Import { run: envelope.run.clone(), check, measurements, origin: envelope.origin.clone(), raw: None }
}

/// Whether an address is one of a vantage's: the oldest tests told it where the user agreed, later ones write loopback's.
fn is_of_a_vantage(text: &str) -> bool {
    text.parse().is_ok_and(|ip: IpAddr| !ip.is_loopback() && !ip.is_unspecified())
}

/// Whether what answered is worth a check: somebody proved who he is, or several addresses took connections.
fn is_proof(signals: &[HealthSignal]) -> bool {
    let of = |kind| signals.iter().filter(move |signal| signal.kind == kind);
    of(SignalKind::ControlByName).next().is_some() || of(SignalKind::ControlByAddress).count() >= ADDRESSES
}
