//! One labelled measurement: what is true of it, what we said, and what a baseline says.

use std::collections::BTreeSet;

use faultline_record::{Failure, Measurement, Purpose, Step};
use faultline_verdict::{Probabilities, State, Verdict};

use super::cost::Cost;
use super::label::{Cause, Label, Side};

/// A cause counts as named if it is likelier than not.
const NAMED: f64 = 0.5;

/// What was said of a measurement, as far as it is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The state.
    pub state: State,
    /// The likeliest cause.
    pub cause: Cause,
    /// All that are likelier than not.
    pub causes: BTreeSet<Cause>,
    /// The mechanisms.
    pub mechanisms: Vec<String>,
    /// The probabilities.
    pub p: Probabilities,
}

impl Said {
    /// What a verdict says.
    pub fn of(verdict: &Verdict) -> Self {
        let cause = |name: &str| Cause::from_name(name).unwrap_or(Cause::Unknown);
        let likely = verdict.causes.iter().filter(|(_, p)| **p >= NAMED);
        Self {
            state: verdict.state,
            cause: cause(verdict.cause.name()),
            causes: likely.map(|(likely, _)| cause(likely.name())).collect(),
            mechanisms: verdict.mechanisms.clone(),
            p: verdict.p,
        }
    }

    /// What a rule says that knows no more than blocked or not, and has no doubts.
    fn certain(is_blocked: bool) -> Self {
        let (state, cause) = if is_blocked { (State::Blocked, Cause::Interference) } else { (State::Ok, Cause::None) };
        let blocked = if is_blocked { 1.0 } else { 0.0 };
        Self {
            state,
            cause,
            causes: BTreeSet::from([cause]),
            mechanisms: Vec::new(),
            p: Probabilities { ok: 1.0 - blocked, down: 0.0, blocked },
        }
    }

    /// Whether it says blocked or likely blocked.
    pub fn is_positive(&self) -> bool {
        matches!(self.state, State::Blocked | State::LikelyBlocked)
    }
}

/// A labelled measurement.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is true.
    pub label: Label,
    /// What we said.
    pub said: Said,
    /// What the baseline says: any failure is blocking.
    pub baseline: Said,
    /// What follow-ups cost.
    pub cost: Cost,
}

impl Row {
    /// A measurement's label and verdict, and what the baseline says of its steps.
    pub fn new(label: Label, measurement: &Measurement, verdict: &Verdict) -> Self {
        let baseline = Said::certain(any_failure(measurement));
        Self { label, said: Said::of(verdict), baseline, cost: Cost::of(measurement) }
    }

    /// Whether a block was not called one, or what is benign was called a block.
    pub fn is_mistaken(&self) -> bool {
        match self.label.side() {
            Side::Blocked => !self.said.is_positive(),
            Side::Benign => self.said.is_positive(),
            Side::Neither => false,
        }
    }

    /// Whether the state that we said is among the accepted.
    pub fn state_accepted(&self) -> bool {
        self.label.accept.contains(&self.said.state)
    }
}

/// The baseline: a step of the measurement proper failed. An empty answer for one family beside addresses of the other is
/// no failure: most names have no IPv6 address.
fn any_failure(measurement: &Measurement) -> bool {
    let main = || measurement.observations.iter().filter(|row| row.purpose == Purpose::Main);
    let has_address = main().any(|row| row.step() == Step::Dns && row.outcome.is_ok());
    let is_harmless = |failure| has_address && failure == Failure::DnsNoAnswer;
    main().filter_map(|row| row.outcome.failure()).any(|failure| !is_harmless(failure))
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evaluate::label::tests::label;

    /// A row whose label is of a reset site but for some keys, and of which this was said.
    pub fn row(number: u8, changes: &Value, state: State, p: [f64; 3]) -> Row {
        let [ok, down, blocked] = p;
        let said = Said { state, p: Probabilities { ok, down, blocked }, ..Said::certain(state == State::Blocked) };
        Row { label: label(number, changes), said, baseline: Said::certain(true), cost: Cost::default() }
    }

    /// A label of a site that works.
    pub fn works() -> Value {
        json!({
            "state": "ok", "accept": ["ok"], "cause": "none", "accept_causes": ["none"], "causes": ["none"],
            "mechanisms": []
        })
    }

    #[test]
    fn the_baseline_knows_blocked_or_ok_and_no_doubt() {
        let blocked = Said::certain(true);
        assert!(blocked.is_positive() && blocked.cause == Cause::Interference);
        assert_eq!(Said::certain(false).p.ok.to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn a_miss_and_a_false_alarm_are_mistakes_even_where_the_label_accepts_them() {
        let mistaken = |changes: &Value, state| row(1, changes, state, [0.0, 0.0, 1.0]).is_mistaken();
        assert!(mistaken(&json!({"accept": ["blocked", "ok"]}), State::Ok) && mistaken(&works(), State::LikelyBlocked));
        assert!(!mistaken(&json!({}), State::LikelyBlocked) && !mistaken(&works(), State::Down));
        assert!(!mistaken(&json!({"state": "ok"}), State::Blocked));
    }

    #[test]
    fn what_is_said_is_accepted_if_the_label_accepts_it() {
        let said = |state| row(1, &json!({}), state, [0.0, 0.0, 1.0]).state_accepted();
        assert!(said(State::Blocked) && said(State::LikelyBlocked) && !said(State::Down));
    }
}
