//! Watches the vantage through a run: checks by the clock and after failures, records them, and says whether targets
//! may be begun.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faultline_record::{Entry, HealthCheck, HealthReason, Measurement, Purpose, SignalKind, Witness, Writer};
use faultline_verdict::{HealthState, local_health};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check::Checker;

/// A full check at least this often while targets are measured.
const INTERVAL: Duration = Duration::from_secs(20);
/// After a failure, a check older than this is not fresh.
const FRESH_MS: f64 = 10_000.0;
/// While the network is gone, it is looked for this often.
const GONE_INTERVAL: Duration = Duration::from_secs(5);
/// Checks kept in memory, to stand witness for measurements that could not be stored.
const KEPT: usize = 16;

/// The watch over one run.
#[derive(Debug)]
pub struct Monitor {
    checker: Checker,
    writer: Arc<Writer>,
    state: watch::Sender<HealthState>,
    failure: Notify,
    under_way: AtomicBool,
    recent: Mutex<VecDeque<HealthCheck>>,
}

/// Whether targets are begun in this state. A dead resolver or a wrong clock is itself worth measuring under.
pub const fn lets_targets_begin(state: HealthState) -> bool {
    !matches!(state, HealthState::NoNetwork | HealthState::NoInternet | HealthState::CaptivePortal)
}

impl Monitor {
    /// A watch that has not looked yet.
    pub fn new(checker: Checker, writer: Arc<Writer>) -> Self {
        let (state, _) = watch::channel(HealthState::NoNetwork);
        Self {
            checker,
            writer,
            state,
            failure: Notify::new(),
            under_way: AtomicBool::new(false),
            recent: Mutex::default(),
        }
    }

    /// Makes and records a full check.
    pub async fn check(&self, reason: HealthReason) -> HealthState {
        self.under_way.store(true, Ordering::Relaxed);
        let check = self.checker.full(reason).await;
        self.under_way.store(false, Ordering::Relaxed);
        let state = local_health(&check).state;
        tracing::debug!(%reason, %state, "local health");
        self.keep(check.clone());
        // If storage fails the run ends for that reason; the check itself has been made.
        let _ = self.writer.write(Entry::Health(check)).await;
        self.state.send_replace(state);
        state
    }

    /// Checks by the clock and after failures, one at a time, until cancelled.
    pub async fn watch(&self, end: &CancellationToken) {
        loop {
            let interval = if lets_targets_begin(*self.state.borrow()) { INTERVAL } else { GONE_INTERVAL };
            let due = Instant::now() + interval;
            let reason = tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep_until(due) => HealthReason::During,
                () = self.failure.notified() => HealthReason::OnFailure,
            };
            tokio::select! {
                () = end.cancelled() => return,
                _ = self.check(reason) => {}
            }
        }
    }

    /// Takes note of a measurement: after a failure, a check that is not fresh is made anew.
    pub fn note(&self, measurement: &Measurement, now_ms: f64) {
        let mut main = measurement.observations.iter().filter(|row| row.purpose == Purpose::Main);
        let failed = main.any(|row| row.outcome.failure().is_some());
        let under_way = self.under_way.load(Ordering::Relaxed);
        if failed && !under_way && self.last_end_ms().is_none_or(|end| now_ms - end > FRESH_MS) {
            self.failure.notify_one();
        }
    }

    /// Asks for a full check now.
    pub fn ask(&self) {
        self.failure.notify_one();
    }

    /// The state, as it changes.
    pub fn state(&self) -> watch::Receiver<HealthState> {
        self.state.subscribe()
    }

    /// The checker, for the canary.
    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    /// Controls by literal address that answered in the last check.
    pub fn answering(&self) -> Vec<String> {
        let recent = self.lock();
        let signals = recent.back().map(|check| check.signals.as_slice()).unwrap_or_default();
        let good = signals.iter().filter(|s| s.kind == SignalKind::ControlByAddress && s.outcome.is_ok());
        good.map(|signal| signal.name.clone()).collect()
    }

    /// The last checks, oldest first: witnesses for measurements that could not be stored.
    pub fn recent(&self) -> VecDeque<HealthCheck> {
        self.lock().clone()
    }

    fn keep(&self, check: HealthCheck) {
        let mut recent = self.lock();
        recent.push_back(check);
        if recent.len() > KEPT {
            recent.pop_front();
        }
    }

    fn last_end_ms(&self) -> Option<f64> {
        self.lock().back().map(HealthCheck::end_ms)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<HealthCheck>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same pairing as a reader of the file makes.
pub fn witness_of(checks: &VecDeque<HealthCheck>, measurement: &Measurement) -> Witness {
    let (begun, ended) = (measurement.offset_ms, measurement.end_ms());
    let shared = |check: &HealthCheck| Arc::new(check.clone());
    Witness {
        before: checks.iter().rfind(|check| check.end_ms() <= begun).map(shared),
        after: checks.iter().find(|check| check.offset_ms >= ended).map(shared),
        during: checks.iter().filter(|check| check.offset_ms < ended && check.end_ms() > begun).map(shared).collect(),
        overloaded: false,
        run_clock_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use faultline_record::{Availability, Endpoint, HealthCheckId, MeasurementId, Network, RunId, Target, Timestamp};

    use super::*;

    fn check(offset_ms: f64) -> HealthCheck {
        HealthCheck {
            id: HealthCheckId::new(),
            run: RunId::new(),
            reason: HealthReason::During,
            offset_ms,
            duration_ms: 100.0,
            signals: Vec::new(),
        }
    }

    fn measurement(offset_ms: f64, duration_ms: f64) -> Measurement {
        Measurement {
            id: MeasurementId::new(),
            run: RunId::new(),
            target: Target {
                input: "x.com".into(),
                name: "x/web".into(),
                endpoint: Endpoint::parse("x.com").unwrap(),
                category: None,
                list: None,
                availability: Availability::High,
                private_ca: false,
            },
            started_at: Timestamp::now(),
            offset_ms,
            duration_ms,
            network: Network::default(),
            observations: Vec::new(),
        }
    }

    #[test]
    fn a_measurement_stands_between_the_nearest_checks() {
        let checks: VecDeque<HealthCheck> = [0.0, 1_000.0, 2_000.0, 5_000.0].map(check).into();
        let witness = witness_of(&checks, &measurement(1_500.0, 2_000.0));
        assert_eq!(witness.before.map(|check| check.offset_ms), Some(1_000.0));
        assert_eq!(witness.during.iter().map(|check| check.offset_ms).collect::<Vec<_>>(), [2_000.0]);
        assert_eq!(witness.after.map(|check| check.offset_ms), Some(5_000.0));
    }

    #[test]
    fn a_measurement_after_the_last_check_has_none_after_it() {
        let checks: VecDeque<HealthCheck> = [0.0].map(check).into();
        assert!(witness_of(&checks, &measurement(200.0, 10.0)).after.is_none());
    }

    #[test]
    fn only_a_vantage_without_a_way_out_holds_targets_back() {
        let held: Vec<_> = HealthState::ALL.iter().filter(|&&state| !lets_targets_begin(state)).collect();
        assert_eq!(held, [&HealthState::NoNetwork, &HealthState::NoInternet, &HealthState::CaptivePortal]);
    }
}
