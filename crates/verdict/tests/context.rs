//! Verdicts in the light of other measurements: what the context adds, and what nobody can make it say alone.
#![allow(clippy::unwrap_used)] // a broken fixture may panic

mod many;
mod world;

use faultline_record::{Engine, Failure, Http, Outcome, Purpose};
use faultline_verdict::{Cause, ControlState, Software, State};

use many::{Many, at, in_the_clear};
use world::{World, failed, fired, heard, shown};

/// The site's own address: one that can be public.
const GENUINE: &str = "104.244.42.1";

/// The target's own input in these tests.
const SITE: &str = "https://site.example/";

fn silent() -> World {
    World::measuring(SITE).system_says(GENUINE).connects(GENUINE, failed(Failure::GenericTimeoutError))
}

fn works() -> World {
    let http = Http { url: SITE.into(), status: Some(200), ..Http::default() };
    let leaf = shown("site.example", "ca");
    let world = World::measuring(SITE).system_says(GENUINE).tls(Purpose::Main, GENUINE, Outcome::Ok, leaf);
    world.then_request(Purpose::Main, GENUINE, Outcome::Ok, http)
}

#[test]
fn without_others_the_verdict_is_that_of_the_measurement_alone() {
    let many = Many::default();
    let alone = many.alone(&silent().done());
    let mut in_context = many.judged(&silent().done(), 1);
    assert!(in_context.references.remove("context").is_some());
    in_context.references.clear();
    assert_eq!(in_context, alone);
}

#[test]
fn what_others_reach_in_the_same_hour_is_likely_blocked_here() {
    let many = Many::default().and(2, at(works(), 64_500, "DE", 0)).and(3, at(works(), 64_501, "FR", 0));
    let verdict = many.judged(&at(silent(), 17_557, "PK", 0), 1);
    assert_eq!((verdict.state, verdict.cause), (State::LikelyBlocked, Cause::Interference), "{verdict:#?}");
    assert!(fired(&verdict, "context.genuine_address_fails") || fired(&verdict, "context.reached_elsewhere"));
    let text = &verdict.evidence[0].text;
    assert!(text.contains("AS64500 (DE)") && text.contains("within 1 h"), "{text}");
}

#[test]
fn what_fails_in_other_countries_too_is_down() {
    let many = Many::default().and(2, at(silent(), 64_500, "DE", 0)).and(3, at(silent(), 64_501, "FR", 0));
    let verdict = many.judged(&at(silent().of_a_great_service(), 17_557, "PK", 0), 1);
    assert_eq!((verdict.state, verdict.cause), (State::Down, Cause::Target), "{verdict:#?}");
    assert!(!fired(&verdict, "target.rarely_down"));
}

#[test]
fn what_fails_in_this_country_only_may_be_its_censors_doing_and_says_nothing() {
    let many = Many::default().and(2, at(silent(), 1, "PK", 0)).and(3, at(silent(), 2, "PK", 0));
    let measurement = at(silent(), 17_557, "PK", 0);
    assert_eq!(many.control(&measurement, 1), ControlState::Absent);
    assert_eq!(many.judged(&measurement, 1).state, State::Impaired);
}

#[test]
fn other_hours_and_ones_own_network_are_no_control() {
    let old = Many::default().and(2, at(works(), 64_500, "DE", -3)).and(3, at(works(), 64_501, "FR", -3));
    let own = Many::default().and(2, at(works(), 17_557, "PK", 0)).and(3, at(works(), 17_557, "PK", 0));
    let measurement = at(silent(), 17_557, "PK", 0);
    for many in [old, own] {
        assert_eq!(many.control(&measurement, 1), ControlState::Absent);
    }
}

#[test]
fn a_determinate_verdict_is_not_taken_back_and_none_becomes_determinate() {
    let reset = (failed(Failure::ConnectionReset), faultline_record::Tls::default());
    let proven = World::measuring(SITE)
        .system_says(GENUINE)
        .tls(Purpose::Main, GENUINE, reset.0, reset.1.clone())
        .differential(GENUINE, &(Outcome::Ok, heard()), &reset);
    let many = Many::default().and(2, at(silent(), 64_500, "DE", 0)).and(3, at(silent(), 64_501, "FR", 0));
    assert_eq!(many.judged(&at(proven, 17_557, "PK", 0), 1).state, State::Blocked);
    let all: Vec<u32> = (2..12).collect();
    let many = all.iter().fold(Many::default(), |many, &n| many.and(n, at(works(), 64_500 + n, "DE", 0)));
    assert_eq!(many.judged(&at(silent(), 17_557, "PK", 0), 1).state, State::LikelyBlocked);
}

#[test]
fn a_name_that_other_networks_resolve_is_likely_denied_on_purpose() {
    let denied = || World::measuring(SITE).system_fails(Failure::DnsNxdomainError);
    let resolves = || World::measuring(SITE).system_says(GENUINE);
    let many = Many::default().and(2, at(resolves(), 64_500, "DE", 0)).and(3, at(resolves(), 64_501, "FR", 0));
    let verdict = many.judged(&at(denied(), 17_557, "PK", 0), 1);
    assert_eq!(verdict.state, State::LikelyBlocked, "{verdict:#?}");
    assert_eq!(verdict.mechanisms, ["dns.nxdomain"]);
    let many = Many::default().and(2, at(denied(), 64_500, "DE", 0)).and(3, at(denied(), 64_501, "FR", 0));
    assert_eq!(many.judged(&at(denied(), 17_557, "PK", 0), 1).state, State::Down);
}

#[test]
fn a_public_resolver_that_denies_here_only_is_answered_for() {
    let asked = |outcome: Outcome, given: &[&str]| {
        World::measuring(SITE).system_fails(Failure::DnsNxdomainError).asks(
            Purpose::Comparison,
            (Engine::Udp, "resolver/google"),
            "site.example",
            outcome,
            given,
        )
    };
    let denied = || asked(failed(Failure::DnsNxdomainError), &[]);
    let gives = || asked(Outcome::Ok, &[GENUINE]);
    let many = Many::default().and(2, at(gives(), 64_500, "DE", 0)).and(3, at(gives(), 64_501, "FR", 0));
    let verdict = many.judged(&at(denied(), 17_557, "PK", 0), 1);
    assert!(!fired(&verdict, "context.fails_elsewhere"), "a lie elsewhere is no outage: {verdict:#?}");
    assert!(fired(&verdict, "context.resolver_answers_elsewhere"), "{verdict:#?}");
    assert_eq!(verdict.state, State::LikelyBlocked);
}

#[test]
fn a_refusal_that_other_countries_meet_too_is_the_servers() {
    let refused = |status| {
        let http = Http { url: "http://site.example/".into(), status: Some(status), ..Http::default() };
        World::measuring("http://site.example/").system_says(GENUINE).plain(GENUINE, Outcome::Ok, http)
    };
    let many = Many::default().and(2, at(refused(403), 64_500, "DE", 0)).and(3, at(refused(403), 64_501, "FR", 0));
    let verdict = many.judged(&at(refused(403), 17_557, "PK", 0), 1);
    assert_eq!((verdict.state, verdict.cause), (State::Ok, Cause::ServerSide), "{verdict:#?}");
    assert_ne!(many.judged(&at(refused(451), 17_557, "PK", 0), 1).cause, Cause::ServerSide);
}

#[test]
fn a_failure_that_follows_the_software_is_the_instruments() {
    let wrong = || {
        let tls = shown("site.example", "ca");
        let fails = failed(Failure::SslUnknownAuthority);
        World::measuring(SITE).system_says(GENUINE).tls(Purpose::Main, GENUINE, fails, tls)
    };
    let mut many = Many::default();
    for (n, country) in [(1, "DE"), (2, "FR"), (3, "US")] {
        many = many.and_with(n, "probe 0.1", at(wrong(), 64_500 + n, country, 0));
        many = many.and_with(n + 3, "probe 0.2", at(works(), 64_500 + n, country, 0));
    }
    let measurement = at(wrong().of_a_great_service(), 17_557, "PK", 0);
    let verdict = many.judged_with(&measurement, 9, "probe 0.1");
    assert_eq!((verdict.state, verdict.cause), (State::Insufficient, Cause::Instrument), "{verdict:#?}");
    assert_ne!(many.judged_with(&measurement, 9, "probe 0.3").cause, Cause::Instrument);
}

#[test]
fn a_failure_that_follows_the_platform_is_the_instruments_whatever_the_version() {
    let wrong = || {
        let fails = failed(Failure::SslUnknownAuthority);
        World::measuring(SITE).system_says(GENUINE).tls(Purpose::Main, GENUINE, fails, shown("site.example", "ca"))
    };
    let made =
        |version: u32, platform: &str| Software { version: format!("probe 0.{version}"), platform: platform.into() };
    let mut many = Many::default();
    for (n, country) in [(1, "DE"), (2, "FR"), (3, "US")] {
        many = many.and_made_by(n, &made(n, "android arm"), at(wrong(), 64_500 + n, country, 0));
        many = many.and_made_by(n + 3, &made(n, "linux x86_64"), at(works(), 64_500 + n, country, 0));
    }
    let measurement = at(wrong().of_a_great_service(), 17_557, "PK", 0);
    let verdict = many.judged_made_by(&measurement, 9, &made(9, "android arm"));
    assert_eq!((verdict.state, verdict.cause), (State::Insufficient, Cause::Instrument), "{verdict:#?}");
    assert_ne!(many.judged_made_by(&measurement, 9, &made(9, "macos arm64")).cause, Cause::Instrument);
}

#[test]
fn a_network_in_which_nearly_everything_fails_is_out_where_its_neighbours_are_not() {
    let site = |n: u32| format!("https://site{n}.example/");
    let fails = |n: u32| {
        World::measuring(&site(n)).system_says(GENUINE).connects(GENUINE, failed(Failure::GenericTimeoutError))
    };
    let well = |n: u32| World::measuring(&site(n)).system_says(GENUINE).responds(Purpose::Main, GENUINE, 200);
    let mut many = Many::default();
    for n in 0..12 {
        many = many.and(1, at(fails(n), 17_557, "PK", 0));
    }
    let alone = many.judged(&at(fails(0), 17_557, "PK", 0), 1);
    assert!(!fired(&alone, "context.network_fails"));
    for n in 0..12 {
        many = many.and(2, at(well(n), 45_595, "PK", 0)).and(3, at(well(n), 9_541, "PK", 0));
    }
    let verdict = many.judged(&at(fails(0), 17_557, "PK", 0), 1);
    assert!(fired(&verdict, "context.network_fails"));
    assert_eq!((verdict.state, verdict.cause), (State::Impaired, Cause::Isp), "{verdict:#?}");
}

#[test]
fn one_address_for_unrelated_names_that_is_nobodys_is_an_answer_made_on_purpose() {
    let lie = "203.82.48.83";
    let led = |name: &str| {
        World::measuring(&format!("https://{name}/"))
            .asks(Purpose::Main, (Engine::System, "system"), name, Outcome::Ok, &[lie])
            .asks(Purpose::Comparison, (Engine::Doh, "resolver/quad9"), name, Outcome::Ok, &[GENUINE])
            .connects(lie, failed(Failure::GenericTimeoutError))
    };
    let mut many = Many::default();
    for name in ["a.example", "www.b.example.net", "c.example.org"] {
        many = many.and(1, at(led(name), 17_557, "PK", 0));
    }
    let verdict = many.judged(&at(led("a.example"), 17_557, "PK", 0), 1);
    assert!(fired(&verdict, "context.one_address_for_many"), "{verdict:#?}");
    let two = Many::default().and(1, at(led("a.example"), 1, "PK", 0)).and(1, at(led("b.example.net"), 1, "PK", 0));
    assert!(!fired(&two.judged(&at(led("a.example"), 1, "PK", 0), 1), "context.one_address_for_many"));
}

#[test]
fn what_worked_here_this_week_is_said_with_its_age() {
    let mut many = Many::default();
    for hour in [-5, -4, -2] {
        many = many.and(1, at(works(), 17_557, "PK", hour));
    }
    let verdict = many.judged(&at(silent(), 17_557, "PK", 0), 1);
    let said = verdict.evidence.iter().find(|evidence| evidence.rule == "context.worked_before").unwrap();
    assert!(said.text.contains("3 hours") && said.text.contains("2 h ago"), "{}", said.text);
    assert_eq!(verdict.state, many.alone(&silent().done()).state);
}

#[test]
fn what_is_added_names_the_context_in_whatever_order() {
    let (a, b) = (at(works(), 1, "DE", 0), at(silent(), 2, "FR", 0));
    let there = Many::default().and(1, a.clone()).and(2, b.clone()).context.snapshot();
    assert_eq!(there, Many::default().and(2, b.clone()).and(1, a.clone()).context.snapshot());
    assert_ne!(there, Many::default().and(1, a.clone()).context.snapshot());
    assert_ne!(there, Many::default().and(1, a).and(2, b.clone()).and(3, at(silent(), 2, "FR", 1)).context.snapshot());
}

// --- attacks: one submitter writes what he likes, and no verdict moves

/// The verdict as it is with and without what the attacker adds.
fn is_unmoved(honest: Many, forged: impl FnOnce(Many) -> Many, measurement: &faultline_record::Measurement) {
    let mut before = honest.clone().judged(measurement, 1);
    let mut after = forged(honest).judged(measurement, 1);
    before.references.clear();
    after.references.clear();
    assert_eq!(before, after);
}

#[test]
fn attack_a_forged_row_makes_no_control() {
    let forge = |many: Many| (0..5).fold(many, |many, n| many.and(66, at(works(), 64_500 + n, "DE", 0)));
    is_unmoved(Many::default(), forge, &at(silent(), 17_557, "PK", 0));
    let lie = |many: Many| {
        (0..5).fold(many, |many, n| many.and(66, at(silent(), 64_500 + n, ["DE", "FR"][n as usize % 2], 0)))
    };
    let great = at(silent().of_a_great_service(), 17_557, "PK", 0);
    is_unmoved(Many::default().and(2, at(silent(), 3, "PK", 0)), lie, &great);
    // Nor does it take one away.
    let honest = (2..5).fold(Many::default(), |many, n| many.and(n, at(works(), n, "DE", 0)));
    is_unmoved(honest, lie, &great);
}

#[test]
fn attack_a_certificate_that_is_public_proves_no_address_by_one_submitters_word() {
    let block_page = "203.82.48.83";
    let led =
        || World::measuring(SITE).system_says(block_page).connects(block_page, failed(Failure::GenericTimeoutError));
    let forged = || {
        World::measuring(SITE).system_says(block_page).tls(
            Purpose::Main,
            block_page,
            Outcome::Ok,
            shown("site.example", "ca"),
        )
    };
    let forge = |many: Many| (0..5).fold(many, |many, n| many.and(66, at(forged(), 64_500 + n, "DE", 0)));
    let forged = forge(Many::default());
    assert!(!forged.context.is_genuine("site.example", block_page.parse().unwrap(), 443));
    is_unmoved(Many::default(), forge, &at(led(), 17_557, "PK", 0));
}

#[test]
fn attack_a_chain_that_does_not_verify_proves_nothing_whoever_claims_it() {
    let claimed =
        || World::measuring(SITE).system_says(GENUINE).tls(Purpose::Main, GENUINE, Outcome::Ok, shown("other", "ca"));
    let many = (2..6).fold(Many::default(), |many, n| many.and(n, at(claimed(), n, "DE", 0)));
    assert!(!many.context.is_genuine("site.example", GENUINE.parse().unwrap(), 443));
}

#[test]
fn attack_forged_versions_make_no_defect_and_hide_none() {
    let measurement = at(silent().of_a_great_service(), 17_557, "PK", 0);
    let forge = |many: Many| {
        (0..9).fold(many, |many, n| {
            let many = many.and_with(66, "probe 0.1", at(silent(), 64_500 + n, ["DE", "FR", "US"][n as usize % 3], 0));
            many.and_with(66, &format!("probe 0.{}", n + 2), at(works(), 64_500 + n, "DE", 0))
        })
    };
    is_unmoved(Many::default(), forge, &measurement);
}

#[test]
fn attack_one_probe_that_measures_a_thousand_times_is_one_voice() {
    let often = |world: fn() -> World| {
        move |many: Many| (0..1_000).fold(many, |many, _| many.and(66, at(world(), 64_500, "DE", 0)))
    };
    let measurement = at(silent(), 17_557, "PK", 0);
    is_unmoved(Many::default(), often(works), &measurement);
    is_unmoved(Many::default(), often(silent), &measurement);
    let honest = || Many::default().and(2, at(works(), 2, "DE", 0)).and(3, at(works(), 3, "FR", 0));
    let moved = often(silent)(honest()).judged(&measurement, 1);
    assert_eq!(moved.state, honest().judged(&measurement, 1).state);
}

#[test]
fn attack_a_bogon_beside_a_good_answer_is_judged_for_itself() {
    let both = World::measuring(SITE)
        .asks(Purpose::Main, (Engine::System, "system"), "site.example", Outcome::Ok, &[GENUINE, "10.10.34.35"])
        .connects(GENUINE, failed(Failure::GenericTimeoutError));
    let many = Many::default().and(2, at(works(), 2, "DE", 0)).and(3, at(works(), 3, "FR", 0));
    assert!(many.context.is_genuine("site.example", GENUINE.parse().unwrap(), 443));
    assert!(!many.context.is_genuine("site.example", "10.10.34.35".parse().unwrap(), 443));
    let verdict = many.judged(&at(both, 17_557, "PK", 0), 1);
    assert!(!matches!(verdict.state, State::Ok), "{verdict:#?}");
    assert!(verdict.p.ok < 0.1 && verdict.p.blocked > 0.7, "{verdict:#?}");
}

#[test]
fn attack_a_control_on_another_port_is_a_control_of_another_endpoint() {
    let elsewhere = |input: &str, n: u32| {
        let world = World::measuring(input).system_says(GENUINE);
        let at_port = world.tls(Purpose::Main, GENUINE, Outcome::Ok, shown("site.example", "ca")).done();
        in_the_clear(at_port, 8_443, n)
    };
    let forge = |many: Many| (2..6).fold(many, |many, n| many.and(n, elsewhere("https://site.example:8443/", n)));
    is_unmoved(Many::default(), forge, &at(silent(), 17_557, "PK", 0));
}

#[test]
fn attack_twins_of_an_international_name_share_one_control() {
    let twin = |input: &str, end: Outcome| World::measuring(input).system_says(GENUINE).connects(GENUINE, end);
    let reached = |input: &str| twin(input, Outcome::Ok);
    let ports = ["tcp://яндекс.рф:443", "tcp://XN--D1ACPJX3F.xn--p1ai:443"];
    let many = Many::default().and(2, at(reached(ports[0]), 2, "DE", 0)).and(3, at(reached(ports[1]), 3, "FR", 0));
    for input in ports {
        let measurement = at(twin(input, failed(Failure::GenericTimeoutError)), 17_557, "PK", 0);
        assert_eq!(many.control(&measurement, 1), ControlState::Disagrees, "{input}");
        assert_eq!(many.judged(&measurement, 1).state, State::LikelyBlocked);
    }
}
