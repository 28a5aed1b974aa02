//! What each command does, from what was typed to an exit code.

mod helper;
mod measure;
mod results;
mod targets;

use crate::cli::config::ConfigFile;
use crate::cli::{Cli, Command};
use crate::error::{Exit, ProbeError};

/// Does what was asked.
pub fn execute(cli: Cli) -> Result<Exit, ProbeError> {
    let config = ConfigFile::load(cli.config.as_deref())?;
    match cli.command {
        Command::Run { lists, measure, store, output } => {
            measure::run(&config, lists, measure::Given { measure, store, output })
        }
        Command::Check { inputs, measure, store, output } => {
            measure::check(&config, inputs, measure::Given { measure, store, output })
        }
        Command::Results(command) => results::execute(&config, command),
        Command::Targets(command) => targets::execute(&config, command),
        Command::Helper(command) => helper::execute(command),
    }
}
