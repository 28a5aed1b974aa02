//! The shape of the network: links that meet in one core, the routers on each, and which link leads to an address.
//!
//! A packet from one host to another crosses the first host's link towards the core, is judged there, and crosses the
//! second host's link away from it. Every router on the way takes one from its TTL.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::packet::is_bogon;

/// Names one link of a [`Topology`] by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub usize);

/// A line between one host and the core.
#[derive(Debug, Clone)]
pub struct Link {
    /// How scenarios call it.
    pub name: String,
    /// The time that a packet takes from one end to the other.
    pub delay: Duration,
    /// The routers on it, from the host to the core.
    pub hops: Vec<IpAddr>,
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

    /// The link with this id.
    pub fn link(&self, id: LinkId) -> &Link {
        &self.links[id.0]
    }

    /// The router at which a packet's TTL runs out between its host and the core, if it does.
    pub fn expires_before_core(&self, from: LinkId, ttl: u8) -> Option<IpAddr> {
        let hops = &self.link(from).hops;
        hops.get(usize::from(ttl).saturating_sub(1)).copied()
    }

    /// The router at which a packet's TTL runs out between the core and its destination, if it does.
    pub fn expires_after_core(&self, to: LinkId, ttl: u8) -> Option<IpAddr> {
        let hops = &self.link(to).hops;
        hops.iter().rev().nth(usize::from(ttl).saturating_sub(1)).copied()
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
        let link = |name: &str, hops: &[[u8; 4]]| Link {
            name: name.into(),
            delay: Duration::ZERO,
            hops: hops.iter().map(|&hop| hop.into()).collect(),
        };
        let links = vec![
            link("client", &[[100, 64, 10, 1], [100, 64, 1, 1]]),
            link("abroad", &[[154, 54, 1, 2], [154, 54, 1, 1]]),
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
        assert_eq!(world.expires_before_core(LinkId(0), 1), Some([100, 64, 10, 1].into()));
        assert_eq!(world.expires_before_core(LinkId(0), 2), Some([100, 64, 1, 1].into()));
        assert_eq!(world.expires_before_core(LinkId(0), 3), None);
        assert_eq!(world.expires_after_core(LinkId(1), 1), Some([154, 54, 1, 1].into()));
        assert_eq!(world.expires_after_core(LinkId(1), 2), Some([154, 54, 1, 2].into()));
        assert_eq!(world.expires_after_core(LinkId(1), 3), None);
    }
}
