//! The ledger: what came into a file from which other file.

use super::ids::RunId;
use super::time::Timestamp;
use crate::names::named;

named! {
    /// How something came into a file.
    pub enum IntakeKind {
        /// A database of ours was merged.
        Merge = "merge",
        /// Another tool's file was imported.
        Import = "import",
        /// Texts that are kept here were read again by another importer.
        Again = "again",
    }
}

/// What came from one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// What was done.
    pub kind: IntakeKind,
    /// `faultline`, or the format of an import.
    pub format: String,
    /// The file's name, without its folders.
    pub name: String,
    /// SHA-256 of what was read of it.
    pub sha256: [u8; 32],
    /// How many bytes that were.
    pub bytes: u64,
    /// Wall clock at the end.
    pub at: Timestamp,
    /// Version of the software that did it.
    pub software_version: String,
    /// What was found in it: measurements, or a feed's values and announcements.
    pub found: u64,
    /// Of those, the ones that were added.
    pub added: u64,
    /// Of those, the ones that contradict what was there.
    pub conflicting: u64,
    /// What was refused as broken.
    pub refused: u64,
    /// Runs whose measurements were added, with how many.
    pub runs: Vec<(RunId, u64)>,
}

/// The text of an imported measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawText {
    /// Its format, as in an origin.
    pub format: String,
    /// Where it stood, as far as its reading depends on that; else empty.
    pub place: String,
    /// The text.
    pub text: Vec<u8>,
}
