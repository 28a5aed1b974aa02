//! The controls that the probe uses, read from the list that it is built with: this world has to host them all.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use url::{Host, Url};

/// The list, as the probe embeds it.
const LIST: &str = include_str!("../../../test-lists/controls.toml");

/// What of the list the world needs; the rest (sources, dates) is left unread.
#[derive(Debug, Deserialize)]
pub struct Controls {
    /// Plain HTTP checks with a known answer.
    pub captive: Vec<CaptiveCheck>,
    /// Endpoints that work wherever the network does.
    pub control: Vec<Control>,
    /// Resolvers to hold the system's against.
    pub resolver: Vec<Resolver>,
}

/// A captive-portal check.
#[derive(Debug, Clone, Deserialize)]
pub struct CaptiveCheck {
    /// The address of the page.
    pub url: Url,
    /// The status of the true answer.
    pub status: u16,
    /// The body of the true answer.
    pub body: String,
}

/// A control target.
#[derive(Debug, Deserialize)]
pub struct Control {
    /// `https://...` by name, or `tls://address:443?sni=...`.
    pub endpoint: Url,
}

/// A public resolver.
#[derive(Debug, Deserialize)]
pub struct Resolver {
    /// Its short name.
    pub name: String,
    /// Its addresses, for DNS over UDP and TCP.
    pub udp: Vec<IpAddr>,
    /// Its DNS over HTTPS.
    pub doh: Url,
    /// Whether its addresses answer QUIC.
    #[serde(default)]
    pub quic: bool,
}

impl Controls {
    /// Reads the list.
    pub fn load() -> Result<Self> {
        toml::from_str(LIST).context("read the control list")
    }
}

impl Control {
    /// The host name of a control by name.
    pub fn host_name(&self) -> Option<&str> {
        match self.endpoint.host() {
            Some(Host::Domain(name)) if self.address().is_none() => Some(name),
            _ => None,
        }
    }

    /// The address of a control by literal address. (For schemes that are none of its own, `url` keeps IPv4 as a name.)
    pub fn address(&self) -> Option<IpAddr> {
        self.endpoint.host_str()?.trim_matches(['[', ']']).parse().ok()
    }

    /// The server name to be offered at a literal address.
    pub fn sni(&self) -> Option<String> {
        self.endpoint.query_pairs().find(|(key, _)| key == "sni").map(|(_, value)| value.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_has_a_name_or_an_address_with_a_server_name() {
        let controls = Controls::load().unwrap();
        assert!(controls.control.len() >= 6 && controls.captive.len() >= 3 && controls.resolver.len() >= 3);
        for control in &controls.control {
            let by_address = control.address().is_some() && control.sni().is_some();
            assert!(control.host_name().is_some() != by_address, "{}", control.endpoint);
        }
    }
}
