//! Where everything is: the addresses of vantages and their ISPs, and the links that join them.
//!
//! Vantage number `i` has the client `100.64.(10+i).2` behind the gateway `.1`, a router of its ISP at
//! `100.64.(128+i).1` (further ones, where a line has more, count on), and the ISP's resolver and portal at `100.64.i.53` and `.80`: all of the block that carriers share
//! among customers (RFC 6598). With IPv6 the client has `2a0d:a740:i::2`, a global address chosen freely: no packet of a
//! world leaves it.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};

use crate::router::path::{Hop, Link, LinkId, Topology};
use crate::scenario::{Line, Links, Place};

/// The first client's address.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 10, 2));
/// The first client's gateway.
pub const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 10, 1));
/// The resolver of the first client's ISP.
pub const ISP_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 0, 53));
/// The web server of the first client's ISP, which is a captive portal where a scenario wants one.
pub const PORTAL: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 0, 80));
/// Where the helper abroad is, if there is one: an address of a common hosting company.
pub const HELPER: IpAddr = IpAddr::V4(Ipv4Addr::new(139, 59, 208, 246));
/// Its IPv6 address, where there is IPv6.
pub const HELPER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2a03, 0xb0c0, 3, 0xd0, 0, 0, 0, 0x246));
/// A server of the root zone, and in these worlds of all below it: that of a.root-servers.net.
pub const ROOT_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4));

/// The first client's link.
pub const ACCESS: LinkId = LinkId(0);
/// The link to its ISP's servers.
pub const ISP: LinkId = LinkId(1);
/// The link to the rest of the world.
pub const ABROAD: LinkId = LinkId(2);
/// The link to servers in the country.
pub const HOME: LinkId = LinkId(3);

/// As many vantages as the third octets above have room for.
const MOST_VANTAGES: usize = 64;

/// The addresses around one vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// Its number.
    pub number: u8,
    /// The client's address.
    pub client: IpAddr,
    /// The client's IPv6 address, where there is IPv6.
    pub client_v6: IpAddr,
    /// The client's gateway.
    pub gateway: IpAddr,
    /// The ISP's resolver.
    pub resolver: IpAddr,
    /// The ISP's portal.
    pub portal: IpAddr,
}

impl Around {
    /// Around the vantage with this number.
    pub fn vantage(number: usize) -> Result<Self> {
        let number = u8::try_from(number).ok().filter(|&n| usize::from(n) < MOST_VANTAGES);
        let n = number.context("more vantages than there are addresses for")?;
        let v4 = |third, fourth| IpAddr::from([100, 64, third, fourth]);
        Ok(Self {
            number: n,
            client: v4(10 + n, 2),
            client_v6: IpAddr::V6(Ipv6Addr::new(0x2a0d, 0xa740, n.into(), 0, 0, 0, 0, 2)),
            gateway: v4(10 + n, 1),
            resolver: v4(n, 53),
            portal: v4(n, 80),
        })
    }

    /// The link of the client.
    pub fn access(&self) -> LinkId {
        self.link(ACCESS, 0)
    }

    /// The link to the ISP's servers.
    pub fn isp(&self) -> LinkId {
        self.link(ISP, 1)
    }

    /// The first vantage has the links that every world has; those of the others come behind them.
    fn link(&self, first: LinkId, offset: usize) -> LinkId {
        match usize::from(self.number) {
            0 => first,
            n => LinkId(HOME.0 + 1 + 2 * (n - 1) + offset),
        }
    }

    /// The routers on the client's line: its gateway, then those of its ISP.
    fn router(&self, number: u8) -> Hop {
        let n = self.number;
        match number {
            0 => Hop::at([100, 64, 10 + n, 1], [0x2a0d, 0xa740, n.into(), 0, 0, 0, 0, 1]),
            further => Hop::at([100, 64, 128 + n, further], [0x2a0d, 0xa740, n.into(), 0xff, 0, 0, 0, further.into()]),
        }
    }
}

/// What is where, besides what is abroad.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Hosts in the country.
    pub home: BTreeSet<IpAddr>,
    /// Hosts at the first vantage's ISP.
    pub isp: BTreeSet<IpAddr>,
    /// The vantages, one at least.
    pub vantages: Vec<Around>,
}

/// The links of a world of one vantage, with these hosts in the country.
pub fn topology(lines: &Links, at_home: BTreeSet<IpAddr>) -> Topology {
    let places = Places { home: at_home, vantages: Around::vantage(0).into_iter().collect(), ..Places::default() };
    topology_of(lines, &places)
}

/// The links of a world and the routers on them, in the order of their [`LinkId`]s.
pub fn topology_of(given: &Links, at: &Places) -> Topology {
    let access = |v: &Around| {
        let hops = (0..given.access.routers(Place::Access)).map(|number| v.router(number)).collect();
        Link {
            vantage: Some(v.number.into()),
            ..link(format!("access-{}", v.number), Place::Access, &given.access, hops)
        }
    };
    let isp = |v: &Around| {
        let hops = routers(given.isp.routers(Place::Isp), |number| {
            Hop::at([100, 64, v.number, number], [0x2a0d, 0xa740, v.number.into(), 0xfe, 0, 0, 0, number.into()])
        });
        Link { vantage: Some(v.number.into()), ..link(format!("isp-{}", v.number), Place::Isp, &given.isp, hops) }
    };
    let abroad = routers(given.abroad.routers(Place::Abroad), |number| {
        Hop::at([154, 54, 30, number], [0x2001, 0x550, 2, 0, 0, 0, 0, number.into()])
    });
    let home = routers(given.home.routers(Place::Home), |number| {
        Hop::at([203, 99, 40, number], [0x2400, 0xad00, 0, 0, 0, 0, 0, number.into()])
    });
    let mut links: Vec<Link> = at.vantages.iter().take(1).flat_map(|v| [access(v), isp(v)]).collect();
    links.push(link("abroad".into(), Place::Abroad, &given.abroad, abroad));
    links.push(link("home".into(), Place::Home, &given.home, home));
    links.extend(at.vantages.iter().skip(1).flat_map(|v| [access(v), isp(v)]));
    links.push(link("helper".into(), Place::Abroad, &Line { hops: Some(0), ..Line::default() }, Vec::new()));
    let helper = LinkId(links.len() - 1);
    let mut places = places_of(at);
    places.extend([(HELPER, helper), (HELPER_V6, helper)]);
    Topology { links, places, default: ABROAD }
}

fn link(name: String, place: Place, line: &Line, hops: Vec<Hop>) -> Link {
    Link { name, place, vantage: None, delay: line.delay(place), line: *line, hops }
}

/// So many routers, from the host to the core, the last of them number 1.
fn routers(count: u8, router: impl Fn(u8) -> Hop) -> Vec<Hop> {
    (1..=count).rev().map(router).collect()
}

fn places_of(at: &Places) -> HashMap<IpAddr, LinkId> {
    let mut places: HashMap<IpAddr, LinkId> = at.home.iter().map(|&address| (address, HOME)).collect();
    places.extend(at.isp.iter().map(|&address| (address, ISP)));
    for vantage in &at.vantages {
        places.extend([(vantage.client, vantage.access()), (vantage.client_v6, vantage.access())]);
        places.extend([(vantage.resolver, vantage.isp()), (vantage.portal, vantage.isp())]);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vantage_is_where_the_constants_say() {
        let first = Around::vantage(0).unwrap();
        assert_eq!((first.client, first.gateway), (CLIENT, GATEWAY));
        assert_eq!((first.resolver, first.portal), (ISP_RESOLVER, PORTAL));
        assert_eq!((first.access(), first.isp()), (ACCESS, ISP));
    }

    #[test]
    fn vantages_share_no_address_and_there_is_an_end_to_them() {
        let all: Vec<Around> = (0..MOST_VANTAGES).map(|n| Around::vantage(n).unwrap()).collect();
        let addresses: BTreeSet<IpAddr> =
            all.iter().flat_map(|v| [v.client, v.client_v6, v.gateway, v.resolver, v.portal]).collect();
        assert_eq!(addresses.len(), 5 * MOST_VANTAGES);
        assert!(Around::vantage(MOST_VANTAGES).is_err());
    }

    #[test]
    fn every_link_is_at_its_number() {
        let vantages: Vec<Around> = (0..3).map(|n| Around::vantage(n).unwrap()).collect();
        let topology = topology_of(&Links::default(), &Places { vantages: vantages.clone(), ..Places::default() });
        assert_eq!(topology.links.len(), 9);
        assert_eq!(topology.route(HELPER), Some(topology.helper()));
        assert_eq!((topology.link(ABROAD).name.as_str(), topology.link(HOME).name.as_str()), ("abroad", "home"));
        for vantage in vantages {
            assert_eq!(topology.link(vantage.access()).hops[0].v4, vantage.gateway);
            assert_eq!(topology.route(vantage.client), Some(vantage.access()));
            assert_eq!(topology.route(vantage.resolver), Some(vantage.isp()));
            assert_eq!(topology.link(vantage.isp()).name, format!("isp-{}", vantage.number));
        }
    }
}
