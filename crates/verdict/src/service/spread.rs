//! One network, one window, many providers: is it a protocol that fails, one provider, or everything?
//!
//! A filter of a protocol does not care whose server it is, an outage does not care for protocols, and a provider's own trouble
//! stops at that provider. None of this is seen in one measurement.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::{VpnProtocol, named};
use serde::Serialize;

use super::ServiceKind;
use super::tally::{Standing, Tally};
use crate::rules::listed;
use crate::verdict::{Cause, State};

/// Providers that must fail at a protocol before it is the protocol: one may have trouble of its own. Set by hand.
const PROVIDERS_WANTED: usize = 2;
/// The share of the providers of a protocol that must fail: filters by their first packets miss few. Set by hand.
const MOST: f64 = 0.8;
/// Sites that must have been tried before it is said that they work, and the share that must. Set by hand.
const SITES_WANTED: usize = 2;
const SITES_FINE: f64 = 0.8;

named! {
    /// What several providers on one network have in common.
    pub enum Pattern {
        /// A protocol fails at unrelated providers, while the web works.
        ProtocolInterference = "protocol_interference",
        /// One provider fails with protocols that work at others, and its servers are down.
        ProviderDown = "provider_down",
        /// One provider fails with protocols that work at others, by interference.
        ProviderInterference = "provider_interference",
        /// One provider fails with protocols that work at others, and it cannot be told why from here.
        ProviderFails = "provider_fails",
        /// Nothing works, or the vantage was cut off: no word on any protocol.
        Outage = "outage",
        /// The vantage was not in order (a portal, a clock, our own pace): no word on anything.
        Unproven = "unproven",
        /// Nothing of the kind.
        Nothing = "nothing",
    }
}

/// One endpoint that was measured on the network in the window.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Whose it is; `None` for what belongs to no service that is known.
    pub service: Option<&'a str>,
    /// What that service is for.
    pub kind: ServiceKind,
    /// Its protocol, if it is a tunnel's.
    pub protocol: Option<VpnProtocol>,
    /// What was said of it.
    pub tally: &'a Tally,
}

/// What holds for many providers on one network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The pattern.
    pub pattern: Pattern,
    /// Protocols that are concerned, by their nodes in the tree of mechanisms.
    pub protocols: Vec<String>,
    /// Providers that are concerned.
    pub providers: Vec<String>,
    /// Whether it is settled: `blocked`, `likely_blocked`, `down`, `insufficient`, ...
    pub state: State,
    /// The likeliest cause.
    pub cause: Cause,
    /// Nodes of the tree of mechanisms.
    pub mechanisms: Vec<String>,
    /// One sentence in plain words.
    pub text: String,
}

/// A protocol over all providers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProtocolSpread {
    /// Its node in the tree of mechanisms.
    pub protocol: String,
    /// Providers of whom something is known.
    pub providers: usize,
    /// Providers of whom no server was reached and at least one fails.
    pub failing: usize,
    /// Of these, those whose own verdicts say interference.
    pub interfered: usize,
}

/// What one provider's servers of one protocol make together.
#[derive(Clone, Debug, Default)]
struct Cell {
    ok: usize,
    blocked: usize,
    likely: usize,
    down: usize,
    impaired: usize,
    mechanisms: BTreeSet<String>,
}

impl Cell {
    fn add(&mut self, standing: Standing) {
        let count = match standing.state {
            State::Ok => &mut self.ok,
            State::Blocked => &mut self.blocked,
            State::LikelyBlocked => &mut self.likely,
            State::Down => &mut self.down,
            State::Impaired => &mut self.impaired,
            State::Insufficient => return,
        };
        *count += 1;
        self.mechanisms.extend(standing.mechanisms);
    }

    fn failing(&self) -> usize {
        self.hit() + self.down + self.impaired
    }

    fn hit(&self) -> usize {
        self.blocked + self.likely
    }

    fn fails(&self) -> bool {
        self.ok == 0 && self.failing() > 0
    }

    fn is_known(&self) -> bool {
        self.ok + self.failing() > 0
    }

    fn is_interfered_with(&self) -> bool {
        self.fails() && 2 * self.hit() >= self.failing()
    }
}

/// Everything of one network and window, by provider and protocol.
struct Grid<'a> {
    cells: BTreeMap<(&'a str, &'static str), Cell>,
    sites: (usize, usize),
    shut: (usize, usize),
    shut_by: BTreeMap<Cause, usize>,
}

/// What holds for many providers on one network in one window; and each protocol, counted. Of several things that hold there is
/// one entry each; `nothing` stands alone.
pub fn spread(seen: &[Seen<'_>]) -> (Vec<Spread>, Vec<ProtocolSpread>) {
    let grid = Grid::of(seen);
    let counted = grid.protocols();
    if let Some(outage) = grid.outage() {
        return (vec![outage], counted);
    }
    let protocols: Vec<Spread> = counted.iter().filter_map(|spread| grid.interference(spread)).collect();
    let explained: BTreeSet<&str> = protocols.iter().flat_map(|spread| &spread.protocols).map(String::as_str).collect();
    let providers = grid.providers().into_iter().filter_map(|provider| grid.provider(provider, &explained));
    let mut found: Vec<Spread> = providers.collect();
    found.splice(0..0, protocols.iter().cloned());
    if found.is_empty() {
        found.push(grid.nothing());
    }
    (found, counted)
}

impl<'a> Grid<'a> {
    fn of(seen: &[Seen<'a>]) -> Self {
        let mut grid = Self { cells: BTreeMap::new(), sites: (0, 0), shut: (0, 0), shut_by: BTreeMap::new() };
        for one in seen {
            let Some(standing) = one.tally.standing() else { continue };
            grid.count_gate(&standing);
            match (one.protocol, one.service) {
                (Some(protocol), Some(service)) => {
                    grid.cells.entry((service, protocol.node())).or_default().add(standing);
                }
                // A provider's own site may be blocked for what it sells, and is no witness of the web.
                (None, _) if one.kind == ServiceKind::App && standing.state != State::Insufficient => {
                    grid.sites.0 += usize::from(standing.state == State::Ok);
                    grid.sites.1 += 1;
                }
                _ => {}
            }
        }
        grid
    }

    /// Whether the vantage itself was in order when this was measured.
    fn count_gate(&mut self, standing: &Standing) {
        let is_shut = standing.state == State::Insufficient && standing.cause != Cause::Unknown;
        self.shut.0 += usize::from(is_shut);
        self.shut.1 += 1;
        if is_shut {
            *self.shut_by.entry(standing.cause).or_default() += 1;
        }
    }

    fn providers(&self) -> BTreeSet<&'a str> {
        self.cells.keys().map(|(provider, _)| *provider).collect()
    }

    fn of_protocol(&self, node: &str) -> impl Iterator<Item = (&'a str, &Cell)> {
        self.cells
            .iter()
            .filter(move |((_, own), cell)| *own == node && cell.is_known())
            .map(|((p, _), cell)| (*p, cell))
    }

    fn protocols(&self) -> Vec<ProtocolSpread> {
        let nodes: BTreeSet<&str> = self.cells.keys().map(|(_, node)| *node).collect();
        let count =
            |node: &str, holds: fn(&Cell) -> bool| self.of_protocol(node).filter(|(_, cell)| holds(cell)).count();
        let of = |node: &str| ProtocolSpread {
            protocol: node.to_owned(),
            providers: self.of_protocol(node).count(),
            failing: count(node, Cell::fails),
            interfered: count(node, Cell::is_interfered_with),
        };
        nodes.into_iter().map(of).collect()
    }

    fn sites_work(&self) -> bool {
        let (ok, tried) = self.sites;
        tried >= SITES_WANTED && share(ok, tried) >= SITES_FINE
    }

    /// The vantage was cut off, or nothing at all works: filters of tunnels do neither.
    fn outage(&self) -> Option<Spread> {
        let (shut, all) = self.shut;
        let is_shut = shut > 0 && 2 * shut >= all;
        let tunnels_ok: usize = self.cells.values().map(|cell| cell.ok).sum();
        let is_dark = self.sites.1 >= SITES_WANTED && self.sites.0 == 0 && tunnels_ok == 0 && !self.cells.is_empty();
        if !is_shut && !is_dark {
            return None;
        }
        let by = self.shut_by.iter().rev().max_by_key(|(_, count)| **count).map(|(cause, _)| *cause);
        let is_cut_off = by.is_none_or(|cause| matches!(cause, Cause::Isp | Cause::LocalNetwork));
        if is_shut && !is_cut_off {
            let text = format!("in {shut} of {all} measurements the vantage was not in order: no word on tunnels");
            return Some(self.found(Pattern::Unproven, (State::Insufficient, by.unwrap_or(Cause::Unknown)), text));
        }
        let text = if is_shut {
            format!(
                "in {shut} of {all} measurements the vantage itself was cut off or not proven: an outage, and no word on tunnels"
            )
        } else {
            format!("no tunnel and none of {} sites was reached: an outage, or a block of everything", self.sites.1)
        };
        let cause = by.unwrap_or(Cause::Isp);
        Some(self.found(Pattern::Outage, (State::Insufficient, cause), text))
    }

    fn interference(&self, counted: &ProtocolSpread) -> Option<Spread> {
        let node = counted.protocol.as_str();
        let failing: Vec<(&str, &Cell)> = self.of_protocol(node).filter(|(_, cell)| cell.fails()).collect();
        let enough = failing.len() >= PROVIDERS_WANTED && share(failing.len(), counted.providers) >= MOST;
        let others = failing.iter().filter(|(provider, _)| self.answers_otherwise(provider, node)).count();
        // Their own verdicts, or the same providers by another protocol: dead servers have neither.
        let is_borne_out = counted.interfered >= PROVIDERS_WANTED || others >= PROVIDERS_WANTED;
        if !enough || !is_borne_out || !self.sites_work() {
            return None;
        }
        let settled = failing.iter().filter(|(_, cell)| cell.blocked > 0).count() >= PROVIDERS_WANTED;
        let state = if settled { State::Blocked } else { State::LikelyBlocked };
        let (ok, tried) = self.sites;
        let beside = if others > 0 { format!("; {others} of these answer by another protocol") } else { String::new() };
        let text = format!(
            "{node} fails at {} of {} unrelated providers while {ok} of {tried} sites work{beside}",
            failing.len(),
            counted.providers
        );
        let mechanisms: BTreeSet<&String> = failing.iter().flat_map(|(_, cell)| &cell.mechanisms).collect();
        Some(Spread {
            protocols: vec![node.to_owned()],
            providers: failing.iter().map(|(provider, _)| (*provider).to_owned()).collect(),
            mechanisms: mechanisms.into_iter().cloned().collect(),
            ..self.found(Pattern::ProtocolInterference, (state, Cause::Interference), text)
        })
    }

    fn answers_otherwise(&self, provider: &str, node: &str) -> bool {
        self.cells.iter().any(|((own, other), cell)| *own == provider && *other != node && cell.ok > 0)
    }

    /// A provider of whom nothing answers, by protocols that others answer.
    fn provider(&self, provider: &'a str, explained: &BTreeSet<&str>) -> Option<Spread> {
        let own: Vec<(&str, &Cell)> = self
            .cells
            .iter()
            .filter(|((own, _), cell)| *own == provider && cell.is_known())
            .map(|((_, node), cell)| (*node, cell))
            .collect();
        let works_elsewhere = |node: &str| self.of_protocol(node).any(|(other, cell)| other != provider && cell.ok > 0);
        let fails = !own.is_empty() && own.iter().all(|(_, cell)| cell.fails());
        // What a filter of its protocol explains says nothing of the provider.
        let rest: Vec<(&str, &Cell)> = own.iter().copied().filter(|(node, _)| !explained.contains(node)).collect();
        let tells = |cell: &Cell| cell.hit() + cell.down > 0 || rest.len() == own.len();
        if !fails || !rest.iter().any(|(node, cell)| works_elsewhere(node) && tells(cell)) {
            return None;
        }
        Some(self.alone(provider, &rest))
    }

    /// What the verdicts on a provider's servers say of it, of those that nothing else explains.
    fn alone(&self, provider: &str, own: &[(&str, &Cell)]) -> Spread {
        let sum = |of: fn(&Cell) -> usize| own.iter().map(|(_, cell)| of(cell)).sum::<usize>();
        let (all, hit, down) = (sum(Cell::failing), sum(Cell::hit), sum(|cell| cell.down));
        let state = if sum(|cell| cell.blocked) > 0 { State::Blocked } else { State::LikelyBlocked };
        let (pattern, said, why) = match () {
            () if 2 * hit >= all => {
                (Pattern::ProviderInterference, (state, Cause::Interference), "its own verdicts say interference")
            }
            () if 2 * down >= all => (Pattern::ProviderDown, (State::Down, Cause::Target), "its servers are down"),
            () => (
                Pattern::ProviderFails,
                (State::Impaired, Cause::Unknown),
                "its servers are down or its addresses are blocked, which one network cannot tell apart",
            ),
        };
        let text = format!("{provider} fails with {all} of {all} servers by protocols that work elsewhere: {why}");
        let mechanisms: BTreeSet<&String> = own.iter().flat_map(|(_, cell)| &cell.mechanisms).collect();
        Spread {
            protocols: own.iter().map(|(node, _)| (*node).to_owned()).collect(),
            providers: vec![provider.to_owned()],
            mechanisms: mechanisms.into_iter().filter(|_| said.1 == Cause::Interference).cloned().collect(),
            ..self.found(pattern, said, text)
        }
    }

    fn nothing(&self) -> Spread {
        let known = self.cells.values().filter(|cell| cell.is_known()).count();
        let works = self.cells.values().filter(|cell| cell.ok > 0).count();
        let state = match (known, works) {
            (0, _) => State::Insufficient,
            (known, works) if known == works => State::Ok,
            _ => State::Impaired,
        };
        let cause = if state == State::Ok { Cause::None } else { Cause::Unknown };
        let providers = listed(self.providers());
        let text = match state {
            State::Insufficient => "of no tunnel anything is known".to_owned(),
            State::Ok => format!("tunnels of {providers} work"),
            _ => format!(
                "{works} of {known} pairs of provider and protocol work; nothing that the others have in common"
            ),
        };
        self.found(Pattern::Nothing, (state, cause), text)
    }

    fn found(&self, pattern: Pattern, (state, cause): (State, Cause), text: String) -> Spread {
        let providers = self.providers().into_iter().map(str::to_owned).collect();
        Spread { pattern, protocols: Vec::new(), providers, state, cause, mechanisms: Vec::new(), text }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of endpoints are far below 2^52")]
fn share(k: usize, n: usize) -> f64 {
    k as f64 / n as f64
}

#[cfg(test)]
mod tests;
