//! Rules on pages in the clear beside what a helper outside was shown, in the same minute.
//!
//! The comparison is that of [`super::page`], and weaker: sites show other pages to other countries. So only pages of the same
//! good status are compared, and nothing here settles anything.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;

use faultline_record::{Http, Observation};

use super::Finding;
use super::page::{Likeness, bodies};
use crate::features::{Features, Helper};

/// Fires at most one finding, on the last page in the clear.
pub(super) fn compare(features: &Features<'_>) -> Option<Finding> {
    let helper = features.helper.as_ref()?;
    let here = features.plain_pages.iter().find(|page| !page.led_on)?;
    let (row, http) = shown(helper, here.http)?;
    let is_compared = here.row.outcome.is_ok() && row.outcome.is_ok();
    let is_page = here.http.status == http.status && matches!(http.status, Some(200..=299));
    // The query of a redirect's destination was not told to the helper.
    let is_same_question = here.row.hop == 0 || !here.http.url.contains('?');
    if !(is_compared && is_page && is_same_question) {
        return None;
    }
    let finding = |id| finding(id, features, (here.row, here.http), (row, http));
    match bodies(here.http, http) {
        Likeness::Same if here.row.hop == 0 => Some(finding("control.page_agrees")),
        // A helper of old tells no headers: one likeness less to find.
        Likeness::Other if !http.headers.is_empty() => {
            Some(finding("control.page_differs").pointing_at(mechanism(features, helper, here.row)))
        }
        _ => None,
    }
}

/// What the helper was shown for the same URL at an address of its own resolver's (or the URL's own). At one that only the
/// vantage was given it sees what is there, a block page's server included.
fn shown<'a>(helper: &Helper<'a>, here: &Http) -> Option<(&'a Observation, &'a Http)> {
    let told = told(helper);
    let is_own = |row: &&Observation| helper.lookups.is_empty() || row.address.is_some_and(|own| told.contains(&own));
    let requests = helper.connections.iter().filter_map(|connection| connection.http).filter(is_own);
    let mut responses = requests.filter_map(|row| Some((row, row.http()?)));
    responses.find(|(_, http)| http.url == here.url && http.status.is_some())
}

/// Addresses that the helper's resolver gave.
fn told(helper: &Helper<'_>) -> BTreeSet<IpAddr> {
    helper.lookups.iter().flat_map(|lookup| lookup.dns.addresses()).collect()
}

fn finding(id: &str, features: &Features<'_>, here: (&Observation, &Http), there: (&Observation, &Http)) -> Finding {
    let fields: &[(&str, &dyn Display)] = &[
        ("host", &features.host),
        ("status", &here.1.status.unwrap_or_default()),
        ("here", &here.1.body_length),
        ("there", &there.1.body_length),
    ];
    Finding::new(id, vec![here.0.seq, there.0.seq], fields)
}

/// Whose work it would be: the resolver's, where nobody else was given the address, else somebody's on the way.
fn mechanism(features: &Features<'_>, helper: &Helper<'_>, here: &Observation) -> &'static str {
    let others: BTreeSet<IpAddr> = features.given_by_others().union(&told(helper)).copied().collect();
    let is_alone = here.address.is_some_and(|address| !others.is_empty() && !others.contains(&address));
    if is_alone { "dns.injection.blockpage" } else { "http.blockpage" }
}
