//! Rows as entries of OONI's lists (df-001, df-002, df-005, df-006, df-008; openvpn: ts-040).

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::model::{Dns, DnsAnswer, DnsRecord, Engine, Http, Observation, Purpose, StepData, Tls, VpnProtocol};

use super::{failure, seconds};

/// What stands for an address that is left out.
pub(super) const SCRUBBED: &str = "[scrubbed]";

/// Connections' numbers and questions' are told apart.
const CONNECTIONS: u32 = 50_000;
const QUESTIONS: u32 = 10_000;

/// The lists that rows belong to. What was not run is in none of them.
pub(super) fn lists<'r>(rows: impl Iterator<Item = &'r Observation>) -> Map<String, Value> {
    let [mut queries, mut dials, mut shakes, mut fetches, mut events, mut late] = [const { Vec::new() }; 6];
    for row in rows.filter(|row| row.outcome.not_run().is_none()) {
        match &row.data {
            StepData::Dns(dns) => {
                queries.push(query(row, dns, 0));
                late.extend(
                    (1..dns.replies).filter(|&reply| has_reply(dns, reply)).map(|reply| query(row, dns, reply)),
                );
            }
            StepData::Tcp => dials.extend(dial(row)),
            StepData::Tls(tls) | StepData::Quic(tls) => {
                shakes.push(handshake(row, tls));
                events.extend(read(row, tls));
            }
            StepData::Http(http) => fetches.push(fetch(row, http)),
            StepData::Vpn(_) => {}
        }
    }
    // The last request comes first (df-001).
    fetches.reverse();
    let mut lists = Map::new();
    for (name, list) in [
        ("network_events", events),
        ("queries", queries),
        ("requests", fetches),
        ("tcp_connect", dials),
        ("tls_handshakes", shakes),
    ] {
        lists.insert(name.into(), Value::Array(list));
    }
    if !late.is_empty() {
        lists.insert("x_dns_duplicate_responses".into(), Value::Array(late));
    }
    lists
}

/// What every entry has, and more.
fn entry(row: &Observation, more: Value) -> Value {
    let transaction = row.connection.map_or(QUESTIONS + row.seq, |connection| CONNECTIONS + connection);
    let mut entry = json!({
        "failure": failure(row.outcome),
        "t0": seconds(row.t0_ms),
        "t": seconds(row.t_ms),
        "tags": tags(row),
        "transaction_id": transaction,
    });
    if let (Value::Object(entry), Value::Object(more)) = (&mut entry, more) {
        entry.extend(more);
    }
    entry
}

fn tags(row: &Observation) -> Vec<String> {
    let depth = format!("depth={}", row.hop);
    match row.purpose {
        Purpose::Main => vec![depth],
        purpose => vec![depth, format!("faultline_purpose={purpose}")],
    }
}

fn socket(row: &Observation) -> String {
    let to = row.address.zip(row.port).map(|(ip, port)| SocketAddr::new(ip, port));
    to.map_or_else(String::new, |to| to.to_string())
}

fn has_reply(dns: &Dns, reply: u16) -> bool {
    dns.answers.iter().any(|answer| answer.reply == reply)
}

fn query(row: &Observation, dns: &Dns, reply: u16) -> Value {
    let engine = match dns.engine {
        Engine::System => "getaddrinfo",
        Engine::Udp => "udp",
        Engine::Doh => "doh",
        Engine::Tcp => "tcp",
        Engine::Dot => "dot",
    };
    let resolver = if dns.engine == Engine::Doh { dns.resolver.clone() } else { socket(row) };
    let answers: Vec<Value> = dns.answers.iter().filter(|one| one.reply == reply).filter_map(answer).collect();
    let first = dns.answers.iter().find(|one| one.reply == reply);
    let mut entry = entry(
        row,
        json!({"answers": answers, "engine": engine, "hostname": dns.hostname, "query_type": dns.query_type,
               "rcode": if reply == 0 { dns.rcode } else { first.and_then(|one| one.rcode) },
               "resolver_hostname": null, "resolver_port": null, "resolver_address": resolver}),
    );
    if let (1.., Some(first)) = (reply, first) {
        entry["failure"] = Value::Null;
        entry["t"] = seconds(row.t0_ms + f64::from(first.after_ms)).into();
    }
    entry
}

fn answer(answer: &DnsAnswer) -> Option<Value> {
    Some(match &answer.record {
        DnsRecord::Address(IpAddr::V4(ip)) => json!({"answer_type": "A", "ipv4": ip.to_string(), "ttl": answer.ttl}),
        DnsRecord::Address(IpAddr::V6(ip)) => json!({"answer_type": "AAAA", "ipv6": ip.to_string(), "ttl": answer.ttl}),
        DnsRecord::Cname(name) => json!({"answer_type": "CNAME", "hostname": name, "ttl": answer.ttl}),
        DnsRecord::Empty => return None,
    })
}

fn dial(row: &Observation) -> Option<Value> {
    let status = json!({"failure": failure(row.outcome), "success": row.outcome.is_ok()});
    Some(entry(row, json!({"ip": row.address?.to_string(), "port": row.port?, "status": status})))
}

/// Connections to a tunnel's server, over TCP: that they stood or did not.
pub(super) fn dials_without_addresses(rows: &[Observation]) -> Vec<Value> {
    let dials = rows.iter().filter(|row| row.purpose == Purpose::Main && row.outcome.not_run().is_none());
    let status = |row: &Observation| json!({"failure": failure(row.outcome), "success": row.outcome.is_ok()});
    let dials = dials.filter(|row| row.data == StepData::Tcp);
    dials.map(|row| entry(row, json!({"ip": SCRUBBED, "port": 0, "status": status(row)}))).collect()
}

fn handshake(row: &Observation, tls: &Tls) -> Value {
    let chain: Vec<Value> =
        tls.chain.iter().map(|link| json!({"format": "base64", "data": STANDARD.encode(&link.der)})).collect();
    let network = if matches!(row.data, StepData::Quic(_)) { "udp" } else { "tcp" };
    entry(
        row,
        json!({"network": network, "address": socket(row), "server_name": tls.sni.as_deref().unwrap_or(""),
               "tls_version": tls.version.as_deref().unwrap_or(""), "cipher_suite": tls.cipher_suite.as_deref().unwrap_or(""),
               "negotiated_protocol": tls.alpn.as_deref().unwrap_or(""), "no_tls_verify": false, "peer_certificates": chain}),
    )
}

/// Bytes that came in a handshake.
fn read(row: &Observation, tls: &Tls) -> Option<Value> {
    let more = json!({"operation": "read", "proto": "tcp", "address": socket(row), "num_bytes": tls.bytes_received, "failure": null});
    (tls.bytes_received > 0).then(|| entry(row, more))
}

fn fetch(row: &Observation, http: &Http) -> Value {
    let headers: Vec<Value> = http.headers.iter().map(|(name, value)| json!([name, value])).collect();
    let mut first = Map::new();
    for (name, value) in &http.headers {
        first.entry(name.clone()).or_insert_with(|| Value::from(value.as_str()));
    }
    let protocol = http.protocol.as_deref().unwrap_or("");
    entry(
        row,
        json!({
            "network": "tcp", "address": socket(row), "alpn": protocol,
            "request": {"method": "GET", "url": http.url, "headers": {}, "headers_list": [], "body": "", "body_is_truncated": false,
                        "tor": {"exit_ip": null, "exit_name": null, "is_tor": false}, "x_transport": "tcp"},
            "response": {"code": http.status.unwrap_or(0), "headers": first, "headers_list": headers,
                         "body": body(http.body.as_deref().unwrap_or_default()), "body_is_truncated": http.body_truncated},
        }),
    )
}

/// Text as it is, anything else as base64 (df-001).
fn body(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"format": "base64", "data": STANDARD.encode(bytes)}),
    }
}

/// A tunnel's exchange, without its server.
pub(super) fn tunnel(row: &Observation, provider: &str) -> Option<Value> {
    let vpn = row.vpn().filter(|_| row.outcome.not_run().is_none())?;
    let transport = if vpn.protocol == VpnProtocol::OpenvpnTcp { "tcp" } else { "udp" };
    Some(entry(
        row,
        json!({"endpoint": SCRUBBED, "ip": SCRUBBED, "port": 0, "transport": transport, "provider": provider,
               "handshake_time": seconds(row.t_ms - row.t0_ms), "openvpn_options": {}, "x_protocol": vpn.protocol,
               "x_bytes_received": vpn.bytes_received, "x_answer": vpn.answer, "x_proof": vpn.proof}),
    ))
}
