//! Scenarios: what the world holds, what goes wrong in it, what is measured, and what is true.
//!
//! One scenario is one TOML file in `scenarios/`; a file that says something unknown is refused.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::truth::Truth;

/// Where the scenarios of this crate are.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");

/// One scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, which is its file's name too.
    pub name: String,
    /// What the censor or the fault does, in a sentence.
    pub description: String,
    /// Scenarios of one family differ in parameters only.
    pub family: String,
    /// How long packets take.
    #[serde(default)]
    pub delay: Delays,
    /// The sites beside the controls.
    #[serde(default)]
    pub site: Vec<Site>,
    /// What the censor does.
    #[serde(default)]
    pub censor: Vec<Censor>,
    /// What is broken.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// What is measured, and what is true of it.
    pub truth: Truth,
}

/// Round trips between the client and others, in milliseconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delays {
    /// To the ISP's own servers.
    pub isp_ms: u64,
    /// To everything abroad.
    pub abroad_ms: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { isp_ms: 4, abroad_ms: 50 }
    }
}

impl Delays {
    /// One way between client and core: half the round trip to the ISP.
    pub fn access(&self) -> Duration {
        Duration::from_micros(self.isp_ms * 500)
    }

    /// One way between core and abroad: half of what is left of the longer round trip.
    pub fn upstream(&self) -> Duration {
        Duration::from_micros(self.abroad_ms.saturating_sub(self.isp_ms) * 500)
    }
}

/// A web site.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its host name.
    pub name: String,
    /// Its addresses; some are made up if none are given.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// What is there.
    #[serde(default)]
    pub serves: Serves,
}

/// What a site's host does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serves {
    /// A page over HTTPS, and a redirect to it over plain HTTP.
    #[default]
    Web,
    /// The host is up, the service is not: connections are refused.
    Nothing,
}

/// One thing that a censor does.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Censor {
    /// The ISP's resolver says that these names do not exist.
    DnsNxdomain {
        /// The names, with all below them.
        names: Vec<String>,
    },
    /// The ISP's resolver gives these addresses for these names.
    DnsAnswer {
        /// The names, with all below them.
        names: Vec<String>,
        /// The forged addresses.
        addresses: Vec<IpAddr>,
    },
    /// Packets to these addresses vanish on the way abroad.
    Drop {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// Only this port; every port and protocol if none is given.
        port: Option<u16>,
    },
    /// TLS connections with these server names are reset on the way abroad.
    ResetOnSni {
        /// The names, with all below them.
        names: Vec<String>,
    },
    /// TLS connections with these server names fall silent on the way abroad.
    DropOnSni {
        /// The names, with all below them.
        names: Vec<String>,
    },
}

/// One thing that is broken without anybody's intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The client has no link and no route.
    NoNetwork,
    /// The ISP has lost its way abroad. Its resolver still answers out of its cache; all packets abroad vanish.
    UpstreamDead,
    /// A portal wants a login: DNS works, plain HTTP ends at the portal, the rest is dropped.
    CaptivePortal,
}

impl Scenario {
    /// Reads one file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let scenario: Self = toml::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
        if path.file_stem() != Some(scenario.name.as_ref()) {
            bail!("{} is the scenario {:?}: the names differ", path.display(), scenario.name);
        }
        Ok(scenario)
    }

    /// Reads the scenario with this name, or the file with this path.
    pub fn find(name: &str, folder: &Path) -> Result<Self> {
        let named = folder.join(format!("{name}.toml"));
        let path = if named.exists() { named } else { PathBuf::from(name) };
        if !path.exists() {
            bail!("no scenario is called {name:?}; `testbed list` names them");
        }
        Self::read(&path)
    }

    /// Reads all scenarios of a folder, by name.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Whether something is broken in this way.
    pub fn has(&self, fault: Fault) -> bool {
        self.fault.contains(&fault)
    }
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
    fn an_unknown_key_is_refused() {
        let text = "name = 'a'\ndescription = ''\nfamily = 'f'\nsurprise = 1\n[truth]\nmeasure = []\n";
        assert!(toml::from_str::<Scenario>(text).is_err());
    }

    #[test]
    fn delays_add_up_to_the_round_trips_that_were_asked_for() {
        let delays = Delays::default();
        assert_eq!((delays.access() + delays.upstream()) * 2, Duration::from_millis(50));
        assert_eq!(delays.access() * 2, Duration::from_millis(4));
    }
}
