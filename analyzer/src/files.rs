//! The databases that a command reads: one at a time, each one that cannot be read named with its reason.

use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use faultline_record::{Reader, RecordError};

use crate::evaluate::label::below;
use crate::exit::{AnalyzerError, Exit};

/// Why reading ended before the last file.
#[derive(Debug)]
pub enum Stop {
    /// A signal came.
    Interrupted,
    /// The output cannot be written.
    Output(io::Error),
}

impl Stop {
    /// How the command ends.
    pub fn end(self) -> Result<Exit, AnalyzerError> {
        match self {
            Self::Interrupted => Ok(Exit::Interrupted),
            Self::Output(error) => Err(error.into()),
        }
    }
}

/// Databases, and those below folders.
pub fn databases(paths: &[PathBuf]) -> Result<Vec<PathBuf>, AnalyzerError> {
    let is_database = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "sqlite");
    let mut files = Vec::new();
    for path in paths {
        let found = below(path, is_database).map_err(AnalyzerError::Nothing)?;
        if found.is_empty() {
            return Err(AnalyzerError::Nothing(format!("no *.sqlite in {} or below", path.display())));
        }
        files.extend(found);
    }
    Ok(files)
}

/// The files of a command line.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    named: usize,
    opened: bool,
}

impl Files {
    /// Those files, in that order.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { named: paths.len(), paths, opened: false }
    }

    /// Visits one file after the other; while one is visited the next is opened and checked. One that cannot be read to
    /// its end is named, and left out from then on.
    pub fn each(&mut self, mut visit: impl FnMut(&Reader) -> Result<Option<Stop>, RecordError>) -> Result<(), Stop> {
        let paths = std::mem::take(&mut self.paths);
        thread::scope(|scope| {
            let open = |path: PathBuf| scope.spawn(move || Reader::open(&path));
            let mut ahead = paths.first().cloned().map(open);
            for (path, next) in paths.iter().zip(1..) {
                let opened = match ahead.take().map(ScopedJoinHandle::join) {
                    Some(Ok(opened)) => opened,
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                    None => Reader::open(path),
                };
                ahead = paths.get(next).cloned().map(open);
                self.opened |= opened.is_ok();
                match opened.and_then(|reader| visit(&reader)) {
                    Ok(None) => self.paths.push(path.clone()),
                    Ok(Some(stop)) => return Err(stop),
                    Err(error) => crate::say(&error.to_string()),
                }
            }
            Ok(())
        })
    }

    /// Files that could be read to their end so far.
    pub fn sound(&self) -> usize {
        self.paths.len()
    }

    /// How a command ends that has read them all.
    pub fn exit(&self) -> Exit {
        match (self.opened, self.paths.len() == self.named) {
            (false, _) => Exit::Nothing,
            (true, false) => Exit::Storage,
            (true, true) => Exit::Done,
        }
    }
}
