//! Tests of relays and tunnels: `tor`, `openvpn`, `stunreachability`. Each server is a target of its own.

use std::net::SocketAddr;

use crate::failure::Layer;
use crate::model::{Endpoint, NotRun, Purpose, StepData, Vpn, VpnAnswer, VpnProof, VpnProtocol};

use super::envelope::Envelope;
use super::failures;
use super::flow::{Dial, Flow, Mark, list, members};
use super::json::Json;
use super::kinds::{Parts, foreign};
use super::oddities::Oddities;
use super::part::{Part, answered, arrange};
use super::reader::parse_address;
use super::rows::{Again, Place, Rows};

pub(super) fn tor(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let (mut parts, mut all) = (Vec::new(), Flow::default());
    for (key, relay) in members(keys, "targets", odd) {
        let mut flow = Flow::read(relay, odd);
        // Relays sign themselves; the oldest data do not say that nobody looked.
        flow.shakes.iter_mut().for_each(|shake| shake.leave_unverified());
        let to: Option<SocketAddr> = relay.get("target_address").word().and_then(|text| text.parse().ok());
        let protocol = relay.get("target_protocol").word().unwrap_or_default();
        parts.extend(relay_part(envelope, key, protocol, to, &flow));
        all.extend(flow);
    }
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, answered(&all, None))
}

fn relay_part(envelope: &Envelope, key: &str, protocol: &str, to: Option<SocketAddr>, flow: &Flow) -> Option<Part> {
    let Some(to) = to else { return Part::foreign(&envelope.test, key, Rows::default()) };
    let text = match protocol {
        "dir_port" => format!("http://{to}/tor/status-vote/current/consensus.z"),
        "or_port" | "or_port_dirauth" => format!("tls://{to}"),
        _ => format!("tcp://{to}"),
    };
    let endpoint = Endpoint::parse(&text).ok()?;
    let url = if let Endpoint::Web(url) = &endpoint { Some(url.clone()) } else { None };
    let mut rows = Rows::default();
    arrange(flow, url.as_ref(), Again::Connections, &mut rows);
    let mut part = Part::new(endpoint, &format!("{protocol}://{to}"), rows);
    part.target.private_ca = protocol.starts_with("or_port");
    Some(part)
}

pub(super) fn openvpn(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let flow = Flow::read(keys, odd);
    let mut parts = Vec::new();
    for row in list(keys, "openvpn_handshake", odd) {
        parts.extend(tunnel(row, &flow, odd));
    }
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, answered(&flow, None))
}

fn tunnel(row: &Json<'_>, flow: &Flow, odd: &mut Oddities) -> Option<Part> {
    let ip = row.get("ip").word().and_then(parse_address);
    let (Some(ip), Some(port)) = (ip, row.get("port").whole()) else {
        odd.note("tunnel to no address", row.get("endpoint").text().unwrap_or_default());
        return None;
    };
    let is_tcp = row.get("transport").text() == Some("tcp");
    let protocol = if is_tcp { VpnProtocol::OpenvpnTcp } else { VpnProtocol::OpenvpnUdp };
    let to = SocketAddr::new(ip, port);
    let endpoint = Endpoint::parse(&format!("{protocol}://{to}")).ok()?;
    let transaction: Option<i64> = row.get("transaction_id").whole().filter(|&id| id != 0);
    let ms = |key: &str| row.get(key).milliseconds().unwrap_or(0.0);
    let failed = failures::read(row.get("failure"), odd);
    let (mut rows, answers) = (Rows::default(), failed.is_none());
    let place = Place { hop: 0, purpose: Purpose::Main, connection: Some(rows.connection()), to: Some(to) };
    let is_own = |dial: &&Dial| dial.to == to && (transaction.is_none() || dial.mark.transaction == transaction);
    let dial = flow.dials.iter().find(is_own).filter(|_| is_tcp);
    if let Some(dial) = dial {
        rows.push(place, &dial.mark, StepData::Tcp);
    }
    let answer = answers.then_some(VpnAnswer::ServerReset);
    let proof = answers.then_some(VpnProof::FirstAnswer);
    let vpn = Vpn { protocol, bytes_received: u64::from(answers), answer, proof, key: None };
    let mark = Mark { t0_ms: ms("t0").min(ms("t")), t_ms: ms("t"), failed, ..Mark::default() };
    if dial.is_some_and(|dial| dial.mark.failed.is_some()) {
        rows.skip(place, mark.t0_ms, NotRun::PreviousStepFailed, StepData::Vpn(vpn));
    } else {
        rows.push(place, &mark, StepData::Vpn(vpn));
    }
    let input = endpoint.to_string();
    let mut tunnel = Part::new(endpoint, &input, rows);
    if let Some(provider) = row.get("provider").word() {
        tunnel.target.name = format!("{provider}/openvpn-{}", if is_tcp { "tcp" } else { "udp" });
    }
    Some(tunnel)
}

/// One binding request (ts-025): its failure is all that is told of its outcome, the network's events tell address, times and lengths.
pub(super) fn stun(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let flow = Flow::read(keys, odd);
    let mut rows = Rows::default();
    flow.queries.iter().for_each(|query| rows.query(0, Purpose::Main, query));
    let told = keys.get("endpoint").word().map(|endpoint| format!("stun://{endpoint}"));
    let text = told.or_else(|| envelope.input.clone()).unwrap_or_default();
    let Ok(endpoint @ Endpoint::Vpn { protocol: VpnProtocol::Stun, .. }) = Endpoint::parse(&text) else {
        odd.note("STUN server without a name or address", &text);
        return (foreign(envelope, rows), answered(&flow, None));
    };
    binding(keys, &mut rows, odd);
    let input = endpoint.to_string();
    (vec![Part::new(endpoint, &input, rows)], answered(&flow, None))
}

fn binding(keys: &Json<'_>, rows: &mut Rows, odd: &mut Oddities) {
    let events = list(keys, "network_events", odd);
    let of = |operation: &'static str| events.iter().filter(move |row| row.get("operation").text() == Some(operation));
    let ms = |row: &Json<'_>| row.get("t").milliseconds().unwrap_or(0.0);
    let to = of("connect").find_map(|row| row.get("address").word()?.parse::<SocketAddr>().ok());
    let received: u64 = of("read").filter_map(|row| row.get("num_bytes").whole::<u64>()).sum();
    let failed = failures::read(keys.get("failure"), odd);
    let answer = failed.is_none().then_some(VpnAnswer::Accepted);
    let bytes_received = if failed.is_none() { received.max(1) } else { received };
    let proof = answer.map(|_| VpnProof::FirstAnswer);
    let vpn = Vpn { protocol: VpnProtocol::Stun, bytes_received, answer, proof, key: None };
    let place = Place { hop: 0, purpose: Purpose::Main, connection: Some(rows.connection()), to };
    let began = of("connect").next().map_or(0.0, ms);
    let mark = Mark { t0_ms: began, t_ms: events.iter().map(ms).fold(began, f64::max), failed, ..Mark::default() };
    let is_unnamed = mark.failed.as_ref().is_some_and(|failed| failed.failure.layer() == Layer::Dns);
    if is_unnamed {
        rows.skip(place, mark.t_ms, NotRun::NoAddress, StepData::Vpn(vpn));
    } else {
        rows.push(place, &mark, StepData::Vpn(vpn));
    }
}
