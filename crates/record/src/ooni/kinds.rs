//! Which test is read in which way. A test that goes to nothing which rules judge is taken all the same, without rows.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use crate::failure::Failure;
use crate::model::{Endpoint, HealthSignal, Http, NotRun, Purpose, StepData, Vpn, VpnAnswer, VpnProtocol};

use super::control;
use super::envelope::Envelope;
use super::failures;
use super::flow::{Flow, FlowReader, Mark, list, parse_address};
use super::json::Json;
use super::oddities::Oddities;
use super::part::{Part, answered, arrange, number_hops};
use super::rows::{Again, Goal, Place, Rows};
use super::service;

type Parts = (Vec<Part>, Vec<HealthSignal>);

/// Tests that OONI has had, with what their measurements become.
pub const TESTS: &[(&str, &str)] = &[
    ("bridge_reachability", NOTHING),
    ("browser_web", NOTHING),
    ("captive_portal", NOTHING),
    ("dash", NOTHING),
    ("dns_consistency", "a measurement for each resolver"),
    ("dnscheck", "a measurement for each resolver"),
    ("dnsping", "a measurement for each name"),
    ("echcheck", ONE),
    ("facebook_messenger", EACH),
    ("http_header_field_manipulation", NOTHING),
    ("http_host", NOTHING),
    ("http_host_header", NOTHING),
    ("http_invalid_request_line", NOTHING),
    ("http_requests", ONE),
    ("lantern", NOTHING),
    ("meek_fronted_requests_test", NOTHING),
    ("multi_protocol_traceroute", NOTHING),
    ("ndt", NOTHING),
    ("openvpn", "a measurement for each server"),
    ("openvpn_client_test", NOTHING),
    ("portfiltering", NOTHING),
    ("psiphon", NOTHING),
    ("quicping", NOTHING),
    ("riseupvpn", EACH),
    ("signal", EACH),
    ("simplequicping", ONE),
    ("sni_blocking", NOTHING),
    ("stun_reachability", "a measurement with the questions only"),
    ("stunreachability", "a measurement with the questions only"),
    ("tcp_connect", ONE),
    ("tcpping", ONE),
    ("telegram", EACH),
    ("tlsmiddlebox", NOTHING),
    ("tlsping", ONE),
    ("tlstool", NOTHING),
    ("tor", "a measurement for each relay"),
    ("torsf", NOTHING),
    ("urlgetter", ONE),
    ("vanilla_tor", NOTHING),
    ("web_connectivity", ONE),
    ("whatsapp", EACH),
];

const NOTHING: &str = "a measurement without rows: nothing to judge";
const ONE: &str = "one measurement";
const EACH: &str = "a measurement for each endpoint";

/// The parts of a measurement, and what answered in it.
pub(super) fn parts(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let known = TESTS.binary_search_by_key(&envelope.test.as_str(), |(name, _)| *name).map(|place| TESTS[place].1);
    if known.is_err() {
        odd.note("test that this version does not know", &envelope.test);
    }
    if !matches!(keys, Json::Object(_)) {
        odd.note("no test_keys", keys.kind());
        return (foreign(envelope, Rows::default()), Vec::new());
    }
    match envelope.test.as_str() {
        "whatsapp" | "telegram" | "signal" | "facebook_messenger" | "riseupvpn" => service::parts(envelope, keys, odd),
        "dnscheck" => dnscheck(envelope, keys, odd),
        "dns_consistency" => dns_consistency(envelope, keys, odd),
        "dnsping" => dnsping(envelope, keys, odd),
        "tcpping" | "tlsping" | "simplequicping" => pings(envelope, keys, odd),
        "tor" => tor(envelope, keys, odd),
        "openvpn" => openvpn(envelope, keys, odd),
        "tcp_connect" => tcp_connect(envelope, keys, odd),
        "stunreachability" | "stun_reachability" => {
            let flow = Flow::read(keys, odd);
            (questions(envelope, &flow), answered(&flow, None))
        }
        _ if known == Ok(NOTHING) => (foreign(envelope, Rows::default()), answered(&Flow::read(keys, odd), None)),
        _ => one(envelope, keys, odd),
    }
}

/// One part without an endpoint.
fn foreign(envelope: &Envelope, rows: Rows) -> Vec<Part> {
    let what = envelope.input.as_deref().unwrap_or_default();
    Part::foreign(&envelope.test, what, rows).into_iter().collect()
}

fn questions(envelope: &Envelope, flow: &Flow) -> Vec<Part> {
    let mut rows = Rows::default();
    flow.queries.iter().for_each(|query| rows.query(0, Purpose::Main, query));
    foreign(envelope, rows)
}

/// Web Connectivity, and whatever else goes to one URL or endpoint.
fn one(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let mut flow = Flow::read(keys, odd);
    let tags_hops = flow.fetches.iter().any(|fetch| fetch.mark.transaction.is_some());
    number_hops(&mut flow);
    let Some(endpoint) = envelope.input.as_deref().and_then(|input| endpoint(input, odd)) else {
        return (questions(envelope, &flow), answered(&flow, None));
    };
    let url = if let Endpoint::Web(url) = &endpoint { Some(url.clone()) } else { None };
    let mut rows = Rows::default();
    arrange(&flow, url.as_ref(), if tags_hops { Again::Never } else { Again::Requests }, &mut rows);
    dead_end(&flow, keys, &mut rows, odd);
    let mut helper = control::rows(keys, envelope.helper.as_deref(), url.as_ref(), &mut rows, odd);
    helper |= by_tor(&flow, &mut rows);
    let mut part = Part::new(endpoint, &envelope.input.clone().unwrap_or_default(), rows);
    part.target.private_ca = flow.shakes.iter().any(|shake| !shake.verified);
    (vec![part], answered(&flow, helper.then_some("ooni")))
}

/// A redirect that was not followed: only the whole test's failure says so.
fn dead_end(flow: &Flow, keys: &Json<'_>, rows: &mut Rows, odd: &mut Oddities) {
    let failed = failures::read(keys.get("http_experiment_failure"), odd);
    let ends = |failure| matches!(failure, Failure::HttpTooManyRedirects | Failure::HttpInvalidRedirectLocationHost);
    let last = flow.fetches.last().filter(|last| matches!(last.http.status, Some(300..=399)));
    if let (Some(failed), Some(last)) = (failed.filter(|failed| ends(failed.failure)), last) {
        let place = Place { hop: last.mark.depth, purpose: Purpose::Main, connection: None, to: None };
        let url = last.http.header("location").unwrap_or(&last.http.url).to_owned();
        let mark = Mark { failed: Some(failed), ..last.mark.clone() };
        rows.push(place, &mark, StepData::Http(Http { url, ..Http::default() }));
    }
}

/// Requests through Tor are the control of the oldest tests; whether one was answered.
fn by_tor(flow: &Flow, rows: &mut Rows) -> bool {
    let mut answers = false;
    for fetch in flow.fetches.iter().filter(|fetch| fetch.by_tor) {
        let place = Place { hop: 0, purpose: Purpose::Helper, connection: None, to: None };
        if !answers && fetch.mark.failed.is_none() {
            let errand = Http { url: "ooni:tor".into(), ..Http::default() };
            rows.push(place, &Mark { failed: None, ..fetch.mark.clone() }, StepData::Http(errand));
            answers = true;
        }
        rows.push(place, &fetch.mark, StepData::Http(fetch.http.clone()));
    }
    answers
}

/// What an input means, in OONI's schemes and ours.
fn endpoint(input: &str, odd: &mut Oddities) -> Option<Endpoint> {
    let schemes = [("tlshandshake://", "tls://"), ("tcpconnect://", "tcp://"), ("quichandshake://", "quic://")];
    let ours = schemes.iter().find_map(|(theirs, ours)| input.strip_prefix(theirs).map(|rest| format!("{ours}{rest}")));
    let parsed = Endpoint::parse(ours.as_deref().unwrap_or(input));
    if parsed.is_err() {
        odd.note("input that is no endpoint", input);
    }
    parsed.ok()
}

fn pings(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let mut flow = Flow::default();
    for ping in list(keys, "pings", odd) {
        let mut reader = FlowReader::new(odd);
        let dial = ping.get("tcp_connect");
        flow.dials.extend(if dial.is_null() { None } else { reader.dial(dial) });
        for (key, quic) in [("tls_handshake", false), ("quic_handshake", true)] {
            let shake = ping.get(key);
            flow.shakes.extend(if shake.is_null() { None } else { reader.shake(shake, quic) });
        }
    }
    let Some(endpoint) = envelope.input.as_deref().and_then(|input| endpoint(input, odd)) else {
        return (foreign(envelope, Rows::default()), answered(&flow, None));
    };
    let mut rows = Rows::default();
    rows.hop(0, Goal { url: None, again: Again::Connections }, &flow);
    let input = envelope.input.clone().unwrap_or_default();
    let mut part = Part::new(endpoint, &input, rows);
    part.target.private_ca = flow.shakes.iter().any(|shake| !shake.verified);
    (vec![part], answered(&flow, None))
}

fn dnsping(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let mut queries = Vec::new();
    for ping in list(keys, "pings", odd) {
        let mut reader = FlowReader::new(odd);
        let Some(mut query) = reader.query(ping.get("query")) else { continue };
        for key in ["delayed_response", "delayed_responses"] {
            for late in ping.get(key).elements() {
                let after = late.get("t").number().map_or(0.0, |seconds| seconds * 1_000.0 - query.mark.t0_ms);
                let records = reader.records(late);
                query.late.push((after, records));
            }
        }
        queries.push(query);
    }
    let mut names: Vec<String> = queries.iter().map(|query| query.host.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let part = |name: &String| {
        let own: Vec<_> = queries.iter().filter(|query| query.host == *name).collect();
        let server = own.iter().find_map(|query| query.server)?;
        let mut rows = Rows::default();
        own.iter().for_each(|query| rows.query(0, Purpose::Main, query));
        let endpoint = Endpoint::Dns { resolver: server.ip(), name: name.clone() };
        let input = endpoint.to_string();
        Some(Part::new(endpoint, &input, rows))
    };
    let parts: Vec<Part> = names.iter().filter_map(part).collect();
    let signals = answered(&Flow { queries, ..Flow::default() }, None);
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, signals)
}

fn dnscheck(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let domain = keys.get("domain").word().unwrap_or("example.org").to_ascii_lowercase();
    let bootstrap = Flow::read(keys.get("bootstrap"), odd);
    let mut all = bootstrap.clone();
    let mut parts = Vec::new();
    if !bootstrap.queries.is_empty() {
        let mut rows = Rows::default();
        bootstrap.queries.iter().for_each(|query| rows.query(0, Purpose::Main, query));
        parts.extend(Part::foreign(&envelope.test, &format!("bootstrap/{}", bootstrap.queries[0].host), rows));
    }
    for (key, lookup) in keys.get("lookups").members() {
        let mut flow = Flow::read(lookup, odd);
        let is_asked = |query: &super::flow::Query| query.host == domain && query.resolver != "system";
        let literal = Url::parse(key).ok().and_then(|url| url.host_str().and_then(parse_address));
        let resolver = literal.or_else(|| flow.queries.iter().find_map(|query| query.server).map(|to| to.ip()));
        let resolver = resolver.or_else(|| flow.dials.first().map(|dial| dial.to.ip()));
        flow.queries.retain(is_asked);
        let mut rows = Rows::default();
        // Connections are to the resolver, whatever addresses it gave.
        let queries = std::mem::take(&mut flow.queries);
        queries.iter().for_each(|query| rows.query(0, Purpose::Main, query));
        rows.hop(0, Goal { url: None, again: Again::Connections }, &flow);
        flow.queries = queries;
        parts.extend(match resolver {
            Some(resolver) => Some(Part::new(Endpoint::Dns { resolver, name: domain.clone() }, key, rows)),
            None => Part::foreign(&envelope.test, key, rows),
        });
        all.extend(flow);
    }
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, answered(&all, None))
}

fn dns_consistency(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let flow = Flow::read(keys, odd);
    let control = keys.get("control_resolver").word().unwrap_or_default();
    let control: Option<IpAddr> =
        control.parse::<SocketAddr>().ok().map(|to| to.ip()).or_else(|| parse_address(control));
    let mut servers: Vec<IpAddr> = flow.queries.iter().filter_map(|query| query.server).map(|to| to.ip()).collect();
    servers.sort_unstable();
    servers.dedup();
    let part = |server: IpAddr| {
        let of =
            |wanted: IpAddr| flow.queries.iter().filter(move |query| query.server.is_some_and(|to| to.ip() == wanted));
        let name = of(server).next()?.host.clone();
        let mut rows = Rows::default();
        of(server).for_each(|query| rows.query(0, Purpose::Main, query));
        control.into_iter().flat_map(of).for_each(|query| rows.query(0, Purpose::Comparison, query));
        let endpoint = Endpoint::Dns { resolver: server, name };
        let input = endpoint.to_string();
        Some(Part::new(endpoint, &input, rows))
    };
    let parts: Vec<Part> = servers.into_iter().filter(|&server| Some(server) != control).filter_map(part).collect();
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, answered(&flow, None))
}

fn tor(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let (mut parts, mut all) = (Vec::new(), Flow::default());
    for (key, relay) in keys.get("targets").members() {
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

fn openvpn(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
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
    let ms = |key: &str| row.get(key).number().map_or(0.0, |seconds| (seconds * 1_000.0).clamp(0.0, 1.0e12));
    let failed = failures::read(row.get("failure"), odd);
    let (mut rows, answers) = (Rows::default(), failed.is_none());
    let place = Place { hop: 0, purpose: Purpose::Main, connection: Some(rows.connection()), to: Some(to) };
    let is_own =
        |dial: &&super::flow::Dial| dial.to == to && (transaction.is_none() || dial.mark.transaction == transaction);
    let dial = flow.dials.iter().find(is_own).filter(|_| is_tcp);
    if let Some(dial) = dial {
        rows.push(place, &dial.mark, StepData::Tcp);
    }
    let vpn = Vpn { protocol, bytes_received: u64::from(answers), answer: answers.then_some(VpnAnswer::ServerReset) };
    let mark = Mark { t0_ms: ms("t0").min(ms("t")), t_ms: ms("t"), failed, ..Mark::default() };
    match dial.is_some_and(|dial| dial.mark.failed.is_some()) {
        true => rows.skip(place, mark.t0_ms, NotRun::PreviousStepFailed, StepData::Vpn(vpn)),
        false => rows.push(place, &mark, StepData::Vpn(vpn)),
    }
    let input = endpoint.to_string();
    let mut part = Part::new(endpoint, &input, rows);
    if let Some(provider) = row.get("provider").word() {
        part.target.name = format!("{provider}/openvpn-{}", if is_tcp { "tcp" } else { "udp" });
    }
    Some(part)
}

/// The test of ooni-probe 1: one connection, of which only the end is told.
fn tcp_connect(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let input = envelope.input.clone().unwrap_or_default();
    let text = if input.contains("://") { input.clone() } else { format!("tcp://{input}") };
    let Some(endpoint) = endpoint(&text, odd) else { return (foreign(envelope, Rows::default()), Vec::new()) };
    let (host, port) = endpoint.host_and_port();
    let to = parse_address(&host.to_string()).map(|ip| SocketAddr::new(ip, port));
    let mut rows = Rows::default();
    let place = Place { hop: 0, purpose: Purpose::Main, connection: Some(rows.connection()), to };
    let failed = match keys.get("connection").text() {
        Some("success") => None,
        Some(text) => Some(failures::of(text, odd)),
        None => Some(Failure::UnknownFailure.into()),
    };
    rows.push(place, &Mark { failed, ..Mark::default() }, StepData::Tcp);
    (vec![Part::new(endpoint, &input, rows)], Vec::new())
}

#[cfg(test)]
mod order {
    use super::*;

    #[test]
    fn the_list_of_tests_is_sorted_and_each_stands_once() {
        assert!(TESTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
