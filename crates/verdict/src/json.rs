//! The JSON object of one measurement (design, section 6): the same from the probe and from the analyzer.

use faultline_record::{DnsRecord, Observation, StepData, Witnessed, hex};
use serde_json::{Map, Value, json};

use crate::line::{Line, tenths};
use crate::verdict::Verdict;

/// `faultline/measurement/1`: a measurement with its verdict, its vantage and everything it saw.
pub fn measurement_json(witnessed: &Witnessed, verdict: &Verdict) -> Value {
    let mut object = json!(Line::of("faultline/measurement/1", witnessed, verdict));
    let rows: Vec<Value> = witnessed.measurement.observations.iter().map(observation_json).collect();
    object["observations"] = rows.into();
    object
}

/// `faultline/verdict/1`: the same without the rows.
pub fn verdict_json(witnessed: &Witnessed, verdict: &Verdict) -> Value {
    json!(Line::of(VERDICT, witnessed, verdict))
}

/// The text of [`verdict_json`], byte for byte.
pub fn verdict_line(witnessed: &Witnessed, verdict: &Verdict) -> String {
    // Neither a map's key nor a number of it can fail to be written.
    serde_json::to_string(&Line::of(VERDICT, witnessed, verdict)).unwrap_or_default()
}

const VERDICT: &str = "faultline/verdict/1";

fn observation_json(row: &Observation) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        object.insert(key.to_owned(), value);
    };
    put("seq", row.seq.into());
    put("step", row.step().name().into());
    put("purpose", row.purpose.name().into());
    put("hop", row.hop.into());
    put("connection", row.connection.into());
    put("address", row.address.map(|address| address.to_string()).into());
    put("port", row.port.into());
    put("ttl", row.ttl.into());
    put("t0_ms", tenths(row.t0_ms).into());
    put("t_ms", tenths(row.t_ms).into());
    put("failure", row.outcome.failure().map(|failure| failure.name()).into());
    put("not_run", row.outcome.not_run().map(|reason| reason.name()).into());
    put("detail", row.detail.clone().into());
    for (key, value) in data_json(&row.data) {
        put(key, value);
    }
    object.retain(|key, value| !value.is_null() || key == "failure");
    Value::Object(object)
}

fn data_json(data: &StepData) -> Vec<(&'static str, Value)> {
    match data {
        StepData::Tcp => Vec::new(),
        StepData::Dns(dns) => vec![
            ("engine", dns.engine.name().into()),
            ("resolver", dns.resolver.clone().into()),
            ("hostname", dns.hostname.clone().into()),
            ("query_type", dns.query_type.name().into()),
            ("rcode", dns.rcode.into()),
            ("replies", dns.replies.into()),
            ("answers", dns.answers.iter().map(answer_json).collect::<Vec<_>>().into()),
        ],
        StepData::Tls(tls) | StepData::Quic(tls) => vec![
            ("sni", tls.sni.clone().into()),
            ("tls_version", tls.version.clone().into()),
            ("cipher_suite", tls.cipher_suite.clone().into()),
            ("alpn", tls.alpn.clone().into()),
            ("bytes_received", tls.bytes_received.into()),
            ("first_bytes", tls.first_bytes.map(|first| first.name()).into()),
            ("chain", tls.chain.iter().map(|certificate| certificate_json(certificate)).collect::<Vec<_>>().into()),
        ],
        StepData::Vpn(vpn) => vec![
            ("protocol", vpn.protocol.name().into()),
            ("bytes_received", vpn.bytes_received.into()),
            ("answer", vpn.answer.map(|answer| answer.name()).into()),
            ("proof", vpn.proof.map(|proof| proof.name()).into()),
            ("key", vpn.key.map(|key| key.name()).into()),
        ],
        StepData::Http(http) => vec![
            ("url", http.url.clone().into()),
            ("protocol", http.protocol.clone().into()),
            ("status", http.status.into()),
            ("headers", json!(http.headers)),
            ("body_length", http.body_length.into()),
            ("body_truncated", http.body_truncated.into()),
            ("title", http.title.clone().into()),
            ("head_ms", http.head_ms.into()),
            ("arrivals", arrivals_json(http)),
        ],
    }
}

/// Pairs of milliseconds and bytes, as they are stored.
fn arrivals_json(http: &faultline_record::Http) -> Value {
    let pairs: Vec<(u32, u64)> = http.arrivals.iter().map(|arrival| (arrival.ms, arrival.bytes)).collect();
    if pairs.is_empty() { Value::Null } else { json!(pairs) }
}

fn answer_json(answer: &faultline_record::DnsAnswer) -> Value {
    let record = match &answer.record {
        DnsRecord::Address(address) => json!({"address": address}),
        DnsRecord::Cname(name) => json!({"cname": name}),
        DnsRecord::Empty => json!({}),
    };
    let mut object = json!({"reply": answer.reply, "after_ms": answer.after_ms, "ttl": answer.ttl, "rcode": answer.rcode,
            "opt": answer.opt, "case_kept": answer.case_kept});
    if let (Value::Object(object), Value::Object(record)) = (&mut object, record) {
        object.extend(record);
    }
    object
}

fn certificate_json(certificate: &faultline_record::Certificate) -> Value {
    json!({"sha256": hex(&certificate.sha256), "subject": certificate.subject, "issuer": certificate.issuer})
}
