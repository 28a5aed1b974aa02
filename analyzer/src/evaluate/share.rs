//! Shares: so many of so many, with the interval that the number of cases supports.

use serde::{Serialize, Serializer};
use serde_json::json;

/// The standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_985;

/// `k` of `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many it holds of.
    pub k: u64,
    /// Of how many.
    pub n: u64,
}

impl Share {
    /// Counts the items that something holds of.
    pub fn of<T>(items: impl IntoIterator<Item = T>, holds: impl Fn(&T) -> bool) -> Self {
        items.into_iter().fold(Self::default(), |Self { k, n }, item| Self { k: k + u64::from(holds(&item)), n: n + 1 })
    }

    /// The share itself; `None` where there is nothing to have a share of.
    pub fn value(self) -> Option<f64> {
        (self.n > 0).then(|| ratio(self.k, self.n))
    }

    /// Wilson's score interval at 95 % (Wilson 1927; Brown and others 2001 advise it for few cases).
    pub fn interval(self) -> Option<(f64, f64)> {
        let (p, n) = (self.value()?, float(self.n));
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let bound = |value: f64| (value / (1.0 + Z * Z / n)).clamp(0.0, 1.0);
        Some((bound(middle - half), bound(middle + half)))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (low, high) = self.interval().unzip();
        let values = [self.value(), low, high].map(|value| value.map(rounded));
        json!({"k": self.k, "n": self.n, "share": values[0], "low": values[1], "high": values[2]}).serialize(serializer)
    }
}

/// A quotient of counts.
pub fn ratio(k: u64, n: u64) -> f64 {
    float(k) / float(n)
}

/// A count as a number to reckon with.
#[allow(clippy::cast_precision_loss, reason = "counts of measurements are far below 2^52")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// Rounded to four decimals, as figures are written to JSON.
pub fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0 + 0.0
}

/// The same for serde.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub fn four_decimals<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(k: u64, n: u64) -> (f64, f64) {
        let (low, high) = Share { k, n }.interval().unwrap();
        ((low * 1_000.0).round() / 1_000.0, (high * 1_000.0).round() / 1_000.0)
    }

    #[test]
    fn the_interval_is_wilsons() {
        // By hand: n = 10, p = 1: low = (1 + 0.19207 - 0.19207) / 1.38415 = 0.7225; z^2 = 3.8415.
        assert_eq!(interval(10, 10), (0.722, 1.0));
        assert_eq!(interval(0, 10), (0.0, 0.278));
        // OONI's adjudicated corpus, as it prints them: 42 of 46 is 80 to 97 %, 77 of 80 is 90 to 99 %.
        assert_eq!(interval(42, 46), (0.797, 0.966));
        assert_eq!(interval(77, 80), (0.895, 0.987));
    }

    #[test]
    fn nothing_of_nothing_has_no_share() {
        let none = Share::of([0; 0], |_| true);
        assert_eq!((none.value(), none.interval()), (None, None));
        assert_eq!(serde_json::to_value(none).unwrap()["share"], serde_json::Value::Null);
    }

    #[test]
    fn a_share_counts_what_holds() {
        let even = Share::of(1..=5, |number| number % 2 == 0);
        assert_eq!(even, Share { k: 2, n: 5 });
        assert_eq!(serde_json::to_value(even).unwrap()["share"], 0.4);
    }
}
