//! The pacing canary: does our own load break the network? A pure state machine; who runs it sends, waits and obeys.
//!
//! A control by literal address is measured at the run's full pace. When it fails, everything holds still and the same
//! control is asked again, alone: if it answers now, the load was the cause, and the pace is halved; if not, it is the
//! network's doing, and a full check of the vantage decides.

use std::time::Duration;

use faultline_record::PaceMark;

/// A canary is due this often.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// And at least every so many targets.
pub const TARGETS: u32 = 50;
/// How long everything holds still before the canary is asked alone.
pub const PAUSE: Duration = Duration::from_secs(2);
/// Good canaries in a row before the pace is raised by half.
const GOOD_TO_RAISE: u32 = 3;
/// Slower than this is no measurement any more, new connections a second.
const SLOWEST: f64 = 0.5;

/// How fast a run goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pacing {
    /// New connections a second; `None` sets no limit.
    pub rate: Option<f64>,
    /// Targets at a time.
    pub parallel: usize,
}

/// What to do after a canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    GoOn,
    /// Hold still for [`PAUSE`], then ask the same control alone.
    AskAlone,
    /// The load was the cause: mark the rows, go on at this pace.
    SlowDown(PaceMark, Pacing),
    /// It has been well for a while: go on at this pace.
    SpeedUp(Pacing),
    /// The network is at fault: make a full check.
    CheckHealth,
}

/// The state between canaries.
#[derive(Clone, Copy, Debug)]
pub struct Canary {
    full: Pacing,
    pacing: Pacing,
    last_good_ms: f64,
    good: u32,
    /// End of the failed canary and the pace it failed at, while it is being asked again.
    failed: Option<(f64, f64)>,
}

impl Canary {
    /// A run at full pace, that was well at `now_ms` of its clock.
    pub fn new(full: Pacing, now_ms: f64) -> Self {
        Self { full, pacing: full, last_good_ms: now_ms, good: 0, failed: None }
    }

    /// How fast the run goes now.
    pub fn pacing(&self) -> Pacing {
        self.pacing
    }

    /// Takes note of a canary that ended at `ended_ms` of the run's clock; `observed` is the pace of late, new
    /// connections a second.
    pub fn note(&mut self, ok: bool, ended_ms: f64, observed: f64) -> Action {
        match (self.failed.take(), ok) {
            (None, true) => self.well(ended_ms),
            (None, false) => {
                self.good = 0;
                self.failed = Some((ended_ms, observed));
                Action::AskAlone
            }
            (Some((failed_ms, rate)), true) => self.overloaded(failed_ms, ended_ms, rate),
            (Some(_), false) => Action::CheckHealth,
        }
    }

    fn well(&mut self, ended_ms: f64) -> Action {
        self.last_good_ms = ended_ms;
        self.good += 1;
        if self.pacing == self.full || self.good < GOOD_TO_RAISE {
            return Action::GoOn;
        }
        self.good = 0;
        self.pacing = self.raised();
        Action::SpeedUp(self.pacing)
    }

    fn overloaded(&mut self, failed_ms: f64, ended_ms: f64, observed: f64) -> Action {
        let rate = self.pacing.rate.unwrap_or(observed);
        let mark = PaceMark { from_ms: self.last_good_ms, to_ms: failed_ms, rate };
        self.last_good_ms = ended_ms;
        self.pacing = Pacing { rate: Some((rate / 2.0).max(SLOWEST)), parallel: (self.pacing.parallel / 2).max(1) };
        Action::SlowDown(mark, self.pacing)
    }

    /// By half more, up to what the options allow. Without a limit on the rate, the limit goes when parallelism is full.
    fn raised(&self) -> Pacing {
        let parallel = (self.pacing.parallel + self.pacing.parallel.div_ceil(2)).min(self.full.parallel);
        let rate = match (self.pacing.rate, self.full.rate) {
            (Some(now), Some(full)) => Some((now * 1.5).min(full)),
            (Some(now), None) if parallel < self.full.parallel => Some(now * 1.5),
            (_, full) => full,
        };
        Pacing { rate, parallel }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Pacing = Pacing { rate: Some(20.0), parallel: 16 };

    fn slowed() -> Canary {
        let mut canary = Canary::new(FULL, 0.0);
        canary.note(false, 1_000.0, 19.0);
        canary.note(true, 3_000.0, 0.0);
        canary
    }

    #[test]
    fn while_it_answers_nothing_changes() {
        let mut canary = Canary::new(FULL, 0.0);
        for second in 1..10 {
            assert_eq!(canary.note(true, f64::from(second) * 5_000.0, 20.0), Action::GoOn);
        }
        assert_eq!(canary.pacing(), FULL);
    }

    #[test]
    fn failing_under_load_and_answering_alone_halves_the_pace_and_marks_the_rows() {
        let mut canary = Canary::new(FULL, 0.0);
        canary.note(true, 5_000.0, 20.0);
        assert_eq!(canary.note(false, 10_000.0, 20.0), Action::AskAlone);
        let half = Pacing { rate: Some(10.0), parallel: 8 };
        let mark = PaceMark { from_ms: 5_000.0, to_ms: 10_000.0, rate: 20.0 };
        assert_eq!(canary.note(true, 12_100.0, 0.0), Action::SlowDown(mark, half));
        assert_eq!(canary.pacing(), half);
    }

    #[test]
    fn failing_alone_too_is_the_networks_doing_and_marks_nothing() {
        let mut canary = Canary::new(FULL, 0.0);
        assert_eq!(canary.note(false, 5_000.0, 20.0), Action::AskAlone);
        assert_eq!(canary.note(false, 9_000.0, 0.0), Action::CheckHealth);
        assert_eq!(canary.pacing(), FULL);
        assert_eq!(canary.note(true, 14_000.0, 20.0), Action::GoOn);
    }

    #[test]
    fn a_second_mark_begins_where_the_first_good_answer_was() {
        let mut canary = slowed();
        canary.note(false, 8_000.0, 10.0);
        let Action::SlowDown(mark, pacing) = canary.note(true, 10_000.0, 0.0) else { panic!("it was the load") };
        assert_eq!((mark.from_ms, mark.to_ms, mark.rate), (3_000.0, 8_000.0, 10.0));
        assert_eq!(pacing, Pacing { rate: Some(5.0), parallel: 4 });
    }

    #[test]
    fn three_good_ones_raise_the_pace_by_half_until_it_is_full_again() {
        let mut canary = slowed();
        let mut raised = Vec::new();
        for round in 0..9 {
            if let Action::SpeedUp(pacing) = canary.note(true, 5_000.0 * f64::from(round + 1), 10.0) {
                raised.push(pacing);
            }
        }
        assert_eq!(raised, [Pacing { rate: Some(15.0), parallel: 12 }, FULL]);
    }

    #[test]
    fn without_a_limit_the_observed_pace_is_halved_and_the_limit_goes_again() {
        let unlimited = Pacing { rate: None, parallel: 16 };
        let mut canary = Canary::new(unlimited, 0.0);
        canary.note(false, 1_000.0, 300.0);
        canary.note(true, 3_000.0, 0.0);
        assert_eq!(canary.pacing(), Pacing { rate: Some(150.0), parallel: 8 });
        for round in 0..6 {
            canary.note(true, f64::from(round), 150.0);
        }
        assert_eq!(canary.pacing(), unlimited);
    }

    #[test]
    fn the_pace_never_falls_to_nothing() {
        let mut canary = Canary::new(FULL, 0.0);
        for _ in 0..20 {
            canary.note(false, 0.0, 0.0);
            canary.note(true, 0.0, 0.0);
        }
        assert_eq!(canary.pacing(), Pacing { rate: Some(SLOWEST), parallel: 1 });
    }
}
