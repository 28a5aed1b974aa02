//! The command line.
//!
//! The commands that need a world start this program again inside the sandbox (`inside`, hidden), one process a world,
//! and read its exit code: 0 done, 1 failed, 2 usage, 3 cannot run here, 4 the probe said something that is not true.

mod benchmark;
mod inside;
mod replay;
mod run;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use run::Rounds;

use crate::scenario::{FOLDER, Scenario, Split, families};
use crate::{doctor, sandbox};

/// Done.
pub const DONE: u8 = 0;
/// Something did not come out as it should.
pub const FAILED: u8 = 1;
/// The probe was wrong in some world.
pub const WRONG: u8 = 4;
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
    /// Run all scenarios, score the verdicts and report (minutes; with variations, hours)
    Benchmark(benchmark::Benchmark),
    /// Replay a night with several providers on several networks, and show what the analyzer says of it
    Replay(replay::Replay),
    /// Name the scenarios
    List,
    /// Open a shell where the client of a scenario is
    Shell(inside::Shell),
    /// Measure the figures that the project promises, with a release build of the probe
    Speed {
        /// Only these parts.
        #[arg(value_enum)]
        parts: Vec<run::Part>,
    },
    /// Print what many made-up measurements cost the analyzer, with a release build of it
    Scale {
        /// How many, each in turn.
        #[arg(default_values_t = [10_000, 100_000, 1_000_000])]
        sizes: Vec<usize>,
        /// Where the files go meanwhile: four kilobytes a measurement, twice.
        #[arg(long, default_value = "target/scale")]
        folder: PathBuf,
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
    #[arg(required_unless_present_any = ["all", "family", "split"], conflicts_with_all = ["all", "family", "split"])]
    names: Vec<String>,
    /// Run all scenarios.
    #[arg(long)]
    all: bool,
    /// Run the scenarios of this family; several times for several.
    #[arg(long)]
    family: Vec<String>,
    /// Run the scenarios of the families for training, or of those for testing.
    #[arg(long, value_enum)]
    split: Option<Split>,
    /// Run so many variations in all, drawn by seed, of the scenarios in turn.
    #[arg(long, conflicts_with = "repeat", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Run each so many times, as it is written.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// The first seed; each further round of a scenario has the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worlds at the same time.
    #[arg(long, default_value = "2")]
    jobs: NonZeroUsize,
    /// Keep databases, output and labels in this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Keep captures (pcap-ng) of every link there, too.
    #[arg(long, requires = "out")]
    captures: bool,
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
        Command::Run(asked) => {
            or_obstacle(|| Ok(run::run(&asked.scenarios(&folder)?, &folder, &asked.rounds())?.code()))
        }
        Command::Benchmark(benchmark) => or_obstacle(|| benchmark.run(&folder)),
        Command::Scale { sizes, folder } => run::scale(&sizes, &folder),
        Command::Replay(replay) => or_obstacle(|| replay.run(&folder)),
        Command::Speed { parts } => or_obstacle(|| run::speed(&parts)),
        Command::Shell(shell) => or_obstacle(|| {
            let scenario = Scenario::find(&shell.scenario, &folder)?;
            inside::shell(inside::Shell { scenario: scenario.name, ..shell }, &folder)
        }),
    }
}

impl Run {
    /// The scenarios that were asked for.
    fn scenarios(&self, folder: &Path) -> Result<Vec<Scenario>> {
        if !self.names.is_empty() {
            return select(folder, &self.names, false);
        }
        let families = families(folder)?;
        if let Some(unknown) = self.family.iter().find(|name| !families.contains_key(*name)) {
            bail!("no family is called {unknown:?}; `testbed list` names them");
        }
        let wanted = |scenario: &Scenario| {
            let family = self.family.is_empty() || self.family.contains(&scenario.family);
            family && self.split.is_none_or(|split| families.get(&scenario.family) == Some(&split))
        };
        Ok(Scenario::all(folder)?.into_iter().filter(wanted).collect())
    }

    fn rounds(&self) -> Rounds {
        Rounds {
            seed: self.seed,
            count: self.count.unwrap_or(self.repeat),
            per_scenario: self.count.is_none(),
            vary: self.count.is_some(),
            jobs: self.jobs,
            keep: self.out.clone().map(|out| run::Keep { out, captures: self.captures }),
            talk: true,
        }
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

fn select(folder: &Path, names: &[String], all: bool) -> Result<Vec<Scenario>> {
    if all {
        return Scenario::all(folder);
    }
    names.iter().map(|name| Scenario::find(name, folder)).collect()
}

fn list(scenarios: &[Scenario]) -> u8 {
    let width = |of: fn(&Scenario) -> usize| scenarios.iter().map(of).max().unwrap_or(0);
    let (name, family) = (width(|scenario| scenario.name.len()), width(|scenario| scenario.family.len()));
    for scenario in scenarios {
        println!("{:name$}  {:family$}  {}", scenario.name, scenario.family, scenario.description);
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
