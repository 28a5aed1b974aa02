//! The target's host, asked for at a server that has nothing to do with it: whoever acts on the name acts there as well, and
//! no state of the target's own servers can be the reason.

use std::net::{IpAddr, SocketAddr};

use faultline_record::{Engine, Family, Purpose};
use url::Url;

use super::Walk;
use super::connect::{By, Goal, Round};
use super::questions::random_below;
use super::resolve::query_type;
use crate::drive::{Question, SYSTEM};
use crate::follow_up::ROUNDS;

impl Walk {
    /// Requests for a host that nobody has and for the target's, in turns, at the server of a connectivity check. The former
    /// shows that the server lives and what it says to hosts it does not know.
    pub(super) async fn host_anywhere(&self, hop: u16, family: Family, goal: &Goal) {
        let Some(own) = goal.host().map(str::to_owned) else { return };
        let Some((_, domain)) = own.rsplit_once('.') else { return };
        let pages = self.drive.config().strangers.pages.iter().map(|page| &page.url);
        let Some(server) = pages.into_iter().find(|url| url.host_str().is_some_and(|host| host != own)).cloned() else {
            return;
        };
        let Some(address) = self.address_of(hop, &server, family).await else { return };
        let nobody = random_below(domain);
        for _ in 0..ROUNDS {
            for (purpose, host) in [(Purpose::InnocentServer, nobody.as_str()), (Purpose::HostAnywhere, own.as_str())] {
                let Some(url) = root_of(&server, host) else { return };
                let goal = Goal { port: address.port(), tls: None, url: Some(url), by: By::Tcp };
                let round = Round::follow_up(hop, purpose, &self.drive.config().limits);
                self.try_out(round, address, &goal).await;
            }
        }
    }

    /// The server's first address, by the system's resolver.
    async fn address_of(&self, hop: u16, server: &Url, family: Family) -> Option<SocketAddr> {
        let question = Question::new(server.host_str()?, query_type(family));
        let planned = question.unanswered(Engine::System, SYSTEM);
        let asking = self.drive.ask_system(&question);
        let answered = self.dns(hop, Purpose::InnocentServer, planned, asking).await.ok()?;
        let addresses: Vec<IpAddr> = if answered.outcome.is_ok() { answered.addresses() } else { Vec::new() };
        Some(SocketAddr::new(*addresses.first()?, server.port_or_known_default()?))
    }
}

/// The root of a server under another host's name: no path of the target's is told to strangers.
fn root_of(server: &Url, host: &str) -> Option<Url> {
    let mut url = server.clone();
    url.set_path("/");
    url.set_query(None);
    url.set_host(Some(host)).ok()?;
    Some(url)
}
