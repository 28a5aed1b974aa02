//! `analyzer import`: another tool's measurements into a database of ours. Importing the same file again adds nothing.

use std::io::{self, Write};

use faultline_record::Database;

use crate::cli::ImportArgs;
use crate::exit::{AnalyzerError, Exit};
use crate::import::{Ledger, import};
use crate::interrupt::Interrupt;
use crate::say;

/// Imports, and says what came of it.
pub fn run(options: &ImportArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let mut database = Database::open_or_create(&options.db)?;
    let ledger = import(&mut database, &options.inputs, interrupt)?;
    say(&ledger.text());
    if options.json.unwrap_or_default() {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &ledger).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(exit(&ledger, interrupt.came()))
}

fn exit(ledger: &Ledger, interrupted: bool) -> Exit {
    match (ledger.read, ledger.refused_in_all) {
        _ if interrupted => Exit::Interrupted,
        (0, _) => Exit::Nothing,
        (_, 0) => Exit::Done,
        (_, _) => Exit::Storage,
    }
}
