//! How fast new connections are opened: a token bucket, whose rate can be changed and which can hold still.

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

impl State {
    /// How long the next connection has to wait; its place is taken.
    fn reserve(&mut self, now: Instant) -> Duration {
        let at = self.next.max(now);
        if self.rate.is_finite() {
            self.next = at + Duration::from_secs_f64(1.0 / self.rate);
        }
        at - now
    }
}

impl Pace {
    /// A pace of `rate` new connections a second; `None` sets no limit.
    pub fn new(rate: Option<f64>) -> Self {
        let state = State { rate: rate.unwrap_or(f64::INFINITY), next: Instant::now() };
        Self { state: Mutex::new(state) }
    }

    /// Waits until one more connection may be opened.
    pub async fn admit(&self) {
        let wait = self.lock().reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Sets the rate from now on; `None` sets no limit.
    pub fn set_rate(&self, rate: Option<f64>) {
        self.lock().rate = rate.unwrap_or(f64::INFINITY);
    }

    /// Admits nothing for so long. Places taken before stay valid.
    pub fn hold(&self, time: Duration) {
        let mut state = self.lock();
        state.next = state.next.max(Instant::now() + time);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock is held cannot leave the two numbers in disagreement.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(pace: &Pace, now: Instant, n: usize) -> Vec<u128> {
        (0..n).map(|_| pace.lock().reserve(now).as_millis()).collect()
    }

    #[test]
    fn connections_are_spread_evenly_over_the_second() {
        let pace = Pace::new(Some(20.0));
        let now = Instant::now();
        assert_eq!(waits(&pace, now, 4), [0, 50, 100, 150]);
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        assert_eq!(waits(&Pace::new(None), Instant::now(), 3), [0, 0, 0]);
    }

    #[test]
    fn idle_time_is_not_saved_up_for_a_burst() {
        let pace = Pace::new(Some(10.0));
        let later = Instant::now() + Duration::from_mins(1);
        assert_eq!(waits(&pace, later, 3), [0, 100, 200]);
    }

    #[test]
    fn a_hold_stops_even_an_unlimited_pace() {
        let pace = Pace::new(None);
        pace.hold(Duration::from_secs(2));
        let now = Instant::now();
        let waits = waits(&pace, now, 2);
        assert!(waits.iter().all(|&wait| (1_900..=2_000).contains(&wait)), "{waits:?}");
    }

    #[test]
    fn a_new_rate_counts_from_the_next_connection() {
        let pace = Pace::new(Some(10.0));
        let now = Instant::now();
        waits(&pace, now, 1);
        pace.set_rate(Some(5.0));
        assert_eq!(waits(&pace, now, 2), [100, 300]);
    }
}
