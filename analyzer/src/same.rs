//! Whether a measurement is the same as one that was met: by all of its content, and not by its id, which anybody can copy to push
//! somebody else's out of the count.

use std::collections::HashMap;
use std::fmt::Write;

use faultline_record::{Http, MeasurementId, StepData, Tls, Witnessed, sha256};
use faultline_verdict::Submitter;

/// First half of a SHA-256.
type Content = [u8; 16];

/// Measurements that were met, each with the submitter whose file had it first.
#[derive(Debug, Default)]
pub struct Met(HashMap<(MeasurementId, Content), (Submitter, u8)>);

impl Met {
    /// Whether it counts for that submitter in the reading of that number: once, and for whoever had it first.
    pub fn counts(&mut self, witnessed: &Witnessed, submitter: Submitter, reading: u8) -> bool {
        let key = (witnessed.measurement.id, content(witnessed));
        let (owner, last) = self.0.entry(key).or_insert((submitter, 0));
        let is_new = *owner == submitter && *last < reading;
        if is_new {
            *last = reading;
        }
        is_new
    }
}

/// Everything that a verdict can rest on; certificates and bodies by their hashes.
fn content(witnessed: &Witnessed) -> Content {
    let mut text = String::with_capacity(4_096);
    let measurement = &witnessed.measurement;
    let head =
        (&measurement.run, &measurement.target, measurement.started_at, measurement.offset_ms, &measurement.network);
    let _ = write!(text, "{head:?}{:?}{:?}", measurement.duration_ms, witnessed.witness);
    for row in &measurement.observations {
        let place = (row.seq, row.hop, row.purpose, row.connection, row.t0_ms, row.t_ms, row.ttl);
        let _ = write!(text, "{place:?}{:?}{:?}{:?}", row.outcome, row.address, row.port);
        match &row.data {
            StepData::Tls(tls) | StepData::Quic(tls) => add_tls(&mut text, tls),
            StepData::Http(http) => add_http(&mut text, http),
            data => drop(write!(text, "{data:?}")),
        }
    }
    let hash = sha256(text.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

fn add_tls(text: &mut String, tls: &Tls) {
    let _ = write!(text, "{:?}", Tls { chain: Vec::new(), ..tls.clone() });
    for certificate in &tls.chain {
        let _ = write!(text, "{:?}", certificate.sha256);
    }
}

fn add_http(text: &mut String, http: &Http) {
    let body = http.body.as_deref().map(sha256);
    let _ = write!(text, "{:?}{body:?}", Http { body: None, ..http.clone() });
}
