//! What was seen of a tunnel's server, and the public key that names one. A tunnel is a VPN's or a proxy's: which, and whether what
//! it carries is encrypted, is told by its protocol.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::names::named;

named! {
    /// Protocols of tunnels and proxies, by the schemes of their endpoints.
    pub enum VpnProtocol {
        /// `OpenVPN` over UDP.
        OpenvpnUdp = "openvpn+udp",
        /// `OpenVPN` over TCP.
        OpenvpnTcp = "openvpn+tcp",
        /// IKE version 2 (RFC 7296).
        Ikev2 = "ikev2",
        /// `WireGuard`.
        Wireguard = "wireguard",
        /// IKE version 1 (RFC 2409), main mode.
        Ikev1 = "ikev1",
        /// L2TP version 2 (RFC 2661), without IPsec.
        L2tp = "l2tp",
        /// PPTP's control connection (RFC 2637).
        Pptp = "pptp",
        /// SSTP (MS-SSTP), over TLS.
        Sstp = "sstp",
        /// AnyConnect's (draft-mavrogiannopoulos-openconnect), over TLS.
        Anyconnect = "anyconnect",
        /// SoftEther's own, over TLS.
        Softether = "softether",
        /// SOCKS version 5 (RFC 1928).
        Socks5 = "socks5",
        /// HTTP's `CONNECT` (RFC 9110 section 9.3.6).
        HttpProxy = "http-proxy",
        /// STUN (RFC 8489), over UDP.
        Stun = "stun",
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
        /// Proton's ping over UDP, to a server of a known public key.
        ProtonPing = "proton-ping",
    }
}

named! {
    /// What a protocol is for.
    pub enum VpnKind {
        /// It carries all of a machine's packets.
        Vpn = "vpn",
        /// It carries the connections of programs that ask for it.
        Proxy = "proxy",
        /// It carries nothing: others find each other, or a server, by it.
        Signalling = "signalling",
    }
}

named! {
    /// Whether what a protocol carries can be read on the way.
    pub enum VpnPayload {
        /// It cannot: the protocol encrypts it.
        Encrypted = "encrypted",
        /// It is as the programs send it.
        Clear = "clear",
        /// Both sides agree on it behind the login (PPTP with MPPE).
        Negotiated = "negotiated",
        /// There is none.
        None = "none",
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
        /// Any protocol: the server takes part.
        Accepted = "accepted",
        /// Any protocol: the server takes part with those who log in.
        LoginWanted = "login_wanted",
        /// Any protocol: the server speaks it, and refuses.
        Refused = "refused",
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

/// What carries a protocol's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VpnCarrier {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl VpnProtocol {
    /// Its node in the tree of mechanisms.
    pub fn node(self) -> &'static str {
        match self {
            Self::OpenvpnUdp | Self::OpenvpnTcp => "openvpn",
            Self::HttpProxy => "http_proxy",
            Self::ProtonPing => "proton_ping",
            Self::Shadowsocks => "shadowsocks",
            _ => self.name(),
        }
    }

    /// What its messages go over.
    pub fn carrier(self) -> VpnCarrier {
        match self {
            Self::OpenvpnUdp
            | Self::Ikev2
            | Self::Wireguard
            | Self::Ikev1
            | Self::L2tp
            | Self::Stun
            | Self::ProtonPing => VpnCarrier::Udp,
            Self::OpenvpnTcp | Self::Pptp | Self::Socks5 | Self::HttpProxy | Self::Shadowsocks | Self::Obfs4 => {
                VpnCarrier::Tcp
            }
            Self::Sstp | Self::Anyconnect | Self::Softether | Self::Tor | Self::Trojan | Self::Vless => VpnCarrier::Tls,
        }
    }

    /// Whether it is spoken over TCP, be it within TLS.
    pub fn is_tcp(self) -> bool {
        self.carrier() != VpnCarrier::Udp
    }

    /// Whether it is spoken within TLS.
    pub fn is_tls(self) -> bool {
        self.carrier() == VpnCarrier::Tls
    }

    /// Whether TLS is a step of its own before its first message. Of Tor's relays, of Trojan and VLESS the handshake is that
    /// message: the former offer a name that is nobody's, and of the others nothing more is asked.
    pub fn has_tls_step(self) -> bool {
        self.is_tls() && !matches!(self, Self::Tor | Self::Trojan | Self::Vless)
    }

    /// Ports at which its servers are found as a rule: the registered one, and those at which providers offer it besides, since
    /// few networks close them (vpn reference, sections 1, 3.3 and 5; for IKE RFC 7296 section 2 and RFC 3947 section 4, for L2TP RFC 2661
    /// section 8.1, for PPTP RFC 2637 section 1.3; SOCKS's and STUN's by IANA). Within TLS it is HTTPS's.
    pub fn usual_ports(self) -> &'static [u16] {
        match self {
            Self::OpenvpnUdp => &[1_194, 443, 53],
            Self::OpenvpnTcp => &[443, 1_194],
            Self::Ikev1 | Self::Ikev2 => &[500, 4_500],
            Self::Wireguard => &[51_820, 443, 53],
            Self::ProtonPing => &[51_820, 443, 88, 1_224, 500, 4_500],
            Self::Pptp => &[1_723],
            Self::L2tp => &[1_701],
            Self::Sstp | Self::Anyconnect => &[443],
            Self::Softether => &[443, 992, 1_194, 5_555],
            Self::Socks5 => &[1_080],
            Self::HttpProxy => &[3_128, 8_080],
            Self::Stun => &[3_478],
            // Each server has a port of its own.
            Self::Shadowsocks | Self::Tor | Self::Obfs4 | Self::Trojan | Self::Vless => &[],
        }
    }

    /// What it is for.
    pub fn kind(self) -> VpnKind {
        match self {
            Self::Socks5
            | Self::HttpProxy
            | Self::Shadowsocks
            | Self::Tor
            | Self::Obfs4
            | Self::Trojan
            | Self::Vless => VpnKind::Proxy,
            Self::Stun | Self::ProtonPing => VpnKind::Signalling,
            _ => VpnKind::Vpn,
        }
    }

    /// Whether what it carries can be read on the way. L2TP is what is measured: without IPsec.
    pub fn payload(self) -> VpnPayload {
        match self {
            Self::Socks5 | Self::HttpProxy | Self::L2tp => VpnPayload::Clear,
            Self::Pptp => VpnPayload::Negotiated,
            Self::Stun | Self::ProtonPing => VpnPayload::None,
            _ => VpnPayload::Encrypted,
        }
    }

    /// Why a server in good order can be silent to a first message of ours, if it can: its silence then says nothing.
    pub fn silence_of_the_living(self) -> Option<&'static str> {
        match self {
            Self::Wireguard | Self::Shadowsocks | Self::Obfs4 => {
                Some("it answers known keys only, and nobody has seen it answer this one")
            }
            Self::L2tp => Some("most servers speak L2TP within IPsec alone"),
            _ => None,
        }
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
    fn proxies_are_told_from_vpns_and_what_can_be_read_from_what_cannot() {
        let of = |name| {
            let protocol = VpnProtocol::from_name(name).unwrap();
            (protocol.kind().name(), protocol.payload().name(), protocol.carrier())
        };
        assert_eq!(of("wireguard"), ("vpn", "encrypted", VpnCarrier::Udp));
        assert_eq!(of("sstp"), ("vpn", "encrypted", VpnCarrier::Tls));
        assert_eq!(of("pptp"), ("vpn", "negotiated", VpnCarrier::Tcp));
        assert_eq!(of("l2tp"), ("vpn", "clear", VpnCarrier::Udp));
        assert_eq!(of("socks5"), ("proxy", "clear", VpnCarrier::Tcp));
        assert_eq!(of("http-proxy"), ("proxy", "clear", VpnCarrier::Tcp));
        assert_eq!(of("stun"), ("signalling", "none", VpnCarrier::Udp));
    }

    #[test]
    fn nodes_of_the_tree_are_words_without_hyphens() {
        for protocol in VpnProtocol::ALL {
            assert!(protocol.node().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{protocol}");
        }
    }

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
