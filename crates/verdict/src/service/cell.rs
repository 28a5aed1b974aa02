//! Everything that was said of one network in one window, kept by endpoint: the way from verdicts to services.

use std::collections::BTreeMap;

use faultline_record::{MeasurementId, Target, VpnProtocol};

use super::catalogue::Services;
use super::judge::{Part, ServiceVerdict, judge_service};
use super::spread::{ProtocolSpread, Seen, Spread, spread};
use super::tally::Tally;
use super::{ServiceKind, catalogue::Placed};
use crate::verdict::Verdict;

/// One network in one window. Its size is that of its endpoints, not of its measurements.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    endpoints: BTreeMap<Key, Entry>,
}

/// Service and role, if it has one, and the endpoint itself.
type Key = (Option<(String, String)>, String);

#[derive(Clone, Debug)]
struct Entry {
    kind: ServiceKind,
    protocol: Option<VpnProtocol>,
    tally: Tally,
}

impl Cell {
    /// Counts one verdict.
    pub fn add(&mut self, services: &Services, target: &Target, verdict: &Verdict, id: MeasurementId) {
        let placed = services.place(target);
        let of = |placed: Placed<'_>| (placed.service.to_owned(), placed.role.to_owned());
        let fresh = || Entry {
            kind: placed.map_or(ServiceKind::App, |placed| placed.kind),
            protocol: placed.and_then(|placed| placed.protocol),
            tally: Tally::default(),
        };
        let key = (placed.map(of), target.endpoint.to_string());
        self.endpoints.entry(key).or_insert_with(fresh).tally.add(verdict, id);
    }

    /// The verdict on every service of which something was measured, by id.
    pub fn services(&self, services: &Services) -> Vec<ServiceVerdict> {
        let mut parts: BTreeMap<&str, (ServiceKind, Vec<Part<'_>>)> = BTreeMap::new();
        for ((place, _), entry) in &self.endpoints {
            let Some((service, role)) = place else { continue };
            let own = parts.entry(service).or_insert_with(|| (entry.kind, Vec::new()));
            own.1.push(Part { role, protocol: entry.protocol, tally: &entry.tally });
        }
        parts.into_iter().map(|(id, (kind, parts))| judge_service(services, id, kind, &parts)).collect()
    }

    /// What several providers have in common; `None` where no tunnel of a provider was measured.
    pub fn spread(&self) -> Option<(Vec<Spread>, Vec<ProtocolSpread>)> {
        let seen: Vec<Seen<'_>> = self.endpoints.iter().map(seen).collect();
        let has_tunnels = seen.iter().any(|one| one.protocol.is_some() && one.service.is_some());
        has_tunnels.then(|| spread(&seen))
    }

    /// Verdicts counted.
    pub fn measurements(&self) -> u32 {
        self.endpoints.values().map(|entry| entry.tally.measurements()).sum()
    }
}

fn seen<'a>(((place, _), entry): (&'a Key, &'a Entry)) -> Seen<'a> {
    let service = place.as_ref().map(|(service, _)| service.as_str());
    Seen { service, kind: entry.kind, protocol: entry.protocol, tally: &entry.tally }
}

#[cfg(test)]
mod tests {
    use faultline_record::Endpoint;

    use super::super::tally::tests::{blocked, verdict};
    use super::*;
    use crate::verdict::{Cause, State};

    fn target(name: &str, endpoint: &str) -> Target {
        Target { name: name.into(), ..Target::new(Endpoint::parse(endpoint).unwrap(), endpoint) }
    }

    #[test]
    fn endpoints_of_one_name_are_counted_apart_and_repetitions_are_not() {
        let services = Services::from_test_lists();
        let mut cell = Cell::default();
        for (number, server) in [(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "192.0.2.2")] {
            let target = target("mullvad/wireguard", &format!("wireguard://{server}:51820"));
            cell.add(&services, &target, &blocked("vpn.wireguard.timeout"), MeasurementId::from_bytes([number; 16]));
        }
        let judged = cell.services(&services);
        assert_eq!((judged.len(), judged[0].title.as_str(), judged[0].state), (1, "Mullvad", State::Blocked));
        let role = &judged[0].functions[0].roles[0];
        assert_eq!((role.endpoints, role.measurements, cell.measurements()), (2, 3, 3));
    }

    #[test]
    fn a_network_without_tunnels_has_no_pattern() {
        let services = Services::from_test_lists();
        let mut cell = Cell::default();
        let ok = verdict(State::Ok, Cause::None, "");
        cell.add(&services, &target("x/web", "https://x.com/"), &ok, MeasurementId::from_bytes([1; 16]));
        cell.add(&services, &target("a.example", "https://a.example/"), &ok, MeasurementId::from_bytes([2; 16]));
        assert!(cell.spread().is_none());
        assert_eq!(cell.services(&services).len(), 1);
    }
}
