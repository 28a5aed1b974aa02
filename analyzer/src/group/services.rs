//! Services and what they have in common, as lines: every service of a network and window, then the patterns of that network,
//! then the patterns over all networks of a country.

use std::collections::{BTreeMap, BTreeSet};

use faultline_verdict::service::{
    FunctionVerdict, Pattern, ProtocolSpread, RoleVerdict, ServiceVerdict, Services, Spread,
};
use faultline_verdict::{State, state_words, words};
use serde_json::{Value, json};

use super::line::Line;
use super::{Cells, Place, When};

/// What several networks may share: the pattern, its protocols, and the provider where it is one provider's.
type Shared = (Pattern, Vec<String>, Option<String>);

/// All of it, in the order of windows and networks.
pub(super) fn lines(cells: &Cells, services: &Services) -> Vec<Line> {
    let mut all = Vec::new();
    let mut wide: BTreeMap<(When, Option<&str>), Wide<'_>> = BTreeMap::new();
    for ((when, place), cell) in cells {
        all.extend(cell.services(services).iter().map(|verdict| service_line(*when, place, verdict)));
        let Some((found, counted)) = cell.spread() else { continue };
        all.extend(found.iter().map(|spread| spread_line(*when, place, spread, &counted)));
        wide.entry((*when, place.country.as_deref())).or_default().add(place, &found);
    }
    all.extend(wide.iter().flat_map(|((when, country), wide)| wide.lines(*when, *country)));
    all
}

fn service_line(when: When, place: &Place, verdict: &ServiceVerdict) -> Line {
    let functions: Vec<String> = verdict.functions.iter().map(function_words).collect();
    Line {
        what: verdict.service.clone(),
        state: verdict.state.to_string(),
        cause: verdict.cause.to_string(),
        mechanisms: verdict.mechanisms.clone(),
        window: when.words(),
        network: words::network(&place.network()),
        words: format!("{} ({}): {}", verdict.title, verdict.kind, functions.join("; ")),
        json: json!({"schema": "faultline/service/1", "window": when, "network": place.network(), "verdict": verdict}),
    }
}

/// "openvpn blocked (4 of 5 servers)".
fn function_words(function: &FunctionVerdict) -> String {
    let count = |of: fn(&RoleVerdict) -> u32| function.roles.iter().map(of).sum::<u32>();
    let all = count(|role| role.endpoints);
    let not_ok = all - count(|role| role.states.get(&State::Ok).copied().unwrap_or(0));
    let words = state_words(function.state);
    let name = words::clean(&function.function);
    if all > 1 {
        format!("{name} {words} ({not_ok} of {all} endpoints not reached)")
    } else {
        format!("{name} {words}")
    }
}

fn spread_line(when: When, place: &Place, spread: &Spread, counted: &[ProtocolSpread]) -> Line {
    Line {
        what: spread.pattern.to_string(),
        state: spread.state.to_string(),
        cause: spread.cause.to_string(),
        mechanisms: spread.mechanisms.clone(),
        window: when.words(),
        network: words::network(&place.network()),
        words: spread.text.clone(),
        json: json!({"schema": "faultline/spread/1", "window": when, "network": place.network(), "finding": spread,
                     "protocols": counted}),
    }
}

/// The patterns of a country's networks in one window.
#[derive(Default)]
struct Wide<'a> {
    networks: BTreeSet<&'a Place>,
    found: BTreeMap<Shared, Vec<(&'a Place, Spread)>>,
}

impl<'a> Wide<'a> {
    fn add(&mut self, place: &'a Place, found: &[Spread]) {
        self.networks.insert(place);
        for spread in found.iter().filter(|spread| spread.pattern != Pattern::Nothing) {
            let is_one_s = matches!(
                spread.pattern,
                Pattern::ProviderDown | Pattern::ProviderInterference | Pattern::ProviderFails
            );
            let provider = spread.providers.first().filter(|_| is_one_s).cloned();
            self.found
                .entry((spread.pattern, spread.protocols.clone(), provider))
                .or_default()
                .push((place, spread.clone()));
        }
    }

    /// Nothing where there is but one network: it has been said.
    fn lines(&self, when: When, country: Option<&str>) -> Vec<Line> {
        let several = self.networks.len() > 1;
        self.found.iter().filter(|_| several).map(|(shared, seen)| self.line(when, country, shared, seen)).collect()
    }

    fn line(
        &self,
        when: When,
        country: Option<&str>,
        (pattern, protocols, _): &Shared,
        seen: &[(&Place, Spread)],
    ) -> Line {
        let providers: BTreeSet<&String> = seen.iter().flat_map(|(_, spread)| &spread.providers).collect();
        let mechanisms: BTreeSet<&String> = seen.iter().flat_map(|(_, spread)| &spread.mechanisms).collect();
        let mechanisms: Vec<String> = mechanisms.into_iter().cloned().collect();
        let of = |state: State| seen.iter().filter(|(_, spread)| spread.state == state).count();
        // What is settled in half of the networks is settled; what most of them say is said.
        let states = State::ALL.iter().map(|&state| (of(state), state));
        let (_, state) = states.rev().max_by_key(|(count, _)| *count).unwrap_or((0, State::Insufficient));
        let cause = seen.iter().find(|(_, spread)| spread.state == state).map(|(_, spread)| spread.cause);
        let (k, n) = (seen.len(), self.networks.len());
        let what = match pattern {
            Pattern::Outage => "the vantages themselves were cut off: an outage".to_owned(),
            Pattern::Unproven => "the vantages were not in order".to_owned(),
            Pattern::ProtocolInterference => {
                format!("{} fails at {} unrelated providers while sites work", protocols.join(", "), providers.len())
            }
            _ => format!("{} alone fails", providers.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")),
        };
        let country_json = country.map_or(Value::Null, Value::from);
        Line {
            what: pattern.to_string(),
            state: state.to_string(),
            cause: cause.map(|cause| cause.to_string()).unwrap_or_default(),
            window: when.words(),
            network: format!("{k} of {n} networks, {}", country.unwrap_or("country not known")),
            words: format!("on {k} of {n} networks {what}"),
            json: json!({"schema": "faultline/wide-spread/1", "window": when, "country": country_json, "pattern": pattern,
                         "protocols": protocols, "providers": providers, "state": state, "cause": cause,
                         "mechanisms": mechanisms, "networks": {"with": k, "of": n}}),
            mechanisms,
        }
    }
}
