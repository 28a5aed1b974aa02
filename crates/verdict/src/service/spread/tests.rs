//! Five providers, three protocols, four sites: what is made of them.

use super::super::tally::tests::{tally, verdict};
use super::*;

const PROTOCOLS: [VpnProtocol; 3] = [VpnProtocol::OpenvpnUdp, VpnProtocol::Wireguard, VpnProtocol::Ikev2];
const PROVIDERS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Five providers with three protocols, and four sites; each as the two functions say.
fn world(
    tunnel: impl Fn(&str, VpnProtocol) -> (State, Cause),
    site: impl Fn(usize) -> (State, Cause),
) -> (Vec<Spread>, Vec<ProtocolSpread>) {
    let of = |(state, cause): (State, Cause), node: &str| {
        let hit = cause == Cause::Interference;
        tally(&[verdict(state, cause, if hit { node } else { "" })])
    };
    let mut tallies: Vec<(Option<&str>, ServiceKind, Option<VpnProtocol>, Tally)> = Vec::new();
    for provider in PROVIDERS {
        for protocol in PROTOCOLS {
            let said = of(tunnel(provider, protocol), &format!("vpn.{}.timeout", protocol.node()));
            tallies.push((Some(provider), ServiceKind::Vpn, Some(protocol), said));
        }
    }
    tallies.extend((0..4).map(|number| (None, ServiceKind::App, None, of(site(number), "tls.reset"))));
    let seen: Vec<Seen<'_>> = tallies
        .iter()
        .map(|(service, kind, protocol, tally)| Seen { service: *service, kind: *kind, protocol: *protocol, tally })
        .collect();
    spread(&seen)
}

const OK: (State, Cause) = (State::Ok, Cause::None);
const LIKELY: (State, Cause) = (State::LikelyBlocked, Cause::Interference);
const BLOCKED: (State, Cause) = (State::Blocked, Cause::Interference);
const SILENT: (State, Cause) = (State::Impaired, Cause::Unknown);
const DOWN: (State, Cause) = (State::Down, Cause::Target);

fn patterns(spreads: &[Spread]) -> Vec<Pattern> {
    spreads.iter().map(|spread| spread.pattern).collect()
}

#[test]
fn a_protocol_that_fails_at_every_provider_while_sites_work_is_interfered_with() {
    let filtered = |_: &str, protocol| if protocol == VpnProtocol::Wireguard { LIKELY } else { OK };
    let (found, counted) = world(filtered, |_| OK);
    assert_eq!(patterns(&found), [Pattern::ProtocolInterference]);
    assert_eq!((found[0].state, found[0].cause), (State::LikelyBlocked, Cause::Interference));
    assert_eq!((&found[0].protocols[..], found[0].providers.len()), (&["wireguard".to_owned()][..], 5));
    assert_eq!(found[0].mechanisms, ["vpn.wireguard.timeout"]);
    let wireguard = counted.iter().find(|spread| spread.protocol == "wireguard").unwrap();
    assert_eq!((wireguard.failing, wireguard.interfered, wireguard.providers), (5, 5, 5));
}

#[test]
fn silence_alone_is_borne_out_by_the_same_providers_other_protocols() {
    let (found, _) = world(|_, protocol| if protocol == VpnProtocol::Wireguard { SILENT } else { OK }, |_| OK);
    assert_eq!((patterns(&found), found[0].state), (vec![Pattern::ProtocolInterference], State::LikelyBlocked));
    // Where they answer by none, nobody can say whether the servers live.
    let (found, _) = world(|_, _| SILENT, |_| OK);
    assert_eq!(patterns(&found), [Pattern::Nothing]);
}

#[test]
fn every_protocol_at_once_is_several_findings_and_no_outage() {
    let (found, _) = world(|_, _| BLOCKED, |_| OK);
    assert_eq!(patterns(&found), [Pattern::ProtocolInterference; 3]);
    assert!(found.iter().all(|spread| spread.state == State::Blocked));
}

#[test]
fn a_dead_backbone_is_an_outage_and_says_nothing_of_tunnels() {
    let shut = (State::Insufficient, Cause::Isp);
    let (found, _) = world(|_, _| shut, |_| shut);
    assert_eq!(patterns(&found), [Pattern::Outage]);
    assert_eq!((found[0].state, found[0].cause), (State::Insufficient, Cause::Isp));
    // Our own doing is none of the network's.
    let hurried = (State::Insufficient, Cause::Instrument);
    let (found, _) = world(|_, _| hurried, |_| OK);
    assert_eq!((patterns(&found), found[0].cause), (vec![Pattern::Unproven], Cause::Instrument));
    // Also where the gate noticed nothing.
    let (found, _) = world(|_, _| SILENT, |_| SILENT);
    assert_eq!(patterns(&found), [Pattern::Outage]);
}

#[test]
fn one_provider_that_is_down_is_its_own_trouble() {
    let (found, _) = world(|provider, _| if provider == "c" { DOWN } else { OK }, |_| OK);
    assert_eq!((patterns(&found), &found[0].providers[..]), (vec![Pattern::ProviderDown], &["c".to_owned()][..]));
    assert_eq!((found[0].state, found[0].cause), (State::Down, Cause::Target));
    let (found, _) = world(|provider, _| if provider == "c" { SILENT } else { OK }, |_| OK);
    assert_eq!((found[0].pattern, found[0].state), (Pattern::ProviderFails, State::Impaired));
    let (found, _) = world(|provider, _| if provider == "c" { BLOCKED } else { OK }, |_| OK);
    assert_eq!((found[0].pattern, found[0].state), (Pattern::ProviderInterference, State::Blocked));
}

#[test]
fn a_filter_and_a_dead_provider_are_told_apart_at_once() {
    let (found, _) = world(
        |provider, protocol| match (provider, protocol) {
            ("c", _) => DOWN,
            (_, VpnProtocol::OpenvpnUdp) => LIKELY,
            _ => OK,
        },
        |_| OK,
    );
    assert_eq!(patterns(&found), [Pattern::ProtocolInterference, Pattern::ProviderDown]);
    assert_eq!(
        (&found[0].protocols[..], &found[1].providers[..]),
        (&["openvpn".to_owned()][..], &["c".to_owned()][..])
    );
}

#[test]
fn a_lost_answer_beside_a_filter_is_not_the_provider_s_trouble() {
    let (found, _) = world(
        |provider, protocol| match (provider, protocol) {
            ("a", VpnProtocol::Ikev2) => SILENT,
            (_, VpnProtocol::Ikev2) => OK,
            _ => LIKELY,
        },
        |_| OK,
    );
    assert_eq!(patterns(&found), [Pattern::ProtocolInterference; 2]);
}

#[test]
fn one_provider_alone_never_makes_a_protocol() {
    let (found, _) = world(
        |provider, protocol| if provider == "a" && protocol == VpnProtocol::Ikev2 { BLOCKED } else { OK },
        |_| OK,
    );
    assert_eq!(patterns(&found), [Pattern::Nothing]);
}

#[test]
fn without_sites_that_work_nothing_is_said_of_protocols() {
    let (found, _) = world(|_, _| LIKELY, |number| if number < 2 { OK } else { SILENT });
    assert!(!patterns(&found).contains(&Pattern::ProtocolInterference), "{found:#?}");
}

#[test]
fn where_all_works_it_is_said() {
    let (found, _) = world(|_, _| OK, |_| OK);
    assert_eq!((patterns(&found), found[0].state, found[0].cause), (vec![Pattern::Nothing], State::Ok, Cause::None));
}
