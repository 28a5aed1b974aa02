//! QUIC at the public resolvers' addresses (UDP port 443), by ngtcp2's server: what the probe holds a silent target against. DNS over
//! HTTP/3 is not served, only handshakes and the negotiation of versions.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;

use super::{Daemon, Endpoint};
use crate::certificates::Identity;
use crate::netns::Namespace;

/// The port of HTTP/3.
const PORT: u16 = 443;

/// Starts a server at an address; its files are in `folder`.
pub fn start(namespace: &Namespace, address: IpAddr, folder: &Path, identity: &Identity) -> Result<Daemon> {
    std::fs::create_dir_all(folder)?;
    let mut command = namespace.command("gtlsserver");
    command.args(["--quiet", "--htdocs"]).arg(folder).arg(address.to_string()).arg(PORT.to_string());
    command.arg(&identity.key).arg(&identity.certificate);
    Daemon::start(namespace, command, folder, vec![Endpoint::Udp(PORT)])
}
