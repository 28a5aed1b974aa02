//! What is said of QUIC where versions were asked for: of the server, and of unrelated operators.

mod world;

use faultline_record::{Failure, Outcome, Purpose, Tls};
use faultline_verdict::{Cause, State};
use world::{GENUINE, World, failed, fired, is};

const TIMEOUT: Outcome = Outcome::Failed(Failure::GenericTimeoutError);
const OPERATORS: [&str; 2] = ["198.51.100.8", "198.51.100.9"];

/// The target is silent over QUIC, before and in three rounds, in which the innocent name ends so.
fn silent(innocent: (Outcome, bool)) -> World {
    let mut world = World::measuring("quic://site.example:443").system_says(GENUINE).others_say(GENUINE);
    world = world.quic(Purpose::Main, GENUINE, TIMEOUT, false);
    for _ in 0..3 {
        world = world.quic(Purpose::InnocentSni, GENUINE, innocent.0, innocent.1);
        world = world.quic(Purpose::Retry, GENUINE, TIMEOUT, false);
    }
    world
}

fn for_all_names() -> World {
    silent((TIMEOUT, false))
}

trait Asked {
    fn over_tcp(self) -> World;
    fn versions(self, outcome: Outcome) -> World;
}

impl Asked for World {
    fn over_tcp(self) -> World {
        self.tls(Purpose::TcpCopy, GENUINE, Outcome::Ok, Tls { bytes_received: 3_000, ..Tls::default() })
    }

    fn versions(self, outcome: Outcome) -> World {
        self.quic(Purpose::VersionNegotiation, GENUINE, outcome, outcome.is_ok())
    }
}

#[test]
fn a_server_that_says_its_versions_and_never_shakes_hands_is_likely_filtered() {
    let verdict = for_all_names().over_tcp().versions(Outcome::Ok).judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference, &["quic.timeout.other"]);
    assert!(fired(&verdict, "quic.initial_filtered"));
}

#[test]
fn it_is_the_less_likely_where_the_host_does_not_answer_over_tcp() {
    let verdict = for_all_names().versions(Outcome::Ok).judged();
    assert!(fired(&verdict, "quic.server_lives") && !fired(&verdict, "quic.initial_filtered"), "{verdict:#?}");
    is(&verdict, State::Impaired, Cause::Unknown, &[]);
}

#[test]
fn it_supports_the_differential_by_name() {
    let answered = (failed(Failure::SslInvalidHostname), true);
    let verdict = silent(answered).over_tcp().versions(Outcome::Ok).judged();
    is(&verdict, State::Blocked, Cause::Interference, &["quic.timeout.sni"]);
    assert!(fired(&verdict, "quic.initial_filtered") && fired(&verdict, "quic.sni_differential"));
}

#[test]
fn a_single_silent_handshake_is_no_filter() {
    let start = World::measuring("quic://site.example:443").system_says(GENUINE).others_say(GENUINE);
    let verdict = start.quic(Purpose::Main, GENUINE, TIMEOUT, false).over_tcp().versions(Outcome::Ok).judged();
    assert!(fired(&verdict, "quic.server_lives") && !fired(&verdict, "quic.initial_filtered"), "{verdict:#?}");
}

#[test]
fn a_port_that_is_closed_for_everybody_is_not_the_target_s_doing() {
    let start = || for_all_names().over_tcp().versions(TIMEOUT);
    let everybody = OPERATORS.into_iter().fold(start(), |world, one| world.elsewhere(one, TIMEOUT, Outcome::Ok));
    let verdict = everybody.judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference, &["udp.timeout"]);
    assert!(fired(&verdict, "quic.silent_everywhere"));
}

#[test]
fn silence_elsewhere_counts_only_where_udp_passes_and_of_two_operators() {
    let start = || for_all_names().over_tcp().versions(TIMEOUT);
    let dead = OPERATORS.into_iter().fold(start(), |world, one| world.elsewhere(one, TIMEOUT, TIMEOUT));
    let one = start().elsewhere(OPERATORS[0], TIMEOUT, Outcome::Ok);
    let same = start().elsewhere(OPERATORS[0], TIMEOUT, Outcome::Ok).elsewhere(OPERATORS[0], TIMEOUT, Outcome::Ok);
    let refused = failed(Failure::ConnectionRefused);
    let told = OPERATORS.into_iter().fold(start(), |world, one| world.elsewhere(one, refused, Outcome::Ok));
    for world in [start(), dead, one, same, told] {
        let verdict = world.judged();
        assert!(!fired(&verdict, "quic.silent_everywhere"), "{verdict:#?}");
        is(&verdict, State::Impaired, Cause::Unknown, &[]);
    }
}

#[test]
fn an_operator_that_answered_for_the_target_s_name_lives_though_the_experiment_s_question_was_lost() {
    let start = for_all_names().over_tcp().versions(TIMEOUT).elsewhere(OPERATORS[0], TIMEOUT, Outcome::Ok);
    let mut measurement = start.elsewhere(OPERATORS[1], TIMEOUT, Outcome::Ok).done();
    let rows = measurement.observations.iter_mut();
    for row in rows.filter(|row| row.purpose == Purpose::QuicElsewhere && row.dns().is_some()) {
        row.purpose = Purpose::Comparison;
    }
    let verdict = faultline_verdict::judge(&measurement, &world::healthy());
    is(&verdict, State::LikelyBlocked, Cause::Interference, &["udp.timeout"]);
}

#[test]
fn a_server_without_quic_is_told_from_a_closed_port_by_one_operator_that_answers() {
    let start = || for_all_names().over_tcp().versions(TIMEOUT).helper_answers();
    let start =
        || start().elsewhere(OPERATORS[0], Outcome::Ok, Outcome::Ok).elsewhere(OPERATORS[1], TIMEOUT, Outcome::Ok);
    let fails = start().quic(Purpose::Helper, GENUINE, TIMEOUT, false).judged();
    is(&fails, State::Down, Cause::Target, &[]);
    assert!(fired(&fails, "quic.answered_elsewhere"));
    let reached = start().quic(Purpose::Helper, GENUINE, Outcome::Ok, true).judged();
    is(&reached, State::LikelyBlocked, Cause::Interference, &["quic.timeout.other"]);
}

#[test]
fn an_experiment_s_question_does_not_name_the_target() {
    let start = World::measuring("quic://203.0.113.7:443").quic(Purpose::Main, GENUINE, TIMEOUT, false);
    let verdict = start.versions(TIMEOUT).elsewhere(OPERATORS[0], Outcome::Ok, Outcome::Ok).judged();
    let said = verdict.evidence.iter().find(|evidence| evidence.rule == "quic.timeout").unwrap();
    assert!(!said.text.contains("innocent"), "{}", said.text);
}
