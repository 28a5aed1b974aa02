//! Measurements of other tools', from files and archives of any layout, into a database of ours. Streaming: one measurement and one
//! batch are in memory, whatever the size of the input.

mod ledger;
mod sources;
mod values;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use faultline_record::{Database, Import, RecordError, ooni};

use crate::interrupt::Interrupt;
use crate::progress::Progress;

pub use ledger::Ledger;
use sources::Sink;
use values::Found;

/// Measurements that are stored in one transaction.
const BATCH: usize = 256;
/// Bytes of text whose measurements are stored in one transaction.
const BATCH_BYTES: usize = 16 << 20;

/// Reads all inputs into a database. What was stored before an error or a signal stays.
pub fn import(database: &mut Database, inputs: &[PathBuf], interrupt: &Interrupt) -> Result<Ledger, RecordError> {
    let begun = Instant::now();
    let mut importer = Importer {
        database,
        interrupt,
        progress: Progress::counting("measurements read"),
        ledger: Ledger::new(),
        batch: Vec::new(),
        bytes: 0,
        failed: None,
    };
    let _ = inputs.iter().try_for_each(|input| sources::read(input, &mut importer));
    let _ = importer.flush();
    let Importer { mut ledger, failed, .. } = importer;
    ledger.took_time(begun.elapsed());
    failed.map_or(Ok(ledger), Err)
}

struct Importer<'a> {
    database: &'a mut Database,
    interrupt: &'a Interrupt,
    progress: Progress,
    ledger: Ledger,
    batch: Vec<Import>,
    bytes: usize,
    failed: Option<RecordError>,
}

impl Importer<'_> {
    fn flush(&mut self) -> ControlFlow<()> {
        let stored = if self.failed.is_none() { self.database.insert_imports(&self.batch) } else { Ok(0) };
        self.batch.clear();
        self.bytes = 0;
        match stored {
            Ok(new) => {
                self.ledger.new += new;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Sink for Importer<'_> {
    fn found(&mut self, input: &str, found: Found<'_>) -> ControlFlow<()> {
        if self.interrupt.came() {
            return ControlFlow::Break(());
        }
        let (line, text) = match found {
            Found::Object(line, text) => (line, text),
            Found::Bad(line, why) => {
                self.ledger.refuse(input, Some(line), &why);
                return ControlFlow::Continue(());
            }
        };
        self.ledger.bytes += text.len() as u64;
        match ooni::read(text) {
            Ok(read) => {
                self.progress.step();
                self.ledger.took(&read.import);
                self.ledger.odd.extend(read.oddities);
                self.batch.push(read.import);
                self.bytes += text.len();
            }
            Err(refusal) => self.ledger.refuse(input, Some(line), &refusal.to_string()),
        }
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush() } else { ControlFlow::Continue(()) }
    }

    fn unreadable(&mut self, input: &str, why: &str) {
        self.ledger.refuse(input, None, why);
    }
}
