//! Follow-ups on names: the same question over other transports, spelled otherwise, for other names; and handshakes with
//! every address that anybody gave.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use faultline_record::{Dns, Engine, Outcome, Purpose, QueryType};
use futures_util::future::join_all;

use super::Walk;
use super::connect::{By, Goal};
use super::steps::Offer;
use crate::drive::{Alpn, Answered, DnsBy, PublicResolver, Question, SYSTEM};
use crate::follow_up::{ROUNDS, over_tls};

/// Rounds where a resolver answers and its answer is in dispute: two of each name, so that one odd reply is not believed.
const SPELLINGS: usize = 2;
/// How long an answer is waited for: the main question's deadline has passed already, and hickory sends a datagram again within it.
const WAIT: Duration = Duration::from_secs(2);
/// Rounds in which the unrelated name may be silent too before the resolver is given up.
const DEAD: usize = 2;

impl Walk {
    /// The name, asked of the same resolvers over TCP and TLS, each over a connection of its own; and once more over UDP in the
    /// same moment, since answers change with time.
    pub(super) async fn other_transports(&self, hop: u16, name: &str, system: bool, resolvers: &[String]) {
        let question = Question::new(name, QueryType::A);
        let by_system = async {
            if system {
                let planned = question.unanswered(Engine::System, SYSTEM);
                let again = self.dns(hop, Purpose::OtherTransport, planned, self.drive.ask_system(&question));
                let _ = tokio::join!(again, self.ask_system_by_tcp(hop, Purpose::OtherTransport, &question));
            }
        };
        let wanted = self.drive.config().resolvers.iter().filter(|resolver| resolvers.contains(&resolver.name));
        let again = wanted.clone().map(|resolver| self.by_udp(hop, Purpose::OtherTransport, &question, resolver));
        let by_public = wanted.flat_map(|resolver| {
            let over_tls = resolver.dot.clone().map(|(name, port)| DnsBy::Tls { name, port });
            [Some(DnsBy::Tcp), over_tls].into_iter().flatten().map(move |by| (resolver, by))
        });
        let by_public = by_public.map(|(resolver, by)| self.ask_public(hop, &question, resolver, by));
        tokio::join!(by_system, join_all(again), join_all(by_public));
    }

    async fn ask_public(&self, hop: u16, question: &Question, resolver: &PublicResolver, by: DnsBy) {
        self.ask_public_for(hop, Purpose::OtherTransport, question, resolver, by).await;
    }

    async fn ask_public_for(
        &self,
        hop: u16,
        purpose: Purpose,
        question: &Question,
        resolver: &PublicResolver,
        by: DnsBy,
    ) {
        let is_reachable = |address: &&IpAddr| address.is_ipv4() || self.drive.config().ipv6;
        let Some(&address) = resolver.udp.iter().find(is_reachable) else { return };
        let planned = question.unanswered(by.engine(), &resolver.name);
        let asking = self.drive.ask_by(&by, question, &resolver.name, address);
        // The row is all that is wanted, here and below.
        let _ = self.dns(hop, purpose, planned, asking).await;
    }

    async fn ask_system_by_tcp(&self, hop: u16, purpose: Purpose, question: &Question) {
        let planned = question.unanswered(Engine::Tcp, SYSTEM);
        if let Some(asking) = self.drive.ask_system_by_tcp(question) {
            let _ = self.dns(hop, purpose, planned, asking).await;
        }
    }

    /// A handshake with each address for the target's name, side by side.
    pub(super) async fn address_check(&self, hop: u16, addresses: &[IpAddr], goal: &Goal) {
        if self.private_ca {
            return;
        }
        let (Some(host), port) = (goal.name(), goal.tls.as_ref().map(|_| goal.port)) else { return };
        let offer = Offer { host, alpn: Alpn::None };
        let checks = addresses.iter().map(|&address| {
            let at = port.map_or(over_tls(address), |port| SocketAddr::new(address, port));
            let goal = Goal { port: at.port(), tls: Some(offer.clone()), url: None, by: By::Tcp };
            async move { self.try_out(self.round(hop, Purpose::AddressCheck), at, &goal).await }
        });
        join_all(checks).await;
    }

    /// Questions to the system's resolver for the name and for an unrelated one, in turns. What was silent is asked without
    /// recursion as well; of what was answered, its neighbours are asked for.
    pub(super) async fn name_questions(&self, hop: u16, name: &str, is_silent: bool) {
        let innocent = self.drive.config().innocent_sni.clone();
        let mut silences = 0;
        for _ in 0..if is_silent { ROUNDS } else { SPELLINGS } {
            let by_innocent = self.ask_more(hop, Purpose::InnocentName, &in_changing_case(&innocent), true).await;
            silences += usize::from(!by_innocent);
            if self.ask_more(hop, Purpose::ChangedCase, &in_changing_case(name), true).await && is_silent {
                return;
            }
            if silences == DEAD {
                return;
            }
        }
        if is_silent {
            // Neither name is in a cache because somebody else asked: that below the unrelated one is new as well.
            self.ask_more(hop, Purpose::NoRecursion, &random_below(&innocent), false).await;
            self.ask_more(hop, Purpose::NoRecursion, name, false).await;
            return;
        }
        self.ask_more(hop, Purpose::Subdomain, &random_below(name), true).await;
        if let Some((_, parent)) = name.split_once('.').filter(|(_, parent)| parent.contains('.')) {
            self.ask_more(hop, Purpose::ParentName, parent, true).await;
        }
    }

    /// One more question to the system's resolver; whether anything came back.
    async fn ask_more(&self, hop: u16, purpose: Purpose, name: &str, recursive: bool) -> bool {
        let question = Question::new(name, QueryType::A);
        let question = if recursive { question } else { question.without_recursion() };
        let planned: Dns = question.unanswered(Engine::System, SYSTEM);
        let deadline = WAIT.min(self.drive.config().limits.dns);
        let asking = self.drive.ask_system_within(&question, deadline);
        let came = |answered: Answered| answered.seen.replies > 0 || answered.outcome == Outcome::Ok;
        self.dns(hop, purpose, planned, asking).await.is_ok_and(came)
    }

    /// The name and an unrelated one, asked of one resolver over TCP in turns.
    pub(super) async fn tcp_questions(&self, hop: u16, name: &str, resolver: &str) {
        let innocent = Question::new(&self.drive.config().innocent_sni, QueryType::A);
        let own = Question::new(name, QueryType::A);
        let public = self.drive.config().resolvers.iter().find(|public| public.name == resolver);
        for _ in 0..ROUNDS {
            for (purpose, question) in [(Purpose::InnocentName, &innocent), (Purpose::OtherTransport, &own)] {
                match public {
                    Some(public) => self.ask_public_for(hop, purpose, question, public, DnsBy::Tcp).await,
                    None => self.ask_system_by_tcp(hop, purpose, question).await,
                }
            }
        }
    }
}

impl Goal {
    /// The name that a handshake offers.
    fn name(&self) -> Option<String> {
        let by_url = self.url.as_ref().and_then(url::Url::domain).map(str::to_owned);
        self.tls.as_ref().map(|offer| offer.host.clone()).or(by_url)
    }
}

/// A label that nobody has registered below a name: sixteen random hexadecimal digits.
pub(super) fn random_below(name: &str) -> String {
    format!("{:016x}.{name}", rand::random::<u64>())
}

/// The name with capitals here and there, one at least: resolvers send the question back as it came (draft-vixie-dnsext-dns0x20).
fn in_changing_case(name: &str) -> String {
    let mut is_changed = false;
    let change = |letter: char| {
        let is_capital = letter.is_ascii_alphabetic() && (!is_changed || rand::random());
        is_changed |= is_capital;
        if is_capital { letter.to_ascii_uppercase() } else { letter }
    };
    name.chars().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_changing_case_has_a_capital_and_is_the_same_name() {
        for name in ["x.com", "a", "www.wikipedia.org", "1.a"] {
            let changed = in_changing_case(name);
            assert!(changed.eq_ignore_ascii_case(name) && changed != name, "{changed}");
        }
    }

    #[test]
    fn names_below_differ_each_time() {
        let (one, other) = (random_below("x.com"), random_below("x.com"));
        assert!(one != other && one.ends_with(".x.com") && one.len() == "x.com".len() + 17);
    }
}
