//! Whom to ask for a name: the system's resolver for the measurement proper, public ones to hold it against.

use std::net::IpAddr;
use std::sync::Arc;

use faultline_record::{Engine, Failure, Family, NotRun, Purpose, QueryType};
use futures_util::future::join_all;
use tokio_util::task::AbortOnDropHandle;

use super::Walk;
use crate::drive::{Answered, PublicResolver, Question, SYSTEM};

/// Public resolvers asked by UDP, each of another provider.
const BY_UDP: usize = 2;

/// How often the system's resolver is asked again that was silent. Stub resolvers ask again, too (resolv.conf(5) has two
/// attempts a server); on a line that loses a tenth of all packets each way, one question in five is lost, and one in a hundred
/// and fifty three times running.
const TRIES_MORE: usize = 2;

/// Comparisons under way beside the measurement proper; they end in the addresses that were found.
pub(super) type Comparisons = AbortOnDropHandle<Vec<IpAddr>>;

/// The type of record that a family's addresses are in.
pub(super) const fn query_type(family: Family) -> QueryType {
    match family {
        Family::V4 => QueryType::A,
        Family::V6 => QueryType::Aaaa,
    }
}

impl Walk {
    /// Asks the system's resolver for the addresses of one family: those of its first reply.
    pub(super) async fn resolve(&self, hop: u16, host: &str, family: Family) -> Result<Vec<IpAddr>, NotRun> {
        let question = Question::new(host, query_type(family));
        let ask = |purpose| {
            let planned = question.unanswered(Engine::System, SYSTEM);
            self.dns(hop, purpose, planned, self.drive.ask_system(&question))
        };
        let mut answered = ask(Purpose::Main).await?;
        for _ in 0..TRIES_MORE {
            if answered.outcome.failure() != Some(Failure::GenericTimeoutError) {
                break;
            }
            answered = ask(Purpose::Retry).await?;
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in answered.seen.addresses().filter(|&address| Family::of(address) == family) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// Starts asking the public resolvers, beside whatever else is done.
    pub(super) fn compare(self: &Arc<Self>, hop: u16, host: &str) -> Comparisons {
        let (walk, host) = (Arc::clone(self), host.to_owned());
        AbortOnDropHandle::new(tokio::spawn(async move { walk.ask_others(hop, &host).await }))
    }

    async fn ask_others(&self, hop: u16, host: &str) -> Vec<IpAddr> {
        let types: &[QueryType] =
            if self.drive.config().ipv6 { &[QueryType::A, QueryType::Aaaa] } else { &[QueryType::A] };
        let by_type = types.iter().map(|&query_type| self.ask_others_for(hop, Question::new(host, query_type)));
        let mut found: Vec<IpAddr> = Vec::new();
        for address in join_all(by_type).await.into_iter().flatten() {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        found
    }

    async fn ask_others_for(&self, hop: u16, question: Question) -> Vec<IpAddr> {
        let config = self.drive.config();
        let by_udp = config
            .resolvers
            .iter()
            .take(BY_UDP)
            .map(|resolver| self.by_udp(hop, Purpose::Comparison, &question, resolver));
        // A third provider where there is one.
        let public = config.resolvers.len().checked_sub(1).map(|last| last.min(BY_UDP));
        let by_doh = public.map(|index| self.by_doh(hop, &question, index));
        let by_named = (0..config.doh.len()).map(|index| self.by_named_doh(hop, &question, index));
        let (udp, doh, named) = tokio::join!(join_all(by_udp), join_all(by_doh), join_all(by_named));
        udp.into_iter().chain(doh).chain(named).flatten().collect()
    }

    pub(super) async fn by_udp(
        &self,
        hop: u16,
        purpose: Purpose,
        question: &Question,
        resolver: &PublicResolver,
    ) -> Vec<IpAddr> {
        let is_reachable = |address: &&IpAddr| address.is_ipv4() || self.drive.config().ipv6;
        let Some(&server) = resolver.udp.iter().find(is_reachable) else { return Vec::new() };
        let planned = question.unanswered(Engine::Udp, &resolver.name);
        let asking = self.drive.ask_udp(question, &resolver.name, server);
        found(self.dns(hop, purpose, planned, asking).await)
    }

    async fn by_doh(&self, hop: u16, question: &Question, index: usize) -> Vec<IpAddr> {
        let name = &self.drive.config().resolvers[index].name;
        let planned = question.unanswered(Engine::Doh, name);
        found(self.dns(hop, Purpose::Comparison, planned, self.drive.ask_doh(question, index)).await)
    }

    async fn by_named_doh(&self, hop: u16, question: &Question, index: usize) -> Vec<IpAddr> {
        let planned = question.unanswered(Engine::Doh, self.drive.config().doh[index].as_str());
        found(self.dns(hop, Purpose::Comparison, planned, self.drive.ask_named_doh(question, index)).await)
    }
}

/// Every address in every reply: which of them is genuine, a certificate will show.
fn found(answered: Result<Answered, NotRun>) -> Vec<IpAddr> {
    answered.map(|answered| answered.addresses()).unwrap_or_default()
}
