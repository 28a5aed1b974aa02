//! The router's thread, packet by packet, without a thread.

use super::*;
use crate::internet::{ABROAD, ACCESS, CLIENT, GATEWAY, ISP, topology};
use crate::scenario::{Broken, Censor, Links, When};
use etherparse::PacketBuilder;
use std::net::IpAddr;

fn core_of(orders: &Orders) -> Core {
    let topology = topology(&Links::default(), std::collections::BTreeSet::new());
    Core::new(topology, (0..5).map(|_| None).collect(), orders, Arc::default()).unwrap()
}

fn core(text: &str) -> Core {
    #[derive(serde::Deserialize)]
    struct Rules {
        #[serde(default)]
        censor: Vec<Censor>,
    }
    let censors = toml::from_str::<Rules>(text).unwrap().censor;
    let orders = Orders { censors, seed: 1, ..Orders::default() };
    core_of(&orders)
}

fn broken(broken: Broken) -> Core {
    let faults = vec![crate::scenario::Fault { when: When::default(), broken }];
    let orders = Orders { faults, ..Orders::default() };
    core_of(&orders)
}

fn ping(destination: [u8; 4], ttl: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ping = PacketBuilder::ipv4([100, 64, 10, 2], destination, ttl).icmpv4_echo_request(7, 1);
    ping.write(&mut bytes, b"data").unwrap();
    bytes
}

fn ping_v6(destination: [u16; 8], ttl: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let source: std::net::Ipv6Addr = "2a0d:a740::2".parse().unwrap();
    let destination = std::net::Ipv6Addr::from(destination);
    let ping = PacketBuilder::ipv6(source.octets(), destination.octets(), ttl).icmpv6_echo_request(7, 1);
    ping.write(&mut bytes, b"data").unwrap();
    bytes
}

fn syn(destination: [u8; 4], port: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let syn = PacketBuilder::ipv4([100, 64, 10, 2], destination, 64).tcp(40_000, port, 1, 64_240).syn();
    syn.write(&mut bytes, &[]).unwrap();
    bytes
}

fn fate(core: &mut Core, bytes: &[u8]) -> Fate {
    core.fate(&Packet::parse(bytes).unwrap(), ACCESS, bytes, Instant::now())
}

fn answerer(fate: &Fate) -> Option<IpAddr> {
    let [(ACCESS, bytes)] = &fate.answers[..] else { return None };
    Some(Packet::parse(bytes).unwrap().source)
}

fn goes_to(fate: &Fate) -> Option<LinkId> {
    fate.onward.as_ref().map(|onward| onward.to)
}

#[test]
fn a_rising_ttl_meets_every_router_once_and_then_arrives() {
    let mut core = core("");
    let mut hops = core.topology.link(ACCESS).hops.clone();
    hops.extend(core.topology.link(ABROAD).hops.iter().rev());
    for (ttl, hop) in (1..).zip(&hops) {
        assert_eq!(answerer(&fate(&mut core, &ping([8, 8, 8, 8], ttl))), Some(hop.v4), "TTL {ttl}");
        let v6 = [0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888];
        assert_eq!(answerer(&fate(&mut core, &ping_v6(v6, ttl))), Some(hop.v6), "hop limit {ttl}");
    }
    let arrives = fate(&mut core, &ping([8, 8, 8, 8], 5));
    assert_eq!(arrives.onward, Some(Onward { to: ABROAD, hops: 4, late: Duration::ZERO, elsewhere: None }));
}

#[test]
fn the_gateway_answers_pings_and_refuses_connections() {
    let mut core = core("");
    let gateway = [100, 64, 10, 1];
    assert_eq!(answerer(&fate(&mut core, &ping(gateway, 64))), Some(GATEWAY));
    assert_eq!(answerer(&fate(&mut core, &syn(gateway, 80))), Some(GATEWAY));
    let mut dead = broken(Broken::GatewayDown);
    assert_eq!(fate(&mut dead, &ping(gateway, 64)), Fate::lost());
}

#[test]
fn a_bogon_that_nobody_holds_leads_nowhere() {
    assert_eq!(fate(&mut core(""), &ping([10, 10, 34, 35], 64)), Fate::lost());
}

const DROP: &str = "[[censor]]\nmatch = { kind = 'ip', addresses = ['8.8.8.8'] }\naction = { kind = 'drop' }\n";

#[test]
fn a_censor_does_not_see_what_expires_before_it() {
    let mut core = core(DROP);
    assert!(answerer(&fate(&mut core, &ping([8, 8, 8, 8], 2))).is_some());
    assert_eq!(fate(&mut core, &ping([8, 8, 8, 8], 3)), Fate::lost());
    assert_eq!(core.acted[0].load(Ordering::Relaxed), 1);
}

#[test]
fn a_censor_sees_its_own_link_only() {
    let text = "[[censor]]\nmatch = { kind = 'ip' }\naction = { kind = 'drop' }\n";
    assert_eq!(goes_to(&fate(&mut core(text), &syn([100, 64, 0, 80], 443))), Some(ISP));
    assert_eq!(fate(&mut core(text), &syn([8, 8, 8, 8], 443)), Fate::lost());
}

#[test]
fn the_portal_takes_plain_http_and_nothing_else() {
    let mut core = broken(Broken::CaptivePortal);
    assert_eq!(goes_to(&fate(&mut core, &syn([8, 8, 8, 8], 80))), Some(ISP));
    assert_eq!(fate(&mut core, &syn([8, 8, 8, 8], 443)), Fate::lost());
}

#[test]
fn a_reset_by_address_goes_to_the_client_alone() {
    let fate = fate(&mut core(&DROP.replace("'drop'", "'reset'")), &syn([8, 8, 8, 8], 443));
    let ends: Vec<_> =
        fate.answers.iter().map(|(to, reset)| (*to, Packet::parse(reset).unwrap().destination)).collect();
    assert_eq!((fate.onward, ends), (None, vec![(ACCESS, CLIENT)]));
}

#[test]
fn a_diverted_packet_goes_to_another_host_and_its_answer_looks_like_the_first_one_s() {
    let text = "[[censor]]\nmatch = { kind = 'ip', ports = [443] }\naction = { kind = 'divert', to = '100.64.0.80' }\n";
    let mut core = core(text);
    let onward = fate(&mut core, &syn([8, 8, 8, 8], 443)).onward.unwrap();
    let portal: SocketAddr = "100.64.0.80:443".parse().unwrap();
    assert_eq!((onward.to, onward.elsewhere), (ISP, Some(portal)));
    let mut answer = Vec::new();
    let reply = PacketBuilder::ipv4([100, 64, 0, 80], [100, 64, 10, 2], 64).tcp(443, 40_000, 9, 64_240);
    reply.syn().ack(2).write(&mut answer, &[]).unwrap();
    let original = core.diversions.original(&Packet::parse(&answer).unwrap());
    assert_eq!(original, Some("8.8.8.8:443".parse().unwrap()));
}
