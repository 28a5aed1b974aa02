//! The ways in which a run ends early.

use std::io;
use std::time::Duration;

use faultline_record::RunEnd;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::clock::RunClock;
use crate::meter::Meter;

/// What the user's signals end: the first the targets, the second also the check that follows them.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Ends the measurements under way.
    pub targets: CancellationToken,
    /// Ends everything.
    pub everything: CancellationToken,
}

impl Signals {
    /// Listens for Ctrl-C and SIGTERM until the runtime ends.
    pub fn listen(&self) -> io::Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let this = self.clone();
        tokio::spawn(async move {
            for token in [this.targets, this.everything] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                token.cancel();
            }
        });
        Ok(())
    }
}

/// Limits on a whole run: no target begins beyond them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// `--max-time`.
    pub time: Option<Duration>,
    /// `--max-data`.
    pub data: Option<u64>,
}

impl Bounds {
    /// Which limit is reached, if one is.
    pub fn reached(&self, clock: RunClock, meter: &Meter) -> Option<RunEnd> {
        let (_, sent, received) = meter.totals();
        if self.time.is_some_and(|limit| clock.now_ms() >= limit.as_secs_f64() * 1_000.0) {
            Some(RunEnd::MaxTime)
        } else if self.data.is_some_and(|limit| sent + received >= limit) {
            Some(RunEnd::MaxData)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_at_its_value_and_not_before() {
        let (clock, meter) = (RunClock::start(), Meter::default());
        let data = |limit| Bounds { time: None, data: Some(limit) };
        meter.sent(10);
        meter.received(90);
        assert_eq!(data(101).reached(clock, &meter), None);
        assert_eq!(data(100).reached(clock, &meter), Some(RunEnd::MaxData));
        let time = |limit| Bounds { time: Some(limit), data: None };
        assert_eq!(time(Duration::from_hours(1)).reached(clock, &meter), None);
        assert_eq!(time(Duration::ZERO).reached(clock, &meter), Some(RunEnd::MaxTime));
        assert_eq!(Bounds::default().reached(clock, &meter), None);
    }
}
