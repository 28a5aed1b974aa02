//! What was said of one endpoint in one window, counted: small, whatever the number of measurements.

use std::collections::BTreeMap;

use faultline_record::MeasurementId;

use crate::verdict::{Cause, State, Verdict};

/// Verdicts on one endpoint, counted by state and cause. In whatever order they come, the same verdicts give the same tally.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    groups: BTreeMap<(State, Cause), Group>,
}

#[derive(Clone, Debug, PartialEq)]
struct Group {
    count: u32,
    mechanisms: BTreeMap<String, u32>,
    witness: (f64, MeasurementId),
}

/// What holds of an endpoint by its verdicts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) cause: Cause,
    pub(super) mechanisms: Vec<String>,
    pub(super) witness: MeasurementId,
}

/// Kinds of state among which the most frequent decides; where two are equally frequent the one that alarms less, since a block
/// that is not there does more harm than one that is missed (design, section 8).
const CAMPS: [&[State]; 4] =
    [&[State::Ok], &[State::Impaired], &[State::Down], &[State::LikelyBlocked, State::Blocked]];

impl Tally {
    /// Counts one more verdict.
    pub fn add(&mut self, verdict: &Verdict, id: MeasurementId) {
        let sure = (verdict.p.of(verdict.state), id);
        let fresh = || Group { count: 0, mechanisms: BTreeMap::new(), witness: sure };
        let group = self.groups.entry((verdict.state, verdict.cause)).or_insert_with(fresh);
        group.count += 1;
        for node in &verdict.mechanisms {
            *group.mechanisms.entry(node.clone()).or_default() += 1;
        }
        let is_better = sure.0.total_cmp(&group.witness.0).then_with(|| group.witness.1.cmp(&sure.1)).is_gt();
        if is_better {
            group.witness = sure;
        }
    }

    /// How many verdicts were counted.
    pub fn measurements(&self) -> u32 {
        self.groups.values().map(|group| group.count).sum()
    }

    /// How many of them were of this state.
    pub fn count(&self, state: State) -> u32 {
        self.groups.iter().filter(|((own, _), _)| *own == state).map(|(_, group)| group.count).sum()
    }

    /// What holds: the most frequent kind of state of those that say something, with its most frequent cause, the mechanisms of
    /// at least half of it, and the surest measurement as its witness. `None` where nothing was counted.
    pub(super) fn standing(&self) -> Option<Standing> {
        let of = |camp: &[State]| camp.iter().map(|&state| self.count(state)).sum::<u32>();
        let most = CAMPS.iter().map(|camp| of(camp)).max().filter(|&most| most > 0);
        let camp =
            most.and_then(|most| CAMPS.iter().find(|camp| of(camp) == most)).copied().unwrap_or(&[State::Insufficient]);
        // Of a block that was settled once, it is settled.
        let state = camp.iter().rev().copied().find(|&state| self.count(state) > 0)?;
        let groups = || self.groups.iter().filter(|((own, _), _)| camp.contains(own));
        let of_state = groups().filter(|((own, _), _)| *own == state);
        // The first of several that are equally frequent.
        let ((_, cause), group) = of_state.rev().max_by_key(|(_, group)| group.count)?;
        let total: u32 = groups().map(|(_, group)| group.count).sum();
        let mut mechanisms: BTreeMap<&str, u32> = BTreeMap::new();
        for (node, count) in groups().flat_map(|(_, group)| &group.mechanisms) {
            *mechanisms.entry(node).or_default() += count;
        }
        mechanisms.retain(|_, count| 2 * *count >= total);
        let mechanisms = mechanisms.into_keys().map(str::to_owned).collect();
        Some(Standing { state, cause: *cause, mechanisms, witness: group.witness.1 })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::verdict::Probabilities;

    use super::*;

    pub(in super::super) fn verdict(state: State, cause: Cause, mechanism: &str) -> Verdict {
        Verdict {
            state,
            cause,
            causes: BTreeMap::new(),
            mechanisms: (!mechanism.is_empty()).then(|| mechanism.to_owned()).into_iter().collect(),
            p: Probabilities { ok: 0.1, down: 0.1, blocked: 0.8 },
            families: BTreeMap::new(),
            ruleset: "1".into(),
            weights: String::new(),
            references: BTreeMap::new(),
            evidence: Vec::new(),
        }
    }

    pub(in super::super) fn blocked(mechanism: &str) -> Verdict {
        verdict(State::Blocked, Cause::Interference, mechanism)
    }

    pub(in super::super) fn tally(verdicts: &[Verdict]) -> Tally {
        let mut tally = Tally::default();
        for (verdict, number) in verdicts.iter().zip(1..) {
            tally.add(verdict, MeasurementId::from_bytes([number; 16]));
        }
        tally
    }

    fn ok() -> Verdict {
        verdict(State::Ok, Cause::None, "")
    }

    fn state(verdicts: &[Verdict]) -> State {
        tally(verdicts).standing().unwrap().state
    }

    #[test]
    fn the_most_frequent_state_holds_and_of_two_the_one_that_alarms_less() {
        let likely = verdict(State::LikelyBlocked, Cause::Interference, "tcp.timeout");
        assert_eq!(state(&[ok(), blocked("tls.reset"), blocked("tls.reset")]), State::Blocked);
        assert_eq!(state(&[ok(), blocked("tls.reset")]), State::Ok);
        assert_eq!(state(&[ok(), likely.clone(), likely]), State::LikelyBlocked);
        assert_eq!(tally(&[]).standing(), None);
    }

    #[test]
    fn what_says_nothing_outvotes_nobody() {
        let silent = || verdict(State::Insufficient, Cause::Isp, "");
        assert_eq!(state(&[silent(), silent(), ok()]), State::Ok);
        let standing = tally(&[silent(), silent()]).standing().unwrap();
        assert_eq!((standing.state, standing.cause), (State::Insufficient, Cause::Isp));
    }

    #[test]
    fn mechanisms_are_those_of_half_and_the_order_does_not_matter() {
        let verdicts = [blocked("tls.reset.sni"), blocked("tls.reset.sni"), blocked("dns.nxdomain")];
        assert_eq!(tally(&verdicts).standing().unwrap().mechanisms, ["tls.reset.sni"]);
        let (mut one, mut other) = (Tally::default(), Tally::default());
        let ids = [3, 1, 2].map(|number| MeasurementId::from_bytes([number; 16]));
        for number in 0..3 {
            one.add(&verdicts[number], ids[number]);
            other.add(&verdicts[2 - number], ids[2 - number]);
        }
        assert_eq!(one, other);
    }
}
