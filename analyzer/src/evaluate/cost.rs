//! What follow-ups cost: connections, bytes and time beyond the measurement proper.

use std::collections::BTreeSet;

use faultline_record::{Measurement, Observation, Purpose, StepData};
use faultline_verdict::State;
use serde::Serialize;

use super::row::Row;
use super::share::{float, four_decimals};

/// The cost of one measurement's follow-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Connections and questions to resolvers.
    #[serde(serialize_with = "four_decimals")]
    pub connections: f64,
    /// Bytes received in handshakes and in bodies.
    #[serde(serialize_with = "four_decimals")]
    pub bytes: f64,
    /// Seconds from the first to the end of the last.
    #[serde(serialize_with = "four_decimals")]
    pub seconds: f64,
}

impl Cost {
    /// Of a measurement. Its own steps, other resolvers' words and the helper's look are no follow-ups.
    pub fn of(measurement: &Measurement) -> Self {
        let is_extra = |row: &&Observation| {
            let is_own = matches!(row.purpose, Purpose::Main | Purpose::Comparison | Purpose::Helper);
            !is_own && row.outcome.not_run().is_none()
        };
        let extra: Vec<&Observation> = measurement.observations.iter().filter(is_extra).collect();
        let connections: BTreeSet<u32> = extra.iter().filter_map(|row| row.connection).collect();
        let questions = extra.iter().filter(|row| row.dns().is_some()).count();
        let start = extra.iter().map(|row| row.t0_ms).fold(f64::INFINITY, f64::min);
        let end = extra.iter().map(|row| row.t_ms).fold(0.0, f64::max);
        Self {
            connections: float((connections.len() + questions) as u64),
            bytes: float(extra.iter().map(|row| bytes(&row.data)).sum()),
            seconds: (end - start).max(0.0) / 1_000.0,
        }
    }
}

fn bytes(data: &StepData) -> u64 {
    match data {
        StepData::Tls(tls) | StepData::Quic(tls) => tls.bytes_received,
        StepData::Http(http) => http.body_length,
        StepData::Vpn(vpn) => vpn.bytes_received,
        StepData::Dns(_) | StepData::Tcp => 0,
    }
}

/// Costs of the measurements of which one state was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// The state said.
    pub said: State,
    /// How many measurements.
    pub n: u64,
    /// The median of each.
    pub median: Cost,
    /// The largest of each.
    pub most: Cost,
}

/// By the state that was said, the surest first.
pub fn by_state(rows: &[&Row]) -> Vec<Costs> {
    let states = [State::Blocked, State::LikelyBlocked, State::Down, State::Impaired, State::Insufficient, State::Ok];
    states.into_iter().filter_map(|said| costs(said, rows)).collect()
}

fn costs(said: State, rows: &[&Row]) -> Option<Costs> {
    let of: Vec<Cost> = rows.iter().filter(|row| row.said.state == said).map(|row| row.cost).collect();
    let sorted = |part: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = of.iter().map(part).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let parts = [sorted(|cost| cost.connections), sorted(|cost| cost.bytes), sorted(|cost| cost.seconds)];
    let cost = |[connections, bytes, seconds]: [f64; 3]| Cost { connections, bytes, seconds };
    (!of.is_empty()).then(|| Costs {
        said,
        n: of.len() as u64,
        // The lower of two.
        median: cost(parts.each_ref().map(|values| values[(values.len() - 1) / 2])),
        most: cost(parts.each_ref().map(|values| values[values.len() - 1])),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evaluate::row::tests::{row, works};

    #[test]
    fn medians_and_extremes_are_those_of_each_state() {
        let with = |number, changes: &serde_json::Value, state, connections| {
            let cost = Cost { connections, bytes: 10.0 * connections, seconds: 1.0 };
            Row { cost, ..row(number, changes, state, [0.1, 0.1, 0.8]) }
        };
        let rows = [
            with(1, &json!({}), State::Blocked, 6.0),
            with(2, &json!({}), State::Blocked, 8.0),
            with(3, &json!({}), State::Blocked, 20.0),
            with(4, &works(), State::Ok, 0.0),
        ];
        let costs = by_state(&rows.iter().collect::<Vec<_>>());
        assert_eq!(costs.iter().map(|of| (of.said, of.n)).collect::<Vec<_>>(), [(State::Blocked, 3), (State::Ok, 1)]);
        assert_eq!(costs[0].median, Cost { connections: 8.0, bytes: 80.0, seconds: 1.0 });
        assert_eq!((costs[0].most.connections, costs[1].most.connections), (20.0, 0.0));
    }
}
