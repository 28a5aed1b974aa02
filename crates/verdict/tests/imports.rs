//! Measurements of another tool's: what proves their network, and what their helper's page is worth.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod world;

use faultline_record::{
    Endpoint, Failure, HealthCheck, HealthReason, HealthSignal, Http, Measurement, Observation, Outcome, Purpose,
    SignalKind, StepData, Tls, Witness,
};
use faultline_verdict::{Cause, State, Verdict, judge, summary_sentence};
use world::{GENUINE, World, all_well, check, failed, fired, signal};

fn import(offset_ms: f64, signals: Vec<HealthSignal>) -> HealthCheck {
    HealthCheck { reason: HealthReason::Import, ..check(offset_ms, signals) }
}

fn named(name: &str) -> HealthSignal {
    signal(SignalKind::ControlByName, name, Outcome::Ok)
}

fn addressed(address: &str) -> HealthSignal {
    signal(SignalKind::ControlByAddress, address, Outcome::Ok)
}

/// What answered in the measurement itself.
fn meanwhile(signals: Vec<HealthSignal>) -> Witness {
    Witness { during: vec![import(5_200.0, signals).into()], ..Witness::default() }
}

fn silent() -> Measurement {
    World::measuring("https://site.example/")
        .system_says(GENUINE)
        .connects(GENUINE, failed(Failure::GenericTimeoutError))
        .helper_answers()
        .helper_resolves(&[GENUINE])
        .helper_verifies(GENUINE)
        .done()
}

/// Adds what the helper says of the page, over no connection that it tells.
fn with_page(mut measurement: Measurement, outcome: Outcome, http: Http) -> Measurement {
    let last = measurement.observations.last().unwrap().clone();
    measurement.observations.push(Observation {
        seq: last.seq + 1,
        hop: 0,
        purpose: Purpose::Helper,
        connection: None,
        outcome,
        address: None,
        port: None,
        data: StepData::Http(http),
        ..last
    });
    measurement
}

fn page(status: u16, title: &str, length: u64) -> Http {
    let headers = vec![("x-served-by".to_owned(), "a".to_owned())];
    let title = Some(title.to_owned());
    Http {
        url: "http://site.example/".into(),
        status: Some(status),
        headers,
        title,
        body_length: length,
        ..Http::default()
    }
}

fn by_helper(measurement: &Measurement) -> Verdict {
    judge(measurement, &meanwhile(vec![named("ooni")]))
}

#[test]
fn the_helper_or_anybody_who_proved_himself_or_two_addresses_prove_an_imports_network() {
    for signals in
        [vec![named("ooni")], vec![named("other.example")], vec![addressed("192.0.2.1"), addressed("192.0.2.2")]]
    {
        let verdict = judge(&silent(), &meanwhile(signals));
        assert_eq!((verdict.state, verdict.cause), (State::LikelyBlocked, Cause::Interference), "{verdict:#?}");
        assert!(fired(&verdict, "health.proven"));
    }
}

#[test]
fn one_address_or_a_resolver_proves_nothing_and_no_cause_is_made_up() {
    let failed_control = signal(SignalKind::ControlByName, "ooni", failed(Failure::ConnectionReset));
    let resolver = signal(SignalKind::Resolver, "system", Outcome::Ok);
    for signals in
        [vec![addressed("192.0.2.1")], vec![addressed("192.0.2.1"); 2], vec![failed_control], vec![resolver], vec![]]
    {
        let verdict = judge(&silent(), &meanwhile(signals));
        assert_eq!((verdict.state, verdict.cause), (State::Insufficient, Cause::Unknown), "{verdict:#?}");
        assert!(fired(&verdict, "health.not_proven"));
    }
}

#[test]
fn neighbours_prove_a_minute_from_both_sides_and_not_from_one() {
    let ooni_at = |offset_ms| std::sync::Arc::new(import(offset_ms, vec![named("ooni")]));
    let (before, after) = (Some(ooni_at(1_000.0)), Some(ooni_at(20_000.0)));
    let state = |before, after| judge(&silent(), &Witness { before, after, ..Witness::default() }).state;
    assert_eq!(state(before.clone(), after.clone()), State::LikelyBlocked);
    assert_eq!(state(before.clone(), None), State::Insufficient);
    assert_eq!(state(None, after), State::Insufficient);
    assert_eq!(state(before, Some(ooni_at(90_000.0))), State::Insufficient);
}

#[test]
fn a_probes_own_measurement_is_not_proven_by_what_only_imports_have() {
    let own = Witness { before: Some(check(4_000.0, all_well()).into()), ..Witness::default() };
    assert_eq!(judge(&silent(), &own).state, State::Insufficient);
    let mixed = Witness { during: vec![import(5_200.0, vec![named("ooni")]).into()], ..own };
    assert_eq!(judge(&silent(), &mixed).state, State::Insufficient);
}

#[test]
fn a_resolvers_answer_is_enough_where_the_resolver_is_the_target() {
    let asked = World::measuring("dns://192.0.2.53/site.example").system_says(GENUINE).done();
    let resolver = signal(SignalKind::Resolver, "resolver/192.0.2.53", Outcome::Ok);
    assert_eq!(judge(&asked, &meanwhile(vec![resolver])).state, State::Ok);
    assert_eq!(judge(&asked, &Witness::default()).state, State::Insufficient);
}

fn reset_in_the_clear() -> Measurement {
    let http = Http { url: "http://site.example/".into(), ..Http::default() };
    let own = World::measuring("http://site.example/").system_says(GENUINE);
    own.plain(GENUINE, failed(Failure::ConnectionReset), http).helper_answers().done()
}

#[test]
fn a_page_that_the_helper_had_speaks_for_interference_and_one_that_it_had_not_for_the_site() {
    let reached = by_helper(&with_page(reset_in_the_clear(), Outcome::Ok, page(200, "site", 9_000)));
    assert_eq!(
        (reached.state, reached.mechanisms.as_slice()),
        (State::LikelyBlocked, ["http.reset".to_owned()].as_slice())
    );
    assert!(fired(&reached, "control.page_reached"));
    let nothing = Http { url: "http://site.example/".into(), ..Http::default() };
    let fails = by_helper(&with_page(reset_in_the_clear(), failed(Failure::ConnectionReset), nothing));
    assert_eq!((fails.state, fired(&fails, "control.page_fails")), (State::Down, true), "{fails:#?}");
    let broken = by_helper(&with_page(reset_in_the_clear(), Outcome::Ok, page(502, "", 10)));
    assert!(!broken.evidence.iter().any(|evidence| evidence.rule.starts_with("control.")), "{broken:#?}");
}

fn answers(title: &str, length: u64) -> Measurement {
    let body = format!("<title>{title}</title>").into_bytes();
    let headers = vec![("server".to_owned(), "x".to_owned())];
    let http = Http { body: Some(body.into()), headers, body_length: length, ..page(200, title, length) };
    let http = Http { title: None, ..http };
    World::measuring("http://site.example/")
        .system_says(GENUINE)
        .plain(GENUINE, Outcome::Ok, http)
        .helper_answers()
        .done()
}

#[test]
fn a_page_that_is_like_the_helpers_in_one_thing_is_the_sites_and_one_unlike_it_in_all_likely_is_not() {
    let other = by_helper(&with_page(answers("Access denied", 300), Outcome::Ok, page(200, "Daily news", 20_000)));
    assert_eq!(
        (other.state, other.mechanisms.as_slice()),
        (State::LikelyBlocked, ["http.blockpage".to_owned()].as_slice())
    );
    for (title, length) in [("Daily news", 300), ("Access denied", 19_000)] {
        let same = by_helper(&with_page(answers(title, length), Outcome::Ok, page(200, "Daily news", 20_000)));
        assert_eq!(same.state, State::Ok, "{title} {length}");
    }
    let error = by_helper(&with_page(answers("Access denied", 300), Outcome::Ok, page(503, "Daily news", 20_000)));
    assert_eq!(error.state, State::Ok);
}

#[test]
fn a_helper_that_only_connects_says_nothing_of_handshakes() {
    let reset = World::measuring("https://site.example/").system_says(GENUINE);
    let reset = reset.tls(Purpose::Main, GENUINE, failed(Failure::ConnectionReset), Tls::default()).helper_answers();
    let verdict = by_helper(&reset.connects_for_helper(GENUINE).done());
    assert!(!fired(&verdict, "control.also_fails"), "{verdict:#?}");
}

#[test]
fn an_error_page_of_a_server_that_serves_the_helper_is_a_refusal() {
    let site = || {
        World::measuring("https://site.example/")
            .system_says(GENUINE)
            .responds(Purpose::Main, GENUINE, 503)
            .helper_answers()
    };
    let refuses = by_helper(&with_page(site().done(), Outcome::Ok, page(200, "site", 9_000)));
    assert_eq!((refuses.state, refuses.cause), (State::Ok, Cause::ServerSide));
    let broken = by_helper(&with_page(site().done(), Outcome::Ok, page(503, "", 100)));
    assert_eq!(broken.state, State::Down);
}

#[test]
fn a_page_beside_a_handshake_that_was_wanted_is_not_what_is_judged() {
    let site =
        World::measuring("tls://site.example:443").system_says(GENUINE).responds(Purpose::Main, GENUINE, 503).done();
    assert_eq!(judge(&site, &Witness::default()).state, State::Ok);
}

#[test]
fn a_test_that_goes_nowhere_has_nothing_to_judge_and_says_so() {
    let mut test = World::measuring("https://site.example/").done();
    test.target.endpoint = Endpoint::foreign("torsf", "").unwrap();
    let verdict = judge(&test, &Witness::default());
    assert_eq!(verdict.state, State::Insufficient);
    assert!(summary_sentence(&verdict).starts_with("nothing to judge: torsf"), "{}", summary_sentence(&verdict));
}
