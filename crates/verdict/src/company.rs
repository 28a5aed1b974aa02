//! What the other measurements of a run say of a tunnel that failed: that several unrelated providers fail at once, over several
//! protocols, while the web works and their hosts live. Providers seldom go down together; filters of protocols know no providers.

use std::collections::{BTreeSet, HashMap};

use faultline_record::{Endpoint, Measurement, Outcome, Purpose, RunId};

use crate::rules::Finding;
use crate::verdict::{State, Verdict};

/// Providers that must fail, and protocols over which.
const PROVIDERS: usize = 3;
const PROTOCOLS: usize = 2;
/// Providers whose hosts must be known to live.
const LIVING: usize = 2;
/// Web sites that must work, and how many for one that does not.
const SITES: usize = 3;
const SITES_FOR_ONE: usize = 4;
/// Rules that say that a host lives though its tunnel is silent.
const LIVES: [&str; 3] = ["vpn.host_lives", "vpn.same_port", "vpn.other_port"];

/// What is known of runs.
#[derive(Clone, Debug, Default)]
pub struct Company {
    runs: HashMap<RunId, Tally>,
}

/// What is known of one run.
#[derive(Clone, Debug, Default)]
struct Tally {
    failed: BTreeSet<(String, &'static str)>,
    living: BTreeSet<String>,
    answered: BTreeSet<String>,
    sites: usize,
    broken_sites: usize,
}

impl Company {
    /// Takes note of a measurement, and of what was said of it by itself.
    pub fn note(&mut self, measurement: &Measurement, verdict: &Verdict) {
        if verdict.state == State::Insufficient {
            return;
        }
        let tally = self.runs.entry(measurement.run).or_default();
        match &measurement.target.endpoint {
            Endpoint::Vpn { protocol, .. } => {
                let provider = provider(measurement);
                match verdict.state {
                    State::Ok => _ = tally.answered.insert(provider),
                    State::Down => {}
                    _ => {
                        let lives = |evidence: &crate::Evidence| LIVES.contains(&evidence.rule.as_str());
                        if verdict.evidence.iter().any(lives) {
                            tally.living.insert(provider.clone());
                        }
                        tally.failed.insert((provider, protocol.node()));
                    }
                }
            }
            Endpoint::Web(url) if url.scheme() == "https" => {
                tally.sites += usize::from(verdict.state == State::Ok);
                tally.broken_sites += usize::from(verdict.state != State::Ok);
            }
            _ => {}
        }
    }

    /// What that says of one measurement.
    pub(crate) fn finding(&self, measurement: &Measurement) -> Option<Finding> {
        let Endpoint::Vpn { protocol, .. } = measurement.target.endpoint else { return None };
        let tally = self.runs.get(&measurement.run)?;
        let own = (provider(measurement), protocol.node());
        let providers: BTreeSet<&str> = tally.failed.iter().map(|(provider, _)| provider.as_str()).collect();
        let protocols: BTreeSet<&str> = tally.failed.iter().map(|(_, protocol)| *protocol).collect();
        let web_works = tally.sites >= SITES && tally.sites >= SITES_FOR_ONE * tally.broken_sites;
        let holds = tally.failed.contains(&own)
            && providers.len() >= PROVIDERS
            && providers.len() > tally.answered.len()
            && protocols.len() >= PROTOCOLS
            && tally.living.len() >= LIVING
            && web_works;
        let fields: &[(&str, &dyn std::fmt::Display)] = &[
            ("providers", &providers.len()),
            ("protocols", &protocols.into_iter().collect::<Vec<_>>().join(", ")),
            ("sites", &tally.sites),
        ];
        let failed =
            |row: &&faultline_record::Observation| row.purpose == Purpose::Main && !matches!(row.outcome, Outcome::Ok);
        let rows = measurement.observations.iter().filter(failed).map(|row| row.seq).collect();
        holds.then(|| Finding::new("vpn.several_providers", rows, fields))
    }
}

/// Who runs a target: what stands before the slash in its name, or its host.
fn provider(measurement: &Measurement) -> String {
    let target = &measurement.target;
    match target.name.split_once('/') {
        Some((provider, _)) if !provider.is_empty() => provider.to_owned(),
        _ => target.endpoint.host_and_port().0.to_string(),
    }
}
