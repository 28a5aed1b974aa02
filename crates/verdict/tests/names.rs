//! What is said of names that fail: now and then, at a stranger's host, after a quiet time, in other forms.

mod world;

use faultline_record::{Failure, Outcome, Purpose, Tls};
use faultline_verdict::{Cause, State, Verdict};
use world::{GENUINE, World, failed, fired, heard, is};

const RESET: Failure = Failure::ConnectionReset;
const STRANGER: &str = "192.0.2.44";

fn asked() -> World {
    World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE)
}

fn cut_off(world: World, purpose: Purpose, address: &str) -> World {
    world.tls(purpose, address, failed(RESET), Tls::default())
}

/// Rounds in which the own name is answered (`+`) or reset (`-`), and the innocent one always answered but where `lost`.
fn rounds(start: World, own: &str, lost: usize) -> World {
    own.chars().enumerate().fold(start, |world, (index, mark)| {
        let world = if index < lost {
            cut_off(world, Purpose::InnocentSni, GENUINE)
        } else {
            world.tls(Purpose::InnocentSni, GENUINE, failed(Failure::SslInvalidHostname), heard())
        };
        match mark {
            '+' => world.tls(Purpose::Retry, GENUINE, Outcome::Ok, heard()),
            _ => cut_off(world, Purpose::Retry, GENUINE),
        }
    })
}

#[test]
fn a_name_that_is_reset_eight_times_more_than_an_innocent_one_is_blocked_and_four_times_is_likely_so() {
    let verdict = |own: &str, lost| rounds(cut_off(asked(), Purpose::Main, GENUINE), own, lost).judged();
    is(&verdict("-+-+--+-++-+--", 0), State::Blocked, Cause::Interference, &["tls.reset.sni"]);
    is(&verdict("-+-+-+-", 0), State::LikelyBlocked, Cause::Interference, &["tls.reset.sni"]);
    let chance = verdict("-+++++++++", 0);
    assert!(chance.state != State::Blocked && fired(&chance, "tls.transient"), "{chance:#?}");
    let overloaded = verdict("-+-+-+-", 3);
    assert!(!fired(&overloaded, "tls.sni_often") && overloaded.state != State::Blocked, "{overloaded:#?}");
}

#[test]
fn a_site_that_was_reached_and_is_cut_off_now_and_then_works_and_is_interfered_with() {
    let start = || cut_off(asked().responds(Purpose::Main, "203.0.113.10", 200), Purpose::Main, GENUINE);
    is(&rounds(start(), "-+-+--+-++-+--", 0).judged(), State::Ok, Cause::Interference, &["tls.reset.sni"]);
    is(&rounds(start(), "---", 0).judged(), State::Ok, Cause::Interference, &["tls.reset.sni"]);
    is(&rounds(start(), "+++", 0).judged(), State::Ok, Cause::None, &[]);
}

fn at_a_stranger(own: bool, innocent: bool) -> Verdict {
    let try_there = |world: World, purpose, is_heard| {
        if is_heard {
            world.tls(purpose, STRANGER, failed(Failure::SslInvalidHostname), heard())
        } else {
            cut_off(world, purpose, STRANGER)
        }
    };
    let start = rounds(cut_off(asked(), Purpose::Main, GENUINE), "---", 0);
    let start = try_there(start, Purpose::ElsewhereInnocent, innocent);
    try_there(start, Purpose::Elsewhere, own).judged()
}

#[test]
fn a_name_that_fails_at_a_strangers_host_is_not_cut_off_by_its_own_server() {
    let verdict = at_a_stranger(false, true);
    is(&verdict, State::Blocked, Cause::Interference, &["tls.reset.sni"]);
    assert!(fired(&verdict, "tls.name_fails_elsewhere"));
    assert!(fired(&at_a_stranger(true, true), "tls.name_passes_elsewhere"));
    let dead = at_a_stranger(false, false);
    assert!(!fired(&dead, "tls.name_fails_elsewhere"), "nothing is answered there: {dead:#?}");
}

fn shut(again_heard: bool) -> Verdict {
    let timeout = failed(Failure::GenericTimeoutError);
    let start = cut_off(asked(), Purpose::Main, GENUINE).connects(GENUINE, timeout);
    let start = start.tls(Purpose::QuietInnocent, GENUINE, failed(Failure::SslInvalidHostname), heard());
    let start = cut_off(start, Purpose::QuietOwn, GENUINE);
    let end = if again_heard {
        start.tls(Purpose::QuietAgain, GENUINE, failed(Failure::SslInvalidHostname), heard())
    } else {
        cut_off(start, Purpose::QuietAgain, GENUINE)
    };
    end.judged()
}

#[test]
fn an_address_that_is_shut_again_by_the_name_is_cut_off_for_its_sake() {
    let verdict = shut(false);
    is(&verdict, State::Blocked, Cause::Interference, &["tls.reset.sni"]);
    assert!(fired(&verdict, "tls.residual"));
    assert!(!fired(&shut(true), "tls.residual"), "it stayed open");
}

#[test]
fn the_forms_that_pass_are_told_and_decide_nothing() {
    let start = rounds(cut_off(asked(), Purpose::Main, GENUINE), "---", 0);
    let with = cut_off(start.tls(Purpose::MixedCase, GENUINE, Outcome::Ok, heard()), Purpose::Tls12, GENUINE).judged();
    let told = with.evidence.iter().find(|evidence| evidence.rule == "tls.forms").expect("told");
    assert!(told.weight.abs() < 1e-9, "{told:?}");
    assert!(told.text.contains("answered with the letters in changing case; cut off in TLS 1.2"), "{}", told.text);
}

#[test]
fn a_silent_address_whose_host_answers_at_another_port_is_not_called_blocked_for_that() {
    let timeout = failed(Failure::GenericTimeoutError);
    let verdict = asked().connects(GENUINE, timeout).host_alive(GENUINE, Outcome::Ok).judged();
    assert!(fired(&verdict, "tcp.host_alive"), "{verdict:#?}");
    assert_eq!(verdict.state, State::Impaired, "{verdict:#?}");
}
