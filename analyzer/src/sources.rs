//! Many files read side by side: each opened and checked once, and of what stands in several files one copy counted, the
//! one in the file that was named first.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use faultline_record::{Checked, Reader, RecordError, Sliced};

use crate::threads::side_by_side;

/// A file that is sound, and what of it is left to others.
#[derive(Debug)]
pub struct Source {
    /// For opening it.
    pub checked: Checked,
    /// Ids of measurements and checks that a file named earlier holds as well.
    pub without: HashSet<[u8; 16]>,
}

/// The sound ones among some files, in the order in which they were named, and what is wrong with each other one.
#[derive(Debug, Default)]
pub struct Sources {
    /// Sound ones.
    pub sound: Vec<Source>,
    /// One error for each other file.
    pub refused: Vec<RecordError>,
}

impl Sources {
    /// Opens and checks files, several at a time; of no more than these are connections held.
    pub fn open(paths: &[PathBuf]) -> Self {
        let mut sources = Self::default();
        // A single file cannot repeat itself.
        let several = paths.len() > 1;
        let mut known = HashSet::new();
        for outcome in side_by_side(paths, |path| Ids::of(path, several)) {
            match outcome {
                Ok(Ids { checked, ids }) => {
                    let without = ids.into_iter().filter(|id| !known.insert(*id)).collect();
                    sources.sound.push(Source { checked, without });
                }
                Err(error) => sources.refused.push(error),
            }
        }
        sources
    }
}

/// A checked file and the ids in it: 16 octets each, which is all that is kept of what was read.
struct Ids {
    checked: Checked,
    ids: Vec<[u8; 16]>,
}

impl Ids {
    fn of(path: &Path, wanted: bool) -> Result<Self, RecordError> {
        let reader = Reader::open(path)?;
        let mut ids = Vec::new();
        if wanted {
            reader.each_id(Sliced::Measurements, |id| ids.push(id))?;
            reader.each_id(Sliced::HealthChecks, |id| ids.push(id))?;
        }
        Ok(Self { checked: reader.checked(), ids })
    }
}
