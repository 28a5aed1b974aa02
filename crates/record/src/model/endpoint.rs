//! Endpoints as URLs (design, section 3): parsed once, into a type that cannot be wrong.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::endpoint_error::EndpointError;
use super::vpn::{ServerKey, VpnProtocol};

/// Something that can be connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `http://` or `https://`.
    Web(Url),
    /// `tcp://host:port`: a connection is all there is to see.
    Tcp {
        /// Name or literal address.
        host: HostName,
        /// TCP port.
        port: u16,
    },
    /// `tls://host:port?sni=name`: a handshake, no request.
    Tls {
        /// Name or literal address.
        host: HostName,
        /// TCP port.
        port: u16,
        /// Server name to offer; the host itself unless given.
        sni: Option<String>,
    },
    /// `quic://host:port?sni=name`: a QUIC handshake (HTTP/3's), no request; with a path, `quic://host:port/path?sni=name`, and one.
    Quic {
        /// Name or literal address.
        host: HostName,
        /// UDP port.
        port: u16,
        /// Server name to offer; the host itself unless given.
        sni: Option<String>,
        /// What is asked for over HTTP/3, from the first slash on, if anything is.
        path: Option<String>,
    },
    /// `openvpn+udp://host:port`, `ikev2://host`, `wireguard://host:port?pubkey=key`, `socks5://host`, ...: the first message of a
    /// tunnel, or to a proxy.
    Vpn {
        /// Its protocol.
        protocol: VpnProtocol,
        /// Name or literal address.
        host: HostName,
        /// Port.
        port: u16,
        /// The server's public key, for `WireGuard`.
        pubkey: Option<ServerKey>,
        /// The name that TLS offers, for Trojan and VLESS; the host itself unless given.
        sni: Option<String>,
    },
    /// `dns://resolver/name`: the name's addresses as one resolver gives them.
    Dns {
        /// The resolver's address.
        resolver: IpAddr,
        /// The name asked for.
        name: String,
    },
    /// `ooni://test/what`: a test of another tool's, imported, that goes to no endpoint of the kinds above. Probes of ours do not
    /// make it, and rules do not judge it.
    Foreign(Url),
}

/// The scheme of [`Endpoint::Foreign`].
const FOREIGN: &str = "ooni";

/// A DNS name (lower case, A-labels) or a literal address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostName {
    /// A name to resolve.
    Name(String),
    /// An address to use as it is.
    Address(IpAddr),
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Schemes of design section 3 that this version can name but not yet measure.
pub const LATER_SCHEMES: [&str; 1] = ["udp"];

impl Endpoint {
    /// Parses an input: a URL, or a bare host name, which means `https://host/`.
    pub fn parse(input: &str) -> Result<Self, EndpointError> {
        let trimmed = input.trim();
        if !trimmed.contains("://") {
            return Self::parse_bare(trimmed);
        }
        let url = Url::parse(trimmed)
            .map_err(|error| EndpointError::NotAUrl { input: trimmed.into(), reason: error.to_string() })?;
        let malformed = |problem| EndpointError::Malformed { input: trimmed.into(), problem };
        if has_credentials(&url) {
            return Err(malformed(CREDENTIALS));
        }
        match url.scheme() {
            "http" | "https" => web(url).ok_or_else(|| malformed("there is no host")),
            "tcp" => {
                let (host, port) = host_and_port(&url).map_err(malformed)?;
                Ok(Self::Tcp { host, port })
            }
            scheme @ ("tls" | "quic") => {
                let (host, port) = host_and_port(&url).map_err(malformed)?;
                let sni = sni_of(&url);
                match &sni {
                    Some(name) if !is_host_name(name) => Err(malformed("sni= must be a host name")),
                    _ if scheme == "quic" => {
                        let path = Some(url.path().to_owned()).filter(|path| path.starts_with('/'));
                        Ok(Self::Quic { host, port, sni, path })
                    }
                    _ => Ok(Self::Tls { host, port, sni }),
                }
            }
            "dns" => dns(&url).map_err(malformed),
            scheme if VpnProtocol::from_name(scheme).is_some() => vpn(&url).map_err(malformed),
            scheme if LATER_SCHEMES.contains(&scheme) => {
                Err(EndpointError::LaterScheme { input: trimmed.into(), scheme: scheme.into() })
            }
            scheme => Err(EndpointError::UnknownScheme { input: trimmed.into(), scheme: scheme.into() }),
        }
    }

    /// Parses what a file holds: an input, or a test of another tool's.
    pub fn parse_stored(text: &str) -> Result<Self, EndpointError> {
        match Url::parse(text) {
            Ok(url) if url.scheme() == FOREIGN && url.host().is_some() => Ok(Self::Foreign(url)),
            _ => Self::parse(text),
        }
    }

    /// What stands for another tool's test of `what`; `None` if the test has no name.
    pub fn foreign(test: &str, what: &str) -> Option<Self> {
        let name = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '-' };
        let test: String = test.chars().map(name).collect();
        let mut url = Url::parse(&format!("{FOREIGN}://{test}/")).ok().filter(|_| !test.is_empty())?;
        url.set_path(what);
        Some(Self::Foreign(url))
    }

    fn parse_bare(input: &str) -> Result<Self, EndpointError> {
        let not_a_url = |reason: &str| EndpointError::NotAUrl { input: input.into(), reason: reason.into() };
        if input.is_empty() || input.contains(char::is_whitespace) {
            return Err(not_a_url("a URL or a host name was expected"));
        }
        if !input.contains('.') {
            return Err(not_a_url("a host name with a dot in it was expected"));
        }
        let url = Url::parse(&format!("https://{input}")).map_err(|error| not_a_url(&error.to_string()))?;
        if has_credentials(&url) {
            return Err(EndpointError::Malformed { input: input.into(), problem: CREDENTIALS });
        }
        web(url).ok_or_else(|| not_a_url("there is no host"))
    }

    /// What is asked for over HTTP/3: of `quic://` with a path, the same as `https://` with the name that is offered.
    pub fn http3_url(&self) -> Option<Url> {
        let Self::Quic { host, port, sni, path: Some(path) } = self else { return None };
        let name = sni.clone().unwrap_or_else(|| host.to_string());
        Url::parse(&format!("https://{name}:{port}{path}")).ok()
    }

    /// The server's public key, where the endpoint names it by one.
    pub fn server_key(&self) -> Option<ServerKey> {
        if let Self::Vpn { pubkey, .. } = self { *pubkey } else { None }
    }

    /// What a server's certificate is held against, where that is not the host itself.
    pub fn offered_name(&self) -> Option<&str> {
        match self {
            Self::Tls { sni, .. } | Self::Quic { sni, .. } | Self::Vpn { sni, .. } => sni.as_deref(),
            _ => None,
        }
    }

    /// The name or address that is connected to, and the port.
    pub fn host_and_port(&self) -> (HostName, u16) {
        match self {
            Self::Web(url) | Self::Foreign(url) => {
                let host = url.host().map_or_else(|| HostName::Name(String::new()), |host| host_name(&host));
                (host, url.port_or_known_default().unwrap_or(443))
            }
            Self::Tcp { host, port }
            | Self::Tls { host, port, .. }
            | Self::Quic { host, port, .. }
            | Self::Vpn { host, port, .. } => (host.clone(), *port),
            Self::Dns { resolver, .. } => (HostName::Address(*resolver), 53),
        }
    }
}

/// A name as it is compared: A-labels (RFC 5890), small letters, no dot at the end. What cannot be a name in A-labels is kept
/// in small letters, so that it equals itself.
pub fn normal_name(name: &str) -> String {
    let name = name.trim().trim_end_matches('.');
    match Host::parse(name) {
        Ok(Host::Domain(domain)) => domain.trim_end_matches('.').to_ascii_lowercase(),
        _ => name.to_lowercase(),
    }
}

/// Why a URL with a user's name or password is refused.
const CREDENTIALS: &str = "user names and passwords are not sent by a probe";

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Letters, digits, hyphens, dots and underscores: what a server name can be made of and still print as it was typed.
fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn web(url: Url) -> Option<Endpoint> {
    url.host().is_some().then_some(Endpoint::Web(url))
}

fn host_name(host: &Host<&str>) -> HostName {
    match *host {
        // URLs of non-special schemes keep literal addresses as names.
        Host::Domain(name) => match name.parse() {
            Ok(address) => HostName::Address(address),
            Err(_) => HostName::Name(name.trim_end_matches('.').to_ascii_lowercase()),
        },
        Host::Ipv4(address) => HostName::Address(address.into()),
        Host::Ipv6(address) => HostName::Address(address.into()),
    }
}

fn host_and_port(url: &Url) -> Result<(HostName, u16), &'static str> {
    let host = url.host().map(|host| host_name(&host)).ok_or("there is no host")?;
    if matches!(&host, HostName::Name(name) if name.is_empty()) {
        return Err("there is no host");
    }
    Ok((host, url.port().ok_or("a port is needed, as in tcp://host:443")?))
}

fn sni_of(url: &Url) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == "sni").map(|(_, value)| value.to_ascii_lowercase())
}

/// A tunnel's port, where its protocol has one that servers keep to.
fn usual_port(protocol: VpnProtocol) -> Option<u16> {
    match protocol {
        VpnProtocol::OpenvpnUdp | VpnProtocol::OpenvpnTcp | VpnProtocol::Wireguard | VpnProtocol::HttpProxy => None,
        _ => protocol.usual_ports().first().copied(),
    }
}

fn vpn(url: &Url) -> Result<Endpoint, &'static str> {
    let protocol = VpnProtocol::from_name(url.scheme()).ok_or("there is no such protocol")?;
    let host = url.host().map(|host| host_name(&host)).ok_or("there is no host")?;
    let port = url.port().or_else(|| usual_port(protocol));
    match (&host, port) {
        (HostName::Name(name), _) if name.is_empty() => Err("there is no host"),
        (_, None) => Err("a port is needed, as in openvpn+udp://host:1194"),
        (_, Some(port)) => {
            let (pubkey, sni) = (pubkey(url, protocol)?, vpn_sni(url, protocol)?);
            Ok(Endpoint::Vpn { protocol, host, port, pubkey, sni })
        }
    }
}

fn pubkey(url: &Url, protocol: VpnProtocol) -> Result<Option<ServerKey>, &'static str> {
    let given = url.query_pairs().find(|(key, _)| key == "pubkey").map(|(_, value)| value);
    match given {
        None if protocol == VpnProtocol::ProtonPing => {
            Err("a server's key is needed, as in proton-ping://host:port?pubkey=key")
        }
        None => Ok(None),
        Some(_) if !matches!(protocol, VpnProtocol::Wireguard | VpnProtocol::ProtonPing) => {
            Err("pubkey= is for wireguard:// and proton-ping:// only")
        }
        Some(text) => ServerKey::parse(&text).map(Some).ok_or("pubkey= must be a public key in base64, 44 characters"),
    }
}

fn vpn_sni(url: &Url, protocol: VpnProtocol) -> Result<Option<String>, &'static str> {
    match sni_of(url) {
        None => Ok(None),
        Some(_) if !matches!(protocol, VpnProtocol::Trojan | VpnProtocol::Vless) => {
            Err("sni= is for tls://, quic://, trojan:// and vless:// only")
        }
        Some(name) => is_host_name(&name).then_some(Some(name)).ok_or("sni= must be a host name"),
    }
}

fn dns(url: &Url) -> Result<Endpoint, &'static str> {
    let Some(HostName::Address(resolver)) = url.host().map(|host| host_name(&host)) else {
        return Err("dns:// needs a resolver's address, as in dns://9.9.9.9/example.com");
    };
    let name = url.path().trim_matches('/').trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() { Err("dns:// needs a name after the resolver") } else { Ok(Endpoint::Dns { resolver, name }) }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) | Self::Foreign(url) => url.fmt(f),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Tls { host, port, sni: None } => write!(f, "tls://{host}:{port}"),
            Self::Tls { host, port, sni: Some(sni) } => write!(f, "tls://{host}:{port}?sni={sni}"),
            Self::Quic { host, port, sni, path } => {
                write!(f, "quic://{host}:{port}{}", path.as_deref().unwrap_or_default())?;
                sni.as_ref().map_or(Ok(()), |sni| write!(f, "?sni={sni}"))
            }
            Self::Vpn { protocol, host, port, pubkey, sni } => {
                write!(f, "{protocol}://{host}:{port}")?;
                match (pubkey, sni) {
                    (Some(key), _) => write!(f, "?pubkey={key}"),
                    (None, Some(sni)) => write!(f, "?sni={sni}"),
                    (None, None) => Ok(()),
                }
            }
            Self::Dns { resolver, name } => write!(f, "dns://{}/{name}", HostName::Address(*resolver)),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse_stored(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measured_scheme_parses_and_prints_the_same() {
        for text in [
            "https://x.com/",
            "http://example.org:8080/a?b=c",
            "tcp://149.154.167.51:443",
            "tcp://e1.whatsapp.net:5222",
            "tls://1.1.1.1:443?sni=one.one.one.one",
            "tls://[2620:fe::fe]:443?sni=dns.quad9.net",
            "quic://x.com:443",
            "quic://104.244.42.1:443?sni=x.com",
            "quic://x.com:443/",
            "quic://104.244.42.1:443/a/b%20c?sni=x.com",
            "openvpn+udp://vpn.example.net:1194",
            "openvpn+tcp://146.70.12.4:443",
            "ikev2://vpn.example.net:500",
            "wireguard://vpn.example.net:51820",
            "ss://proxy.example.net:8388",
            "tor://198.51.100.7:9001",
            "obfs4://198.51.100.7:9002",
            "trojan://proxy.example.net:443",
            "vless://proxy.example.net:443",
            "trojan://198.51.100.7:443?sni=www.example.net",
            "wireguard://146.70.12.4:51820?pubkey=+/ERERERERERERERERERERERERERERERERERERERERE=",
            "ikev1://146.70.12.4:4500",
            "http-proxy://146.70.12.4:3128",
            "dns://9.9.9.9/x.com",
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        for (scheme, port) in [
            ("ikev1", 500),
            ("ikev2", 500),
            ("l2tp", 1_701),
            ("pptp", 1_723),
            ("sstp", 443),
            ("anyconnect", 443),
            ("softether", 443),
            ("socks5", 1_080),
            ("stun", 3_478),
        ] {
            let usual = format!("{scheme}://vpn.example.net:{port}");
            assert_eq!(Endpoint::parse(&format!("{scheme}://vpn.example.net")).unwrap().to_string(), usual);
        }
        assert_eq!(Endpoint::parse("X.com").unwrap().to_string(), "https://x.com/");
        assert_eq!(Endpoint::parse("http://яндекс.рф/").unwrap().to_string(), "http://xn--d1acpjx3f.xn--p1ai/");
    }

    #[test]
    fn a_name_is_the_same_in_every_spelling() {
        for twin in ["яндекс.рф", "ЯНДЕКС.РФ.", "xn--d1acpjx3f.xn--p1ai", "XN--D1ACPJX3F.xn--p1ai."] {
            assert_eq!(normal_name(twin), "xn--d1acpjx3f.xn--p1ai", "{twin}");
        }
        assert_eq!(normal_name("_dmarc.X.com."), "_dmarc.x.com");
        assert_eq!(normal_name("A name that is none"), "a name that is none");
    }

    #[test]
    fn a_literal_address_is_an_address_in_every_scheme() {
        let (host, port) = Endpoint::parse("tcp://149.154.167.51:443").unwrap().host_and_port();
        assert_eq!((host, port), (HostName::Address("149.154.167.51".parse().unwrap()), 443));
    }

    #[test]
    fn a_test_of_another_tools_is_read_from_files_and_never_from_a_command_line() {
        let endpoint = Endpoint::foreign("stun reachability", "stun.l.google.com:19302").unwrap();
        assert_eq!(endpoint.to_string(), "ooni://stun-reachability/stun.l.google.com:19302");
        assert_eq!(Endpoint::parse_stored(&endpoint.to_string()), Ok(endpoint.clone()));
        assert!(Endpoint::parse(&endpoint.to_string()).is_err());
        assert_eq!(Endpoint::foreign("", "x"), None);
    }

    #[test]
    fn an_error_repeats_neither_a_servers_address_nor_a_key_nor_a_password() {
        for text in [
            "wireguard://146.70.12.4:51820?pubkey=c2VjcmV0",
            "openvpn+udp://146.70.12.4",
            "ss://chacha20:c2VjcmV0@146.70.12.4:8388",
            "obfs4://146.70.12.4?cert=c2VjcmV0",
            "trojan://c2VjcmV0@146.70.12.4:443",
            "https://user:c2VjcmV0@x.com/",
            "user:c2VjcmV0@x.com",
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(!error.contains("146.70") && !error.contains("c2VjcmV0"), "{error}");
        }
        assert!(Endpoint::parse("tcp://x.com").unwrap_err().to_string().contains("tcp://x.com"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("", "was expected"),
            ("localhost", "with a dot"),
            ("gopher://x.com/", "unknown scheme \"gopher\""),
            ("udp://h.example", "not measured by this version"),
            ("http-proxy://h.example", "a port is needed"),
            ("socks5://u:p@h.example", "passwords"),
            ("tcp://x.com", "a port is needed"),
            ("openvpn+udp://x.com", "a port is needed"),
            ("wireguard://x.com:51820?pubkey=abc", "44 characters"),
            ("ss://x.com", "a port is needed"),
            ("ss://method:password@x.com:8388", "passwords are not sent"),
            ("ikev2://x.com?pubkey=abc", "wireguard:// and proton-ping:// only"),
            ("proton-ping://x.com", "a server's key is needed"),
            ("ikev2://x.com?sni=a.example", "trojan:// and vless:// only"),
            ("vless://x.com:443?sni=a%26b", "must be a host name"),
            ("http://", "not a URL"),
            ("dns://x.com/y.com", "resolver's address"),
            ("https://u:p@x.com/", "passwords"),
            ("u:p@x.com", "passwords"),
            ("tls://1.1.1.1:443?sni=a%26b", "must be a host name"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
