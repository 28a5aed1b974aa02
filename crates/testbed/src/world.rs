//! A world: the namespaces, the router between them and the daemons in them, as one scenario wants them.
//!
//! It has to be made inside the [`sandbox`], one at a time.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tun_rs::SyncDevice;

use crate::certificates::Authority;
use crate::controls::Controls;
use crate::daemon::unbound::{Lie, Resolver};
use crate::daemon::{Daemon, nginx};
use crate::internet::{CLIENT, GATEWAY, ISP_RESOLVER, Internet, PORTAL, topology};
use crate::netns::Namespace;
use crate::router::{Orders, Router};
use crate::sandbox;
use crate::scenario::censor::Rcode;
use crate::scenario::{Broken, Place, Scenario};
use crate::support;

/// Where a world keeps its files; only the sandbox sees it.
const FOLDER: &str = "/run/testbed/world";

/// A running world. Daemons and router stop when it is dropped.
#[derive(Debug)]
pub struct World {
    client: Namespace,
    abroad: Namespace,
    authority_file: PathBuf,
    folder: PathBuf,
    // In the order in which they are to end.
    _daemons: Vec<Daemon>,
    router: Router,
}

impl World {
    /// Makes the world of `scenario` and waits until everything in it answers.
    pub fn start(scenario: &Scenario, seed: u64) -> Result<Self> {
        support::check(scenario)?;
        sandbox::prepare(&format!("nameserver {ISP_RESOLVER}\n"))?;
        let folder = PathBuf::from(FOLDER);
        std::fs::create_dir_all(&folder)?;
        let internet = Internet::of(scenario, &Controls::load()?)?;
        let authority = Authority::new()?;
        let authority_file = folder.join("authority.pem");
        std::fs::write(&authority_file, authority.pem())?;

        let hosts = Hosts::create(&internet)?;
        let router = hosts.connect(scenario, &internet, seed)?;
        let mut daemons = hosts.start_daemons(scenario, &internet, &authority, &folder)?;
        for daemon in &mut daemons {
            daemon.wait_until_ready()?;
        }
        Ok(Self { client: hosts.client, abroad: hosts.abroad, authority_file, folder, _daemons: daemons, router })
    }

    /// Begins a phase.
    pub fn enter(&self, phase: &str) {
        self.router.enter(phase);
    }

    /// A command that will run where the client is, with a clean environment.
    pub fn client_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.clean_command(&self.client, program)
    }

    /// The same beside the servers abroad.
    pub fn abroad_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.clean_command(&self.abroad, program)
    }

    fn clean_command(&self, namespace: &Namespace, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = namespace.command(program);
        let kept = ["PATH", "TERM", "LANG", "RUST_BACKTRACE", "RUST_LOG"];
        let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept).env("HOME", &self.folder).env("CURL_CA_BUNDLE", &self.authority_file);
        command
    }

    /// Where the client is.
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// Where the servers abroad are.
    pub fn abroad(&self) -> &Namespace {
        &self.abroad
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
    client: Namespace,
    isp: Namespace,
    abroad: Namespace,
    home: Option<Namespace>,
}

impl Hosts {
    fn create(internet: &Internet) -> Result<Self> {
        let has_home = !internet.addresses_at_home().is_empty();
        Ok(Self {
            client: Namespace::create("client")?,
            isp: Namespace::create("isp")?,
            abroad: Namespace::create("abroad")?,
            home: if has_home { Some(Namespace::create("home")?) } else { None },
        })
    }

    fn connect(&self, scenario: &Scenario, internet: &Internet, seed: u64) -> Result<Router> {
        let client = if scenario.has(&Broken::LinkDown) { None } else { Some(self.client.join()?) };
        let orders = Orders { faults: scenario.fault.clone(), censors: scenario.censor.clone(), seed };
        let devices = vec![client, Some(self.isp.join()?), Some(self.abroad.join()?), self.join_home(internet)?];
        if !scenario.has(&Broken::LinkDown) {
            self.client.address_with_gateway(CLIENT, GATEWAY)?;
        }
        self.isp.address([ISP_RESOLVER, PORTAL])?;
        if scenario.has(&Broken::CaptivePortal) {
            self.isp.accept_any_address(CLIENT)?;
        }
        self.abroad.address(internet.addresses_abroad())?;
        Router::start(topology(&scenario.link, internet.addresses_at_home()), devices, &orders)
    }

    fn join_home(&self, internet: &Internet) -> Result<Option<SyncDevice>> {
        let Some(home) = &self.home else { return Ok(None) };
        let device = home.join()?;
        home.address(internet.addresses_at_home())?;
        Ok(Some(device))
    }

    fn start_daemons(
        &self,
        scenario: &Scenario,
        internet: &Internet,
        authority: &Authority,
        folder: &Path,
    ) -> Result<Vec<Daemon>> {
        let lies = lies(scenario);
        let isp = Resolver {
            addresses: &[ISP_RESOLVER],
            names: &internet.names,
            aliases: &internet.aliases,
            lies: &lies,
            identity: None,
        };
        let at = |place| internet.webs.iter().filter(move |web| web.place() == place).collect::<Vec<_>>();
        let web = nginx::Web { sites: at(Place::Abroad), workers: 1 };
        let mut daemons = vec![
            isp.start(&self.isp, &folder.join("isp-resolver"))?,
            web.start(&self.abroad, &folder.join("web"), authority)?,
        ];
        if let Some(home) = &self.home {
            let web = nginx::Web { sites: at(Place::Home), workers: 1 };
            daemons.push(web.start(home, &folder.join("home-web"), authority)?);
        }
        for public in &internet.resolvers {
            let identity = authority.issue(&public.names, folder)?;
            let (addresses, names) = (&public.addresses[..], &internet.names);
            let aliases = &internet.aliases;
            let resolver = Resolver { addresses, names, aliases, lies: &[], identity: Some(&identity) };
            daemons.push(resolver.start(&self.abroad, &folder.join(&public.name))?);
        }
        if scenario.has(&Broken::CaptivePortal) {
            daemons.push(nginx::start_portal(&self.isp, &folder.join("portal"))?);
        }
        Ok(daemons)
    }
}

/// What the ISP's resolver is told to lie about.
fn lies(scenario: &Scenario) -> Vec<Lie> {
    let of = |lie: &crate::scenario::Lie| -> Vec<Lie> {
        let say = |name: &String| match lie.rcode {
            _ if !lie.answers.is_empty() => Lie::Addresses(name.clone(), lie.answers.clone()),
            Some(Rcode::Nxdomain) => Lie::Type(name.clone(), "always_nxdomain"),
            Some(Rcode::Refused) => Lie::Type(name.clone(), "always_refuse"),
            Some(Rcode::Noerror) => Lie::Type(name.clone(), "always_nodata"),
            Some(Rcode::Servfail) => Lie::Servfail(name.clone()),
            None => Lie::Type(name.clone(), "always_deny"),
        };
        lie.names.iter().map(say).collect()
    };
    scenario.lie.iter().flat_map(of).collect()
}
