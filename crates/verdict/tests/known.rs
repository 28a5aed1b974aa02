//! What is said where a fingerprint matches: at home, abroad, beside the site's own word.

#![allow(clippy::unwrap_used, reason = "a broken fixture may panic")]

mod world;

use std::sync::Arc;

use faultline_record::{Engine, Failure, Http, Outcome, Purpose};
use faultline_verdict::{Cause, Fingerprint, Fingerprints, Row, State, Verdict, judge, judge_with, no_regexps};
use world::{GENUINE, World, failed, fired, healthy, is};

const BLOCK: &str = "203.0.113.66";

/// A country's page and address, a product's, and a page that is no block page.
fn fingerprints() -> Fingerprints {
    let mut all = Fingerprints::default();
    let row = |name, scope, location_found, pattern| Row {
        name,
        scope,
        location_found,
        pattern_type: "contains",
        pattern,
        expected_countries: "PK",
    };
    for row in [
        row("t.page", "nat", "body", "blocked by order"),
        row("t.redirect", "isp", "header.location", "://block.example/"),
        row("t.product", "prod", "body", "SuperFilter"),
        row("t.parking", "fp", "body", "this domain is parked"),
        row("t.answer", "nat", "dns", BLOCK),
        row("t.private", "nat", "dns", "10.9.8.7"),
    ] {
        all.push(Fingerprint::new(&row, no_regexps).unwrap());
    }
    all
}

fn judged(world: World, country: Option<&str>) -> Verdict {
    let mut measurement = world.done();
    measurement.network.country = country.map(str::to_owned);
    judge_with(&fingerprints(), &measurement, &healthy())
}

fn page(url: &str, status: u16, body: &str) -> Http {
    let bytes = Arc::from(body.as_bytes());
    Http { url: url.into(), status: Some(status), body: Some(bytes), body_length: body.len() as u64, ..Http::default() }
}

fn shown(body: &str) -> World {
    let start = World::measuring("http://site.example/").system_says(GENUINE).others_say(GENUINE);
    start.plain(GENUINE, Outcome::Ok, page("http://site.example/", 200, body))
}

#[test]
fn a_countrys_own_block_page_is_blocked_there_and_a_likeness_elsewhere() {
    let there = judged(shown("<h1>blocked by order</h1>"), Some("PK"));
    is(&there, State::Blocked, Cause::Interference, &["http.blockpage"]);
    assert!(there.evidence[0].text.contains("t.page") && there.evidence[0].text.contains("PK"), "{there:#?}");
    for country in [Some("IT"), None] {
        let elsewhere = judged(shown("<h1>blocked by order</h1>"), country);
        is(&elsewhere, State::Ok, Cause::None, &[]);
        assert!(fired(&elsewhere, "http.resembles_blockpage"));
    }
}

#[test]
fn without_fingerprints_the_same_facts_say_what_they_said() {
    let verdict = judge(&shown("<h1>blocked by order</h1>").done(), &healthy());
    is(&verdict, State::Ok, Cause::None, &[]);
}

#[test]
fn a_products_page_settles_nothing_even_at_home() {
    let verdict = judged(shown("SuperFilter"), Some("PK"));
    is(&verdict, State::Ok, Cause::None, &[]);
    assert!(fired(&verdict, "http.resembles_blockpage"));
}

fn copied(world: World, body: &str) -> World {
    let copy = page("https://site.example/", 200, body);
    world.requests(Purpose::HttpsCopy, GENUINE, Outcome::Ok, copy, 10.0)
}

#[test]
fn a_site_that_says_the_same_under_its_own_certificate_is_quoting() {
    let body = format!("<title>News of today</title> the page said: blocked by order {}", "x".repeat(3_000));
    let verdict = judged(copied(shown(&body), &body), Some("PK"));
    is(&verdict, State::Ok, Cause::None, &[]);
    assert!(!fired(&verdict, "http.known_blockpage"), "{verdict:#?}");
}

#[test]
fn a_page_that_is_known_to_be_benign_takes_the_comparison_back() {
    let genuine = format!("<title>Rivers of Europe</title>{}", "x".repeat(4_000));
    let differs = judged(copied(shown("other"), &genuine), Some("PK"));
    assert!(fired(&differs, "http.page_differs"), "{differs:#?}");
    let benign = judged(copied(shown("this domain is parked; blocked by order"), &genuine), Some("PK"));
    is(&benign, State::Ok, Cause::None, &[]);
    assert!(fired(&benign, "http.known_benign_page") && !fired(&benign, "http.page_differs"), "{benign:#?}");
    assert!(!fired(&benign, "http.known_blockpage"), "{benign:#?}");
}

#[test]
fn a_redirect_to_a_block_page_counts_whatever_certificate_the_block_page_has() {
    let headers = vec![("location".to_owned(), "https://block.example/why".to_owned())];
    let redirect = Http { headers, ..page("http://site.example/", 302, "") };
    let world = World::measuring("http://site.example/").system_says(GENUINE).others_say(GENUINE);
    let world = world.plain(GENUINE, Outcome::Ok, redirect).next_hop().responds(Purpose::Main, BLOCK, 200);
    is(&judged(world, Some("PK")), State::Blocked, Cause::Interference, &["http.redirect"]);
}

#[test]
fn a_page_of_the_sites_own_over_tls_is_not_looked_at() {
    let world = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let world = world.tls(Purpose::Main, GENUINE, Outcome::Ok, world::heard());
    let http = page("https://site.example/", 200, "blocked by order");
    is(&judged(world.then_request(Purpose::Main, GENUINE, Outcome::Ok, http), Some("PK")), State::Ok, Cause::None, &[]);
}

fn answered(address: &str, outcome: Outcome) -> World {
    let world = World::measuring("https://site.example/").says(Engine::System, "system", address, outcome);
    world.others_fail(Failure::GenericTimeoutError)
}

#[test]
fn a_countrys_own_forged_answer_is_blocked_there_though_nobody_else_could_be_asked() {
    let silent = failed(Failure::GenericTimeoutError);
    let there = judged(answered(BLOCK, Outcome::Ok).connects(BLOCK, silent), Some("PK"));
    is(&there, State::Blocked, Cause::Interference, &["dns.injection.blockpage"]);
    let elsewhere = judged(answered(BLOCK, Outcome::Ok).connects(BLOCK, silent), Some("IT"));
    assert_eq!(elsewhere.state, State::Impaired, "{elsewhere:#?}");
    assert!(fired(&elsewhere, "dns.resembles_known_answer"));
}

#[test]
fn a_forged_private_address_is_a_bogon_and_settles_where_it_is_expected() {
    let bogon = || answered("10.9.8.7", failed(Failure::DnsBogonError));
    let skipped = world::not_run(faultline_record::NotRun::BogonAddress);
    let verdict = judged(bogon().connects("10.9.8.7", skipped), Some("PK"));
    is(&verdict, State::Blocked, Cause::Interference, &["dns.injection.bogon"]);
    assert_ne!(judged(bogon().connects("10.9.8.7", skipped), Some("IT")).state, State::Blocked);
}

#[test]
fn an_address_that_holds_the_names_certificate_or_that_comes_over_https_is_the_names() {
    let own = World::measuring("https://site.example/").system_says(BLOCK).others_fail(Failure::DnsNxdomainError);
    let verdict = judged(own.responds(Purpose::Main, BLOCK, 200), Some("PK"));
    is(&verdict, State::Ok, Cause::None, &[]);
    assert!(!fired(&verdict, "dns.known_answer"));
    let agreed = World::measuring("https://site.example/").system_says(BLOCK).others_say(BLOCK);
    let agreed = judged(agreed.connects(BLOCK, failed(Failure::GenericTimeoutError)), Some("PK"));
    assert!(!fired(&agreed, "dns.known_answer"), "{agreed:#?}");
}

#[test]
fn an_injected_answer_beside_a_site_that_works_leaves_the_site_working() {
    let world = World::measuring("https://site.example/").system_says(GENUINE);
    let world = world.says(Engine::Udp, "resolver/google", BLOCK, Outcome::Ok).responds(Purpose::Main, GENUINE, 200);
    let verdict = judged(world, Some("PK"));
    assert_eq!(verdict.state, State::Ok, "{verdict:#?}");
    assert_eq!(verdict.mechanisms, ["dns.injection.blockpage"], "{verdict:#?}");
}

#[test]
fn our_own_facts_settle_a_block_in_iran_and_nowhere_else() {
    let judged = |country: &str| {
        let skipped = world::not_run(faultline_record::NotRun::BogonAddress);
        let mut measurement =
            answered("10.10.34.35", failed(Failure::DnsBogonError)).connects("10.10.34.35", skipped).done();
        measurement.network.country = Some(country.into());
        judge_with(Fingerprints::built_in(), &measurement, &healthy())
    };
    assert_eq!(judged("IR").state, State::Blocked, "{:#?}", judged("IR"));
    assert_ne!(judged("IT").state, State::Blocked, "{:#?}", judged("IT"));
}
