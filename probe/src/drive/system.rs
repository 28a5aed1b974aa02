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
use hickory_proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::system_conf::parse_resolv_conf;
use rustls::ClientConfig;
use tokio::time::Instant;

use super::Drive;
use super::dns::{Answered, Question, replied};
use super::runtime::Metered;
use super::way::Way;

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

/// A server, by UDP and, where a reply does not fit, by TCP.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    udp: Way,
    tcp: Way,
}

/// The servers in order; or why there is none.
type Servers = Result<Arc<[Server]>, Arc<str>>;

/// The system's servers as last read, with the file's time of change then.
#[derive(Debug)]
pub(super) struct System {
    source: Source,
    tls: ClientConfig,
    provider: Metered,
    deadline: Duration,
    read: Mutex<Option<(Option<SystemTime>, Servers)>>,
}

impl System {
    pub(super) fn new(source: Source, tls: ClientConfig, provider: Metered, deadline: Duration) -> Self {
        Self { source, tls, provider, deadline, read: Mutex::new(None) }
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
        let addresses = self.addresses()?;
        if addresses.is_empty() {
            return Err("no resolver is configured".into());
        }
        let servers = addresses.into_iter().take(SERVERS).map(|address| {
            let way = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                Way::new(address.ip(), connection, self.deadline, self.tls.clone(), self.provider.clone())
            };
            Server { address, udp: way(ConnectionConfig::udp()), tcp: way(ConnectionConfig::tcp()) }
        });
        Ok(servers.collect())
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, Arc<str>> {
        match &self.source {
            Source::File(path) => {
                let said = |error: &dyn fmt::Display| Arc::from(format!("{}: {error}", path.display()));
                let text = std::fs::read(path).map_err(|error| said(&error))?;
                let (config, _) = parse_resolv_conf(text).map_err(|error| said(&error))?;
                Ok(config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect())
            }
            #[cfg(test)]
            Source::Fixed(addresses) => Ok(addresses.clone()),
        }
    }
}

impl Server {
    /// Asks by UDP; a truncated reply is asked for again by TCP, and is what there is if that fails.
    async fn ask(&self, query: &Query, options: DnsRequestOptions, limit: Duration) -> Result<DnsResponse, NetError> {
        let asked = Instant::now();
        let reply = self.udp.ask(query, options, limit).await?;
        if !reply.metadata.truncation {
            return Ok(reply);
        }
        Ok(self.tcp.ask(query, options, limit.saturating_sub(asked.elapsed())).await.unwrap_or(reply))
    }
}

impl Drive {
    /// Why the system's resolver cannot be asked, if so: the file is missing, or names no server.
    pub fn no_system_resolver(&self) -> Option<String> {
        self.shared.system.servers().err().map(|why| why.to_string())
    }

    /// The first of the system's resolvers, if there is one.
    pub fn system_server(&self) -> Option<SocketAddr> {
        self.shared.system.servers().ok()?.first().map(|server| server.address)
    }

    /// Asks the system's resolver.
    pub async fn ask_system(&self, question: &Question) -> Answered {
        self.ask_system_within(question, self.config().limits.dns).await
    }

    /// The same within another deadline.
    pub async fn ask_system_within(&self, question: &Question, deadline: Duration) -> Answered {
        let mut seen = question.unanswered(Engine::System, SYSTEM);
        let end = |outcome, detail, seen| Answered { outcome, detail, seen, server: None };
        let servers = match self.shared.system.servers() {
            Ok(servers) => servers,
            Err(why) => return end(Outcome::NotRun(NotRun::NoNetwork), Some(why.to_string()), seen),
        };
        let query = match question.query() {
            Ok(query) => query,
            Err(fault) => return end(fault.outcome, fault.detail, seen),
        };
        let mut last = (Outcome::NotRun(NotRun::NoNetwork), None);
        let mut notes = Vec::new();
        let asked = Instant::now();
        // One for each server, and what a server does not use is the next one's.
        for (server, left) in servers.iter().zip((1..=servers.len()).rev()) {
            let share = deadline.saturating_sub(asked.elapsed()) / u32::try_from(left).unwrap_or(1);
            let result = server.ask(&query, question.options(), share).await;
            let after_ms = u32::try_from(asked.elapsed().as_millis()).unwrap_or(u32::MAX);
            last = replied(&mut seen, &query, result.as_deref(), after_ms);
            if !next_is_asked(last.0) {
                break;
            }
            notes.push(format!("server {} of {}: {}", servers.len() - left + 1, servers.len(), words(&last)));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::drive::tls::TlsSetup;
    use crate::pace::Pace;

    fn reading(path: PathBuf) -> System {
        let deadline = Duration::from_secs(4);
        let provider = Metered::new(Arc::new(Pace::new(None)), Arc::default(), deadline);
        System::new(Source::File(path), TlsSetup::new(&[]).unwrap().strict(), provider, deadline)
    }

    #[test]
    fn a_missing_and_an_empty_file_say_so_and_a_file_that_appears_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let system = reading(path.clone());
        assert!(system.servers().unwrap_err().contains("resolv.conf"));

        std::fs::write(&path, "# nothing\n").unwrap();
        assert!(system.servers().unwrap_err().contains("no nameservers"), "{:?}", system.servers());

        let text = "nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
        std::fs::write(&path, text).unwrap();
        let later = SystemTime::now() + Duration::from_secs(2);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(system.servers().unwrap().len(), 3, "as many as glibc asks");
    }
}
