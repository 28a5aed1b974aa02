//! The command line.
//!
//! The commands that need a world start this program again inside the sandbox (`inside`, hidden), one process a world,
//! and read its exit code: 0 done, 1 failed, 2 usage, 3 cannot run here.

mod inside;
mod run;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::scenario::{FOLDER, Scenario};
use crate::{doctor, sandbox};

/// Done.
pub const DONE: u8 = 0;
/// Something did not come out as it should.
pub const FAILED: u8 = 1;
/// This machine lacks what worlds are made of.
pub const CANNOT_RUN: u8 = 3;

/// The scenario that `demo` shows when none is named.
const DEMO: &str = "demo";

/// An internet of our own with a censor in it.
#[derive(Debug, Parser)]
#[command(name = "testbed", version)]
struct Cli {
    /// The folder with the scenarios.
    #[arg(long, global = true, default_value = FOLDER, hide_default_value = true)]
    scenarios: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a world with a censor in it, run the probe there and show what it says
    Demo(Demo),
    /// Run the probe in scenarios and compare its words with the truth
    Run(Run),
    /// Name the scenarios
    List,
    /// Open a shell where the client of a scenario is
    Shell {
        /// The scenario.
        scenario: String,
        /// Run this instead of a shell, and end with it.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Measure the figures that the project promises, with a release build of the probe
    Speed {
        /// Only these parts.
        #[arg(value_enum)]
        parts: Vec<run::Part>,
    },
    /// Say whether worlds can be made on this machine
    Doctor,
    /// What the other commands start inside the sandbox
    #[command(hide = true)]
    Inside(inside::Inside),
}

#[derive(Debug, Args)]
struct Demo {
    /// Show this scenario.
    #[arg(long, conflicts_with = "all", default_value = DEMO)]
    scenario: String,
    /// Show all scenarios, one after the other.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct Run {
    /// The scenarios.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// Run all scenarios.
    #[arg(long)]
    all: bool,
    /// Run each so many times.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Worlds at the same time.
    #[arg(long, default_value = "2")]
    jobs: NonZeroUsize,
    /// Keep databases and output in this folder.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("testbed: {error:#}");
            FAILED.into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8> {
    let folder = cli.scenarios;
    match cli.command {
        Command::List => Ok(list(&Scenario::all(&folder)?)),
        Command::Doctor => Ok(say_findings()),
        Command::Inside(inside) => inside.run(&folder),
        Command::Demo(demo) => or_obstacle(|| run::demo(&select(&folder, &[demo.scenario], demo.all)?, &folder)),
        Command::Run(run) => or_obstacle(|| {
            let scenarios = select(&folder, &run.names, run.all)?;
            let rounds = run::Rounds { repeat: run.repeat, jobs: run.jobs, out: run.out.as_deref() };
            run::run(&scenarios, &folder, rounds)
        }),
        Command::Speed { parts } => or_obstacle(|| run::speed(&parts)),
        Command::Shell { scenario, command } => or_obstacle(|| {
            let scenario = Scenario::find(&scenario, &folder)?;
            inside::shell(&scenario.name, &folder, &command)
        }),
    }
}

fn or_obstacle(work: impl FnOnce() -> Result<u8>) -> Result<u8> {
    // Inside, the way has been paved already.
    if !sandbox::is_inside()
        && let Some(obstacle) = doctor::obstacle()
    {
        eprintln!("testbed: worlds cannot be made here: {obstacle}");
        return Ok(CANNOT_RUN);
    }
    work()
}

fn select(folder: &std::path::Path, names: &[String], all: bool) -> Result<Vec<Scenario>> {
    if all {
        return Scenario::all(folder);
    }
    names.iter().map(|name| Scenario::find(name, folder)).collect()
}

fn list(scenarios: &[Scenario]) -> u8 {
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    for scenario in scenarios {
        println!("{:width$}  {}", scenario.name, scenario.description);
    }
    DONE
}

fn say_findings() -> u8 {
    let findings = doctor::examine();
    for finding in &findings {
        println!("{:14} {}", finding.what, finding.fault.as_deref().unwrap_or("ok"));
    }
    if findings.iter().any(|finding| finding.needed && finding.fault.is_some()) { CANNOT_RUN } else { DONE }
}
