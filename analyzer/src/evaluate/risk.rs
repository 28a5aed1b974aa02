//! Risk and coverage: how often a verdict is wrong when only the most confident ones are heard (El-Yaniv and Wiener 2010).

use serde::Serialize;

use super::row::Row;
use super::share::{Share, float, four_decimals};

/// How much is heard, in percent.
const COVERAGES: [u64; 5] = [50, 80, 90, 95, 100];

/// One point of the curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// At least so much is heard, in percent.
    pub coverage: u64,
    /// What is heard has at least this probability of the state that it names; `insufficient` has none.
    #[serde(serialize_with = "four_decimals")]
    pub confidence: f64,
    /// Verdicts heard, of all. Verdicts of the same confidence are heard together.
    pub heard: Share,
    /// Wrong ones, of those heard: their state is not among the accepted.
    pub wrong: Share,
}

/// The curve over these rows.
pub fn curve(rows: &[&Row]) -> Vec<Point> {
    let mut rows: Vec<(f64, bool)> =
        rows.iter().map(|row| (row.said.p.of(row.said.state), row.state_accepted())).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    COVERAGES.iter().filter_map(|&coverage| point(&rows, coverage)).collect()
}

/// `rows`: confidence and whether it was right, most confident first.
fn point(rows: &[(f64, bool)], coverage: u64) -> Option<Point> {
    let n = rows.len() as u64;
    let last = (coverage * n).div_ceil(100).checked_sub(1)?;
    let (confidence, _) = *rows.get(usize::try_from(last).ok()?)?;
    let heard: Vec<_> = rows.iter().take_while(|row| row.0 >= confidence).collect();
    let wrong = Share::of(&heard, |row| !row.1);
    Some(Point { coverage, confidence, heard: Share { k: wrong.n, n }, wrong })
}

/// The mean risk over the whole curve, one step a verdict; ties are taken as equally right.
pub fn area(rows: &[&Row]) -> Option<f64> {
    let mut rows: Vec<(f64, bool)> =
        rows.iter().map(|row| (row.said.p.of(row.said.state), row.state_accepted())).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut heard, mut wrong, mut sum) = (0.0, 0.0, 0.0);
    for ties in rows.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let each = float(ties.iter().filter(|row| !row.1).count() as u64) / float(ties.len() as u64);
        for _ in ties {
            heard += 1.0;
            wrong += each;
            sum += wrong / heard;
        }
    }
    (heard > 0.0).then(|| sum / heard)
}

#[cfg(test)]
mod tests {
    use faultline_verdict::State;

    use super::*;
    use crate::evaluate::row::tests::{row, works};

    fn rows() -> Vec<Row> {
        let said =
            [(State::Ok, 0.99), (State::Ok, 0.9), (State::Ok, 0.9), (State::Blocked, 0.6), (State::Insufficient, 0.0)];
        let number = |n: usize| u8::try_from(n).unwrap();
        let p = |state, p| if state == State::Blocked { [0.0, 1.0 - p, p] } else { [p, 1.0 - p, 0.0] };
        said.iter().enumerate().map(|(n, &(state, top))| row(number(n), &works(), state, p(state, top))).collect()
    }

    #[test]
    fn the_surest_are_heard_first_and_ties_together() {
        let rows = rows();
        let curve = curve(&rows.iter().collect::<Vec<_>>());
        let heard: Vec<(u64, u64, u64)> =
            curve.iter().map(|point| (point.coverage, point.heard.k, point.wrong.k)).collect();
        assert_eq!(heard, [(50, 3, 0), (80, 4, 1), (90, 5, 2), (95, 5, 2), (100, 5, 2)]);
        assert!((curve[1].confidence - 0.6).abs() < 1e-9);
    }

    #[test]
    fn the_area_is_the_mean_risk() {
        let rows = rows();
        let area = area(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert!((area - (0.0 + 0.0 + 0.0 + 0.25 + 0.4) / 5.0).abs() < 1e-9, "{area}");
        assert_eq!(super::area(&[]), None);
    }
}
