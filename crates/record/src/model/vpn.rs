//! What was seen of a tunnel's server, and the public key that names one.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::names::named;

named! {
    /// Protocols of tunnels, by the schemes of their endpoints.
    pub enum VpnProtocol {
        /// `OpenVPN` over UDP.
        OpenvpnUdp = "openvpn+udp",
        /// `OpenVPN` over TCP.
        OpenvpnTcp = "openvpn+tcp",
        /// IKE version 2 (RFC 7296).
        Ikev2 = "ikev2",
        /// `WireGuard`.
        Wireguard = "wireguard",
        /// Shadowsocks: with ciphers that authenticate, or its edition of 2022 (SIP022).
        Shadowsocks = "ss",
        /// A relay or a bridge of Tor's, by its link protocol.
        Tor = "tor",
        /// A bridge of Tor's behind obfs4.
        Obfs4 = "obfs4",
        /// Trojan: TLS, and a password within it that is not sent.
        Trojan = "trojan",
        /// VLESS over TLS, and an identifier within it that is not sent.
        Vless = "vless",
    }
}

named! {
    /// What a tunnel's server said first.
    pub enum VpnAnswer {
        /// `OpenVPN`: its reset, for our session.
        ServerReset = "server_reset",
        /// IKE: its choice of a security association.
        Chosen = "ike_chosen",
        /// IKE: a notification, be it a refusal or the demand for a cookie.
        Notified = "ike_notified",
        /// `WireGuard`: the response that only the holder of the server's key can make.
        HandshakeResponse = "wireguard_response",
        /// `WireGuard`: the cookie that a server under load sends to whoever knows its public key.
        Cookie = "wireguard_cookie",
        /// Shadowsocks: data from whom it was asked to connect to, sealed with the password.
        Relayed = "ss_relayed",
        /// Tor: the relay's certificates.
        RelayCertificates = "tor_certificates",
        /// obfs4: the response that only the holder of the bridge's key can make.
        BridgeResponse = "obfs4_response",
        /// Trojan and VLESS: TLS.
        TlsHandshake = "tls_handshake",
        /// Something that is no answer of the protocol.
        Other = "other",
    }
}

named! {
    /// How much an exchange proved, from the least to the most.
    pub enum VpnProof {
        /// The server answered the first message.
        FirstAnswer = "first_answer",
        /// A TLS handshake within the tunnel ended, with a certificate that nothing could be held against.
        Handshake = "handshake",
        /// The server showed that it is who it should be: its certificate or its key.
        ServerIdentity = "server_identity",
        /// Data came back through the tunnel.
        Data = "data",
    }
}

named! {
    /// Which key of the user's was used.
    pub enum VpnKey {
        /// One that nobody has said to work.
        Given = "given",
        /// One that, by the user's word, works from elsewhere.
        Proven = "proven",
    }
}

impl VpnProtocol {
    /// Its node in the tree of mechanisms.
    pub fn node(self) -> &'static str {
        match self {
            Self::OpenvpnUdp | Self::OpenvpnTcp => "openvpn",
            Self::Ikev2 => "ikev2",
            Self::Wireguard => "wireguard",
            Self::Shadowsocks => "shadowsocks",
            Self::Tor => "tor",
            Self::Obfs4 => "obfs4",
            Self::Trojan => "trojan",
            Self::Vless => "vless",
        }
    }

    /// Whether it is spoken over TCP.
    pub fn is_tcp(self) -> bool {
        self == Self::OpenvpnTcp || self.is_proxy()
    }

    /// Whether it carries single connections and not packets: a proxy, and no VPN. All of these are encrypted.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::Shadowsocks | Self::Tor | Self::Obfs4 | Self::Trojan | Self::Vless)
    }

    /// Whether it begins with a handshake of TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tor | Self::Trojan | Self::Vless)
    }

    /// Ports at which its servers are found as a rule: the registered one, and those at which providers offer it besides, since
    /// few networks close them (vpn reference, sections 1, 3.3 and 5; for IKE RFC 7296 section 2).
    pub fn usual_ports(self) -> &'static [u16] {
        match self {
            Self::OpenvpnUdp => &[1_194, 443, 53],
            Self::OpenvpnTcp => &[443, 1_194],
            Self::Ikev2 => &[500, 4_500],
            Self::Wireguard => &[51_820, 443, 53],
            // Each server has a port of its own.
            Self::Shadowsocks | Self::Tor | Self::Obfs4 | Self::Trojan | Self::Vless => &[],
        }
    }

    /// Whether its servers answer those alone whose keys they know: their silence towards others says nothing.
    pub fn answers_known_keys_only(self) -> bool {
        matches!(self, Self::Wireguard | Self::Shadowsocks | Self::Obfs4)
    }
}

/// The first exchange with a tunnel's server. No account is used, and no key but those that the user gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpn {
    /// The protocol.
    pub protocol: VpnProtocol,
    /// Bytes received; 0 with a failure means that the server never spoke.
    pub bytes_received: u64,
    /// What its first message was.
    pub answer: Option<VpnAnswer>,
    /// How much was proven before it ended.
    pub proof: Option<VpnProof>,
    /// The key that was used, if the user gave one.
    pub key: Option<VpnKey>,
}

impl Vpn {
    /// An exchange of which nothing has been seen.
    pub fn planned(protocol: VpnProtocol) -> Self {
        Self { protocol, bytes_received: 0, answer: None, proof: None, key: None }
    }
}

/// The public key of a server (Curve25519): it names the server, and is no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerKey(pub [u8; 32]);

impl ServerKey {
    /// From base64 as tools print it: 44 characters. A query's `+` that became a space is one again.
    pub fn parse(text: &str) -> Option<Self> {
        let octets = BASE64_STANDARD.decode(text.replace(' ', "+")).ok()?;
        octets.try_into().ok().map(Self)
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_44_characters_and_prints_as_it_was_read() {
        let text = "+/ERERERERERERERERERERERERERERERERERERERERE=";
        assert_eq!(ServerKey::parse(text).unwrap().to_string(), text);
        assert_eq!(ServerKey::parse(&text.replace('+', " ")), ServerKey::parse(text));
        for cut in 0..text.len() {
            assert_eq!(ServerKey::parse(&text[..cut]), None, "cut at {cut}");
        }
        assert_eq!(ServerKey::parse(&format!("{text}AAAA")), None);
    }
}
