//! The run's monotonic clock.

use std::time::Instant;

/// Milliseconds since the run began. Copies share the same zero.
#[derive(Clone, Copy, Debug)]
pub struct RunClock(Instant);

impl RunClock {
    /// A clock whose zero is now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since zero.
    pub fn now_ms(self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1_000.0
    }
}
