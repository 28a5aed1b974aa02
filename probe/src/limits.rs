//! Limits of a measurement: fixed before anything is sent.

use std::time::Duration;

/// Deadlines and caps. The defaults are the project's (issue and design): DNS 4 s, TCP 10 s, TLS 10 s, HTTP 15 s, a
/// target 60 s; 256 KiB of a body; ten redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One question to a resolver.
    pub dns: Duration,
    /// How long to listen on after the first UDP reply: forged answers race the true one, which comes a round trip later.
    pub late_dns: Duration,
    /// One TCP connection.
    pub tcp: Duration,
    /// One TLS handshake.
    pub tls: Duration,
    /// One TLS handshake of a follow-up, after the main one has failed.
    pub follow_up_tls: Duration,
    /// Data through a tunnel whose handshake was answered: servers of WireGuard's say something at the latest ten seconds after
    /// data came (Donenfeld, section 6.5).
    pub tunnel_data: Duration,
    /// One request and its response.
    pub http: Duration,
    /// One target, redirects and follow-ups included.
    pub target: Duration,
    /// Bytes of a body that are kept and read.
    pub body: usize,
    /// Redirects followed.
    pub redirects: u16,
    /// Addresses tested side by side, per family.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dns: Duration::from_secs(4),
            late_dns: Duration::from_millis(500),
            tcp: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            follow_up_tls: Duration::from_secs(4),
            tunnel_data: Duration::from_secs(13),
            http: Duration::from_secs(15),
            target: Duration::from_mins(1),
            body: 256 * 1024,
            redirects: 10,
            addresses: 4,
        }
    }
}
