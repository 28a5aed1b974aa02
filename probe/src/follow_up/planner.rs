//! Which experiment is made next: the one that is expected to tell most for what it costs, round by round, until what lies
//! behind the failure is plain, nothing more can be told, or the budget is spent. Pure: rows in, the next round out.

use faultline_record::{Family, Observation};

use super::Experiment;
use super::answer::Answer;
use super::budget::{Budget, Cost};
use super::hypothesis::Beliefs;
use super::trial::{Aim, Trial};

/// Log odds at which what lies behind a failure is plain: 1,000 to 1 (issue: a false confirmation in 1,000 at most).
const PLAIN: f64 = 6.9;
/// An experiment that is expected to tell less than this is left out, bits.
const LEAST_GAIN: f64 = 0.001;
/// Below the worth of anything that describes.
const LAST: f64 = 1_000.0;

/// The experiments of one measurement, and what came of them.
#[derive(Clone, Debug, Default)]
pub struct Planner {
    made: Vec<Made>,
}

/// An experiment that was begun.
#[derive(Clone, Debug)]
struct Made {
    experiment: Experiment,
    answers: Vec<Answer>,
    /// Nothing more comes of it.
    is_over: bool,
    /// Belongs to a stage that is past: no other of its kind is begun.
    is_past: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// One more round of this.
    Round(Experiment),
    /// This would be next, and the budget does not allow it.
    TooDear(Experiment),
    /// Nothing.
    Done,
}

impl Planner {
    /// A stage of the measurement begins: of what was made before it, no other of its kind is made again.
    pub fn begin_stage(&mut self) {
        self.made.iter_mut().for_each(|made| made.is_past = true);
    }

    /// What to do next of what the rows ask for, after what they have cost so far.
    pub fn next(&self, wanted: &[Experiment], rows: &[Observation]) -> Next {
        let mut open: Vec<(&Experiment, f64)> =
            wanted.iter().filter(|one| self.is_open(one)).map(|one| (one, self.worth(one))).collect();
        // Stable: of what is worth the same, what was wanted first.
        open.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let Some((experiment, _)) = open.first() else { return Next::Done };
        let trial = experiment.trial();
        if budget(&trial).allows(Cost::of(rows), trial.round) {
            Next::Round((*experiment).clone())
        } else {
            Next::TooDear((*experiment).clone())
        }
    }

    /// Whether the next round of this is one more than it is meant to have.
    pub fn is_prolonged(&self, experiment: &Experiment) -> bool {
        let made = self.made.iter().find(|made| made.experiment == *experiment);
        made.is_some_and(|made| experiment.trial().is_prolonged(&made.answers))
    }

    /// A round was made; without an answer nothing more comes of the experiment.
    pub fn note(&mut self, experiment: &Experiment, answer: Option<Answer>) {
        let known = self.made.iter().position(|made| made.experiment == *experiment);
        let index = known.unwrap_or_else(|| {
            let made = Made { experiment: experiment.clone(), answers: Vec::new(), is_over: false, is_past: false };
            self.made.push(made);
            self.made.len() - 1
        });
        let made = &mut self.made[index];
        made.answers.extend(answer);
        made.is_over |= answer.is_none() || !experiment.trial().goes_on(&made.answers);
    }

    /// What is believed of the failures of a family's addresses, by the rounds so far.
    pub fn beliefs(&self, family: Option<Family>) -> Beliefs {
        let of = |made: &&Made| made.experiment.family() == family && made.experiment.trial().aim == Aim::Settles;
        self.made.iter().filter(of).fold(Beliefs::default(), |beliefs, made| {
            let trial = made.experiment.trial();
            made.answers.iter().fold(beliefs, |beliefs, answer| beliefs.after(trial.likely(*answer)))
        })
    }

    fn is_open(&self, experiment: &Experiment) -> bool {
        match self.made.iter().find(|made| made.experiment == *experiment) {
            Some(made) => !made.is_over,
            None => {
                !self.made.iter().any(|made| made.is_past && made.experiment.is_like(experiment))
                    && self.tells(experiment)
            }
        }
    }

    /// Whether anything is expected of an experiment that was not begun: what is plain is not asked.
    fn tells(&self, experiment: &Experiment) -> bool {
        let (trial, beliefs) = (experiment.trial(), self.beliefs(experiment.family()));
        trial.aim != Aim::Settles || (beliefs.log_odds() < PLAIN && beliefs.expected_gain(&trial.answers) >= LEAST_GAIN)
    }

    /// Bits for a share of what a settled block should cost. What was begun goes on first: rounds that are cut short tell
    /// nothing; what only describes comes last.
    fn worth(&self, experiment: &Experiment) -> f64 {
        let trial = experiment.trial();
        if self.made.iter().any(|made| made.experiment == *experiment) {
            return f64::INFINITY;
        }
        let share = trial.round.share_of(Budget::USUAL).max(f64::MIN_POSITIVE);
        match trial.aim {
            Aim::Settles => self.beliefs(experiment.family()).expected_gain(&trial.answers) / share,
            // In the order in which they are wanted.
            Aim::Describes => -1.0,
            Aim::Measures => -LAST - share,
        }
    }
}

/// What may be spent on it. What only describes keeps a settled block as cheap as it should be.
fn budget(trial: &Trial) -> Budget {
    if trial.aim == Aim::Describes { Budget::USUAL } else { Budget::TARGET }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::follow_up::{Hypothesis, rows};

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    fn differential() -> Experiment {
        Experiment::SniDifferential { address: at("203.0.113.9:443"), own: "x.example".into() }
    }

    fn elsewhere() -> Experiment {
        Experiment::Elsewhere { beside: at("203.0.113.9:443"), own: "x.example".into() }
    }

    fn hellos() -> Experiment {
        Experiment::OtherHellos { address: at("203.0.113.9:443"), own: "x.example".into() }
    }

    fn next(planner: &Planner, wanted: &[Experiment]) -> Option<Experiment> {
        match planner.next(wanted, &[]) {
            Next::Round(experiment) => Some(experiment),
            _ => None,
        }
    }

    #[test]
    fn what_was_begun_goes_on_and_what_describes_comes_last() {
        let mut planner = Planner::default();
        let wanted = [hellos(), differential()];
        for _ in 0..3 {
            assert_eq!(next(&planner, &wanted), Some(differential()));
            planner.note(&differential(), Some(Answer::OwnFailed));
        }
        assert_eq!(next(&planner, &wanted), Some(hellos()));
        planner.note(&hellos(), Some(Answer::AllAnswered));
        assert_eq!(planner.next(&wanted, &[]), Next::Done);
    }

    #[test]
    fn of_two_that_tell_as_much_the_cheaper_comes_first() {
        let (dear, cheap) = (
            Experiment::SmallSegments { address: at("203.0.113.9:443") },
            Experiment::TcpRetry { address: at("203.0.113.9:443") },
        );
        assert_eq!(next(&Planner::default(), &[dear, cheap.clone()]), Some(cheap));
    }

    #[test]
    fn what_is_plain_is_not_asked() {
        let mut planner = Planner::default();
        (0..3).for_each(|_| planner.note(&differential(), Some(Answer::OwnFailed)));
        let beliefs = planner.beliefs(differential().family());
        assert!(beliefs.of(Hypothesis::Name) > 0.8, "{beliefs:?}");
        assert_eq!(next(&planner, &[elsewhere()]), Some(elsewhere()), "the target's own server may do it still");
        planner.note(&elsewhere(), Some(Answer::OwnFailed));
        assert!(planner.beliefs(differential().family()).log_odds() >= 3.0);
    }

    #[test]
    fn what_was_made_in_an_earlier_stage_is_not_made_again_at_another_address() {
        let mut planner = Planner::default();
        planner.note(&differential(), None);
        let other = Experiment::SniDifferential { address: at("[2001:db8::1]:443"), own: "x.example".into() };
        assert_eq!(next(&planner, std::slice::from_ref(&other)), Some(other.clone()), "the other family has its own");
        planner.begin_stage();
        assert_eq!(next(&planner, &[differential(), other]), None);
    }

    #[test]
    fn a_round_that_is_too_dear_is_not_made() {
        use faultline_record::{Outcome, Purpose, StepData};
        let row = |connection| Observation {
            purpose: Purpose::Retry,
            connection: Some(connection),
            ..rows::row(None, Outcome::Ok, StepData::Tcp)
        };
        let rows: Vec<Observation> = (0..Budget::TARGET.connections).map(row).collect();
        assert_eq!(Planner::default().next(&[differential()], &rows), Next::TooDear(differential()));
    }
}
