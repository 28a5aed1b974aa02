//! What follow-ups cost, and what they may cost: for a target, and for a run.

use std::collections::BTreeSet;
use std::sync::Mutex;

use faultline_record::{Observation, Purpose, Step};

/// A cost, expected or spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Connections, and questions to resolvers.
    pub connections: u32,
    /// Bytes received.
    pub bytes: u64,
    /// Seconds of asking and waiting for answers.
    pub seconds: f64,
}

impl Cost {
    /// A cost.
    pub const fn new(connections: u32, bytes: u64, seconds: f64) -> Self {
        Self { connections, bytes, seconds }
    }

    /// What the follow-ups among these rows have cost.
    pub fn of(rows: &[Observation]) -> Self {
        let own = || rows.iter().filter(|row| is_follow_up(row.purpose) && row.outcome.not_run().is_none());
        let connections: BTreeSet<u32> = own().filter_map(|row| row.connection).collect();
        let questions = own().filter(|row| row.step() == Step::Dns).count();
        let received = |row: &Observation| {
            let handshake = row.tls().or(row.quic()).map_or(0, |tls| tls.bytes_received);
            handshake + row.http().map_or(0, |http| http.body_length) + row.vpn().map_or(0, |vpn| vpn.bytes_received)
        };
        Self {
            connections: u32::try_from(connections.len() + questions).unwrap_or(u32::MAX),
            bytes: own().map(received).sum(),
            seconds: own().map(|row| (row.t_ms - row.t0_ms) / 1_000.0).sum(),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections.saturating_add(other.connections),
            bytes: self.bytes.saturating_add(other.bytes),
            seconds: self.seconds + other.seconds,
        }
    }

    /// What is spent beyond an earlier count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            connections: self.connections.saturating_sub(earlier.connections),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            seconds: (self.seconds - earlier.seconds).max(0.0),
        }
    }

    /// The share of a budget that it takes: the largest of its three.
    #[expect(clippy::cast_precision_loss, reason = "budgets are far below 2^52 bytes")]
    pub fn share_of(self, budget: Budget) -> f64 {
        let connections = f64::from(self.connections) / f64::from(budget.connections.max(1));
        let bytes = self.bytes as f64 / budget.bytes.max(1) as f64;
        connections.max(bytes).max(self.seconds / budget.seconds.max(f64::MIN_POSITIVE))
    }
}

/// Rows beyond the measurement proper and what it is held against anyway.
pub(crate) fn is_follow_up(purpose: Purpose) -> bool {
    !matches!(purpose, Purpose::Main | Purpose::Comparison | Purpose::Helper)
}

/// What may be spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Connections.
    pub connections: u32,
    /// Bytes received.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
}

impl Budget {
    /// For one target. A settled block costs twelve connections and some kilobytes as a rule; a filter that acts by chance
    /// takes up to 88 connections, a comparison of speeds up to eight bodies of 256 KiB.
    pub const TARGET: Self = Self { connections: 100, bytes: 4 << 20, seconds: 120.0 };
    /// For one run: a censored network of two hundred blocked targets stays far below.
    pub const RUN: Self = Self { connections: 8_000, bytes: 64 << 20, seconds: 14_400.0 };
    /// What a settled block should cost (issue: 15 connections, 200 KB, 30 s): the measure by which costs are compared.
    pub const USUAL: Self = Self { connections: 15, bytes: 200_000, seconds: 30.0 };

    /// Whether that much more can be spent.
    pub fn allows(self, spent: Cost, more: Cost) -> bool {
        let sum = spent.plus(more);
        sum.connections <= self.connections && sum.bytes <= self.bytes && sum.seconds <= self.seconds
    }
}

/// What a run's targets have spent together.
#[derive(Debug, Default)]
pub struct Purse(Mutex<Cost>);

impl Purse {
    /// Whether the run can spend that much more.
    pub fn allows(&self, more: Cost) -> bool {
        Budget::RUN.allows(*self.lock(), more)
    }

    /// So much was spent.
    pub fn spend(&self, cost: Cost) {
        let mut spent = self.lock();
        *spent = spent.plus(cost);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cost> {
        // The sum is replaced whole: a panic elsewhere cannot have torn it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_spends_until_its_budget_is_gone() {
        let purse = Purse::default();
        let much = Cost::new(Budget::RUN.connections - 1, 0, 0.0);
        assert!(purse.allows(much));
        purse.spend(much);
        assert!(purse.allows(Cost::new(1, 0, 0.0)) && !purse.allows(Cost::new(2, 0, 0.0)));
    }

    #[test]
    fn a_cost_is_as_large_as_its_largest_share() {
        let share = |cost: Cost| cost.share_of(Budget::USUAL);
        assert!((share(Cost::new(3, 0, 0.0)) - 0.2).abs() < 1e-9);
        assert!((share(Cost::new(3, 100_000, 0.0)) - 0.5).abs() < 1e-9);
        assert!((share(Cost::new(3, 100_000, 30.0)) - 1.0).abs() < 1e-9);
    }
}
