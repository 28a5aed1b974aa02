//! Rules on the page that a helper of another tool's saw. OONI's test helper fetches the page over a connection that it does not tell,
//! redirects followed, and tells its status, length, title and headers.
//!
//! As for our own helper: an absent control says nothing, and nothing here is determinate.

use std::fmt::Display;

use faultline_record::{Failure, Http, Observation, Purpose};

use super::page::{Likeness, likeness};
use super::{Finding, handshake, listed};
use crate::features::{Connection, Features, is_denial};

/// Fires at most one finding, where nothing else of the control's was to be held against the vantage's rows.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let Some((row, http)) = page(features) else { return };
    if let Some(denied) = denied(features) {
        return found.push(denied);
    }
    if found.iter().any(|finding| finding.rule.group == "control") {
        return;
    }
    let served = row.outcome.is_ok() && http.status.is_some_and(|status| status < 400);
    if let Some(place) = found.iter().position(|finding| served && finding.rule.id == "http.server_error") {
        // The server answers us under its own certificate, and others with a page: it is not broken, it refuses.
        let refused = refuses(features, &found.remove(place), row);
        return found.push(refused);
    }
    if let Some(finding) = differs(features, row, http, found) {
        found.retain(|other| other.rule.id != "http.plain_response");
        return found.push(finding);
    }
    let works = found.iter().any(|finding| finding.rule.group == "response");
    if let Some((failed, failure)) = failed(features).filter(|_| !works) {
        let reached = row.outcome.is_ok() && http.status.is_some_and(|status| status < 500);
        let fails = row.outcome.failure().is_some();
        match (reached, fails) {
            (true, _) => {
                let mut reached = finding(features, "control.page_reached", failed, failure, row);
                let guess = found.iter().position(|other| other.rule.id == "dns.failure_everywhere");
                reached.mechanism = guess.and_then(|place| found.remove(place).mechanism);
                found.push(reached);
            }
            (false, true) => {
                // What is a guess for want of a control has no say beside one.
                found.retain(|other| other.rule.id != "target.rarely_down");
                found.push(finding(features, "control.page_fails", failed, failure, row));
            }
            (false, false) => {}
        }
    }
}

/// What a helper that answered says of the page: the second of its rows that belong to no connection, after the errand's.
fn page<'a>(features: &Features<'a>) -> Option<(&'a Observation, &'a Http)> {
    let rows = features.measurement.observations.iter().filter(|row| row.purpose == Purpose::Helper);
    let (mut loose, bound): (Vec<_>, Vec<_>) =
        rows.filter_map(|row| Some((row, row.http()?))).partition(|(row, _)| row.connection.is_none());
    if !bound.is_empty() {
        // A helper of ours tells the connection: the other rules look at it.
        return None;
    }
    let mut loose = loose.drain(..);
    loose.next().filter(|(errand, _)| errand.outcome.is_ok())?;
    loose.next()
}

fn refuses(features: &Features<'_>, error: &Finding, page: &Observation) -> Finding {
    let is_ours = |row: &&Observation| error.observations.contains(&row.seq);
    let mut responses = features.measurement.observations.iter().filter(is_ours).filter_map(Observation::http);
    let status = responses.find_map(|http| http.status).unwrap_or_default();
    let rows = error.observations.iter().copied().chain([page.seq]).collect();
    Finding::new("http.server_refuses", rows, &[("host", &features.host), ("status", &status)])
}

/// A name that only the resolver here answers for, and the helper's denies as the others do.
fn denied(features: &Features<'_>) -> Option<Finding> {
    let mut lookups = features.helper.as_ref().filter(|_| features.is_ghost())?.lookups.iter();
    let denied = lookups.find(|lookup| lookup.row.outcome.failure().is_some_and(is_denial))?;
    let fields: &[(&str, &dyn Display)] = &[("host", &features.host), ("given", &listed(features.given_by_system()))];
    Some(Finding::new("control.name_unknown", vec![denied.row.seq], fields))
}

/// A page in the clear that shares nothing with the helper's.
fn differs(features: &Features<'_>, row: &Observation, seen: &Http, found: &[Finding]) -> Option<Finding> {
    let is_plain = found.iter().any(|finding| finding.rule.id == "http.plain_response");
    let page = features.plain_pages.iter().find(|page| !page.led_on && is_plain)?;
    let is_comparable = row.outcome.is_ok() && page.row.outcome.is_ok() && seen.status.is_some();
    if !is_comparable || likeness(page.http, seen) != Likeness::Other {
        return None;
    }
    let status = page.http.status.unwrap_or_default();
    let fields: &[(&str, &dyn Display)] = &[("host", &features.host), ("status", &status)];
    Some(Finding::new("control.page_unlike", vec![page.row.seq, row.seq], fields).pointing_at("http.blockpage"))
}

/// The step at which the vantage's last hop ended: a name that was not resolved, else a connection that failed and was not made good.
fn failed<'a>(features: &Features<'a>) -> Option<(&'a Observation, Failure)> {
    let of = |row: &'a Observation| Some((row, row.outcome.failure()?));
    let good = |c: &Connection<'_>| {
        features.recovered(c.address, |retry| retry.tcp.outcome.is_ok()) && c.tcp.outcome.failure().is_some()
            || features.recovered(c.address, handshake::spoke) && c.tls_failure().is_some()
    };
    let mut connections = features.main().filter(|c| c.tried() && !good(c)).peekable();
    if connections.peek().is_none() {
        return features.system.first().and_then(|lookup| of(lookup.row));
    }
    connections.find_map(|c| of(c.tcp).or_else(|| c.tls.and_then(of)).or_else(|| c.http.and_then(of)))
}

fn finding(features: &Features<'_>, id: &str, failed: &Observation, failure: Failure, page: &Observation) -> Finding {
    let helpers = page.outcome.failure().map_or("", Failure::name);
    let status = page.http().and_then(|http| http.status).unwrap_or_default();
    let fields: &[(&str, &dyn Display)] =
        &[("host", &features.host), ("failure", &failure), ("helpers", &helpers), ("status", &status)];
    Finding::new(id, vec![failed.seq, page.seq], fields)
}
