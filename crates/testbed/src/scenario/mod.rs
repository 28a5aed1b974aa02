//! Scenarios: what the world holds, what goes wrong in it, what is measured, and what is true.
//!
//! One scenario is one TOML file, `scenarios/<family>/<name>.toml`; a file that says something unknown is refused. The
//! families, and whether weights may be fitted on them, are in `scenarios/families.toml`.

pub mod censor;
pub mod fault;
pub mod site;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

pub use censor::{Action, Censor, IpFamily, Match, Place};
pub use fault::{Broken, Fault};
pub use site::{Certificate, Lie, PlainHttp, Serves, Site};

use crate::truth::{Health, Truth};

/// Where the scenarios of this crate are.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");

/// The vantage of a scenario that names none.
pub const ONLY_VANTAGE: &str = "home";

/// The phase of a scenario that names none.
pub const ONLY_PHASE: &str = "now";

/// One scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, which is its file's name too.
    pub name: String,
    /// What the censor or the fault does, in a sentence.
    pub description: String,
    /// Scenarios of one family share the cause; the folder's name.
    pub family: String,
    /// Where probes are, each behind an ISP of its own.
    #[serde(default = "only_vantage")]
    pub vantage: Vec<Vantage>,
    /// One after the other, every vantage measures once in each.
    #[serde(default = "only_phase")]
    pub phase: Vec<Phase>,
    /// The lines.
    #[serde(default)]
    pub link: Links,
    /// How the ISP's resolver knows names.
    #[serde(default)]
    pub resolver: ResolverMode,
    /// Whether clients have IPv6, and sites that list IPv6 addresses are reached by it.
    #[serde(default)]
    pub ipv6: bool,
    /// VPN servers abroad that run in this world.
    #[serde(default)]
    pub vpn: Vec<Vpn>,
    /// Providers of tunnels abroad, each with servers of its own.
    #[serde(default)]
    pub provider: Vec<Provider>,
    /// The sites beside the controls.
    #[serde(default)]
    pub site: Vec<Site>,
    /// What the ISP's resolver lies about.
    #[serde(default)]
    pub lie: Vec<Lie>,
    /// What the censor does.
    #[serde(default)]
    pub censor: Vec<Censor>,
    /// What is broken.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// Further arguments of the probe.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The text of the file that the probe is given with `--vpn-keys`; `{client-key}` and `{client}` stand for a vantage's own
    /// `WireGuard` key and for the last octet of its address within the tunnel, `{world}` for the folder of the world's certificates.
    #[serde(default)]
    pub vpn_keys: Option<String>,
    /// Whether a helper runs abroad and the probe is told of it.
    #[serde(default = "yes")]
    pub helper: bool,
    /// By phase, what `analyzer verdicts --by service` finds on each network (`testbed replay`): patterns, each with its protocol
    /// or its provider behind it. Where it is given, each phase has databases of its own.
    #[serde(default)]
    pub together: BTreeMap<String, Vec<String>>,
    /// Why the probe is wrong here today, if it is known to be. When it no longer is, this has to go.
    #[serde(default)]
    pub known_wrong: Option<String>,
    /// What is measured, and what is true of it.
    pub truth: Truth,
}

fn yes() -> bool {
    true
}

/// Where a probe is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vantage {
    /// How the scenario calls it.
    pub name: String,
    /// The number of its network.
    #[serde(default)]
    pub asn: Option<u32>,
    /// Its country (ISO 3166-1 alpha-2).
    #[serde(default)]
    pub country: Option<String>,
}

fn only_vantage() -> Vec<Vantage> {
    vec![Vantage { name: ONLY_VANTAGE.into(), asn: None, country: None }]
}

/// A time in which every vantage measures once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// How the scenario calls it.
    pub name: String,
}

fn only_phase() -> Vec<Phase> {
    vec![Phase { name: ONLY_PHASE.into() }]
}

/// When something holds, and for whom. What is empty does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// For these vantages.
    pub vantages: Vec<String>,
    /// In these phases.
    pub phases: Vec<String>,
    /// From so long after the probe's start in the phase, milliseconds.
    pub after_ms: u64,
    /// For so long, milliseconds.
    pub for_ms: Option<u64>,
}

/// The lines of a world.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// Each client's line.
    pub access: Line,
    /// The ISP's line to its own servers.
    pub isp: Line,
    /// The line to servers in the country.
    pub home: Line,
    /// The line to the rest of the world.
    pub abroad: Line,
}

/// What a line does to packets, each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Line {
    /// Milliseconds one way; if none is given: access 2, ISP 0, home 5, abroad 23.
    pub delay_ms: Option<f64>,
    /// At most so many milliseconds more, drawn evenly; packets keep their order.
    pub jitter_ms: f64,
    /// Share of packets lost.
    pub loss: f64,
    /// Share of packets that are overtaken by those behind them.
    pub reorder: f64,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Kilobits a second; no limit if none is given.
    pub rate_kbit: Option<u64>,
    /// Routers on the line, each one a hop; if none is given: access 2, abroad 2, others 0.
    pub hops: Option<u8>,
}

impl Line {
    /// The time that a packet takes along a line at this place, one way.
    pub fn delay(&self, at: Place) -> Duration {
        let usual = match at {
            Place::Access => 2.0,
            Place::Isp => 0.0,
            Place::Home => 5.0,
            Place::Abroad => 23.0,
        };
        Duration::from_secs_f64(self.delay_ms.unwrap_or(usual) / 1_000.0)
    }

    /// The number of routers on a line at this place.
    pub fn routers(&self, at: Place) -> u8 {
        let usual = match at {
            Place::Access | Place::Abroad => 2,
            Place::Isp | Place::Home => 0,
        };
        self.hops.unwrap_or(usual)
    }

    /// Whether packets may be lost, late, doubled or out of order on it.
    pub fn is_uneven(&self) -> bool {
        *self != Self { delay_ms: self.delay_ms, hops: self.hops, ..Self::default() }
    }
}

/// How the ISP's resolver knows names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolverMode {
    /// By heart, as if from its cache.
    #[default]
    Warm,
    /// It asks the authorities abroad (root and everything below, one server).
    Recursive,
}

/// VPN servers of a world, and proxies. IKE's speaks both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Vpn {
    OpenvpnUdp,
    OpenvpnUdp443,
    OpenvpnTcp,
    OpenvpnTlsAuthSha1,
    OpenvpnTlsAuthSha256,
    OpenvpnTlsAuthSha512,
    OpenvpnTlsCrypt,
    OpenvpnTlsCryptV2,
    OpenvpnTcpTlsAuthSha512,
    OpenvpnTcpTlsCrypt,
    OpenvpnLogin,
    OpenvpnTcpLogin,
    Wireguard,
    Ikev2,
    Pptp,
    L2tp,
    Sstp,
    Anyconnect,
    Softether,
    Socks5,
    Socks5Login,
    HttpProxy,
    HttpProxyLogin,
    HttpProxyRefuses,
    Stun,
    Shadowsocks,
    Tor,
    Trojan,
    Vless,
}

/// A provider of tunnels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its id, as service files have it.
    pub name: String,
    /// Where all of its servers are.
    pub address: IpAddr,
    /// What runs there: at the usual ports, but for `WireGuard`, which has the usual one and the provider's number (from 1).
    pub vpn: Vec<Vpn>,
}

/// Whether weights may be fitted on a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// They may.
    Train,
    /// They may not: it is for judging.
    Test,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyFile {
    family: Vec<FamilyRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyRow {
    name: String,
    split: Split,
    #[expect(dead_code, reason = "for people who read the file")]
    about: String,
}

/// The families of a folder: by name, whether they are for training or for testing.
pub fn families(folder: &Path) -> Result<BTreeMap<String, Split>> {
    let path = folder.join("families.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let file: FamilyFile = toml::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
    Ok(file.family.into_iter().map(|row| (row.name, row.split)).collect())
}

impl Scenario {
    /// A scenario in which nothing is wrong and nothing is measured.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.into(),
            description: "Nothing is wrong.".into(),
            family: name.into(),
            vantage: only_vantage(),
            phase: only_phase(),
            link: Links::default(),
            resolver: ResolverMode::default(),
            ipv6: false,
            vpn: Vec::new(),
            provider: Vec::new(),
            site: Vec::new(),
            lie: Vec::new(),
            censor: Vec::new(),
            fault: Vec::new(),
            arguments: Vec::new(),
            vpn_keys: None,
            helper: false,
            together: BTreeMap::new(),
            known_wrong: None,
            truth: Truth { exit_code: 0, local_health: Health::Ok, run: Vec::new(), measure: Vec::new() },
        }
    }

    /// Reads one file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text, path)
    }

    /// Understands the text of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let scenario: Self = toml::from_str(text).with_context(|| format!("understand {}", path.display()))?;
        if path.file_stem() != Some(scenario.name.as_ref()) {
            bail!("{} is the scenario {:?}: the names differ", path.display(), scenario.name);
        }
        scenario.check().with_context(|| format!("accept {}", path.display()))?;
        Ok(scenario)
    }

    /// The file of the scenario with this name, or the file with this path.
    pub fn path(name: &str, folder: &Path) -> Result<PathBuf> {
        let named = files(folder)?.into_iter().find(|path| path.file_stem() == Some(name.as_ref()));
        let path = named.unwrap_or_else(|| PathBuf::from(name));
        if !path.exists() {
            bail!("no scenario is called {name:?}; `testbed list` names them");
        }
        Ok(path)
    }

    /// Reads the scenario with this name, or the file with this path.
    pub fn find(name: &str, folder: &Path) -> Result<Self> {
        Self::read(&Self::path(name, folder)?)
    }

    /// Reads all scenarios of a folder, by family and name.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let families = families(folder)?;
        let scenarios: Vec<Self> = files(folder)?.iter().map(|path| Self::read(path)).collect::<Result<_>>()?;
        for scenario in &scenarios {
            if !families.contains_key(&scenario.family) {
                bail!(
                    "the scenario {:?} is of the family {:?}, which families.toml lacks",
                    scenario.name,
                    scenario.family
                );
            }
        }
        Ok(scenarios)
    }

    /// Whether something is broken in this way, at any time.
    pub fn has(&self, broken: &Broken) -> bool {
        self.fault.iter().any(|fault| fault.broken == *broken)
    }

    /// Everything that names a vantage or a phase names one that there is.
    fn check(&self) -> Result<()> {
        let vantages: Vec<&str> = self.vantage.iter().map(|vantage| vantage.name.as_str()).collect();
        let phases: Vec<&str> = self.phase.iter().map(|phase| phase.name.as_str()).collect();
        let whens = self.censor.iter().map(|censor| &censor.when).chain(self.fault.iter().map(|fault| &fault.when));
        let lies = self.lie.iter().map(|lie| &lie.when);
        for when in whens.chain(lies) {
            check_names("vantage", &when.vantages, &vantages)?;
            check_names("phase", &when.phases, &phases)?;
        }
        for (vantage_names, phase_names) in self.truth.scopes() {
            check_names("vantage", vantage_names, &vantages)?;
            check_names("phase", phase_names, &phases)?;
        }
        let known: Vec<&str> = self.censor.iter().filter_map(|censor| censor.name.as_deref()).collect();
        check_names("censor", self.truth.measure.iter().filter_map(|measure| measure.if_acted.as_ref()), &known)
    }
}

fn check_names<'a>(what: &str, said: impl IntoIterator<Item = &'a String>, known: &[&str]) -> Result<()> {
    match said.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!("it names the {what} {name:?}, which it does not have"),
        None => Ok(()),
    }
}

/// The scenario files of a folder: one level of families, by path.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
        Ok(entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect())
    };
    let mut paths = Vec::new();
    for family in read(folder)?.iter().filter(|path| path.is_dir()) {
        paths.extend(read(family)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml")));
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_measures_something() {
        let all = Scenario::all(Path::new(FOLDER)).unwrap();
        assert!(all.len() >= 10, "{} scenarios", all.len());
        for scenario in all {
            assert!(!scenario.truth.measure.is_empty(), "{} measures nothing", scenario.name);
        }
    }

    #[test]
    fn every_scenario_lies_in_its_family_s_folder_and_names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for path in files(Path::new(FOLDER)).unwrap() {
            let scenario = Scenario::read(&path).unwrap();
            assert_eq!(path.parent().unwrap().file_name().unwrap(), scenario.family.as_str(), "{}", path.display());
            assert!(names.insert(scenario.name.clone()), "{} is there twice", scenario.name);
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = "name = 'a'\ndescription = ''\nfamily = 'f'\nsurprise = 1\n[truth]\nmeasure = []\n";
        assert!(toml::from_str::<Scenario>(text).is_err());
    }

    #[test]
    fn a_phase_that_is_nowhere_is_refused() {
        let text = "name = 'a'\ndescription = ''\nfamily = 'f'\n[[fault]]\nbroken.kind = 'link_down'\n\
                    when.phases = ['later']\n[truth]\nmeasure = []\n";
        let scenario: Scenario = toml::from_str(text).unwrap();
        assert!(scenario.check().unwrap_err().to_string().contains("later"));
    }
}
