//! What results do not tell of a tunnel's server: where it is. A list of a provider's servers, put together out of many
//! volunteers' results, would serve whoever wants to block them; results name provider and protocol instead.
//!
//! The file that a probe keeps for its user has the addresses: they are the facts. What is printed of it and exported from it
//! has not, unless its reader asks for them.

use std::borrow::Cow;
use std::net::IpAddr;

use faultline_record::{DnsRecord, Endpoint, Measurement, StepData, Target};
use serde_json::Value;

/// Stands where an address or a name was.
const WORD: &str = "(withheld)";

/// What is withheld of one measurement.
#[derive(Clone, Debug, Default)]
pub struct Withheld {
    /// Longest first, so that no part of one is left over.
    words: Vec<String>,
}

/// Whether a target is one whose whereabouts are withheld: a tunnel's server.
pub fn is_withheld(target: &Target) -> bool {
    matches!(target.endpoint, Endpoint::Vpn { .. })
}

impl Withheld {
    /// What names the server in the measurement: its host, its addresses, its public key. Nothing for other targets.
    pub fn of(measurement: &Measurement) -> Self {
        let target = &measurement.target;
        let mut all = Self::of_target(target);
        if is_withheld(target) {
            for row in &measurement.observations {
                match &row.data {
                    // Whom a question went to is a resolver; what it was for and what came is the server.
                    StepData::Dns(dns) => {
                        all.words.push(dns.hostname.clone());
                        all.words.extend(dns.answers.iter().flat_map(|answer| named(&answer.record)));
                    }
                    _ => all.words.extend(row.address.iter().flat_map(|address| spelled(*address))),
                }
            }
        }
        all.sorted()
    }

    /// The same of a target of which nothing has been measured.
    pub fn of_target(target: &Target) -> Self {
        let Endpoint::Vpn { host, pubkey, sni, .. } = &target.endpoint else { return Self::default() };
        let mut words = vec![host.to_string()];
        if let faultline_record::HostName::Address(address) = host {
            words.extend(spelled(*address));
        }
        words.extend(pubkey.iter().map(ToString::to_string).chain(sni.clone()));
        // As it was typed: letters in either case, other spellings of an address.
        let typed = target.input.split_once("://").map_or(target.input.as_str(), |(_, rest)| rest);
        let authority = typed.split(['/', '?', '#']).next().unwrap_or_default();
        words.push(authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned());
        Self { words }.sorted()
    }

    fn sorted(mut self) -> Self {
        self.words.retain(|word| word.len() > 2);
        self.words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.words.dedup();
        self
    }

    /// Whether there is nothing to withhold.
    pub fn is_nothing(&self) -> bool {
        self.words.is_empty()
    }

    /// A text without them.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut hidden = Cow::Borrowed(text);
        for word in self.words.iter().filter(|word| text.contains(word.as_str())) {
            hidden = Cow::Owned(hidden.replace(word.as_str(), WORD));
        }
        hidden
    }

    /// A JSON value without them, in whatever string.
    pub fn value(&self, value: Value) -> Value {
        match value {
            _ if self.words.is_empty() => value,
            Value::String(text) => Value::String(self.text(&text).into_owned()),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => map.into_iter().map(|(key, item)| (key, self.value(item))).collect(),
            other => other,
        }
    }
}

fn named(record: &DnsRecord) -> Vec<String> {
    match record {
        DnsRecord::Address(address) => spelled(*address),
        DnsRecord::Cname(name) => vec![name.clone()],
        DnsRecord::Empty => Vec::new(),
    }
}

/// The ways in which an address may stand in a text.
fn spelled(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(v4) => vec![v4.to_string(), v4.to_ipv6_mapped().to_string()],
        IpAddr::V6(v6) => vec![v6.to_string(), format!("[{v6}]")],
    }
}

#[cfg(test)]
mod tests {
    use faultline_record::Availability;
    use serde_json::json;

    use super::*;

    fn target(input: &str) -> Target {
        Target {
            input: input.into(),
            name: "mullvad/wireguard".into(),
            endpoint: Endpoint::parse(input).unwrap(),
            category: None,
            list: None,
            availability: Availability::Unknown,
            private_ca: false,
        }
    }

    #[test]
    fn host_address_and_public_key_are_gone_and_the_rest_stays() {
        let input = "wireguard://146.70.12.4:51820?pubkey=+/ERERERERERERERERERERERERERERERERERERERERE=";
        let withheld = Withheld::of_target(&target(input));
        assert_eq!(withheld.text(input), "wireguard://(withheld):51820?pubkey=(withheld)");
        let value = withheld.value(json!({"input": input, "n": 7, "list": ["at 146.70.12.4:1", null]}));
        assert_eq!(value["list"], json!(["at (withheld):1", null]));
        assert!(!value.to_string().contains("146.70"));
    }

    #[test]
    fn a_host_is_gone_as_it_was_typed_too() {
        let withheld = Withheld::of_target(&target("openvpn+udp://Se-7.Relays.Example:1194"));
        assert_eq!(
            withheld.text("openvpn+udp://Se-7.Relays.Example:1194, se-7.relays.example"),
            "openvpn+udp://(withheld):1194, (withheld)"
        );
    }

    #[test]
    fn of_a_site_nothing_is_withheld() {
        let text = "https://x.com/ at 192.0.2.7";
        assert_eq!(Withheld::of_target(&target("https://x.com/")).text(text), text);
    }
}
