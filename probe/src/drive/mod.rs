//! The drivers: the only place in the probe that opens sockets. One module a protocol; each does one step, with one
//! deadline, and says what it saw. Nothing here decides what to do next (that is `measure`) or what it means.

use std::net::IpAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use url::Url;

use crate::limits::Limits;
use crate::meter::Meter;
use crate::pace::Pace;

/// A public resolver that the system's is held against.
#[derive(Clone, Debug)]
pub struct PublicResolver {
    /// Its stable name, as in `resolver/quad9`.
    pub name: String,
    /// Its literal addresses: for UDP, and for reaching its DoH service without asking anybody.
    pub udp: Vec<IpAddr>,
    /// Its DoH service (RFC 8484).
    pub doh: Url,
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
    /// Deadlines and caps.
    pub limits: Limits,
    /// Whether follow-ups are made.
    pub follow_up: bool,
    /// Whether the vantage has an IPv6 route.
    pub ipv6: bool,
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
    meter: Arc<Meter>,
}

impl Drive {
    /// Builds what is expensive once: roots, TLS configurations, resolvers.
    pub fn new(config: DriveConfig, pace: Arc<Pace>, meter: Arc<Meter>) -> Result<Self, DriveError> {
        Ok(Self { shared: Arc::new(Shared { config, pace, meter }) })
    }

    /// What it was built from.
    pub fn config(&self) -> &DriveConfig {
        &self.shared.config
    }

    /// The pace of new connections.
    pub fn pace(&self) -> &Pace {
        &self.shared.pace
    }

    /// What has been sent and received so far.
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }
}
