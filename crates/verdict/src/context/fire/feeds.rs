//! What feeds say of the network or the country, where the measurement itself cannot tell. A feed never accuses, and never excuses
//! what an outage cannot do: an outage is silent, it forges no answer, resets nothing and reads no names.

use std::collections::BTreeSet;

use faultline_record::{Failure, Observation, Outcome, is_bogon};

use super::super::feeds::FeedWord;
use super::super::{Context, ControlState};
use super::Here;
use crate::rules::{Finding, listed};

impl Context {
    /// Whether feeds tell of an outage here; or, for a reader, that one of them claims it or that they show the place as usual.
    pub(super) fn outage(&self, here: &Here<'_>, found: &[Finding]) -> Option<Finding> {
        let words: Vec<FeedWord> = self.words_of_feeds(here).filter(|word| !word.is_demand).collect();
        let told: Vec<&FeedWord> = words.iter().filter(|word| word.state == ControlState::Agrees).collect();
        match self.feed_state(&words) {
            ControlState::Agrees if here.cannot_tell(found) => Some(here.told("context.feeds_tell_outage", &told)),
            ControlState::Agrees => Some(here.told("context.feed_outage_beside", &told)),
            ControlState::Disagrees => {
                let usual: Vec<&FeedWord> = words.iter().filter(|word| word.state == ControlState::Disagrees).collect();
                Some(here.told("context.feeds_as_usual", &usual))
            }
            ControlState::Absent if !told.is_empty() => Some(here.told("context.feed_claims_outage", &told)),
            ControlState::Absent => None,
        }
    }

    /// Whether something was wanted unusually much.
    pub(super) fn demand(&self, here: &Here<'_>) -> Option<Finding> {
        let words: Vec<FeedWord> = self.words_of_feeds(here).filter(|word| word.is_demand).collect();
        (!words.is_empty()).then(|| here.told("context.demand", &words.iter().collect::<Vec<_>>()))
    }

    fn words_of_feeds(&self, here: &Here<'_>) -> impl Iterator<Item = FeedWord> {
        self.feed_words(&here.own, here.place.began, here.place.began).into_iter()
    }
}

impl Here<'_> {
    /// Whether all that failed failed by silence, and nothing was found that silence cannot do.
    fn cannot_tell(&self, found: &[Finding]) -> bool {
        let rows = &self.features.measurement.observations;
        let is_silent = |seq: &u32| rows.iter().find(|row| row.seq == *seq).is_some_and(is_silence);
        let is_forged = self.features.given_by_system().iter().any(|address| is_bogon(*address));
        !is_forged && self.rows.iter().all(is_silent) && !found.iter().any(is_act)
    }

    fn told(&self, id: &str, words: &[&FeedWord]) -> Finding {
        let age = words.iter().map(|word| word.age_hours).max().unwrap_or(0);
        let what = listed(words.iter().map(|word| format!("{}: {}", crate::words::clean(&word.source), word.text)));
        let fields: &[(&str, &dyn std::fmt::Display)] = &[("what", &what), ("age", &age)];
        let sources = words.iter().map(|word| word.source.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        Finding { sources, age_hours: Some(age), ..Finding::new(id, self.rows.clone(), fields) }
    }
}

/// No answer, or none on the way, as where a network is out; of a resolver also that it got none.
fn is_silence(row: &Observation) -> bool {
    matches!(
        row.outcome,
        Outcome::Failed(
            Failure::GenericTimeoutError
                | Failure::TimedOut
                | Failure::HostUnreachable
                | Failure::NetworkUnreachable
                | Failure::NetworkDown
                | Failure::DnsTemporaryFailure
                | Failure::DnsServfailError
        )
    )
}

/// A finding of something that somebody did: determinate, or by a mechanism that is more than silence.
fn is_act(finding: &Finding) -> bool {
    let is_silent = |node: &str| matches!(node.rsplit('.').next(), Some("timeout" | "unreachable" | "servfail"));
    let settles = finding.rule.determinate && finding.rule.likelihoods.weight() > 0.0;
    settles || finding.mechanism.as_deref().is_some_and(|node| !is_silent(node))
}
