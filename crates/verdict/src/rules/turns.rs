//! Tries of a target's own name and of an innocent one, in turns at one address, whatever carries them: what they say.

use std::fmt::Display;
use std::net::IpAddr;

use faultline_record::Failure;

use super::Finding;
use crate::paired::{LIKELY, Pairs, SETTLED};

/// Rounds in which the innocent name must have been answered before a differential counts. Three rounds, alternating, is
/// the experiment (science reference, row 19); one of the innocent's own may be lost to the network.
const ROUNDS_WANTED: usize = 2;

/// One try.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    /// Its row.
    pub(super) seq: u32,
    /// Whether the peer said anything.
    pub(super) answered: bool,
    /// Whether it fell silent or was cut off.
    pub(super) failed: bool,
}

/// The tries at one address, each in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// Of the measurement proper, with the target's own name.
    pub(super) main: Vec<Try>,
    /// Of the rounds, with the target's own name.
    pub(super) own: Vec<Try>,
    /// Of the rounds, with the innocent one.
    pub(super) innocent: Vec<Try>,
}

/// What turns say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// The own name fails whenever it is tried, the innocent one is answered.
    Always,
    /// The own name fails more often than chance does once in a hundred experiments.
    Often,
    /// The same, once in ten.
    Sometimes,
    /// Neither is ever answered.
    AnyFails,
    /// The own name was answered as well.
    Recovers,
    /// Too little to say anything.
    Nothing,
}

impl Turns {
    /// Every try with the target's own name.
    pub(super) fn all_own(&self) -> impl Iterator<Item = &Try> {
        self.main.iter().chain(&self.own)
    }

    /// How many of the own failed.
    pub(super) fn failed(&self) -> usize {
        self.all_own().filter(|own| own.failed).count()
    }

    /// How many of the own there are.
    pub(super) fn tries(&self) -> usize {
        self.main.len() + self.own.len()
    }

    /// How many of the innocent were answered.
    pub(super) fn answered(&self) -> usize {
        self.innocent.iter().filter(|innocent| innocent.answered).count()
    }

    /// Every row.
    pub(super) fn rows(&self) -> Vec<u32> {
        self.all_own().chain(&self.innocent).map(|one| one.seq).collect()
    }

    /// Decimal logarithm of the odds of "it goes by the name" against chance. The measurement proper does not count: it was
    /// chosen for having failed.
    pub(super) fn log10_odds(&self) -> f64 {
        let answered = |tries: &[Try]| tries.iter().map(|one| !one.failed).collect::<Vec<_>>();
        Pairs::of(answered(&self.own), answered(&self.innocent)).log10_odds()
    }

    /// What they say, in the words of a rule.
    pub(super) fn finding(&self, id: &str, host: &str, address: IpAddr, failure: Option<Failure>) -> Finding {
        let fields: &[(&str, &dyn Display)] = &[
            ("host", &host),
            ("addresses", &address),
            ("failed", &self.failed()),
            ("tries", &self.tries()),
            ("failure", &failure.map_or("", Failure::name)),
            ("answered", &self.answered()),
            ("rounds", &self.innocent.len()),
        ];
        Finding::new(id, self.rows(), fields)
    }

    /// What they say.
    pub(super) fn say(&self) -> Says {
        let (failed, tries, answered) = (self.failed(), self.tries(), self.answered());
        let has_rounds = tries > ROUNDS_WANTED && self.innocent.len() >= ROUNDS_WANTED;
        if failed > 0 && failed == tries && has_rounds && answered >= ROUNDS_WANTED {
            return Says::Always;
        }
        match self.log10_odds() {
            odds if odds >= SETTLED => Says::Often,
            odds if odds >= LIKELY => Says::Sometimes,
            _ if failed > 0 && failed == tries && has_rounds && answered == 0 => Says::AnyFails,
            _ if self.all_own().any(|own| own.answered) => Says::Recovers,
            _ => Says::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(main: &str, own: &str, innocent: &str) -> Turns {
        let tries = |marks: &str| -> Vec<Try> {
            marks.chars().map(|mark| Try { seq: 1, answered: mark == '+', failed: mark == '-' }).collect()
        };
        Turns { main: tries(main), own: tries(own), innocent: tries(innocent) }
    }

    #[test]
    fn three_rounds_that_all_differ_are_a_differential_and_one_of_the_innocents_may_be_lost() {
        assert_eq!(turns("-", "---", "+++").say(), Says::Always);
        assert_eq!(turns("-", "---", "+-+").say(), Says::Always);
        assert_eq!(turns("-", "---", "---").say(), Says::AnyFails);
        assert_eq!(turns("-", "---", "--+").say(), Says::Nothing);
        assert_eq!(turns("-", "-", "+").say(), Says::Nothing, "too few");
    }

    #[test]
    fn a_name_that_fails_now_and_then_needs_more_rounds() {
        assert_eq!(turns("-", "+++", "+++").say(), Says::Recovers);
        assert_eq!(turns("-", "+-+-+-+-", "++++++++").say(), Says::Sometimes);
        assert_eq!(turns("-", "-+-+--+-+-+--", "+++++++++++++").say(), Says::Often);
        assert_eq!(
            turns("-", "-+-+--+-+-+--", "+++-+++++++++").say(),
            Says::Sometimes,
            "the innocent failed once, too"
        );
        assert_eq!(turns("-", "-+-+", "++-+").say(), Says::Recovers);
    }
}
