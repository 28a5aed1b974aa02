//! What may lie behind a failure, and how much each is believed. Beliefs choose what is asked next and when to stop; they
//! are no verdict: that is made from the rows, by rules with weights of their own.

/// An explanation of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypothesis {
    /// Loss or overload: the next try is as good as any.
    Passing,
    /// Somebody goes by the name, always.
    Name,
    /// Somebody goes by the name, by chance or on some of the ways.
    NowAndThen,
    /// Nothing gets through to the address, or nobody is there.
    Address,
    /// Nothing of this protocol gets through, whatever the name.
    Protocol,
    /// The target itself is broken for its own name.
    Target,
}

/// How many there are.
pub const COUNT: usize = 6;

impl Hypothesis {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; COUNT] =
        [Self::Passing, Self::Name, Self::NowAndThen, Self::Address, Self::Protocol, Self::Target];
}

/// Before anything is asked. Set by hand: a fifth of new TCP connections end abnormally without anybody's intent
/// (Sundara Raman et al. 2023, in the science reference), dead addresses and name filters come next.
const AT_FIRST: [f64; COUNT] = [0.35, 0.25, 0.05, 0.15, 0.05, 0.15];

/// How much each hypothesis is believed; sums to one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beliefs([f64; COUNT]);

impl Default for Beliefs {
    fn default() -> Self {
        Self(AT_FIRST)
    }
}

impl Beliefs {
    /// How much that one is believed.
    pub fn of(&self, hypothesis: Hypothesis) -> f64 {
        self.0[hypothesis as usize]
    }

    /// The same after an answer: by Bayes' rule, from how likely each hypothesis makes it.
    #[must_use]
    pub fn after(self, likely: &[f64; COUNT]) -> Self {
        let mut next = self.0;
        next.iter_mut().zip(likely).for_each(|(belief, likely)| *belief *= likely);
        let sum: f64 = next.iter().sum();
        // What no hypothesis allows for tells nothing.
        if sum > 0.0 { Self(next.map(|belief| belief / sum)) } else { self }
    }

    /// How uncertain it is, bits (Shannon 1948).
    pub fn entropy(&self) -> f64 {
        self.0.iter().filter(|belief| **belief > 0.0).map(|belief| -belief * belief.log2()).sum()
    }

    /// What an experiment is expected to tell, bits: how much less uncertain it is after it, on average over its answers.
    /// `answers` holds a row an answer: how likely each hypothesis makes it.
    pub fn expected_gain(&self, answers: &[[f64; COUNT]]) -> f64 {
        let expected = |likely: &[f64; COUNT]| {
            let chance: f64 = self.0.iter().zip(likely).map(|(belief, likely)| belief * likely).sum();
            if chance > 0.0 { chance * self.after(likely).entropy() } else { 0.0 }
        };
        (self.entropy() - answers.iter().map(expected).sum::<f64>()).max(0.0)
    }

    /// Natural logarithm of the odds of the likeliest hypothesis against all others.
    pub fn log_odds(&self) -> f64 {
        let best = self.0.iter().copied().fold(0.0, f64::max);
        (best / (1.0 - best).max(f64::MIN_POSITIVE)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beliefs_sum_to_one_before_and_after() {
        let sum = |beliefs: Beliefs| Hypothesis::ALL.iter().map(|one| beliefs.of(*one)).sum::<f64>();
        let start = Beliefs::default();
        assert!((sum(start) - 1.0).abs() < 1e-12);
        assert!((sum(start.after(&[0.1, 0.9, 0.5, 0.1, 0.1, 0.1])) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_equally_likely_under_all_tells_nothing_and_what_is_not_does() {
        let start = Beliefs::default();
        assert!(start.expected_gain(&[[0.5; COUNT], [0.5; COUNT]]) < 1e-12);
        let telling = [[0.1, 0.9, 0.5, 0.1, 0.1, 0.1], [0.9, 0.1, 0.5, 0.9, 0.9, 0.9]];
        assert!(start.expected_gain(&telling) > 0.1);
        let sure = (0..8).fold(start, |beliefs, _| beliefs.after(&telling[0]));
        assert!(sure.log_odds() > 4.0 && sure.expected_gain(&telling) < start.expected_gain(&telling) / 4.0);
    }
}
