//! Network address translation towards another host: the client's packets go there, and that host's answers look as if
//! they came from where the client sent them (RFC 3022, "destination" NAT).

use std::collections::HashMap;
use std::net::SocketAddr;

use super::packet::{Packet, Transport};

/// Flows that are remembered at once; beyond that all are forgotten.
const MEMORY: usize = 65_536;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    tcp: bool,
    client: SocketAddr,
    server: SocketAddr,
}

/// The flows that were diverted.
#[derive(Debug, Default)]
pub struct Diversions {
    original: HashMap<Key, SocketAddr>,
}

/// Source and destination of a packet, and whether it is TCP.
fn ends(packet: &Packet<'_>) -> Option<(SocketAddr, SocketAddr, bool)> {
    let (source, destination, tcp) = match packet.transport {
        Transport::Tcp(segment) => (segment.source, segment.destination, true),
        Transport::Udp { source, destination, .. } => (source, destination, false),
        Transport::Echo(..) | Transport::Other => return None,
    };
    Some((SocketAddr::new(packet.source, source), SocketAddr::new(packet.destination, destination), tcp))
}

impl Diversions {
    /// Remembers that this packet of a client goes to another server.
    pub fn remember(&mut self, packet: &Packet<'_>, server: SocketAddr) {
        let Some((client, original, tcp)) = ends(packet) else { return };
        if self.original.len() >= MEMORY {
            self.original.clear();
        }
        self.original.insert(Key { tcp, client, server }, original);
    }

    /// Where the packet is to look as if it came from, if it is the answer to one that was diverted.
    pub fn original(&self, packet: &Packet<'_>) -> Option<SocketAddr> {
        if self.original.is_empty() {
            return None;
        }
        let (server, client, tcp) = ends(packet)?;
        self.original.get(&Key { tcp, client, server }).copied()
    }
}
