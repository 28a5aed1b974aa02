//! Runs the pacing canary beside the targets, and does what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use faultline_record::{Entry, RunId, Writer};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::canary::{self, Action, Canary, Pacing};
use crate::clock::RunClock;
use crate::health::{Monitor, canary_answered};
use crate::meter::Meter;
use crate::pace::Pace;

/// What the loop over the targets obeys.
#[derive(Debug)]
pub struct Throttle {
    parallel: AtomicUsize,
    held: AtomicBool,
    changed: Notify,
    targets: Notify,
}

impl Throttle {
    /// At full parallelism.
    pub fn new(parallel: usize) -> Self {
        Self {
            parallel: AtomicUsize::new(parallel),
            held: AtomicBool::new(false),
            changed: Notify::new(),
            targets: Notify::new(),
        }
    }

    /// Targets that may be under way now; none while everything holds still.
    pub fn allowed(&self) -> usize {
        if self.held.load(Ordering::Relaxed) { 0 } else { self.parallel.load(Ordering::Relaxed) }
    }

    /// Returns when `allowed` may have changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// So many targets have been begun: a canary is due.
    pub fn targets_begun(&self, begun: u32) {
        if begun.is_multiple_of(canary::TARGETS) {
            self.targets.notify_one();
        }
    }

    fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
        self.changed.notify_one();
    }

    fn set_parallel(&self, parallel: usize) {
        self.parallel.store(parallel, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// Sends the canary.
#[derive(Debug)]
pub struct Herald {
    /// The run.
    pub run: RunId,
    /// Its clock.
    pub clock: RunClock,
    /// Makes the checks.
    pub monitor: Arc<Monitor>,
    /// Takes the records.
    pub writer: Arc<Writer>,
    /// Counts connections.
    pub meter: Arc<Meter>,
    /// Is slowed down.
    pub pace: Arc<Pace>,
    /// Is narrowed.
    pub throttle: Arc<Throttle>,
}

impl Herald {
    /// Sends canaries until cancelled.
    pub async fn watch(&self, full: Pacing, end: &CancellationToken) {
        let mut canary = Canary::new(full, self.clock.now_ms());
        let mut turn = 0;
        loop {
            let (before, begun) = (self.connections(), Instant::now());
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(canary::INTERVAL) => {}
                () = self.throttle.targets.notified() => {}
            }
            let observed = per_second(self.connections() - before, begun.elapsed().as_secs_f64());
            tokio::select! {
                () = end.cancelled() => {}
                () = self.round(&mut canary, turn, observed) => {}
            }
            self.throttle.hold(false);
            turn += 1;
        }
    }

    async fn round(&self, canary: &mut Canary, turn: usize, observed: f64) {
        let mut action = canary.note(self.send(turn, true).await, self.clock.now_ms(), observed);
        if action == Action::AskAlone {
            self.throttle.hold(true);
            self.pace.hold(canary::PAUSE);
            tokio::time::sleep(canary::PAUSE).await;
            action = canary.note(self.send(turn, false).await, self.clock.now_ms(), observed);
        }
        match action {
            Action::GoOn | Action::AskAlone => {}
            Action::SpeedUp(pacing) => self.set(pacing),
            Action::CheckHealth => self.monitor.ask(),
            Action::SlowDown(mark, pacing) => {
                tracing::warn!("control targets fail at this pace: it is halved, and the rows are marked");
                self.set(pacing);
                // If storage fails the run ends for that reason.
                let _ = self.writer.write(Entry::Pace(self.run, mark)).await;
            }
        }
    }

    async fn send(&self, turn: usize, paced: bool) -> bool {
        let check = self.monitor.checker().canary(turn, paced, &self.monitor.answering()).await;
        let answered = canary_answered(&check);
        // See `round`.
        let _ = self.writer.write(Entry::Health(check)).await;
        answered
    }

    fn set(&self, pacing: Pacing) {
        self.pace.set_rate(pacing.rate);
        self.throttle.set_parallel(pacing.parallel);
    }

    fn connections(&self) -> u64 {
        self.meter.totals().0
    }
}

#[expect(clippy::cast_precision_loss, reason = "a run has far fewer connections than 2^52")]
fn per_second(connections: u64, seconds: f64) -> f64 {
    connections as f64 / seconds.max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_everything_holds_still_no_target_is_begun() {
        let throttle = Throttle::new(16);
        assert_eq!(throttle.allowed(), 16);
        throttle.hold(true);
        assert_eq!(throttle.allowed(), 0);
        throttle.set_parallel(8);
        assert_eq!(throttle.allowed(), 0);
        throttle.hold(false);
        assert_eq!(throttle.allowed(), 8);
    }
}
