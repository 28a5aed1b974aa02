//! The drivers: the only place in the probe that opens sockets. One module a protocol; each does one step, with one
//! deadline, and says what it saw. Nothing here decides what to do next (that is `measure`) or what it means.

mod arrivals;
mod bounded;
mod datagram;
mod dialogue;
mod dns;
mod doh;
mod errno;
#[cfg(fuzzing)]
pub mod fuzz;
mod http;
mod http3;
mod negotiation;
mod openvpn;
mod openvpn_control;
mod openvpn_data;
mod openvpn_talk;
mod proxy;
mod quic;
mod runtime;
mod scrub;
mod stream;
mod system;
mod tap;
mod tcp;
mod tls;
mod udp;
mod vpn;
mod way;
mod wireguard;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use faultline_record::Outcome;
use rustls_pki_types::CertificateDer;
use url::Url;

use crate::follow_up::FollowUps;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::pace::{Manners, Pace};
use crate::vpn_keys::VpnKeys;

pub use dialogue::Partner;
pub use dns::{Answered, Question};
pub use faultline_record::is_bogon;
pub use http::{Channel, Fetch};
pub use openvpn_talk::Known;
pub use quic::{QuicChannel, QuicHandshake};
pub use scrub::{SCRUBBED, Scrubber};
pub use stream::By as DnsBy;
pub use system::SYSTEM;
pub use tap::{Passed, Tap, Tapped};
pub use tcp::Admission;
pub use tls::{Alpn, Handshake, Hello, tls_fingerprint};
pub(crate) use vpn::CUT;
pub use vpn::{Exchange, FirstMessage, Shape};
pub use wireguard::{Patience, Peer};

/// A public resolver that the system's is held against.
#[derive(Clone, Debug)]
pub struct PublicResolver {
    /// Its stable name, as in `resolver/quad9`.
    pub name: String,
    /// Its literal addresses: for UDP, and for reaching its DoH service without asking anybody.
    pub udp: Vec<IpAddr>,
    /// Its DoH service (RFC 8484).
    pub doh: Url,
    /// Its DNS over TLS (RFC 7858): the name that its certificate must be for, and the port. `None` where it has none.
    pub dot: Option<(String, u16)>,
}

/// What only operators that have nothing to do with the target, nor with each other, can answer.
#[derive(Clone, Debug, Default)]
pub struct Strangers {
    /// Names with a certificate.
    pub names: Vec<String>,
    /// Plain pages with a known answer.
    pub pages: Vec<KnownPage>,
    /// Resolvers, the addresses of each, that answer DNS at UDP port 53 and QUIC at UDP port 443.
    pub quic: Vec<Vec<IpAddr>>,
}

/// A page whose answer is known in advance.
#[derive(Clone, Debug)]
pub struct KnownPage {
    /// Plain HTTP.
    pub url: Url,
    /// The status it answers with.
    pub status: u16,
    /// The body it answers with.
    pub body: String,
}

/// What the drivers need to know, fixed for a run.
#[derive(Clone, Debug)]
pub struct DriveConfig {
    /// Roots in addition to our own (`--ca-file`).
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Public resolvers, in the order of preference.
    pub resolvers: Vec<PublicResolver>,
    /// DoH services named by the user (`--doh`), asked in addition.
    pub doh: Vec<Url>,
    /// The name of no interest that follow-ups offer as SNI.
    pub innocent_sni: String,
    /// What a proxy in the target's place is known by.
    pub strangers: Strangers,
    /// Deadlines and caps.
    pub limits: Limits,
    /// Which follow-ups are made.
    pub follow_up: FollowUps,
    /// Whether sites that offer HTTP/3 are asked for the same over it.
    pub http3: bool,
    /// Whether the vantage has an IPv6 route.
    pub ipv6: bool,
    /// Keys of tunnels (`--vpn-keys`).
    pub vpn_keys: Arc<VpnKeys>,
}

/// Why the drivers cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// TLS cannot be set up.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A certificate given by the user is no root.
    #[error("failed to use certificate {index} of the CA file as a root: {reason}")]
    Root {
        /// Which one, from 1.
        index: usize,
        /// The parser's word.
        reason: String,
    },
}

/// The drivers, ready to use. Clones share everything.
#[derive(Clone, Debug)]
pub struct Drive {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: DriveConfig,
    pace: Arc<Pace>,
    manners: Manners,
    meter: Arc<Meter>,
    tls: tls::TlsSetup,
    runtime: runtime::Metered,
    system: system::System,
    doh: doh::Services,
    stamps: wireguard::Stamps,
    /// Whether this machine's clock was found to be wrong.
    clock_is_wrong: AtomicBool,
    /// 53; a test's resolver listens elsewhere.
    dns_port: u16,
    /// Whether addresses that cannot be public are dialled whatever the target; for tests on one machine.
    dials_bogons: bool,
}

/// Why and how a step did not succeed.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The outcome of the step.
    pub outcome: Outcome,
    /// Words for a reader; never counted.
    pub detail: Option<String>,
}

impl Fault {
    fn new(outcome: Outcome, words: impl fmt::Display) -> Self {
        Self { outcome, detail: Some(words.to_string()) }
    }

    /// The same, of words that a peer may have put: every global address is taken out, for it may be the vantage's own.
    fn said(outcome: Outcome, words: impl fmt::Display) -> Self {
        Self::new(outcome, Scrubber::default().header("", words.to_string().as_bytes()))
    }
}

/// What of the machine the drivers use.
#[derive(Clone, Debug)]
struct Surroundings {
    system: system::Source,
    dns_port: u16,
    dials_bogons: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { system: system::Source::File("/etc/resolv.conf".into()), dns_port: 53, dials_bogons: false }
    }
}

impl Drive {
    /// Builds what is expensive once: roots, TLS configurations, resolvers.
    pub fn new(config: DriveConfig, pace: Arc<Pace>, meter: Arc<Meter>) -> Result<Self, DriveError> {
        Self::within(Surroundings::default(), config, pace, meter)
    }

    fn within(
        surroundings: Surroundings,
        config: DriveConfig,
        pace: Arc<Pace>,
        meter: Arc<Meter>,
    ) -> Result<Self, DriveError> {
        let tls = tls::TlsSetup::new(&config.extra_roots)?;
        let runtime = runtime::Metered::new(Arc::clone(&pace), Arc::clone(&meter), config.limits.dns);
        let system = system::System::new(surroundings.system, tls.strict(), runtime.clone(), config.limits.dns);
        let doh = doh::Services::new(&config);
        let Surroundings { dns_port, dials_bogons, .. } = surroundings;
        let (stamps, clock_is_wrong) = (wireguard::Stamps::default(), AtomicBool::default());
        let shared = Shared {
            config,
            pace,
            manners: Manners::default(),
            meter,
            tls,
            runtime,
            system,
            doh,
            stamps,
            clock_is_wrong,
            dns_port,
            dials_bogons,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Drivers for tests on one machine: the system's resolver and the port of all others are given, and loopback
    /// addresses are dialled.
    #[cfg(test)]
    pub(crate) fn on_loopback(
        config: DriveConfig,
        system: Vec<std::net::SocketAddr>,
        dns_port: u16,
        dials_bogons: bool,
    ) -> Self {
        let surroundings = Surroundings { system: system::Source::Fixed(system), dns_port, dials_bogons };
        Self::within(surroundings, config, Arc::new(Pace::new(None)), Arc::default()).unwrap()
    }

    /// Whether addresses that cannot be public are dialled whatever the target.
    pub(crate) fn dials_bogons(&self) -> bool {
        self.shared.dials_bogons
    }

    /// This machine's clock is wrong: no message is dated by it from now on.
    pub fn distrust_clock(&self) {
        self.shared.clock_is_wrong.store(true, Ordering::Relaxed);
    }

    /// Whether messages may be dated by this machine's clock.
    pub(crate) fn trusts_clock(&self) -> bool {
        !self.shared.clock_is_wrong.load(Ordering::Relaxed)
    }

    fn tls(&self) -> &tls::TlsSetup {
        &self.shared.tls
    }

    fn stamps(&self) -> &wireguard::Stamps {
        &self.shared.stamps
    }

    /// What it was built from.
    pub fn config(&self) -> &DriveConfig {
        &self.shared.config
    }

    /// The pace of new connections.
    pub fn pace(&self) -> &Pace {
        &self.shared.pace
    }

    /// The rest that tunnels' servers are given.
    pub fn manners(&self) -> &Manners {
        &self.shared.manners
    }

    /// What has been sent and received so far.
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }
}

/// A unit test that reaches for another machine is wrong, whatever it shows; the probe itself may go anywhere.
fn stays_here(address: IpAddr) {
    assert!(!cfg!(test) || address.is_loopback(), "a test reached for {address}");
}
