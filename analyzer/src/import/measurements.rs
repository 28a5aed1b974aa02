//! Measurements one by one into a database, in batches; a row of the ledger for each file that was read to its end.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::ops::ControlFlow;

use faultline_record::censored_planet::{self, Object};
use faultline_record::foreign::{Read, Refusal};
use faultline_record::{Database, Import, Intake, IntakeKind, RawText, RecordError, RunId, ooni};
use sha2::{Digest, Sha256};

use super::account::Account;
use super::sources::{self, Content, Sink};
use super::values::Found;
use super::{Format, intake};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Measurements that are stored in one transaction.
const BATCH: usize = 256;
/// Bytes of text whose measurements are stored in one transaction.
const BATCH_BYTES: usize = 16 << 20;

/// The import at work.
pub(super) struct Importer<'a> {
    database: &'a mut Database,
    format: Format,
    keeps: bool,
    interrupt: &'a Interrupt,
    progress: Progress,
    account: Account,
    batch: Vec<Import>,
    bytes: usize,
    file: File,
    failed: Option<RecordError>,
}

/// What came of the file at hand.
#[derive(Default)]
struct File {
    found: u64,
    added: u64,
    refused: u64,
    runs: BTreeMap<RunId, u64>,
    /// Of texts that are read again: their hashes, one after the other.
    hash: Sha256,
    bytes: u64,
}

impl<'a> Importer<'a> {
    pub(super) fn new(database: &'a mut Database, format: Format, keeps: bool, interrupt: &'a Interrupt) -> Self {
        Self {
            database,
            account: Account::new(format.name()),
            format,
            keeps,
            interrupt,
            progress: Progress::counting("measurements read"),
            batch: Vec::new(),
            bytes: 0,
            file: File::default(),
            failed: None,
        }
    }

    /// Stores what is left.
    pub(super) fn finish(mut self) -> Result<Account, RecordError> {
        let _ = self.flush();
        self.failed.map_or(Ok(self.account), Err)
    }

    fn flush(&mut self) -> ControlFlow<()> {
        let stored = if self.failed.is_none() {
            self.database.insert_imports(&self.batch)
        } else {
            return ControlFlow::Break(());
        };
        self.batch.clear();
        self.bytes = 0;
        match stored {
            Ok(added) => {
                self.account.new += added.measurements;
                self.file.added += added.measurements;
                for (run, count) in added.runs {
                    *self.file.runs.entry(run).or_default() += count;
                }
                ControlFlow::Continue(())
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: RecordError) -> ControlFlow<()> {
        self.failed = Some(error);
        ControlFlow::Break(())
    }

    /// Ends a file: what is left of it is stored, and the ledger says what came of it.
    fn end_file(&mut self, kind: IntakeKind, name: &str, content: Content) -> ControlFlow<()> {
        self.flush()?;
        let File { found, added, refused, runs, .. } = std::mem::take(&mut self.file);
        let format = if kind == IntakeKind::Again { "faultline" } else { self.format.name() };
        let runs = runs.into_iter().collect();
        let intake = Intake { found, added, refused, runs, ..intake(kind, format, name, content) };
        match self.database.note_intake(&intake) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.fail(error),
        }
    }

    fn refuse(&mut self, input: &str, line: Option<u64>, why: &str) {
        self.file.refused += 1;
        self.account.refuse(input, line, why);
    }

    /// Reads one text. `place` is where it stood.
    fn take(&mut self, input: &str, line: Option<u64>, place: &str, text: &[u8]) -> ControlFlow<()> {
        self.account.bytes += text.len() as u64;
        let (read, kept_place) = match &self.format {
            Format::CensoredPlanet => match censored_planet::read(text, place) {
                Ok(Object::Beside(what)) => {
                    self.account.pass_over(what);
                    return ControlFlow::Continue(());
                }
                Ok(Object::Measurement(read)) => (Ok(*read), censored_planet::place_to_keep(place)),
                Err(refusal) => (Err(refusal), ""),
            },
            _ => (ooni::read(text), ""),
        };
        self.took(
            input,
            line,
            read,
            RawText { format: self.format.name().into(), place: kept_place.into(), text: Vec::new() },
            text,
        )
    }

    fn took(
        &mut self,
        input: &str,
        line: Option<u64>,
        read: Result<Read, Refusal>,
        raw: RawText,
        text: &[u8],
    ) -> ControlFlow<()> {
        let Read { mut import, oddities, may_be_kept } = match read {
            Ok(read) => read,
            Err(refusal) => {
                self.refuse(input, line, &refusal.to_string());
                return ControlFlow::Continue(());
            }
        };
        self.progress.step();
        self.account.took(&import);
        self.account.odd.extend(oddities);
        self.file.found += import.measurements.len() as u64;
        if self.keeps && may_be_kept {
            import.raw = Some(RawText { text: text.trim_ascii().to_vec(), ..raw });
        } else if self.keeps {
            self.account.not_kept += 1;
        }
        self.batch.push(import);
        self.bytes += text.len();
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush() } else { ControlFlow::Continue(()) }
    }

    /// Reads a text that a database keeps.
    pub(super) fn kept(&mut self, input: &str, raw: &RawText) -> ControlFlow<()> {
        if self.interrupt.came() {
            return ControlFlow::Break(());
        }
        self.file.hash.update(Sha256::digest(&raw.text));
        self.file.bytes += raw.text.len() as u64;
        let Some(format) = Format::of_measurements(&raw.format) else {
            self.refuse(
                input,
                None,
                &format!("a text of the format {:?}, which this version does not know", raw.format),
            );
            return ControlFlow::Continue(());
        };
        self.format = format;
        self.take(input, None, &raw.place, &raw.text)
    }

    /// A database's texts were read to their end.
    pub(super) fn read_again(&mut self, name: &str) -> ControlFlow<()> {
        if self.interrupt.came() || self.failed.is_some() {
            return ControlFlow::Break(());
        }
        let content = Content { sha256: std::mem::take(&mut self.file.hash).finalize().into(), bytes: self.file.bytes };
        self.end_file(IntakeKind::Again, name, content)
    }

    /// A database, or the rest of it, cannot be read.
    pub(super) fn unreadable_again(&mut self, name: &str, why: &str) -> ControlFlow<()> {
        self.refuse(name, None, why);
        self.flush()?;
        self.file = File::default();
        ControlFlow::Continue(())
    }
}

impl Sink for Importer<'_> {
    fn found(&mut self, input: &str, found: Found<'_>) -> ControlFlow<()> {
        if self.interrupt.came() {
            return ControlFlow::Break(());
        }
        match found {
            Found::Object(line, text) => self.take(input, Some(line), input, text),
            Found::Bad(line, why) => {
                self.refuse(input, Some(line), &why);
                ControlFlow::Continue(())
            }
        }
    }

    fn text(&mut self, name: &str, input: &mut dyn BufRead) -> io::Result<ControlFlow<()>> {
        sources::objects(name, input, self)
    }

    fn ended(&mut self, name: &str, content: Content) -> ControlFlow<()> {
        self.end_file(IntakeKind::Import, name, content)
    }

    fn unreadable(&mut self, input: &str, why: &str) {
        self.refuse(input, None, why);
    }
}
