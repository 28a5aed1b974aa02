//! Pages in the clear beside what a helper outside was shown.

mod world;

use std::sync::Arc;

use faultline_record::{Http, Outcome, Purpose};
use faultline_verdict::{Cause, State, Verdict};
use world::{GENUINE, World, fired};

const FORGED: &str = "203.0.113.66";

fn here(status: u16, body: &str, header: &str) -> Http {
    Http {
        url: "http://site.example/".into(),
        status: Some(status),
        headers: vec![(header.into(), "x".into())],
        body: Some(Arc::from(body.as_bytes())),
        body_length: body.len() as u64,
        ..Http::default()
    }
}

/// As a helper tells of a page: a title, a length, names of headers.
fn there(status: u16, title: &str, length: u64) -> Http {
    Http {
        url: "http://site.example/".into(),
        status: Some(status),
        headers: vec![("x-genuine".into(), String::new())],
        body_length: length,
        title: Some(title.into()),
        ..Http::default()
    }
}

fn site(address: &str, page: Http) -> World {
    let world = World::measuring("http://site.example/").system_says(address).others_say(GENUINE);
    world.plain(address, Outcome::Ok, page)
}

fn judged(page: Http, outside: Http) -> Verdict {
    site(GENUINE, page).helper_answers().helper_resolves(&[GENUINE]).helper_gets(GENUINE, outside).judged()
}

fn denied() -> Http {
    here(200, "<title>Access Denied</title>", "x-box")
}

#[test]
fn a_page_unlike_the_one_shown_outside_is_likely_a_block_page_and_never_more() {
    let verdict = judged(denied(), there(200, "Rivers of Europe", 9_000));
    assert_eq!((verdict.state, verdict.cause), (State::LikelyBlocked, Cause::Interference), "{verdict:#?}");
    assert_eq!(verdict.mechanisms, ["http.blockpage"]);
    assert!(fired(&verdict, "control.page_differs"), "{verdict:#?}");
}

#[test]
fn at_an_address_that_nobody_else_was_given_it_is_the_resolvers_lie() {
    let outside = there(200, "Rivers of Europe", 9_000);
    let world = site(FORGED, denied()).helper_answers().helper_resolves(&[GENUINE]);
    let verdict = world.helper_gets(GENUINE, outside).judged();
    assert_eq!((verdict.state, verdict.mechanisms), (State::LikelyBlocked, vec!["dns.injection.blockpage".to_owned()]));
}

#[test]
fn one_likeness_is_enough_to_call_it_the_same_page() {
    let body = format!("<title>Lakes</title>{}", "x".repeat(4_000));
    for (page, outside) in [
        (here(200, &body, "x-box"), there(200, "Unlike", 4_500)),
        (here(200, "<title>The RIVERS today</title>", "x-box"), there(200, "Rivers of Europe", 9_000)),
        (here(200, "<title>Other</title>", "x-genuine"), there(200, "Rivers of Europe", 9_000)),
    ] {
        let alone = site(GENUINE, page.clone()).judged();
        let verdict = judged(page, outside);
        assert!(fired(&verdict, "control.page_agrees"), "{verdict:#?}");
        assert_eq!(verdict.state, State::Ok, "{verdict:#?}");
        assert!(verdict.p.ok > alone.p.ok, "a control that agrees adds to it");
    }
}

#[test]
fn what_is_seen_at_an_address_that_only_the_vantage_was_given_is_no_control() {
    let same = there(200, "Access Denied", 28);
    let world =
        site(FORGED, denied()).helper_answers().helper_cannot_resolve(faultline_record::Failure::DnsNxdomainError);
    let verdict = world.helper_gets(FORGED, same).judged();
    assert!(!fired(&verdict, "control.page_agrees"), "{verdict:#?}");
}

#[test]
fn pages_that_sites_show_by_country_are_not_compared() {
    let outside = |status| there(status, "Rivers of Europe", 9_000);
    let says_nothing =
        |verdict: &Verdict| !verdict.evidence.iter().any(|evidence| evidence.rule.starts_with("control."));
    assert!(says_nothing(&judged(here(403, "<title>Denied</title>", "x-box"), outside(200))), "a refusal here");
    assert!(says_nothing(&judged(denied(), outside(403))), "a refusal there");
    assert!(says_nothing(&judged(denied(), outside(302))), "a redirect there");
    let of_old = Http { headers: Vec::new(), ..outside(200) };
    assert!(says_nothing(&judged(denied(), of_old)), "a helper that tells no headers");
}

#[test]
fn the_sites_own_copy_over_tls_has_the_last_word() {
    let quiet = here(200, &format!("<title>Small talk</title>{}", "x".repeat(3_000)), "x-box");
    let copy = Http { url: "https://site.example/".into(), ..quiet.clone() };
    let world = site(GENUINE, quiet).requests(Purpose::HttpsCopy, GENUINE, Outcome::Ok, copy, 10.0);
    let world = world.helper_answers().helper_resolves(&[GENUINE]);
    let verdict = world.helper_gets(GENUINE, there(200, "Rivers of Europe", 90_000)).judged();
    assert_eq!(verdict.state, State::Ok, "{verdict:#?}");
    assert!(fired(&verdict, "http.copy_agrees") && !fired(&verdict, "control.page_differs"), "{verdict:#?}");
}
