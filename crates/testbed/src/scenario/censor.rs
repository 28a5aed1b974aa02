//! What a censor does: a rule at a link, as data. Which packets it is about ([`Match`]), what becomes of them
//! ([`Action`]), and when it acts at all.
//!
//! A packet is judged where it enters or leaves the rule's link. A rule about names follows the connection, so that what
//! comes after the name shares its fate.

use std::net::IpAddr;

use serde::Deserialize;

use super::When;

/// One rule of a censor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Censor {
    /// How the truth refers to it (`if_acted`).
    #[serde(default)]
    pub name: Option<String>,
    /// The link at which it sits.
    #[serde(default)]
    pub at: Place,
    /// When, and for whom.
    #[serde(default)]
    pub when: When,
    /// Only packets of this family.
    #[serde(default)]
    pub family: Option<IpFamily>,
    /// The share of connections that it acts on, drawn once a connection, by the world's seed.
    #[serde(default = "one")]
    pub probability: f64,
    /// The share of the client's source ports whose path leads past it (per-flow load balancing).
    #[serde(default = "one")]
    pub source_ports: f64,
    /// It acts only while more than so many connections of its match are open from one client.
    #[serde(default)]
    pub parallel_above: Option<usize>,
    /// What it goes on doing for a while after it has acted.
    #[serde(default)]
    pub residual: Option<Residual>,
    /// It knows a flow by the client's first packet with data, and never looks again.
    #[serde(default)]
    pub first_packet: bool,
    /// It sees copies of packets: it can answer, and cannot hold anything up.
    #[serde(default)]
    pub on_path: bool,
    /// Which packets.
    #[serde(rename = "match")]
    pub matches: Match,
    /// What it does.
    pub action: Action,
}

fn one() -> f64 {
    1.0
}

/// Where on the network something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The client's line.
    Access,
    /// The ISP's own servers (resolver, portal).
    Isp,
    /// Servers in the country.
    Home,
    /// The rest of the world.
    #[default]
    Abroad,
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum IpFamily {
    Ipv4,
    Ipv6,
}

/// Residual blocking: after a hit, packets of the same tuple are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// For how long.
    pub seconds: f64,
    /// Which packets.
    pub key: Tuple,
}

/// What residual blocking remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Tuple {
    /// Client address, server address, server port.
    #[serde(rename = "3-tuple")]
    Three,
    /// As three, with the client's port.
    #[serde(rename = "4-tuple")]
    Four,
}

/// Transport protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

/// Protocols that an allowlist knows by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Known {
    Dns,
    Http,
    Tls,
    Quic,
}

/// Which packets a rule is about. Empty lists mean "any". Names cover everything below them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Match {
    /// Packets of the client to these destinations.
    Ip {
        /// Destination addresses.
        #[serde(default)]
        addresses: Vec<IpAddr>,
        /// Destination ports.
        #[serde(default)]
        ports: Vec<u16>,
        /// Only this protocol.
        #[serde(default)]
        protocol: Option<Protocol>,
        /// Destinations that are spared.
        #[serde(default)]
        except: Vec<IpAddr>,
    },
    /// DNS queries (UDP and TCP, port 53).
    Dns {
        /// Names asked for.
        #[serde(default)]
        names: Vec<String>,
        /// Record types by number (A 1, AAAA 28).
        #[serde(default)]
        types: Vec<u16>,
        /// Resolvers asked.
        #[serde(default)]
        resolvers: Vec<IpAddr>,
        /// Only over this protocol.
        #[serde(default)]
        protocol: Option<Protocol>,
    },
    /// TLS `ClientHello`s.
    Tls {
        /// Server names; with none, every greeting.
        #[serde(default)]
        names: Vec<String>,
        /// Names that are spared (an allowlist).
        #[serde(default)]
        except: Vec<String>,
        /// Put segments together. Without it, the name has to be whole in the first segment.
        #[serde(default = "yes")]
        reassemble: bool,
        /// Only greetings with (or without) an `encrypted_client_hello` extension.
        #[serde(default)]
        ech: Option<bool>,
        /// Only greetings whose cipher suites are exactly these (a client's fingerprint).
        #[serde(default)]
        cipher_suites: Vec<u16>,
        /// Only these destinations.
        #[serde(default)]
        addresses: Vec<IpAddr>,
        /// Server ports.
        #[serde(default = "https")]
        ports: Vec<u16>,
    },
    /// Unencrypted HTTP requests.
    Http {
        /// `Host` names.
        #[serde(default)]
        hosts: Vec<String>,
        /// Parts of the request target.
        #[serde(default)]
        paths: Vec<String>,
        /// Only these destinations.
        #[serde(default)]
        addresses: Vec<IpAddr>,
        /// Server ports.
        #[serde(default = "http")]
        ports: Vec<u16>,
    },
    /// QUIC Initials (decrypted, RFC 9001 section 5.2) by server name.
    Quic {
        /// Server names; with none, every Initial.
        #[serde(default)]
        names: Vec<String>,
        /// Server ports.
        #[serde(default = "https")]
        ports: Vec<u16>,
    },
    /// TCP connections in which the client sends this text.
    Text {
        /// The text.
        text: String,
        /// Server ports.
        #[serde(default)]
        ports: Vec<u16>,
    },
    /// `OpenVPN` by its opcode (UDP, and TCP with its length prefix).
    Openvpn,
    /// The server's answer to that alone, over UDP: its reset.
    OpenvpnResponse,
    /// What an `OpenVPN` client sends once it was answered: TLS in `P_CONTROL_V1`.
    OpenvpnControl,
    /// `WireGuard` by message type and size.
    Wireguard,
    /// The server's answer to that alone: type 2, 92 octets.
    WireguardResponse,
    /// What a client of `WireGuard` sends once it was answered: type 4.
    WireguardData,
    /// `IKEv2` by its header (UDP 500, and 4500 behind the non-ESP marker).
    Ikev2,
    /// The server's answer to that alone.
    Ikev2Response,
    /// First payloads that have these octets at this place: as filters know protocols that have no rule of their own here.
    Payload {
        /// The octets, two hexadecimal digits each.
        hex: Octets,
        /// How many octets come before them.
        #[serde(default)]
        at: usize,
        /// Only over this protocol.
        #[serde(default)]
        protocol: Option<Protocol>,
        /// Server ports.
        #[serde(default)]
        ports: Vec<u16>,
        /// It is about what servers send over UDP, and not about what clients do.
        #[serde(default)]
        answers: bool,
    },
    /// First payloads that look like noise: the rules of Wu et al. 2023, "How the Great Firewall of China Detects and
    /// Blocks Fully Encrypted Traffic".
    FullyEncrypted,
    /// Whatever is none of these protocols and goes to none of these destinations.
    NotAllowlisted {
        /// Protocols that pass.
        #[serde(default)]
        protocols: Vec<Known>,
        /// Destinations that pass.
        #[serde(default)]
        destinations: Vec<IpAddr>,
    },
}

/// Octets, written as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Octets(pub Vec<u8>);

impl TryFrom<String> for Octets {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pair = |at: usize| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let octets: Option<Vec<u8>> = (0..text.len()).step_by(2).map(pair).collect();
        let octets = octets.filter(|octets| !octets.is_empty()).map(Self);
        octets.ok_or_else(|| format!("{text:?} is no row of pairs of hexadecimal digits"))
    }
}

fn yes() -> bool {
    true
}

fn https() -> Vec<u16> {
    vec![443]
}

fn http() -> Vec<u16> {
    vec![80]
}

/// What becomes of the packets.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// They vanish, and with them the rest of the connection, both ways.
    Drop,
    /// They vanish; ends of the connection receive a reset.
    Reset {
        /// Which ends.
        #[serde(default)]
        to: Ends,
    },
    /// They vanish; the client receives a FIN and nothing after it.
    Close,
    /// They vanish; the client receives ICMP "unreachable".
    Unreachable {
        /// In which words.
        #[serde(default)]
        code: Unreachable,
    },
    /// A DNS answer to the query. With `on_path` it races the true one, without it replaces it.
    Dns {
        /// The addresses given (of the family asked for); with none, an empty answer.
        #[serde(default)]
        answers: Vec<IpAddr>,
        /// The response code.
        #[serde(default)]
        rcode: Rcode,
        /// How many forged answers: one for each address in turn.
        #[serde(default = "one_copy")]
        copies: u8,
        /// The name comes back in small letters, however it was asked for.
        #[serde(default)]
        lower_case: bool,
    },
    /// An HTTP response in place of the server's.
    Page {
        /// Status code.
        #[serde(default = "ok_status")]
        status: u16,
        /// The page.
        body: String,
    },
    /// An HTTP redirect in place of the server's answer.
    Redirect {
        /// Where to.
        location: String,
    },
    /// They go to another host of the world, and its answers come back as if from the one addressed (NAT).
    Divert {
        /// The other host.
        to: IpAddr,
        /// Another port, too.
        #[serde(default)]
        port: Option<u16>,
    },
    /// Throttling by policing: what exceeds the rate is dropped, in both directions apart.
    Police {
        /// Kilobits a second.
        rate_kbit: u64,
        /// Burst, kilobytes.
        #[serde(default = "small_burst")]
        burst_kb: u64,
    },
    /// Throttling by shaping: what exceeds the rate waits in a queue, in both directions apart.
    Shape {
        /// Kilobits a second.
        rate_kbit: u64,
        /// Length of the queue, kilobytes.
        #[serde(default = "small_queue")]
        queue_kb: u64,
    },
    /// Packets of the connection are late, and some are lost.
    Degrade {
        /// Milliseconds more, each way.
        delay_ms: u64,
        /// Share lost.
        loss: f64,
    },
    /// The connection goes on until so much was carried (both directions together), then everything is dropped.
    Freeze {
        /// After so many kilobytes.
        #[serde(default)]
        after_kb: Option<u64>,
        /// After so many packets.
        #[serde(default)]
        after_packets: Option<u64>,
    },
}

fn one_copy() -> u8 {
    1
}

fn ok_status() -> u16 {
    200
}

fn small_burst() -> u64 {
    16
}

fn small_queue() -> u64 {
    64
}

/// Which ends of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Ends {
    #[default]
    Both,
    Client,
    Server,
}

/// Codes of ICMP "destination unreachable" (RFC 792, RFC 1812 section 5.2.7.1; RFC 4443 section 3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unreachable {
    Network,
    #[default]
    Host,
    Port,
    Prohibited,
}

/// DNS response codes (RFC 1035 section 4.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rcode {
    #[default]
    Noerror,
    Servfail,
    Nxdomain,
    Refused,
}
