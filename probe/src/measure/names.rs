//! Follow-ups on a name that fails: at a stranger's host, in other forms, and after a quiet time.

use std::net::SocketAddr;
use std::time::Duration;

use faultline_record::{Engine, Family, Outcome, Purpose, QueryType, StepData, Tls};
use futures_util::future::join_all;

use super::Walk;
use super::connect::{By, Goal, Round};
use super::resolve::query_type;
use crate::drive::{Hello, Question, SYSTEM, is_bogon};

/// Quiet times, one after the other: together a little over the 180 s that are the longest known (science reference,
/// section 2.4: 60 to 180 s).
pub(super) const QUIET: [Duration; 5] = [
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(45),
    Duration::from_secs(45),
    Duration::from_mins(1),
];
/// The web's two ports (RFC 9110, 4.2).
const WEB_PORTS: [u16; 2] = [80, 443];

impl Walk {
    /// One handshake for the target's name with a host that has nothing to do with it, and one for that host's own.
    pub(super) async fn elsewhere(&self, hop: u16, beside: SocketAddr, own: &str, goal: &Goal) {
        let innocent = self.drive.config().innocent_sni.clone();
        let Some(address) = self.stranger(hop, beside, &innocent).await else { return };
        self.offer(hop, Purpose::ElsewhereInnocent, address, &innocent, goal).await;
        self.offer(hop, Purpose::Elsewhere, address, own, goal).await;
    }

    /// An address of the innocent host's, of the same family and at the same port, by the system's resolver.
    async fn stranger(&self, hop: u16, beside: SocketAddr, innocent: &str) -> Option<SocketAddr> {
        let family = Family::of(beside.ip());
        let question = Question::new(innocent, query_type(family));
        let planned = question.unanswered(Engine::System, SYSTEM);
        let asked = self.dns(hop, Purpose::ElsewhereInnocent, planned, self.drive.ask_system(&question)).await.ok()?;
        let is_other =
            |address: &std::net::IpAddr| *address != beside.ip() && (self.dials_bogons || !is_bogon(*address));
        let address = asked.seen.addresses().find(is_other)?;
        Some(SocketAddr::new(address, beside.port()))
    }

    /// The target's own handshake in forms that every server understands alike, side by side.
    pub(super) async fn other_forms(&self, hop: u16, address: SocketAddr, own: &str, goal: &Goal) {
        let longer = format!("{own}.{}", self.drive.config().innocent_sni);
        let forms = [
            (Purpose::MixedCase, mixed_case(own), Hello::Plain),
            (Purpose::LongerName, longer, Hello::Plain),
            (Purpose::Tls12, own.to_owned(), Hello::Tls12),
        ];
        let tried = forms.iter().map(|(purpose, name, hello)| {
            let round = Round { hello: *hello, ..self.round(hop, *purpose) };
            self.offer_in(round, address, name, goal)
        });
        join_all(tried).await;
    }

    /// The target's own handshake with the name encrypted, where the name has keys for that.
    pub(super) async fn encrypted(&self, hop: u16, address: SocketAddr, own: &str) {
        let Some(keys) = self.keys(hop, own).await else { return };
        let round = self.round(hop, Purpose::Ech);
        let place = round.place(Some(self.log.connection()), Some(address));
        let Ok(stream) = self.tcp(place, address, round).await else { return };
        let ticket = self.log.begin();
        let handshake = self.drive.handshake_encrypted(stream, own, &keys, round.tls);
        let (outcome, detail, seen) = match self.cut.guard(Box::pin(handshake)).await {
            Ok(done) => (done.outcome, done.detail, done.seen),
            Err(reason) => (Outcome::NotRun(reason), None, Tls::default()),
        };
        self.log.end(ticket, place, outcome, detail, StepData::Tls(seen));
    }

    /// The keys that the name's HTTPS record gives, by the first public resolver over HTTPS that answers.
    async fn keys(&self, hop: u16, own: &str) -> Option<Vec<u8>> {
        let question = Question::new(own, QueryType::Https);
        for (index, resolver) in self.drive.config().resolvers.iter().enumerate() {
            let planned = question.unanswered(Engine::Doh, &resolver.name);
            let mut keys = None;
            let asking = async {
                let (answered, found) = self.drive.ask_keys(&question, index).await;
                keys = found;
                answered
            };
            let answered = self.dns(hop, Purpose::Ech, planned, asking).await.ok()?;
            if answered.seen.replies > 0 {
                return keys;
            }
        }
        None
    }

    /// A connection to the host at the web's other port.
    pub(super) async fn other_port(&self, hop: u16, address: SocketAddr) {
        let [plain, encrypted] = WEB_PORTS;
        let port = if address.port() == plain { encrypted } else { plain };
        let goal = Goal { port, tls: None, url: None, by: By::Tcp };
        self.try_out(self.round(hop, Purpose::HostAlive), SocketAddr::new(address.ip(), port), &goal).await;
    }

    /// Leaves the address alone until an innocent name is answered there; then the target's own, then the innocent one again.
    pub(super) async fn residual(&self, hop: u16, address: SocketAddr, goal: &Goal) {
        let innocent = self.innocent_of(goal);
        for quiet in QUIET {
            self.rest(quiet).await;
            if self.is_heard(hop, Purpose::QuietInnocent, address, &innocent).await {
                self.is_heard(hop, Purpose::QuietOwn, address, goal).await;
                self.is_heard(hop, Purpose::QuietAgain, address, &innocent).await;
                return;
            }
        }
    }

    /// The goal with the innocent host in the target's place, and no request where TLS says enough.
    fn innocent_of(&self, goal: &Goal) -> Goal {
        let innocent = &self.drive.config().innocent_sni;
        let mut goal = goal.clone();
        if let Some(offer) = &mut goal.tls {
            offer.host.clone_from(innocent);
        }
        if let Some(url) = &mut goal.url {
            // A name is always a host that a URL can have.
            let _ = url.set_host(Some(innocent));
        }
        goal
    }

    /// Whether anything was answered.
    async fn is_heard(&self, hop: u16, purpose: Purpose, address: SocketAddr, goal: &Goal) -> bool {
        let before = self.log.count();
        let goal = if goal.tls.is_some() { Goal { url: None, ..goal.clone() } } else { goal.clone() };
        self.try_out(self.round(hop, purpose), address, &goal).await;
        self.log.look(|rows| {
            let mut own = rows[before.min(rows.len())..].iter().filter(|row| row.purpose == purpose);
            own.next_back().is_some_and(crate::follow_up::is_answered)
        })
    }
}

/// Every second letter large: the same name (RFC 4343), and not the same bytes.
fn mixed_case(name: &str) -> String {
    let letter = |(index, letter): (usize, char)| if index % 2 == 0 { letter.to_ascii_uppercase() } else { letter };
    name.chars().enumerate().map(letter).collect()
}
