//! A verdict in plain words, for a person at a terminal.

use crate::verdict::{Cause, State, Verdict};

/// One sentence: what holds, and the strongest reason for it.
pub fn summary_sentence(verdict: &Verdict) -> String {
    let reason = verdict.evidence.first().map_or("", |evidence| evidence.text.as_str());
    match (verdict.state, verdict.cause) {
        (State::Insufficient, _) => not_proven(verdict),
        (State::Ok, Cause::ServerSide) => format!("reachable, but {reason}"),
        (State::Ok, _) if !verdict.mechanisms.is_empty() => format!("reachable, though {}", interference(verdict)),
        (State::Ok, _) => reason.to_owned(),
        (State::Impaired, _) => format!("not working, and it cannot be told why from here: {reason}"),
        (State::Down, _) => format!("not working by itself: {reason}"),
        (State::Blocked | State::LikelyBlocked, _) => interference(verdict),
    }
}

/// The state in words that need no glossary.
pub fn state_words(state: State) -> &'static str {
    match state {
        State::Ok => "reachable",
        State::Blocked => "blocked",
        State::LikelyBlocked => "likely blocked",
        State::Impaired => "not working",
        State::Down => "down",
        State::Insufficient => "not known",
    }
}

/// The strongest finding that speaks for interference; where only several together do, all of them.
fn interference(verdict: &Verdict) -> String {
    let found = || verdict.evidence.iter().filter(|evidence| !evidence.rule.starts_with("health."));
    let strongest = found().filter(|evidence| evidence.weight > 0.0).max_by(|a, b| a.weight.total_cmp(&b.weight));
    let together = || found().map(|evidence| evidence.text.as_str()).collect::<Vec<_>>().join("; ");
    strongest.map_or_else(together, |evidence| evidence.text.clone())
}

fn not_proven(verdict: &Verdict) -> String {
    let foreign = verdict.evidence.iter().find(|evidence| evidence.rule == "measurement.nothing_to_judge");
    let gate = verdict.evidence.iter().find(|evidence| evidence.rule == "health.not_proven");
    let cut = verdict.evidence.iter().find(|evidence| evidence.rule == "measurement.cut_short");
    foreign
        .or(gate)
        .or(cut)
        .map_or_else(|| "nothing was seen that tells anything".to_owned(), |evidence| evidence.text.clone())
}
