//! What runs inside the sandbox: one world, and one thing done in it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::run::Part;
use super::{DONE, FAILED};
use crate::scenario::Scenario;
use crate::world::World;
use crate::{measure, sandbox, speed};

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
        out: Option<PathBuf>,
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
    Shell {
        scenario: String,
        #[arg(last = true)]
        command: Vec<String>,
    },
}

impl Inside {
    /// Enters the sandbox if need be, and does the task.
    pub(super) fn run(self, folder: &Path) -> Result<u8> {
        if !sandbox::is_inside() {
            sandbox::enter(self.parent)?;
        }
        match self.task {
            Task::Measure { scenario, probe, out } => {
                sandbox::stop_on_signals()?;
                compare(&Scenario::find(&scenario, folder)?, &probe, out.as_deref())
            }
            Task::Show { scenario, probe } => {
                sandbox::stop_on_signals()?;
                show(&Scenario::find(&scenario, folder)?, &probe)
            }
            Task::Speed { part, probe } => {
                sandbox::stop_on_signals()?;
                Ok(if speed::print(&part.figures(&probe)?) { DONE } else { FAILED })
            }
            Task::Shell { scenario, command } => work_in(&Scenario::find(&scenario, folder)?, &command),
        }
    }
}

fn compare(scenario: &Scenario, probe: &Path, out: Option<&Path>) -> Result<u8> {
    let world = World::start(scenario)?;
    let database = out.unwrap_or(world.folder()).join(format!("{}.sqlite", scenario.name));
    let outcome = measure::measure(&world, scenario, probe, &database)?;
    if let Some(out) = out {
        std::fs::write(out.join(format!("{}.jsonl", scenario.name)), &outcome.stdout)?;
    }
    if outcome.differences.is_empty() {
        return Ok(DONE);
    }
    for difference in &outcome.differences {
        println!("  {difference}");
    }
    print!("{}", outcome.stdout);
    eprint!("{}", outcome.stderr);
    Ok(FAILED)
}

fn show(scenario: &Scenario, probe: &Path) -> Result<u8> {
    let world = World::start(scenario)?;
    let code = measure::show(&world, scenario, probe, &world.folder().join("demo.sqlite"))?;
    Ok(if code == Some(scenario.truth.exit_code) { DONE } else { FAILED })
}

fn work_in(scenario: &Scenario, command: &[String]) -> Result<u8> {
    let world = World::start(scenario)?;
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into());
    let (program, arguments) = command.split_first().unwrap_or((&shell, &[]));
    if command.is_empty() {
        eprintln!("This is the client of the scenario {:?}: {}", scenario.name, scenario.description);
        eprintln!("Try `curl -v https://example.com/` or `dig x.com @8.8.8.8`; the end of the shell ends the world.");
    }
    let status = world.client_command(program).args(arguments).status().context("run the command")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}

/// Becomes a shell in the client of a world. Comes back only on failure.
pub(super) fn shell(scenario: &str, folder: &Path, command: &[String]) -> Result<u8> {
    let mut shell = Command::new(std::env::current_exe()?);
    shell.arg("--scenarios").arg(folder).args(["inside", "shell", scenario, "--"]).args(command);
    Err(shell.exec()).context("enter the sandbox")
}
