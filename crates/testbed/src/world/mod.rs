//! A world: the namespaces, the router between them and the daemons in them, as one scenario wants them.
//!
//! It has to be made inside the [`sandbox`], one at a time.

mod client;
mod servers;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::certificates::Authority;
use crate::controls::Controls;
use crate::daemon::{Daemon, Endpoint};
use crate::internet::{HELPER, HELPER_V6, Internet, Places, ROOT_SERVER, topology_of};
use crate::netns::{Namespace, with_resolvers};
use crate::router::{Orders, Router};
use crate::scenario::{Broken, Fault, Place, ResolverMode, Scenario};
use crate::{sandbox, support};
use client::{Client, numbered, resolver_configuration};
use servers::Servers;

/// Where a world keeps its files; only the sandbox sees it.
const FOLDER: &str = "/run/testbed/world";

/// The port of the helper abroad.
const HELPER_PORT: u16 = 8080;

/// A running world. Daemons and router stop when it is dropped.
#[derive(Debug)]
pub struct World {
    clients: Vec<Client>,
    abroad: Namespace,
    faults: Vec<Fault>,
    authority_file: PathBuf,
    folder: PathBuf,
    // In the order in which they are to end.
    helper: Option<Daemon>,
    _servers: Servers,
    router: Router,
}

/// How a world is made, besides what its scenario says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Making<'a> {
    /// The seed of all chance in it.
    pub seed: u64,
    /// The folder for captures of every link, if they are wanted.
    pub captures: Option<&'a Path>,
    /// The probe that is to serve as the helper abroad, where the scenario wants one.
    pub probe: Option<&'a Path>,
}

impl World {
    /// Makes the world of `scenario` and waits until everything in it answers. Its first phase has begun.
    pub fn start(scenario: &Scenario, making: Making<'_>) -> Result<Self> {
        support::check(scenario)?;
        let internet = Internet::of(scenario, &Controls::load()?)?;
        sandbox::prepare(&resolver_configuration(&crate::internet::Around::vantage(0)?))?;
        let folder = PathBuf::from(FOLDER);
        std::fs::create_dir_all(&folder)?;
        let authority = Authority::new()?;
        let authority_file = folder.join("authority.pem");
        std::fs::write(&authority_file, authority.pem())?;

        let hosts = Hosts::create(scenario, &internet, &folder)?;
        let router = hosts.connect(scenario, &internet, making)?;
        let mut servers = hosts.servers(scenario, &internet, &authority, &folder)?;
        servers.wait_until_ready()?;
        let helper = match making.probe.filter(|_| scenario.helper) {
            Some(probe) => Some(hosts.helper(probe, &authority_file, &folder)?),
            None => None,
        };
        let Hosts { clients, abroad, .. } = hosts;
        let faults = scenario.fault.clone();
        let world = Self { clients, abroad, faults, authority_file, folder, helper, _servers: servers, router };
        world.enter(scenario.phase.first().map_or("", |phase| &phase.name))?;
        Ok(world)
    }

    /// Begins a phase.
    pub fn enter(&self, phase: &str) -> Result<()> {
        self.clients.iter().try_for_each(|client| client.enter(&self.faults, phase))?;
        self.router.enter(phase);
        Ok(())
    }

    /// A command that will run at the first vantage, with a clean environment.
    pub fn client_command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        self.command_of(&self.clients[0], program.as_ref())
    }

    /// The same at the vantage with this name.
    pub fn client_command_at(&self, vantage: &str, program: impl AsRef<OsStr>) -> Result<Command> {
        let client = self.clients.iter().find(|client| client.name == vantage);
        self.command_of(client.with_context(|| format!("no vantage is called {vantage:?}"))?, program.as_ref())
    }

    /// The same beside the servers abroad.
    pub fn abroad_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.abroad.command(program);
        self.clean(&mut command);
        command
    }

    fn command_of(&self, client: &Client, program: &OsStr) -> Result<Command> {
        client.command(program, |command| self.clean(command))
    }

    fn clean(&self, command: &mut Command) {
        let kept = ["PATH", "TERM", "LANG", "RUST_BACKTRACE", "RUST_LOG"];
        let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept).env("HOME", &self.folder).env("CURL_CA_BUNDLE", &self.authority_file);
    }

    /// Where the first client is.
    pub fn client(&self) -> &Namespace {
        &self.clients[0].namespace
    }

    /// Where the servers abroad are.
    pub fn abroad(&self) -> &Namespace {
        &self.abroad
    }

    /// Where the helper abroad is reached, if one runs there.
    pub fn helper_url(&self) -> Option<String> {
        self.helper.as_ref().map(|_| format!("http://{HELPER}:{HELPER_PORT}/"))
    }

    /// The certificate of the world's authority, in PEM.
    pub fn authority_file(&self) -> &Path {
        &self.authority_file
    }

    /// A folder for files that vanish with the world.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The router.
    pub fn router(&self) -> &Router {
        &self.router
    }
}

struct Hosts {
    clients: Vec<Client>,
    isps: Vec<Namespace>,
    abroad: Namespace,
    home: Option<Namespace>,
    helper: Option<Namespace>,
}

impl Hosts {
    fn create(scenario: &Scenario, internet: &Internet, folder: &Path) -> Result<Self> {
        let ipv6 = scenario.ipv6;
        let vantages = || scenario.vantage.iter().enumerate();
        let has_home = !internet.addresses_at(Place::Home).is_empty();
        Ok(Self {
            clients: vantages().map(|(n, v)| Client::create(&v.name, n, ipv6, folder)).collect::<Result<_>>()?,
            isps: vantages().map(|(n, _)| Namespace::create(&numbered("isp", n), ipv6)).collect::<Result<_>>()?,
            abroad: Namespace::create("abroad", ipv6)?,
            home: if has_home { Some(Namespace::create("home", ipv6)?) } else { None },
            helper: if scenario.helper { Some(Namespace::create("helper", ipv6)?) } else { None },
        })
    }

    /// Gives every host its addresses, and joins them all by the router. What the router is told of the world is told
    /// here and nowhere else.
    fn connect(&self, scenario: &Scenario, internet: &Internet, making: Making<'_>) -> Result<Router> {
        let (home, isp) = (internet.addresses_at(Place::Home), internet.addresses_at(Place::Isp));
        let places =
            Places { home: home.clone(), isp: isp.clone(), vantages: self.clients.iter().map(|c| c.around).collect() };
        let topology = topology_of(&scenario.link, &places);
        let mut devices: Vec<_> = topology.links.iter().map(|_| None).collect();
        for (client, namespace) in self.clients.iter().zip(&self.isps) {
            devices[client.around.access().0] = Some(client.join()?);
            devices[client.around.isp().0] = Some(namespace.join()?);
            let own = isp.iter().copied().filter(|_| client.around.number == 0);
            namespace.address([client.around.resolver, client.around.portal].into_iter().chain(own))?;
            if scenario.has(&Broken::CaptivePortal) {
                namespace.accept_any_address(client.around.client)?;
            }
        }
        devices[crate::internet::ABROAD.0] = Some(self.abroad.join()?);
        self.abroad.address(addresses_abroad(scenario, internet))?;
        if let Some(namespace) = &self.home {
            devices[crate::internet::HOME.0] = Some(namespace.join()?);
            namespace.address(home)?;
        }
        if let Some(namespace) = &self.helper {
            devices[topology.helper().0] = Some(namespace.join()?);
            namespace.address([HELPER].into_iter().chain(scenario.ipv6.then_some(HELPER_V6)))?;
        }
        let orders = Orders {
            vantages: scenario.vantage.iter().map(|vantage| vantage.name.clone()).collect(),
            faults: scenario.fault.clone(),
            censors: scenario.censor.clone(),
            seed: making.seed,
            captures: making.captures.map(Path::to_owned),
        };
        Router::start(topology, devices, &orders)
    }

    fn servers(
        &self,
        scenario: &Scenario,
        internet: &Internet,
        authority: &Authority,
        folder: &Path,
    ) -> Result<Servers> {
        let Self { clients, isps, abroad, home, .. } = self;
        let home = home.as_ref();
        servers::Site { scenario, internet, authority, folder, clients, isps, abroad, home }.start()
    }
}

/// The helper's server, as anybody would run it on a machine abroad.
impl Hosts {
    fn helper(&self, probe: &Path, authority_file: &Path, folder: &Path) -> Result<Daemon> {
        let namespace = self.helper.as_ref().context("the world has no place for a helper")?;
        let folder = folder.join("helper");
        std::fs::create_dir_all(&folder)?;
        let resolvers = folder.join("resolv.conf");
        std::fs::write(&resolvers, "nameserver 8.8.8.8\nnameserver 1.1.1.1\n")?;
        let address = SocketAddr::new(HELPER, HELPER_PORT);
        let mut command = with_resolvers(namespace, &resolvers, probe.as_os_str())?;
        command.args(["helper", "serve", "--listen", &address.to_string(), "--ca-file"]).arg(authority_file);
        let mut daemon = Daemon::start(namespace, command, &folder, vec![Endpoint::Tcp(address)])?;
        daemon.wait_until_ready()?;
        Ok(daemon)
    }
}

fn addresses_abroad(scenario: &Scenario, internet: &Internet) -> Vec<std::net::IpAddr> {
    let mut addresses = internet.addresses_abroad();
    addresses.extend((!scenario.vpn.is_empty()).then_some(crate::daemon::vpn::ADDRESS));
    addresses.extend(scenario.provider.iter().map(|provider| provider.address));
    addresses.extend((scenario.resolver == ResolverMode::Recursive).then_some(ROOT_SERVER));
    addresses.into_iter().collect()
}
