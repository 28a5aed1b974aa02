//! The `probe` program: parses, starts the log, does the command, and turns how it ended into an exit code.

use std::process::ExitCode;

use clap::Parser;
use probe::cli::Cli;
use probe::commands;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    match commands::execute(cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            probe::report::say(format_args!("probe: {error}"));
            ExitCode::from(error.code())
        }
    }
}

/// Logs go to stderr; `FAULTLINE_LOG`, else `RUST_LOG`, chooses what. Warnings by default: no target is named there.
fn start_log() {
    let filter = std::env::var("FAULTLINE_LOG").or_else(|_| std::env::var("RUST_LOG")).unwrap_or_default();
    let filter = if filter.is_empty() { "warn,hickory_resolver=error,hickory_net=error".to_owned() } else { filter };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
