//! Rules on the control: does a helper outside, in the same minute, get further than the vantage with the same target?
//!
//! The control has three states: it agrees, it disagrees, or it is absent. An absent one says nothing. Two places and one
//! minute make a verdict likely and never certain: none of these rules is determinate.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;

use faultline_record::{Endpoint, Failure, Observation, Step};

use super::resolver::EXPLANATIONS;
use super::response::is_answered_inside_tls;
use super::{Finding, handshake, listed};
use crate::features::{Connection, Features, Helper};
use crate::goodput::still_comes;

/// Fires at most one finding, where the target does not work for the vantage. Looks at what has fired before.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let Some(helper) = &features.helper else { return };
    let works = found.iter().any(|finding| finding.rule.group == "response" && finding.rule.id != "http.plain_refusal");
    if works {
        return;
    }
    let control = Control { features, helper, https: features.main().any(|connection| connection.tls.is_some()) };
    let Some(mut finding) = control.same_refusal().or_else(|| control.compare()) else { return };
    // That the name can be resolved elsewhere is known then, and says nothing of who is in the way.
    let is_explained = found.iter().any(|finding| EXPLANATIONS.contains(&finding.rule.id.as_str()));
    if is_explained && finding.rule.id == "control.name_resolves" {
        return;
    }
    // What is a guess for want of a control has no say beside one.
    let refuted = match finding.rule.id.as_str() {
        "control.also_fails" | "control.dead_address" | "control.name_fails" => "target.rarely_down",
        "control.name_resolves" => "dns.failure_everywhere",
        _ => "",
    };
    if let Some(place) = found.iter().position(|finding| finding.rule.id == refuted) {
        let guess = found.remove(place);
        finding.mechanism = finding.mechanism.or(guess.mechanism.filter(|_| refuted == "dns.failure_everywhere"));
    }
    found.push(finding);
}

/// The vantage's last hop beside the helper's.
struct Control<'a> {
    features: &'a Features<'a>,
    helper: &'a Helper<'a>,
    /// The vantage's connections were to be encrypted.
    https: bool,
}

/// A step of the vantage's that failed and was not made good.
#[derive(Clone, Copy)]
struct Failed<'a> {
    row: &'a Observation,
    failure: Failure,
}

impl<'a> Control<'a> {
    fn compare(&self) -> Option<Finding> {
        let failed: Vec<Failed<'_>> = self.features.main().filter_map(|c| self.failed(c)).collect();
        if failed.is_empty() {
            // A connection that works or that was never made to its end is no failure.
            let untried = self.features.main().all(|connection| !connection.tried());
            return if untried { self.compare_names() } else { None };
        }
        let ends: Vec<Option<bool>> = failed.iter().map(|failed| self.got_past(*failed)).collect();
        let reached = self.reached(&failed);
        let anywhere = ends.contains(&Some(true));
        let fails = ends.contains(&Some(false));
        match (reached.is_empty(), anywhere, fails) {
            (false, true, _) | (false, _, false) => Some(self.finding("control.reached", &failed, &reached)),
            (false, false, true) => Some(self.elsewhere(&failed, &reached)),
            (true, false, true) => Some(self.finding("control.also_fails", &failed, &self.failing(&failed))),
            (true, _, _) => None,
        }
    }

    /// How a connection of the vantage's failed, unless a second try got further.
    fn failed(&self, connection: &Connection<'a>) -> Option<Failed<'a>> {
        let of = |row: &'a Observation| Some(Failed { row, failure: row.outcome.failure()? });
        if let Some(failed) = of(connection.tcp) {
            return (!self.features.recovered(connection.address, |retry| retry.tcp.outcome.is_ok())).then_some(failed);
        }
        if let Some(failed) = connection.tls.and_then(of) {
            let was_shown_a_chain = connection.tls_data().is_some_and(|tls| !tls.chain.is_empty());
            let is_made_good = !was_shown_a_chain && self.features.recovered(connection.address, handshake::spoke);
            return (!is_made_good && !self.holds(connection)).then_some(failed);
        }
        // What is slow has not failed: how fast the helper had it is not known.
        let is_made_good =
            connection.tls.is_some() && self.features.recovered(connection.address, is_answered_inside_tls);
        connection.http.filter(|row| !is_made_good && !still_comes(row)).and_then(of)
    }

    /// The handshake did what it should: a service with an authority of its own is not expected to do more.
    fn holds(&self, connection: &Connection<'_>) -> bool {
        let own_authority = self.features.measurement.target.private_ca;
        connection.verified() || (own_authority && connection.tls_failure() == Some(Failure::SslUnknownAuthority))
    }

    /// Whether the helper got past that step at that address; `None` when it did not try. A request is made once, at
    /// whichever address is ready first.
    fn got_past(&self, failed: Failed<'_>) -> Option<bool> {
        if failed.row.step() == Step::Http {
            // Where the vantage saw the response begin, its end is what is compared.
            let began = failed.row.http().is_some_and(|http| http.status.is_some());
            let mut answered = self.helper.connections.iter().filter_map(|c| c.http.filter(|http| was_run(http)));
            return answered.next().map(|row| is_answer(row) && (row.outcome.is_ok() || !began));
        }
        let mut at = self.helper.connections.iter().filter(|c| Some(c.address) == failed.row.address && c.tried());
        at.next().and_then(|connection| match failed.row.step() {
            Step::Tcp => Some(connection.tcp.outcome.is_ok()),
            // Some helpers of others only connect.
            _ if connection.tcp.outcome.is_ok() && connection.tls.is_none() => None,
            _ => Some(self.holds(connection)),
        })
    }

    /// The helper's connections that had of the target what was wanted: a handshake that is verified, a response where
    /// there is no encryption or where the vantage's request is what failed.
    fn reached(&self, failed: &[Failed<'_>]) -> Vec<&'a Connection<'a>> {
        let request_failed = failed.iter().any(|failed| failed.row.step() == Step::Http);
        let has_page = |c: &Connection<'_>| c.http.is_some_and(is_answer);
        let wanted = |c: &&Connection<'_>| match &self.features.measurement.target.endpoint {
            Endpoint::Tcp { .. } => c.tcp.outcome.is_ok(),
            Endpoint::Web(_) if request_failed => has_page(c) && failed.iter().any(|f| self.got_past(*f) == Some(true)),
            _ if c.tls.is_some() => self.holds(c),
            _ => has_page(c),
        };
        self.helper.connections.iter().filter(wanted).collect()
    }

    /// The helper's connections to the failing addresses.
    fn failing(&self, failed: &[Failed<'_>]) -> Vec<&'a Connection<'a>> {
        let addresses = addresses(failed);
        self.helper.connections.iter().filter(|c| addresses.contains(&c.address)).collect()
    }

    /// The target is reached from outside, though not at the addresses that the vantage was given.
    fn elsewhere(&self, failed: &[Failed<'_>], reached: &[&Connection<'_>]) -> Finding {
        let given_to_helper: BTreeSet<IpAddr> = self.helper.lookups.iter().flat_map(|l| l.dns.addresses()).collect();
        let (tried, given) = (addresses(failed), self.features.given_by_system());
        let only_here = tried.is_subset(&given)
            && tried.is_disjoint(&given_to_helper)
            && tried.is_disjoint(&self.features.given_by_others());
        let by_helper = self.failing(failed);
        let names = failed.iter().map(|failed| failed.failure).chain(by_helper.iter().filter_map(|c| c.tls_failure()));
        if only_here && names.into_iter().any(is_about_names) {
            return self.finding("control.dns_disagrees", failed, reached).pointing_at("dns.injection.other");
        }
        self.finding("control.dead_address", failed, reached)
    }

    /// The vantage had no address to go to.
    fn compare_names(&self) -> Option<Finding> {
        let own: Vec<Failed<'_>> = self
            .features
            .system
            .iter()
            .filter_map(|lookup| Some(Failed { row: lookup.row, failure: lookup.row.outcome.failure()? }))
            .collect();
        let first = own.first()?;
        let reached = self.reached(&[]);
        if !reached.is_empty() {
            return Some(self.finding("control.name_resolves", &own, &reached));
        }
        let same = self.helper.lookups.iter().find(|lookup| {
            let failure = lookup.row.outcome.failure();
            failure.is_some_and(denies) && denies(first.failure)
        })?;
        let mut finding = self.finding("control.name_fails", &own, &[]);
        finding.observations.push(same.row.seq);
        Some(finding)
    }

    /// The same refusal, word for word, here and outside.
    fn same_refusal(&self) -> Option<Finding> {
        if self.https {
            return None;
        }
        let status = |row: &Observation| row.http().filter(|_| row.outcome.is_ok()).and_then(|http| http.status);
        let here =
            self.features.main().filter_map(|c| c.http).find(|row| status(row).is_some_and(|status| status >= 400))?;
        let there = self.helper.connections.iter().filter_map(|c| c.http).find(|row| status(row) == status(here))?;
        let code = status(here)?;
        let id = match code {
            401 | 403 | 407 | 429 | 451 => "control.same_refusal",
            500..=599 => "control.same_error",
            _ => return None,
        };
        let fields: &[(&str, &dyn Display)] = &[("host", &self.features.host), ("status", &code)];
        Some(Finding::new(id, vec![here.seq, there.seq], fields))
    }

    fn finding(&self, id: &str, failed: &[Failed<'_>], seen: &[&Connection<'_>]) -> Finding {
        let failure = failed.first().map_or("", |failed| failed.failure.name());
        let helpers =
            seen.iter().find_map(|c| steps(c).find_map(|row| row.outcome.failure())).map_or("", Failure::name);
        let reached = listed(seen.iter().map(|connection| connection.address));
        let given = listed(addresses(failed));
        let fields: &[(&str, &dyn Display)] = &[
            ("host", &self.features.host),
            ("failure", &failure),
            ("helpers", &helpers),
            ("addresses", &reached),
            ("given", &given),
        ];
        let last = |connection: &&Connection<'_>| steps(connection).last().map(|row| row.seq);
        let rows = failed.iter().map(|failed| failed.row.seq).chain(seen.iter().filter_map(last));
        Finding::new(id, rows.collect(), fields)
    }
}

fn addresses(failed: &[Failed<'_>]) -> BTreeSet<IpAddr> {
    failed.iter().filter_map(|failed| failed.row.address).collect()
}

/// The steps of a connection that were made, in order.
fn steps<'a>(connection: &Connection<'a>) -> impl Iterator<Item = &'a Observation> {
    let rows = [Some(connection.tcp), connection.tls, connection.http];
    rows.into_iter().flatten().filter(|row| was_run(row))
}

fn was_run(row: &Observation) -> bool {
    row.outcome.not_run().is_none()
}

/// A response, whole or not, and not the server's own word that it is broken (RFC 9110, 15.6).
fn is_answer(row: &Observation) -> bool {
    was_run(row) && row.http().and_then(|http| http.status).is_some_and(|status| status < 500)
}

/// The name does not exist, or has no address.
fn denies(failure: Failure) -> bool {
    matches!(failure, Failure::DnsNxdomainError | Failure::DnsNoAnswer | Failure::AndroidDnsCacheNoData)
}

fn is_about_names(failure: Failure) -> bool {
    matches!(failure, Failure::SslInvalidHostname | Failure::SslUnknownAuthority)
}
