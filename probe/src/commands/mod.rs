//! What each command does, from what was typed to an exit code.

mod targets;

use crate::cli::config::ConfigFile;
use crate::cli::{Cli, Command};
use crate::error::{Exit, ProbeError};

/// Does what was asked.
pub fn execute(cli: Cli) -> Result<Exit, ProbeError> {
    let config = ConfigFile::load(cli.config.as_deref())?;
    match cli.command {
        Command::Targets(command) => targets::execute(&config, command),
        _ => Err(ProbeError::Internal("not yet".into())),
    }
}
