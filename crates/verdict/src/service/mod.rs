//! Services: endpoints that together make what a user notices, and what the verdicts on them make of it.
//!
//! A service is data (`test-lists/services/`, `test-lists/vpn/`): endpoints with roles, and rules that join roles. Nothing
//! here looks at rows; what it starts from are verdicts on endpoints.

mod catalogue;
mod cell;
mod judge;
mod read;
mod spread;
mod tally;

use std::collections::BTreeMap;

use faultline_record::{Availability, Endpoint, named};
use serde::{Deserialize, Serialize};

pub use catalogue::{EMBEDDED_SERVICES, EMBEDDED_VPN, Placed, Services};
pub use cell::Cell;
pub use judge::{FunctionVerdict, Part, RoleVerdict, ServiceVerdict, judge_service};
pub use read::{ServiceProblem, parse};
pub use spread::{Pattern, ProtocolSpread, Seen, Spread, spread};
pub use tally::Tally;

named! {
    /// What a service is for.
    #[derive(Default)]
    pub enum ServiceKind {
        /// A site or an app.
        #[default]
        App = "app",
        /// Tunnels for everything, encrypted.
        Vpn = "vpn",
        /// Proxies: for what is sent through them, and not all of them encrypt.
        Proxy = "proxy",
    }
}

/// A service, parsed and checked.
#[derive(Clone, Debug)]
pub struct Service {
    /// Stable id, the first half of every target's name.
    pub id: String,
    /// For a reader.
    pub title: String,
    /// Category code.
    pub category: Option<String>,
    /// What it is for.
    pub kind: ServiceKind,
    /// What a failure to answer is worth.
    pub availability: Availability,
    /// Its endpoints. Several of one role can stand in for each other.
    pub endpoints: Vec<ServiceEndpoint>,
    /// How they make the service; every role occurs in exactly one.
    pub rules: Vec<Rule>,
    /// The ports that the provider says it offers, by the scheme of the protocol.
    pub ports: BTreeMap<String, Vec<u16>>,
}

impl Service {
    /// What a failure of one endpoint to answer is worth. Where another endpoint can stand in its place (`any_of`, or another
    /// server of the same role), an operator may let one go without anybody noticing: the service is seldom down, its single
    /// hosts are not.
    pub fn availability_of(&self, role: &str) -> Availability {
        let replaceable = |rule: &&Rule| rule.kind == RuleKind::AnyOf && rule.roles.len() > 1;
        let by_rule = self.rules.iter().filter(replaceable).any(|rule| rule.roles.iter().any(|own| own == role));
        let is_replaceable = by_rule || self.endpoints.iter().filter(|endpoint| endpoint.role == role).count() > 1;
        if is_replaceable { Availability::Unknown } else { self.availability }
    }

    /// The ports that the provider offers for a protocol, by its scheme.
    pub fn ports_of(&self, protocol: &str) -> &[u16] {
        self.ports.get(protocol).map_or(&[], Vec::as_slice)
    }

    /// The stable name of the target of a role.
    pub fn target_name(&self, role: &str) -> String {
        format!("{}/{role}", self.id)
    }
}

/// One endpoint of a service.
#[derive(Clone, Debug)]
pub struct ServiceEndpoint {
    /// Its part in the service, the second half of the target's name.
    pub role: String,
    /// As it was written.
    pub input: String,
    /// What it means.
    pub endpoint: Endpoint,
    /// Its chain is not anchored in the public roots.
    pub private_ca: bool,
}

/// How some endpoints together make a part of the service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the part.
    pub name: String,
    /// How many are needed.
    pub kind: RuleKind,
    /// Which endpoints.
    pub roles: Vec<String>,
}

/// How many endpoints of a rule are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// One suffices.
    AnyOf,
    /// Every one.
    AllOf,
}
