//! The shape of the network: links that meet in one core, the routers on each, and which link leads to an address.
//!
//! A packet from one host to another crosses the first host's link towards the core, is judged there, and crosses the
//! second host's link away from it. Every router on the way takes one from its TTL.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::packet::is_bogon;
use crate::scenario::{Line, Place};

/// Names one link of a [`Topology`] by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub usize);

/// A router on a line; it has an address of each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Its IPv4 address.
    pub v4: IpAddr,
    /// Its IPv6 address.
    pub v6: IpAddr,
}

impl Hop {
    /// A router with these addresses.
    pub fn at(v4: [u8; 4], v6: [u16; 8]) -> Self {
        Self { v4: v4.into(), v6: v6.into() }
    }

    /// Its address of the family of `other`.
    pub fn beside(self, other: IpAddr) -> IpAddr {
        if other.is_ipv4() { self.v4 } else { self.v6 }
    }

    /// Whether one of its addresses is this.
    pub fn is(self, address: IpAddr) -> bool {
        self.v4 == address || self.v6 == address
    }
}

/// A line between one host and the core.
#[derive(Debug, Clone)]
pub struct Link {
    /// What its captures are called.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The number of the vantage that it is near to, if it is near to one.
    pub vantage: Option<usize>,
    /// The time that a packet takes from one end to the other.
    pub delay: Duration,
    /// What else it does to packets.
    pub line: Line,
    /// The routers on it, from the host to the core.
    pub hops: Vec<Hop>,
}

/// All links, and where addresses are.
#[derive(Debug, Clone)]
pub struct Topology {
    /// The links; a [`LinkId`] is an index into them.
    pub links: Vec<Link>,
    /// Addresses with a place of their own.
    pub places: HashMap<IpAddr, LinkId>,
    /// Where every other public address is.
    pub default: LinkId,
}

impl Topology {
    /// The link that leads to an address. Private addresses that nobody holds lead nowhere: a border filters them.
    pub fn route(&self, destination: IpAddr) -> Option<LinkId> {
        let known = self.places.get(&destination).copied();
        known.or_else(|| (!is_bogon(destination)).then_some(self.default))
    }

    /// The link of the helper abroad: the last.
    pub fn helper(&self) -> LinkId {
        LinkId(self.links.len() - 1)
    }

    /// The link with this id.
    pub fn link(&self, id: LinkId) -> &Link {
        &self.links[id.0]
    }

    /// The router at which a packet's TTL runs out between its host and the core, if it does.
    pub fn expires_before_core(&self, from: LinkId, ttl: u8) -> Option<Hop> {
        let hops = &self.link(from).hops;
        hops.get(usize::from(ttl).saturating_sub(1)).copied()
    }

    /// The router at which a packet's TTL runs out between the core and its destination, if it does.
    pub fn expires_after_core(&self, to: LinkId, ttl: u8) -> Option<Hop> {
        let hops = &self.link(to).hops;
        hops.iter().rev().nth(usize::from(ttl).saturating_sub(1)).copied()
    }

    /// The link of this vantage at this place.
    pub fn near(&self, vantage: usize, place: Place) -> Option<LinkId> {
        let is_it = |link: &Link| link.place == place && link.vantage == Some(vantage);
        self.links.iter().position(is_it).map(LinkId)
    }

    /// The number of routers on a link, which is what crossing it costs.
    pub fn cost(&self, id: LinkId) -> u8 {
        u8::try_from(self.link(id).hops.len()).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        let link = |name: &str, place, hops: &[[u8; 4]]| Link {
            name: name.into(),
            place,
            vantage: (place == Place::Access).then_some(0),
            delay: Duration::ZERO,
            line: Line::default(),
            hops: hops.iter().map(|&hop| Hop::at(hop, [0x2001, 0, 0, 0, 0, 0, 0, hop[3].into()])).collect(),
        };
        let links = vec![
            link("client", Place::Access, &[[100, 64, 10, 1], [100, 64, 1, 1]]),
            link("abroad", Place::Abroad, &[[154, 54, 1, 2], [154, 54, 1, 1]]),
        ];
        let places = HashMap::from([([100, 64, 10, 2].into(), LinkId(0))]);
        Topology { links, places, default: LinkId(1) }
    }

    #[test]
    fn public_addresses_are_abroad_and_unknown_private_ones_are_nowhere() {
        let world = topology();
        assert_eq!(world.route([8, 8, 8, 8].into()), Some(LinkId(1)));
        assert_eq!(world.route([100, 64, 10, 2].into()), Some(LinkId(0)));
        assert_eq!(world.route([10, 10, 34, 35].into()), None);
    }

    #[test]
    fn a_rising_ttl_walks_along_the_hops_in_order() {
        let world = topology();
        let before = |ttl| world.expires_before_core(LinkId(0), ttl).map(|hop| hop.v4);
        let after = |ttl| world.expires_after_core(LinkId(1), ttl).map(|hop| hop.v4);
        assert_eq!(
            [before(1), before(2), before(3)],
            [Some([100, 64, 10, 1].into()), Some([100, 64, 1, 1].into()), None]
        );
        assert_eq!([after(1), after(2), after(3)], [Some([154, 54, 1, 1].into()), Some([154, 54, 1, 2].into()), None]);
        assert_eq!((world.near(0, Place::Access), world.near(1, Place::Access)), (Some(LinkId(0)), None));
    }
}
