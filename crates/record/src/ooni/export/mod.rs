//! Our measurements in OONI's data format (df-000), one object each.
//!
//! Facts only: `accessible` and `blocking` stay null. What OONI's tests never do (follow-ups) stands apart under `x_follow_ups`, so that nobody
//! takes an innocent name's handshake for the target's. Addresses and names of tunnels' servers are left out, and so is every key.

mod control;
mod rows;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::model::{
    Endpoint, Measurement, NetworkKind, Observation, Outcome, Purpose, Run, Step, Timestamp, VpnProtocol,
};

/// The version of what is written here, as `test_version`.
const VERSION: &str = "0.1.0";

/// One measurement as OONI's JSON. `began` is when it began, by a clock that is right. `None`: a test of another tool's, which has its own.
pub fn write(measurement: &Measurement, run: &Run, began: Timestamp) -> Option<Value> {
    let Body { test, input, keys } = body(measurement)?;
    let network = &measurement.network;
    Some(json!({
        "annotations": annotations(measurement, run),
        "data_format_version": "0.2.0",
        "extensions": {"dnst": 0, "httpt": 0, "netevents": 0, "tcpconnect": 0, "tlshandshake": 0},
        "id": measurement.id,
        "input": input,
        "measurement_start_time": time(began),
        "options": [],
        "probe_asn": format!("AS{}", network.asn.unwrap_or(0)),
        "probe_cc": network.country.as_deref().unwrap_or("ZZ"),
        "probe_ip": "127.0.0.1",
        "probe_network_name": network.as_name.as_deref().unwrap_or(""),
        "report_id": "",
        "resolver_asn": "AS0",
        "resolver_ip": "127.0.0.2",
        "resolver_network_name": "",
        "software_name": run.software_name,
        "software_version": run.software_version,
        "test_helpers": {},
        "test_name": test,
        "test_runtime": seconds(measurement.duration_ms),
        "test_start_time": time(began_of_run(measurement, began)),
        "test_version": VERSION,
        "test_keys": keys,
    }))
}

/// The run's start, by the same clock.
fn began_of_run(measurement: &Measurement, began: Timestamp) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of one run")]
    let offset = measurement.offset_ms as i64;
    Timestamp::from_millisecond(began.as_millisecond().saturating_sub(offset))
}

fn annotations(measurement: &Measurement, run: &Run) -> Value {
    let mut words = run.platform.split(' ');
    let kind = match measurement.network.kind {
        NetworkKind::Wired => "wired_ethernet",
        NetworkKind::Wifi => "wifi",
        NetworkKind::Mobile => "mobile",
        NetworkKind::Unknown => "unknown",
    };
    json!({"platform": words.next().unwrap_or(""), "architecture": words.next().unwrap_or(""), "network_type": kind,
           "faultline_run": run.id.to_string()})
}

/// `YYYY-MM-DD HH:MM:SS`, UTC.
fn time(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).unwrap_or(&text).replacen('T', " ", 1)
}

fn seconds(ms: f64) -> f64 {
    ms / 1_000.0
}

/// OONI's word for a failure: its own name, or `unknown_failure` with ours behind it.
fn failure(outcome: Outcome) -> Option<String> {
    outcome.failure().map(|failure| {
        let is_named = failure.is_ooni() && failure != Failure::UnknownFailure;
        if is_named { failure.name().to_owned() } else { format!("unknown_failure: {}", failure.name()) }
    })
}

struct Body {
    test: String,
    input: String,
    keys: Map<String, Value>,
}

/// The test that fits an endpoint, its input, and what it saw.
fn body(measurement: &Measurement) -> Option<Body> {
    let Measurement { target, observations: rows, .. } = measurement;
    let (host, port) = target.endpoint.host_and_port();
    let to = |scheme: &str| format!("{scheme}://{host}:{port}");
    let step = |input: String| Body { test: "urlgetter".into(), input, keys: urlgetter(rows) };
    Some(match &target.endpoint {
        Endpoint::Web(url) => {
            Body { test: "web_connectivity".into(), input: url.to_string(), keys: web_connectivity(measurement) }
        }
        Endpoint::Tls { .. } => step(to("tlshandshake")),
        Endpoint::Tcp { .. } => step(to("tcpconnect")),
        Endpoint::Quic { .. } => step(to("quichandshake")),
        Endpoint::Dns { name, .. } => step(format!("dnslookup://{name}")),
        Endpoint::Vpn { protocol, .. } => tunnel(measurement, *protocol),
        Endpoint::Foreign(_) => return None,
    })
}

/// What is of the target and of comparisons, as OONI's own tests make them.
fn is_as_oonis(row: &Observation) -> bool {
    matches!(row.purpose, Purpose::Main | Purpose::Retry | Purpose::Comparison | Purpose::HttpsCopy)
}

/// The lists of a test, and those of follow-ups apart.
fn lists(rows: &[Observation]) -> Map<String, Value> {
    let mut keys = rows::lists(rows.iter().filter(|row| is_as_oonis(row)));
    let further = rows.iter().filter(|row| !is_as_oonis(row) && row.purpose != Purpose::Helper);
    let further: Vec<&Observation> = further.collect();
    if !further.is_empty() {
        keys.insert("x_follow_ups".into(), Value::Object(rows::lists(further.into_iter())));
    }
    keys
}

fn main_failure(rows: &[Observation], step: Step) -> Option<String> {
    let mut main = rows.iter().filter(|row| row.purpose == Purpose::Main && row.step() == step);
    let is_ok = main.clone().any(|row| row.outcome.is_ok());
    if is_ok { None } else { main.find_map(|row| failure(row.outcome)) }
}

fn web_connectivity(measurement: &Measurement) -> Map<String, Value> {
    let rows = &measurement.observations;
    let mut keys = lists(rows);
    let (control, control_failure) = control::of(rows);
    let main = || rows.iter().filter(|row| row.purpose == Purpose::Main);
    let last = main().rfind(|row| row.outcome.not_run().is_none());
    keys.extend([
        ("accessible".into(), Value::Null),
        ("agent".into(), "redirect".into()),
        ("blocking".into(), Value::Null),
        ("client_resolver".into(), Value::Null),
        ("control".into(), control),
        ("control_failure".into(), json!(control_failure)),
        ("dns_experiment_failure".into(), json!(main_failure(rows, Step::Dns))),
        ("http_experiment_failure".into(), json!(last.and_then(|row| failure(row.outcome)))),
        ("retries".into(), Value::Null),
        ("socksproxy".into(), Value::Null),
    ]);
    keys
}

fn urlgetter(rows: &[Observation]) -> Map<String, Value> {
    let mut keys = lists(rows);
    let main = || rows.iter().filter(|row| row.purpose == Purpose::Main && row.outcome.not_run().is_none());
    let failed = main().find(|row| row.outcome.failure().is_some());
    let operation = failed.map(|row| match row.step() {
        Step::Dns => "resolve",
        Step::Tcp => "connect",
        Step::Tls => "tls_handshake",
        Step::Quic => "quic_handshake",
        Step::Http | Step::Vpn => "http_round_trip",
    });
    keys.insert("agent".into(), "redirect".into());
    keys.insert("failure".into(), json!(failed.and_then(|row| failure(row.outcome))));
    keys.insert("failed_operation".into(), json!(operation));
    keys
}

/// A tunnel's first exchanges, without saying where they went. `OpenVPN`'s have a test of OONI's; others have none, and a name of their own.
fn tunnel(measurement: &Measurement, protocol: VpnProtocol) -> Body {
    let rows = &measurement.observations;
    let main = || rows.iter().filter(|row| row.purpose == Purpose::Main);
    let provider = measurement.target.name.split_once('/').map_or("unknown", |(provider, _)| provider);
    // Names that were made of the endpoint tell the server.
    let provider = if provider.contains(':') { "unknown" } else { provider };
    let exchanges = rows.iter().filter(|row| is_as_oonis(row)).filter_map(|row| rows::tunnel(row, provider));
    let exchanges: Vec<Value> = exchanges.collect();
    let is_ok = main().any(|row| row.vpn().is_some() && row.outcome.is_ok());
    let failed = main().find_map(|row| failure(row.outcome)).filter(|_| !is_ok);
    let is_openvpn = matches!(protocol, VpnProtocol::OpenvpnUdp | VpnProtocol::OpenvpnTcp);
    let (test, key) = if is_openvpn { ("openvpn", "openvpn_handshake") } else { ("faultline_vpn", "x_vpn_handshake") };
    let keys = [
        (key.to_owned(), Value::Array(exchanges)),
        ("success".into(), is_ok.into()),
        ("failure".into(), json!(failed)),
        ("network_events".into(), json!([])),
        ("tcp_connect".into(), Value::Array(rows::dials_without_addresses(rows))),
    ];
    Body { test: test.into(), input: format!("{protocol}://{}", rows::SCRUBBED), keys: keys.into_iter().collect() }
}
