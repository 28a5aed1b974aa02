//! Which test is read in which way. A test that goes to nothing which rules judge is taken all the same, without rows.

use std::net::SocketAddr;

use crate::failure::Failure;
use crate::model::{Endpoint, HealthSignal, Http, Purpose, StepData};

use super::envelope::Envelope;
use super::flow::{Flow, Mark, list};
use super::json::Json;
use super::oddities::Oddities;
use super::part::{Part, answered, arrange, number_hops};
use super::reader::{FlowReader, parse_address};
use super::rows::{Again, Goal, Place, Rows};
use super::{control, failures, relays, resolvers, service};

/// The parts of a measurement, and what answered in it.
pub(super) type Parts = (Vec<Part>, Vec<HealthSignal>);

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
    ("stun_reachability", ONE),
    ("stunreachability", ONE),
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
        "dnscheck" => resolvers::dnscheck(envelope, keys, odd),
        "dns_consistency" => resolvers::dns_consistency(envelope, keys, odd),
        "dnsping" => resolvers::dnsping(envelope, keys, odd),
        "tcpping" | "tlsping" | "simplequicping" => pings(envelope, keys, odd),
        "tor" => relays::tor(envelope, keys, odd),
        "openvpn" => relays::openvpn(envelope, keys, odd),
        "tcp_connect" => tcp_connect(envelope, keys, odd),
        "stunreachability" | "stun_reachability" => relays::stun(envelope, keys, odd),
        _ if known == Ok(NOTHING) => (foreign(envelope, Rows::default()), answered(&Flow::read(keys, odd), None)),
        _ => one(envelope, keys, odd),
    }
}

/// One part without an endpoint.
pub(super) fn foreign(envelope: &Envelope, rows: Rows) -> Vec<Part> {
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
            flow.shakes.extend((!shake.is_null()).then(|| reader.shake(shake, quic)));
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
