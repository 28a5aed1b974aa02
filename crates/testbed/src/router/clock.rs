//! When rules hold, and at which vantage.

use std::time::{Duration, Instant};

use crate::scenario::When;

/// The phase that is, and when it began.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    phase: String,
    start: Instant,
}

impl Clock {
    /// This phase begins now.
    pub(super) fn start(phase: &str) -> Self {
        Self { phase: phase.into(), start: Instant::now() }
    }

    fn is_in(&self, when: &When, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.start);
        let after = Duration::from_millis(when.after_ms);
        let in_time = since >= after && when.for_ms.is_none_or(|long| since < after + Duration::from_millis(long));
        in_time && (when.phases.is_empty() || when.phases.contains(&self.phase))
    }
}

/// When and for whom a rule holds, with vantages by their number.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    when: When,
    vantages: Vec<usize>,
}

impl Scope {
    /// What `when` says, where `names` are the vantages'.
    pub(super) fn of(when: &When, names: &[String]) -> Self {
        let number = |name: &String| names.iter().position(|known| known == name);
        Self { vantages: when.vantages.iter().filter_map(number).collect(), when: when.clone() }
    }

    /// Whether the rule holds now for a packet to or from this vantage.
    pub(super) fn holds(&self, clock: &Clock, vantage: Option<usize>, now: Instant) -> bool {
        let is_here = self.when.vantages.is_empty() || vantage.is_some_and(|one| self.vantages.contains(&one));
        is_here && clock.is_in(&self.when, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_holds_in_its_phase_and_in_its_time() {
        let start = Instant::now();
        let clock = Clock { phase: "during".into(), start };
        let when = When { phases: vec!["during".into()], after_ms: 100, for_ms: Some(50), ..When::default() };
        let at = |ms| clock.is_in(&when, start + Duration::from_millis(ms));
        assert_eq!([at(99), at(100), at(149), at(150)], [false, true, true, false]);
        let before = Clock { phase: "before".into(), start };
        assert!(!before.is_in(&when, start + Duration::from_millis(120)));
    }

    #[test]
    fn a_rule_of_one_vantage_is_none_of_the_others() {
        let (names, clock) = (["a".to_owned(), "b".to_owned()], Clock::start("now"));
        let scope = Scope::of(&When { vantages: vec!["b".into()], ..When::default() }, &names);
        let holds = |vantage| scope.holds(&clock, vantage, Instant::now());
        assert_eq!([holds(Some(0)), holds(Some(1)), holds(None)], [false, true, false]);
        assert!(Scope::of(&When::default(), &names).holds(&clock, None, Instant::now()));
    }
}
