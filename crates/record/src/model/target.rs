//! What is measured: a stable name and an endpoint.

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::endpoint_name::endpoint_name;
use crate::names::named;

named! {
    /// How seldom the target's operator lets it fail: what "it does not answer" is worth as a sign of an outage.
    #[derive(Default)]
    pub enum Availability {
        /// A service at large scale, whose whole outages are rare and publicly noticed.
        High = "high",
        /// Nothing is known; lists of sites hold many dead ones.
        #[default]
        Unknown = "unknown",
    }
}

/// One thing to measure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// As the user or the list wrote it.
    pub input: String,
    /// Stable name: `service/role` where a service file knows the endpoint, else the host (and port or path where they
    /// matter).
    pub name: String,
    /// What to connect to.
    pub endpoint: Endpoint,
    /// Citizen Lab category code, if the list gives one.
    pub category: Option<String>,
    /// The list it came from: a file name or an embedded list's name; `None` for an input on the command line.
    pub list: Option<String>,
    /// What a failure to answer is worth.
    pub availability: Availability,
    /// The peer's chain ends at a certificate authority of its own: verification against public roots says nothing.
    pub private_ca: bool,
}

impl Target {
    /// Of an endpoint, as it was written, of which no list says anything.
    pub fn new(endpoint: Endpoint, input: &str) -> Self {
        Self {
            input: input.to_owned(),
            name: endpoint_name(&endpoint),
            endpoint,
            category: None,
            list: None,
            availability: Availability::Unknown,
            private_ca: false,
        }
    }
}
