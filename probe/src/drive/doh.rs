//! DNS over HTTPS (RFC 8484) by hickory, bootstrapped by literal addresses: the name of the service is never asked of
//! the system's resolver. One connection a provider is shared by all questions and opened again when it is lost.
//!
//! The service's chain must verify against our own roots (and the user's). A reply has an RCODE; where a row has none,
//! the way to the resolver failed, which says nothing about the name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use faultline_record::{Engine, Failure, Outcome, QueryType};
use hickory_proto::op::Message;
use hickory_resolver::config::ConnectionConfig;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::dns::{Answered, Question, keys_in, replied};
use super::tcp::Waited;
use super::way::{Way, Ways};
use super::{Drive, DriveConfig};

/// A DoH service.
#[derive(Debug)]
pub(super) struct Service {
    /// Its name in rows.
    name: String,
    url: Url,
    /// Where it is, without asking anybody.
    addresses: Vec<IpAddr>,
    ways: OnceCell<Ways>,
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
            ways: OnceCell::new(),
        });
        let named = config.doh.iter().map(|url| Service {
            name: url.to_string(),
            url: url.clone(),
            addresses: reachable(&known_addresses(url, config)),
            ways: OnceCell::new(),
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

    /// Asks a public resolver's DoH service for the keys of a name, by the resolver's place in the configuration.
    pub async fn ask_keys(&self, question: &Question, index: usize) -> (Answered, Option<Vec<u8>>) {
        let mut keys = None;
        let service = &self.shared.doh.public[index];
        let mut answered = self.ask_service_and(question, service, &mut |reply| keys = keys_in(reply)).await;
        if keys.is_some() {
            answered.outcome = Outcome::Ok;
        }
        (answered, keys)
    }

    async fn ask_service(&self, question: &Question, service: &Service) -> Answered {
        self.ask_service_and(question, service, &mut |_| {}).await
    }

    /// The same, with a look at what came.
    async fn ask_service_and(
        &self,
        question: &Question,
        service: &Service,
        look: &mut (dyn FnMut(&Message) + Send),
    ) -> Answered {
        let mut seen = question.unanswered(Engine::Doh, &service.name);
        let limit = self.config().limits.dns;
        let ask = async {
            let ways = service.ways.get_or_try_init(|| self.ways(service)).await?;
            let asked = Instant::now();
            let query = question.query().map_err(|fault| (fault.outcome, fault.detail))?;
            let mut last = (Outcome::Failed(Failure::DnsNoAnswer), None);
            for (way, left) in ways.iter().zip((1..=ways.len()).rev()) {
                let share = limit.saturating_sub(asked.elapsed()) / u32::try_from(left).unwrap_or(1);
                let result = way.ask(&query, question.options(), share).await;
                let after_ms = u32::try_from(asked.elapsed().as_millis()).unwrap_or(u32::MAX);
                last = replied(&mut seen, &query, result.as_deref(), after_ms);
                if let Ok(reply) = result {
                    look(&reply);
                    break;
                }
            }
            Ok(last)
        };
        // Each question has its own limit; this one bounds finding the service as well.
        let (outcome, detail) = match timeout(limit * 2, ask).await {
            Ok(Ok(end) | Err(end)) => end,
            Err(_) => (Outcome::Failed(Failure::GenericTimeoutError), Some(Waited(limit).to_string())),
        };
        Answered { outcome, detail, seen, server: service.server() }
    }

    async fn ways(&self, service: &Service) -> Result<Ways, (Outcome, Option<String>)> {
        let addresses = match service.addresses.as_slice() {
            [] => self.bootstrap(service).await?,
            known => known.to_vec(),
        };
        let host = service.url.host_str().unwrap_or_default();
        let host: Arc<str> = Arc::from(host.trim_start_matches('[').trim_end_matches(']'));
        let limit = self.config().limits.dns;
        let ways = addresses.into_iter().map(|address| {
            let mut connection = ConnectionConfig::https(Arc::clone(&host), Some(Arc::from(service.url.path())));
            connection.port = service.url.port().unwrap_or(connection.port);
            Way::new(address, connection, limit, self.shared.tls.strict(), self.shared.runtime.clone())
        });
        Ok(ways.collect())
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
