//! No failure counts in a minute in which the vantage was not proven to work.

mod world;

use faultline_record::{Failure, HealthSignal, Outcome, Purpose, SignalKind, Tls, Witness};
use faultline_verdict::{Cause, HealthState, State, judge, local_health};
use world::{GENUINE, World, all_well, check, failed, healthy, signal};

fn reset() -> faultline_record::Measurement {
    let site = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    site.tls(Purpose::Main, GENUINE, failed(Failure::ConnectionReset), Tls::default()).done()
}

fn works() -> faultline_record::Measurement {
    World::measuring("https://site.example/").system_says(GENUINE).responds(Purpose::Main, GENUINE, 200).done()
}

fn without(kinds: &[SignalKind], outcome: Outcome) -> Vec<HealthSignal> {
    let change = |mut signal: HealthSignal| {
        if kinds.contains(&signal.kind) {
            signal.outcome = outcome;
        }
        signal
    };
    all_well().into_iter().map(change).collect()
}

fn after(signals: Vec<HealthSignal>) -> Witness {
    Witness { after: Some(check(6_500.0, signals).into()), ..healthy() }
}

const REMOTE: [SignalKind; 4] =
    [SignalKind::Captive, SignalKind::ControlByName, SignalKind::ControlByAddress, SignalKind::Resolver];
const CONTROLS: [SignalKind; 2] = [SignalKind::ControlByName, SignalKind::ControlByAddress];

fn state_of(signals: Vec<HealthSignal>) -> HealthState {
    local_health(&check(0.0, signals)).state
}

#[test]
fn each_state_of_the_vantage_is_told_from_its_signals() {
    let timeout = failed(Failure::GenericTimeoutError);
    assert_eq!(state_of(all_well()), HealthState::Ok);
    assert_eq!(state_of(without(&[SignalKind::Link], failed(Failure::NetworkDown))), HealthState::NoNetwork);
    assert_eq!(state_of(without(&[SignalKind::Route], failed(Failure::NetworkUnreachable))), HealthState::NoNetwork);
    assert_eq!(state_of(without(&REMOTE, timeout)), HealthState::NoInternet);
    let mut portal = without(&CONTROLS, timeout);
    portal.iter_mut().filter(|signal| signal.kind == SignalKind::Captive).for_each(|signal| {
        signal.outcome = failed(Failure::UnexpectedResponse);
    });
    assert_eq!(state_of(portal), HealthState::CaptivePortal);
}

#[test]
fn a_changed_captive_check_beside_working_controls_is_no_portal() {
    assert_eq!(state_of(without(&[SignalKind::Captive], failed(Failure::UnexpectedResponse))), HealthState::Ok);
}

#[test]
fn a_dead_resolver_beside_reachable_addresses_is_dns_down() {
    let mut signals = without(&[SignalKind::Resolver, SignalKind::ControlByName], failed(Failure::GenericTimeoutError));
    signals.push(signal(SignalKind::ControlByAddress, "cloudflare", Outcome::Ok));
    assert_eq!(state_of(signals), HealthState::DnsDown);
}

#[test]
fn a_clock_that_is_hours_off_is_wrong_and_one_that_is_seconds_off_is_not() {
    let with_skew = |seconds: f64| {
        let mut clock = signal(SignalKind::Clock, "google", Outcome::Ok);
        clock.value = Some(seconds);
        state_of(all_well().into_iter().chain([clock]).collect())
    };
    assert_eq!(with_skew(-7_200.0), HealthState::ClockWrong);
    assert_eq!(with_skew(2.0), HealthState::Ok);
}

#[test]
fn a_clock_by_which_every_certificate_has_expired_is_wrong_and_no_outage() {
    let mut signals = without(&CONTROLS, failed(Failure::SslInvalidCertificate));
    assert_eq!(state_of(signals.clone()), HealthState::NoInternet);
    let mut clock = signal(SignalKind::Clock, "google", Outcome::Ok);
    clock.value = Some(3.0e8);
    signals.push(clock);
    assert_eq!(state_of(signals), HealthState::ClockWrong);
}

#[test]
fn a_route_without_answers_over_ipv6_is_a_local_fact() {
    let v6 =
        |kind, outcome| HealthSignal { family: Some(faultline_record::Family::V6), ..signal(kind, "quad9", outcome) };
    let timeout = failed(Failure::GenericTimeoutError);
    let signals = [v6(SignalKind::Route, Outcome::Ok), v6(SignalKind::ControlByAddress, timeout)];
    assert_eq!(state_of(all_well().into_iter().chain(signals).collect()), HealthState::Ipv6Broken);
}

#[test]
fn a_failure_before_an_outage_was_noticed_is_insufficient() {
    let timeout = failed(Failure::GenericTimeoutError);
    let verdict = judge(&reset(), &after(without(&REMOTE, timeout)));
    assert_eq!((verdict.state, verdict.cause), (State::Insufficient, Cause::Isp), "{verdict:#?}");
    assert!(verdict.mechanisms.is_empty());
    assert!(verdict.evidence.iter().all(|evidence| evidence.weight == 0.0), "discarded evidence weighs nothing");
    let no_link = judge(&reset(), &after(without(&[SignalKind::Link], failed(Failure::NetworkDown))));
    assert_eq!((no_link.state, no_link.cause), (State::Insufficient, Cause::LocalNetwork));
}

#[test]
fn a_failure_without_a_check_after_it_is_insufficient() {
    let verdict = judge(&reset(), &Witness { after: None, ..healthy() });
    assert_eq!(verdict.state, State::Insufficient);
    let late = Witness { after: Some(check(6_000.0 + 60_001.0, all_well()).into()), ..healthy() };
    assert_eq!(judge(&reset(), &late).state, State::Insufficient);
}

#[test]
fn a_failure_under_our_own_overload_is_insufficient() {
    let verdict = judge(&reset(), &Witness { overloaded: true, ..healthy() });
    assert_eq!((verdict.state, verdict.cause), (State::Insufficient, Cause::Instrument));
}

#[test]
fn a_response_that_only_the_target_can_give_stands_without_a_check() {
    assert_eq!(judge(&works(), &Witness::default()).state, State::Ok);
}

#[test]
fn a_failure_in_a_proven_minute_counts() {
    assert_eq!(judge(&reset(), &healthy()).state, State::LikelyBlocked);
}

fn silent_giant() -> faultline_record::Measurement {
    let site = World::measuring("https://site.example/").of_a_great_service().system_says(GENUINE);
    site.connects(GENUINE, failed(Failure::GenericTimeoutError)).done()
}

/// Two public resolvers answer; ordinary servers end so.
fn resolvers_alone(servers: Outcome) -> Vec<HealthSignal> {
    let mut signals = without(&[SignalKind::ControlByName], servers);
    signals.push(signal(SignalKind::ControlByAddress, "google", Outcome::Ok));
    signals
}

fn around(before: Vec<HealthSignal>, after: Vec<HealthSignal>) -> Witness {
    Witness {
        before: Some(check(4_000.0, before).into()),
        after: Some(check(6_500.0, after).into()),
        ..Witness::default()
    }
}

#[test]
fn where_public_resolvers_alone_answer_a_silent_giant_is_not_accused() {
    let silence = || resolvers_alone(failed(Failure::GenericTimeoutError));
    let verdict = judge(&silent_giant(), &around(silence(), silence()));
    assert_eq!((verdict.state, verdict.cause), (State::Impaired, Cause::Unknown), "{verdict:#?}");
    assert!(world::fired(&verdict, "tcp.others_silent") && !world::fired(&verdict, "target.rarely_down"));
}

#[test]
fn one_ordinary_server_that_answers_or_refuses_proves_the_way_there() {
    let silence = || resolvers_alone(failed(Failure::GenericTimeoutError));
    let refused = || resolvers_alone(failed(Failure::ConnectionRefused));
    for witness in [around(silence(), all_well_and_google()), around(refused(), silence()), healthy()] {
        let verdict = judge(&silent_giant(), &witness);
        assert_eq!((verdict.state, verdict.cause), (State::LikelyBlocked, Cause::Interference), "{verdict:#?}");
    }
}

fn all_well_and_google() -> Vec<HealthSignal> {
    resolvers_alone(Outcome::Ok)
}
