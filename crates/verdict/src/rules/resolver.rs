//! Rules on the system's resolver, asked in turns for the name and for an unrelated one: is it the name that is not
//! answered, or is the resolver broken, or waiting for somebody else?

use faultline_record::{Engine, Failure, Purpose, QueryType};

use super::dns::mechanism_of;
use super::questions::{ROUNDS, is_answered, ordered, with};
use super::{Finding, span};
use crate::features::{Features, Lookup};

/// A failure that came later than this was searched for, milliseconds: longer than a datagram that is lost and sent again (one
/// second), shorter than the patience of resolvers with authorities (unbound in the testbed: five seconds and more). Set by hand.
const SEARCHED_MS: f64 = 2_000.0;

/// Is it the name or the resolver that is not answered? From the system's resolver, asked for both in turns.
pub(super) fn of_the_name(features: &Features<'_>) -> Option<Finding> {
    let turns = Turns::of(features);
    let failure = features.system.iter().find_map(|lookup| lookup.row.outcome.failure())?;
    if turns.own.is_empty() || features.system.iter().any(|lookup| lookup.row.outcome.is_ok()) {
        return None;
    }
    if explanation(features).is_some() {
        // Said of the failure itself.
        return None;
    }
    if !is_met_with_silence(features) {
        let works = !is_word(failure) && turns.answered() == turns.innocent.len();
        return works.then(|| turns.finding("dns.innocent_name_resolves", features, failure));
    }
    let is_never_answered = turns.own.len() >= ROUNDS && turns.own.iter().all(|lookup| !is_answered(lookup));
    let is_settled =
        is_never_answered && turns.answered() == turns.innocent.len() && without_recursion(features) == Some(true);
    let id = if is_settled { "dns.name_silenced" } else { "dns.innocent_name_resolves" };
    let finding = turns.finding(id, features, failure);
    Some(if is_settled { finding.pointing_at(mechanism_of(Failure::GenericTimeoutError)) } else { finding })
}

/// What the system's resolver was asked in turns.
struct Turns<'f, 'a> {
    own: Vec<&'f Lookup<'a>>,
    innocent: Vec<&'f Lookup<'a>>,
}

impl<'f, 'a> Turns<'f, 'a> {
    fn of(features: &'f Features<'a>) -> Self {
        let by_system =
            |purpose| with(features, purpose).filter(|lookup| lookup.dns.engine == Engine::System).collect();
        Self { own: by_system(Purpose::ChangedCase), innocent: by_system(Purpose::InnocentName) }
    }

    /// How often the unrelated name was answered.
    fn answered(&self) -> usize {
        self.innocent.iter().filter(|lookup| is_answered(lookup)).count()
    }

    fn finding(&self, id: &str, features: &Features<'_>, failure: Failure) -> Finding {
        let failed = self.own.iter().filter(|lookup| !is_answered(lookup)).count();
        let fields: &[(&str, &dyn std::fmt::Display)] = &[
            ("host", &features.host),
            ("failure", &failure),
            ("failed", &failed),
            ("tries", &self.own.len()),
            ("answered", &self.answered()),
            ("rounds", &self.innocent.len()),
        ];
        Finding::new(id, ordered(self.own.iter().chain(&self.innocent).map(|lookup| lookup.row.seq)), fields)
    }
}

/// What explains that the system's resolver failed for a name, other than that somebody wants it to; rules of [`super::dns`].
pub(super) const EXPLANATIONS: [&str; 3] = ["dns.transient", "dns.searched_in_vain", "dns.innocent_name_fails_too"];

/// The explanation, if there is one.
pub(super) fn explanation(features: &Features<'_>) -> Option<&'static str> {
    let turns = Turns::of(features);
    let is_silent = is_met_with_silence(features);
    // Over TCP a name can pass that is silenced over UDP.
    let is_asked_again = |lookup: &&Lookup<'_>| lookup.dns.engine == Engine::System && is_own(features, lookup);
    let mut own = features.further.iter().filter(is_asked_again);
    let is_mostly_silent = 2 * turns.answered() < turns.innocent.len();
    let explains = [
        is_silent && own.any(|lookup| lookup.row.outcome.is_ok()),
        searches_in_vain(features, &turns, is_silent),
        is_silent && is_mostly_silent,
    ];
    EXPLANATIONS.into_iter().zip(explains).find_map(|(id, explains)| explains.then_some(id))
}

/// Whether the system's resolver never answered for an address of IPv4 (of any family, if that was not asked for).
fn is_met_with_silence(features: &Features<'_>) -> bool {
    let is_a = |lookup: &&Lookup<'_>| lookup.dns.query_type == QueryType::A;
    let mut of_a = features.system.iter().filter(is_a).peekable();
    let is_never_ok = features.system.iter().all(|lookup| !lookup.row.outcome.is_ok());
    is_never_ok && if of_a.peek().is_some() { of_a.all(is_silent) } else { features.system.iter().all(is_silent) }
}

/// Whether the system's resolver seems to wait for authorities that do not answer: it is silent, but not where it has nothing
/// to search for, or gives up in the end; or it fails, and the first time took long over it. Who is told to be silent, or to
/// fail, is so at once and stays so.
fn searches_in_vain(features: &Features<'_>, turns: &Turns<'_, '_>, is_met_with_silence: bool) -> bool {
    let failed = |lookup: &Lookup<'_>| lookup.row.outcome.failure() == Some(Failure::DnsServfailError);
    if !is_met_with_silence {
        let is_long = |ms: f64| ms >= SEARCHED_MS;
        // What it has failed at it keeps for a while, and searches anew for a name below. Who goes by names fails for that one at
        // once, or answers it.
        let searches_below = with(features, Purpose::Subdomain)
            .any(|lookup| lookup.is_by_system() && is_long(span(lookup.row)) && !lookup.row.outcome.is_ok());
        return features.system.iter().any(failed) && (features.first_took(is_long) || searches_below);
    }
    let by_system = features.further.iter().filter(|lookup| lookup.is_by_system());
    let gives_up = by_system.filter(|lookup| is_own(features, lookup)).any(failed);
    let stays_silent = !turns.own.is_empty() && turns.own.iter().all(|lookup| is_silent(lookup));
    gives_up || (stays_silent && without_recursion(features) == Some(false))
}

/// Whether the name is met with silence also by a resolver that has nothing to search for. `None` where it answers nobody that
/// way, or was not asked.
fn without_recursion(features: &Features<'_>) -> Option<bool> {
    let (own, control): (Vec<&Lookup<'_>>, Vec<&Lookup<'_>>) =
        with(features, Purpose::NoRecursion).partition(|lookup| is_own(features, lookup));
    let is_fit = !own.is_empty() && !control.is_empty() && control.iter().all(|lookup| is_answered(lookup));
    is_fit.then(|| own.iter().all(|lookup| !is_answered(lookup)))
}

fn is_silent(lookup: &Lookup<'_>) -> bool {
    lookup.row.outcome.failure().is_some_and(is_silence)
}

/// Whether a question is for the target's name, however it is spelled.
fn is_own(features: &Features<'_>, lookup: &Lookup<'_>) -> bool {
    lookup.dns.hostname.eq_ignore_ascii_case(&features.host)
}

fn is_silence(failure: Failure) -> bool {
    matches!(failure, Failure::GenericTimeoutError | Failure::TimedOut)
}

/// A resolver that says such a thing is none that is broken.
fn is_word(failure: Failure) -> bool {
    matches!(failure, Failure::DnsNxdomainError | Failure::DnsNoAnswer | Failure::DnsBogonError)
}
