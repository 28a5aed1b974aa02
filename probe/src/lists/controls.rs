//! What stands for "the network works": captive-portal checks, control targets, public resolvers, the innocent name.

use std::net::IpAddr;

use faultline_record::{Endpoint, HostName};
use serde::Deserialize;
use url::Url;

use super::embedded;
use crate::drive::{KnownPage, Strangers};

/// The embedded `controls.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controls {
    version: u32,
    /// Captive-portal checks.
    pub captive: Vec<Captive>,
    /// Control targets, by name and by literal address.
    pub control: Vec<Control>,
    /// Resolvers that the system's is held against.
    pub resolver: Vec<Resolver>,
    /// A name of no interest.
    pub innocent: Innocent,
}

/// A page whose answer is known in advance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captive {
    /// Stable name.
    pub name: String,
    /// Who operates it.
    pub provider: String,
    /// Plain HTTP.
    pub url: Url,
    /// The status it answers with.
    pub status: u16,
    /// The body it answers with.
    pub body: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
}

/// An endpoint that is up practically always.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Stable name.
    pub name: String,
    /// Who operates it.
    pub provider: String,
    /// What to connect to.
    pub endpoint: Endpoint,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
}

impl Control {
    /// Its literal address and port, if it needs no resolver.
    pub fn literal(&self) -> Option<(IpAddr, u16)> {
        match self.endpoint.host_and_port() {
            (HostName::Address(address), port) => Some((address, port)),
            (HostName::Name(_), _) => None,
        }
    }

    /// Its host's name and port, if it needs a resolver.
    pub fn named(&self) -> Option<(String, u16)> {
        match self.endpoint.host_and_port() {
            (HostName::Name(name), port) => Some((name, port)),
            (HostName::Address(_), _) => None,
        }
    }

    /// The server name to offer.
    pub fn sni(&self) -> Option<String> {
        match &self.endpoint {
            Endpoint::Tls { sni: Some(sni), .. } => Some(sni.clone()),
            _ => self.named().map(|(name, _)| name),
        }
    }
}

/// A public resolver.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolver {
    /// Stable name.
    pub name: String,
    /// Who operates it.
    pub provider: String,
    /// Its addresses for plain DNS.
    pub udp: Vec<IpAddr>,
    /// Its DNS over HTTPS (RFC 8484).
    pub doh: Url,
    /// Its DNS over TLS (RFC 7858), `tls://name:853`: the name that its certificate is for.
    pub dot: Option<Endpoint>,
    /// Whether its addresses answer QUIC at UDP port 443.
    #[serde(default)]
    pub quic: bool,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
}

/// The name offered to a target's address when the target's own name fails there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Innocent {
    /// The name.
    pub sni: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
}

impl Resolver {
    /// The name and the port of its DNS over TLS.
    pub fn dot_name(&self) -> Option<(String, u16)> {
        match self.dot.as_ref()?.host_and_port() {
            (HostName::Name(name), port) => Some((name, port)),
            (HostName::Address(_), _) => None,
        }
    }
}

impl Controls {
    /// The embedded file.
    pub fn embedded() -> Result<Self, toml::de::Error> {
        let controls: Self = toml::from_str(embedded::CONTROLS)?;
        debug_assert_eq!(controls.version, 1);
        Ok(controls)
    }

    /// Two of a kind, of operators that share nothing: one control by name and one by address, which are of different
    /// networks of content delivery or of none, and the first and the last captive check.
    pub fn strangers(&self) -> Strangers {
        let by_name = self.control.iter().filter(|control| control.named().is_some());
        let by_name = by_name.filter_map(Control::sni).find(|name| *name != self.innocent.sni);
        let by_address = self.control.iter().find(|control| control.literal().is_some()).and_then(Control::sni);
        let page =
            |check: &Captive| KnownPage { url: check.url.clone(), status: check.status, body: check.body.clone() };
        let first = self.captive.first();
        let last = self.captive.last().filter(|last| first.is_some_and(|first| first.provider != last.provider));
        Strangers {
            names: by_name.into_iter().chain(by_address).collect(),
            pages: first.into_iter().chain(last).map(page).collect(),
            quic: self.resolver.iter().filter(|resolver| resolver.quic).map(|resolver| resolver.udp.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn controls_are_of_several_providers_in_both_kinds() {
        let controls = Controls::embedded().unwrap();
        let providers = |wanted: fn(&Control) -> bool| {
            controls.control.iter().filter(|&c| wanted(c)).map(|c| c.provider.as_str()).collect::<BTreeSet<_>>().len()
        };
        assert!(providers(|control| control.named().is_some()) >= 3);
        assert!(providers(|control| control.literal().is_some_and(|(address, _)| address.is_ipv4())) >= 3);
        assert!(controls.captive.len() >= 3 && controls.resolver.len() >= 3);
    }

    #[test]
    fn every_control_offers_a_name_that_can_be_verified() {
        for control in Controls::embedded().unwrap().control {
            assert!(control.sni().is_some(), "{}", control.name);
        }
    }

    #[test]
    fn strangers_are_two_of_each_kind_and_none_is_the_innocent_name() {
        let controls = Controls::embedded().unwrap();
        let strangers = controls.strangers();
        assert_eq!((strangers.names.len(), strangers.pages.len()), (2, 2));
        assert_ne!(strangers.names[0], strangers.names[1]);
        assert!(!strangers.names.contains(&controls.innocent.sni));
    }

    #[test]
    fn resolvers_have_dns_over_tls_by_name_at_its_port() {
        for resolver in Controls::embedded().unwrap().resolver {
            assert!(resolver.dot_name().is_some_and(|(_, port)| port == 853), "{}", resolver.name);
        }
    }

    #[test]
    fn captive_checks_are_plain_http() {
        assert!(Controls::embedded().unwrap().captive.iter().all(|check| check.url.scheme() == "http"));
    }
}
