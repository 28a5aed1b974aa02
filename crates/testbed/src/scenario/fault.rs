//! What is broken without anybody's intent.

use std::net::IpAddr;

use serde::Deserialize;

use super::When;

/// A fault, and when and for whom it holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, and for whom.
    #[serde(default)]
    pub when: When,
    /// What is broken.
    pub broken: Broken,
}

/// The kinds of fault.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Broken {
    /// The client has no link: no interface is up.
    LinkDown,
    /// A link and an address, and no route (a DHCP server that gave none).
    NoRoute,
    /// The gateway is silent, and so is all behind it.
    GatewayDown,
    /// The ISP's resolver is silent for every name.
    ResolverDead,
    /// The ISP's resolver answers so much later.
    ResolverSlow {
        /// Milliseconds.
        delay_ms: u64,
    },
    /// The ISP's resolver has more to do than it can: a share of all questions, over UDP and TCP, is left unanswered.
    ResolverOverloaded {
        /// Share lost.
        share: f64,
    },
    /// The authorities of some names do not answer the ISP's resolver, which goes on searching.
    AuthoritySilent {
        /// The names, and all below them.
        names: Vec<String>,
    },
    /// A portal wants a login: DNS works, plain HTTP ends at the portal, the rest is dropped.
    CaptivePortal,
    /// The ISP has lost its way to everything but its own servers. Its resolver answers out of its cache.
    UpstreamDead,
    /// Nothing abroad can be reached; servers in the country can.
    AbroadDead {
        /// Addresses that answer all the same, from copies in the country (anycast).
        #[serde(default)]
        copies: Vec<IpAddr>,
    },
    /// A cable is cut: packets to and from abroad take another way.
    CableCut {
        /// Milliseconds more, each way.
        delay_ms: u64,
        /// Share lost.
        loss: f64,
        /// Kilobits a second for all of it.
        rate_kbit: u64,
    },
    /// These addresses do not answer: the host, one of several, or an edge of a content network is gone.
    AddressDead {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// These hosts refuse connections.
    AddressRefuses {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// The client's router forgets flows beyond so many: packets of further ones vanish.
    NatExhausted {
        /// Flows that it can remember.
        flows: usize,
    },
    /// No datagram leaves the client's network, or comes back, but to and from the ISP's own servers: a firewall that knows TCP only.
    UdpDead,
    /// A host that answers new flows to a port at a rate and no faster: the first packets of others vanish.
    FewAnswered {
        /// The host.
        address: IpAddr,
        /// The port.
        port: u16,
        /// Milliseconds between two that are answered.
        every_ms: u64,
    },
    /// Packets longer than this vanish on the way abroad, without a word.
    MtuBlackHole {
        /// Bytes.
        bytes: usize,
    },
    /// The client has an IPv6 address and a route, and nothing over IPv6 arrives.
    BrokenIpv6,
    /// Packets are lost on the client's line.
    Loss {
        /// Share lost, each way.
        share: f64,
    },
    /// The client's clock is wrong.
    ClockWrong {
        /// Seconds ahead (behind, if negative).
        seconds: i64,
    },
}
