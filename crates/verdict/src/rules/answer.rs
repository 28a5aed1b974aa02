//! Rules on answers that only the system's resolver gives: to a name that nobody else knows, or with the address of a
//! proxy that passes on whatever it is asked for.

use std::net::IpAddr;

use faultline_record::{Outcome, Purpose};

use super::{Finding, listed};
use crate::features::{Connection, Features, Lookup, is_denial, resolver_names};

/// Strangers that a proxy must have answered for: two, which no one network serves both of.
const STRANGERS: usize = 2;

/// Fires on answers that stand alone.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    found.extend(ghost(features));
    found.extend(proxy(features));
}

fn ghost(features: &Features<'_>) -> Option<Finding> {
    if !features.is_ghost() {
        return None;
    }
    let deniers: Vec<&Lookup<'_>> = features.others.iter().filter(|lookup| lookup.answered()).collect();
    let random = features.random.first();
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &features.host),
        ("forged", &listed(features.given_by_system())),
        ("others", &resolver_names(&deniers)),
        ("random", &random.map_or("", |lookup| lookup.dns.hostname.as_str())),
    ];
    let rows = features.system.iter().chain(&features.others).chain(random).map(|lookup| lookup.row.seq).collect();
    let finding = |id| Finding::new(id, rows, fields);
    match random.map(|lookup| lookup.row.outcome) {
        Some(Outcome::Ok) => Some(finding("dns.every_name_answered")),
        Some(Outcome::Failed(failure)) if is_denial(failure) => {
            Some(finding("dns.answer_for_denied_name").pointing_at(mechanism(features)))
        }
        _ => Some(finding("dns.answer_unshared").pointing_at(mechanism(features))),
    }
}

/// What is there in place of a site that does not exist: a page, or nothing.
fn mechanism(features: &Features<'_>) -> &'static str {
    let has_page = features.main().any(|c| c.http_data().is_some_and(|http| http.status.is_some()));
    if has_page { "dns.injection.blockpage" } else { "dns.injection.other" }
}

fn proxy(features: &Features<'_>) -> Option<Finding> {
    let asked: Vec<&Connection<'_>> = features.with_purpose(Purpose::ProxyCheck).collect();
    let address: IpAddr = asked.first()?.address;
    let is_answered = |c: &&&Connection<'_>| match (c.tls, c.http) {
        (Some(tls), _) => tls.outcome.is_ok(),
        (None, http) => http.is_some_and(|row| row.outcome.is_ok()),
    };
    if asked.iter().filter(is_answered).count() < STRANGERS {
        return None;
    }
    let names = asked.iter().filter_map(|c| match (c.tls_data(), c.http_data()) {
        (Some(tls), _) => tls.sni.clone(),
        (None, http) => http.map(|http| http.url.clone()),
    });
    let fields: &[(&str, &dyn std::fmt::Display)] =
        &[("host", &features.host), ("forged", &address), ("strangers", &listed(names))];
    let system = features.system.iter().map(|lookup| lookup.row.seq);
    let rows = system.chain(asked.iter().filter_map(|c| c.tls.or(c.http)).map(|row| row.seq)).collect();
    Some(Finding::new("dns.proxy_proven", rows, fields).pointing_at("dns.injection.other"))
}
