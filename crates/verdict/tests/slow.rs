//! What is said of slowness and of connections that stop: by name, of every name, and of what only looks like it.

mod world;

use faultline_record::{Arrival, Failure, Http, Outcome, Purpose};
use faultline_verdict::{Cause, State, Verdict};
use world::{GENUINE, World, failed};

const SEGMENT: u64 = 1_448;
const TIMEOUT: Outcome = Outcome::Failed(Failure::GenericTimeoutError);

/// What came of a request: when its segments came, and how it ended after so long.
#[derive(Clone)]
struct Came {
    times: Vec<u32>,
    outcome: Outcome,
    ms: f64,
}

impl Came {
    /// Forty-five segments (64 KB) in three round trips.
    fn at_once(jitter: u32) -> Self {
        let times: Vec<u32> = (0..45).map(|n| 50 * (1 + n / 15) + jitter).collect();
        Self { ms: f64::from(150 + jitter), times, outcome: Outcome::Ok }
    }

    /// A segment each so many milliseconds, for four seconds.
    fn each(pause: u32, jitter: u32) -> Self {
        Self { times: (1..4_000 / pause).map(|n| n * pause + jitter).collect(), outcome: TIMEOUT, ms: 4_001.0 }
    }

    /// So many segments, and nothing more until time is up.
    fn stopped(count: usize, ms: f64) -> Self {
        Self { times: vec![60; count], outcome: TIMEOUT, ms }
    }

    fn http(&self) -> Http {
        let arrivals = self.times.iter().zip(1..).map(|(&ms, count)| Arrival { ms, bytes: count * SEGMENT }).collect();
        let body_length = if self.outcome.is_ok() { 64_000 } else { (self.times.len() as u64 * SEGMENT).min(64_000) };
        let url = "https://site.example/".to_owned();
        Http { url, status: Some(200), body_length, head_ms: Some(50), arrivals, ..Http::default() }
    }
}

fn measured(main: &Came, rounds: &[(Came, Came)]) -> World {
    let start = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let mut world = start.requests(Purpose::Main, GENUINE, main.outcome, main.http(), main.ms);
    for (innocent, own) in rounds {
        world = world.requests(Purpose::InnocentSni, GENUINE, innocent.outcome, innocent.http(), innocent.ms);
        world = world.requests(Purpose::Retry, GENUINE, own.outcome, own.http(), own.ms);
    }
    world
}

fn rounds(count: u32, innocent: impl Fn(u32) -> Came, own: impl Fn(u32) -> Came) -> Vec<(Came, Came)> {
    (0..count).map(|n| (innocent(n * 2), own(n * 3))).collect()
}

fn text<'a>(verdict: &'a Verdict, rule: &str) -> Option<&'a str> {
    verdict.evidence.iter().find(|evidence| evidence.rule == rule).map(|evidence| evidence.text.as_str())
}

#[test]
fn a_name_that_is_carried_at_130_kbit_where_another_is_not_is_throttled_and_the_rates_are_said() {
    let main = Came { outcome: Outcome::Ok, ..Came::each(90, 0) };
    let verdict = measured(&main, &rounds(6, Came::at_once, |n| Came::each(90, n))).judged();
    assert_eq!((verdict.state, verdict.cause), (State::Impaired, Cause::Interference), "{verdict:#?}");
    assert_eq!(verdict.mechanisms, ["tls.throttle.sni"]);
    let said = text(&verdict, "tls.slow_differential").unwrap();
    assert!(said.contains("carried at 12") && said.contains(" kbit/s [12") && said.contains("in 6 rounds"), "{said}");
    assert!(said.contains("the same rate each time within 0 %"), "{said}");
}

#[test]
fn what_is_slow_under_every_name_is_said_and_weighs_nothing() {
    let main = Came { outcome: Outcome::Ok, ..Came::each(90, 0) };
    let verdict = measured(&main, &rounds(2, |n| Came::each(90, n), |n| Came::each(95, n))).judged();
    assert_eq!((verdict.state, verdict.cause), (State::Ok, Cause::None), "{verdict:#?}");
    assert!(text(&verdict, "tls.slow_any_name").unwrap().contains("this place alone cannot tell"));
    assert_eq!(verdict.mechanisms, Vec::<String>::new());
}

#[test]
fn a_difference_in_too_few_rounds_says_nothing() {
    let main = Came { outcome: Outcome::Ok, ..Came::each(90, 0) };
    let verdict = measured(&main, &rounds(4, Came::at_once, |n| Came::each(90, n))).judged();
    assert_eq!((verdict.state, verdict.cause), (State::Ok, Cause::None), "{verdict:#?}");
}

#[test]
fn a_name_whose_connections_stop_where_another_brings_the_whole_is_frozen() {
    let main = Came::stopped(9, 15_001.0);
    let verdict = measured(&main, &rounds(3, Came::at_once, |n| Came::stopped(9 + n as usize % 2, 4_001.0))).judged();
    assert_eq!((verdict.state, verdict.cause), (State::Blocked, Cause::Interference), "{verdict:#?}");
    assert_eq!(verdict.mechanisms, ["tls.freeze"]);
    assert!(text(&verdict, "tls.freeze_differential").unwrap().contains("after 16032 to 17480 bytes"), "{verdict:#?}");
}

#[test]
fn a_name_of_which_nothing_was_answered_may_be_another_server_behind_the_address() {
    let mute = |_| Came { outcome: TIMEOUT, ms: 4_001.0, times: Vec::new() };
    let start = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let nothing = Http { status: None, head_ms: None, ..mute(0).http() };
    let mut world = start.requests(Purpose::Main, GENUINE, TIMEOUT, nothing.clone(), 15_001.0);
    for _ in 0..6 {
        world = world.requests(Purpose::InnocentSni, GENUINE, Outcome::Ok, Came::at_once(0).http(), 150.0);
        world = world.requests(Purpose::Retry, GENUINE, TIMEOUT, nothing.clone(), 4_001.0);
    }
    let verdict = world.judged();
    assert!(verdict.mechanisms.is_empty() && verdict.state != State::Blocked, "{verdict:#?}");
}

#[test]
fn a_name_that_stops_behind_gaps_of_a_lossy_line_is_frozen_all_the_same() {
    let own = [0, 9, 3].map(|count| (Came::at_once(0), Came::stopped(count, 4_001.0)));
    let verdict = measured(&Came::stopped(0, 15_001.0), &own).judged();
    assert_eq!((verdict.state, verdict.mechanisms.as_slice()), (State::Blocked, &["tls.freeze".to_owned()][..]));
}

#[test]
fn connections_that_all_stop_at_one_count_are_said_to_and_are_no_proof() {
    let stop = |n: u32| Came::stopped(9 + n as usize % 2, 4_001.0);
    let world = measured(&Came::stopped(9, 15_001.0), &rounds(2, stop, stop));
    let alone = world.judged();
    assert!(text(&alone, "tls.freeze_any_name").unwrap().contains("5 of 5"), "{alone:#?}");
    assert!(alone.state != State::Blocked && alone.state != State::LikelyBlocked, "{alone:#?}");
}

#[test]
fn one_slow_answer_among_the_own_ones_is_no_freeze() {
    let mut three = rounds(3, Came::at_once, |_| Came::stopped(9, 4_001.0));
    three[1].1 = Came { outcome: Outcome::Ok, ..Came::each(80, 0) };
    let verdict = measured(&Came::stopped(9, 15_001.0), &three).judged();
    assert!(text(&verdict, "tls.freeze_differential").is_none() && verdict.state != State::Blocked, "{verdict:#?}");
}

#[test]
fn another_answer_under_the_innocent_name_proves_no_freeze() {
    let start = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let stopped = Came::stopped(9, 4_001.0);
    let mut world =
        start.requests(Purpose::Main, GENUINE, failed(Failure::GenericTimeoutError), stopped.http(), 15_001.0);
    for _ in 0..3 {
        let refusal = Http { status: Some(421), body_length: 60, arrivals: Vec::new(), ..stopped.http() };
        world = world.requests(Purpose::InnocentSni, GENUINE, Outcome::Ok, refusal, 60.0);
        world = world.requests(Purpose::Retry, GENUINE, TIMEOUT, stopped.http(), 4_001.0);
    }
    let verdict = world.judged();
    assert!(text(&verdict, "tls.freeze_differential").is_none() && verdict.state != State::Blocked, "{verdict:#?}");
}

#[test]
fn a_page_that_is_still_coming_when_its_time_is_up_is_slow_and_not_frozen() {
    let long = Came { ms: 15_001.0, times: (1..160).map(|n| n * 90).collect(), outcome: TIMEOUT };
    let helped = |world: World| world.helper_answers().helper_verifies(GENUINE).judged();
    let alone = helped(measured(&long, &[]));
    assert_eq!((alone.state, alone.cause), (State::Impaired, Cause::Unknown), "{alone:#?}");
    assert!(text(&alone, "http.slow_response").unwrap().contains("in 15 s"));
    let throttled = helped(measured(&long, &rounds(5, Came::at_once, |n| Came::each(90, n))));
    assert_eq!((throttled.state, throttled.cause), (State::Impaired, Cause::Interference), "{throttled:#?}");
    assert_eq!(throttled.mechanisms, ["tls.throttle.sni"]);
}

#[test]
fn a_request_that_fails_once_and_is_answered_later_at_the_same_address_is_no_block() {
    let lost = Came { outcome: TIMEOUT, ms: 15_001.0, times: Vec::new() };
    let world = measured(&lost, &rounds(2, Came::at_once, Came::at_once));
    let helped = world.helper_answers().helper_verifies(GENUINE);
    let verdict = helped.then_request(Purpose::Helper, GENUINE, Outcome::Ok, Came::at_once(0).http()).judged();
    assert_eq!((verdict.state, verdict.cause), (State::Impaired, Cause::Unknown), "{verdict:#?}");
    assert!(text(&verdict, "http.later_response").is_some() && text(&verdict, "control.reached").is_none());
    assert_eq!(verdict.mechanisms, Vec::<String>::new());
}

#[test]
fn a_path_that_lets_only_heads_pass_is_neither_slow_nor_frozen() {
    let head = |_| Came::stopped(1, 4_001.0);
    let verdict = measured(&Came::stopped(1, 15_001.0), &rounds(2, head, head)).judged();
    assert!(text(&verdict, "tls.slow_any_name").is_none() && text(&verdict, "tls.freeze_any_name").is_none());
}
