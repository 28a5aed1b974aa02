//! Satellite, versions 1 to 2.2: a name asked of a resolver inside a network, in the newer versions between questions for an innocent one.

use std::net::{IpAddr, SocketAddr};

use crate::bogon::is_bogon;
use crate::database::Import;
use crate::failure::Failure;
use crate::foreign::Oddities;
use crate::foreign::json::Json;
use crate::model::{Dns, DnsAnswer, Endpoint, Engine, HealthSignal, Outcome, Purpose, QueryType, SignalKind, StepData};

use super::scan::{Scan, Subject, network, time};
use super::trial::{End, Rows, Span, TRIALS, answered, end_of};

/// Addresses of an answer that are kept: far more than real ones have.
const ADDRESSES: usize = 256;
/// DNS (RFC 1035, 4.2).
const PORT: u16 = 53;

/// Version 1 (2018 to 2021): no times, no retries, no controls; errors in a file of their own.
pub(super) fn first(json: &Json<'_>, scan: &Scan<'_>, odd: &mut Oddities) -> Result<Import, String> {
    let name = json.get("query").word().ok_or("it has no query")?;
    let started_at = scan.begun().ok_or("neither it nor the name of its scan says when it was made")?;
    let resolver = json.get("resolver").word().or(json.get("ip").word());
    let question = Question {
        name,
        addresses: addresses(json.get("answers"), odd),
        rcode: None,
        error: json.get("error").text().map(str::to_owned).or_else(|| error_object(json.get("error"))),
        span: Span::default(),
    };
    let rows = vec![(Purpose::Main, question)];
    let compared = controls(json.get("answers"));
    measurement("1", resolver, name, started_at, &rows, &compared, json, scan, odd)
}

/// Version 2: one object a name and resolver, with its questions in order, or (2.0) with their answers and codes only.
pub(super) fn second(json: &Json<'_>, scan: &Scan<'_>, odd: &mut Oddities) -> Result<Import, String> {
    let name = json.get("test_url").word().ok_or("it has no test_url")?;
    let response = json.get("response");
    let first = response.elements().first().map_or(&Json::Null, |question| question.get("start_time"));
    let started_at = time(json.get("start_time"), odd).or_else(|| time(first, odd)).or_else(|| scan.begun());
    let started_at = started_at.ok_or("neither it nor the name of its scan says when it was made")?;
    let ended_at = time(json.get("end_time"), odd).unwrap_or(started_at);
    let (questions, compared, version) = match response {
        Json::List(list) => {
            let compared = list.iter().flat_map(|one| controls(one.get("response"))).collect();
            (in_order(list, name, started_at, odd), compared, "2")
        }
        _ => (summed_up(response, name, span(started_at, ended_at, started_at), odd), controls(response), "2.0"),
    };
    measurement(version, json.get("vp").word(), name, started_at, &questions, &compared, json, scan, odd)
}

/// A question and what came of it.
struct Question<'j> {
    name: &'j str,
    addresses: Vec<IpAddr>,
    rcode: Option<u16>,
    error: Option<String>,
    span: Span,
}

/// Questions one by one: the innocent name before and after, the tested one between.
fn in_order<'j>(
    list: &'j [Json<'_>],
    name: &'j str,
    started_at: i64,
    odd: &mut Oddities,
) -> Vec<(Purpose, Question<'j>)> {
    let mut own = 0;
    let questions = list.iter().take(TRIALS).map(|one| {
        let asked = one.get("url").word().unwrap_or(name);
        let purpose = match (asked == name, own) {
            (false, _) => Purpose::InnocentName,
            (true, 0) => Purpose::Main,
            (true, _) => Purpose::Retry,
        };
        own += usize::from(asked == name);
        let from = time(one.get("start_time"), odd).unwrap_or(started_at);
        let to = time(one.get("end_time"), odd).unwrap_or(from);
        let question = Question {
            name: asked,
            addresses: addresses(one.get("response"), odd),
            rcode: one.get("rcode").whole(),
            error: one.get("error").word().map(str::to_owned),
            span: span(from, to, started_at),
        };
        (purpose, question)
    });
    questions.collect()
}

/// Version 2.0: answers of all questions together, and their codes in order (without those of the innocent name).
fn summed_up<'j>(response: &Json<'_>, name: &'j str, span: Span, odd: &mut Oddities) -> Vec<(Purpose, Question<'j>)> {
    let code = |code: &Json<'_>| code.whole::<i64>();
    let codes: Vec<i64> = response.get("rcode").elements().iter().filter_map(code).collect();
    let addresses = addresses(response, odd);
    let question = |rcode: Option<i64>, addresses| Question {
        name,
        addresses,
        rcode: rcode.and_then(|code| u16::try_from(code).ok()),
        error: rcode.filter(|&code| code < 0).map(|_| "no answer came (no error is told)".to_owned()),
        span,
    };
    if !addresses.is_empty() || codes.is_empty() {
        return vec![(Purpose::Main, question(Some(0), addresses))];
    }
    let purpose = |place| if place == 0 { Purpose::Main } else { Purpose::Retry };
    let each = codes.iter().enumerate().take(TRIALS);
    each.map(|(place, &code)| (purpose(place), question(Some(code), Vec::new()))).collect()
}

#[expect(clippy::too_many_arguments, reason = "the parts of one object")]
fn measurement(
    version: &'static str,
    resolver: Option<&str>,
    name: &str,
    started_at: i64,
    questions: &[(Purpose, Question<'_>)],
    compared: &[IpAddr],
    json: &Json<'_>,
    scan: &Scan<'_>,
    odd: &mut Oddities,
) -> Result<Import, String> {
    let server: IpAddr = resolver.and_then(|text| text.parse().ok()).ok_or("its resolver is no address")?;
    let host = name.split_once("://").map_or(name, |(_, bare)| bare).split('/').next().unwrap_or(name);
    let bracketed = if server.is_ipv6() { format!("[{server}]") } else { server.to_string() };
    let endpoint = Endpoint::parse(&format!("dns://{bracketed}/{host}")).map_err(|error| error.to_string())?;
    let to = SocketAddr::new(server, PORT);
    let (mut rows, mut signals) = (Rows::default(), Vec::new());
    for (purpose, question) in questions {
        signals.extend(proof(*purpose, question, to));
        ask(&mut rows, *purpose, question, to, odd);
    }
    if rows.rows.is_empty() {
        return Err("it holds no question".into());
    }
    control_row(&mut rows, host, compared, to);
    let subject = Subject { test: "satellite", version, server, network: network(json, odd), input: name, endpoint };
    Ok(scan.import(subject, started_at, rows.rows, signals))
}

/// The innocent name had an address: the resolver works.
fn proof(purpose: Purpose, question: &Question<'_>, to: SocketAddr) -> Option<HealthSignal> {
    let works = purpose == Purpose::InnocentName && question.addresses.iter().any(|&ip| !is_bogon(ip));
    works.then(|| answered(SignalKind::Resolver, &format!("resolver/{}", to.ip()), to, question.span))
}

fn ask(rows: &mut Rows, purpose: Purpose, question: &Question<'_>, to: SocketAddr, odd: &mut Oddities) {
    let end = outcome(question, odd);
    let answers = question.addresses.iter().map(|&ip| DnsAnswer::told(ip)).collect();
    let has_reply = end.0.is_ok() || question.rcode.is_some() || !question.addresses.is_empty();
    let dns = Dns {
        engine: Engine::Udp,
        resolver: format!("resolver/{}", to.ip()),
        hostname: question.name.trim_end_matches('.').to_ascii_lowercase(),
        query_type: QueryType::A,
        rcode: question.rcode,
        answers,
        replies: u16::from(has_reply),
    };
    rows.push(purpose, None, to, question.span, end, StepData::Dns(dns));
}

/// How a question ended: by its error, its code, or for want of an address.
fn outcome(question: &Question<'_>, odd: &mut Oddities) -> End {
    let failed = |failure| (Outcome::Failed(failure), None);
    let error = question.error.as_deref().filter(|text| *text != "no_answer");
    match (end_of(error, odd), question.rcode) {
        (end, _) if !end.0.is_ok() => end,
        (_, Some(2)) => failed(Failure::DnsServfailError),
        (_, Some(3)) => failed(Failure::DnsNxdomainError),
        (_, Some(5)) => failed(Failure::DnsRefusedError),
        (_, Some(1..)) => failed(Failure::DnsServerMisbehaving),
        (_, _) if question.addresses.is_empty() => failed(Failure::DnsNoAnswer),
        // As the probe has it: an answer with an address that cannot be public is none.
        (_, _) if question.addresses.iter().any(|&ip| is_bogon(ip)) => failed(Failure::DnsBogonError),
        (end, _) => end,
    }
}

/// Addresses that resolvers elsewhere gave too, by the tag `ip`: what they gave besides is not told here.
fn control_row(rows: &mut Rows, host: &str, compared: &[IpAddr], to: SocketAddr) {
    if compared.is_empty() {
        return;
    }
    let dns = Dns {
        engine: Engine::Udp,
        resolver: "resolver/censored-planet-controls".into(),
        hostname: host.trim_end_matches('.').to_ascii_lowercase(),
        query_type: QueryType::A,
        rcode: Some(0),
        answers: compared.iter().map(|&ip| DnsAnswer::told(ip)).collect(),
        replies: 1,
    };
    rows.push(Purpose::Comparison, None, to, Span::default(), (Outcome::Ok, None), StepData::Dns(dns));
    if let Some(row) = rows.rows.last_mut() {
        (row.address, row.port) = (None, None);
    }
}

/// Addresses of an answer: a list, or the names of an object's members (but for `rcode`).
fn addresses(answers: &Json<'_>, odd: &mut Oddities) -> Vec<IpAddr> {
    let texts: Vec<&str> = match answers {
        Json::List(list) => list.iter().filter_map(Json::text).collect(),
        Json::Object(members) => {
            members.iter().map(|(name, _)| name.as_ref()).filter(|name| *name != "rcode").collect()
        }
        _ => Vec::new(),
    };
    let mut parse = |text: &&str| {
        let ip = text.parse().ok();
        if ip.is_none() {
            odd.note("no address", text);
        }
        ip
    };
    texts.iter().take(ADDRESSES).filter_map(&mut parse).collect()
}

/// Addresses tagged as given by the control resolvers as well: in a list of tags, or (2.2) in `matched`.
fn controls(answers: &Json<'_>) -> Vec<IpAddr> {
    let is_tagged = |tags: &Json<'_>| {
        let list = if matches!(tags, Json::Object(_)) { tags.get("matched") } else { tags };
        list.elements().iter().any(|tag| tag.text() == Some("ip"))
    };
    let members = answers.members().iter().filter(|(_, tags)| is_tagged(tags)).take(ADDRESSES);
    members.filter_map(|(name, _)| name.parse().ok()).collect()
}

fn error_object(error: &Json<'_>) -> Option<String> {
    let member = error.members().iter().find_map(|(_, value)| value.word())?;
    Some(member.to_owned())
}

fn span(from: i64, to: i64, started_at: i64) -> Span {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one measurement")]
    let since = |at: i64| (at - started_at).max(0) as f64;
    Span { from_ms: since(from), to_ms: since(to).max(since(from)) }
}
