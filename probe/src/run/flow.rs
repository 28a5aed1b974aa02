//! The loop of a run: begins targets while it may, takes their measurements, stops when it must.

use std::sync::atomic::Ordering;
use std::time::Duration;

use faultline_record::{Entry, Measurement, RunEnd, Target};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Parts;
use super::account::Account;
use super::progress::Progress;
use super::stop::Bounds;
use crate::health::lets_targets_begin;
use crate::measure::measure;

/// How long a run waits for a network that went away.
const PATIENCE: Duration = Duration::from_mins(1);
/// Limits and patience are looked at this often when nothing else happens.
const TICK: Duration = Duration::from_millis(500);

/// One pass over the targets.
pub(super) struct Flow<'a> {
    parts: &'a Parts,
    targets: &'a [Target],
    next: usize,
    bounds: Bounds,
    progress: &'a Progress,
    account: Account,
    end: Option<RunEnd>,
    /// Since when targets are held back for want of a network.
    gone_since: Option<Instant>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(parts: &'a Parts, targets: &'a [Target], bounds: Bounds, progress: &'a Progress) -> Self {
        let account = Account::new(targets.len());
        Self { parts, targets, next: 0, bounds, progress, account, end: None, gone_since: None }
    }

    /// The count so far.
    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// Targets that were not begun.
    pub(super) fn remaining(&self) -> &'a [Target] {
        &self.targets[self.next..]
    }

    /// Measures until all is done or something ends it. Nothing is under way any more when it returns.
    pub(super) async fn go(&mut self) -> RunEnd {
        let mut under_way = JoinSet::new();
        let mut state = self.parts.monitor.state();
        let mut tick = tokio::time::interval(TICK);
        loop {
            let network = lets_targets_begin(*state.borrow_and_update());
            self.look_around(network);
            while network && self.may_begin(under_way.len()) {
                self.begin(&mut under_way);
                self.look_around(network);
            }
            if under_way.is_empty() && (self.end.is_some() || self.remaining().is_empty()) {
                return self.end.unwrap_or(RunEnd::Completed);
            }
            tokio::select! {
                Some(done) = under_way.join_next() => self.take(done).await,
                () = self.parts.throttle.changed() => {}
                Ok(()) = state.changed() => {}
                () = self.parts.context.cancel.cancelled(), if self.end.is_none() => {}
                _ = tick.tick() => {}
            }
        }
    }

    /// Finds a reason to begin no more targets.
    fn look_around(&mut self, network: bool) {
        if self.end.is_some() {
            return;
        }
        let waiting = !network && !self.remaining().is_empty();
        self.gone_since = waiting.then(|| self.gone_since.unwrap_or_else(Instant::now));
        self.end = if self.parts.writer.failed() {
            // What is under way could not be stored: it is not worth its packets.
            self.parts.context.cancel.cancel();
            Some(RunEnd::Storage)
        } else if self.parts.context.cancel.is_cancelled() {
            Some(RunEnd::Interrupted)
        } else if self.remaining().is_empty() {
            None
        } else if self.gone_since.is_some_and(|since| since.elapsed() > PATIENCE) {
            Some(RunEnd::NoNetwork)
        } else {
            self.bounds.reached(self.parts.context.clock, &self.parts.meter)
        };
    }

    fn may_begin(&self, under_way: usize) -> bool {
        // Who rests sends nothing and waits for nothing.
        let busy = under_way.saturating_sub(self.parts.context.resting.load(Ordering::Relaxed));
        self.end.is_none() && !self.remaining().is_empty() && busy < self.parts.throttle.allowed()
    }

    fn begin(&mut self, under_way: &mut JoinSet<Measurement>) {
        let (drive, context) = (self.parts.drive.clone(), self.parts.context.clone());
        let target = self.targets[self.next].clone();
        self.next += 1;
        self.account.begin();
        self.parts.throttle.targets_begun(self.account.begun());
        under_way.spawn(async move { measure(&drive, &target, context).await });
    }

    async fn take(&mut self, done: Result<Measurement, JoinError>) {
        self.progress.one_more();
        match done {
            Ok(measurement) => {
                self.account.measured();
                self.parts.monitor.note(&measurement, self.parts.context.clock.now_ms());
                // A failure of storage is seen by `look_around`; the writer keeps the entry.
                let _ = self.parts.writer.write(Entry::Measurement(measurement)).await;
            }
            Err(error) => tracing::error!("a measurement ended by a bug: {error}"),
        }
    }
}
