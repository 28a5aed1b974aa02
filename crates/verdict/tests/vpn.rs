//! What is said of tunnels.

mod world;

use faultline_record::{Failure, Outcome, Purpose};
use faultline_verdict::{Cause, State, Verdict};
use world::{GENUINE, World, failed};

fn is(verdict: &Verdict, state: State, cause: Cause, mechanisms: &[&str]) {
    assert_eq!((verdict.state, verdict.cause), (state, cause), "{verdict:#?}");
    assert_eq!(verdict.mechanisms, mechanisms, "{verdict:#?}");
}

fn silence() -> Outcome {
    failed(Failure::GenericTimeoutError)
}

/// The first message and both of its repetitions end so, and disguised ones so.
fn ladder(plain: Outcome, disguised: Outcome) -> World {
    let mut world = World::measuring("openvpn+udp://vpn.example:1194").system_says(GENUINE).others_say(GENUINE);
    world = world.tunnel(Purpose::Main, GENUINE, plain);
    for _ in 0..2 {
        world = world.tunnel(Purpose::JunkFirst, GENUINE, disguised).tunnel(Purpose::Retry, GENUINE, plain);
    }
    world
}

#[test]
fn an_answer_is_ok() {
    let world = World::measuring("openvpn+udp://vpn.example:1194").system_says(GENUINE);
    is(&world.tunnel(Purpose::Main, GENUINE, Outcome::Ok).judged(), State::Ok, Cause::None, &[]);
}

#[test]
fn silence_is_never_blocked_also_where_the_host_lives() {
    is(&ladder(silence(), silence()).judged(), State::Impaired, Cause::Unknown, &[]);
    let lives = ladder(silence(), silence()).host_alive(GENUINE, failed(Failure::ConnectionRefused)).judged();
    assert!(!matches!(lives.state, State::Blocked | State::Ok), "{lives:#?}");
}

#[test]
fn what_passes_in_disguise_alone_is_blocked() {
    let reset = failed(Failure::ConnectionReset);
    is(&ladder(silence(), Outcome::Ok).judged(), State::Blocked, Cause::Interference, &["vpn.openvpn.timeout"]);
    is(&ladder(reset, Outcome::Ok).judged(), State::Blocked, Cause::Interference, &["vpn.openvpn.reset"]);
}

#[test]
fn a_helper_decides_between_a_block_and_a_dead_server() {
    let with = |outcome| {
        let world = ladder(silence(), silence()).helper_answers();
        world.tunnel(Purpose::Helper, GENUINE, outcome).judged()
    };
    is(&with(Outcome::Ok), State::LikelyBlocked, Cause::Interference, &["vpn.openvpn.timeout"]);
    is(&with(silence()), State::Down, Cause::Target, &[]);
}

#[test]
fn a_refusal_is_the_server_s() {
    let refused = failed(Failure::ConnectionRefused);
    let verdict = ladder(refused, refused).judged();
    is(&verdict, State::Down, Cause::Target, &[]);
}
