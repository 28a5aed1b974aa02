//! The one thread that writes: network tasks hand entries over and go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::database::Database;
use crate::error::RecordError;
use crate::model::{HealthCheck, Measurement, PaceMark, RunId};

/// Something to store.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every entry is a measurement: a box would only be one more allocation"
)]
pub enum Entry {
    /// A measurement.
    Measurement(Measurement),
    /// A check of the vantage.
    Health(HealthCheck),
    /// A stretch in which the pacing canary failed.
    Pace(RunId, PaceMark),
}

/// Storage failed. The entry that met this is not lost: [`Writer::finish`] gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database cannot be written any more")]
pub struct WriterStopped;

/// What is left when a writer is done.
#[derive(Debug)]
pub struct WriterReport {
    /// The database, unless the thread died of a bug.
    pub database: Option<Database>,
    /// The first error of storage, after which nothing was written any more.
    pub error: Option<RecordError>,
    /// What could not be stored, in order: the entry that met the error and everything after it.
    pub unsaved: Vec<Entry>,
}

/// Hands entries to the thread that stores them, one transaction each, in order.
#[derive(Debug)]
pub struct Writer {
    queue: mpsc::Sender<Entry>,
    failed: Arc<AtomicBool>,
    refused: Mutex<Vec<Entry>>,
    thread: Option<JoinHandle<WriterReport>>,
}

impl Writer {
    /// Starts the thread, with room for `capacity` (at least 1) entries that wait.
    pub fn start(database: Database, capacity: usize) -> Self {
        let (queue, entries) = mpsc::channel(capacity.max(1));
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        let thread = thread::Builder::new().name("record-writer".into()).spawn(move || store(database, entries, &flag));
        failed.fetch_or(thread.is_err(), Ordering::Relaxed);
        Self { queue, failed, refused: Mutex::default(), thread: thread.ok() }
    }

    /// Hands an entry over; waits only while the queue is full. After an error of storage every call says so, and the
    /// entry is kept for [`Writer::finish`].
    pub async fn write(&self, entry: Entry) -> Result<(), WriterStopped> {
        if let Err(mpsc::error::SendError(entry)) = self.queue.send(entry).await {
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
            return Err(WriterStopped);
        }
        if self.failed() { Err(WriterStopped) } else { Ok(()) }
    }

    /// Whether storage has failed. Entries that are still in the queue may be about to fail.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits until everything handed over is stored (or has failed). Blocks the thread that calls it.
    pub fn finish(self) -> WriterReport {
        drop(self.queue);
        let ended = self.thread.and_then(|thread| thread.join().ok());
        let mut report = ended.unwrap_or(WriterReport { database: None, error: None, unsaved: Vec::new() });
        report.unsaved.extend(self.refused.into_inner().unwrap_or_else(PoisonError::into_inner));
        report
    }
}

/// Stores until the queue ends; after the first error it only collects.
fn store(database: Database, mut entries: mpsc::Receiver<Entry>, failed: &AtomicBool) -> WriterReport {
    let mut database = database;
    let mut error = None;
    let mut unsaved = Vec::new();
    while let Some(entry) = entries.blocking_recv() {
        if error.is_none() {
            error = store_one(&mut database, &entry).err();
            failed.store(error.is_some(), Ordering::Relaxed);
        }
        if error.is_some() {
            unsaved.push(entry);
        }
    }
    WriterReport { database: Some(database), error, unsaved }
}

fn store_one(database: &mut Database, entry: &Entry) -> Result<(), RecordError> {
    match entry {
        Entry::Measurement(measurement) => database.insert_measurement(measurement),
        Entry::Health(check) => database.insert_health(check),
        Entry::Pace(run, mark) => database.insert_pace_mark(*run, mark),
    }
}
