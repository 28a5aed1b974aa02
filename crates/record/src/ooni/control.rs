//! Web Connectivity's control: what the test helper saw, as rows of purpose `helper`.
//!
//! The helper resolves the name, connects to every address that it or the probe has, and asks for the page (redirects followed). It
//! tells a page's length, title and headers, not its body.

use std::net::SocketAddr;

use url::Url;

use crate::model::{Dns, DnsAnswer, Engine, Http, Purpose, QueryType, StepData, Tls};

use super::failures;
use super::flow::Mark;
use super::json::Json;
use super::oddities::Oddities;
use super::reader::parse_address;
use super::rows::{Place, Rows};

/// Adds the control's rows; whether the helper answered.
pub(super) fn rows(
    keys: &Json<'_>,
    helper: Option<&str>,
    url: Option<&Url>,
    rows: &mut Rows,
    odd: &mut Oddities,
) -> bool {
    let control = keys.get("control");
    let failed = failures::read(keys.get("control_failure"), odd);
    let is_there = matches!(control, Json::Object(members) if !members.is_empty());
    if !is_there && failed.is_none() {
        return false;
    }
    let answered = is_there && failed.is_none();
    let errand = Http { url: helper.unwrap_or("ooni:test-helper").to_owned(), ..Http::default() };
    rows.push(place(None, None), &Mark { failed, ..Mark::default() }, StepData::Http(errand));
    if answered {
        names(control.get("dns"), url, rows, odd);
        connections(control, rows, odd);
        page(control.get("http_request"), url, rows, odd);
    }
    answered
}

fn place(connection: Option<u32>, to: Option<SocketAddr>) -> Place {
    Place { hop: 0, purpose: Purpose::Helper, connection, to }
}

fn names(dns: &Json<'_>, url: Option<&Url>, rows: &mut Rows, odd: &mut Oddities) {
    let Some(host) = url.and_then(Url::domain).filter(|_| !dns.is_null()) else { return };
    let mark = Mark { failed: failures::read(dns.get("failure"), odd), ..Mark::default() };
    let given: Vec<_> = dns.get("addrs").elements().iter().filter_map(Json::text).filter_map(parse_address).collect();
    for (query_type, v6) in [(QueryType::A, false), (QueryType::Aaaa, true)] {
        let own = given.iter().filter(|ip| ip.is_ipv6() == v6);
        let answers: Vec<DnsAnswer> = own.map(|&ip| DnsAnswer::told(ip)).collect();
        if answers.is_empty() && (v6 || !given.is_empty()) {
            continue;
        }
        let dns = Dns {
            engine: Engine::System,
            resolver: "helper".into(),
            hostname: host.to_owned(),
            query_type,
            rcode: None,
            answers,
            replies: 1,
        };
        rows.push(place(None, None), &mark, StepData::Dns(dns));
    }
}

fn connections(control: &Json<'_>, rows: &mut Rows, odd: &mut Oddities) {
    for (endpoint, tcp) in control.get("tcp_connect").members() {
        let Ok(to) = endpoint.parse::<SocketAddr>() else {
            odd.note("no endpoint of the control's", endpoint);
            continue;
        };
        let place = place(Some(rows.connection()), Some(to));
        rows.push(place, &mark(tcp, odd), StepData::Tcp);
        let tls = control.get("tls_handshake").get(endpoint);
        if !tls.is_null() {
            rows.push(place, &mark(tls, odd), StepData::Tls(offered(tls)));
        }
    }
    for (endpoint, quic) in control.get("quic_handshake").members() {
        if let Ok(to) = endpoint.parse::<SocketAddr>() {
            let place = place(Some(rows.connection()), Some(to));
            rows.push(place, &mark(quic, odd), StepData::Quic(offered(quic)));
        }
    }
}

fn offered(row: &Json<'_>) -> Tls {
    let answered = row.get("status").flag() == Some(true);
    Tls { sni: row.get("server_name").word().map(str::to_owned), bytes_received: u64::from(answered), ..Tls::default() }
}

fn mark(row: &Json<'_>, odd: &mut Oddities) -> Mark {
    let mut failed = failures::read(row.get("failure"), odd);
    if failed.is_none() && row.get("status").flag() == Some(false) {
        failed = Some(failures::of("unknown_error", odd));
    }
    Mark { failed, ..Mark::default() }
}

/// The page: the last one, where there were redirects.
fn page(page: &Json<'_>, url: Option<&Url>, rows: &mut Rows, odd: &mut Oddities) {
    if page.is_null() {
        return;
    }
    let status = page.get("status_code").whole().filter(|&code: &u16| code > 0);
    let text = |value: &Json<'_>| value.text().map(str::to_owned);
    let headers = page.get("headers").members().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), text(value)?)));
    let http = Http {
        url: url.map(Url::to_string).unwrap_or_default(),
        status,
        headers: headers.collect(),
        title: page.get("title").word().map(str::to_owned),
        body_length: page.get("body_length").whole().unwrap_or(0),
        body_truncated: true,
        ..Http::default()
    };
    let mark = Mark { failed: failures::read(page.get("failure"), odd), ..Mark::default() };
    rows.push(place(None, None), &mark, StepData::Http(http));
}
