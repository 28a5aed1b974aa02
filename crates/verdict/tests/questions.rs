//! Judgements on names in dispute: where the lie is, whose name is silenced, whose resolver is broken.

mod world;

use faultline_record::{Engine, Failure, Outcome, Purpose};
use faultline_verdict::{State, Verdict};

use world::{GENUINE, World, failed, heard};

const NAME: &str = "site.example";
const FORGED: &str = "10.10.34.35";
const OTHERS: &str = "203.0.113.80";
const SYSTEM: (Engine, &str) = (Engine::System, "system");
const SILENCE: Outcome = Outcome::Failed(Failure::GenericTimeoutError);

fn has(verdict: &Verdict, rule: &str) -> bool {
    verdict.evidence.iter().any(|evidence| evidence.rule == rule)
}

fn start() -> World {
    World::measuring("https://site.example/")
}

/// The genuine address is proven by a certificate.
fn proven(world: World) -> World {
    world.tls(Purpose::AddressCheck, GENUINE, Outcome::Ok, heard())
}

fn over(world: World, engine: Engine, resolver: &str, given: &str) -> World {
    world.asks(Purpose::OtherTransport, (engine, resolver), NAME, Outcome::Ok, &[given])
}

#[test]
fn a_resolver_that_lies_over_udp_and_not_over_tls_is_lied_for_on_the_way() {
    let bogon = failed(Failure::DnsBogonError);
    let google = (Engine::Udp, "resolver/google");
    let at_first = || start().says(Engine::System, "system", FORGED, bogon).says(google.0, google.1, FORGED, bogon);
    let lied = || at_first().asks(Purpose::OtherTransport, google, NAME, bogon, &[FORGED]);
    let verdict = proven(over(lied(), Engine::Dot, "resolver/google", GENUINE)).judged();
    assert!(has(&verdict, "dns.lie_on_the_way") && verdict.state == State::Blocked, "{verdict:?}");
    let other_resolver = proven(over(lied(), Engine::Dot, "resolver/quad9", GENUINE)).judged();
    assert!(!has(&other_resolver, "dns.lie_on_the_way"), "nobody says that the two resolvers agree");
    let earlier = proven(over(at_first(), Engine::Dot, "resolver/google", GENUINE)).judged();
    assert!(!has(&earlier, "dns.lie_on_the_way"), "answers change with time");
    let unproven = over(lied(), Engine::Dot, "resolver/google", GENUINE).judged();
    assert!(!has(&unproven, "dns.lie_on_the_way"), "what it gave over TLS is not proven");
}

#[test]
fn one_dead_address_over_udp_and_a_living_one_over_tcp_is_a_lie_only_if_several_resolvers_gave_it() {
    let world = || {
        let world = start().says(Engine::System, "system", OTHERS, Outcome::Ok).connects(OTHERS, SILENCE);
        over(world, Engine::System, "system", OTHERS)
    };
    let one = over(world(), Engine::Tcp, "system", GENUINE);
    assert!(!has(&proven(one).judged(), "dns.lie_on_the_way"), "an edge of a content network can be dead");
    let two = over(world(), Engine::Tcp, "system", GENUINE);
    let two = over(over(two, Engine::Udp, "resolver/google", OTHERS), Engine::Dot, "resolver/google", GENUINE);
    assert!(has(&proven(two).judged(), "dns.lie_on_the_way"));
}

#[test]
fn the_same_falsehood_over_tcp_is_the_resolvers_own() {
    let bogon = failed(Failure::DnsBogonError);
    let world = start().says(Engine::System, "system", FORGED, bogon).others_say(GENUINE);
    let world = world.asks(Purpose::OtherTransport, (Engine::Tcp, "system"), NAME, bogon, &[FORGED]);
    let verdict = proven(world).judged();
    assert!(has(&verdict, "dns.same_over_tcp") && !has(&verdict, "dns.lie_on_the_way"));
}

/// Three rounds of an unrelated name and the own one, ending so, and the questions without recursion.
fn rounds(innocent: Outcome, own: Outcome, control: Outcome, no_recursion: Outcome) -> World {
    let mut world = start().system_fails(Failure::GenericTimeoutError).others_say(GENUINE);
    let (own_name, unrelated) = ("SiTe.example", "eXample.com");
    for _ in 0..3 {
        world = world.asks(Purpose::InnocentName, SYSTEM, unrelated, innocent, &[]);
        world = world.asks(Purpose::ChangedCase, SYSTEM, own_name, own, &[]);
    }
    world = world.asks(Purpose::NoRecursion, SYSTEM, "0123456789abcdef.example.com", control, &[]);
    proven(world.asks(Purpose::NoRecursion, SYSTEM, NAME, no_recursion, &[]))
}

#[test]
fn a_name_that_is_never_answered_beside_one_that_is_settles_it() {
    let refused = failed(Failure::DnsRefusedError);
    let verdict = rounds(Outcome::Ok, SILENCE, refused, SILENCE).judged();
    assert!(has(&verdict, "dns.name_silenced"), "{verdict:?}");
    assert_eq!((verdict.state, verdict.mechanisms.as_slice()), (State::Blocked, &["dns.timeout".to_owned()][..]));
}

#[test]
fn a_resolver_that_answers_when_it_has_nothing_to_search_for_is_told_nothing() {
    let refused = failed(Failure::DnsRefusedError);
    let verdict = rounds(Outcome::Ok, SILENCE, refused, refused).judged();
    assert!(has(&verdict, "dns.searched_in_vain") && !has(&verdict, "dns.silence_proven"), "{verdict:?}");
    assert_eq!(verdict.state, State::Impaired, "{verdict:?}");
}

#[test]
fn a_resolver_that_is_silent_and_gives_up_later_has_searched() {
    let world = start().system_fails(Failure::GenericTimeoutError).others_say(GENUINE);
    let world = world.asks(Purpose::InnocentName, SYSTEM, "eXample.com", Outcome::Ok, &[]);
    let gave_up = failed(Failure::DnsServfailError);
    let verdict = proven(world.asks(Purpose::ChangedCase, SYSTEM, "Site.example", gave_up, &[])).judged();
    assert!(has(&verdict, "dns.searched_in_vain") && verdict.state == State::Impaired, "{verdict:?}");
}

#[test]
fn a_helper_who_resolves_the_name_does_not_make_a_block_of_a_resolver_that_searches() {
    let refused = failed(Failure::DnsRefusedError);
    let world = rounds(Outcome::Ok, SILENCE, refused, refused).helper_answers().helper_resolves(&[GENUINE]);
    let verdict = world.helper_verifies(GENUINE).judged();
    assert!(!has(&verdict, "control.name_resolves") && verdict.state == State::Impaired, "{verdict:?}");
}

#[test]
fn a_resolver_that_is_lost_in_noise_is_no_filter_though_it_answered_for_the_other_family() {
    let world = start().system_fails(Failure::GenericTimeoutError);
    let world = world.system_fails(Failure::DnsNoAnswer).of_ipv6().others_say(GENUINE);
    let world = world.asks(Purpose::InnocentName, SYSTEM, "eXample.com", SILENCE, &[]);
    let world = world.asks(Purpose::ChangedCase, SYSTEM, "Site.example", Outcome::Ok, &[GENUINE]);
    let verdict = proven(world.helper_answers().helper_resolves(&[GENUINE]).helper_verifies(GENUINE)).judged();
    assert!(has(&verdict, "dns.transient") && verdict.state == State::Impaired, "{verdict:?}");
}

#[test]
fn silence_without_recursion_settles_nothing_where_the_resolver_is_silent_to_all_such_questions() {
    let verdict = rounds(Outcome::Ok, SILENCE, SILENCE, SILENCE).judged();
    assert!(!has(&verdict, "dns.name_silenced") && has(&verdict, "dns.innocent_name_resolves"), "{verdict:?}");
}

#[test]
fn a_resolver_that_answers_nobody_and_one_that_answers_later_are_no_filters() {
    let dead = rounds(SILENCE, SILENCE, SILENCE, SILENCE).judged();
    assert!(has(&dead, "dns.innocent_name_fails_too") && dead.state == State::Impaired, "{dead:?}");
    let lossy = rounds(Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Ok).judged();
    assert!(has(&lossy, "dns.transient") && lossy.state == State::Impaired, "{lossy:?}");
}

#[test]
fn a_failure_that_comes_late_was_searched_for_and_one_that_comes_at_once_was_not() {
    let servfail = failed(Failure::DnsServfailError);
    let after = |ms| {
        let world = start().system_fails(Failure::DnsServfailError).took(ms).others_say(GENUINE);
        let world = world.asks(Purpose::InnocentName, SYSTEM, "Example.com", Outcome::Ok, &[]);
        proven(world.asks(Purpose::ChangedCase, SYSTEM, "Site.example", servfail, &[])).judged()
    };
    let (late, soon) = (after(2_500.0), after(30.0));
    assert!(has(&late, "dns.searched_in_vain") && late.state == State::Impaired, "{late:?}");
    assert!(has(&soon, "dns.unanswered_proven") && has(&soon, "dns.innocent_name_resolves"), "{soon:?}");
    assert_eq!(soon.state, State::LikelyBlocked);
}

#[test]
fn a_failure_at_once_is_one_out_of_memory_where_a_name_below_is_searched_for() {
    let servfail = failed(Failure::DnsServfailError);
    let below = |outcome, ms| {
        let world = start().system_fails(Failure::DnsServfailError).took(1_600.0).others_say(GENUINE);
        let world = world.asks(Purpose::InnocentName, SYSTEM, "Example.com", Outcome::Ok, &[]);
        let world = world.asks(Purpose::ChangedCase, SYSTEM, "Site.example", servfail, &[]);
        proven(world.asks(Purpose::Subdomain, SYSTEM, "0a1b.site.example", outcome, &[]).took(ms)).judged()
    };
    let (searched, denied) = (below(SILENCE, 2_001.0), below(failed(Failure::DnsNxdomainError), 30.0));
    assert!(has(&searched, "dns.searched_in_vain") && searched.state == State::Impaired, "{searched:?}");
    assert!(!has(&denied, "dns.searched_in_vain") && denied.state == State::LikelyBlocked, "{denied:?}");
}

#[test]
fn questions_over_tcp_that_are_cut_off_for_the_name_alone_settle_it() {
    let rounds = |own: Failure| {
        let mut world = start().system_fails(Failure::DnsNxdomainError).others_say(GENUINE);
        let google = (Engine::Tcp, "resolver/google");
        for _ in 0..3 {
            world = world.asks(Purpose::InnocentName, google, "example.com", Outcome::Ok, &[]);
            world = world.asks(Purpose::OtherTransport, google, NAME, failed(own), &[]);
        }
        world.judged()
    };
    let verdict = rounds(Failure::ConnectionReset);
    assert!(has(&verdict, "dns.tcp_name_differential") && verdict.state == State::Blocked);
    assert!(verdict.mechanisms.contains(&"dns.reset".to_owned()), "{verdict:?}");
    assert!(!has(&rounds(Failure::EofError), "dns.tcp_name_differential"), "a resolver may close");
}

#[test]
fn an_answer_in_another_hand_betrays_itself_and_one_odd_reply_does_not() {
    let spelled = |times: usize, opt: bool, case_kept: bool| {
        let mut world = start().says(Engine::System, "system", FORGED, failed(Failure::DnsBogonError));
        for _ in 0..times {
            world = world.asks(Purpose::InnocentName, SYSTEM, "Example.com", Outcome::Ok, &[GENUINE]).made(true, true);
            world =
                world.asks(Purpose::ChangedCase, SYSTEM, "Site.example", Outcome::Ok, &[OTHERS]).made(opt, case_kept);
        }
        world.judged()
    };
    assert!(has(&spelled(2, true, false), "dns.case_not_kept"));
    assert!(has(&spelled(2, false, true), "dns.opt_missing"));
    assert!(!has(&spelled(1, false, false), "dns.opt_missing") && !has(&spelled(1, false, false), "dns.case_not_kept"));
    let same = spelled(2, true, true);
    assert!(!has(&same, "dns.opt_missing") && !has(&same, "dns.case_not_kept"));
}

#[test]
fn a_lie_for_what_is_below_the_name_says_how_far_the_rule_goes_and_the_truth_does_not() {
    let bogon = failed(Failure::DnsBogonError);
    let below = |given: &str, outcome| {
        let world = start().says(Engine::System, "system", FORGED, bogon).others_say(GENUINE);
        let name = "0123456789abcdef.site.example";
        proven(world.asks(Purpose::Subdomain, SYSTEM, name, outcome, &[given])).judged()
    };
    assert!(has(&below(FORGED, bogon), "dns.rule_covers_subdomains"));
    assert!(!has(&below(GENUINE, Outcome::Ok), "dns.rule_covers_subdomains"), "the site may answer for every name");
}

#[test]
fn a_name_above_that_does_not_exist_contradicts_a_name_that_is_proven() {
    let above = |outcome| {
        let world = start().system_fails(Failure::DnsNxdomainError).others_say(GENUINE);
        proven(world.asks(Purpose::ParentName, SYSTEM, "example", outcome, &[])).judged()
    };
    assert!(has(&above(failed(Failure::DnsNxdomainError)), "dns.rule_covers_parent"));
    assert!(!has(&above(failed(Failure::DnsNoAnswer)), "dns.rule_covers_parent"));
}
