//! `analyzer import`: other tools' measurements and feeds into a database of ours. Importing the same file again adds nothing.

use std::io::{self, Write};

use faultline_record::feed_text::Hints;
use faultline_record::{Database, Place, SeriesKind};

use crate::cli::{ImportArgs, ImportFormat};
use crate::exit::{AnalyzerError, Exit};
use crate::import::{Account, Format, again, import};
use crate::interrupt::Interrupt;
use crate::say;

/// Imports, and says what came of it.
pub fn run(options: &ImportArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let format = format(options)?;
    let mut database = Database::open_or_create(&options.db)?;
    let account = match &format {
        Some(format) => {
            let keeps = !options.no_raw.unwrap_or_default();
            import(&mut database, &options.inputs, format, keeps, interrupt)?
        }
        None => again(&mut database, &options.inputs, interrupt)?,
    };
    say(&account.text());
    if options.json.unwrap_or_default() {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &account).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(exit(&account, interrupt.came()))
}

/// What is imported; `None`: what databases keep, again.
fn format(options: &ImportArgs) -> Result<Option<Format>, AnalyzerError> {
    let place = Place { country: options.country.clone(), region: options.region.clone(), asn: options.asn };
    let of_feed = place != Place::default() || options.source.is_some() || options.unit.is_some();
    let is_feed = matches!(options.format, Some(ImportFormat::Outages | ImportFormat::Demand));
    if of_feed && !is_feed {
        let words = "--country, --region, --asn, --source and --unit say what a feed does not: they go with --format outages or demand";
        return Err(AnalyzerError::Usage(words.into()));
    }
    let feed = |name, kind| {
        Format::Feed(name, Hints { kind, source: options.source.clone(), place, unit: options.unit.clone() })
    };
    Ok(options.format.map(|format| match format {
        ImportFormat::Ooni => Format::Ooni,
        ImportFormat::CensoredPlanet => Format::CensoredPlanet,
        ImportFormat::Outages => feed("outages", SeriesKind::Connectivity),
        ImportFormat::Demand => feed("demand", SeriesKind::Demand),
    }))
}

fn exit(account: &Account, interrupted: bool) -> Exit {
    match (account.read, account.refused_in_all) {
        _ if interrupted => Exit::Interrupted,
        (0, _) => Exit::Nothing,
        (_, 0) => Exit::Done,
        (_, _) => Exit::Storage,
    }
}
