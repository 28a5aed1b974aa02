//! What a world contains: every name with its addresses, every web server and every public resolver.
//!
//! Made of the probe's control list, which is always there, and of the sites of a scenario. Pure data; the daemons that
//! serve it are started elsewhere.

mod addresses;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use url::Host;

pub use addresses::{
    ABROAD, ACCESS, Around, CLIENT, GATEWAY, HELPER, HELPER_V6, HOME, ISP, ISP_RESOLVER, PORTAL, Places, ROOT_SERVER,
    topology, topology_of,
};

use crate::controls::{CaptiveCheck, Controls};
use crate::router::packet::is_bogon;
use crate::scenario::{Place, Scenario, Serves, Site};

/// The name of the portal's login page.
pub const PORTAL_NAME: &str = "login.hotspot.example";

/// A web server for one name.
#[derive(Debug, Clone)]
pub struct WebSite {
    /// The host name.
    pub name: String,
    /// Where it is.
    pub addresses: Vec<IpAddr>,
    /// What it serves.
    pub content: Content,
    /// Whether HTTP/3 is spoken at its addresses, for this name or another.
    pub http3: bool,
}

impl WebSite {
    /// Where it is.
    pub fn place(&self) -> Place {
        match &self.content {
            Content::Site(site) => site.at,
            Content::Checks(_) => Place::Abroad,
        }
    }

    /// Its addresses at which a host is up. A name may well have the address of no host (a loopback address, say).
    pub fn living(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(|address| self.is_up(**address)).copied()
    }

    fn is_up(&self, address: IpAddr) -> bool {
        match &self.content {
            Content::Site(site) => {
                let is_own = site.at == Place::Isp || !is_bogon(address);
                is_own && !address.is_loopback() && site.serves != Serves::Silence && !site.dead.contains(&address)
            }
            Content::Checks(_) => true,
        }
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
    /// Whether its addresses answer QUIC, where anybody asks.
    pub quic: bool,
}

/// Names and their addresses.
pub type Names = BTreeMap<String, Vec<IpAddr>>;

/// A whole internet, on paper.
#[derive(Debug, Clone, Default)]
pub struct Internet {
    /// Every name and its addresses.
    pub names: Names,
    /// What resolvers say at a vantage of names that have other addresses there.
    pub answers_at: BTreeMap<String, Names>,
    /// Names that are aliases of others.
    pub aliases: BTreeMap<String, String>,
    /// The web servers.
    pub webs: Vec<WebSite>,
    /// The public resolvers.
    pub resolvers: Vec<PublicResolver>,
    /// Whether there is IPv6.
    pub ipv6: bool,
    removed: BTreeSet<String>,
    made_up: u16,
}

impl Internet {
    /// The controls, and the sites of `scenario`.
    pub fn of(scenario: &Scenario, controls: &Controls) -> Result<Self> {
        let mut internet = Self { ipv6: scenario.ipv6, ..Self::default() };
        for (number, vantage) in scenario.vantage.iter().enumerate() {
            let portal = vec![Around::vantage(number)?.portal];
            internet.names.entry(PORTAL_NAME.into()).or_insert_with(|| portal.clone());
            internet.answers_at.entry(vantage.name.clone()).or_default().insert(PORTAL_NAME.into(), portal);
        }
        internet.add_resolvers(controls);
        internet.add_checks(controls)?;
        for site in &scenario.site {
            internet.add_site(site).with_context(|| format!("make the site {:?}", site.name))?;
        }
        for site in scenario.site.iter().filter(|site| site.alias.is_some()) {
            internet.serve_alias(site)?;
        }
        for name in controls.control.iter().filter_map(|control| control.host_name()) {
            if !internet.knows(name) {
                internet.add_site(&Site::named(name))?;
            }
        }
        internet.mark_http3();
        Ok(internet)
    }

    fn mark_http3(&mut self) {
        let has = |web: &&WebSite| matches!(&web.content, Content::Site(site) if site.http3);
        let addresses: BTreeSet<IpAddr> = self.webs.iter().filter(has).flat_map(|web| web.addresses.clone()).collect();
        for web in &mut self.webs {
            web.http3 = web.addresses.iter().any(|address| addresses.contains(address));
        }
    }

    /// Every address abroad at which a host is up.
    pub fn addresses_abroad(&self) -> BTreeSet<IpAddr> {
        let resolvers = self.resolvers.iter().flat_map(|resolver| &resolver.addresses).copied();
        self.addresses_at(Place::Abroad).into_iter().chain(resolvers).collect()
    }

    /// Every address of a web server at this place at which a host is up.
    pub fn addresses_at(&self, place: Place) -> BTreeSet<IpAddr> {
        let webs = self.webs.iter().filter(|web| web.place() == place);
        webs.flat_map(WebSite::living).collect()
    }

    /// What resolvers say to those at this vantage.
    pub fn names_at(&self, vantage: &str) -> Names {
        let mut names = self.names.clone();
        names.extend(self.answers_at.get(vantage).cloned().unwrap_or_default());
        names
    }

    /// A true address (IPv4) of every name, aliases included.
    pub fn origins(&self) -> BTreeMap<&str, IpAddr> {
        let of =
            |name: &str| self.names.get(name)?.iter().copied().find(|address| !is_bogon(*address) && address.is_ipv4());
        let names = self.names.keys().map(|name| (name.as_str(), name.as_str()));
        let aliases = self.aliases.iter().map(|(alias, name)| (alias.as_str(), name.as_str()));
        names.chain(aliases).filter_map(|(name, at)| Some((name, of(at)?))).collect()
    }

    fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name) || self.aliases.contains_key(name) || self.removed.contains(name)
    }

    fn add_site(&mut self, site: &Site) -> Result<()> {
        let name = in_ascii(&site.name)?;
        if site.removed {
            self.removed.insert(name);
            return Ok(());
        }
        if let Some(alias) = &site.alias {
            self.aliases.insert(name, in_ascii(alias)?);
            return Ok(());
        }
        for (vantage, addresses) in &site.answers_at {
            self.answers_at.entry(vantage.clone()).or_default().insert(name.clone(), addresses.clone());
        }
        let addresses = if site.addresses.is_empty() { self.make_up_addresses() } else { site.addresses.clone() };
        self.add_web(name, addresses, Content::Site(Box::new(site.clone())));
        Ok(())
    }

    /// The host of the name that an alias leads to serves the alias, too.
    fn serve_alias(&mut self, alias: &Site) -> Result<()> {
        let name = in_ascii(&alias.name)?;
        let Some(of) = self.webs.iter().find(|web| self.aliases.get(&name) == Some(&web.name)) else { return Ok(()) };
        let Content::Site(host) = &of.content else { return Ok(()) };
        let site = Site { at: host.at, dead: host.dead.clone(), ..alias.clone() };
        let addresses = of.addresses.clone();
        self.webs.push(WebSite { name, addresses, content: Content::Site(Box::new(site)), http3: false });
        Ok(())
    }

    fn add_web(&mut self, name: String, addresses: Vec<IpAddr>, content: Content) {
        // A site may be called by its address; then there is no name to look up.
        if name.parse::<IpAddr>().is_err() {
            self.names.insert(name.clone(), addresses.clone());
        }
        let addresses = addresses.into_iter().filter(|address| self.ipv6 || address.is_ipv4()).collect();
        self.webs.push(WebSite { name, addresses, content, http3: false });
    }

    fn add_resolvers(&mut self, controls: &Controls) {
        for resolver in &controls.resolver {
            let is_here = |address: &IpAddr| self.ipv6 || address.is_ipv4();
            let addresses: Vec<IpAddr> = resolver.udp.iter().copied().filter(is_here).collect();
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
            self.resolvers.push(PublicResolver { name, addresses, names, quic: resolver.quic });
        }
    }

    fn add_checks(&mut self, controls: &Controls) -> Result<()> {
        let mut hosts: BTreeMap<&str, Vec<CaptiveCheck>> = BTreeMap::new();
        for check in &controls.captive {
            let host = check.url.host_str().context("a captive check without a host")?;
            hosts.entry(host).or_default().push(check.clone());
        }
        for (host, checks) in hosts {
            let addresses = self.make_up_addresses();
            self.add_web(host.into(), addresses, Content::Checks(checks));
        }
        Ok(())
    }

    /// Public addresses that no other site of this world has. The blocks are those of a content network: no bogons.
    fn make_up_addresses(&mut self) -> Vec<IpAddr> {
        self.made_up += 1;
        let [high, low] = self.made_up.to_be_bytes();
        let v6 = self.ipv6.then(|| IpAddr::from([0x2a04, 0x4e42, 0x600, 0, 0, 0, 0, self.made_up]));
        [IpAddr::from([151, 101, high, low])].into_iter().chain(v6).collect()
    }
}

/// A host name as DNS and TLS have it (IDNA).
pub fn in_ascii(name: &str) -> Result<String> {
    Ok(match Host::parse(name).with_context(|| format!("{name:?} is no host name"))? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
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

    fn with(site: &str) -> Internet {
        let site: Site = toml::from_str(site).unwrap();
        let scenario = Scenario { site: vec![site], ..Scenario::plain("own") };
        Internet::of(&scenario, &Controls::load().unwrap()).unwrap()
    }

    #[test]
    fn a_removed_name_is_nowhere_even_if_the_controls_have_it() {
        let internet = with("name = 'example.com'\nremoved = true");
        assert!(!internet.names.contains_key("example.com"));
        assert!(internet.webs.iter().all(|web| web.name != "example.com"));
    }

    #[test]
    fn dead_and_private_addresses_have_names_and_no_host() {
        let internet = with(
            "name = 'a.example'\naddresses = ['185.1.1.1', '185.1.1.2', '127.0.0.1', '10.1.1.1']\n\
                             dead = ['185.1.1.2']",
        );
        assert_eq!(internet.names["a.example"].len(), 4);
        let here: Vec<IpAddr> = internet.webs.iter().find(|web| web.name == "a.example").unwrap().living().collect();
        assert_eq!(here, [IpAddr::from([185, 1, 1, 1])]);
    }

    #[test]
    fn a_content_network_answers_each_vantage_in_its_own_way() {
        let internet = with(
            "name = 'cdn.example'\naddresses = ['185.1.1.1', '185.1.1.2']\n\
                             answers_at = { home = ['185.1.1.2'] }",
        );
        assert_eq!(internet.names_at("home")["cdn.example"], [IpAddr::from([185, 1, 1, 2])]);
        assert_eq!(internet.names_at("elsewhere")["cdn.example"].len(), 2);
    }

    #[test]
    fn names_of_other_scripts_are_written_in_ascii() {
        assert!(with("name = 'яндекс.рф'").names.contains_key("xn--d1acpjx3f.xn--p1ai"));
    }

    #[test]
    fn made_up_sites_have_ipv6_addresses_where_there_is_ipv6() {
        let scenario = Scenario { ipv6: true, site: vec![Site::named("a.example")], ..Scenario::plain("own") };
        let internet = Internet::of(&scenario, &Controls::load().unwrap()).unwrap();
        assert!(internet.names["a.example"].iter().any(IpAddr::is_ipv6));
        assert!(internet.addresses_abroad().iter().any(IpAddr::is_ipv6));
        assert!(clean().addresses_abroad().iter().all(IpAddr::is_ipv4));
    }

    #[test]
    fn all_addresses_abroad_are_routed_abroad() {
        let topology = topology(&crate::scenario::Links::default(), BTreeSet::new());
        for address in clean().addresses_abroad() {
            assert_eq!(topology.route(address), Some(ABROAD), "{address}");
        }
    }
}
