//! Inputs opened and checked one ahead: while one is merged, another thread looks at the next.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use crate::content;
use crate::error::RecordError;
use crate::reader::Reader;

/// An input that was opened and checked.
pub(super) struct Opened {
    pub(super) reader: Reader,
    /// Its hash, and of how many bytes.
    pub(super) content: ([u8; 32], u64),
}

/// Hands over one input after the other, in their order, until the visitor breaks off; gives back what it broke off with.
pub(super) fn each<B>(
    inputs: &[PathBuf],
    mut visit: impl FnMut(&Path, Result<Opened, RecordError>) -> ControlFlow<B>,
) -> Option<B> {
    thread::scope(|scope| {
        let open = |file: &'_ PathBuf| {
            let file = file.clone();
            scope.spawn(move || open(&file))
        };
        let mut next = inputs.first().map(open);
        for (file, following) in inputs.iter().zip(1..) {
            let opened = match next.take().map(ScopedJoinHandle::join)? {
                Ok(opened) => opened,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            next = inputs.get(following).map(open);
            if let ControlFlow::Break(end) = visit(file, opened) {
                return Some(end);
            }
        }
        None
    })
}

fn open(file: &Path) -> Result<Opened, RecordError> {
    let reader = Reader::open_to_follow(file)?;
    // Before the input is held at one moment: what is merged is then never older than what the ledger knows it by.
    let content = content::of_database(file).map_err(|error| RecordError::from_io(file, error))?;
    Ok(Opened { reader, content })
}
