//! Questions over a stream: DNS over TCP (RFC 7766) and over TLS (RFC 7858), by hickory. Each question has a connection of
//! its own: what an observer of the name does to one, the next shall not inherit.
//!
//! Over TLS the resolver's chain must verify against our own roots (and the user's), as for DoH; so whatever comes is the
//! resolver's own word. A reply has an RCODE; where a row has none, the way to the resolver failed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use faultline_record::Engine;
use hickory_resolver::config::ConnectionConfig;
use tokio::time::Instant;

use super::Drive;
use super::dns::{Answered, Question, replied};
use super::way::Way;

/// What carries a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// TCP.
    Tcp,
    /// TLS, by a certificate for this name.
    Tls {
        /// The name.
        name: String,
        /// The port; 853 by RFC 7858, section 3.1.
        port: u16,
    },
}

impl By {
    /// How the row says it.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Tcp => Engine::Tcp,
            Self::Tls { .. } => Engine::Dot,
        }
    }
}

impl Drive {
    /// Asks a resolver at an address over a connection of its own; at the port for DNS, unless TLS has another.
    pub async fn ask_by(&self, by: &By, question: &Question, resolver: &str, address: IpAddr) -> Answered {
        self.ask_stream(by, question, resolver, SocketAddr::new(address, self.shared.dns_port)).await
    }

    /// Asks the first of the system's resolvers over TCP; `None` where there is none.
    pub fn ask_system_by_tcp(&self, question: &Question) -> Option<impl Future<Output = Answered>> {
        let server = self.system_server()?;
        Some(async move { self.ask_stream(&By::Tcp, question, super::SYSTEM, server).await })
    }

    async fn ask_stream(&self, by: &By, question: &Question, resolver: &str, server: SocketAddr) -> Answered {
        super::stays_here(server.ip());
        let mut seen = question.unanswered(by.engine(), resolver);
        let limit = self.config().limits.dns;
        let mut connection = match by {
            By::Tcp => ConnectionConfig::tcp(),
            By::Tls { name, .. } => ConnectionConfig::tls(Arc::from(name.as_str())),
        };
        connection.port = match by {
            By::Tcp => server.port(),
            By::Tls { port, .. } => *port,
        };
        let at = Some(SocketAddr::new(server.ip(), connection.port));
        let way = Way::new(server.ip(), connection, limit, self.shared.tls.strict(), self.shared.runtime.clone());
        let query = match question.query() {
            Ok(query) => query,
            Err(fault) => return Answered { outcome: fault.outcome, detail: fault.detail, seen, server: at },
        };
        let asked = Instant::now();
        let result = way.ask(&query, question.options(), limit).await;
        let after_ms = u32::try_from(asked.elapsed().as_millis()).unwrap_or(u32::MAX);
        let (outcome, detail) = replied(&mut seen, &query, result.as_deref(), after_ms);
        Answered { outcome, detail, seen, server: at }
    }
}
