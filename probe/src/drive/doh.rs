//! DNS over HTTPS (RFC 8484) by hickory, bootstrapped by literal addresses: the name of the service is never asked of
//! the system's resolver. One connection a provider is shared by all questions and opened again when it is lost.
//!
//! The service's chain must verify against our own roots (and the user's). A reply has an RCODE; where a row has none,
//! the way to the resolver failed, which says nothing about the name.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use faultline_record::{Engine, Failure, Outcome, QueryType};
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::dns::{Answered, Question, resolved};
use super::runtime::Metered;
use super::tcp::Waited;
use super::{Drive, DriveConfig, system};

/// A DoH service.
pub(super) struct Service {
    /// Its name in rows.
    name: String,
    url: Url,
    /// Where it is, without asking anybody.
    addresses: Vec<IpAddr>,
    resolver: OnceCell<Resolver<Metered>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Service {
    /// Where it is, if there is but one such place.
    fn server(&self) -> Option<SocketAddr> {
        let [address] = self.addresses[..] else { return None };
        Some(SocketAddr::new(address, self.url.port_or_known_default()?))
    }
}

/// All DoH services: the public resolvers' in their order, then the user's.
#[derive(Debug)]
pub(super) struct Services {
    public: Vec<Service>,
    named: Vec<Service>,
}

impl Services {
    pub(super) fn new(config: &DriveConfig) -> Self {
        let reachable = |addresses: &[IpAddr]| -> Vec<IpAddr> {
            addresses.iter().copied().filter(|address| address.is_ipv4() || config.ipv6).collect()
        };
        let public = config.resolvers.iter().map(|resolver| Service {
            name: resolver.name.clone(),
            url: resolver.doh.clone(),
            addresses: reachable(&resolver.udp),
            resolver: OnceCell::new(),
        });
        let named = config.doh.iter().map(|url| Service {
            name: url.to_string(),
            url: url.clone(),
            addresses: reachable(&known_addresses(url, config)),
            resolver: OnceCell::new(),
        });
        Self { public: public.collect(), named: named.collect() }
    }
}

/// The addresses of a service that the user named, where they need no question.
fn known_addresses(url: &Url, config: &DriveConfig) -> Vec<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(_)) | None => config
            .resolvers
            .iter()
            .find(|resolver| resolver.doh.host() == url.host())
            .map_or_else(Vec::new, |resolver| resolver.udp.clone()),
    }
}

impl Drive {
    /// Asks a public resolver's DoH service, by its place in the configuration.
    pub async fn ask_doh(&self, question: &Question, index: usize) -> Answered {
        self.ask_service(question, &self.shared.doh.public[index]).await
    }

    /// Asks a DoH service that the user named, by its place in the configuration.
    pub async fn ask_named_doh(&self, question: &Question, index: usize) -> Answered {
        self.ask_service(question, &self.shared.doh.named[index]).await
    }

    async fn ask_service(&self, question: &Question, service: &Service) -> Answered {
        let mut seen = question.unanswered(Engine::Doh, &service.name);
        let limit = self.config().limits.dns;
        let asked = Instant::now();
        let ask = async {
            let resolver = service.resolver.get_or_try_init(|| self.open(service)).await?;
            let name = question.name().map_err(|fault| (fault.outcome, fault.detail))?;
            let result = resolver.lookup(name, question.record_type()).await;
            let after_ms = u32::try_from(asked.elapsed().as_millis()).unwrap_or(u32::MAX);
            Ok(resolved(&mut seen, result.as_ref().map(|lookup| lookup.message()), after_ms))
        };
        let (outcome, detail) = match timeout(limit, ask).await {
            Ok(Ok(end) | Err(end)) => end,
            Err(_) => (Outcome::Failed(Failure::GenericTimeoutError), Some(Waited(limit).to_string())),
        };
        Answered { outcome, detail, seen, server: service.server() }
    }

    async fn open(&self, service: &Service) -> Result<Resolver<Metered>, (Outcome, Option<String>)> {
        let addresses = match service.addresses.as_slice() {
            [] => self.bootstrap(service).await?,
            known => known.to_vec(),
        };
        let setup = |reason: String| (Outcome::Failed(Failure::InvalidArgument), Some(reason));
        let host = service.url.host_str().ok_or_else(|| setup("the DoH URL has no host".into()))?;
        let host: Arc<str> = Arc::from(host.trim_start_matches('[').trim_end_matches(']'));
        let servers = addresses
            .into_iter()
            .map(|address| {
                let mut connection = ConnectionConfig::https(Arc::clone(&host), Some(Arc::from(service.url.path())));
                connection.port = service.url.port().unwrap_or(connection.port);
                NameServerConfig::new(address, true, vec![connection])
            })
            .collect();
        let limit = self.config().limits.dns;
        system::build(servers, limit, self.shared.runtime.clone(), Some(self.shared.tls.strict()))
            .map_err(|error| setup(error.to_string()))
    }

    /// Finds a service that the user named through the public resolvers' services, one after the other.
    async fn bootstrap(&self, service: &Service) -> Result<Vec<IpAddr>, (Outcome, Option<String>)> {
        let host = service.url.host_str().unwrap_or_default();
        let question = Question::new(host, QueryType::A);
        let mut last = (Outcome::Failed(Failure::DnsNoAnswer), None);
        for public in &self.shared.doh.public {
            let answered = Box::pin(self.ask_service(&question, public)).await;
            let addresses = answered.addresses();
            if answered.outcome.is_ok() && !addresses.is_empty() {
                return Ok(addresses);
            }
            last = (answered.outcome, answered.detail);
        }
        Err((last.0, Some(format!("finding {host}: {}", last.1.unwrap_or_default()))))
    }
}
