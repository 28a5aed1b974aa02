//! Feeds of others into a database: each text whole, a row of the ledger for each file.

use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;

use faultline_record::feed_text::{self, FeedRead, Hints};
use faultline_record::foreign::LONGEST_OBJECT;
use faultline_record::{Database, Intake, IntakeKind, RecordError, Stored};

use super::account::Account;
use super::intake;
use super::sources::{self, Content, Sink};
use super::values::Found;
use crate::interrupt::Interrupt;

pub(super) fn import(
    database: &mut Database,
    inputs: &[PathBuf],
    name: &'static str,
    hints: &Hints,
    interrupt: &Interrupt,
) -> Result<Account, RecordError> {
    let account = Account::new(name);
    let mut feeds = Feeds { database, name, hints, interrupt, account, file: (Stored::default(), 0), failed: None };
    let _ = inputs.iter().try_for_each(|input| sources::read(input, &mut feeds));
    feeds.failed.map_or(Ok(feeds.account), Err)
}

struct Feeds<'a> {
    database: &'a mut Database,
    name: &'static str,
    hints: &'a Hints,
    interrupt: &'a Interrupt,
    account: Account,
    /// What was stored of the file at hand, and how many of its texts were refused.
    file: (Stored, u64),
    failed: Option<RecordError>,
}

impl Feeds<'_> {
    fn refuse(&mut self, input: &str, why: &str) {
        self.file.1 += 1;
        self.account.refuse(input, None, why);
    }

    fn store(&mut self, FeedRead { feed, oddities }: FeedRead) -> Result<(), RecordError> {
        let stored = self.database.insert_feed(&feed)?;
        self.account.took_feed(&feed, stored);
        self.account.odd.extend(oddities);
        let (file, _) = &mut self.file;
        file.found += stored.found;
        file.added += stored.added;
        file.conflicting += stored.conflicting;
        Ok(())
    }
}

impl Sink for Feeds<'_> {
    fn found(&mut self, _input: &str, _found: Found<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn text(&mut self, name: &str, input: &mut dyn BufRead) -> io::Result<ControlFlow<()>> {
        if self.interrupt.came() {
            return Ok(ControlFlow::Break(()));
        }
        let mut text = Vec::new();
        input.take(LONGEST_OBJECT as u64 + 1).read_to_end(&mut text)?;
        self.account.bytes += text.len() as u64;
        if text.len() > LONGEST_OBJECT {
            return Err(io::Error::other(format!(
                "it is longer than {} MiB, the most that is read",
                LONGEST_OBJECT >> 20
            )));
        }
        match feed_text::read(&text, self.hints) {
            Err(refusal) => self.refuse(name, &refusal.to_string()),
            Ok(read) => {
                if let Err(error) = self.store(read) {
                    self.failed = Some(error);
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn ended(&mut self, name: &str, content: Content) -> ControlFlow<()> {
        let (Stored { found, added, conflicting }, refused) = std::mem::take(&mut self.file);
        let intake =
            Intake { found, added, conflicting, refused, ..intake(IntakeKind::Import, self.name, name, content) };
        match self.database.note_intake(&intake) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn unreadable(&mut self, input: &str, why: &str) {
        self.refuse(input, why);
    }
}
