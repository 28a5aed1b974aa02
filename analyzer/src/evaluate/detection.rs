//! Blocked or not: sensitivity, specificity, predictive values, and the two confusions that hurt most.

use faultline_verdict::State;
use serde::Serialize;

use super::label::{Cause, Side};
use super::row::{Row, Said};
use super::share::Share;

/// How well somebody tells blocked from benign. Positive means: said `blocked` or `likely_blocked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detection {
    /// The state said is among those the label accepts.
    pub accept: Share,
    /// The state said is the true one.
    pub exact: Share,
    /// The cause said is among those the label accepts.
    pub accept_cause: Share,
    /// Positive, of what is blocked.
    pub sensitivity: Share,
    /// `blocked`, of what is blocked.
    pub sensitivity_strict: Share,
    /// Not positive, of what is benign.
    pub specificity: Share,
    /// Not `blocked`, of what is benign.
    pub specificity_strict: Share,
    /// Blocked, of what is positive (of either side).
    pub ppv: Share,
    /// Blocked, of what is said to be `blocked`.
    pub ppv_strict: Share,
    /// Positive, of plain outages.
    pub outage_called_blocking: Share,
    /// `down` or `insufficient`, of what is blocked.
    pub blocking_called_outage: Share,
    /// `down`, of what is blocked.
    pub blocking_called_down: Share,
    /// `insufficient`, of what is blocked.
    pub blocking_called_insufficient: Share,
    /// Named as a cause or called blocked, of all labels with interference: also where the target works all the same.
    pub interference_found: Share,
    /// Positive, of targets that work and that nobody interferes with.
    pub healthy_called_blocking: Share,
    /// `down`, or the target or its server named as the cause, of targets that fail by themselves.
    pub site_side_named: Share,
    /// Labels on neither side: interference with a target that works, or under an outage. Positive of them.
    pub neither_called_blocking: Share,
}

impl Detection {
    /// Of these rows, by what `said` takes from each.
    pub fn of<'a>(rows: &[&'a Row], said: impl Fn(&'a Row) -> &'a Said + Copy) -> Self {
        let on = |side| rows.iter().copied().filter(move |row| row.label.side() == side);
        let is_positive = |row: &&'a Row| said(row).is_positive();
        let is = |state| move |row: &&'a Row| said(row).state == state;
        let is_strict = is(State::Blocked);
        let (is_down, is_insufficient) = (is(State::Down), is(State::Insufficient));
        let blocked = || on(Side::Blocked);
        let sided = || rows.iter().copied().filter(|row| row.label.side() != Side::Neither);
        let is_right = |row: &&Row| row.label.side() == Side::Blocked;
        Self {
            accept: Share::of(rows, |row| row.label.accept.contains(&said(row).state)),
            exact: Share::of(rows, |row| row.label.state == said(row).state),
            accept_cause: Share::of(rows, |row| row.label.accept_causes.contains(&said(row).cause)),
            sensitivity: Share::of(blocked(), is_positive),
            sensitivity_strict: Share::of(blocked(), is_strict),
            specificity: Share::of(on(Side::Benign), |row| !is_positive(row)),
            specificity_strict: Share::of(on(Side::Benign), |row| !is_strict(row)),
            ppv: Share::of(sided().filter(is_positive), is_right),
            ppv_strict: Share::of(sided().filter(is_strict), is_right),
            outage_called_blocking: Share::of(outages(rows), is_positive),
            blocking_called_outage: Share::of(blocked(), |row| is_down(row) || is_insufficient(row)),
            blocking_called_down: Share::of(blocked(), is_down),
            blocking_called_insufficient: Share::of(blocked(), is_insufficient),
            interference_found: Share::of(with_interference(rows), |row| {
                said(row).is_positive() || said(row).cause == Cause::Interference
            }),
            healthy_called_blocking: Share::of(
                on(Side::Benign).filter(|row| row.label.state == State::Ok),
                is_positive,
            ),
            site_side_named: Share::of(site_side(rows), |row| {
                said(row).state == State::Down || matches!(said(row).cause, Cause::Target | Cause::ServerSide)
            }),
            neither_called_blocking: Share::of(on(Side::Neither), is_positive),
        }
    }
}

fn with_interference<'a>(rows: &[&'a Row]) -> impl Iterator<Item = &'a Row> {
    rows.iter().copied().filter(|row| row.label.causes.contains(&Cause::Interference))
}

fn site_side<'a>(rows: &[&'a Row]) -> impl Iterator<Item = &'a Row> {
    let is_own = |row: &&Row| matches!(row.label.cause, Cause::Target | Cause::ServerSide);
    rows.iter().copied().filter(is_own).filter(|row| row.label.state != State::Ok)
}

fn outages<'a>(rows: &[&'a Row]) -> impl Iterator<Item = &'a Row> {
    rows.iter().copied().filter(|row| row.label.is_plain_outage())
}

/// Measurements at which somebody interferes while something else is out of order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TwoCauses {
    /// The state said is accepted.
    pub accept: Share,
    /// The cause said is accepted.
    pub accept_cause: Share,
    /// Both kinds of cause are named, each likelier than not.
    pub both_named: Share,
}

impl TwoCauses {
    /// Of these rows, those with two causes.
    pub fn of(rows: &[&Row]) -> Self {
        let two = || rows.iter().copied().filter(|row| row.label.has_two_causes());
        let names = |row: &&Row| {
            let named = &row.said.causes;
            named.contains(&Cause::Interference) && named.iter().any(|cause| cause.is_outage())
        };
        Self {
            accept: Share::of(two(), |row| row.state_accepted()),
            accept_cause: Share::of(two(), |row| row.label.accept_causes.contains(&row.said.cause)),
            both_named: Share::of(two(), names),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evaluate::row::tests::{row, works};

    const SURE: [f64; 3] = [0.0, 0.0, 1.0];

    fn of(rows: &[(Value, State)]) -> Detection {
        let rows: Vec<Row> =
            rows.iter().zip(1..).map(|((changes, state), id)| row(id, changes, *state, SURE)).collect();
        Detection::of(&rows.iter().collect::<Vec<_>>(), |row| &row.said)
    }

    fn share(k: u64, n: u64) -> Share {
        Share { k, n }
    }

    #[test]
    fn likely_blocked_counts_as_blocked_but_not_strictly() {
        let blocked = json!({});
        let said = [State::Blocked, State::LikelyBlocked, State::Down, State::Insufficient, State::Impaired];
        let seen = of(&said.map(|state| (blocked.clone(), state)));
        assert_eq!((seen.sensitivity, seen.sensitivity_strict), (share(2, 5), share(1, 5)));
        assert_eq!(seen.blocking_called_outage, share(2, 5));
        assert_eq!((seen.blocking_called_down, seen.blocking_called_insufficient), (share(1, 5), share(1, 5)));
        assert_eq!((seen.ppv, seen.specificity), (share(2, 2), share(0, 0)));
        assert_eq!((seen.accept, seen.exact), (share(2, 5), share(1, 5)));
    }

    #[test]
    fn a_false_alarm_costs_specificity_and_predictive_value() {
        let seen = of(&[(works(), State::LikelyBlocked), (works(), State::Ok), (json!({}), State::Blocked)]);
        assert_eq!((seen.specificity, seen.specificity_strict), (share(1, 2), share(2, 2)));
        assert_eq!((seen.ppv, seen.ppv_strict, seen.accept), (share(1, 2), share(1, 1), share(2, 3)));
    }

    #[test]
    fn an_outage_called_blocking_is_counted_and_one_beside_interference_is_set_apart() {
        let outage = |causes: Value| json!({"state": "insufficient", "accept": ["insufficient"], "causes": causes});
        let both = outage(json!(["isp", "interference"]));
        let seen = of(&[(outage(json!(["isp"])), State::Blocked), (both.clone(), State::Blocked)]);
        assert_eq!((seen.outage_called_blocking, seen.specificity), (share(1, 1), share(0, 1)));
        assert_eq!((seen.neither_called_blocking, seen.ppv), (share(1, 1), share(0, 1)));
        let two = row(1, &both, State::Insufficient, SURE);
        let two = TwoCauses::of(&[&two]);
        assert_eq!((two.accept, two.both_named), (share(1, 1), share(0, 1)));
    }
}
