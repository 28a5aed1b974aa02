//! What would settle a verdict that is not settled (design, section 5).

use faultline_record::{Measurement, NotRun, Observation, Purpose, Step};
use faultline_verdict::{Cause, State, Verdict, table};

/// What to do next, in sentences; empty when the matter is settled.
pub fn advice(measurement: &Measurement, verdict: &Verdict) -> Vec<&'static str> {
    match verdict.state {
        State::Insufficient => insufficient(measurement, verdict),
        _ if is_settled(verdict) => Vec::new(),
        State::Ok => vec![ENCRYPTED],
        _ => failed(measurement),
    }
}

/// Whether a finding settles the state: an artefact, a differential, or a response that only the target can give.
fn is_settled(verdict: &Verdict) -> bool {
    let settles = |rule: &&faultline_verdict::Rule| rule.determinate;
    let mut fired = verdict
        .evidence
        .iter()
        .filter_map(|evidence| table().rules.iter().find(|rule| rule.id == evidence.rule).filter(settles));
    match verdict.state {
        State::Ok => fired.any(|rule| rule.group == "response"),
        State::Blocked => true,
        _ => false,
    }
}

const ENCRYPTED: &str = "Measure an https:// or tls:// endpoint of the same service: nobody but its operator can show a \
                         certificate that is valid for its name, whereas anyone on the way can give the answer seen here.";
const AGAIN: &str = "Measure again: while the minute before and the minute after are not proven, no failure counts.";
const PORTAL: &str = "Log in to this network (a portal answers in place of others), then measure again.";
const LOCAL: &str = "Bring this machine's own connection up, then measure again.";
const SLOWER: &str = "Measure again at a lower pace (--rate, --parallel): our own load may be the cause.";
const WHOLE: &str = "Measure again without the limit that cut this measurement short (--max-time, --max-data, Ctrl-C).";
const RESOLVERS: &str = "Ask other resolvers for the same name and look for an address that holds a valid certificate for \
                         it: the system's resolver lies where such an address exists.";
const NAMES: &str = "Offer an innocent name and the target's own in turn at the same address: outages do not read names \
                     (follow-ups were not run here; measure without --no-follow-up).";
const ROUNDS: &str =
    "Measure again later: the follow-ups that were run did not tell the target's name from an innocent one.";
const ELSEWHERE: &str = "Measure the same target in the same hour from another network and from another country: an address \
                         that is dropped on the way and one that is dead look alike from one place.";

fn insufficient(measurement: &Measurement, verdict: &Verdict) -> Vec<&'static str> {
    let cut = measurement.observations.iter().filter_map(|row| row.outcome.not_run());
    let was_cut = cut.into_iter().any(|reason| {
        matches!(reason, NotRun::Interrupted | NotRun::MaxTime | NotRun::MaxData | NotRun::TargetDeadline)
    });
    let mut advice = vec![match verdict.cause {
        Cause::CaptivePortal => PORTAL,
        Cause::LocalNetwork | Cause::Isp => LOCAL,
        Cause::Instrument => SLOWER,
        _ => AGAIN,
    }];
    advice.extend(was_cut.then_some(WHOLE));
    advice
}

fn failed(measurement: &Measurement) -> Vec<&'static str> {
    let rows = &measurement.observations;
    let was_run = |purpose| rows.iter().any(|row| row.purpose == purpose && row.outcome.not_run().is_none());
    let mut advice = Vec::new();
    match last_failure(rows).map(Observation::step) {
        Some(Step::Dns) if !was_run(Purpose::Comparison) => advice.push(RESOLVERS),
        Some(Step::Tls) if !was_run(Purpose::InnocentSni) => advice.push(NAMES),
        Some(Step::Tls) => advice.push(ROUNDS),
        Some(Step::Http) if rows.iter().all(|row| row.tls().is_none()) => advice.push(ENCRYPTED),
        _ => {}
    }
    advice.push(ELSEWHERE);
    advice
}

/// The step at which the measurement proper ended.
fn last_failure(rows: &[Observation]) -> Option<&Observation> {
    rows.iter().rfind(|row| row.purpose == Purpose::Main && row.outcome.failure().is_some())
}
