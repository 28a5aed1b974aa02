//! Rules on what the target itself answered, and on requests that went unanswered.

use std::net::IpAddr;

use faultline_record::{Endpoint, Failure, HostName, Http, Observation, Purpose};

use super::{Finding, listed, page};
use crate::features::{Connection, Features};

/// Rounds in which the innocent host must have been answered, as for names in TLS.
const ROUNDS_WANTED: usize = 2;

/// Fires at most one finding: the best thing that any connection of the measurement saw.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let main: Vec<&Connection<'_>> = features.main().filter(|connection| connection.tried()).collect();
    let compared = page::compare(features);
    let is_settled = compared.is_some();
    found.extend(compared);
    if let Some(finding) = features.led_here.iter().find_map(|(row, http)| redirected_to_address(row, http)) {
        found.push(finding);
        return;
    }
    if let Some(row) = features.dead_end {
        found.push(redirect_loop(features, row));
        return;
    }
    if is_settled {
        return;
    }
    if let Some(finding) = best_response(features, &main) {
        found.push(finding);
        return;
    }
    found.extend(main.iter().find_map(|connection| failed_request(features, connection)));
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
            let addresses: Vec<IpAddr> = features.given_by_system().into_iter().collect();
            let rows = features.system.iter().filter(|lookup| lookup.row.outcome.is_ok()).map(|lookup| lookup.row.seq);
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
    let began = row.http().is_some_and(|http| http.status.is_some());
    if let Some(whole) = small_segments(features, connection).filter(|_| began) {
        return Some(Finding::new("http.small_segments_pass", vec![row.seq, whole], fields));
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
    let at = |purpose| {
        let own = move |c: &&Connection<'_>| c.address == connection.address && c.tls.is_none();
        features.with_purpose(purpose).filter(own).filter(|c| c.http_data().is_some())
    };
    let answers = |c: &&Connection<'_>| c.http_data().is_some_and(|http| http.status.is_some());
    let innocent: Vec<&Connection<'_>> = at(Purpose::InnocentHost).collect();
    let own: Vec<&Connection<'_>> = at(Purpose::Main).chain(at(Purpose::Retry)).collect();
    let answered = innocent.iter().copied().filter(answers).count();
    let failed = own.len() - own.iter().copied().filter(answers).count();
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &features.host),
        ("addresses", &connection.address),
        ("failed", &failed),
        ("tries", &own.len()),
        ("failure", &failure),
        ("answered", &answered),
        ("rounds", &innocent.len()),
    ];
    let rows: Vec<u32> = own.iter().chain(&innocent).filter_map(|c| c.http).map(|row| row.seq).collect();
    let finding = |id| Finding::new(id, rows.clone(), fields);
    match (failed == own.len(), own.len() > ROUNDS_WANTED && innocent.len() >= ROUNDS_WANTED) {
        (false, _) => Some(finding("http.transient")),
        (true, true) if answered >= ROUNDS_WANTED => {
            let node = if mechanism == "http.timeout" { mechanism.to_owned() } else { format!("{mechanism}.host") };
            Some(finding("http.host_differential").pointing_at(node))
        }
        (true, true) if answered == 0 => Some(finding("http.any_host_fails").pointing_at(mechanism)),
        (true, _) => None,
    }
}

pub(super) fn rows_of(connection: &Connection<'_>) -> Vec<u32> {
    let rows = [Some(connection.tcp), connection.tls, connection.http];
    rows.into_iter().flatten().filter(|row| row.outcome.not_run().is_none()).map(|row| row.seq).collect()
}
