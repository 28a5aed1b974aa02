//! Which experiments would settle what a hop's observations left open: pure functions. `measure` makes them.
//!
//! Some are wanted as soon as a hop is done (`wanted`), others once everybody has answered who was asked (`at_last`).

mod answer;
mod anywhere;
mod at_last;
mod budget;
mod early;
mod http3;
mod hypothesis;
mod negotiation;
mod planner;
mod questions;
#[cfg(test)]
mod rows;
mod slow;
mod trial;
mod tunnel;

use std::net::{IpAddr, SocketAddr};

use faultline_record::{Family, Observation};

pub use answer::Answer;
pub(crate) use answer::is_answered;
pub use at_last::at_last;
pub(crate) use at_last::over_tls;
pub(crate) use budget::is_follow_up;
pub use budget::{Budget, Cost, Purse};
pub use early::wanted;
pub use hypothesis::{Beliefs, Hypothesis};
pub use planner::{Next, Planner};
pub use questions::{other_transports, questions_on_the_name, untried_addresses};
pub(crate) use trial::ROUNDS;
pub use trial::{Aim, Trial};

/// Which experiments are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FollowUps {
    /// None.
    None,
    /// All but those that have to be asked for.
    #[default]
    Usual,
    /// Also where on the path somebody answers (`--locate`).
    Located,
}

impl FollowUps {
    /// Whether any are made.
    pub fn are_made(self) -> bool {
        self != Self::None
    }

    /// Whether places are looked for.
    pub fn locate(self) -> bool {
        self == Self::Located
    }
}

/// An experiment that would settle a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Experiment {
    /// Is it the name or the address? Handshakes with the same address for an innocent name and for the target's own,
    /// in turns, each over a fresh connection.
    SniDifferential {
        /// Where the handshake failed.
        address: SocketAddr,
        /// The name it failed for.
        own: String,
    },
    /// Was a lost packet the cause? One more TCP connection.
    TcpRetry {
        /// Where the connection failed.
        address: SocketAddr,
    },
    /// Is it the host that the request names? Plain requests to the same address for an innocent host and for the
    /// target's own, in turns.
    HostDifferential {
        /// Where the request failed.
        address: SocketAddr,
    },
    /// Is the host acted on at any address? Plain requests for it and for a host that nobody has, in turns, at a server that has
    /// nothing to do with the target.
    HostAnywhere {
        /// The family in which the target's host was never answered.
        family: Family,
    },
    /// Does whoever shows a certificate of nobody's make one for any name? A handshake for an innocent one.
    ForgedCertificate {
        /// Where the certificate was shown.
        address: SocketAddr,
    },
    /// Is the page in the clear the site's own? The same over TLS, at the first of these that proves itself.
    HttpsCopy {
        /// Where to ask, in order.
        addresses: Vec<IpAddr>,
    },
    /// Was the answer made for this name? The system's resolver is asked for a name that cannot exist.
    RandomName,
    /// Does the address pass on whatever it is asked for? What only unrelated operators can answer is asked there.
    ProxyCheck {
        /// An address that only the system's resolver gave.
        address: SocketAddr,
    },
    /// Is it the name that makes it slow? Whole requests at the same address, over TLS that names an innocent host and
    /// over TLS that names the target, in turns.
    SlowName {
        /// Where it was slow.
        address: SocketAddr,
        /// The name it was slow for.
        own: String,
    },
    /// Is it the lack of encryption that makes it slow? Whole requests at the same address, over TLS and in the clear, in
    /// turns.
    SlowPlain {
        /// Where it was slow.
        address: SocketAddr,
    },
    /// Does somebody on the way answer in a resolver's place? The name is asked of a host that is none.
    NoResolver {
        /// The target's own, at an address that was proven.
        address: IpAddr,
    },
    /// Where on the path is a handshake cut off, and where is the server? Handshakes that are sent only so many routers far.
    Locate {
        /// Where the target's name was cut off and an innocent one was not.
        address: SocketAddr,
        /// The name.
        own: String,
    },
    /// Is it how the name is sent? The target's own handshake with the name cut over segments, over records, and left out.
    OtherHellos {
        /// Where the target's name failed and an innocent one did not.
        address: SocketAddr,
        /// The name it failed for.
        own: String,
    },
    /// Is it the protocol, the server or the host? The first message again and in disguise, in turns, and another port.
    Tunnel {
        /// Where the server did not answer.
        address: SocketAddr,
    },
    /// Was the server cut off for having been asked for a tunnel? After a quiet time something else is tried there, then the message
    /// itself, then the other again.
    TunnelResidual {
        /// Where everything fails since the first try.
        address: SocketAddr,
    },
    /// Is it how the first message looks? The message itself and printable characters in its place, in turns, over TCP.
    TunnelLooks {
        /// Where it failed, and not each time.
        address: SocketAddr,
    },
    /// Is it the name, over QUIC? Handshakes with the same address for an innocent name and for the target's own, in turns.
    QuicDifferential {
        /// Where the handshake failed.
        address: SocketAddr,
        /// The name it failed for.
        own: String,
    },
    /// Does a server of QUIC live there, whatever name it is asked for, and does UDP pass here at all? Versions are asked of the
    /// same address, and where nothing comes, of unrelated operators.
    VersionNegotiation {
        /// Where QUIC failed.
        address: SocketAddr,
    },
    /// Is the page there over HTTP/3 as well, as the site says? Only made where it is asked for.
    Http3Copy {
        /// Where HTTP/3 is offered.
        address: SocketAddr,
    },
    /// Does the host live? The same name at the same address over TCP and TLS.
    TcpCopy {
        /// Where QUIC failed.
        address: SocketAddr,
        /// The name it failed for.
        own: String,
    },
    /// Does the name fail where its own server has no say? Handshakes with a host that has nothing to do with the target, for
    /// its own name and for the target's, in turns.
    Elsewhere {
        /// Where the target's name failed.
        beside: SocketAddr,
        /// The name.
        own: String,
    },
    /// In which forms is the name known? The target's own handshake with other letters, with a longer name, and in TLS 1.2.
    OtherForms {
        /// Where the target's name failed and an innocent one did not.
        address: SocketAddr,
        /// The name it failed for.
        own: String,
    },
    /// Is the name answered when it is encrypted (ECH)? Where its HTTPS record gives the keys.
    Encrypted {
        /// Where the target's name failed and an innocent one did not.
        address: SocketAddr,
        /// The name it failed for.
        own: String,
    },
    /// Does the host live? A connection to it at the other port of the web.
    OtherPort {
        /// Where no connection was made.
        address: SocketAddr,
    },
    /// Was the address cut off for having been asked for the name? After a quiet time an innocent name is tried there, then the
    /// target's own, then the innocent one again.
    Residual {
        /// Where everything fails since the first try.
        address: SocketAddr,
    },
    /// Is it the resolver that lies, or somebody on the way to it? The name is asked of the same resolvers over TCP and TLS.
    OtherTransport {
        /// The name.
        name: String,
        /// Whether the system's resolver is asked.
        system: bool,
        /// Public resolvers, by their stable names.
        resolvers: Vec<String>,
    },
    /// Who holds the name's certificate? A handshake with each address that a resolver gave and that nobody has tried.
    AddressCheck {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// Is it the name or the resolver? Questions to the system's resolver for the name and for an unrelated one, in turns.
    NameQuestions {
        /// The name.
        name: String,
        /// Whether the resolver was silent; else its answer is in dispute.
        is_silent: bool,
    },
    /// Is a question cut off over TCP for the name that it asks for? Questions to the same resolver for the name and for an
    /// unrelated one, in turns, each over a connection of its own.
    TcpQuestions {
        /// The name.
        name: String,
        /// The resolver, by its stable name.
        resolver: String,
    },
    /// Do long packets vanish on the way? The same once more, in small segments.
    SmallSegments {
        /// Where a response began and did not end.
        address: SocketAddr,
    },
}

impl Experiment {
    /// Whether both are of one kind: of each kind a measurement makes those of one hop only.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// The family of the address that it is about; `None` where it is about a name.
    pub fn family(&self) -> Option<Family> {
        match self {
            Self::SniDifferential { address, .. }
            | Self::TcpRetry { address }
            | Self::HostDifferential { address }
            | Self::ForgedCertificate { address }
            | Self::ProxyCheck { address }
            | Self::SlowName { address, .. }
            | Self::SlowPlain { address }
            | Self::Locate { address, .. }
            | Self::OtherHellos { address, .. }
            | Self::Tunnel { address }
            | Self::TunnelResidual { address }
            | Self::TunnelLooks { address }
            | Self::QuicDifferential { address, .. }
            | Self::TcpCopy { address, .. }
            | Self::VersionNegotiation { address }
            | Self::Http3Copy { address }
            | Self::Elsewhere { beside: address, .. }
            | Self::OtherForms { address, .. }
            | Self::Encrypted { address, .. }
            | Self::OtherPort { address }
            | Self::Residual { address }
            | Self::SmallSegments { address } => Some(Family::of(address.ip())),
            Self::NoResolver { address } => Some(Family::of(*address)),
            Self::HostAnywhere { family } => Some(*family),
            Self::HttpsCopy { .. }
            | Self::RandomName
            | Self::OtherTransport { .. }
            | Self::AddressCheck { .. }
            | Self::NameQuestions { .. }
            | Self::TcpQuestions { .. } => None,
        }
    }
}

fn address(row: &Observation) -> Option<SocketAddr> {
    Some(SocketAddr::new(row.address?, row.port?))
}
