//! The system's resolver configuration, asked as an application's stub resolver would ask it.
//!
//! - Servers are asked in the order of the file, the next only after silence, an I/O error, SERVFAIL or REFUSED, as
//!   glibc does it; asking several at once would let a distant one hide what the provider's says. The deadline is shared
//!   out among them. One attempt a server; within it a lost datagram is sent again.
//! - The hosts file is not read: an entry there would stand in for the network's answer. Names are fully qualified, so
//!   search lists do nothing. There is no cache: every measurement asks anew.
//! - The file is read again when it has changed, so that a network that comes or goes during a run is noticed. Without
//!   a server in it nothing can be asked: `not_run: no_network`, and the reason is said.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use faultline_record::{Engine, Failure, NotRun, Outcome};
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use tokio::time::Instant;

use super::Drive;
use super::dns::{Answered, Question, resolved};
use super::runtime::Metered;

/// The name of the system's resolver in rows.
pub const SYSTEM: &str = "system";
/// Servers asked at most, as glibc's `MAXNS`.
const SERVERS: usize = 3;

/// Where the system's servers come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// `resolv.conf`.
    File(PathBuf),
    /// These.
    #[cfg(test)]
    Fixed(Vec<SocketAddr>),
}

/// One resolver a server, in order; or why there is none.
type Servers = Result<Arc<[Resolver<Metered>]>, Arc<str>>;

/// The system's servers as last read.
pub(super) struct System {
    source: Source,
    provider: Metered,
    deadline: Duration,
    read: Mutex<Option<(Option<SystemTime>, Servers)>>,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("source", &self.source).finish_non_exhaustive()
    }
}

impl System {
    pub(super) fn new(source: Source, provider: Metered, deadline: Duration) -> Self {
        Self { source, provider, deadline, read: Mutex::new(None) }
    }

    fn servers(&self) -> Servers {
        let changed = match &self.source {
            Source::File(path) => std::fs::metadata(path).and_then(|meta| meta.modified()).ok(),
            #[cfg(test)]
            Source::Fixed(_) => None,
        };
        // The value is replaced whole: a panic elsewhere cannot have torn it.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((at, servers)) if *at == changed => servers.clone(),
            _ => read.insert((changed, self.read())).1.clone(),
        }
    }

    fn read(&self) -> Servers {
        let addresses: Vec<SocketAddr> = match &self.source {
            Source::File(path) => {
                let said = |error: &dyn fmt::Display| Arc::from(format!("{}: {error}", path.display()));
                let text = std::fs::read(path).map_err(|error| said(&error))?;
                let (config, _) =
                    hickory_resolver::system_conf::parse_resolv_conf(text).map_err(|error| said(&error))?;
                config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect()
            }
            #[cfg(test)]
            Source::Fixed(addresses) => addresses.clone(),
        };
        let addresses: Vec<SocketAddr> = addresses.into_iter().take(SERVERS).collect();
        let share = self.deadline / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        addresses.into_iter().map(|address| resolver(address, share, self.provider.clone())).collect()
    }
}

fn resolver(address: SocketAddr, limit: Duration, provider: Metered) -> Result<Resolver<Metered>, Arc<str>> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.into());
    build(vec![server], limit, provider, None).map_err(|error| Arc::from(error.to_string()))
}

/// A resolver of hickory's without anything that would stand between question and answer.
pub(super) fn build(
    servers: Vec<NameServerConfig>,
    limit: Duration,
    provider: Metered,
    tls: Option<rustls::ClientConfig>,
) -> Result<Resolver<Metered>, hickory_resolver::net::NetError> {
    let mut builder = Resolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider);
    if let Some(tls) = tls {
        builder = builder.with_tls_config(tls);
    }
    *builder.options_mut() = options(limit);
    builder.build()
}

fn options(limit: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = limit;
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = hickory_resolver::config::ServerOrderingStrategy::UserProvidedOrder;
    options.edns_payload_len = 1232;
    options
}

impl Drive {
    /// Why the system's resolver cannot be asked, if so: the file is missing, or names no server.
    pub fn no_system_resolver(&self) -> Option<String> {
        self.shared.system.servers().err().map(|why| why.to_string())
    }

    /// Asks the system's resolver.
    pub async fn ask_system(&self, question: &Question) -> Answered {
        let mut seen = question.unanswered(Engine::System, SYSTEM);
        let end = |outcome, detail, seen| Answered { outcome, detail, seen, server: None };
        let servers = match self.shared.system.servers() {
            Ok(servers) => servers,
            Err(why) => return end(Outcome::NotRun(NotRun::NoNetwork), Some(why.to_string()), seen),
        };
        let name = match question.name() {
            Ok(name) => name,
            Err(fault) => return end(fault.outcome, fault.detail, seen),
        };
        let mut last = (Outcome::NotRun(NotRun::NoNetwork), None);
        let mut notes = Vec::new();
        let asked = Instant::now();
        for (index, server) in servers.iter().enumerate() {
            let result = server.lookup(name.clone(), question.record_type()).await;
            let after_ms = u32::try_from(asked.elapsed().as_millis()).unwrap_or(u32::MAX);
            last = resolved(&mut seen, result.as_ref().map(|lookup| lookup.message()), after_ms);
            if !next_is_asked(last.0) {
                break;
            }
            notes.push(format!("server {} of {}: {}", index + 1, servers.len(), words(&last)));
        }
        let detail = if servers.len() > 1 && !notes.is_empty() { Some(notes.join("; ")) } else { last.1 };
        end(last.0, detail, seen)
    }
}

/// Whether a stub resolver goes on to the next server after this.
fn next_is_asked(outcome: Outcome) -> bool {
    !matches!(
        outcome,
        Outcome::Ok | Outcome::Failed(Failure::DnsNxdomainError | Failure::DnsNoAnswer) | Outcome::NotRun(_)
    )
}

fn words((outcome, detail): &(Outcome, Option<String>)) -> String {
    match (outcome.failure(), detail) {
        (_, Some(detail)) => detail.clone(),
        (Some(failure), None) => failure.to_string(),
        (None, None) => String::new(),
    }
}
