//! The databases that a command reads: one at a time, each one that cannot be read named with its reason.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use faultline_record::{Checked, Reader, RecordError};

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

/// Databases, and those below folders; a folder without any stands for itself, and is named where it cannot be read.
pub fn databases(paths: &[PathBuf]) -> Result<Vec<PathBuf>, AnalyzerError> {
    let is_database = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "sqlite");
    let mut files = Vec::new();
    for path in paths {
        let found = below(path, is_database).map_err(AnalyzerError::Nothing)?;
        files.extend(if found.is_empty() { vec![path.clone()] } else { found });
    }
    Ok(files)
}

/// The files of a command line.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    named: usize,
    opened: bool,
    /// Those that were checked in an earlier reading, and are read where they lie.
    checked: HashMap<PathBuf, Checked>,
}

impl Files {
    /// Those files, and those below folders, in that order.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(paths: &[PathBuf]) -> Result<Self, AnalyzerError> {
        Ok(Self::new(databases(paths)?))
    }

    /// Those files, in that order.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { named: paths.len(), paths, opened: false, checked: HashMap::new() }
    }

    /// Visits one file after the other; while one is visited the next is opened, and checked if it was not in an earlier reading.
    /// One that cannot be read to its end is named, and left out from then on.
    pub fn each(&mut self, mut visit: impl FnMut(&Reader) -> Result<Option<Stop>, RecordError>) -> Result<(), Stop> {
        let (paths, mut checked) = (std::mem::take(&mut self.paths), std::mem::take(&mut self.checked));
        thread::scope(|scope| {
            let mut open = |path: PathBuf| {
                let known = checked.remove(&path);
                scope.spawn(move || known.map_or_else(|| Reader::open(&path), |checked| checked.open()))
            };
            let mut ahead = paths.first().cloned().map(&mut open);
            for (path, next) in paths.iter().zip(1..) {
                let opened = match ahead.take().map(ScopedJoinHandle::join) {
                    Some(Ok(opened)) => opened,
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                    None => Reader::open(path),
                };
                ahead = paths.get(next).cloned().map(&mut open);
                self.opened |= opened.is_ok();
                let again = opened.as_ref().ok().map(Reader::checked).filter(|checked| !checked.is_copy());
                match opened.and_then(|reader| visit(&reader)) {
                    Ok(None) => {
                        self.checked.extend(again.map(|again| (path.clone(), again)));
                        self.paths.push(path.clone());
                    }
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
