//! What a helper does for strangers, and what not: a question is checked here before a packet leaves. Where packets may
//! go is checked again for every address that is dialled, after names are resolved (see `measure::survey`), since a
//! name can be made to mean any address.

use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use faultline_record::{Endpoint, HostName, VpnProtocol};
use faultline_wire::wireguard::INITIATION;

use super::message::{ADDRESSES, HelperQuestion, SCHEMA};

/// Bytes of a name (RFC 1035, 2.3.4).
const NAME_BYTES: usize = 255;

/// A question that may be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) endpoint: Endpoint,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) datagram: Option<Box<[u8; INITIATION]>>,
}

/// Why a question is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("failed to read the question: {0}")]
    NotJson(String),
    #[error("failed to read the schema {0:?}: this helper speaks {SCHEMA}")]
    Schema(String),
    #[error("failed to read the endpoint: {0}")]
    Endpoint(String),
    #[error("a helper does not ask other resolvers: dns:// is refused")]
    Resolver,
    #[error("the host {host:?} is not the endpoint's")]
    Host { host: String },
    #[error("more than {ADDRESSES} addresses")]
    Addresses,
    #[error("a first message of WireGuard's goes with wireguard://, and nothing else is sent for anybody")]
    Datagram,
}

/// Parses and checks a question.
pub(super) fn check(body: &[u8]) -> Result<Checked, Refusal> {
    let question: HelperQuestion = serde_json::from_slice(body).map_err(|error| Refusal::NotJson(error.to_string()))?;
    if question.schema != SCHEMA {
        return Err(Refusal::Schema(question.schema));
    }
    let endpoint = Endpoint::parse(&question.endpoint).map_err(|error| Refusal::Endpoint(error.to_string()))?;
    if matches!(endpoint, Endpoint::Dns { .. }) {
        return Err(Refusal::Resolver);
    }
    if !is_host_of(&endpoint, &question.host) {
        return Err(Refusal::Host { host: question.host });
    }
    if question.addresses.len() > ADDRESSES {
        return Err(Refusal::Addresses);
    }
    let datagram = datagram(&endpoint, question.datagram.as_deref())?;
    Ok(Checked { endpoint, addresses: question.addresses, datagram })
}

/// A helper sends nothing for strangers but what no server takes for anything else: one first message of `WireGuard`'s, and to
/// such an endpoint.
fn datagram(endpoint: &Endpoint, given: Option<&str>) -> Result<Option<Box<[u8; INITIATION]>>, Refusal> {
    let is_wireguard = matches!(endpoint, Endpoint::Vpn { protocol: VpnProtocol::Wireguard, .. });
    match (is_wireguard, given) {
        (false, None) => Ok(None),
        (true, Some(text)) => {
            let octets = BASE64_STANDARD.decode(text).map_err(|_| Refusal::Datagram)?;
            let message: [u8; INITIATION] = octets.try_into().map_err(|_| Refusal::Datagram)?;
            let is_first = message.starts_with(&[1, 0, 0, 0]);
            if is_first { Ok(Some(Box::new(message))) } else { Err(Refusal::Datagram) }
        }
        (true, None) | (false, Some(_)) => Err(Refusal::Datagram),
    }
}

fn is_host_of(endpoint: &Endpoint, host: &str) -> bool {
    match endpoint.host_and_port().0 {
        HostName::Name(name) => name == host && name.len() <= NAME_BYTES,
        HostName::Address(address) => host.parse() == Ok(address),
    }
}

/// The addresses of this machine's own interfaces: reaching them from inside passes by whatever shields them from
/// outside.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let addresses = interfaces.filter_map(|interface| interface.address);
    addresses
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(endpoint: &str, host: &str, addresses: &[&str]) -> Result<Checked, Refusal> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let question = HelperQuestion::new(endpoint.into(), host.into(), addresses);
        check(&serde_json::to_vec(&question).unwrap())
    }

    #[test]
    fn one_first_message_of_wireguard_s_is_sent_for_a_client_and_nothing_else() {
        let asked = |endpoint: &str, octets: Option<Vec<u8>>| {
            let datagram = octets.map(|octets| BASE64_STANDARD.encode(octets));
            let host = "198.51.100.7".to_owned();
            let question = HelperQuestion { datagram, ..HelperQuestion::new(endpoint.into(), host, Vec::new()) };
            check(&serde_json::to_vec(&question).unwrap()).map(|checked| checked.datagram.is_some())
        };
        let (wireguard, first) = ("wireguard://198.51.100.7:51820", [&[1, 0, 0, 0][..], &[7; 144]].concat());
        assert_eq!(asked(wireguard, Some(first.clone())), Ok(true));
        assert_eq!(asked("openvpn+udp://198.51.100.7:1194", None), Ok(false));
        let long = [&first[..], &[0]].concat();
        for wrong in [None, Some(vec![7; 148]), Some(first[..147].to_vec()), Some(long)] {
            assert_eq!(asked(wireguard, wrong), Err(Refusal::Datagram));
        }
        assert_eq!(asked("openvpn+udp://198.51.100.7:1194", Some(first)), Err(Refusal::Datagram));
    }

    #[test]
    fn a_plain_question_passes() {
        for (endpoint, host) in [
            ("https://x.example/a?b", "x.example"),
            ("http://x.example:8080/", "x.example"),
            ("tcp://198.51.100.7:5222", "198.51.100.7"),
            ("tls://[2001:db8::1]:853?sni=x.example", "2001:db8::1"),
        ] {
            assert!(asked(endpoint, host, &["198.51.100.7"]).is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn what_a_helper_does_not_do_is_refused_with_its_reason() {
        let host = || "y.example".to_owned();
        assert_eq!(asked("https://x.example/", "y.example", &[]), Err(Refusal::Host { host: host() }));
        assert_eq!(asked("dns://9.9.9.9/x.example", "9.9.9.9", &[]), Err(Refusal::Resolver));
        assert_eq!(asked("https://x.example/", "x.example", &["198.51.100.7"; 9]), Err(Refusal::Addresses));
        for endpoint in ["file:///etc/passwd", "https://user:word@x.example/", "gopher://x.example/", "", "https://"] {
            assert!(matches!(asked(endpoint, "x.example", &[]), Err(Refusal::Endpoint(_))), "{endpoint}");
        }
    }

    #[test]
    fn junk_and_other_schemas_are_refused() {
        for junk in [&b""[..], b"{", b"[]", b"null", b"\xff\xff", br#"{"schema": 1}"#] {
            assert!(matches!(check(junk), Err(Refusal::NotJson(_))));
        }
        let other = br#"{"schema": "faultline/helper/9", "endpoint": "https://x.example/", "host": "x.example"}"#;
        assert_eq!(check(other), Err(Refusal::Schema("faultline/helper/9".into())));
    }

    #[test]
    fn the_machine_knows_its_own_loopback() {
        assert!(own_addresses().contains(&IpAddr::from([127, 0, 0, 1])));
    }
}
