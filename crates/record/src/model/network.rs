//! Where a measurement was made: the network, never the address.

use serde::{Deserialize, Serialize};

use crate::names::named;

named! {
    /// The kind of access link.
    #[derive(Default)]
    pub enum NetworkKind {
        /// Cable.
        Wired = "wired",
        /// Wireless LAN.
        Wifi = "wifi",
        /// Cellular.
        Mobile = "mobile",
        /// Not known.
        #[default]
        Unknown = "unknown",
    }
}

/// A vantage. The public IP address is never part of it. Fields are written in the order in which they stand here, which is the alphabet's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// The operator's name, if known.
    pub as_name: Option<String>,
    /// Autonomous system number, if known.
    pub asn: Option<u32>,
    /// ISO 3166-1 alpha-2 code in upper case, if known.
    pub country: Option<String>,
    /// The access link.
    pub kind: NetworkKind,
}
