//! Replays of a night: several providers on several networks, and what the analyzer says of all of them together.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use super::run::{Keep, Rounds, run};
use super::{DONE, WRONG};
use crate::daemon::vpn::urls;
use crate::measure::beside;
use crate::round::database_name;
use crate::scenario::{Provider, Scenario};

/// The family that is replayed when nobody names a scenario.
const FAMILY: &str = "vpn-replay";

/// Run scenarios with several providers, and show what the analyzer says of them together.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The scenarios; all replays if none is named.
    names: Vec<String>,
    /// The seed of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worlds at the same time.
    #[arg(long, default_value = "2")]
    jobs: NonZeroUsize,
    /// Keep databases, output and labels in this folder.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Replay {
    /// Runs them, prints the account of each, and says whether it is the one that the scenario expects.
    pub(super) fn run(&self, folder: &Path) -> Result<u8> {
        let analyzer = beside("analyzer")?;
        let scenarios: Vec<Scenario> =
            Scenario::all(folder)?.into_iter().filter(|scenario| self.is_asked_for(scenario)).collect();
        ensure!(!scenarios.is_empty(), "no replay of that name; they are the scenarios of the family {FAMILY:?}");
        let own = tempfile::tempdir()?;
        let out = self.out.clone().unwrap_or_else(|| own.path().to_path_buf());
        std::fs::create_dir_all(&out).with_context(|| format!("make the folder {}", out.display()))?;
        let tally = run(&scenarios, folder, &self.rounds(&out))?;
        if tally.broken > 0 {
            bail!("{} worlds have no result", tally.broken);
        }
        let mut code = tally.code();
        for scenario in &scenarios {
            let databases = out.join(format!("{}-{}", scenario.name, self.seed));
            if !account(scenario, &databases, &analyzer)? {
                code = WRONG;
            }
        }
        Ok(code)
    }

    fn is_asked_for(&self, scenario: &Scenario) -> bool {
        let is_named = self.names.contains(&scenario.name);
        scenario.family == FAMILY && (self.names.is_empty() || is_named)
    }

    fn rounds(&self, out: &Path) -> Rounds {
        Rounds {
            seed: self.seed,
            count: 1,
            per_scenario: true,
            vary: false,
            jobs: self.jobs,
            keep: Some(Keep { out: out.to_path_buf(), captures: false }),
            talk: true,
        }
    }
}

/// Prints what the analyzer makes of each phase of a night; whether it finds on each network what is true.
fn account(scenario: &Scenario, databases: &Path, analyzer: &Path) -> Result<bool> {
    println!("\n{}: {}", scenario.name, scenario.description);
    let services = write_services(scenario, databases)?;
    let mut is_right = true;
    for phase in &scenario.phase {
        let files: Vec<PathBuf> =
            scenario.vantage.iter().map(|vantage| databases.join(database_name(scenario, vantage, phase))).collect();
        println!("\n{}:", phase.name);
        print!("{}", analyzed(&files, &services, analyzer, "table")?);
        let expected = scenario.together.get(&phase.name).map(Vec::as_slice).unwrap_or_default();
        is_right &= is_found(expected, &analyzed(&files, &services, analyzer, "jsonl")?, files.len())?;
    }
    Ok(is_right)
}

/// Whether each network has these findings, and no other; which is said.
fn is_found(expected: &[String], lines: &str, networks: usize) -> Result<bool> {
    let found: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of_network = |line: &&Value| line["schema"] == "faultline/spread/1";
    let spreads: Vec<String> = found.iter().filter(of_network).map(|line| in_short(&line["finding"])).collect();
    let distinct: BTreeSet<&String> = spreads.iter().collect();
    let is_right = distinct == expected.iter().collect() && spreads.len() == expected.len() * networks;
    let word = if is_right { "right" } else { "WRONG" };
    println!("{word}: on {networks} networks {}", expected.join(", "));
    Ok(is_right)
}

/// "`protocol_interference` openvpn", "`provider_down` cedar-vpn": a finding as scenarios write it.
fn in_short(finding: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pattern = text(&finding["pattern"]);
    let of = if pattern.starts_with("provider") { &finding["providers"][0] } else { &finding["protocols"][0] };
    format!("{pattern} {}", text(of)).trim_end().to_owned()
}

fn analyzed(databases: &[PathBuf], services: &[PathBuf], analyzer: &Path, format: &str) -> Result<String> {
    let mut command = Command::new(analyzer);
    // The clock of a world runs faster than a night's, and each phase has files of its own.
    command.args(["verdicts", "--by", "service", "--window", "1d", "--format", format]);
    command.args(databases);
    for file in services {
        command.arg("--services").arg(file);
    }
    let output = command.output().context("run the analyzer")?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(i32::from(DONE)), "the analyzer ended with {}: {stderr}", output.status);
    String::from_utf8(output.stdout).context("read the analyzer's lines")
}

/// A service file for each provider, as its user would have it.
fn write_services(scenario: &Scenario, folder: &Path) -> Result<Vec<PathBuf>> {
    let write = |(number, provider): (u8, &Provider)| {
        let path = folder.join(format!("{}.toml", provider.name));
        std::fs::write(&path, service(provider, number)).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    };
    (1..).zip(&scenario.provider).map(write).collect()
}

fn service(provider: &Provider, number: u8) -> String {
    let name = &provider.name;
    let mut text = format!(
        "version = 1\nservice = {name:?}\ntitle = {name:?}\nkind = \"vpn\"\nsource = \"a scenario\"\ndate = \"2026-11-26\"\n"
    );
    for (role, url) in urls(provider, number) {
        let _ = write!(
            text,
            "\n[[endpoint]]\nrole = {role:?}\nendpoint = {url:?}\n\n[[rule]]\nname = {role:?}\nkind = \"any_of\"\nroles = [{role:?}]\n"
        );
    }
    text
}
