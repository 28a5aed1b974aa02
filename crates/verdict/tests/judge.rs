//! What is said of what was seen: one test a situation.

mod world;

use faultline_record::{Failure, Http, NotRun, Outcome, Purpose, Tls, Witness, Witnessed};
use faultline_verdict::{Cause, State, judge, verdict_json, verdict_line};
use world::{GENUINE, World, failed, healthy, heard, is, not_run, shown};

fn site() -> World {
    World::measuring("https://site.example/")
}

fn resolved() -> World {
    site().system_says(GENUINE).others_say(GENUINE)
}

#[test]
fn a_site_that_answers_with_a_valid_certificate_is_ok() {
    let verdict = resolved().responds(Purpose::Main, GENUINE, 200).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
    assert!(verdict.p.ok > 0.99);
}

#[test]
fn a_name_denied_by_one_resolver_and_proven_by_a_certificate_is_blocked() {
    let verdict = site()
        .system_fails(Failure::DnsNxdomainError)
        .others_say(GENUINE)
        .responds(Purpose::Comparison, GENUINE, 200)
        .judged();
    is(&verdict, State::Blocked, Cause::Interference, &["dns.nxdomain"]);
    assert_eq!(verdict.evidence[0].rule, "dns.denied_proven");
    assert_eq!(verdict.evidence[0].observations, [1, 2, 3, 5]);
}

#[test]
fn a_name_denied_by_everyone_is_down() {
    let verdict = site().system_fails(Failure::DnsNxdomainError).others_fail(Failure::DnsNxdomainError).judged();
    is(&verdict, State::Down, Cause::Target, &[]);
}

#[test]
fn a_servfail_of_one_resolver_is_never_settled() {
    let verdict = site()
        .system_fails(Failure::DnsServfailError)
        .others_say(GENUINE)
        .responds(Purpose::Comparison, GENUINE, 200)
        .judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference, &["dns.servfail"]);
}

#[test]
fn a_bogon_beside_a_proven_address_is_blocked() {
    let verdict = site()
        .system_says("10.10.34.35")
        .others_say(GENUINE)
        .connects("10.10.34.35", not_run(NotRun::BogonAddress))
        .responds(Purpose::Comparison, GENUINE, 200)
        .judged();
    is(&verdict, State::Blocked, Cause::Interference, &["dns.injection.bogon"]);
}

#[test]
fn an_address_without_the_certificate_beside_one_with_it_is_forged() {
    let verdict = site()
        .system_says("203.0.113.66")
        .others_say(GENUINE)
        .tls(Purpose::Main, "203.0.113.66", failed(Failure::SslInvalidHostname), shown("CN=portal", "CN=CA"))
        .responds(Purpose::Comparison, GENUINE, 200)
        .judged();
    is(&verdict, State::Blocked, Cause::Interference, &["dns.injection.other"]);
}

#[test]
fn a_dead_edge_that_only_the_system_was_given_settles_nothing() {
    let verdict = site()
        .system_says("203.0.113.66")
        .others_say(GENUINE)
        .connects("203.0.113.66", failed(Failure::GenericTimeoutError))
        .responds(Purpose::Comparison, GENUINE, 200)
        .judged();
    is(&verdict, State::Impaired, Cause::Unknown, &[]);
    assert_eq!(verdict.evidence[0].rule, "dns.forged_suspected");
}

#[test]
fn a_site_that_redirects_without_end_or_to_nowhere_is_down() {
    for failure in [Failure::HttpTooManyRedirects, Failure::HttpInvalidRedirectLocationHost] {
        let verdict = resolved().responds(Purpose::Main, GENUINE, 302).next_hop().dead_end(failure).judged();
        is(&verdict, State::Down, Cause::Target, &[]);
    }
}

#[test]
fn a_resolver_that_gives_other_addresses_which_verify_does_not_lie() {
    let verdict =
        site().system_says("203.0.113.9").others_say(GENUINE).responds(Purpose::Main, "203.0.113.9", 200).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
}

#[test]
fn two_different_answers_to_one_question_are_an_artefact_even_when_the_site_works() {
    let verdict = resolved().raced("10.10.34.35", GENUINE).responds(Purpose::Main, GENUINE, 200).judged();
    is(&verdict, State::Ok, Cause::None, &["dns.injection"]);
    assert!(verdict.causes[&Cause::Interference] > 0.9);
}

#[test]
fn silence_of_an_ordinary_site_is_impaired_and_of_a_great_service_likely_blocked() {
    let silent = || resolved().connects(GENUINE, failed(Failure::GenericTimeoutError));
    is(&silent().judged(), State::Impaired, Cause::Unknown, &[]);
    let great = silent().of_a_great_service().judged();
    is(&great, State::LikelyBlocked, Cause::Interference, &["tcp.timeout"]);
    let words = faultline_verdict::summary_sentence(&great);
    assert!(words.contains("no address") && words.contains("hardly ever down"), "{words}");
}

#[test]
fn a_refusal_by_an_ordinary_site_is_down() {
    is(&resolved().connects(GENUINE, failed(Failure::ConnectionRefused)).judged(), State::Down, Cause::Target, &[]);
}

#[test]
fn a_lone_reset_or_timeout_is_never_blocked() {
    for (failure, mechanism, ordinary) in [
        (Failure::ConnectionReset, "tls.reset", State::LikelyBlocked),
        (Failure::GenericTimeoutError, "tls.timeout", State::Impaired),
        (Failure::EofError, "tls.close", State::Impaired),
    ] {
        let lone = || resolved().tls(Purpose::Main, GENUINE, failed(failure), Tls::default());
        assert_eq!(lone().judged().state, ordinary);
        is(&lone().of_a_great_service().judged(), State::LikelyBlocked, Cause::Interference, &[mechanism]);
    }
}

#[test]
fn a_name_that_fails_where_an_innocent_one_is_answered_is_blocked_by_its_name() {
    for (failure, mechanism) in [
        (Failure::ConnectionReset, "tls.reset.sni"),
        (Failure::GenericTimeoutError, "tls.timeout.sni"),
        (Failure::EofError, "tls.close.sni"),
    ] {
        let own = (failed(failure), Tls::default());
        let innocent = (failed(Failure::SslInvalidHostname), heard());
        let verdict = resolved()
            .tls(Purpose::Main, GENUINE, own.0, own.1.clone())
            .differential(GENUINE, &innocent, &own)
            .judged();
        is(&verdict, State::Blocked, Cause::Interference, &[mechanism]);
    }
}

#[test]
fn the_mechanism_is_how_most_tries_ended_and_not_how_the_first_did() {
    let reset = (failed(Failure::ConnectionReset), Tls::default());
    let innocent = (failed(Failure::SslInvalidHostname), heard());
    let verdict = resolved()
        .tls(Purpose::Main, GENUINE, failed(Failure::GenericTimeoutError), Tls::default())
        .differential(GENUINE, &innocent, &reset)
        .judged();
    is(&verdict, State::Blocked, Cause::Interference, &["tls.reset.sni"]);
    assert!(verdict.evidence[0].text.contains("connection_reset"), "{}", verdict.evidence[0].text);
}

#[test]
fn a_name_that_fails_where_every_name_fails_is_not_blocked_by_its_name() {
    let own = (failed(Failure::GenericTimeoutError), Tls::default());
    let verdict =
        resolved().tls(Purpose::Main, GENUINE, own.0, own.1.clone()).differential(GENUINE, &own, &own).judged();
    assert_ne!(verdict.state, State::Blocked);
    assert!(verdict.mechanisms.iter().all(|mechanism| !mechanism.split('.').any(|part| part == "sni")));
}

#[test]
fn one_own_success_among_the_retries_breaks_the_differential() {
    let own = (failed(Failure::ConnectionReset), Tls::default());
    let verdict = resolved()
        .tls(Purpose::Main, GENUINE, own.0, own.1.clone())
        .differential(GENUINE, &(Outcome::Ok, heard()), &own)
        .tls(Purpose::Retry, GENUINE, Outcome::Ok, heard())
        .judged();
    is(&verdict, State::Impaired, Cause::Unknown, &[]);
    assert_eq!(verdict.evidence[0].rule, "tls.transient");
}

#[test]
fn a_second_connection_that_is_accepted_makes_the_first_ones_failure_a_passing_one() {
    let verdict = resolved()
        .of_a_great_service()
        .connects(GENUINE, failed(Failure::GenericTimeoutError))
        .retries(GENUINE, Outcome::Ok)
        .judged();
    is(&verdict, State::Impaired, Cause::Unknown, &[]);
    let twice = resolved()
        .of_a_great_service()
        .connects(GENUINE, failed(Failure::GenericTimeoutError))
        .retries(GENUINE, failed(Failure::GenericTimeoutError))
        .judged();
    is(&twice, State::LikelyBlocked, Cause::Interference, &["tcp.timeout"]);
}

#[test]
fn silence_counts_also_where_every_resolver_gives_other_addresses() {
    let verdict = site()
        .of_a_great_service()
        .system_says("203.0.113.9")
        .others_say(GENUINE)
        .connects("203.0.113.9", failed(Failure::GenericTimeoutError))
        .judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference, &["tcp.timeout"]);
}

#[test]
fn an_expired_certificate_is_the_sites_own_fault() {
    let tls = shown("CN=site.example", "CN=Some CA");
    let verdict = resolved().tls(Purpose::Main, GENUINE, failed(Failure::SslInvalidCertificate), tls).judged();
    is(&verdict, State::Down, Cause::Target, &[]);
}

#[test]
fn an_unknown_issuer_is_an_ordinary_sites_own_and_in_a_great_services_place_an_interceptors() {
    let shown = || {
        let tls = shown("CN=site.example", "CN=Nobody");
        resolved().tls(Purpose::Main, GENUINE, failed(Failure::SslUnknownAuthority), tls)
    };
    is(&shown().judged(), State::Down, Cause::Target, &[]);
    let great = shown().of_a_great_service().judged();
    is(&great, State::LikelyBlocked, Cause::Interference, &["tls.mitm.ca_signed"]);
}

#[test]
fn a_resolver_that_is_silent_once_settles_nothing() {
    let asked =
        World::measuring("https://site.example/").system_fails(Failure::GenericTimeoutError).others_say(GENUINE);
    let verdict = asked.responds(Purpose::Comparison, GENUINE, 200).judged();
    is(&verdict, State::Impaired, Cause::Unknown, &[]);
}

#[test]
fn a_refusal_by_the_server_itself_is_not_the_network() {
    for status in [403, 451, 429] {
        is(&resolved().responds(Purpose::Main, GENUINE, status).judged(), State::Ok, Cause::ServerSide, &[]);
    }
    is(&resolved().responds(Purpose::Main, GENUINE, 502).judged(), State::Down, Cause::Target, &[]);
}

#[test]
fn plain_http_is_believed_less() {
    let http = || Http { status: Some(200), ..Http::default() };
    let verdict = World::measuring("http://site.example/")
        .system_says(GENUINE)
        .others_say(GENUINE)
        .plain(GENUINE, Outcome::Ok, http())
        .judged();
    is(&verdict, State::Ok, Cause::None, &[]);
    assert!(verdict.p.ok < 0.999);
}

#[test]
fn a_plain_redirect_to_a_bare_address_is_no_success() {
    let http = Http {
        url: "http://site.example/".into(),
        status: Some(302),
        headers: vec![("location".into(), "http://203.0.113.5/page".into())],
        ..Http::default()
    };
    let page = Http { url: "http://203.0.113.5/page".into(), status: Some(200), ..Http::default() };
    let start =
        || World::measuring("http://site.example/").system_says(GENUINE).plain(GENUINE, Outcome::Ok, http.clone());
    let followed = start().next_hop().plain("203.0.113.5", Outcome::Ok, page);
    for verdict in [start().judged(), followed.judged()] {
        assert_eq!((verdict.state, verdict.evidence[0].rule.as_str()), (State::Impaired, "http.redirect_to_address"));
    }
}

#[test]
fn a_service_with_its_own_authority_is_reachable_without_a_public_certificate() {
    let verdict = World::measuring("tls://site.example:443")
        .with_a_private_ca()
        .system_says(GENUINE)
        .others_say(GENUINE)
        .tls(Purpose::Main, GENUINE, failed(Failure::SslUnknownAuthority), shown("CN=chat", "CN=Own CA"))
        .judged();
    is(&verdict, State::Ok, Cause::None, &[]);
}

#[test]
fn a_port_that_accepts_is_ok() {
    let verdict =
        World::measuring("tcp://site.example:5222").system_says(GENUINE).connects(GENUINE, Outcome::Ok).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
}

#[test]
fn steps_that_were_not_run_are_no_evidence() {
    for reason in [NotRun::Interrupted, NotRun::TargetDeadline, NotRun::NoNetwork, NotRun::MaxTime] {
        let verdict = resolved().connects(GENUINE, not_run(reason)).judged();
        is(&verdict, State::Insufficient, Cause::Unknown, &[]);
        let cut = resolved()
            .connects("198.51.100.8", failed(Failure::GenericTimeoutError))
            .connects(GENUINE, not_run(reason))
            .judged();
        assert_eq!(cut.state, State::Insufficient, "{cut:#?}");
    }
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    let measurement = resolved().tls(Purpose::Main, GENUINE, failed(Failure::ConnectionReset), Tls::default()).done();
    let print = || serde_json::to_string(&judge(&measurement, &healthy())).unwrap();
    assert_eq!(print(), print());
}

#[test]
fn a_line_is_the_text_of_the_tree_and_tells_the_whole_verdict() {
    let failing = resolved().tls(Purpose::Main, GENUINE, failed(Failure::ConnectionReset), Tls::default()).done();
    let working = resolved().responds(Purpose::Main, GENUINE, 200).done();
    for measurement in [failing, working] {
        for witness in [healthy(), Witness::default(), Witness { run_clock_ms: Some(7_200_000), ..healthy() }] {
            let verdict = judge(&measurement, &witness);
            let witnessed = Witnessed { measurement: measurement.clone(), witness };
            let tree = verdict_json(&witnessed, &verdict);
            assert_eq!(verdict_line(&witnessed, &verdict), tree.to_string());
            assert_eq!(tree["verdict"], serde_json::json!(verdict));
        }
    }
}

#[test]
fn the_resolver_of_a_dns_target_is_judged_by_its_answer() {
    let verdict = World::measuring("dns://9.9.9.9/site.example").system_says(GENUINE).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
}
