//! What is said of follow-ups: each rule on what it is for, and on the benign case that comes nearest.

mod world;

use std::sync::Arc;

use faultline_record::{Certificate, Engine, Failure, Http, NotRun, Outcome, Purpose, Tls};
use faultline_verdict::{Cause, State, Verdict};
use world::{GENUINE, World, failed, fired, heard, is, not_run, shown};

const FORGED: &str = "203.0.113.66";
const TIMEOUT: Failure = Failure::GenericTimeoutError;

fn page(url: &str, status: u16, body: &str) -> Http {
    let body_length = body.len() as u64;
    Http {
        url: url.into(),
        status: Some(status),
        body: Some(Arc::from(body.as_bytes())),
        body_length,
        ..Http::default()
    }
}

fn in_clear(status: u16, body: &str) -> Http {
    page("http://site.example/", status, body)
}

fn over_tls(status: u16, body: &str) -> Http {
    page("https://site.example/", status, body)
}

fn genuine_body() -> String {
    format!("<title>Rivers of Europe</title>{}", "x".repeat(4_000))
}

fn plain_site() -> World {
    World::measuring("http://site.example/").system_says(GENUINE).others_say(GENUINE)
}

fn compared(http: Http, copy: Http) -> Verdict {
    let start = plain_site().plain(GENUINE, Outcome::Ok, http);
    start.requests(Purpose::HttpsCopy, GENUINE, Outcome::Ok, copy, 10.0).judged()
}

const DENIED: &str = "<title>Access Denied</title>";

#[test]
fn a_page_in_the_clear_that_is_not_the_sites_own_is_likely_a_block_page() {
    for status in [200, 403] {
        let verdict = compared(in_clear(status, DENIED), over_tls(200, &genuine_body()));
        is(&verdict, State::LikelyBlocked, Cause::Interference, &["http.blockpage"]);
    }
}

#[test]
fn a_page_in_the_clear_like_the_sites_own_is_ok() {
    let body = genuine_body();
    let shorter = &body[..3_500];
    let other_title = body.replace("Rivers", "Lakes");
    for http in [&body, shorter, &other_title, "<title>The rivers</title>"] {
        let verdict = compared(in_clear(200, http), over_tls(200, &body));
        is(&verdict, State::Ok, Cause::None, &[]);
        assert!(verdict.p.ok > 0.99 && fired(&verdict, "http.copy_agrees"), "{verdict:#?}");
    }
}

#[test]
fn short_pages_are_not_alike_for_being_short() {
    let own = "<title>Rivers</title><h1>The rivers of Europe, from the source to the sea</h1>";
    let denied = "<title>Access Denied</title><h1>This page is not for you, says the law</h1>";
    is(
        &compared(in_clear(200, denied), over_tls(200, own)),
        State::LikelyBlocked,
        Cause::Interference,
        &["http.blockpage"],
    );
    is(&compared(in_clear(200, own), over_tls(200, own)), State::Ok, Cause::None, &[]);
}

/// A response over TLS that began and did not end, `brought` octets of it, and what came of it in small segments.
fn stalled(brought: u64, in_small: Option<Outcome>) -> World {
    let start = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let http = |body_length| Http { body_length, ..page("https://site.example/", 200, "") };
    let start = start.tls(Purpose::Main, GENUINE, Outcome::Ok, heard());
    let start = start.then_request(Purpose::Main, GENUINE, failed(TIMEOUT), http(brought));
    match in_small {
        Some(outcome) => start.requests(Purpose::SmallSegments, GENUINE, outcome, http(90_000), 80.0),
        None => start,
    }
}

#[test]
fn a_response_that_stalls_is_no_block_where_small_segments_bring_it() {
    let verdict = stalled(0, Some(Outcome::Ok)).helper_answers().helper_verifies(GENUINE).judged();
    is(&verdict, State::Impaired, Cause::Isp, &[]);
    assert!(fired(&verdict, "http.small_segments_pass"), "{verdict:#?}");
}

#[test]
fn a_response_that_stalls_in_segments_of_any_size_is_frozen() {
    let start = stalled(0, Some(failed(TIMEOUT))).helper_answers();
    let verdict = start.helper_gets(GENUINE, over_tls(200, &genuine_body())).judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference, &["tls.freeze"]);
}

#[test]
fn a_page_that_sends_to_tls_or_that_tls_has_not_is_no_block_page() {
    let refresh = r#"<meta http-equiv="refresh" content="0; url=https://site.example/">"#;
    let body = genuine_body();
    for (http, copy) in [
        (in_clear(200, refresh), over_tls(200, &body)),
        (in_clear(404, DENIED), over_tls(200, &body)),
        (in_clear(200, &body), over_tls(404, DENIED)),
        (in_clear(200, DENIED), over_tls(200, "")),
    ] {
        let verdict = compared(http, copy);
        assert!(verdict.mechanisms.is_empty() && verdict.state != State::LikelyBlocked, "{verdict:#?}");
    }
}

#[test]
fn a_challenge_that_comes_over_tls_too_is_the_servers() {
    let challenge = |mut http: Http| {
        http.headers = vec![("cf-mitigated".into(), "challenge".into())];
        http
    };
    let verdict = compared(challenge(in_clear(503, "wait")), challenge(over_tls(503, "wait")));
    is(&verdict, State::Ok, Cause::ServerSide, &[]);
}

#[test]
fn a_copy_without_a_valid_certificate_says_nothing() {
    let start = plain_site().plain(GENUINE, Outcome::Ok, in_clear(200, DENIED));
    let tls = shown("CN=panel", "CN=panel");
    let verdict = start.tls(Purpose::HttpsCopy, GENUINE, failed(Failure::SslInvalidHostname), tls).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
}

#[test]
fn a_redirect_to_a_stranger_where_the_site_has_a_page_is_interference_and_one_within_the_site_is_not() {
    let verdict = |to: &str| {
        let mut http = in_clear(302, "");
        http.headers = vec![("location".into(), to.into())];
        compared(http, over_tls(200, &genuine_body()))
    };
    is(&verdict("http://block.isp.test/"), State::LikelyBlocked, Cause::Interference, &["http.redirect"]);
    assert_eq!(verdict("http://www.site.example/").mechanisms, Vec::<String>::new());
}

#[test]
fn another_page_at_an_address_that_only_the_system_gave_is_a_lie_about_the_name() {
    let start = World::measuring("http://site.example/").system_says(FORGED).others_say(GENUINE);
    let start = start.plain(FORGED, Outcome::Ok, in_clear(200, DENIED));
    let copied = |body: &str| over_tls(200, body);
    let lied = start.requests(Purpose::HttpsCopy, GENUINE, Outcome::Ok, copied(&genuine_body()), 10.0).judged();
    is(&lied, State::LikelyBlocked, Cause::Interference, &["dns.injection.blockpage"]);
    let start = World::measuring("http://site.example/").system_says(FORGED).others_say(GENUINE);
    let edge = start.plain(FORGED, Outcome::Ok, in_clear(200, &genuine_body()));
    let edge = edge.requests(Purpose::HttpsCopy, GENUINE, Outcome::Ok, copied(&genuine_body()), 10.0).judged();
    is(&edge, State::Ok, Cause::None, &[]);
}

fn hosts(own: (Outcome, Option<u16>), innocent: (Outcome, Option<u16>)) -> Verdict {
    let http = |status| Http { url: "http://site.example/".into(), status, ..Http::default() };
    let mut world = plain_site().plain(GENUINE, own.0, http(own.1));
    for _ in 0..3 {
        world = world.requests(Purpose::InnocentHost, GENUINE, innocent.0, http(innocent.1), 10.0);
        world = world.requests(Purpose::Retry, GENUINE, own.0, http(own.1), 10.0);
    }
    world.judged()
}

#[test]
fn a_host_that_fails_where_an_innocent_one_is_answered_is_blocked_by_its_name() {
    for (failure, mechanism) in [
        (Failure::ConnectionReset, "http.reset.host"),
        (TIMEOUT, "http.timeout"),
        (Failure::EofError, "http.close.host"),
    ] {
        let verdict = hosts((failed(failure), None), (Outcome::Ok, Some(404)));
        is(&verdict, State::Blocked, Cause::Interference, &[mechanism]);
    }
}

#[test]
fn a_host_that_fails_where_every_host_fails_or_that_recovers_is_not_blocked_by_its_name() {
    let reset = (failed(Failure::ConnectionReset), None);
    let all = hosts(reset, reset);
    assert!(all.state != State::Blocked && fired(&all, "http.any_host_fails"), "{all:#?}");
    let http = Http { url: "http://site.example/".into(), ..Http::default() };
    let once = plain_site().plain(GENUINE, reset.0, http.clone());
    let once = once.requests(Purpose::InnocentHost, GENUINE, Outcome::Ok, in_clear(404, ""), 10.0);
    let verdict = once.requests(Purpose::Retry, GENUINE, Outcome::Ok, in_clear(200, ""), 10.0).judged();
    is(&verdict, State::Impaired, Cause::Unknown, &[]);
    assert!(fired(&verdict, "http.transient"));
}

fn anywhere(innocent: (Outcome, Option<u16>), nobody: (Outcome, Option<u16>), own: (Outcome, Option<u16>)) -> Verdict {
    let http = |status| Http { url: "http://site.example/".into(), status, ..Http::default() };
    let reset = failed(Failure::ConnectionReset);
    let mut world = plain_site().plain(GENUINE, reset, http(None));
    for _ in 0..3 {
        world = world.requests(Purpose::InnocentHost, GENUINE, innocent.0, http(innocent.1), 10.0);
        world = world.requests(Purpose::Retry, GENUINE, reset, http(None), 10.0);
    }
    for _ in 0..3 {
        world = world.requests(Purpose::InnocentServer, FORGED, nobody.0, http(nobody.1), 10.0);
        world = world.requests(Purpose::HostAnywhere, FORGED, own.0, http(own.1), 10.0);
    }
    world.judged()
}

#[test]
fn a_host_that_fails_at_a_strangers_server_is_blocked_by_its_name_even_where_the_targets_own_refuses_every_other() {
    let (reset, answered) = ((failed(Failure::ConnectionReset), None), (Outcome::Ok, Some(404)));
    for innocent in [answered, reset] {
        let verdict = anywhere(innocent, answered, reset);
        is(&verdict, State::Blocked, Cause::Interference, &["http.reset.host"]);
        assert!(fired(&verdict, "http.host_anywhere"), "{verdict:#?}");
    }
    let closed = anywhere(reset, answered, (failed(Failure::EofError), None));
    assert!(closed.mechanisms.contains(&"http.close.host".to_owned()), "{closed:#?}");
}

#[test]
fn a_server_that_answers_no_host_it_does_not_know_and_a_host_that_is_answered_elsewhere_settle_nothing() {
    let (reset, answered) = ((failed(Failure::ConnectionReset), None), (Outcome::Ok, Some(404)));
    for (nobody, own) in [(reset, reset), (answered, answered), (reset, answered)] {
        let verdict = anywhere(reset, nobody, own);
        assert!(!fired(&verdict, "http.host_anywhere"), "{verdict:#?}");
        assert_ne!(verdict.state, State::Blocked, "{verdict:#?}");
    }
}

fn ghost(input: &str) -> World {
    World::measuring(input).system_says(FORGED).others_fail(Failure::DnsNxdomainError)
}

#[test]
fn an_answer_made_for_a_name_that_all_others_deny_is_likely_interference() {
    let nonsense = failed(Failure::DnsNxdomainError);
    let refused = ghost("https://site.example/").connects(FORGED, failed(Failure::ConnectionRefused));
    let refused = refused.asked_for_nonsense(nonsense).judged();
    is(&refused, State::LikelyBlocked, Cause::Interference, &["dns.injection.other"]);
    let page = ghost("http://site.example/").plain(FORGED, Outcome::Ok, in_clear(200, DENIED));
    is(
        &page.asked_for_nonsense(nonsense).judged(),
        State::LikelyBlocked,
        Cause::Interference,
        &["dns.injection.blockpage"],
    );
}

#[test]
fn a_resolver_that_answers_for_every_name_shows_only_that_the_name_is_gone() {
    let page = ghost("http://site.example/").plain(FORGED, Outcome::Ok, in_clear(200, "<title>Search</title>"));
    is(&page.asked_for_nonsense(Outcome::Ok).judged(), State::Down, Cause::Target, &[]);
}

#[test]
fn an_answer_that_a_certificate_proves_is_no_ghost() {
    let verdict = ghost("https://site.example/").responds(Purpose::Main, FORGED, 200).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
}

fn proxied(second: Outcome) -> Verdict {
    let start = World::measuring("https://site.example/").system_says(FORGED).others_say(GENUINE);
    let start = start.responds(Purpose::Main, FORGED, 200);
    start
        .tls(Purpose::ProxyCheck, FORGED, Outcome::Ok, heard())
        .tls(Purpose::ProxyCheck, FORGED, second, heard())
        .judged()
}

#[test]
fn an_address_that_answers_for_two_strangers_is_a_proxy_and_the_site_works_by_way_of_it() {
    let verdict = proxied(Outcome::Ok);
    is(&verdict, State::Ok, Cause::Interference, &["dns.injection.other"]);
    assert!(verdict.causes[&Cause::Interference] > 0.9 && verdict.p.ok > 0.9, "{verdict:#?}");
}

#[test]
fn an_edge_that_serves_one_stranger_is_no_proxy() {
    is(&proxied(failed(Failure::SslInvalidHostname)), State::Ok, Cause::None, &[]);
}

#[test]
fn loopback_from_everyone_is_the_owners_doing_and_from_the_system_alone_it_is_not() {
    let bogon = failed(Failure::DnsBogonError);
    let start = || World::measuring("https://site.example/").says(Engine::System, "system", "127.0.0.1", bogon);
    let dialled = |world: World| world.connects("127.0.0.1", not_run(NotRun::BogonAddress));
    let everyone =
        start().says(Engine::Udp, "google", "127.0.0.1", bogon).says(Engine::Doh, "quad9", "127.0.0.1", bogon);
    is(&dialled(everyone).judged(), State::Down, Cause::Target, &[]);
    let over_udp = start().says(Engine::Udp, "google", "127.0.0.1", bogon).says(Engine::Udp, "q", "127.0.0.1", bogon);
    let over_udp = dialled(over_udp).judged();
    assert_eq!(over_udp.state, State::Impaired, "who answers over UDP can be anybody: {over_udp:#?}");
    let alone = dialled(start().others_say(GENUINE)).judged();
    is(&alone, State::LikelyBlocked, Cause::Interference, &["dns.injection.bogon"]);
}

#[test]
fn answers_forged_for_every_resolver_over_udp_are_seen_by_the_one_over_https() {
    let start = || World::measuring("https://site.example/").system_says(FORGED);
    let raced =
        start().says(Engine::Udp, "google", FORGED, Outcome::Ok).says(Engine::Doh, "quad9", GENUINE, Outcome::Ok);
    let wrong = shown("CN=portal", "CN=CA");
    let verdict = raced
        .tls(Purpose::Main, FORGED, failed(Failure::SslInvalidHostname), wrong)
        .responds(Purpose::Comparison, GENUINE, 200)
        .judged();
    is(&verdict, State::Blocked, Cause::Interference, &["dns.injection.other"]);
    let shared =
        start().says(Engine::Udp, "google", FORGED, Outcome::Ok).says(Engine::Doh, "quad9", FORGED, Outcome::Ok);
    let down = shared.connects(FORGED, failed(Failure::ConnectionRefused)).judged();
    is(&down, State::Down, Cause::Target, &[]);
}

#[test]
fn a_living_host_without_the_service_is_no_edge_and_a_silent_one_may_be() {
    let verdict = |failure| {
        let start = World::measuring("https://site.example/").system_says(FORGED).others_say(GENUINE);
        start.connects(FORGED, failed(failure)).responds(Purpose::Comparison, GENUINE, 200).judged()
    };
    is(&verdict(Failure::ConnectionRefused), State::LikelyBlocked, Cause::Interference, &["dns.injection.other"]);
    is(&verdict(TIMEOUT), State::Impaired, Cause::Unknown, &[]);
}

fn certificate(number: u8, name: &str, issuer: &str) -> Tls {
    let leaf = Certificate {
        sha256: [number; 32],
        der: format!("..{name}..").into_bytes(),
        subject: format!("CN={name}"),
        issuer: issuer.into(),
        not_before: None,
        not_after: None,
    };
    Tls { sni: Some(name.into()), chain: vec![Arc::new(leaf)], ..heard() }
}

fn intercepted(own: Tls, mut innocent: Tls) -> Verdict {
    innocent.sni = Some("example.com".into());
    let unknown = failed(Failure::SslUnknownAuthority);
    let start = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    start.tls(Purpose::Main, GENUINE, unknown, own).tls(Purpose::InnocentSni, GENUINE, unknown, innocent).judged()
}

#[test]
fn certificates_made_for_any_name_are_an_interceptors() {
    let own = certificate(1, "site.example", "CN=Filter");
    let verdict = intercepted(own, certificate(2, "example.com", "CN=Filter"));
    is(&verdict, State::Blocked, Cause::Interference, &["tls.mitm.ca_signed"]);
}

#[test]
fn a_certificate_of_the_sites_own_making_is_the_sites_fault() {
    let own = || certificate(1, "site.example", "CN=Own");
    is(&intercepted(own(), own()), State::Down, Cause::Target, &[]);
    let of_a_manual =
        intercepted(certificate(1, "site.example", "CN=site.example"), certificate(2, "example.com", "CN=example.com"));
    is(&of_a_manual, State::Down, Cause::Target, &[]);
}

fn slow(own_ms: [f64; 6], innocent_ms: [f64; 6], innocent_page: &Http) -> Verdict {
    let body = over_tls(200, &genuine_body());
    let start = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let mut world = start.requests(Purpose::Main, GENUINE, Outcome::Ok, body.clone(), 4_000.0);
    for (own, innocent) in own_ms.iter().zip(innocent_ms) {
        world = world.requests(Purpose::InnocentSni, GENUINE, Outcome::Ok, innocent_page.clone(), innocent);
        world = world.requests(Purpose::Retry, GENUINE, Outcome::Ok, body.clone(), *own);
    }
    world.judged()
}

#[test]
fn a_name_that_makes_the_same_request_slow_is_throttled() {
    let body = over_tls(200, &genuine_body());
    let verdict =
        slow([4_000.0, 3_000.0, 3_500.0, 2_900.0, 3_100.0, 3_300.0], [90.0, 200.0, 120.0, 80.0, 95.0, 110.0], &body);
    is(&verdict, State::Impaired, Cause::Interference, &["tls.throttle.sni"]);
    assert!(verdict.causes[&Cause::Interference] > 0.9, "{verdict:#?}");
}

#[test]
fn a_slow_server_a_slow_path_and_another_page_are_no_throttling() {
    let body = over_tls(200, &genuine_body());
    let (own, fast) = ([4_000.0, 3_000.0, 3_500.0, 2_900.0, 3_100.0, 3_300.0], [90.0, 200.0, 120.0, 80.0, 95.0, 110.0]);
    is(&slow(own, [3_300.0, 4_100.0, 3_000.0, 2_000.0, 2_900.0, 3_500.0], &body), State::Ok, Cause::None, &[]);
    is(&slow([4_000.0, 140.0, 150.0, 2_900.0, 90.0, 3_000.0], fast, &body), State::Ok, Cause::None, &[]);
    is(&slow(own, fast, &over_tls(421, "")), State::Ok, Cause::None, &[]);
    is(
        &slow([400.0, 300.0, 350.0, 290.0, 310.0, 300.0], [200.0, 190.0, 180.0, 170.0, 200.0, 190.0], &body),
        State::Ok,
        Cause::None,
        &[],
    );
}

#[test]
fn a_request_that_is_slow_only_in_the_clear_is_throttled() {
    let rounds = |plain_ms: f64| {
        let body = in_clear(200, &genuine_body());
        let mut world = plain_site().plain(GENUINE, Outcome::Ok, body.clone()).took(plain_ms);
        for _ in 0..6 {
            let copy = over_tls(200, &genuine_body());
            world = world.requests(Purpose::HttpsCopy, GENUINE, Outcome::Ok, copy, 100.0);
            world = world.requests(Purpose::Retry, GENUINE, Outcome::Ok, body.clone(), plain_ms);
        }
        world.judged()
    };
    is(&rounds(3_100.0), State::Impaired, Cause::Interference, &["http.throttle.host"]);
    is(&rounds(150.0), State::Ok, Cause::None, &[]);
}

#[test]
fn a_forged_reply_before_the_true_one_is_seen_whatever_its_kind() {
    let start = || World::measuring("https://site.example/").system_says(GENUINE);
    let raced = start().raced(FORGED, GENUINE).responds(Purpose::Main, GENUINE, 200).judged();
    assert!(fired(&raced, "dns.second_reply"));
    let doubled = start().raced(GENUINE, GENUINE).responds(Purpose::Main, GENUINE, 200).judged();
    assert!(!fired(&doubled, "dns.second_reply"), "the same answer twice is a doubled datagram");
}
