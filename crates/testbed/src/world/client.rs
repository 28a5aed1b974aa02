//! A vantage: the client's namespace, and what is wrong with the client itself (its link, its routes, its clock).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tun_rs::SyncDevice;

use crate::internet::Around;
use crate::netns::{Namespace, with_resolvers};
use crate::scenario::{Broken, Fault};

/// What of the client's own is broken at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    link_down: bool,
    no_route: bool,
    /// Seconds that the clock is ahead.
    clock: i64,
}

impl State {
    /// At this vantage in this phase.
    fn of(faults: &[Fault], vantage: &str, phase: &str) -> Self {
        let mut state = Self::default();
        for fault in faults.iter().filter(|fault| holds(fault, vantage, phase)) {
            match fault.broken {
                Broken::LinkDown => state.link_down = true,
                Broken::NoRoute => state.no_route = true,
                Broken::ClockWrong { seconds } => state.clock = seconds,
                _ => {}
            }
        }
        state
    }
}

fn holds(fault: &Fault, vantage: &str, phase: &str) -> bool {
    let has = |list: &[String], name: &str| list.is_empty() || list.iter().any(|item| item == name);
    has(&fault.when.vantages, vantage) && has(&fault.when.phases, phase)
}

/// A vantage in the world.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) around: Around,
    pub(super) namespace: Namespace,
    ipv6: bool,
    /// What takes the place of `/etc/resolv.conf`; the first vantage's is the sandbox's own.
    resolvers: Option<PathBuf>,
    state: Mutex<State>,
}

impl Client {
    /// Makes the place of vantage number `number`.
    pub(super) fn create(name: &str, number: usize, ipv6: bool, folder: &Path) -> Result<Self> {
        let around = Around::vantage(number)?;
        let resolvers = (number > 0).then(|| folder.join(format!("resolv.conf.{number}")));
        if let Some(path) = &resolvers {
            std::fs::write(path, resolver_configuration(&around))?;
        }
        let namespace = Namespace::create(&numbered("client", number), ipv6)?;
        Ok(Self { name: name.into(), around, namespace, ipv6, resolvers, state: Mutex::default() })
    }

    /// Joins it to the router, with everything in order.
    pub(super) fn join(&self) -> Result<SyncDevice> {
        let device = self.namespace.join()?;
        self.namespace.ip(&self.addresses())?;
        Ok(device)
    }

    fn addresses(&self) -> String {
        let Around { client, gateway, client_v6, .. } = self.around;
        let v4 = format!("address add {client} peer {gateway} dev uplink\n{}", self.route("add"));
        let v6 = format!("address add {client_v6} dev uplink\nroute add ::/0 dev uplink\n");
        if self.ipv6 { v4 + &v6 } else { v4 }
    }

    fn route(&self, verb: &str) -> String {
        format!("route {verb} default via {} dev uplink\n", self.around.gateway)
    }

    /// Breaks and mends what is to be broken in a phase.
    pub(super) fn enter(&self, faults: &[Fault], phase: &str) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = State::of(faults, &self.name, phase);
        self.namespace.ip(&self.way(*state, wanted))?;
        *state = wanted;
        Ok(())
    }

    /// The commands that lead from one state of the link to another.
    fn way(&self, from: State, to: State) -> String {
        let is_same = (from.link_down, from.no_route) == (to.link_down, to.no_route);
        if is_same {
            return String::new();
        }
        let down = "address flush dev uplink\nlink set uplink down\n";
        let mut script = match (from.link_down, to.link_down) {
            (_, true) => return down.into(),
            // Routes go with the link.
            (true, false) => format!("link set uplink up\n{}", self.addresses()),
            (false, false) if from.no_route => return self.addresses_again(),
            (false, false) => String::new(),
        };
        if to.no_route {
            script.push_str(&self.route("del"));
            script.push_str(if self.ipv6 { "route del ::/0 dev uplink\n" } else { "" });
        }
        script
    }

    fn addresses_again(&self) -> String {
        self.route("add") + if self.ipv6 { "route add ::/0 dev uplink\n" } else { "" }
    }

    /// A command that will run here, by this client's resolver and clock. Its environment is its own.
    pub(super) fn command(&self, program: &OsStr, environment: impl FnOnce(&mut Command)) -> Result<Command> {
        let mut command = match &self.resolvers {
            None => self.namespace.command(program),
            Some(path) => with_resolvers(&self.namespace, path, program)?,
        };
        environment(&mut command);
        let clock = self.state.lock().unwrap_or_else(PoisonError::into_inner).clock;
        if clock != 0 {
            command.env("LD_PRELOAD", faketime().context("no libfaketime: install the package faketime")?);
            command.env("FAKETIME", format!("{clock:+}s")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        Ok(command)
    }
}

/// What a client's system is told of its ISP's resolver.
pub(super) fn resolver_configuration(around: &Around) -> String {
    format!("nameserver {}\n", around.resolver)
}

/// The name of a namespace: the first of a kind has no number.
pub(super) fn numbered(name: &str, number: usize) -> String {
    if number == 0 { name.into() } else { format!("{name}-{number}") }
}

/// Where Debian has the library that lies about the time (for programs of several threads).
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let libraries = folders.filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")));
    libraries.into_iter().find(|library| library.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<Fault> {
        #[derive(serde::Deserialize)]
        struct File {
            fault: Vec<Fault>,
        }
        toml::from_str::<File>(text).unwrap().fault
    }

    #[test]
    fn a_fault_holds_at_its_vantage_in_its_phase_and_nowhere_else() {
        let faults = faults(
            "[[fault]]\nbroken.kind = 'link_down'\nwhen.phases = ['later']\n\
             [[fault]]\nbroken = { kind = 'clock_wrong', seconds = -5 }\nwhen.vantages = ['b']",
        );
        let state = |vantage, phase| State::of(&faults, vantage, phase);
        assert_eq!(state("a", "now"), State::default());
        assert_eq!(state("a", "later"), State { link_down: true, ..State::default() });
        assert_eq!(state("b", "now"), State { clock: -5, ..State::default() });
    }

    #[test]
    fn only_the_first_of_a_kind_has_no_number() {
        assert_eq!((numbered("client", 0), numbered("client", 2)), ("client".into(), "client-2".into()));
    }
}
