//! What is known of each experiment before it is made: its question, what a round costs, how likely each hypothesis makes
//! each answer, and when it has had rounds enough. All figures are set by hand, from how the experiments end in the
//! testbed; they choose and stop, and never judge.

use faultline_verdict::paired::{Pairs, SETTLED};

use super::Experiment;
use super::answer::Answer;
use super::budget::Cost;
use super::hypothesis::COUNT;

/// Rounds of a differential that is not in doubt (design, section 5: alternating, at least three).
pub(crate) const ROUNDS: usize = 3;
/// Rounds without a failure after which a filter that acts by chance is ruled out (science reference, section 2.4: ten
/// trials and more, for one that acts on 26.3 % of connections; one that acts on 30 % lets twelve pass once in seventy).
const RULED_OUT: usize = 12;
/// Rounds after which it stays undecided, unless the odds are promising by then.
const MOST: usize = 24;
/// Decimal logarithm of the odds that are promising: three failures of the own name alone.
const PROMISING: f64 = 0.8;
/// Rounds after which it stays undecided for good: with these a filter that acts on 30 % of connections is settled 96 times of
/// 100, by simulation; a line that fails 30 % of any name's 0.6 times.
const MOST_OF_ALL: usize = 44;

/// An experiment, as far as it is known before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// What it asks.
    pub question: &'static str,
    /// What one round is expected to cost.
    pub round: Cost,
    /// How likely each hypothesis makes each answer, in the order of [`Trial::ANSWERS`].
    pub answers: [[f64; COUNT]; 4],
    /// What it is for.
    pub aim: Aim,
    rounds: Rounds,
}

/// What an experiment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// It tells what lies behind a failure.
    Settles,
    /// It tells more of what others have settled: made after these, as long as a settled block costs what it should.
    Describes,
    /// It measures something of its own (a speed, a place): made last.
    Measures,
}

/// When an experiment has had rounds enough.
#[derive(Clone, Copy, Debug)]
enum Rounds {
    /// After so many.
    Exactly(usize),
    /// When it is plain who fails.
    Turns,
    /// When it is plain who fails more often, of what has failed before and was answered then.
    Odds,
}

/// Passing, name, now and then, address, protocol, target.
type Table = [[f64; COUNT]; 4];

/// The target's own name and an innocent one at one address, in turns.
const TURNS: Table = [
    [0.90, 0.005, 0.57, 0.01, 0.01, 0.005],
    [0.03, 0.930, 0.40, 0.01, 0.01, 0.450],
    [0.03, 0.005, 0.01, 0.01, 0.01, 0.005],
    [0.04, 0.060, 0.02, 0.97, 0.97, 0.540],
];
/// The same at an address that has nothing to do with the target.
const ELSEWHERE: Table = [
    [0.90, 0.010, 0.57, 0.91, 0.08, 0.91],
    [0.03, 0.920, 0.40, 0.03, 0.02, 0.03],
    [0.03, 0.010, 0.01, 0.03, 0.02, 0.03],
    [0.04, 0.060, 0.02, 0.03, 0.88, 0.03],
];
/// The same connection once more.
const AGAIN: Table = single([0.9, 0.3, 0.6, 0.02, 0.02, 0.05]);
/// Something else that the host would answer.
const OTHER_WAY: Table = single([0.9, 0.85, 0.85, 0.04, 0.9, 0.4]);
/// What only somebody on the way, or only the site itself, would do.
const WHOSE: Table = single([0.5, 0.7, 0.6, 0.4, 0.4, 0.3]);
/// The name, hidden from those who read at a glance.
const HIDDEN: Table = single([0.9, 0.7, 0.8, 0.02, 0.05, 0.1]);

/// Answered or not, with nothing beside it.
const fn single(answered: [f64; COUNT]) -> Table {
    let mut silent = [0.0; COUNT];
    let mut index = 0;
    while index < COUNT {
        silent[index] = 1.0 - answered[index];
        index += 1;
    }
    [answered, [0.0; COUNT], [0.0; COUNT], silent]
}

impl Trial {
    /// The answers, in the order of the table.
    pub const ANSWERS: [Answer; 4] =
        [Answer::AllAnswered, Answer::OwnFailed, Answer::InnocentFailed, Answer::NoneAnswered];

    /// How likely each hypothesis makes an answer.
    pub fn likely(&self, answer: Answer) -> &[f64; COUNT] {
        let index = Self::ANSWERS.iter().position(|one| *one == answer).unwrap_or(0);
        &self.answers[index]
    }

    /// Whether these are all the rounds that the experiment is meant to have; more are made only for what stays in doubt.
    pub fn is_prolonged(&self, answers: &[Answer]) -> bool {
        matches!(self.rounds, Rounds::Turns | Rounds::Odds) && answers.len() >= ROUNDS
    }

    /// Whether another round is to be made after these.
    pub fn goes_on(&self, answers: &[Answer]) -> bool {
        match self.rounds {
            Rounds::Exactly(rounds) => answers.len() < rounds,
            Rounds::Turns => turns_go_on(answers),
            Rounds::Odds => answers.len() < ROUNDS || odds_go_on(answers, &Patience::LOOKS),
        }
    }

    const fn turns(question: &'static str) -> Self {
        let round = Cost::new(2, 8_000, 2.0);
        Self { question, round, answers: TURNS, aim: Aim::Settles, rounds: Rounds::Turns }
    }

    const fn once(question: &'static str, round: Cost, answers: Table) -> Self {
        Self { question, round, answers, aim: Aim::Settles, rounds: Rounds::Exactly(1) }
    }

    const fn describing(question: &'static str, round: Cost) -> Self {
        Self { question, round, answers: HIDDEN, aim: Aim::Describes, rounds: Rounds::Exactly(1) }
    }
}

/// Three rounds that leave no doubt are enough. Where some of the own were answered, the odds say.
fn turns_go_on(answers: &[Answer]) -> bool {
    let rounds = answers.len();
    if rounds < ROUNDS {
        return true;
    }
    let count = |wanted: &[Answer]| answers.iter().filter(|answer| wanted.contains(answer)).count();
    let own_failed = count(&[Answer::OwnFailed, Answer::NoneAnswered]);
    let innocent_answered = count(&[Answer::OwnFailed, Answer::AllAnswered]);
    if own_failed == rounds {
        return innocent_answered == 1 && rounds < 2 * ROUNDS;
    }
    odds_go_on(answers, &Patience::NAMES)
}

/// How long turns go on that leave doubt.
struct Patience {
    /// Rounds without a failure that rule out a filter which acts by chance.
    ruled_out: usize,
    /// Decimal logarithm of the odds from which they go on longest.
    promising: f64,
}

impl Patience {
    const NAMES: Self = Self { ruled_out: RULED_OUT, promising: PROMISING };
    /// What fails once and is answered then is rare on a line that loses packets, since TCP sends again: twice the rounds, and one
    /// failure is promising.
    const LOOKS: Self = Self { ruled_out: 2 * RULED_OUT, promising: 0.2 };
}

/// Rounds go on until the odds cross a bound, until a filter that acts by chance is ruled out, or until neither has been answered
/// thrice.
fn odds_go_on(answers: &[Answer], patience: &Patience) -> bool {
    let rounds = answers.len();
    let only = |wanted| {
        let count = answers.iter().filter(|answer| **answer == wanted).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    if answers.iter().all(|answer| *answer == Answer::NoneAnswered) {
        return false;
    }
    let pairs = Pairs { own_failed: only(Answer::OwnFailed), innocent_failed: only(Answer::InnocentFailed) };
    let odds = pairs.log10_odds();
    let is_ruled_out = pairs.own_failed == 0 && rounds >= patience.ruled_out;
    let most = if odds >= patience.promising { MOST_OF_ALL } else { MOST };
    rounds < most && !is_ruled_out && odds > -SETTLED && odds < SETTLED
}

impl Experiment {
    /// What is known of it before it is made.
    pub fn trial(&self) -> Trial {
        let connection = Cost::new(1, 4_000, 2.0);
        match self {
            Self::SniDifferential { .. } => Trial::turns("is it the name or the address?"),
            Self::HostDifferential { .. } => Trial::turns("is it the host that the request names?"),
            Self::TunnelLooks { .. } => {
                Trial { rounds: Rounds::Odds, ..Trial::turns("is it how the first message looks?") }
            }
            Self::QuicDifferential { .. } => Trial::turns("is it the name, over QUIC?"),
            Self::Elsewhere { .. } => Trial {
                answers: ELSEWHERE,
                rounds: Rounds::Exactly(1),
                ..Trial::turns("does the name fail where its own server has no say?")
            },
            Self::HostAnywhere { .. } => {
                Trial::once("does the host fail where its own server has no say?", Cost::new(7, 3_000, 4.0), ELSEWHERE)
            }
            Self::TcpRetry { .. } => Trial::once("was a lost packet the cause?", connection, AGAIN),
            Self::OtherPort { .. } => Trial::once("does the host live?", Cost::new(1, 0, 2.0), OTHER_WAY),
            Self::TcpCopy { .. } => Trial::once("does the host live, over TCP?", connection, OTHER_WAY),
            Self::VersionNegotiation { .. } => {
                Trial::once("does a server of QUIC live there?", Cost::new(5, 200, 6.0), OTHER_WAY)
            }
            Self::Http3Copy { .. } => Trial {
                aim: Aim::Measures,
                ..Trial::once("is the page there over HTTP/3 as well?", Cost::new(1, 60_000, 2.0), OTHER_WAY)
            },
            Self::ForgedCertificate { .. } => {
                Trial::once("is a certificate of nobody's made for any name?", connection, WHOSE)
            }
            Self::HttpsCopy { .. } => {
                Trial::once("is the page in the clear the site's own?", Cost::new(2, 60_000, 2.0), WHOSE)
            }
            Self::OtherTransport { .. } => {
                Trial::once("is it the resolver that lies, or somebody on the way?", Cost::new(8, 0, 2.0), WHOSE)
            }
            Self::AddressCheck { .. } => Trial::once("who holds the certificate?", Cost::new(4, 16_000, 2.0), WHOSE),
            Self::NameQuestions { .. } => Trial::once("is it the name or the resolver?", Cost::new(8, 0, 8.0), TURNS),
            Self::TcpQuestions { .. } => Trial::once("is a question cut off over TCP?", Cost::new(6, 0, 1.0), TURNS),
            Self::RandomName => Trial::once("was the answer made for this name?", Cost::new(1, 0, 0.2), WHOSE),
            Self::ProxyCheck { .. } => {
                Trial::once("does the address pass on whatever it is asked for?", Cost::new(2, 8_000, 1.0), WHOSE)
            }
            Self::Tunnel { .. } => {
                Trial::once("is it the protocol, the server or the host?", Cost::new(14, 10_000, 30.0), OTHER_WAY)
            }
            Self::TunnelResidual { .. } => {
                Trial::once("does the server live again in time?", Cost::new(7, 1_000, 28.0), HIDDEN)
            }
            Self::SmallSegments { .. } => {
                Trial::once("do long packets vanish on the way?", Cost::new(1, 100_000, 4.0), AGAIN)
            }
            Self::SlowName { .. } => slow("is it the name that makes it slow?"),
            Self::SlowPlain { .. } => slow("is it the lack of encryption that makes it slow?"),
            Self::Residual { .. } => {
                Trial::once("does the address live again in time?", Cost::new(6, 8_000, 20.0), HIDDEN)
            }
            Self::NoResolver { .. } => {
                Trial::describing("does somebody on the way answer questions?", Cost::new(1, 0, 4.0))
            }
            Self::OtherHellos { .. } => Trial::describing("is it how the name is sent?", Cost::new(3, 8_000, 8.0)),
            Self::OtherForms { .. } => Trial::describing("which forms of the name?", Cost::new(3, 8_000, 4.0)),
            Self::Encrypted { .. } => Trial {
                aim: Aim::Measures,
                ..Trial::describing("does the name pass encrypted?", Cost::new(2, 8_000, 4.0))
            },
            Self::Locate { .. } => {
                Trial { aim: Aim::Measures, ..Trial::describing("where on the path?", Cost::new(20, 30_000, 20.0)) }
            }
        }
    }
}

/// It has rounds of its own, and ends them when they have shown it or cannot (`measure::slow`).
const fn slow(question: &'static str) -> Trial {
    Trial { aim: Aim::Measures, ..Trial::once(question, Cost::new(12, 800_000, 30.0), TURNS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(marks: &str) -> Vec<Answer> {
        let one = |mark| match mark {
            '+' => Answer::AllAnswered,
            'o' => Answer::OwnFailed,
            'i' => Answer::InnocentFailed,
            _ => Answer::NoneAnswered,
        };
        marks.chars().map(one).collect()
    }

    fn goes_on(marks: &str) -> bool {
        Trial::turns("").goes_on(&answers(marks))
    }

    #[test]
    fn every_answer_has_its_probability_under_each_hypothesis() {
        for table in [TURNS, ELSEWHERE, AGAIN, OTHER_WAY, WHOSE, HIDDEN] {
            for column in 0..COUNT {
                let sum: f64 = table.iter().map(|row| row[column]).sum();
                assert!((sum - 1.0).abs() < 1e-9, "{table:?}, column {column}");
            }
        }
    }

    #[test]
    fn three_rounds_without_a_doubt_are_enough() {
        assert!(goes_on("oo") && !goes_on("ooo") && !goes_on("---") && !goes_on("oo-"));
        assert!(goes_on("o--"), "one answer to the innocent is too few");
        assert!(!goes_on("o-----"));
    }

    #[test]
    fn what_was_answered_before_gets_rounds_until_the_odds_say_enough_though_it_fails_each_time() {
        let goes_on = |marks: &str| Trial { rounds: Rounds::Odds, ..Trial::turns("") }.goes_on(&answers(marks));
        assert!(goes_on("ooo") && goes_on("ooooooo") && !goes_on("oooooooo"), "eight settle it");
        assert!(goes_on("oo") && !goes_on("---"), "nobody is answered any more");
        assert!(goes_on(&"+".repeat(23)) && !goes_on(&"+".repeat(24)));
        assert!(goes_on(&format!("o{}", "+".repeat(30))) && !goes_on(&format!("o{}", "+".repeat(43))));
    }

    #[test]
    fn a_name_that_fails_now_and_then_gets_rounds_until_the_odds_say_enough() {
        assert!(goes_on("+++") && goes_on("+++++++++++") && !goes_on("++++++++++++"), "twelve rounds rule it out");
        assert!(goes_on("o++o++o++o++"), "likely, not settled");
        assert!(!goes_on("oooooooo+"), "settled");
        assert!(!goes_on(&format!("oo{}", "+".repeat(22))) && goes_on(&"o+++".repeat(6)), "three are promising");
        assert!(!goes_on(&format!("oooo{}", "+".repeat(40))), "there is an end to it");
        assert!(goes_on("+i+") && !goes_on("+iii"), "chance fails the innocent, too");
    }
}
