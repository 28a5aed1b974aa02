//! Quack and Hyperquack, versions 1 and 2: requests for a name to a server that has nothing to do with it, between requests for innocent ones.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use url::Url;

use crate::database::Import;
use crate::foreign::Oddities;
use crate::foreign::json::{Json, base64_bytes};
use crate::model::{Certificate, Endpoint, HealthSignal, Http, NotRun, Outcome, Purpose, SignalKind, StepData, Tls};

use super::scan::{Scan, Subject, network, time};
use super::trial::{End, Rows, Span, TRIALS, answered, end_of, is_of_dialling, unexpected};

/// Body bytes that are kept, as the probe does.
const BODY_KEPT: usize = 256 * 1024;

/// What is spoken with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Echo,
    Discard,
    Http,
    Https,
}

impl Service {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "echo" => Self::Echo,
            "discard" => Self::Discard,
            "http" => Self::Http,
            "https" => Self::Https,
            _ => return None,
        })
    }

    /// RFC 862, RFC 863, RFC 9110.
    fn port(self) -> u16 {
        match self {
            Self::Echo => 7,
            Self::Discard => 9,
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Echo and Discard are sent what looks like a plain request.
    fn scheme(self) -> &'static str {
        if self == Self::Https { "https" } else { "http" }
    }

    fn test(self) -> &'static str {
        if matches!(self, Self::Echo | Self::Discard) { "quack" } else { "hyperquack" }
    }
}

/// One request, whatever the version calls its parts.
struct Trial<'j> {
    /// The innocent name, where it is a control.
    control: Option<String>,
    matches: bool,
    error: Option<&'j str>,
    response: &'j Json<'j>,
    from: Option<i64>,
    to: Option<i64>,
}

/// Version 1 (2018 to 2021).
pub(super) fn first(json: &Json<'_>, scan: &Scan<'_>, odd: &mut Oddities) -> Result<Import, String> {
    let name = json.get("Keyword").word().ok_or("it has no Keyword")?;
    let retries: usize = json.get("Retries").whole::<i64>().and_then(|count| count.try_into().ok()).unwrap_or(0);
    let results = json.get("Results").elements();
    let service = service_of_scan(scan.name).or_else(|| service_of_results(results));
    let service = service.ok_or("neither it nor the name of its scan says which protocol was spoken")?;
    let trials = results.iter().enumerate().take(TRIALS).map(|(place, result)| {
        let sent = result.get("Sent").text().unwrap_or_default();
        let host = sent_host(sent);
        let is_control = if sent.is_empty() { place > retries } else { !is_for(host, name) };
        Trial {
            control: is_control.then(|| host.to_owned()),
            matches: result.get("Success").flag() == Some(true),
            error: result.get("Error").word(),
            response: result.get("Received"),
            from: time(result.get("StartTime"), odd),
            to: time(result.get("EndTime"), odd),
        }
    });
    let trials: Vec<_> = trials.collect();
    measurement(json.get("Server"), name, service, "1", &trials, json, scan, odd)
}

/// Version 2 (since 2021).
pub(super) fn second(json: &Json<'_>, scan: &Scan<'_>, odd: &mut Oddities) -> Result<Import, String> {
    let name = json.get("test_url").word().ok_or("it has no test_url")?;
    let word = json.get("service").word().unwrap_or_default();
    let service = Service::of(word).ok_or_else(|| format!("it speaks {word:?}, which this version does not know"))?;
    let trials = json.get("response").elements().iter().take(TRIALS).map(|result| Trial {
        control: result.get("control_url").word().map(str::to_owned),
        matches: result.get("matches_template").flag() == Some(true),
        error: result.get("error").word(),
        response: result.get("response"),
        from: time(result.get("start_time"), odd),
        to: time(result.get("end_time"), odd),
    });
    let trials: Vec<_> = trials.collect();
    measurement(json.get("vp"), name, service, "2", &trials, json, scan, odd)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one object")]
fn measurement(
    server: &Json<'_>,
    name: &str,
    service: Service,
    version: &'static str,
    trials: &[Trial<'_>],
    json: &Json<'_>,
    scan: &Scan<'_>,
    odd: &mut Oddities,
) -> Result<Import, String> {
    let server: IpAddr = server.word().and_then(|text| text.parse().ok()).ok_or("its server is no address")?;
    let url = url_of(service, name).ok_or_else(|| format!("{name:?} is no name"))?;
    let started_at = trials.iter().find_map(|trial| trial.from).or_else(|| scan.begun());
    let started_at = started_at.ok_or("neither it nor the name of its scan says when it was made")?;
    let to = SocketAddr::new(server, service.port());
    let (mut rows, mut signals, mut own) = (Rows::default(), Vec::new(), 0);
    for trial in trials {
        let purpose = match (&trial.control, own) {
            (Some(_), _) if service == Service::Https => Purpose::InnocentSni,
            (Some(_), _) => Purpose::InnocentHost,
            (None, 0) => Purpose::Main,
            (None, _) => Purpose::Retry,
        };
        own += usize::from(trial.control.is_none());
        let sent_for =
            trial.control.as_deref().and_then(|control| url_of(service, control)).unwrap_or_else(|| url.clone());
        let during = span(trial, started_at);
        request(&mut rows, service, purpose, to, &sent_for, trial, during, odd);
        signals.extend(proof(trial, to, during));
    }
    if rows.rows.is_empty() {
        return Err("it holds no trial".into());
    }
    let subject = Subject {
        test: service.test(),
        version,
        server,
        network: network(json, odd),
        input: name,
        endpoint: Endpoint::Web(url),
    };
    Ok(scan.import(subject, started_at, rows.rows, signals))
}

/// A control that was answered as it should.
fn proof(trial: &Trial<'_>, to: SocketAddr, span: Span) -> Option<HealthSignal> {
    let control = trial.control.as_deref()?;
    trial.matches.then(|| answered(SignalKind::ControlByName, control, to, span))
}

fn span(trial: &Trial<'_>, started_at: i64) -> Span {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one measurement")]
    let since = |at: Option<i64>| at.map(|at| ((at - started_at).max(0)) as f64);
    let from_ms = since(trial.from).unwrap_or(0.0);
    Span { from_ms, to_ms: since(trial.to).unwrap_or(from_ms).max(from_ms) }
}

/// The rows of one request: as far as it came, and no further.
#[expect(clippy::too_many_arguments, reason = "one request")]
fn request(
    rows: &mut Rows,
    service: Service,
    purpose: Purpose,
    to: SocketAddr,
    url: &Url,
    trial: &Trial<'_>,
    span: Span,
    odd: &mut Oddities,
) {
    let has_response = has_response(service, trial);
    let end = if trial.matches || has_response { (Outcome::Ok, None) } else { end_of(trial.error, odd) };
    let connection = Some(rows.connection());
    let is_dialling = trial.error.is_some_and(|error| !has_response && is_of_dialling(error));
    let is_own = matches!(end.0, Outcome::NotRun(NotRun::LocalLimit));
    if is_dialling || is_own {
        return rows.push(purpose, connection, to, span, end, StepData::Tcp);
    }
    let at_start = Span { to_ms: span.from_ms, ..span };
    rows.push(purpose, connection, to, at_start, implied(), StepData::Tcp);
    if service == Service::Https {
        let tls = handshake(url, trial.response, end.0.is_ok());
        let has_failed = !end.0.is_ok();
        // How a request over TLS failed that may have failed in either step is taken for the handshake's: that is where names are read.
        rows.push(
            purpose,
            connection,
            to,
            at_start,
            if has_failed { end.clone() } else { implied() },
            StepData::Tls(tls),
        );
        if has_failed {
            return;
        }
    }
    rows.push(
        purpose,
        connection,
        to,
        span,
        mismatch(service, trial, end),
        StepData::Http(response(url, trial.response)),
    );
}

fn implied() -> End {
    (Outcome::Ok, Some("implied by the step after it".into()))
}

/// Whether bytes came back that can be told: an error may stand beside them that says only that they were not the expected ones.
fn has_response(service: Service, trial: &Trial<'_>) -> bool {
    match trial.response {
        Json::Object(members) => !members.is_empty(),
        Json::Text(text) => !text.is_empty() && matches!(service, Service::Echo | Service::Discard),
        _ => false,
    }
}

/// Echo gives back what it was sent, and Discard nothing: whatever else comes is not the server's.
fn mismatch(service: Service, trial: &Trial<'_>, end: End) -> End {
    let is_due = trial.matches || !matches!(service, Service::Echo | Service::Discard) || !end.0.is_ok();
    if is_due { end } else { unexpected("something else came than what the protocol gives") }
}

fn handshake(url: &Url, response: &Json<'_>, stood: bool) -> Tls {
    let told = response.get("tls");
    let der = told.get("cert").text().and_then(base64_bytes);
    Tls {
        sni: url.domain().map(str::to_owned),
        version: told.get("version").whole().and_then(version),
        cipher_suite: told.get("cipher_suite").whole::<u16>().map(|suite| format!("0x{suite:04x}")),
        alpn: None,
        bytes_received: u64::from(stood),
        first_bytes: None,
        chain: der.map(|der| Arc::new(Certificate::from_der(der))).into_iter().collect(),
    }
}

/// Versions by their numbers on the wire (RFC 8446, 4.2.1).
fn version(number: u16) -> Option<String> {
    let name = match number {
        0x0301 => "TLSv1",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        _ => return None,
    };
    Some(name.into())
}

fn response(url: &Url, json: &Json<'_>) -> Http {
    let headers = json.get("headers").members().iter().flat_map(|(name, values)| {
        values.elements().iter().filter_map(Json::text).map(|value| (name.to_ascii_lowercase(), value.to_owned()))
    });
    let text = json.get("body").text().or(json.text()).unwrap_or_default();
    let body = &text.as_bytes()[..text.len().min(BODY_KEPT)];
    let status = json.get("status_line").word().and_then(|line| line.split(' ').find_map(|word| word.parse().ok()));
    Http {
        url: url.to_string(),
        status,
        headers: headers.collect(),
        body: (!body.is_empty()).then(|| Arc::from(body)),
        body_length: text.len() as u64,
        body_truncated: text.len() > BODY_KEPT,
        ..Http::default()
    }
}

fn url_of(service: Service, name: &str) -> Option<Url> {
    let bare = name.split_once("://").map_or(name, |(_, bare)| bare);
    let url = Url::parse(&format!("{}://{bare}", service.scheme())).ok()?;
    let is_plain = url.host().is_some() && url.username().is_empty() && url.password().is_none();
    is_plain.then_some(url)
}

/// The protocol in a scan's name (`CP_Quack-echo-2020-08-23-06-01-02`).
fn service_of_scan(name: &str) -> Option<Service> {
    name.split('-').find_map(Service::of)
}

/// The protocol by what came back: headers over TLS or without; other tests keep what they sent as text.
fn service_of_results(results: &[Json<'_>]) -> Option<Service> {
    results.iter().find_map(|result| {
        let received = result.get("Received");
        let has = |key: &str| !received.get(key).is_null();
        match () {
            () if has("tls") => Some(Service::Https),
            () if has("status_line") => Some(Service::Http),
            () if result.get("Error").text().is_some_and(|error| error.contains("echo")) => Some(Service::Echo),
            () => None,
        }
    })
}

/// The host in what was sent: a name alone, or the `Host` of what looks like a request. Some have host and path the wrong way round.
fn sent_host(sent: &str) -> &str {
    let Some(rest) = sent.strip_prefix("GET ") else { return sent.trim() };
    let path = rest.split(' ').next().unwrap_or_default();
    let host = sent.split_once("Host: ").map_or("", |(_, host)| host.split('\r').next().unwrap_or_default());
    if host.starts_with('/') || host.is_empty() { path } else { host }
}

/// Whether a host is that of the name that was tested, which may have a path.
fn is_for(host: &str, name: &str) -> bool {
    let of = |text: &str| {
        let bare = text.split_once("://").map_or(text, |(_, bare)| bare);
        bare.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase()
    };
    of(host) == of(name)
}
