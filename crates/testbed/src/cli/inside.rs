//! What runs inside the sandbox: one world, and one thing done in it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::run::Part;
use super::{DONE, FAILED, WRONG};
use crate::round::{Round, Run};
use crate::scenario::{Scenario, Split, families};
use crate::world::{Making, World};
use crate::{measure, sandbox, speed, vary};

/// The seed of worlds in which nobody asks for one.
const SEED: u64 = 1;

/// The hidden command.
#[derive(Debug, Args)]
pub(super) struct Inside {
    /// End when this process ends.
    #[arg(long)]
    parent: Option<u32>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the probe and compare.
    Measure {
        scenario: String,
        #[arg(long)]
        probe: PathBuf,
        #[arg(long)]
        seed: u64,
        /// Draw a variation by the seed.
        #[arg(long)]
        vary: bool,
        #[arg(long)]
        out: Option<PathBuf>,
        #[arg(long)]
        capture: Option<PathBuf>,
        /// Print what differs from the truth.
        #[arg(long)]
        talk: bool,
    },
    /// Run the probe and show what it says.
    Show {
        scenario: String,
        #[arg(long)]
        probe: PathBuf,
    },
    /// Measure one part of the speed figures.
    Speed {
        part: Part,
        #[arg(long)]
        probe: PathBuf,
    },
    /// Run something where the client is.
    Shell(Shell),
}

/// Where a shell is opened, and in what world.
#[derive(Debug, Args)]
pub(super) struct Shell {
    /// The scenario.
    pub(super) scenario: String,
    /// At this vantage instead of the first.
    #[arg(long)]
    pub(super) vantage: Option<String>,
    /// In this phase instead of the first.
    #[arg(long)]
    pub(super) phase: Option<String>,
    /// The seed of all chance in the world.
    #[arg(long, default_value_t = SEED)]
    pub(super) seed: u64,
    /// Keep captures (pcap-ng) of every link in this folder.
    #[arg(long)]
    pub(super) capture: Option<PathBuf>,
    /// Run this instead of a shell, and end with it.
    #[arg(last = true)]
    pub(super) command: Vec<String>,
}

impl Inside {
    /// Enters the sandbox if need be, and does the task.
    pub(super) fn run(self, folder: &Path) -> Result<u8> {
        if !sandbox::is_inside() {
            sandbox::enter(self.parent)?;
        }
        match self.task {
            Task::Measure { scenario, probe, seed, vary, out, capture, talk } => {
                sandbox::stop_on_signals()?;
                let path = Scenario::path(&scenario, folder)?;
                let scenario = if vary { vary::read(&path, seed)? } else { Scenario::read(&path)? };
                let split = split_of(&scenario, folder)?;
                let (out, captures) = (out.as_deref(), capture.as_deref());
                let round = Round { scenario: &scenario, split, seed, probe: &probe, out, captures };
                Ok(judge(&scenario, &round.run()?, talk))
            }
            Task::Show { scenario, probe } => {
                sandbox::stop_on_signals()?;
                show(&Scenario::find(&scenario, folder)?, &probe)
            }
            Task::Speed { part, probe } => {
                sandbox::stop_on_signals()?;
                Ok(if speed::print(&part.figures(&probe)?) { DONE } else { FAILED })
            }
            Task::Shell(shell) => work_in(&Scenario::find(&shell.scenario, folder)?, &shell),
        }
    }
}

/// Families that `families.toml` does not name (somebody's own scenario) are for judging only.
fn split_of(scenario: &Scenario, folder: &Path) -> Result<Split> {
    if !folder.join("families.toml").exists() {
        return Ok(Split::Test);
    }
    Ok(families(folder)?.get(&scenario.family).copied().unwrap_or(Split::Test))
}

fn judge(scenario: &Scenario, runs: &[Run], talk: bool) -> u8 {
    let wrong: Vec<&Run> = runs.iter().filter(|run| !run.differences.is_empty()).collect();
    for run in wrong.iter().filter(|_| talk) {
        println!("  {} at {} in {}:", scenario.name, run.vantage, run.phase);
        for difference in &run.differences {
            println!("  {difference}");
        }
        print!("{}", run.said.stdout);
        eprint!("{}", run.said.stderr);
    }
    if wrong.is_empty() { DONE } else { WRONG }
}

fn show(scenario: &Scenario, probe: &Path) -> Result<u8> {
    let world = World::start(scenario, Making { seed: SEED, probe: Some(probe), captures: None })?;
    let code = measure::show(&world, scenario, probe, &world.folder().join("demo.sqlite"))?;
    Ok(if code == Some(scenario.truth.exit_code) { DONE } else { FAILED })
}

fn work_in(scenario: &Scenario, at: &Shell) -> Result<u8> {
    let probe = measure::find_probe().ok().filter(|_| scenario.helper);
    let making = Making { seed: at.seed, captures: at.capture.as_deref(), probe: probe.as_deref() };
    let world = World::start(scenario, making)?;
    let first = scenario.vantage.first().map_or("", |vantage| &vantage.name);
    if let Some(phase) = &at.phase {
        world.enter(phase)?;
    }
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into());
    let (program, arguments) = at.command.split_first().unwrap_or((&shell, &[]));
    if at.command.is_empty() {
        eprintln!("This is the client of the scenario {:?}: {}", scenario.name, scenario.description);
        eprintln!("Try `curl -v https://example.com/` or `dig x.com @8.8.8.8`; the end of the shell ends the world.");
    }
    let mut command = world.client_command_at(at.vantage.as_deref().unwrap_or(first), program)?;
    let status = command.args(arguments).status().context("run the command")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}

/// Becomes a shell in the client of a world. Comes back only on failure.
pub(super) fn shell(at: Shell, folder: &Path) -> Result<u8> {
    let mut shell = Command::new(std::env::current_exe()?);
    shell.arg("--scenarios").arg(folder).args(["inside", "shell", &at.scenario, "--seed", &at.seed.to_string()]);
    for (option, value) in [("--vantage", at.vantage), ("--phase", at.phase)] {
        shell.args(value.into_iter().flat_map(|value| [option.to_owned(), value]));
    }
    if let Some(folder) = at.capture {
        shell.arg("--capture").arg(std::path::absolute(folder)?);
    }
    shell.arg("--").args(at.command);
    Err(shell.exec()).context("enter the sandbox")
}
