//! The analyzer: reads files that probes wrote, and says what they prove. It sends nothing and never sees a socket, but for
//! `cluster`, which exists only with the feature of that name.
//!
//! Verdicts are computed anew from the facts every time; nothing of them is stored.

mod basis;
mod calibrate;
mod chains;
pub mod cli;
#[cfg(feature = "cluster")]
mod cluster;
mod commands;
#[cfg(feature = "engine")]
mod engine;
mod evaluate;
mod exit;
mod files;
mod fingerprints;
mod generate;
mod group;
mod import;
mod in_context;
mod interrupt;
mod judged;
mod page;
mod print;
mod progress;
mod same;
mod settle;
#[cfg(feature = "engine")]
mod sources;
mod threads;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::{AnalyzerError, Exit};
use interrupt::Interrupt;

/// Parses the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let code = match run(Cli::parse()) {
        Ok(exit) => exit.code(),
        Err(error) => {
            if !error.is_closed_pipe() {
                say(&error.to_string());
            }
            error.code()
        }
    };
    ExitCode::from(code)
}

/// Talk, as against data: to standard error. If nobody can hear it there is nothing to be done.
fn say(text: &str) {
    let lines: Vec<String> = text.lines().map(faultline_verdict::words::clean).collect();
    let _ = writeln!(io::stderr(), "analyzer: {}", lines.join("\n"));
}

fn run(cli: Cli) -> Result<Exit, AnalyzerError> {
    let interrupt = Interrupt::install()?;
    #[cfg(feature = "engine")]
    let place = cli.place();
    #[cfg(feature = "cluster")]
    if cli.cluster.is_some() && !cli.command.runs_on_clusters() {
        say("--cluster is for query, and for export of tables; this is done here");
    }
    match cli.command {
        Command::Verdicts(options) => commands::verdicts::run(options, &interrupt),
        Command::Explain(options) => commands::explain::run(&options, &interrupt),
        Command::Calibrate(options) => commands::calibrate::run(&options, &interrupt),
        Command::Cells(options) => commands::cells::run(&options, &interrupt),
        Command::Diff(options) => commands::diff::run(&options, &interrupt),
        Command::Events(options) => commands::events::run(&options, &interrupt),
        Command::Evaluate(options) => commands::evaluate::run(&options, &interrupt),
        #[cfg(feature = "engine")]
        Command::Query(options) => commands::query::run(&options, &place, &interrupt),
        Command::Generate(options) => commands::generate::run(&options, &interrupt),
        Command::Merge(options) => commands::merge::run(&options, &interrupt),
        Command::Import(options) => commands::import::run(&options, &interrupt),
        #[cfg(feature = "engine")]
        Command::Export(options) if options.format.is_tables() => commands::tables::run(&options, &place, &interrupt),
        Command::Export(options) => commands::export::run(&options, &interrupt),
        #[cfg(feature = "cluster")]
        Command::Cluster(options) => match options.role {
            cli::Role::Scheduler(options) => cluster::scheduler::run(&options, &interrupt),
            cli::Role::Executor(options) => cluster::executor::run(&options, &interrupt),
        },
        Command::Feeds(options) => commands::feeds::run(&options),
        Command::Ledger(options) => commands::ledger::run(&options),
    }
}
