//! Faults that the router carries out: what a packet meets on a network that is broken without anybody's intent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::censor::{is_listed, parse};
use super::chance::draw;
use super::line::queued;
use super::packet::{Packet, Transport};
use crate::scenario::{Broken, Place};

/// A flow that has been idle for so long is forgotten by a home router (below the minutes that RFC 4787, REQ-5, wants:
/// a full table is what this is about).
const IDLE: Duration = Duration::from_secs(30);

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It is late.
    Late(Duration),
    /// It vanishes.
    Lost,
    /// It is refused: a TCP segment is answered by a reset.
    Refused,
    /// It ends at the portal.
    ToPortal,
}

/// A fault and what it remembers.
#[derive(Debug)]
pub struct Fault {
    broken: Broken,
    seed: u64,
    packets: u64,
    line_free: [Option<Instant>; 2],
    flows: HashMap<(IpAddr, u16, IpAddr, u16), Instant>,
}

/// Where a packet is.
#[derive(Debug, Clone, Copy)]
pub struct Passage {
    /// Where it comes from.
    pub from: Place,
    /// Where it goes.
    pub to: Place,
    /// Its length.
    pub length: usize,
    /// The time.
    pub now: Instant,
}

impl Passage {
    /// Whether it neither begins nor ends in the country.
    pub fn is_abroad(self) -> bool {
        self.from == Place::Abroad && self.to == Place::Abroad
    }

    fn touches(self, place: Place) -> bool {
        self.from == place || self.to == place
    }
}

impl Fault {
    /// A fault whose chances are drawn by `seed`.
    pub fn new(broken: &Broken, seed: u64) -> Self {
        Self { broken: broken.clone(), seed, packets: 0, line_free: [None; 2], flows: HashMap::new() }
    }

    /// Whether it is a fault of hosts, which everybody meets, and not one of the country's lines.
    pub fn is_of_hosts(&self) -> bool {
        matches!(self.broken, Broken::AddressDead { .. } | Broken::AddressRefuses { .. } | Broken::FewAnswered { .. })
    }

    /// Its effect on one packet.
    pub fn effect(&mut self, packet: &Packet<'_>, passage: Passage) -> Effect {
        self.packets += 1;
        let lost_if = |lost: bool| if lost { Effect::Lost } else { Effect::None };
        match &self.broken {
            Broken::GatewayDown => lost_if(passage.touches(Place::Access)),
            Broken::UpstreamDead => lost_if(passage.from != Place::Isp && passage.to != Place::Isp),
            Broken::AbroadDead { copies } => {
                let has_copy = copies.contains(&packet.source) || copies.contains(&packet.destination);
                lost_if(passage.touches(Place::Abroad) && !has_copy)
            }
            Broken::ResolverDead => lost_if(passage.from == Place::Isp && is_dns_answer(packet)),
            Broken::ResolverSlow { delay_ms } if passage.from == Place::Isp && is_dns_answer(packet) => {
                Effect::Late(Duration::from_millis(*delay_ms))
            }
            Broken::ResolverOverloaded { share } => {
                let share = *share;
                lost_if(passage.from == Place::Isp && is_dns_answer(packet) && self.chance() < share)
            }
            Broken::AuthoritySilent { names } => {
                lost_if(passage.from == Place::Isp && passage.to == Place::Abroad && asks_for(packet, names))
            }
            Broken::CaptivePortal => at_portal(packet, passage),
            Broken::AddressDead { addresses } => lost_if(addresses.contains(&packet.destination)),
            Broken::AddressRefuses { addresses } if addresses.contains(&packet.destination) => Effect::Refused,
            Broken::UdpDead => {
                lost_if(is_udp(packet) && passage.touches(Place::Access) && !passage.touches(Place::Isp))
            }
            Broken::FewAnswered { address, port, every_ms } => {
                let (address, port, every) = (*address, *port, Duration::from_millis(*every_ms));
                lost_if(packet.destination == address && !self.is_answered(packet, port, every, passage.now))
            }
            Broken::MtuBlackHole { bytes } => lost_if(passage.touches(Place::Abroad) && passage.length > *bytes),
            Broken::Loss { share } => lost_if(passage.touches(Place::Access) && self.chance() < *share),
            Broken::BrokenIpv6 => lost_if(packet.source.is_ipv6() && passage.touches(Place::Access)),
            Broken::NatExhausted { flows } => {
                let most = *flows;
                lost_if(!self.has_room(packet, passage, most))
            }
            Broken::CableCut { delay_ms, loss, rate_kbit } if passage.touches(Place::Abroad) => {
                let (delay, loss, rate) = (Duration::from_millis(*delay_ms), *loss, *rate_kbit);
                self.over_another_cable(passage, delay, loss, rate)
            }
            _ => Effect::None,
        }
    }

    fn chance(&self) -> f64 {
        draw(self.seed, ("fault", self.packets))
    }

    fn over_another_cable(&mut self, passage: Passage, delay: Duration, loss: f64, rate_kbit: u64) -> Effect {
        if self.chance() < loss {
            return Effect::Lost;
        }
        let free = &mut self.line_free[usize::from(passage.from == Place::Abroad)];
        queued(free, passage.length, rate_kbit, passage.now).map_or(Effect::Lost, |wait| Effect::Late(wait + delay))
    }

    /// Whether a server that opens a flow now and then takes this packet: of a flow that it knows, or the first for long enough.
    fn is_answered(&mut self, packet: &Packet<'_>, port: u16, every: Duration, now: Instant) -> bool {
        let Some((source, destination)) = ports(packet).filter(|(_, to)| *to == port) else { return true };
        let key = (packet.source, source, packet.destination, destination);
        let last = self.flows.values().max();
        let takes =
            self.flows.contains_key(&key) || last.is_none_or(|last| now.saturating_duration_since(*last) >= every);
        if takes {
            self.flows.entry(key).or_insert(now);
        }
        takes
    }

    fn has_room(&mut self, packet: &Packet<'_>, passage: Passage, most: usize) -> bool {
        let Some((source, destination)) = ports(packet) else { return true };
        let key = if passage.from == Place::Access {
            (packet.source, source, packet.destination, destination)
        } else {
            (packet.destination, destination, packet.source, source)
        };
        self.flows.retain(|_, last| passage.now.saturating_duration_since(*last) < IDLE);
        let own = self.flows.keys().filter(|flow| flow.0 == key.0).count();
        let room = self.flows.contains_key(&key) || (passage.from == Place::Access && own < most);
        if room {
            self.flows.insert(key, passage.now);
        }
        room
    }
}

fn is_udp(packet: &Packet<'_>) -> bool {
    matches!(packet.transport, Transport::Udp { .. })
}

fn ports(packet: &Packet<'_>) -> Option<(u16, u16)> {
    match packet.transport {
        Transport::Tcp(segment) => Some((segment.source, segment.destination)),
        Transport::Udp { source, destination, .. } => Some((source, destination)),
        Transport::Echo(..) | Transport::Other => None,
    }
}

fn is_dns_answer(packet: &Packet<'_>) -> bool {
    ports(packet).is_some_and(|(source, _)| source == 53)
}

/// Whether a datagram is a question for one of these names.
fn asks_for(packet: &Packet<'_>, names: &[String]) -> bool {
    let Transport::Udp { payload, destination: 53, .. } = packet.transport else { return false };
    parse::question(payload).is_some_and(|asked| is_listed(names, &asked.name))
}

/// Plain web, as far as a portal knows it.
const HTTP: u16 = 80;

/// Plain web traffic to anywhere ends at the portal; the rest does not leave the ISP.
fn at_portal(packet: &Packet<'_>, passage: Passage) -> Effect {
    match packet.transport {
        _ if passage.touches(Place::Isp) => Effect::None,
        Transport::Tcp(segment) if segment.destination == HTTP => Effect::ToPortal,
        _ => Effect::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(destination: &str, ports: (u16, u16)) -> Packet<'static> {
        let transport = Transport::Udp { source: ports.0, destination: ports.1, payload: &[] };
        let (source, destination) = ("100.64.10.2".parse().unwrap(), destination.parse().unwrap());
        Packet { source, destination, ttl: 64, transport }
    }

    fn effect(broken: &Broken, destination: &str, from: Place, to: Place) -> Effect {
        let passage = Passage { from, to, length: 100, now: Instant::now() };
        Fault::new(broken, 1).effect(&datagram(destination, (5_000, 53)), passage)
    }

    #[test]
    fn a_dead_upstream_leaves_the_isp_s_own_servers() {
        assert_eq!(effect(&Broken::UpstreamDead, "8.8.8.8", Place::Access, Place::Abroad), Effect::Lost);
        assert_eq!(effect(&Broken::UpstreamDead, "100.64.0.53", Place::Access, Place::Isp), Effect::None);
    }

    #[test]
    fn a_portal_lets_the_isp_s_resolver_through_and_drops_the_rest() {
        assert_eq!(effect(&Broken::CaptivePortal, "100.64.0.53", Place::Access, Place::Isp), Effect::None);
        assert_eq!(effect(&Broken::CaptivePortal, "8.8.8.8", Place::Access, Place::Abroad), Effect::Lost);
    }

    #[test]
    fn a_full_table_has_room_for_the_flows_that_it_knows() {
        let mut nat = Fault::new(&Broken::NatExhausted { flows: 2 }, 1);
        let start = Instant::now();
        let mut send = |port, after| {
            let passage = Passage {
                from: Place::Access,
                to: Place::Abroad,
                length: 100,
                now: start + Duration::from_secs(after),
            };
            nat.effect(&datagram("8.8.8.8", (port, 443)), passage)
        };
        assert_eq!(
            [send(1, 0), send(2, 0), send(3, 0), send(1, 1)],
            [Effect::None, Effect::None, Effect::Lost, Effect::None]
        );
        assert_eq!(send(3, 60), Effect::None, "idle flows are forgotten");
    }

    #[test]
    fn where_udp_is_dead_the_isp_s_own_servers_are_reached_by_it() {
        assert_eq!(effect(&Broken::UdpDead, "8.8.8.8", Place::Access, Place::Abroad), Effect::Lost);
        assert_eq!(effect(&Broken::UdpDead, "100.64.0.53", Place::Access, Place::Isp), Effect::None);
        assert_eq!(effect(&Broken::UdpDead, "8.8.8.8", Place::Abroad, Place::Abroad), Effect::None);
    }

    #[test]
    fn a_host_that_answers_few_takes_new_flows_at_its_rate_and_known_ones_always() {
        let address = "146.70.12.4".parse().unwrap();
        let mut few = Fault::new(&Broken::FewAnswered { address, port: 500, every_ms: 5_000 }, 1);
        let start = Instant::now();
        let mut send = |source, port, after| {
            let now = start + Duration::from_secs(after);
            let passage = Passage { from: Place::Access, to: Place::Abroad, length: 100, now };
            few.effect(&datagram("146.70.12.4", (source, port)), passage)
        };
        assert_eq!([send(1, 500, 0), send(2, 500, 1), send(1, 500, 2)], [Effect::None, Effect::Lost, Effect::None]);
        assert_eq!([send(2, 500, 5), send(3, 4_500, 5)], [Effect::None, Effect::None]);
    }

    #[test]
    fn loss_takes_its_share_and_the_same_one_by_the_same_seed() {
        let lost = |seed| {
            let mut fault = Fault::new(&Broken::Loss { share: 0.1 }, seed);
            let passage = Passage { from: Place::Access, to: Place::Abroad, length: 100, now: Instant::now() };
            let packet = datagram("8.8.8.8", (1, 2));
            (0..1_000).map(|_| fault.effect(&packet, passage) == Effect::Lost).collect::<Vec<_>>()
        };
        let share = lost(1).iter().filter(|lost| **lost).count();
        assert!((70..130).contains(&share), "{share} of 1,000");
        assert!(lost(1) == lost(1) && lost(1) != lost(2));
    }
}
