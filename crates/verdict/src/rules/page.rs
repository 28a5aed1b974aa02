//! Rules on pages in the clear, held against the same request over TLS that is verified.
//!
//! The comparison is OONI's (ooni/spec, ts-017: body proportion, title, uncommon headers), with one difference: theirs is
//! with what a control elsewhere saw, ours with what the site itself said in the same minute, under its own certificate.
//! Any one likeness is enough to call two pages the same: a false alarm costs more than a miss.

use std::collections::BTreeSet;

use faultline_record::{Endpoint, Http};

use super::Finding;
use super::response::{is_redirect, rows_of, verified_response};
use crate::features::{Connection, Features, PlainPage};

/// Bodies whose lengths differ by less are alike (OONI's ts-017: body proportion above 0.7; the science reference,
/// section 4.2: a change of more than 30 % finds 95 % of block pages at 1.4 % false positives).
const ALIKE: f64 = 0.7;
/// Bodies shorter than this are as long as each other by chance: error pages and block pages have some hundred octets (set
/// by hand; OONI's rule knows no such bound).
const TELLING: u64 = 1_024;
/// Words of a title that count: OONI's rule compares words of five letters and more.
const LETTERS: usize = 5;
/// Headers that say nothing about who sent them (those that OONI's ts-017 calls common, and those of every message).
const COMMON: [&str; 24] = [
    "accept-ranges",
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "p3p",
    "pragma",
    "server",
    "set-cookie",
    "transfer-encoding",
    "vary",
    "via",
    "x-content-type-options",
    "x-powered-by",
];

/// What holding a page against its copy shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The same site speaks.
    Same,
    /// Another one does.
    Other,
    /// The site refuses either way.
    Refused,
    /// They cannot be compared.
    Unclear,
}

/// Fires at most one finding. Whether it is the last word on the measurement's response is the caller's matter.
pub(super) fn compare(features: &Features<'_>) -> Option<Finding> {
    features.plain_pages.iter().find_map(|page| {
        let copy = page.copy.as_ref()?;
        match likeness(page.http, copy.http_data()?) {
            Likeness::Other => Some(differs(features, page, copy)),
            // What led to the last hop is no answer of the last hop's.
            Likeness::Same | Likeness::Refused if page.led_on => None,
            Likeness::Same => Some(finding(features, "http.copy_agrees", page, copy)),
            Likeness::Refused => verified_response(features, copy),
            Likeness::Unclear => None,
        }
    })
}

fn differs(features: &Features<'_>, page: &PlainPage<'_>, copy: &Connection<'_>) -> Finding {
    let others = features.given_beside(&BTreeSet::from([copy.address]));
    let is_alone = page
        .row
        .address
        .is_some_and(|address| !others.is_empty() && !others.contains(&address) && address != copy.address);
    if is_alone && !page.led_on {
        return finding(features, "dns.forged_page", page, copy).pointing_at("dns.injection.blockpage");
    }
    let mechanism = if is_redirect(page.http) { "http.redirect" } else { "http.blockpage" };
    finding(features, "http.page_differs", page, copy).pointing_at(mechanism)
}

fn finding(features: &Features<'_>, id: &str, page: &PlainPage<'_>, copy: &Connection<'_>) -> Finding {
    let status = |http: Option<&Http>| http.and_then(|http| http.status).unwrap_or_default();
    let address = page.row.address.map(|address| address.to_string()).unwrap_or_default();
    let host = host(page.http).unwrap_or_else(|| features.host.clone());
    let rows: Vec<u32> = std::iter::once(page.row.seq).chain(rows_of(copy)).collect();
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &host),
        ("status", &status(Some(page.http))),
        ("copy", &status(copy.http_data())),
        ("address", &address),
        ("proven", &copy.address),
    ];
    Finding::new(id, rows, fields)
}

pub(super) fn likeness(page: &Http, copy: &Http) -> Likeness {
    let (Some(in_clear), Some(over_tls)) = (page.status, copy.status) else { return Likeness::Unclear };
    match (in_clear, over_tls) {
        (400.., 400..) => Likeness::Refused,
        // A web server that does not serve a site in the clear says so in its own ways; only 403 is what censors say.
        (_, 400..) | (400..=402 | 404.., _) => Likeness::Unclear,
        _ if is_redirect(page) && is_redirect(copy) => Likeness::Same,
        (_, 300..=399) => Likeness::Unclear,
        _ if is_redirect(page) => redirected(page),
        (300..=399, _) => Likeness::Unclear,
        _ => bodies(page, copy),
    }
}

/// A redirect in the clear, where over TLS there is a page.
fn redirected(page: &Http) -> Likeness {
    let to = page.header("location").and_then(host_of);
    match (host(page), to) {
        (Some(from), Some(to)) if !are_related(&from, &to) => Likeness::Other,
        _ => Likeness::Unclear,
    }
}

pub(super) fn bodies(page: &Http, copy: &Http) -> Likeness {
    if copy.body_length == 0 || mentions_tls(page) {
        return Likeness::Unclear;
    }
    let titles = (title(page), title(copy));
    let has_same_title = matches!(&titles, (Some(one), Some(other)) if share_a_word(one, other));
    let is_as_long = page.body_length.max(copy.body_length) >= TELLING && are_alike(page.body_length, copy.body_length);
    if has_same_title || is_as_long || share_a_header(page, copy) { Likeness::Same } else { Likeness::Other }
}

/// Whether the shorter length is nearly that of the longer.
pub(crate) fn are_alike(one: u64, other: u64) -> bool {
    let (shorter, longer) = (one.min(other), one.max(other));
    #[expect(clippy::cast_precision_loss, reason = "lengths of bodies are far below 2^52")]
    let proportion = shorter as f64 / longer.max(1) as f64;
    proportion >= ALIKE || longer == 0
}

/// A page that sends its visitors to TLS by itself, in markup or script, is no page in another's place.
fn mentions_tls(page: &Http) -> bool {
    let Some(host) = host(page) else { return false };
    text(page).contains(&format!("https://{host}"))
}

fn text(http: &Http) -> String {
    String::from_utf8_lossy(http.body.as_deref().unwrap_or(&[])).to_lowercase()
}

fn title(http: &Http) -> Option<String> {
    if let Some(told) = &http.title {
        return Some(told.to_lowercase());
    }
    let text = text(http);
    let (_, from) = text.split_once("<title")?;
    let (_, from) = from.split_once('>')?;
    let (title, _) = from.split_once("</title")?;
    Some(title.trim().to_owned()).filter(|title| !title.is_empty())
}

fn share_a_word(one: &str, other: &str) -> bool {
    let words = |title: &str| -> BTreeSet<String> {
        let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= LETTERS);
        words.map(str::to_owned).collect()
    };
    one == other || !words(one).is_disjoint(&words(other))
}

fn share_a_header(one: &Http, other: &Http) -> bool {
    let names = |http: &Http| -> BTreeSet<String> {
        let names = http.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        names.filter(|name| !COMMON.contains(&name.as_str())).collect()
    };
    !names(one).is_disjoint(&names(other))
}

fn host(http: &Http) -> Option<String> {
    host_of(&http.url)
}

fn host_of(url: &str) -> Option<String> {
    match Endpoint::parse(url).ok()?.host_and_port().0 {
        faultline_record::HostName::Name(name) => Some(name),
        faultline_record::HostName::Address(address) => Some(address.to_string()),
    }
}

/// Whether two names share their last two labels: `x.example` and `www.x.example`.
fn are_related(one: &str, other: &str) -> bool {
    let last_two = |name: &str| name.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    last_two(one) == last_two(other)
}
