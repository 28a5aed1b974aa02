//! The rows of a measurement as they come, and what can cut it short.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faultline_record::{NotRun, Observation, Outcome, Purpose, StepData};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Characters of a failure's words that are kept: libraries pass on what a peer wrote.
const DETAIL: usize = 500;

/// Rows in the making: numbered when a step starts, kept when it ends.
#[derive(Debug)]
pub(super) struct Log {
    start: Instant,
    seq: AtomicU32,
    connections: AtomicU32,
    rows: Mutex<Vec<Observation>>,
}

/// A step that has started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    seq: u32,
    t0_ms: f64,
}

/// Which round a step belongs to, and over which connection it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) hop: u16,
    pub(super) purpose: Purpose,
    pub(super) connection: Option<u32>,
    pub(super) address: Option<SocketAddr>,
    /// Time to live, where it is set.
    pub(super) ttl: Option<u8>,
}

impl Log {
    pub(super) fn start() -> Self {
        let (seq, connections) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { start: Instant::now(), seq, connections, rows: Mutex::default() }
    }

    /// A step starts now.
    pub(super) fn begin(&self) -> Ticket {
        Ticket { seq: self.seq.fetch_add(1, Ordering::Relaxed) + 1, t0_ms: self.now_ms() }
    }

    /// A number for a connection.
    pub(super) fn connection(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A step ends now.
    pub(super) fn end(&self, ticket: Ticket, place: Place, outcome: Outcome, detail: Option<String>, data: StepData) {
        let row = Observation {
            seq: ticket.seq,
            hop: place.hop,
            purpose: place.purpose,
            connection: place.connection,
            t0_ms: ticket.t0_ms,
            t_ms: self.now_ms(),
            outcome,
            detail: detail.map(|words| words.chars().take(DETAIL).collect()),
            address: place.address.map(|address| address.ip()),
            port: place.address.map(|address| address.port()),
            ttl: place.ttl,
            data,
        };
        self.rows().push(row);
    }

    /// A step is not made at all.
    pub(super) fn skip(&self, place: Place, reason: NotRun, data: StepData) {
        let ticket = self.begin();
        let now = Ticket { t0_ms: self.now_ms(), ..ticket };
        self.end(now, place, Outcome::NotRun(reason), None, data);
    }

    /// How many rows there are so far.
    pub(super) fn count(&self) -> usize {
        self.rows().len()
    }

    /// A look at the rows so far, in the order in which they ended.
    pub(super) fn look<T>(&self, at: impl FnOnce(&[Observation]) -> T) -> T {
        at(&self.rows())
    }

    /// All rows by number.
    pub(super) fn take(&self) -> Vec<Observation> {
        let mut rows = std::mem::take(&mut *self.rows());
        rows.sort_by_key(|row| row.seq);
        rows
    }

    /// Milliseconds since the measurement began.
    pub(super) fn now_ms(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1_000.0
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Observation>> {
        // Rows are pushed whole: a panic elsewhere cannot have torn one.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What cuts a measurement short: the run's end, and the target's own deadline.
#[derive(Debug)]
pub(super) struct Cut {
    cancel: CancellationToken,
    deadline: Mutex<Instant>,
}

impl Cut {
    pub(super) fn new(cancel: CancellationToken, limit: Duration) -> Self {
        Self { cancel, deadline: Mutex::new(Instant::now() + limit) }
    }

    /// Puts the deadline off.
    pub(super) fn put_off(&self, time: Duration) {
        *self.deadline() += time;
    }

    fn deadline(&self) -> MutexGuard<'_, Instant> {
        // One assignment: a panic elsewhere cannot have torn it.
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something unless, or until, the measurement is cut short. What was under way is dropped: it was not run
    /// to its end, and that is no failure of the target's.
    pub(super) async fn guard<T>(&self, work: impl Future<Output = T>) -> Result<T, NotRun> {
        let deadline = *self.deadline();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(NotRun::Interrupted),
            () = tokio::time::sleep_until(deadline) => Err(NotRun::TargetDeadline),
            done = work => Ok(done),
        }
    }
}
