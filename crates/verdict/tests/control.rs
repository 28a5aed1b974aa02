//! What a helper outside adds to a verdict: one test a situation.

mod world;

use faultline_record::{Failure, Http, Measurement, NotRun, Outcome, Purpose, Tls};
use faultline_verdict::{Cause, State, Verdict, judge};
use world::{GENUINE, World, failed, fired, healthy, heard, not_run, shown};

/// An address that a resolver made up.
const FORGED: &str = "203.0.113.66";
/// Another address of the site's own.
const OTHER: &str = "198.51.100.8";

fn site() -> World {
    World::measuring("https://site.example/")
}

fn is(verdict: &Verdict, state: State, cause: Cause) {
    assert_eq!((verdict.state, verdict.cause), (state, cause), "{verdict:#?}");
}

fn silent() -> World {
    site().system_says(GENUINE).connects(GENUINE, failed(Failure::GenericTimeoutError))
}

fn timeout() -> Outcome {
    failed(Failure::GenericTimeoutError)
}

#[test]
fn a_silent_address_that_the_helper_reaches_is_likely_blocked_and_never_more() {
    let verdict = silent().helper_answers().helper_resolves(&[GENUINE]).helper_verifies(GENUINE).judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference);
    assert_eq!(verdict.mechanisms, ["tcp.timeout"]);
    assert!(fired(&verdict, "control.reached"), "{verdict:#?}");
    let text = &verdict.evidence.iter().find(|evidence| evidence.rule == "control.reached").unwrap().text;
    assert!(text.contains("generic_timeout_error") && text.contains(GENUINE), "{text}");
}

#[test]
fn a_silent_address_that_is_silent_for_the_helper_too_is_down_even_of_a_great_service() {
    let world = || silent().helper_answers().helper_resolves(&[GENUINE]).helper_fails(GENUINE, timeout());
    for verdict in [world().judged(), world().of_a_great_service().judged()] {
        is(&verdict, State::Down, Cause::Target);
        assert!(fired(&verdict, "control.also_fails") && !fired(&verdict, "target.rarely_down"), "{verdict:#?}");
    }
}

#[test]
fn an_absent_helper_changes_nothing() {
    let without = silent().judged();
    let unreachable = silent().helper_is_lost(failed(Failure::ConnectionRefused)).judged();
    let never_asked = silent().helper_is_lost(not_run(NotRun::TargetDeadline)).judged();
    for verdict in [unreachable, never_asked] {
        assert_eq!((verdict.state, verdict.p, &verdict.evidence), (without.state, without.p, &without.evidence));
    }
}

#[test]
fn rows_of_a_helper_whose_errand_failed_are_not_believed() {
    let verdict = silent().helper_is_lost(timeout()).helper_verifies(GENUINE).judged();
    assert!(!verdict.evidence.iter().any(|evidence| evidence.rule.starts_with("control.")), "{verdict:#?}");
}

#[test]
fn what_the_helper_saw_is_never_taken_for_the_vantages_own() {
    let verdict = silent().helper_answers().helper_resolves(&[OTHER]).helper_verifies(OTHER).judged();
    assert_ne!(verdict.state, State::Ok, "{verdict:#?}");
    assert!(!fired(&verdict, "tls.verified_handshake") && !fired(&verdict, "tls.other_address_verifies"));
    assert!(!fired(&verdict, "dns.forged_suspected"), "the helper proves no address to the rules on names");
}

#[test]
fn a_working_target_needs_no_control() {
    let world = site().system_says(GENUINE).responds(Purpose::Main, GENUINE, 200);
    let verdict = world.helper_answers().helper_fails(GENUINE, timeout()).judged();
    is(&verdict, State::Ok, Cause::None);
    assert!(!verdict.evidence.iter().any(|evidence| evidence.rule.starts_with("control.")));
}

#[test]
fn a_reset_at_the_name_is_likely_blocked_when_the_helper_gets_through_and_down_when_it_does_not() {
    let reset = || failed(Failure::ConnectionReset);
    let world = || site().system_says(GENUINE).tls(Purpose::Main, GENUINE, reset(), Tls::default()).helper_answers();
    is(&world().helper_verifies(GENUINE).judged(), State::LikelyBlocked, Cause::Interference);
    let same = world().helper_shakes(GENUINE, reset()).judged();
    is(&same, State::Down, Cause::Target);
}

#[test]
fn a_differential_settles_the_matter_whatever_the_helper_says() {
    let (silent, answered) = ((failed(Failure::ConnectionReset), Tls::default()), (Outcome::Ok, heard()));
    let world = site().system_says(GENUINE).tls(Purpose::Main, GENUINE, silent.0, silent.1.clone());
    let world = world.differential(GENUINE, &answered, &silent).helper_answers();
    let verdict = world.helper_fails(GENUINE, timeout()).judged();
    is(&verdict, State::Blocked, Cause::Interference);
}

#[test]
fn a_name_that_nobody_outside_can_resolve_is_down() {
    let verdict = site()
        .system_fails(Failure::DnsNxdomainError)
        .helper_answers()
        .helper_cannot_resolve(Failure::DnsNxdomainError)
        .judged();
    is(&verdict, State::Down, Cause::Target);
    assert!(fired(&verdict, "control.name_fails"));
}

#[test]
fn a_helper_whose_resolver_is_silent_says_nothing_of_the_name() {
    let world = site().system_fails(Failure::DnsNxdomainError).helper_answers();
    let verdict = world.helper_cannot_resolve(Failure::GenericTimeoutError).judged();
    assert!(!verdict.evidence.iter().any(|evidence| evidence.rule.starts_with("control.")));
}

#[test]
fn a_name_denied_here_and_reached_outside_is_likely_blocked() {
    let world = site().system_fails(Failure::DnsNxdomainError).helper_answers();
    let verdict = world.helper_resolves(&[GENUINE]).helper_verifies(GENUINE).judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference);
    assert_eq!(verdict.mechanisms, ["dns.nxdomain"]);
}

#[test]
fn an_address_of_somebody_elses_is_the_resolvers_doing() {
    let wrong = failed(Failure::SslInvalidHostname);
    let verdict = site()
        .system_says(FORGED)
        .tls(Purpose::Main, FORGED, wrong, shown("CN=portal", "CN=CA"))
        .helper_answers()
        .helper_resolves(&[GENUINE])
        .helper_verifies(GENUINE)
        .helper_shakes(FORGED, wrong)
        .judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference);
    assert!(fired(&verdict, "control.dns_disagrees") && verdict.mechanisms.contains(&"dns.injection.other".into()));
}

#[test]
fn a_dead_edge_of_a_living_service_is_not_called_blocked() {
    let world = silent().of_a_great_service().helper_answers().helper_resolves(&[OTHER]);
    let verdict = world.helper_verifies(OTHER).helper_fails(GENUINE, timeout()).judged();
    assert!(matches!(verdict.state, State::Impaired | State::Down), "{verdict:#?}");
    assert!(fired(&verdict, "control.dead_address"));
}

#[test]
fn a_certificate_that_is_expired_for_everyone_is_the_sites_own_fault() {
    let expired = failed(Failure::SslInvalidCertificate);
    let world = site().system_says(GENUINE).tls(Purpose::Main, GENUINE, expired, shown("CN=site", "CN=CA"));
    let verdict = world.helper_answers().helper_shakes(GENUINE, expired).judged();
    is(&verdict, State::Down, Cause::Target);
    assert!(fired(&verdict, "control.also_fails"));
}

#[test]
fn a_certificate_that_only_the_vantage_is_shown_is_likely_an_interceptors() {
    let forged = failed(Failure::SslUnknownAuthority);
    let world = site().system_says(GENUINE).tls(Purpose::Main, GENUINE, forged, shown("CN=site", "CN=Box"));
    let verdict = world.helper_answers().helper_verifies(GENUINE).judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference);
    assert_eq!(verdict.mechanisms, ["tls.mitm.ca_signed"]);
}

#[test]
fn the_same_refusal_in_the_clear_is_the_servers_own() {
    let page = |status| Http { status: Some(status), ..Http::default() };
    let world = |status| {
        let site = World::measuring("http://site.example/").system_says(GENUINE);
        site.plain(GENUINE, Outcome::Ok, page(status)).helper_answers()
    };
    is(&world(403).helper_gets(GENUINE, page(403)).judged(), State::Ok, Cause::ServerSide);
    is(&world(502).helper_gets(GENUINE, page(502)).judged(), State::Down, Cause::Target);
    let differs = world(403).helper_gets(GENUINE, page(200)).judged();
    assert!(!differs.evidence.iter().any(|evidence| evidence.rule.starts_with("control.")), "geo-blocks differ too");
}

#[test]
fn a_second_try_that_works_needs_no_control() {
    let world = silent().retries(GENUINE, Outcome::Ok).helper_answers().helper_verifies(GENUINE);
    assert!(!fired(&world.judged(), "control.reached"));
}

#[test]
fn a_service_with_its_own_authority_is_reached_when_it_shows_it() {
    let own = failed(Failure::SslUnknownAuthority);
    let chat = || World::measuring("tls://site.example:443").with_a_private_ca().system_says(GENUINE);
    let verdict = chat().connects(GENUINE, timeout()).helper_answers().helper_shakes(GENUINE, own).judged();
    assert!(fired(&verdict, "control.reached"), "{verdict:#?}");
}

#[test]
fn no_word_of_a_helper_opens_the_local_gate() {
    let measurement: Measurement = silent().helper_answers().helper_verifies(GENUINE).done();
    assert_eq!(judge(&measurement, &healthy()).state, State::LikelyBlocked);
    assert_eq!(judge(&measurement, &faultline_record::Witness::default()).state, State::Insufficient);
}

#[test]
fn resolvers_that_all_deny_a_name_which_works_outside_are_all_lied_for() {
    let denied = Failure::DnsNxdomainError;
    let world = || site().system_fails(denied).others_fail(denied);
    is(&world().judged(), State::Down, Cause::Target);
    let verdict = world().helper_answers().helper_resolves(&[GENUINE]).helper_verifies(GENUINE).judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference);
    assert_eq!(verdict.mechanisms, ["dns.nxdomain"]);
}

#[test]
fn a_request_that_fails_inside_tls_is_held_against_the_helpers_request() {
    let page = |status| Http { status, ..Http::default() };
    let world = || {
        let site = site().system_says(GENUINE).tls(Purpose::Main, GENUINE, Outcome::Ok, heard());
        site.then_request(Purpose::Main, GENUINE, timeout(), page(None)).helper_answers().helper_verifies(GENUINE)
    };
    let with = |outcome, status| world().then_request(Purpose::Helper, GENUINE, outcome, page(status)).judged();
    assert!(fired(&with(Outcome::Ok, Some(200)), "control.reached"));
    assert!(fired(&with(timeout(), Some(200)), "control.reached"), "the helper's response began");
    assert!(fired(&with(timeout(), None), "control.also_fails"));
    assert!(fired(&with(Outcome::Ok, Some(502)), "control.also_fails"));
}
