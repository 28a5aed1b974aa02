//! Rules on what fingerprints know: answers to questions, and pages in the clear. Over TLS that is verified the site speaks
//! itself, whatever its page looks like.

use std::collections::BTreeSet;
use std::fmt::Display;

use faultline_record::{DnsAnswer, DnsRecord, Engine, Failure, Http, Observation};

use super::Finding;
use super::response::is_redirect;
use crate::features::{Features, Lookup};
use crate::fingerprint::{Fingerprint, Fingerprints, Meaning};

/// What fingerprints know of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    page: Option<KnownPage<'a>>,
    answers: Vec<KnownAnswer<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct KnownPage<'a> {
    row: &'a Observation,
    http: &'a Http,
    fingerprint: &'a Fingerprint,
    meaning: Meaning,
}

#[derive(Clone, Copy, Debug)]
struct KnownAnswer<'a> {
    lookup: Lookup<'a>,
    record: &'a DnsRecord,
    fingerprint: &'a Fingerprint,
    meaning: Meaning,
}

impl<'a> Known<'a> {
    /// Holds a measurement against fingerprints.
    pub fn of(features: &Features<'a>, fingerprints: &'a Fingerprints) -> Self {
        if fingerprints.is_empty() {
            return Self::default();
        }
        Self { page: known_page(features, fingerprints), answers: known_answers(features, fingerprints) }
    }
}

/// The page in the clear of which most is known, of the last hop's and of those that led there.
fn known_page<'a>(features: &Features<'a>, fingerprints: &'a Fingerprints) -> Option<KnownPage<'a>> {
    let country = features.measurement.network.country.as_deref();
    let here = features.main().filter(|connection| connection.tls.is_none()).filter_map(|connection| connection.http);
    let rows = features.led_here.iter().map(|(row, _)| *row).chain(here);
    let responses = rows.filter_map(|row| Some((row, row.http()?))).filter(|(_, http)| http.status.is_some());
    let known = responses.filter_map(|(row, http)| {
        let (fingerprint, meaning) = fingerprints.of_page(http, country)?;
        Some(KnownPage { row, http, fingerprint, meaning })
    });
    known.max_by_key(|page| page.meaning)
}

/// Answers that are known, but for addresses that are the name's own: by certificate, or over HTTPS, where nobody answers in
/// a resolver's place. A false positive among addresses vouches for the address.
fn known_answers<'a>(features: &Features<'a>, fingerprints: &'a Fingerprints) -> Vec<KnownAnswer<'a>> {
    let country = features.measurement.network.country.as_deref();
    let own: BTreeSet<_> = features.proven().union(&features.given_over_https()).copied().collect();
    let is_foreign = |answer: &&'a DnsAnswer| match answer.record {
        DnsRecord::Address(address) => !own.contains(&address),
        _ => true,
    };
    let open = features.others.iter().filter(|lookup| lookup.dns.engine != Engine::Doh);
    let of = |lookup: &Lookup<'a>| {
        let lookup = *lookup;
        lookup.dns.answers.iter().filter(is_foreign).filter_map(move |answer| {
            let (fingerprint, meaning) = fingerprints.of_answer(&answer.record, country)?;
            Some(KnownAnswer { lookup, record: &answer.record, fingerprint, meaning })
        })
    };
    features.system.iter().chain(open).flat_map(of).filter(|answer| answer.meaning != Meaning::Benign).collect()
}

/// Fires on answers.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let strongest = features.known.answers.iter().map(|answer| answer.meaning).max();
    let mut alike = features.known.answers.iter().filter(|answer| Some(answer.meaning) == strongest);
    let Some(first) = alike.next() else { return };
    let mut rows = BTreeSet::from([first.lookup.row.seq]);
    rows.extend(alike.filter(|answer| answer.record == first.record).map(|answer| answer.lookup.row.seq));
    let id = match first.meaning {
        Meaning::Settles => "dns.known_answer",
        Meaning::Resembles | Meaning::Benign => "dns.resembles_known_answer",
    };
    let forged = match first.record {
        DnsRecord::Address(address) => address.to_string(),
        DnsRecord::Cname(name) => name.clone(),
        DnsRecord::Empty => return,
    };
    let resolver = match first.lookup.dns.engine {
        Engine::System => "the system's resolver",
        _ => first.lookup.dns.resolver.as_str(),
    };
    let fields: &[(&str, &dyn Display)] = &[
        ("host", &features.host),
        ("forged", &forged),
        ("resolver", &resolver),
        ("country", &first.fingerprint.expected_in()),
        ("fingerprint", &first.fingerprint.name()),
    ];
    let is_bogon = first.lookup.row.outcome.failure() == Some(Failure::DnsBogonError);
    let node = if is_bogon { "dns.injection.bogon" } else { "dns.injection.blockpage" };
    found.push(Finding::new(id, rows.into_iter().collect(), fields).pointing_at(node));
}

/// What is known of a page, unless the site itself says the same under its own certificate.
pub(super) fn page(features: &Features<'_>, compared: Option<&Finding>) -> Option<Finding> {
    let known = features.known.page.filter(|_| compared.is_none_or(|finding| finding.rule.group != "response"))?;
    let id = match known.meaning {
        Meaning::Settles => "http.known_blockpage",
        Meaning::Resembles => "http.resembles_blockpage",
        Meaning::Benign => "http.known_benign_page",
    };
    let fields: &[(&str, &dyn Display)] = &[
        ("host", &features.host),
        ("status", &known.http.status.unwrap_or_default()),
        ("country", &known.fingerprint.expected_in()),
        ("fingerprint", &known.fingerprint.name()),
    ];
    let finding = Finding::new(id, vec![known.row.seq], fields);
    Some(if known.meaning == Meaning::Benign { finding } else { finding.pointing_at(mechanism(features, &known)) })
}

/// Whether what is known of a page takes away what a comparison made of it.
pub(super) fn denies(known: Option<&Finding>, compared: &Finding) -> bool {
    known.is_some_and(|finding| finding.rule.id == "http.known_benign_page")
        && matches!(compared.rule.id.as_str(), "http.page_differs" | "dns.forged_page")
}

/// Whose work it is: the resolver's that sent us there, or somebody's on the way to the site.
fn mechanism(features: &Features<'_>, page: &KnownPage<'_>) -> &'static str {
    let proven = features.proven();
    let others = features.given_beside(&proven);
    let is_alone = |address| !others.is_empty() && !others.contains(&address) && !proven.contains(&address);
    let is_answer = |address| features.known.answers.iter().any(|a| *a.record == DnsRecord::Address(address));
    match page.row.address {
        Some(address) if is_answer(address) || (!proven.is_empty() && is_alone(address)) => "dns.injection.blockpage",
        _ if is_redirect(page.http) => "http.redirect",
        _ => "http.blockpage",
    }
}
