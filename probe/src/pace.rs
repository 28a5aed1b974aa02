//! How fast new connections are opened: a token bucket, whose rate can be halved when the canary fails.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Admits new connections at a rate. Shared by every task of a run.
#[derive(Debug)]
pub struct Pace {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// New connections a second; infinite when there is no limit.
    rate: f64,
    /// When the next connection may begin.
    next: Instant,
}

impl Pace {
    /// A pace of `rate` new connections a second; `None` sets no limit.
    pub fn new(rate: Option<f64>) -> Self {
        let state = State { rate: rate.unwrap_or(f64::INFINITY), next: Instant::now() };
        Self { state: Mutex::new(state) }
    }

    /// Waits until one more connection may be opened.
    pub async fn admit(&self) {
        let wait = self.reserve();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// New connections a second.
    pub fn rate(&self) -> f64 {
        self.lock().rate
    }

    /// Sets the rate from now on.
    pub fn set_rate(&self, rate: f64) {
        self.lock().rate = rate;
    }

    fn reserve(&self) -> Duration {
        let mut state = self.lock();
        if state.rate.is_infinite() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let at = state.next.max(now);
        state.next = at + Duration::from_secs_f64(1.0 / state.rate);
        at - now
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock is held cannot leave the two numbers in disagreement.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
