//! From endpoints to the functions of a service, and from those to the service: `any_of` and `all_of`.
//!
//! What comes out names roles and protocols, and never an address: a list of a provider's servers would serve whoever wants to
//! block them.

use std::collections::BTreeMap;

use faultline_record::{MeasurementId, VpnProtocol};
use serde::Serialize;

use super::catalogue::Services;
use super::tally::{Standing, Tally};
use super::{RuleKind, ServiceKind};
use crate::verdict::{Cause, State};

/// The verdict on a service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceVerdict {
    /// Its id.
    pub service: String,
    /// Its name for people.
    pub title: String,
    /// What it is for.
    pub kind: ServiceKind,
    /// What holds: `ok` where every function works, `impaired` where some do.
    pub state: State,
    /// The likeliest cause.
    pub cause: Cause,
    /// The mechanisms of what fails.
    pub mechanisms: Vec<String>,
    /// Its functions, by name.
    pub functions: Vec<FunctionVerdict>,
}

/// The verdict on one function of a service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionVerdict {
    /// Its name in the service's file; for servers that no file names, their protocol.
    pub function: String,
    /// How many endpoints it needs.
    pub needs: RuleKind,
    /// What holds.
    pub state: State,
    /// The likeliest cause.
    pub cause: Cause,
    /// The mechanisms of what fails.
    pub mechanisms: Vec<String>,
    /// Its endpoints, by role.
    pub roles: Vec<RoleVerdict>,
}

/// What was seen of the endpoints of one role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleVerdict {
    /// The role.
    pub role: String,
    /// The protocol, of a tunnel.
    pub protocol: Option<VpnProtocol>,
    /// Endpoints measured.
    pub endpoints: u32,
    /// How many of them are in which state.
    pub states: BTreeMap<State, u32>,
    /// Verdicts that this rests on.
    pub measurements: u32,
    /// The measurement that shows best what is said of the role.
    pub witness: Option<MeasurementId>,
}

/// One endpoint of a service.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its role.
    pub role: &'a str,
    /// Its protocol, if it is a tunnel's.
    pub protocol: Option<VpnProtocol>,
    /// What was said of it.
    pub tally: &'a Tally,
}

/// What several endpoints, or several functions, make together.
struct Joined {
    state: State,
    cause: Cause,
    mechanisms: Vec<String>,
}

/// Judges a service by the verdicts on its endpoints. Functions of which nothing was measured are not mentioned.
pub fn judge_service(services: &Services, id: &str, kind: ServiceKind, parts: &[Part<'_>]) -> ServiceVerdict {
    let mut functions: BTreeMap<String, (RuleKind, Vec<&Part<'_>>)> = BTreeMap::new();
    for part in parts {
        let rule = services.rule_of(id, part.role, part.protocol);
        functions.entry(rule.name).or_insert_with(|| (rule.kind, Vec::new())).1.push(part);
    }
    let functions: Vec<FunctionVerdict> =
        functions.into_iter().map(|(name, (kind, parts))| judge_function(name, kind, &parts)).collect();
    let Joined { state, cause, mechanisms } = whole(&functions);
    let title = services.get(id).map_or_else(|| id.to_owned(), |service| service.title.clone());
    ServiceVerdict { service: id.to_owned(), title, kind, state, cause, mechanisms, functions }
}

fn judge_function(function: String, needs: RuleKind, parts: &[&Part<'_>]) -> FunctionVerdict {
    let mut by_role: BTreeMap<&str, Vec<&Part<'_>>> = BTreeMap::new();
    for part in parts {
        by_role.entry(part.role).or_default().push(part);
    }
    let standings =
        |parts: &[&Part<'_>]| -> Vec<Standing> { parts.iter().filter_map(|part| part.tally.standing()).collect() };
    let joined = match needs {
        RuleKind::AnyOf => join(needs, &standings(parts)),
        // Several servers of one role can stand in for each other: the role is needed, not each of them.
        RuleKind::AllOf => {
            let roles: Vec<Standing> = by_role.values().filter_map(|own| role_standing(&standings(own))).collect();
            join(needs, &roles)
        }
    };
    let roles = by_role.iter().map(|(role, parts)| role_verdict(role, parts)).collect();
    let Joined { state, cause, mechanisms } = joined;
    FunctionVerdict { function, needs, state, cause, mechanisms, roles }
}

fn role_standing(standings: &[Standing]) -> Option<Standing> {
    let Joined { state, cause, mechanisms } = join(RuleKind::AnyOf, standings);
    standings.first().map(|first| Standing { state, cause, mechanisms, witness: first.witness })
}

fn role_verdict(role: &str, parts: &[&Part<'_>]) -> RoleVerdict {
    let standings: Vec<Standing> = parts.iter().filter_map(|part| part.tally.standing()).collect();
    let mut states = BTreeMap::new();
    for standing in &standings {
        *states.entry(standing.state).or_default() += 1;
    }
    let said = join(RuleKind::AnyOf, &standings).state;
    let witness = standings.iter().find(|standing| standing.state == said).or(standings.first());
    RoleVerdict {
        role: role.to_owned(),
        protocol: parts.first().and_then(|part| part.protocol),
        endpoints: u32::try_from(parts.len()).unwrap_or(u32::MAX),
        states,
        measurements: parts.iter().map(|part| part.tally.measurements()).sum(),
        witness: witness.map(|standing| standing.witness),
    }
}

/// Joins endpoints. What is not known of one counts against neither answer: it leaves open what needs it.
fn join(kind: RuleKind, standings: &[Standing]) -> Joined {
    let is = |state: State| standings.iter().filter(move |standing| standing.state == state);
    let (ok, unknown) = (is(State::Ok).count(), is(State::Insufficient).count());
    let fail: Vec<&Standing> =
        standings.iter().filter(|own| !matches!(own.state, State::Ok | State::Insufficient)).collect();
    match kind {
        RuleKind::AnyOf if ok > 0 => works(standings),
        // One of those that are not known could work; where they are the fewer, what is known speaks.
        RuleKind::AnyOf if fail.len() > unknown => fails(&fail, true),
        RuleKind::AllOf if !fail.is_empty() => fails(&fail, false),
        RuleKind::AllOf if unknown == 0 && ok > 0 => works(standings),
        _ => {
            Joined { state: State::Insufficient, cause: most_frequent(is(State::Insufficient)), mechanisms: Vec::new() }
        }
    }
}

/// It works; where some are interfered with all the same, that is said beside it.
fn works(standings: &[Standing]) -> Joined {
    let hit: Vec<&Standing> = standings.iter().filter(|standing| standing.cause == Cause::Interference).collect();
    let cause = if hit.is_empty() { Cause::None } else { Cause::Interference };
    Joined { state: State::Ok, cause, mechanisms: mechanisms(&hit) }
}

/// It does not work. Where each failing one alone is to blame, the worst is what holds; where any one of them would have done,
/// what holds of at least half.
fn fails(failing: &[&Standing], by_half: bool) -> Joined {
    let of = |states: &[State]| failing.iter().copied().filter(|own| states.contains(&own.state)).collect::<Vec<_>>();
    let hit = of(&[State::Blocked, State::LikelyBlocked]);
    let counts = |some: &[&Standing]| !some.is_empty() && (!by_half || 2 * some.len() >= failing.len());
    if counts(&hit) {
        let settled = hit.iter().any(|own| own.state == State::Blocked);
        let state = if settled { State::Blocked } else { State::LikelyBlocked };
        return Joined { state, cause: Cause::Interference, mechanisms: mechanisms(&hit) };
    }
    let down = of(&[State::Down]);
    let only_down = if by_half { counts(&down) } else { down.len() == failing.len() };
    let (state, those) = if only_down { (State::Down, down) } else { (State::Impaired, of(&[State::Impaired])) };
    Joined { state, cause: most_frequent(those.into_iter()), mechanisms: mechanisms(&hit) }
}

/// The service as a whole: impaired where some of its functions work and others do not.
fn whole(functions: &[FunctionVerdict]) -> Joined {
    let standing = |function: &FunctionVerdict| Standing {
        state: function.state,
        cause: function.cause,
        mechanisms: function.mechanisms.clone(),
        witness: MeasurementId::from_bytes([0; 16]),
    };
    let standings: Vec<Standing> = functions.iter().map(standing).collect();
    let joined = join(RuleKind::AllOf, &standings);
    let some_work = functions.iter().any(|function| function.state == State::Ok);
    let fails = !matches!(joined.state, State::Ok | State::Insufficient);
    if some_work && fails { Joined { state: State::Impaired, ..joined } } else { joined }
}

fn most_frequent<'a>(standings: impl Iterator<Item = &'a Standing>) -> Cause {
    let mut counts: BTreeMap<Cause, u32> = BTreeMap::new();
    for standing in standings {
        *counts.entry(standing.cause).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(Cause::Unknown, |(cause, _)| cause)
}

/// Every node, in order, each once.
fn mechanisms(standings: &[&Standing]) -> Vec<String> {
    let mut all: Vec<String> = standings.iter().flat_map(|standing| standing.mechanisms.clone()).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::super::tally::tests::{blocked, tally, verdict};
    use super::*;

    const FILE: &str = r#"version = 1
service = "chat"
title = "Chat"
source = "s"
date = "d"
[[endpoint]]
role = "web"
endpoint = "https://chat.example/"
[[endpoint]]
role = "one"
endpoint = "tls://one.chat.example:443"
[[endpoint]]
role = "two"
endpoint = "tls://two.chat.example:443"
[[rule]]
name = "site"
kind = "all_of"
roles = ["web"]
[[rule]]
name = "messages"
kind = "any_of"
roles = ["one", "two"]
"#;

    fn judged(said: &[(&str, State)]) -> ServiceVerdict {
        let mut services = Services::default();
        services.extend(super::super::parse("chat.toml", FILE.as_bytes()));
        let of = |state: State| match state {
            State::Blocked | State::LikelyBlocked => verdict(state, Cause::Interference, "tls.reset"),
            State::Down => verdict(state, Cause::Target, ""),
            State::Ok => verdict(state, Cause::None, ""),
            _ => verdict(state, Cause::Unknown, ""),
        };
        let tallies: Vec<(&str, Tally)> = said.iter().map(|&(role, state)| (role, tally(&[of(state)]))).collect();
        let parts: Vec<Part<'_>> = tallies.iter().map(|(role, tally)| Part { role, protocol: None, tally }).collect();
        judge_service(&services, "chat", ServiceKind::App, &parts)
    }

    fn state(said: &[(&str, State)]) -> (State, Cause) {
        let judged = judged(said);
        (judged.state, judged.cause)
    }

    #[test]
    fn one_of_any_suffices_and_each_of_all_is_needed() {
        use State::{Blocked, Down, Ok};
        assert_eq!(state(&[("web", Ok), ("one", Ok), ("two", Ok)]), (Ok, Cause::None));
        // It works by the other one, and what was done to this one is not hidden.
        let by_other = judged(&[("web", Ok), ("one", Blocked), ("two", Ok)]);
        assert_eq!((by_other.state, by_other.cause), (Ok, Cause::Interference));
        assert_eq!(by_other.mechanisms, ["tls.reset"]);
        assert_eq!(state(&[("web", Ok), ("one", Down), ("two", Ok)]), (Ok, Cause::None));
        assert_eq!(state(&[("web", Down), ("one", Down), ("two", Down)]), (Down, Cause::Target));
    }

    #[test]
    fn a_service_of_which_some_functions_work_is_impaired() {
        use State::{Blocked, Ok};
        let judged = judged(&[("web", Ok), ("one", Blocked), ("two", Blocked)]);
        assert_eq!((judged.state, judged.cause), (State::Impaired, Cause::Interference));
        let messages = judged.functions.iter().find(|function| function.function == "messages").unwrap();
        assert_eq!((messages.state, messages.needs), (Blocked, RuleKind::AnyOf));
        assert_eq!(messages.roles.len(), 2);
    }

    #[test]
    fn what_is_not_known_is_neither_a_block_nor_a_success() {
        use State::{Blocked, Insufficient, Ok};
        assert_eq!(state(&[("one", Insufficient), ("two", Insufficient)]).0, Insufficient);
        assert_eq!(state(&[("one", Blocked), ("two", Insufficient)]).0, Insufficient, "the other may work");
        assert_eq!(state(&[("one", Ok), ("two", Insufficient)]).0, Ok);
        assert_eq!(state(&[("web", Insufficient), ("one", Ok)]).0, Insufficient);
        assert_eq!(judge_service(&Services::default(), "x", ServiceKind::App, &[]).state, Insufficient);
    }

    #[test]
    fn one_block_among_many_dead_servers_does_not_make_the_function_blocked() {
        let block = tally(&[blocked("vpn.wireguard.timeout")]);
        let down = tally(&[verdict(State::Down, Cause::Target, "")]);
        let part = |tally| Part { role: "wireguard", protocol: Some(VpnProtocol::Wireguard), tally };
        let judged = |blocks: usize, downs: usize| {
            let parts: Vec<Part<'_>> =
                std::iter::repeat_n(part(&block), blocks).chain(std::iter::repeat_n(part(&down), downs)).collect();
            judge_service(&Services::default(), "vpn", ServiceKind::Vpn, &parts)
        };
        assert_eq!((judged(1, 9).state, judged(1, 9).cause), (State::Down, Cause::Target));
        let most = judged(5, 1);
        assert_eq!((most.state, most.functions[0].function.as_str()), (State::Blocked, "wireguard"));
        assert_eq!(most.functions[0].roles[0].states[&State::Blocked], 5);
    }

    #[test]
    fn nothing_that_comes_out_names_an_address() {
        let json = serde_json::to_string(&judged(&[("web", State::Ok), ("one", State::Down)])).unwrap();
        assert!(!json.contains("chat.example") && json.contains("\"one\""), "{json}");
    }
}
