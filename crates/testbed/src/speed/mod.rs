//! The speed figures that the project promises, measured and printed beside their targets.
//!
//! Time, processor and memory of the probe against servers of our own; the router's own throughput, so that nobody
//! takes its limits for the probe's. Build both with `--release` before: figures of debug builds mean nothing.

pub mod files;
pub mod local;
pub mod path;
pub mod router;
pub mod scale;
pub mod vpn;

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use serde_json::Value;

use crate::scenario::{Links, Scenario, Site};
use crate::world::World;

/// One figure and what it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// How much it is.
    pub value: f64,
    /// What it is counted in.
    pub unit: &'static str,
    /// What it should be.
    pub target: Target,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
    /// It is told for its own sake.
    Any,
}

impl Figure {
    /// A figure.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str, target: Target) -> Self {
        Self { what: what.into(), value, unit, target }
    }

    /// Whether it is what it should be.
    pub fn is_met(&self) -> bool {
        match self.target {
            Target::AtMost(limit) => self.value <= limit,
            Target::AtLeast(limit) => self.value >= limit,
            Target::Any => true,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, value, unit, target } = self;
        match target {
            Target::Any => write!(f, "     {what}: {value:.1} {unit}"),
            Target::AtMost(limit) => write!(f, "{} {what}: {value:.1} {unit} (at most {limit:.1})", self.word()),
            Target::AtLeast(limit) => write!(f, "{} {what}: {value:.1} {unit} (at least {limit:.1})", self.word()),
        }
    }
}

impl Figure {
    fn word(&self) -> &'static str {
        if self.is_met() { "pass" } else { "FAIL" }
    }
}

/// Prints figures; says whether all are met.
pub fn print(figures: &[Figure]) -> bool {
    for figure in figures {
        println!("{figure}");
    }
    figures.iter().all(Figure::is_met)
}

/// A scenario without censor, fault or truth: only sites and delays.
fn scenario(name: &str, site: Vec<Site>, link: Links) -> Scenario {
    Scenario { link, site, ..Scenario::plain(name) }
}

/// Writes a list of targets in Citizen Lab's columns.
fn write_list(world: &World, urls: impl Iterator<Item = String>) -> Result<PathBuf> {
    let mut text = String::from("url,category_code,category_description,date_added,source,notes\n");
    for url in urls {
        writeln!(text, "{url},HOST,Hosting and blogging,2026-11-22,testbed,")?;
    }
    let path = world.folder().join("targets.csv");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// A run of the probe, and what it took.
struct Measured {
    account: Account,
    elapsed: Duration,
    /// Of the children waited for until the run's end: the probe is the only one that does any work, the others set up
    /// the world.
    usage: Usage,
    /// Connections that the servers' kernel accepted meanwhile.
    accepted: u64,
}

/// Runs `command` (`probe run` with its limits) on a list, and takes its measure.
fn measure(world: &World, mut command: Command, probe: &Path, list: &Path) -> Result<Measured> {
    let database = world.folder().join("speed.sqlite");
    command.arg("--list").arg(list).arg("--db").arg(&database).arg("--ca-file").arg(world.authority_file());
    let before = world.abroad().accepted_connections()?;
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status().context("run the probe")?;
    let elapsed = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    ensure!(status.success(), "the probe ended with {status}");
    let account = Account::read(probe, &database)?;
    Ok(Measured { account, elapsed, usage, accepted: world.abroad().accepted_connections()? - before })
}

/// What the probe says of its own run.
#[derive(Debug)]
struct Account {
    planned: f64,
    measured: f64,
    not_run: f64,
    connections: f64,
    ok: usize,
}

impl Account {
    /// Reads it from the database, by the probe's own commands.
    fn read(probe: &Path, database: &Path) -> Result<Self> {
        let runs = results(probe, database, &["list"])?;
        let [run] = runs.as_slice() else { bail!("{} runs in the database instead of one", runs.len()) };
        let number = |value: &Value| value.as_f64().with_context(|| format!("a count is missing in {run}"));
        let end = &run["end"];
        let lines = results(probe, database, &["show", run["id"].as_str().unwrap_or_default()])?;
        Ok(Self {
            planned: number(&run["planned"])?,
            measured: number(&end["measured"])?,
            not_run: number(&end["not_run"])?,
            connections: number(&end["connections"])?,
            ok: lines.iter().filter(|line| line["verdict"]["state"] == "ok").count(),
        })
    }

    /// That every target is accounted for, and found to be healthy, and that the servers saw as many connections.
    fn figures(&self, targets: usize, accepted: u64) -> Result<Vec<Figure>> {
        let all = as_f64(targets);
        let accepted = as_f64(usize::try_from(accepted)?);
        Ok(vec![
            Figure::new(
                "targets accounted for",
                self.measured + self.not_run,
                "targets",
                Target::AtLeast(self.planned),
            ),
            Figure::new("targets measured", self.measured, "targets", Target::AtLeast(all)),
            Figure::new("targets found to be ok", as_f64(self.ok), "targets", Target::AtLeast(all)),
            Figure::new("targets not run", self.not_run, "targets", Target::AtMost(0.0)),
            Figure::new("connections accepted by the servers", accepted, "connections", Target::AtLeast(all)),
            Figure::new("connections that the probe counted", self.connections, "connections", Target::Any),
        ])
    }
}

fn results(probe: &Path, database: &Path, command: &[&str]) -> Result<Vec<Value>> {
    let output = Command::new(probe).arg("results").args(command).arg("--json").arg("--db").arg(database).output()?;
    if !output.status.success() {
        bail!("probe results: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| serde_json::from_str(line).context("read the probe's JSON")).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_met_at_its_limit_and_not_beyond() {
        let met = |value, target| Figure::new("", value, "", target).is_met();
        assert!(met(30.0, Target::AtMost(30.0)) && !met(30.1, Target::AtMost(30.0)));
        assert!(met(20.0, Target::AtLeast(20.0)) && !met(19.9, Target::AtLeast(20.0)));
        assert!(met(0.0, Target::Any));
    }

    #[test]
    fn a_missed_figure_says_so() {
        let figure = Figure::new("probe --help", 45.0, "ms", Target::AtMost(30.0));
        assert_eq!(figure.to_string(), "FAIL probe --help: 45.0 ms (at most 30.0)");
    }
}
