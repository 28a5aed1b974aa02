//! What is said of tunnels.

mod world;

use faultline_record::{
    Failure, Measurement, NotRun, Outcome, Purpose, RunId, VpnAnswer, VpnKey, VpnProof, VpnProtocol, Witness, Witnessed,
};
use faultline_verdict::{
    Cause, Company, Fingerprints, Grounds, State, Verdict, judge, measurement_json, sentence_of, verdict_json,
};
use world::{GENUINE, World, failed, healthy, heard, is};

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

const WIREGUARD: &str = "wireguard://vpn.example:51820";

/// A handshake and its repetitions end so, having proven this much, with this key.
fn handshakes(times: usize, outcome: Outcome, proof: Option<VpnProof>, key: VpnKey) -> World {
    let mut world = World::measuring(WIREGUARD).system_says(GENUINE).others_say(GENUINE);
    for number in 0..times {
        let purpose = if number == 0 { Purpose::Main } else { Purpose::Retry };
        world = world.wireguard(purpose, outcome, proof, Some(key));
    }
    world
}

#[test]
fn a_response_is_ok_and_so_is_a_cookie() {
    for proof in [VpnProof::Data, VpnProof::FirstAnswer] {
        let world = handshakes(1, Outcome::Ok, Some(proof), VpnKey::Given);
        is(&world.judged(), State::Ok, Cause::None, &[]);
    }
}

#[test]
fn silence_to_a_key_that_nobody_has_seen_answered_is_unanswerable() {
    let silent = || handshakes(3, silence(), None, VpnKey::Given);
    is(&silent().judged(), State::Insufficient, Cause::Unknown, &[]);
    let lives = silent().host_alive(GENUINE, failed(Failure::ConnectionRefused)).judged();
    is(&lives, State::Insufficient, Cause::Unknown, &[]);
    // A helper that is not answered either may use the same unknown key.
    let helped = silent().helper_answers().wireguard(Purpose::Helper, silence(), None, None).judged();
    is(&helped, State::Insufficient, Cause::Unknown, &[]);
    let unkeyed = World::measuring(WIREGUARD).system_says(GENUINE).wireguard(Purpose::Main, silence(), None, None);
    is(&unkeyed.judged(), State::Insufficient, Cause::Unknown, &[]);
}

#[test]
fn a_key_that_a_helper_is_answered_with_in_the_same_minute_makes_silence_a_likely_block() {
    let world = handshakes(3, silence(), None, VpnKey::Given).helper_answers();
    let verdict = world.wireguard(Purpose::Helper, Outcome::Ok, Some(VpnProof::FirstAnswer), None).judged();
    is(&verdict, State::LikelyBlocked, Cause::Interference, &["vpn.wireguard.timeout"]);
}

#[test]
fn a_key_that_works_elsewhere_counts_only_where_the_host_lives() {
    let silent = || handshakes(3, silence(), None, VpnKey::Proven);
    let lives = silent().host_alive(GENUINE, failed(Failure::ConnectionRefused)).judged();
    is(&lives, State::LikelyBlocked, Cause::Interference, &["vpn.wireguard.timeout"]);
    let dead = silent().judged();
    assert!(!matches!(dead.state, State::Blocked | State::LikelyBlocked | State::Ok), "{dead:#?}");
    let helped = silent().helper_answers().wireguard(Purpose::Helper, silence(), None, None).judged();
    is(&helped, State::Down, Cause::Target, &[]);
}

#[test]
fn handshakes_that_are_answered_and_data_that_never_is_are_a_block_and_once_is_none() {
    let vanished = |times| handshakes(times, silence(), Some(VpnProof::ServerIdentity), VpnKey::Given).judged();
    is(&vanished(3), State::Blocked, Cause::Interference, &["vpn.wireguard.data_dropped"]);
    assert!(!matches!(vanished(1).state, State::Blocked | State::LikelyBlocked), "{:#?}", vanished(1));
    let answered = handshakes(2, silence(), Some(VpnProof::ServerIdentity), VpnKey::Given);
    let answered = answered.wireguard(Purpose::Retry, Outcome::Ok, Some(VpnProof::Data), Some(VpnKey::Given)).judged();
    assert!(!matches!(answered.state, State::Blocked | State::LikelyBlocked), "{answered:#?}");
}

#[test]
fn a_closed_port_is_the_server_s_whatever_the_key() {
    let refused = failed(Failure::ConnectionRefused);
    is(&handshakes(3, refused, None, VpnKey::Given).judged(), State::Down, Cause::Target, &[]);
}

#[test]
fn a_server_of_openvpn_s_that_is_silent_behind_its_reset_may_be_full_and_a_helper_tells() {
    let vanished = || {
        let mut world = World::measuring("openvpn+udp://vpn.example:1194").system_says(GENUINE);
        for purpose in [Purpose::Main, Purpose::Retry, Purpose::Retry] {
            world = world.answered_tunnel(purpose, GENUINE, silence());
        }
        world.tunnel(Purpose::JunkFirst, GENUINE, Outcome::Ok)
    };
    let alone = vanished().judged();
    assert!(!matches!(alone.state, State::Blocked | State::LikelyBlocked | State::Ok), "{alone:#?}");
    let helped = vanished().helper_answers().tunnel(Purpose::Helper, GENUINE, Outcome::Ok).judged();
    is(&helped, State::LikelyBlocked, Cause::Interference, &["vpn.openvpn.data_dropped"]);
}

/// Three logins with `OpenVPN`'s server that was silent after this much.
fn logins(seen: (VpnAnswer, VpnProof), key: VpnKey) -> Verdict {
    let mut world = World::measuring("openvpn+udp://vpn.example:1194").system_says(GENUINE);
    for purpose in [Purpose::Main, Purpose::Retry, Purpose::Retry] {
        world = world.login(purpose, silence(), seen, key);
    }
    world.tunnel(Purpose::JunkFirst, GENUINE, Outcome::Ok).judged()
}

#[test]
fn silence_to_a_login_says_nothing_unless_the_account_is_known_to_work() {
    for proof in [VpnProof::Handshake, VpnProof::ServerIdentity] {
        is(&logins((VpnAnswer::ServerReset, proof), VpnKey::Given), State::Insufficient, Cause::Unknown, &[]);
    }
    let proven = logins((VpnAnswer::ServerReset, VpnProof::ServerIdentity), VpnKey::Proven);
    is(&proven, State::Blocked, Cause::Interference, &["vpn.openvpn.data_dropped"]);
}

#[test]
fn data_of_openvpn_s_that_ends_after_some_is_a_filter_and_none_at_all_is_one_only_of_an_account_that_works() {
    let ended = logins((VpnAnswer::Accepted, VpnProof::Data), VpnKey::Given);
    is(&ended, State::Blocked, Cause::Interference, &["vpn.openvpn.data_dropped"]);
    let none = logins((VpnAnswer::Accepted, VpnProof::ServerIdentity), VpnKey::Given);
    assert!(!matches!(none.state, State::Blocked | State::LikelyBlocked | State::Ok), "{none:#?}");
    let proven = logins((VpnAnswer::Accepted, VpnProof::ServerIdentity), VpnKey::Proven);
    is(&proven, State::Blocked, Cause::Interference, &["vpn.openvpn.data_dropped"]);
}

#[test]
fn a_login_that_is_refused_is_life() {
    let world = World::measuring("openvpn+udp://vpn.example:1194").system_says(GENUINE);
    let seen = (VpnAnswer::Refused, VpnProof::ServerIdentity);
    let verdict = world.login(Purpose::Main, Outcome::Ok, seen, VpnKey::Given).judged();
    is(&verdict, State::Ok, Cause::None, &[]);
}

#[test]
fn a_server_that_answers_in_the_end_is_no_block_by_a_helper_s_word() {
    let world = World::measuring("openvpn+udp://vpn.example:1194").system_says(GENUINE).helper_answers();
    let world = world.tunnel(Purpose::Main, GENUINE, silence()).tunnel(Purpose::Retry, GENUINE, Outcome::Ok);
    let verdict = world.tunnel(Purpose::Helper, GENUINE, Outcome::Ok).judged();
    assert!(!matches!(verdict.state, State::Blocked | State::LikelyBlocked | State::Down), "{verdict:#?}");
}

const SSTP: &str = "sstp://198.51.100.7";

/// A tunnel within TLS whose handshakes offered no name and ended so.
fn nameless(outcome: Outcome) -> World {
    let mut world = World::measuring(SSTP);
    for purpose in [Purpose::Main, Purpose::Retry, Purpose::Retry] {
        world = world.tunnel_within_tls(purpose, GENUINE, outcome, None);
    }
    world
}

#[test]
fn a_handshake_without_a_name_is_a_tunnel_s_first_message_and_its_failure_is_never_blocked_by_itself() {
    let reset = failed(Failure::ConnectionReset);
    let alone = nameless(reset).judged();
    assert!(!matches!(alone.state, State::Blocked | State::LikelyBlocked | State::Ok), "{alone:#?}");
    assert!(!alone.evidence.iter().any(|finding| finding.rule.starts_with("tls.")), "{alone:#?}");
    let at = |outcome| nameless(reset).helper_answers().tunnel_of(VpnProtocol::Sstp, Purpose::Helper, GENUINE, outcome);
    is(&at(reset).judged(), State::Down, Cause::Target, &[]);
    is(&at(Outcome::Ok).judged(), State::LikelyBlocked, Cause::Interference, &["vpn.sstp.reset"]);
}

#[test]
fn a_certificate_of_the_server_s_own_is_no_sign_of_anybody_s() {
    for failure in [Failure::SslUnknownAuthority, Failure::SslInvalidHostname] {
        let world =
            World::measuring(SSTP).tunnel_within_tls(Purpose::Main, GENUINE, failed(failure), Some(Outcome::Ok));
        let verdict = world.judged();
        is(&verdict, State::Ok, Cause::None, &[]);
        assert!(!verdict.evidence.iter().any(|finding| finding.rule.starts_with("tls.")), "{verdict:#?}");
    }
}

#[test]
fn silence_of_l2tp_s_servers_is_unanswerable_until_a_helper_is_answered() {
    let silent = || {
        let mut world = World::measuring("l2tp://198.51.100.7");
        for purpose in [Purpose::Main, Purpose::Retry, Purpose::Retry] {
            world = world.tunnel_of(VpnProtocol::L2tp, purpose, GENUINE, silence());
        }
        world
    };
    let alone = silent().judged();
    is(&alone, State::Insufficient, Cause::Unknown, &[]);
    assert!(alone.evidence.iter().any(|finding| finding.text.contains("within IPsec alone")), "{alone:#?}");
    let helped = |outcome| silent().helper_answers().tunnel_of(VpnProtocol::L2tp, Purpose::Helper, GENUINE, outcome);
    is(&helped(silence()).judged(), State::Insufficient, Cause::Unknown, &[]);
    is(&helped(Outcome::Ok).judged(), State::LikelyBlocked, Cause::Interference, &["vpn.l2tp.timeout"]);
}

#[test]
fn where_no_datagram_comes_back_from_anybody_no_tunnel_is_picked_out_whatever_a_helper_reaches() {
    let silent = |operators: &[&str], dns| {
        let mut world = World::measuring("stun://198.51.100.7");
        for purpose in [Purpose::Main, Purpose::Retry, Purpose::Retry] {
            world = world.tunnel_of(VpnProtocol::Stun, purpose, GENUINE, silence());
        }
        for operator in operators {
            world = world.elsewhere(operator, silence(), dns);
        }
        let world = world.helper_answers();
        world.tunnel_of(VpnProtocol::Stun, Purpose::Helper, GENUINE, Outcome::Ok).judged()
    };
    is(&silent(&["9.9.9.9", "1.1.1.1"], silence()), State::Impaired, Cause::Unknown, &[]);
    let alone = silent(&["9.9.9.9"], silence());
    is(&alone, State::LikelyBlocked, Cause::Interference, &["vpn.stun.timeout"]);
    let answered = silent(&["9.9.9.9", "1.1.1.1"], Outcome::Ok);
    is(&answered, State::LikelyBlocked, Cause::Interference, &["vpn.stun.timeout"]);
}

#[test]
fn outputs_tell_a_proxy_from_a_vpn_and_what_can_be_read_from_what_cannot() {
    let measurement = World::measuring("socks5://198.51.100.7").done();
    let witnessed = Witnessed { measurement, witness: Witness::default() };
    let verdict = judge(&witnessed.measurement, &witnessed.witness);
    let wanted = serde_json::json!({"protocol": "socks5", "kind": "proxy", "payload": "clear"});
    assert_eq!(measurement_json(&witnessed, &verdict)["tunnel"], wanted);
    assert_eq!(verdict_json(&witnessed, &verdict)["tunnel"], wanted);
    assert!(sentence_of(&witnessed.measurement, &verdict).starts_with("proxy, in the clear: "));
    let web = World::measuring("https://site.example/").done();
    assert!(!sentence_of(&web, &verdict).starts_with("proxy"));
}

#[test]
fn another_port_or_other_octets_speak_for_a_filter_and_settle_nothing_alone() {
    let with = |purpose, outcome| ladder(silence(), silence()).tunnel(purpose, GENUINE, outcome);
    let lives = |world: World| world.host_alive(GENUINE, failed(Failure::ConnectionRefused)).judged();
    let likely = |verdict| is(&verdict, State::LikelyBlocked, Cause::Interference, &["vpn.openvpn.timeout"]);
    likely(lives(with(Purpose::OtherPort, Outcome::Ok)));
    likely(lives(with(Purpose::PrintableBytes, failed(Failure::EofError))));
    assert_eq!(lives(with(Purpose::OtherPort, silence())).state, State::Impaired, "no server need be there");
    assert_eq!(lives(with(Purpose::TlsBytes, silence())).state, State::Impaired, "it may be the server's way");
}

#[test]
fn a_message_that_fails_now_and_then_is_blocked_where_printable_characters_never_do() {
    let start = || {
        let world = World::measuring("openvpn+udp://vpn.example:1194").system_says(GENUINE).others_say(GENUINE);
        world.tunnel(Purpose::Main, GENUINE, silence()).tunnel(Purpose::Retry, GENUINE, Outcome::Ok)
    };
    let judged = |failures: usize, innocent_failures: usize| {
        let mut world = start();
        for round in 0..24 {
            let own = if round < failures { silence() } else { Outcome::Ok };
            let printable = if round >= 24 - innocent_failures { silence() } else { failed(Failure::EofError) };
            world = world.tunnel(Purpose::Retry, GENUINE, own).tunnel(Purpose::PrintableBytes, GENUINE, printable);
        }
        world.judged()
    };
    is(&judged(8, 0), State::Blocked, Cause::Interference, &["vpn.openvpn.timeout"]);
    assert_eq!(judged(0, 0).state, State::Impaired, "it failed once");
    assert!(!matches!(judged(6, 6).state, State::Blocked | State::LikelyBlocked), "a bad line");
}

#[test]
fn a_server_that_is_cut_off_for_a_time_is_blocked_and_says_so() {
    let after = |own, again| {
        let world = ladder(silence(), silence()).tunnel(Purpose::QuietInnocent, GENUINE, Outcome::Ok);
        world.tunnel(Purpose::QuietOwn, GENUINE, own).tunnel(Purpose::QuietAgain, GENUINE, again).judged()
    };
    let verdict = after(silence(), silence());
    assert_eq!((verdict.state, verdict.cause), (State::Blocked, Cause::Interference), "{verdict:#?}");
    assert!(verdict.mechanisms.contains(&"vpn.openvpn.residual".to_owned()), "{:?}", verdict.mechanisms);
    assert_ne!(after(silence(), Outcome::Ok).state, State::Blocked);
}

/// What is said of the first of these, beside the others of the run: tunnels of these providers, silent or not, and web sites.
fn beside(tunnels: &[(&str, Outcome)], sites: usize) -> Verdict {
    let (mut company, run) = (Company::default(), RunId::new());
    let mut note = |world: World| {
        let seen = Measurement { run, ..world.done() };
        company.note(&seen, &judge(&seen, &healthy()));
        seen
    };
    let tried = |(input, outcome): &(&str, Outcome)| {
        let mut world = World::measuring(input);
        for purpose in [Purpose::Main, Purpose::Retry, Purpose::Retry] {
            world = world.tunnel(purpose, GENUINE, *outcome);
        }
        world.host_alive(GENUINE, failed(Failure::ConnectionRefused))
    };
    let tunnels: Vec<Measurement> = tunnels.iter().map(|tunnel| note(tried(tunnel))).collect();
    for _ in 0..sites {
        let site = World::measuring("https://x.com/").system_says(GENUINE).connects(GENUINE, Outcome::Ok);
        note(site.tls(Purpose::Main, GENUINE, Outcome::Ok, heard()).responds(Purpose::Main, GENUINE, 200));
    }
    Grounds::new(&Fingerprints::NONE).among(&company).judge(&tunnels[0], &healthy())
}

#[test]
fn several_providers_that_fail_over_several_protocols_speak_for_a_filter_of_protocols() {
    let all = [
        ("openvpn+udp://one.example:1194", silence()),
        ("ikev2://two.example:500", silence()),
        ("openvpn+udp://three.example:1194", silence()),
    ];
    let verdict = beside(&all, 4);
    assert_eq!((verdict.state, verdict.cause), (State::LikelyBlocked, Cause::Interference), "{verdict:#?}");
    assert!(verdict.evidence.iter().any(|evidence| evidence.rule == "vpn.several_providers"));
    let state = |tunnels: &[(&str, Outcome)], sites| beside(tunnels, sites).state;
    assert_eq!(state(&all, 0), State::Impaired, "no web site is known to work");
    assert_eq!(state(&all[..2], 4), State::Impaired, "two providers");
    assert_eq!(state(&[all[0], all[0], all[0]], 4), State::Impaired, "one provider, three servers");
    let one = [all[0], ("openvpn+udp://two.example:1194", silence()), all[2]];
    assert_eq!(state(&one, 4), State::Impaired, "one protocol");
    let with_others = [
        all[0],
        all[1],
        all[2],
        ("ikev2://a.example:500", Outcome::Ok),
        ("ikev2://b.example:500", Outcome::Ok),
        ("ikev2://c.example:500", Outcome::Ok),
    ];
    assert_eq!(state(&with_others, 4), State::Impaired, "as many answer");
}

#[test]
fn who_has_no_credentials_knows_nothing_and_is_told_so() {
    let world = World::measuring("ss://proxy.example:8388").system_says(GENUINE);
    let verdict = world.tunnel(Purpose::Main, GENUINE, Outcome::NotRun(NotRun::NoKey)).judged();
    assert_eq!(verdict.state, State::Insufficient, "{verdict:#?}");
    assert!(verdict.evidence.iter().any(|evidence| evidence.rule == "vpn.no_credentials"), "{verdict:#?}");
}
