//! What a world contains: every name with its addresses, every web server and every public resolver.
//!
//! Made of the probe's control list, which is always there, and of the sites of a scenario. Pure data; the daemons that
//! serve it are started elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::controls::{CaptiveCheck, Controls};
use crate::router::path::{Link, LinkId, Topology};
use crate::scenario::{Links, Place, Scenario, Serves, Site};

/// The client's address: inside the block that carriers share among customers (RFC 6598).
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 10, 2));
/// The client's gateway.
pub const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 10, 1));
/// The ISP's resolver.
pub const ISP_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 0, 53));
/// The ISP's web server, which is a captive portal where a scenario wants one.
pub const PORTAL: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 0, 80));
/// The name of the portal's login page.
pub const PORTAL_NAME: &str = "login.hotspot.example";

/// The client's link.
pub const ACCESS: LinkId = LinkId(0);
/// The link to the ISP's servers.
pub const ISP: LinkId = LinkId(1);
/// The link to the rest of the world.
pub const ABROAD: LinkId = LinkId(2);

/// The link to servers in the country.
pub const HOME: LinkId = LinkId(3);

/// A web server for one name.
#[derive(Debug, Clone)]
pub struct WebSite {
    /// The host name.
    pub name: String,
    /// Where it is.
    pub addresses: Vec<IpAddr>,
    /// What it serves.
    pub content: Content,
}

impl WebSite {
    /// Where it is.
    pub fn place(&self) -> Place {
        match &self.content {
            Content::Site(site) => site.at,
            Content::Checks(_) => Place::Abroad,
        }
    }

    /// Its addresses at which a host is up.
    pub fn living(&self) -> impl Iterator<Item = IpAddr> {
        let is_up = |address: &&IpAddr| match &self.content {
            Content::Site(site) => site.serves != Serves::Silence && !site.dead.contains(address),
            Content::Checks(_) => true,
        };
        self.addresses.iter().filter(is_up).copied()
    }
}

/// What a web server serves.
#[derive(Debug, Clone)]
pub enum Content {
    /// What a scenario says of it.
    Site(Box<Site>),
    /// Answers over plain HTTP.
    Checks(Vec<CaptiveCheck>),
}

/// A public resolver.
#[derive(Debug, Clone)]
pub struct PublicResolver {
    /// Its short name.
    pub name: String,
    /// Where it is.
    pub addresses: Vec<IpAddr>,
    /// The names on its certificate.
    pub names: Vec<String>,
}

/// A whole internet, on paper.
#[derive(Debug, Clone, Default)]
pub struct Internet {
    /// Every name and its addresses.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Names that are aliases of others.
    pub aliases: BTreeMap<String, String>,
    /// The web servers.
    pub webs: Vec<WebSite>,
    /// The public resolvers.
    pub resolvers: Vec<PublicResolver>,
    made_up: u16,
}

impl Internet {
    /// The controls, and the sites of `scenario`.
    pub fn of(scenario: &Scenario, controls: &Controls) -> Result<Self> {
        let mut internet = Self::default();
        internet.names.insert(PORTAL_NAME.into(), vec![PORTAL]);
        internet.add_resolvers(controls);
        internet.add_checks(controls)?;
        for site in &scenario.site {
            internet.add_site(site);
        }
        for name in controls.control.iter().filter_map(|control| control.host_name()) {
            if !internet.names.contains_key(name) {
                internet.add_site(&Site::named(name));
            }
        }
        Ok(internet)
    }

    /// Every address abroad at which a host is up.
    pub fn addresses_abroad(&self) -> BTreeSet<IpAddr> {
        let resolvers = self.resolvers.iter().flat_map(|resolver| &resolver.addresses).copied();
        self.living(Place::Abroad).chain(resolvers).collect()
    }

    /// Every address in the country at which a host is up.
    pub fn addresses_at_home(&self) -> BTreeSet<IpAddr> {
        self.living(Place::Home).collect()
    }

    fn living(&self, place: Place) -> impl Iterator<Item = IpAddr> {
        self.webs.iter().filter(move |web| web.place() == place).flat_map(WebSite::living)
    }

    fn add_site(&mut self, site: &Site) {
        if site.removed {
            return;
        }
        if let Some(alias) = &site.alias {
            self.aliases.insert(site.name.clone(), alias.clone());
            return;
        }
        let addresses = if site.addresses.is_empty() { vec![self.make_up_address()] } else { site.addresses.clone() };
        self.add_web(site.name.clone(), addresses, Content::Site(Box::new(site.clone())));
    }

    fn add_web(&mut self, name: String, addresses: Vec<IpAddr>, content: Content) {
        // A site may be called by its address; then there is no name to look up.
        if name.parse::<IpAddr>().is_err() {
            self.names.insert(name.clone(), addresses.clone());
        }
        self.webs.push(WebSite { name, addresses, content });
    }

    fn add_resolvers(&mut self, controls: &Controls) {
        for resolver in &controls.resolver {
            let addresses: Vec<IpAddr> = resolver.udp.iter().copied().filter(IpAddr::is_ipv4).collect();
            let mut names: Vec<String> = resolver.doh.host_str().map(String::from).into_iter().collect();
            let controls = controls.control.iter().filter(|c| c.address().is_some_and(|a| addresses.contains(&a)));
            names.extend(controls.filter_map(|control| control.sni()));
            names.sort();
            names.dedup();
            for name in &names {
                self.names.insert(name.clone(), addresses.clone());
            }
            names.extend(addresses.iter().map(ToString::to_string));
            let name = resolver.name.replace('/', "-");
            self.resolvers.push(PublicResolver { name, addresses, names });
        }
    }

    fn add_checks(&mut self, controls: &Controls) -> Result<()> {
        let mut hosts: BTreeMap<&str, Vec<CaptiveCheck>> = BTreeMap::new();
        for check in &controls.captive {
            let host = check.url.host_str().context("a captive check without a host")?;
            hosts.entry(host).or_default().push(check.clone());
        }
        for (host, checks) in hosts {
            let address = self.make_up_address();
            self.add_web(host.into(), vec![address], Content::Checks(checks));
        }
        Ok(())
    }

    /// A public address that no other site of this world has. The block is one of a content network: no bogon.
    fn make_up_address(&mut self) -> IpAddr {
        self.made_up += 1;
        let [high, low] = self.made_up.to_be_bytes();
        IpAddr::from([151, 101, high, low])
    }
}

/// The three links of today's worlds and the routers on them.
pub fn topology(delays: &Links, at_home: BTreeSet<IpAddr>) -> Topology {
    let line = |name: &str, delay, hops: &[[u8; 4]]| Link {
        name: name.into(),
        delay,
        hops: hops.iter().map(|&hop| hop.into()).collect(),
    };
    let links = vec![
        line("access", delays.access.delay(Place::Access), &[[100, 64, 10, 1], [100, 64, 1, 1]]),
        line("isp", Duration::ZERO, &[]),
        line("abroad", delays.abroad.delay(Place::Abroad), &[[154, 54, 30, 2], [154, 54, 30, 1]]),
    ];
    let mut links = links;
    links.push(line("home", delays.home.delay(Place::Home), &[]));
    let mut places = HashMap::from([(CLIENT, ACCESS), (ISP_RESOLVER, ISP), (PORTAL, ISP)]);
    places.extend(at_home.into_iter().map(|address| (address, HOME)));
    Topology { links, places, default: ABROAD }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::FOLDER;
    use std::path::Path;

    fn clean() -> Internet {
        let scenario = Scenario::find("clean", Path::new(FOLDER)).unwrap();
        Internet::of(&scenario, &Controls::load().unwrap()).unwrap()
    }

    #[test]
    fn every_name_and_literal_address_of_the_controls_is_hosted() {
        let (internet, controls) = (clean(), Controls::load().unwrap());
        let abroad = internet.addresses_abroad();
        for control in &controls.control {
            match control.address() {
                Some(address) => assert!(address.is_ipv6() || abroad.contains(&address), "{address}"),
                None => assert!(internet.names.contains_key(control.host_name().unwrap())),
            }
        }
        for check in &controls.captive {
            assert!(internet.names.contains_key(check.url.host_str().unwrap()));
        }
    }

    #[test]
    fn a_resolver_has_the_names_of_its_doh_and_of_its_control_on_its_certificate() {
        let internet = clean();
        let cloudflare = internet.resolvers.iter().find(|r| r.name.contains("cloudflare")).unwrap();
        assert_eq!(cloudflare.names, ["cloudflare-dns.com", "one.one.one.one", "1.1.1.1"]);
    }

    #[test]
    fn all_addresses_abroad_are_routed_abroad() {
        let topology = topology(&Links::default(), BTreeSet::new());
        for address in clean().addresses_abroad() {
            assert_eq!(topology.route(address), Some(ABROAD), "{address}");
        }
    }
}
