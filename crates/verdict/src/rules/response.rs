//! Rules on what the target itself answered, and on requests that went unanswered.

use std::collections::BTreeSet;
use std::net::IpAddr;

use faultline_record::{Endpoint, Failure, HostName, Http, Observation, Purpose};

use super::turns::{Says, Try, Turns};
use super::{Finding, known, listed, outside, page, span};
use crate::features::{Connection, Features};
use crate::goodput::{has_begun, still_comes};

/// Fires at most one finding: the best thing that any connection of the measurement saw.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let main: Vec<&Connection<'_>> = features.main().filter(|connection| connection.tried()).collect();
    let pages = pages(features, found);
    if pages == Pages::Known {
        return;
    }
    if let Some(finding) = features.led_here.iter().find_map(|(row, http)| redirected_to_address(row, http)) {
        found.push(finding);
        return;
    }
    if let Some(row) = features.dead_end {
        found.push(redirect_loop(features, row));
        return;
    }
    if pages == Pages::Told {
        return;
    }
    if let Some(finding) = best_response(features, &main) {
        found.push(finding);
        return;
    }
    found.extend(main.iter().find_map(|connection| failed_request(features, connection)));
}

/// Whether what was found of pages in the clear is the last word on the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    /// It is not.
    Open,
    /// It is, but for redirects that lead nowhere.
    Told,
    /// It is, wherever redirects lead: somebody's block page is known.
    Known,
}

/// Pages in the clear: beside their copies over TLS, beside what is known, beside what a helper was shown.
fn pages(features: &Features<'_>, found: &mut Vec<Finding>) -> Pages {
    let compared = page::compare(features);
    let known = known::page(features, compared.as_ref());
    let compared = compared.filter(|finding| !known::denies(known.as_ref(), finding));
    let (is_told, is_known) = (compared.is_some(), known.as_ref().is_some_and(|finding| finding.rule.determinate));
    found.extend(compared.into_iter().chain(known));
    if is_told || is_known {
        return if is_known { Pages::Known } else { Pages::Told };
    }
    let outside = outside::compare(features);
    let differs = outside.as_ref().is_some_and(|finding| finding.rule.id == "control.page_differs");
    found.extend(outside);
    if differs { Pages::Told } else { Pages::Open }
}

fn best_response(features: &Features<'_>, main: &[&Connection<'_>]) -> Option<Finding> {
    // What was only to shake hands is not judged by the page that an import has beside it.
    let wants_a_page = matches!(features.measurement.target.endpoint, Endpoint::Web(_));
    let over_tls = main.iter().filter(|connection| wants_a_page && connection.verified());
    let mut responses: Vec<Finding> =
        over_tls.filter_map(|connection| verified_response(features, connection)).collect();
    responses.sort_by(|a, b| a.rule.likelihoods.ok.total_cmp(&b.rule.likelihoods.ok).reverse());
    responses.into_iter().next().or_else(|| without_request(features, main)).or_else(|| plain(features, main))
}

pub(super) fn verified_response(features: &Features<'_>, connection: &Connection<'_>) -> Option<Finding> {
    let row = connection.http?;
    let http = connection.http_data()?;
    let status = http.status?;
    let rows = rows_of(connection);
    let fields: &[(&str, &dyn std::fmt::Display)] = &[("host", &features.host), ("status", &status)];
    let id = match status {
        _ if row.outcome.failure().is_some() => return None,
        401 | 403 | 407 | 429 | 451 => "http.server_refuses",
        503 if is_challenge(http) => "http.server_refuses",
        500..=599 => "http.server_error",
        _ => "http.verified_response",
    };
    Some(Finding::new(id, rows, fields))
}

/// A CDN's challenge page: the server's own refusal, though the status says "unavailable".
fn is_challenge(http: &Http) -> bool {
    let has = |name| http.header(name).is_some();
    has("cf-mitigated") || (has("cf-chl-bypass") && !has("retry-after"))
}

fn redirect_loop(features: &Features<'_>, row: &Observation) -> Finding {
    let failure = row.outcome.failure().map_or("", Failure::name);
    Finding::new("http.redirect_loop", vec![row.seq], &[("host", &features.host), ("failure", &failure)])
}

/// Endpoints that end before a request: `tls://`, `tcp://`, `dns://`.
fn without_request(features: &Features<'_>, main: &[&Connection<'_>]) -> Option<Finding> {
    let target = &features.measurement.target;
    let host: &[(&str, &dyn std::fmt::Display)] = &[("host", &features.host)];
    match &target.endpoint {
        // `quic` and `vpn` have rules of their own.
        Endpoint::Web(_) | Endpoint::Quic { .. } | Endpoint::Vpn { .. } | Endpoint::Foreign(_) => None,
        Endpoint::Tls { .. } => main.iter().find_map(|connection| {
            let private = target.private_ca && connection.tls_failure() == Some(Failure::SslUnknownAuthority);
            let id = match connection.verified() {
                true => "tls.verified_handshake",
                false if private => "tls.private_ca_handshake",
                false => return None,
            };
            Some(Finding::new(id, rows_of(connection), host))
        }),
        Endpoint::Tcp { .. } => {
            let connected = main.iter().find(|connection| connection.tcp.outcome.is_ok())?;
            Some(Finding::new("tcp.connected", rows_of(connected), host))
        }
        Endpoint::Dns { .. } => {
            // An answer that cannot be genuine has addresses, too.
            let good = || features.system.iter().filter(|lookup| lookup.row.outcome.is_ok());
            let addresses: BTreeSet<IpAddr> = good().flat_map(|lookup| lookup.dns.addresses()).collect();
            let addresses: Vec<IpAddr> = addresses.into_iter().collect();
            let rows = good().map(|lookup| lookup.row.seq);
            let fields: &[(&str, &dyn std::fmt::Display)] =
                &[("host", &features.host), ("addresses", &listed(&addresses))];
            (!addresses.is_empty()).then(|| Finding::new("dns.answered", rows.collect(), fields))
        }
    }
}

/// A response over a connection without TLS.
fn plain(features: &Features<'_>, main: &[&Connection<'_>]) -> Option<Finding> {
    // Of a name that nobody else knows there is no site that could have answered.
    if features.is_ghost() {
        return None;
    }
    let mut unencrypted = main.iter().filter(|connection| connection.tls.is_none());
    unencrypted.find_map(|connection| plain_response(features, connection))
}

fn plain_response(features: &Features<'_>, connection: &Connection<'_>) -> Option<Finding> {
    let row = connection.http?;
    let http = connection.http_data()?;
    let status = http.status?;
    if let Some(finding) = redirected_to_address(row, http) {
        return Some(finding);
    }
    let id = match status {
        _ if row.outcome.failure().is_some() => return None,
        400..=599 => "http.plain_refusal",
        _ => "http.plain_response",
    };
    Some(Finding::new(id, rows_of(connection), &[("host", &features.host), ("status", &status)]))
}

/// A redirect, in the clear, from a name to a literal address.
fn redirected_to_address(row: &Observation, http: &Http) -> Option<Finding> {
    let location = http.header("location").filter(|_| is_redirect(http))?;
    let (from, to) = (literal_or_name(&http.url)?, literal_or_name(location)?);
    let (HostName::Name(host), HostName::Address(_)) = (from, to) else { return None };
    let fields: &[(&str, &dyn std::fmt::Display)] = &[("host", &host), ("location", &location)];
    Some(Finding::new("http.redirect_to_address", vec![row.seq], fields).pointing_at("http.redirect"))
}

/// A redirect that clients follow (RFC 9110, 15.4).
pub(super) fn is_redirect(http: &Http) -> bool {
    matches!(http.status, Some(301 | 302 | 303 | 307 | 308))
}

fn literal_or_name(url: &str) -> Option<HostName> {
    Endpoint::parse(url).ok().map(|endpoint| endpoint.host_and_port().0)
}

/// A request that was sent and got no usable response.
fn failed_request(features: &Features<'_>, connection: &Connection<'_>) -> Option<Finding> {
    let row = connection.http?;
    let failure = row.outcome.failure()?;
    let fields: &[(&str, &dyn std::fmt::Display)] = &[("host", &features.host), ("failure", &failure)];
    let began = row.http().is_some_and(has_begun);
    if still_comes(row) {
        return Some(slow_response(features, row));
    }
    if let Some(whole) = small_segments(features, connection).filter(|_| began) {
        return Some(Finding::new("http.small_segments_pass", vec![row.seq, whole], fields));
    }
    if let Some(later) = later_response(features, connection) {
        return Some(Finding::new("http.later_response", vec![row.seq, later], fields));
    }
    if connection.tls.is_some() {
        let finding = Finding::new("http.failure_inside_tls", vec![row.seq], fields);
        return Some(match failure {
            Failure::GenericTimeoutError if began => finding.pointing_at("tls.freeze"),
            Failure::GenericTimeoutError => finding.pointing_at("http.timeout"),
            _ => finding,
        });
    }
    let (id, mechanism) = match failure {
        Failure::ConnectionReset | Failure::ConnectionAborted => ("http.plain_reset", "http.reset"),
        Failure::GenericTimeoutError | Failure::TimedOut => ("http.plain_timeout", "http.timeout"),
        Failure::EofError => ("http.plain_close", "http.close"),
        _ => return None,
    };
    let differential = host_differential(features, connection, failure, mechanism);
    differential.or_else(|| Some(Finding::new(id, vec![row.seq], fields).pointing_at(mechanism)))
}

/// The row of a whole response inside TLS that a later connection to the same address brought, if one did.
fn later_response(features: &Features<'_>, connection: &Connection<'_>) -> Option<u32> {
    let at = |c: &&Connection<'_>| c.address == connection.address && connection.tls.is_some();
    let mut later = features.with_purpose(Purpose::Retry).filter(at).filter(|c| is_answered_inside_tls(c));
    later.find_map(|c| c.http.map(|row| row.seq))
}

/// Whether a response came whole over a connection whose certificate is valid for the name.
pub(super) fn is_answered_inside_tls(connection: &Connection<'_>) -> bool {
    let is_whole = connection.http.is_some_and(|row| row.outcome.is_ok());
    connection.verified() && is_whole && connection.http_data().is_some_and(|http| http.status.is_some())
}

/// A response that went on when its time was up.
fn slow_response(features: &Features<'_>, row: &Observation) -> Finding {
    let bytes = row.http().map_or(0, |http| http.body_length);
    let seconds = format!("{:.0}", span(row) / 1_000.0);
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("bytes", &bytes), ("seconds", &seconds)];
    Finding::new("http.slow_response", vec![row.seq], fields)
}

/// The row of the whole response that came from the same address in small segments, if one did.
fn small_segments(features: &Features<'_>, connection: &Connection<'_>) -> Option<u32> {
    let at = |c: &&Connection<'_>| c.address == connection.address && c.tls.is_some() == connection.tls.is_some();
    let mut requests = features.with_purpose(Purpose::SmallSegments).filter(at).filter_map(|c| c.http);
    requests.find(|row| row.outcome.is_ok()).map(|row| row.seq)
}

/// The same address, requests for the target's host and for an innocent one, alternating.
fn host_differential(
    features: &Features<'_>,
    connection: &Connection<'_>,
    failure: Failure,
    mechanism: &str,
) -> Option<Finding> {
    let turns = host_turns(features, connection.address);
    let node = if mechanism == "http.timeout" { mechanism.to_owned() } else { format!("{mechanism}.host") };
    let (id, node) = match turns.say() {
        Says::Always => ("http.host_differential", Some(node)),
        Says::Often => ("http.host_often", Some(node)),
        Says::Sometimes => ("http.host_sometimes", Some(node)),
        Says::AnyFails => ("http.any_host_fails", Some(mechanism.to_owned())),
        Says::Recovers => ("http.transient", None),
        Says::Nothing => return None,
    };
    let finding = turns.finding(id, &features.host, connection.address, Some(failure));
    Some(match node {
        Some(node) => finding.pointing_at(node),
        None => finding,
    })
}

/// Plain requests at one address for the target's host and for an innocent one.
fn host_turns(features: &Features<'_>, address: IpAddr) -> Turns {
    let of = |purpose| {
        let own = move |c: &&Connection<'_>| c.address == address && c.tls.is_none();
        let one = |c: &Connection<'_>| {
            // Imports may tell that a response came and not which.
            let answered = c.http_data()?.status.is_some() || c.http?.outcome.is_ok();
            Some(Try { seq: c.http?.seq, answered, failed: !answered })
        };
        features.with_purpose(purpose).filter(own).filter_map(one).collect()
    };
    Turns { main: of(Purpose::Main), own: of(Purpose::Retry), innocent: of(Purpose::InnocentHost) }
}

pub(super) fn rows_of(connection: &Connection<'_>) -> Vec<u32> {
    let rows = [Some(connection.tcp), connection.tls, connection.http];
    rows.into_iter().flatten().filter(|row| row.outcome.not_run().is_none()).map(|row| row.seq).collect()
}
