//! Other tools' data, from files and archives of any layout, into a database of ours. Streaming: one measurement and one batch are in
//! memory, whatever the size of the input; a feed, which is small, is read whole.

mod account;
mod feeds;
mod measurements;
mod sources;
mod values;

use std::path::{Path, PathBuf};
use std::time::Instant;

use faultline_record::feed_text::Hints;
use faultline_record::{Database, Intake, IntakeKind, Reader, RecordError, Timestamp};

use crate::interrupt::Interrupt;

pub use account::Account;
use measurements::Importer;
use sources::Content;

/// What is imported, and how.
#[derive(Clone, Debug)]
pub enum Format {
    /// OONI Probe's measurements.
    Ooni,
    /// Censored Planet's.
    CensoredPlanet,
    /// A feed of somebody's, with what its texts do not say.
    Feed(&'static str, Hints),
}

impl Format {
    /// Its name, as it stands in origins and in the ledger.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ooni => "ooni",
            Self::CensoredPlanet => "censored-planet",
            Self::Feed(name, _) => name,
        }
    }

    /// The format of measurements of that name.
    fn of_measurements(name: &str) -> Option<Self> {
        [Self::Ooni, Self::CensoredPlanet].into_iter().find(|format| format.name() == name)
    }
}

/// Reads all inputs into a database. What was stored before an error or a signal stays. `keeps` says whether texts of measurements are kept.
pub fn import(
    database: &mut Database,
    inputs: &[PathBuf],
    format: &Format,
    keeps: bool,
    interrupt: &Interrupt,
) -> Result<Account, RecordError> {
    let begun = Instant::now();
    database.expect_much()?;
    let mut account = if let Format::Feed(name, hints) = format {
        feeds::import(database, inputs, name, hints, interrupt)?
    } else {
        let mut importer = Importer::new(database, format.clone(), keeps, interrupt);
        let _ = inputs.iter().try_for_each(|input| sources::read(input, &mut importer));
        importer.finish()?
    };
    account.took_time(begun.elapsed());
    Ok(account)
}

/// Reads again, with the importers of this version, the texts that databases keep; what those made of them then is left as it was.
pub fn again(database: &mut Database, inputs: &[PathBuf], interrupt: &Interrupt) -> Result<Account, RecordError> {
    let begun = Instant::now();
    database.expect_much()?;
    let mut importer = Importer::new(database, Format::Ooni, true, interrupt);
    let _ = inputs.iter().try_for_each(|input| {
        let name = input.display().to_string();
        match Reader::open(input).and_then(|reader| reader.each_raw_text(|raw| importer.kept(&name, &raw))) {
            Ok(()) => importer.read_again(&name),
            Err(error) => importer.unreadable_again(&name, &error.to_string()),
        }
    });
    let mut account = importer.finish()?;
    account.took_time(begun.elapsed());
    Ok(account)
}

/// What the ledger is to say of one file.
fn intake(kind: IntakeKind, format: &str, name: &str, content: Content) -> Intake {
    let last = Path::new(name).file_name().map_or_else(|| name.to_owned(), |last| last.to_string_lossy().into_owned());
    Intake {
        kind,
        format: format.to_owned(),
        name: last,
        sha256: content.sha256,
        bytes: content.bytes,
        at: Timestamp::now(),
        software_version: env!("CARGO_PKG_VERSION").into(),
        found: 0,
        added: 0,
        conflicting: 0,
        refused: 0,
        runs: Vec::new(),
    }
}
