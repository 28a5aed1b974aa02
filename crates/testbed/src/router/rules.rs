//! Rules: what a censor, a fault or a captive portal does to the packets that cross a link.
//!
//! A rule only judges; the router carries the judgement out. Rules are asked in order and the first that does not let
//! a packet pass has the word.

use std::collections::HashSet;
use std::net::IpAddr;

use super::packet::{Packet, Transport};
use super::path::LinkId;
use super::sni::SniFilter;

/// What is to be done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It goes on.
    Pass,
    /// It vanishes.
    Drop,
    /// It vanishes, and both ends of its connection receive a reset.
    Reset,
    /// It goes to the host at the end of another link, unchanged.
    Divert(LinkId),
}

/// A rule at a link.
#[derive(Debug)]
pub struct Rule {
    /// It sees the packets that enter or leave this link.
    pub link: LinkId,
    /// What it does to them.
    pub action: Action,
}

/// The kinds of rule.
#[derive(Debug)]
pub enum Action {
    /// Nothing passes: the line is dead.
    DropAll,
    /// Packets to these addresses vanish.
    DropTo {
        /// The addresses.
        addresses: HashSet<IpAddr>,
        /// Only this port, or every port and protocol.
        port: Option<u16>,
    },
    /// Server names are read and judged.
    Sni(SniFilter),
    /// Plain web traffic to anywhere ends at the portal, the rest does not leave the ISP.
    Portal {
        /// Where the portal's web server is.
        portal: LinkId,
    },
}

impl Rule {
    /// Judges a packet that comes from the link `from` and is on its way to the link `to`.
    pub fn judge(&mut self, packet: &Packet<'_>, from: LinkId, to: LinkId) -> Judgement {
        if from != self.link && to != self.link {
            return Judgement::Pass;
        }
        match &mut self.action {
            Action::DropAll => Judgement::Drop,
            Action::DropTo { addresses, port } => {
                let hit = addresses.contains(&packet.destination)
                    && port.is_none_or(|port| packet.destination_port() == Some(port));
                if hit { Judgement::Drop } else { Judgement::Pass }
            }
            Action::Sni(filter) => match &packet.transport {
                Transport::Tcp(segment) => filter.judge(packet, segment),
                _ => Judgement::Pass,
            },
            Action::Portal { portal } => at_portal(packet, from, to, *portal),
        }
    }
}

/// Plain web, as far as a portal knows it.
const HTTP: u16 = 80;

fn at_portal(packet: &Packet<'_>, from: LinkId, to: LinkId, portal: LinkId) -> Judgement {
    if from == portal || to == portal {
        return Judgement::Pass;
    }
    match packet.transport {
        Transport::Tcp(segment) if segment.destination == HTTP => Judgement::Divert(portal),
        _ => Judgement::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::packet::Transport;

    const CLIENT: LinkId = LinkId(0);
    const ISP: LinkId = LinkId(1);
    const ABROAD: LinkId = LinkId(2);

    fn datagram(destination: &str, port: u16) -> Packet<'static> {
        let transport = Transport::Udp { source: 5_000, destination: port };
        let (source, destination) = ("100.64.10.2".parse().unwrap(), destination.parse().unwrap());
        Packet { source, destination, ttl: 64, transport }
    }

    #[test]
    fn a_rule_leaves_other_links_alone() {
        let mut rule = Rule { link: ABROAD, action: Action::DropAll };
        assert_eq!(rule.judge(&datagram("100.64.0.53", 53), CLIENT, ISP), Judgement::Pass);
        assert_eq!(rule.judge(&datagram("8.8.8.8", 53), CLIENT, ABROAD), Judgement::Drop);
        assert_eq!(rule.judge(&datagram("100.64.10.2", 53), ABROAD, CLIENT), Judgement::Drop);
    }

    #[test]
    fn dropping_to_a_port_spares_the_other_ports_and_addresses() {
        let addresses = HashSet::from(["8.8.8.8".parse().unwrap()]);
        let mut rule = Rule { link: ABROAD, action: Action::DropTo { addresses, port: Some(53) } };
        assert_eq!(rule.judge(&datagram("8.8.8.8", 53), CLIENT, ABROAD), Judgement::Drop);
        assert_eq!(rule.judge(&datagram("8.8.8.8", 443), CLIENT, ABROAD), Judgement::Pass);
        assert_eq!(rule.judge(&datagram("9.9.9.9", 53), CLIENT, ABROAD), Judgement::Pass);
    }

    #[test]
    fn a_portal_lets_the_isp_resolver_through_and_drops_the_rest() {
        let mut rule = Rule { link: CLIENT, action: Action::Portal { portal: ISP } };
        assert_eq!(rule.judge(&datagram("100.64.0.53", 53), CLIENT, ISP), Judgement::Pass);
        assert_eq!(rule.judge(&datagram("8.8.8.8", 53), CLIENT, ABROAD), Judgement::Drop);
    }
}
