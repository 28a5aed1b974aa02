//! What is said of QUIC, and of signs that somebody on the way answers.

mod world;

use faultline_record::{Failure, Http, Outcome, Purpose, Tls};
use faultline_verdict::{Cause, State, Verdict};
use world::{GENUINE, World, failed, fired, heard, is};

const TIMEOUT: Failure = Failure::GenericTimeoutError;

fn quic() -> World {
    World::measuring("quic://site.example:443").system_says(GENUINE).others_say(GENUINE)
}

fn silent() -> World {
    quic().quic(Purpose::Main, GENUINE, failed(TIMEOUT), false)
}

fn rounds(mut world: World, innocent: (Outcome, bool), own: (Outcome, bool)) -> World {
    for _ in 0..3 {
        world = world.quic(Purpose::InnocentSni, GENUINE, innocent.0, innocent.1);
        world = world.quic(Purpose::Retry, GENUINE, own.0, own.1);
    }
    world
}

#[test]
fn a_verified_handshake_is_ok() {
    let verdict = quic().quic(Purpose::Main, GENUINE, Outcome::Ok, true).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
    assert!(fired(&verdict, "quic.verified_handshake"));
}

#[test]
fn silence_alone_settles_nothing() {
    is(&silent().judged(), State::Impaired, Cause::Unknown, &[]);
}

#[test]
fn a_name_that_fails_where_an_innocent_one_is_answered_is_blocked() {
    let answered = (failed(Failure::SslInvalidHostname), true);
    let verdict = rounds(silent(), answered, (failed(TIMEOUT), false)).judged();
    is(&verdict, State::Blocked, Cause::Interference, &["quic.timeout.sni"]);
}

#[test]
fn an_answer_to_a_later_try_is_no_block() {
    let answered = (failed(Failure::SslInvalidHostname), true);
    let verdict = rounds(silent(), answered, (Outcome::Ok, true)).judged();
    assert!(fired(&verdict, "quic.transient") && verdict.state != State::Blocked, "{verdict:#?}");
}

#[test]
fn where_no_name_is_answered_the_helper_decides() {
    let nobody = (failed(TIMEOUT), false);
    let start = || rounds(silent(), nobody, nobody).helper_answers();
    let reached = start().quic(Purpose::Helper, GENUINE, Outcome::Ok, true).judged();
    is(&reached, State::LikelyBlocked, Cause::Interference, &["quic.timeout.other"]);
    let fails = start().quic(Purpose::Helper, GENUINE, failed(TIMEOUT), false).judged();
    is(&fails, State::Down, Cause::Target, &[]);
}

#[test]
fn an_answer_by_a_host_that_is_no_resolver_proves_somebody_on_the_way() {
    let start = || {
        let start = World::measuring("https://site.example/").system_says("203.0.113.66").others_say(GENUINE);
        let start = start.connects("203.0.113.66", failed(TIMEOUT));
        start.tls(Purpose::Comparison, GENUINE, Outcome::Ok, heard())
    };
    let rule = "dns.answered_on_the_way";
    assert!(fired(&start().asks_nobody(Outcome::Ok, &["203.0.113.66"]).judged(), rule));
    assert!(fired(&start().asks_nobody(failed(Failure::DnsNxdomainError), &[]).judged(), rule));
    for (outcome, said) in
        [(failed(TIMEOUT), &[][..]), (failed(Failure::DnsRefusedError), &[]), (Outcome::Ok, &[GENUINE])]
    {
        let verdict = start().asks_nobody(outcome, said).judged();
        assert!(!fired(&verdict, rule), "{outcome:?} {said:?}");
    }
}

fn cut(after: f64, away: f64) -> World {
    let reset = || (failed(Failure::ConnectionReset), Tls::default());
    let mut world = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let (outcome, tls) = reset();
    world = world.tls(Purpose::Main, GENUINE, outcome, tls).taking(away, after);
    for _ in 0..3 {
        let (outcome, tls) = reset();
        // The innocent name fails, too: the differential says nothing.
        world = world.tls(Purpose::InnocentSni, GENUINE, outcome, tls.clone()).taking(away, after);
        world = world.tls(Purpose::Retry, GENUINE, outcome, tls).taking(away, after);
    }
    world
}

#[test]
fn a_reset_that_comes_before_the_server_can_have_sent_it_is_somebody_else_s() {
    let verdict = cut(12.0, 60.0).judged();
    is(&verdict, State::Blocked, Cause::Interference, &["tls.reset"]);
    for (after, away) in [(58.0, 60.0), (1.0, 4.0)] {
        assert!(!fired(&cut(after, away).judged(), "tls.cut_off_early"), "{after} of {away} ms");
    }
}

#[test]
fn a_name_that_passes_when_it_is_hidden_is_blocked() {
    let reset = || (failed(Failure::ConnectionReset), Tls::default());
    let hidden = |purpose, outcome: Outcome| {
        let mut world = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
        for which in [Purpose::Main, Purpose::Retry, Purpose::Retry, Purpose::Retry] {
            let (outcome, tls) = reset();
            world = world.tls(which, GENUINE, outcome, tls);
        }
        world.tls(purpose, GENUINE, outcome, heard()).judged()
    };
    for purpose in [Purpose::SplitSegments, Purpose::SplitRecords, Purpose::NoSni] {
        let verdict = hidden(purpose, Outcome::Ok);
        is(&verdict, State::Blocked, Cause::Interference, &["tls.reset.sni"]);
        assert!(fired(&verdict, "tls.passes_when_hidden"));
        assert!(!fired(&hidden(purpose, failed(Failure::SslInvalidHostname)), "tls.passes_when_hidden"));
    }
}

fn asked(outcome: Outcome, status: Option<u16>) -> Verdict {
    let http = Http { url: "https://site.example/".into(), protocol: Some("h3".into()), status, ..Http::default() };
    let world = World::measuring("quic://site.example:443/").system_says(GENUINE).others_say(GENUINE);
    let world = world.quic(Purpose::Main, GENUINE, Outcome::Ok, true);
    world.then_request(Purpose::Main, GENUINE, outcome, http).judged()
}

#[test]
fn a_response_behind_a_quic_handshake_counts_as_one_behind_tls() {
    let answered = asked(Outcome::Ok, Some(200));
    is(&answered, State::Ok, Cause::None, &[]);
    assert!(fired(&answered, "http.verified_response"));
    is(&asked(Outcome::Ok, Some(403)), State::Ok, Cause::ServerSide, &[]);
}

#[test]
fn a_request_that_fails_behind_a_quic_handshake_is_not_ok_and_no_block() {
    let verdict = asked(failed(TIMEOUT), None);
    assert!(fired(&verdict, "http.failure_inside_tls"), "{verdict:#?}");
    assert!(!matches!(verdict.state, State::Ok | State::Blocked | State::LikelyBlocked), "{verdict:#?}");
}

/// A site that works over TCP, and is asked over HTTP/3 as well.
fn offered(outcome: Outcome, heard: bool) -> World {
    let world = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    world.responds(Purpose::Main, GENUINE, 200).quic(Purpose::Http3Copy, GENUINE, outcome, heard)
}

#[test]
fn a_site_s_quic_has_a_state_of_its_own_and_never_turns_that_of_the_site() {
    let page = Http { url: "https://site.example/".into(), protocol: Some("h3".into()), ..Http::default() };
    let answered = Http { status: Some(200), ..page.clone() };
    let works = offered(Outcome::Ok, true).then_request(Purpose::Http3Copy, GENUINE, Outcome::Ok, answered).judged();
    let silent = offered(failed(TIMEOUT), false).judged();
    let unanswered =
        offered(Outcome::Ok, true).then_request(Purpose::Http3Copy, GENUINE, failed(TIMEOUT), page).judged();
    let answers = (failed(Failure::SslInvalidHostname), true);
    let dropped = rounds(offered(failed(TIMEOUT), false), answers, (failed(TIMEOUT), false)).judged();
    let nobody = (failed(TIMEOUT), false);
    let filtered = rounds(offered(failed(TIMEOUT), false), nobody, nobody);
    let filtered = filtered.quic(Purpose::VersionNegotiation, GENUINE, Outcome::Ok, true).judged();
    for (verdict, over_quic) in [
        (works, State::Ok),
        (silent, State::Impaired),
        (unanswered, State::Impaired),
        (dropped, State::Blocked),
        (filtered, State::LikelyBlocked),
    ] {
        is(&verdict, State::Ok, Cause::None, &[]);
        assert_eq!(verdict.families["ipv4"], State::Ok, "{verdict:#?}");
        assert_eq!(verdict.families["quic"], over_quic, "{verdict:#?}");
    }
}

#[test]
fn a_site_that_was_not_asked_over_quic_has_no_state_for_it() {
    let world = World::measuring("https://site.example/").system_says(GENUINE).others_say(GENUINE);
    let verdict = world.responds(Purpose::Main, GENUINE, 200).judged();
    assert!(!verdict.families.contains_key("quic"), "{verdict:#?}");
    let skipped = Outcome::NotRun(faultline_record::NotRun::TargetDeadline);
    assert!(!offered(skipped, false).judged().families.contains_key("quic"));
}
