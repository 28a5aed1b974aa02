//! Chance by seed: a number that depends on the seed and on what it is drawn for, and on nothing else.

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// A number from 0 up to 1. The hash is `SipHash` with a fixed key, as the standard library has it.
pub fn draw(seed: u64, of: impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, of).hash(&mut hasher);
    // 32 bits are exact in a float.
    f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_draws_are_even() {
        assert!((draw(1, "a") - draw(1, "a")).abs() < f64::EPSILON);
        assert!((draw(1, "a") - draw(2, "a")).abs() > f64::EPSILON);
        let below = (0..10_000).filter(|n| draw(7, n) < 0.3).count();
        assert!((2_800..3_200).contains(&below), "{below} of 10,000 below 0.3");
    }
}
