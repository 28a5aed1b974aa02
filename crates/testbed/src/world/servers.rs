//! The servers of a world: which daemons a scenario needs, and where they run.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;

use super::client::Client;
use crate::certificates::Authority;
use crate::daemon::nginx;
use crate::daemon::odd::{Listener, Oddity};
use crate::daemon::unbound::{Knowledge, Lie, Resolver};
use crate::daemon::vpn::Whose;
use crate::daemon::{Daemon, caddy, quic, vpn};
use crate::internet::{Content, Internet, Names, ROOT_SERVER, WebSite};
use crate::netns::Namespace;
use crate::scenario::{Broken, Place, ResolverMode, Scenario, Vpn};

/// The servers, running. They stop when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Servers {
    daemons: Vec<Daemon>,
    _listeners: Vec<Listener>,
}

/// What servers are made from.
pub(super) struct Site<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) internet: &'a Internet,
    pub(super) authority: &'a Authority,
    pub(super) folder: &'a Path,
    pub(super) clients: &'a [Client],
    /// Each client's ISP.
    pub(super) isps: &'a [Namespace],
    pub(super) abroad: &'a Namespace,
    pub(super) home: Option<&'a Namespace>,
}

impl Site<'_> {
    /// Starts everything, without waiting.
    pub(super) fn start(&self) -> Result<Servers> {
        let mut daemons = Vec::new();
        for (client, isp) in self.clients.iter().zip(self.isps) {
            daemons.push(self.isp_resolver(client, isp)?);
        }
        let mut resolvers = self.public_resolvers()?;
        if self.asks_for_quic() {
            // unbound takes UDP port 443 as well, for nothing; of two that share a port the later has the datagrams.
            resolvers.iter_mut().try_for_each(Daemon::wait_until_ready)?;
            daemons.extend(self.public_quic()?);
        }
        daemons.extend(resolvers);
        if self.scenario.resolver == ResolverMode::Recursive {
            daemons.push(
                self.resolver(&[ROOT_SERVER], Knowledge::Authority).start(self.abroad, &self.folder.join("root"))?,
            );
        }
        daemons.extend(self.webs()?);
        daemons.extend(self.vpns()?);
        Ok(Servers { daemons, _listeners: self.odd()? })
    }

    fn resolver<'a>(&'a self, addresses: &'a [IpAddr], knowledge: Knowledge) -> Resolver<'a> {
        let (names, aliases) = (&self.internet.names, &self.internet.aliases);
        Resolver { addresses, knowledge, names, aliases, lies: Vec::new(), views: Vec::new(), identity: None }
    }

    fn isp_resolver(&self, client: &Client, isp: &Namespace) -> Result<Daemon> {
        let names = self.internet.names_at(&client.name);
        let own = &self.internet.answers_at.get(&client.name).cloned().unwrap_or_default();
        let addresses = [client.around.resolver];
        let resolver = match self.scenario.resolver {
            ResolverMode::Warm => Resolver { names: &names, ..self.resolver(&addresses, Knowledge::Warm) },
            // What only this ISP's resolver is told, the one authority of all cannot say.
            ResolverMode::Recursive => Resolver {
                views: vec![(client.around.client, own)],
                ..self.resolver(&addresses, Knowledge::Recursive(ROOT_SERVER))
            },
        };
        let resolver = Resolver { lies: lies(self.scenario, &client.name), ..resolver };
        resolver.start(isp, &self.folder.join(format!("resolver-{}", isp.name())))
    }

    fn public_resolvers(&self) -> Result<Vec<Daemon>> {
        let empty = Names::new();
        let names = |client: &Client| self.internet.answers_at.get(&client.name).unwrap_or(&empty);
        let view = |client: &Client| [client.around.client, client.around.client_v6].map(|from| (from, names(client)));
        let start = |public: &crate::internet::PublicResolver| {
            let identity = self.authority.issue(&public.names, self.folder)?;
            let resolver = Resolver {
                identity: Some(&identity),
                views: self.clients.iter().flat_map(view).collect(),
                ..self.resolver(&public.addresses, Knowledge::Warm)
            };
            resolver.start(self.abroad, &self.folder.join(&public.name))
        };
        self.internet.resolvers.iter().map(start).collect()
    }

    /// Whether the probe measures QUIC here.
    fn asks_for_quic(&self) -> bool {
        self.scenario.truth.measure.iter().any(|expected| expected.input.starts_with("quic:"))
    }

    /// QUIC at the public resolvers.
    fn public_quic(&self) -> Result<Vec<Daemon>> {
        let start = |public: &crate::internet::PublicResolver| {
            // A folder of its own: the resolver beside it has a key of its own for the same names.
            let folder = self.folder.join(format!("{}-quic", public.name));
            std::fs::create_dir_all(&folder)?;
            let identity = self.authority.issue(&public.names, &folder)?;
            let at = |(number, address): (usize, &IpAddr)| {
                quic::start(self.abroad, *address, &folder.join(number.to_string()), &identity)
            };
            public.addresses.iter().enumerate().map(at).collect::<Result<Vec<Daemon>>>()
        };
        let started: Vec<Vec<Daemon>> =
            self.internet.resolvers.iter().filter(|public| public.quic).map(start).collect::<Result<_>>()?;
        Ok(started.into_iter().flatten().collect())
    }

    /// nginx at each place that has web sites.
    fn webs(&self) -> Result<Vec<Daemon>> {
        let web = |place, portal| nginx::Web { internet: self.internet, place, portal, workers: 1 };
        let has_portal = |client: &Client| {
            let is_here = |names: &[String]| names.is_empty() || names.contains(&client.name);
            let mut faults = self.scenario.fault.iter();
            faults.any(|fault| fault.broken == Broken::CaptivePortal && is_here(&fault.when.vantages))
        };
        let mut daemons = Vec::new();
        for (place, namespace) in [(Place::Abroad, Some(self.abroad)), (Place::Home, self.home)] {
            let Some(namespace) = namespace else { continue };
            let folder = self.folder.join(format!("caddy-{}", namespace.name()));
            daemons.extend(caddy::start(namespace, self.internet, place, &folder, self.authority)?);
        }
        let mut start = |web: nginx::Web<'_>, namespace: &Namespace| -> Result<()> {
            let folder = self.folder.join(format!("web-{}", namespace.name()));
            daemons.extend(web.start(namespace, &folder, self.authority)?);
            Ok(())
        };
        start(web(Place::Abroad, None), self.abroad)?;
        if let Some(home) = self.home {
            start(web(Place::Home, None), home)?;
        }
        for (number, (client, isp)) in self.clients.iter().zip(self.isps).enumerate() {
            let portal = has_portal(client).then_some(client.around.portal);
            // The ISP's own sites are at the first vantage's; the other ISPs have their portal only.
            let place = if number == 0 { Place::Isp } else { Place::Access };
            start(web(place, portal), isp)?;
        }
        Ok(daemons)
    }

    fn vpns(&self) -> Result<Vec<Daemon>> {
        if self.scenario.vpn.is_empty() && self.scenario.provider.is_empty() {
            return Ok(Vec::new());
        }
        let folder = self.folder.join("vpn");
        std::fs::create_dir_all(&folder)?;
        let identity = self.authority.issue(&[vpn::NAME.to_owned()], &folder)?;
        let start = |(whose, kind): (Whose, Vpn)| {
            let whom = if whose.number > 0 { format!("{}-", whose.number) } else { String::new() };
            let own = folder.join(format!("{whom}{kind:?}").to_lowercase());
            vpn::start(kind, whose, self.abroad, &own, &self.folder.join("authority.pem"), &identity)
        };
        let nobody_s = self.scenario.vpn.iter().map(|&kind| (Whose::NOBODY, kind));
        let providers = (1..).zip(&self.scenario.provider);
        let theirs = providers.flat_map(|(number, provider)| {
            provider.vpn.iter().map(move |&kind| (Whose { address: provider.address, number }, kind))
        });
        let mut has_ike = false;
        let is_needed = |(_, kind): &(Whose, Vpn)| *kind != Vpn::Ikev2 || !std::mem::replace(&mut has_ike, true);
        nobody_s.chain(theirs).filter(is_needed).map(start).collect()
    }

    /// The hosts that misbehave.
    fn odd(&self) -> Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        for web in &self.internet.webs {
            let Content::Site(site) = &web.content else { continue };
            let Some(oddity) = Oddity::of(site.serves) else { continue };
            let ports = [(443, site.https), (80, site.http != crate::scenario::PlainHttp::Nothing)];
            for (port, _) in ports.into_iter().filter(|(_, wanted)| *wanted) {
                for address in web.living() {
                    listeners.push(Listener::start(self.place(web), oddity, (address, port))?);
                }
            }
        }
        Ok(listeners)
    }

    fn place(&self, web: &WebSite) -> &Namespace {
        match web.place() {
            Place::Home => self.home.unwrap_or(self.abroad),
            Place::Isp => &self.isps[0],
            Place::Access | Place::Abroad => self.abroad,
        }
    }
}

impl Servers {
    /// Waits until everything answers.
    pub(super) fn wait_until_ready(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Daemon::wait_until_ready)
    }
}

/// What the resolver of this vantage's ISP is told to lie about.
fn lies(scenario: &Scenario, vantage: &str) -> Vec<Lie> {
    let is_here = |lie: &&crate::scenario::Lie| {
        lie.when.vantages.is_empty() || lie.when.vantages.iter().any(|name| name == vantage)
    };
    let of = |lie: &crate::scenario::Lie| {
        let (answers, rcode) = (lie.answers.clone(), lie.rcode);
        let say = move |name: &String| Lie { name: name.clone(), answers: answers.clone(), rcode };
        lie.names.iter().map(say).collect::<Vec<_>>()
    };
    scenario.lie.iter().filter(is_here).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_lies_only_at_the_vantages_that_are_named() {
        let lie = "names = ['x.com', 'signal.org']\nrcode = 'refused'\nwhen.vantages = ['b']";
        let scenario = Scenario { lie: vec![toml::from_str(lie).unwrap()], ..Scenario::plain("own") };
        assert_eq!(lies(&scenario, "a"), []);
        let told: Vec<String> = lies(&scenario, "b").into_iter().map(|lie| lie.name).collect();
        assert_eq!(told, ["x.com", "signal.org"]);
    }
}
