//! A censor's rule at work: it follows the flows that it is about, and rules on each of their packets.

mod forge;
mod matching;
mod pace;
pub(super) mod parse;
mod protocol;
mod quic;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::chance::draw;
use super::packet::{Packet, Segment, Transport, reset_back, reset_onward};
use crate::scenario::censor::{Action, Censor, Ends, Match, Rcode, Tuple};
use matching::Sight;
pub(super) use matching::is_listed;
use pace::Pace;
use quic::Crypto;

/// Flows that are remembered at once; beyond that all are forgotten, as a box does that is overrun.
const MEMORY: usize = 65_536;

/// One packet as it passes.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The packet, taken apart.
    pub packet: &'a Packet<'a>,
    /// The packet.
    pub bytes: &'a [u8],
    /// Whether it comes from the client.
    pub upward: bool,
    /// The time.
    pub now: Instant,
}

/// What a rule wants done with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It goes on.
    Pass,
    /// It goes on, so much later.
    Late(Duration),
    /// It vanishes.
    Drop,
    /// It goes to another server.
    Divert(SocketAddr),
    /// Packets are sent to the client and to the server; the packet itself goes on or vanishes.
    Answer {
        /// Whether the packet goes on.
        pass: bool,
        /// To the client.
        back: Vec<Vec<u8>>,
        /// To the server.
        onward: Vec<Vec<u8>>,
    },
}

/// Client and server of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Flow {
    client: SocketAddr,
    server: SocketAddr,
    tcp: bool,
}

impl Flow {
    fn of(view: &View<'_>) -> Option<Self> {
        let (source, destination, tcp) = match view.packet.transport {
            Transport::Tcp(segment) => (segment.source, segment.destination, true),
            Transport::Udp { source, destination, .. } => (source, destination, false),
            Transport::Echo(..) | Transport::Other => return None,
        };
        let (source, destination) =
            (SocketAddr::new(view.packet.source, source), SocketAddr::new(view.packet.destination, destination));
        let (client, server) = if view.upward { (source, destination) } else { (destination, source) };
        Some(Self { client, server, tcp })
    }
}

#[derive(Debug)]
enum State {
    /// The client's bytes so far, and the sequence number that comes next.
    Listening { next: u32, bytes: Vec<u8> },
    /// What the client's QUIC Initials have shown so far.
    Initials(Crypto),
    /// Looked at, and left alone.
    Clear,
    /// Everything of it vanishes.
    Condemned,
    /// It is slowed down, or will be frozen.
    Paced,
}

/// A rule and what it remembers.
#[derive(Debug)]
pub struct Filter {
    rule: Censor,
    seed: u64,
    flows: HashMap<Flow, State>,
    matched: HashSet<Flow>,
    residual: HashMap<(IpAddr, Option<u16>, SocketAddr), Instant>,
    pace: Pace,
}

impl Filter {
    /// A rule that draws by `seed`.
    pub fn new(rule: &Censor, seed: u64) -> Self {
        Self {
            pace: Pace::of(&rule.action),
            rule: rule.clone(),
            seed,
            flows: HashMap::new(),
            matched: HashSet::new(),
            residual: HashMap::new(),
        }
    }

    /// Forgets everything: another phase has begun.
    pub fn forget(&mut self) {
        self.flows.clear();
        self.matched.clear();
        self.residual.clear();
    }

    /// Rules on one packet.
    pub fn rule(&mut self, view: &View<'_>) -> Ruling {
        if !forge::is_of(view.packet.source, self.rule.family) {
            return Ruling::Pass;
        }
        let Some(flow) = Flow::of(view) else { return self.without_ports(view) };
        if self.is_residual(flow, view.now) {
            return Ruling::Drop;
        }
        if let Transport::Tcp(segment) = view.packet.transport
            && (segment.fin || segment.rst)
        {
            self.matched.remove(&flow);
        }
        match self.flows.get(&flow) {
            Some(State::Condemned) if !is_syn(view) => Ruling::Drop,
            Some(State::Paced) => self.pace.rule(view, (self.seed, flow)),
            Some(State::Clear) if self.is_settled_by_one_datagram(flow) => Ruling::Pass,
            _ if view.upward != matching::is_about_answers(&self.rule.matches) => self.look(view, flow),
            _ => Ruling::Pass,
        }
    }

    fn without_ports(&self, view: &View<'_>) -> Ruling {
        let hit = view.upward && matching::without_ports(&self.rule.matches, view.packet);
        if hit && self.rule.action == Action::Drop { Ruling::Drop } else { Ruling::Pass }
    }

    /// Whether a datagram that is not what the rule is about speaks for all that follow it.
    fn is_settled_by_one_datagram(&self, flow: Flow) -> bool {
        let is_settled = matches!(self.rule.matches, Match::Quic { .. } | Match::NotAllowlisted { .. });
        !flow.tcp && (is_settled || self.rule.first_packet)
    }

    fn look(&mut self, view: &View<'_>, flow: Flow) -> Ruling {
        match self.sight(view, flow) {
            Sight::Match if self.acts_on(flow) => self.hit(view, flow),
            Sight::Match | Sight::Other => {
                self.remember(flow, State::Clear);
                Ruling::Pass
            }
            Sight::Unknown => {
                if self.rule.first_packet && has_data(view) {
                    self.remember(flow, State::Clear);
                }
                Ruling::Pass
            }
        }
    }

    /// What the packet, with those before it, shows of the flow.
    fn sight(&mut self, view: &View<'_>, flow: Flow) -> Sight {
        if let Some(sight) = matching::by_ends(&self.rule.matches, flow.server, flow.tcp) {
            return sight;
        }
        match view.packet.transport {
            Transport::Udp { payload, .. } => self.datagram(flow, payload),
            Transport::Tcp(segment) => self.stream(flow, &segment),
            Transport::Echo(..) | Transport::Other => Sight::Other,
        }
    }

    fn datagram(&mut self, flow: Flow, payload: &[u8]) -> Sight {
        if !matches!(self.rule.matches, Match::Quic { .. }) {
            return matching::by_datagram(&self.rule.matches, flow.server, payload, &mut Crypto::default());
        }
        if !matches!(self.flows.get(&flow), Some(State::Initials(_))) {
            self.remember(flow, State::Initials(Crypto::default()));
        }
        let Some(State::Initials(crypto)) = self.flows.get_mut(&flow) else { return Sight::Other };
        matching::by_datagram(&self.rule.matches, flow.server, payload, crypto)
    }

    fn stream(&mut self, flow: Flow, segment: &Segment<'_>) -> Sight {
        if segment.syn {
            self.remember(flow, State::Listening { next: segment.next_sequence(), bytes: Vec::new() });
            return Sight::Unknown;
        }
        let Some(State::Listening { next, bytes }) = self.flows.get_mut(&flow) else { return Sight::Unknown };
        if segment.sequence != *next || segment.payload.is_empty() {
            return Sight::Unknown;
        }
        *next = segment.next_sequence();
        bytes.extend_from_slice(segment.payload);
        matching::by_stream(&self.rule.matches, flow.server, bytes)
    }

    fn acts_on(&mut self, flow: Flow) -> bool {
        self.matched.insert(flow);
        let many = self
            .rule
            .parallel_above
            .is_none_or(|most| self.matched.iter().filter(|open| open.client.ip() == flow.client.ip()).count() > most);
        many && draw(self.seed, ("probability", flow)) < self.rule.probability
            && draw(self.seed, ("path", flow.client.port(), flow.server)) < self.rule.source_ports
    }

    fn hit(&mut self, view: &View<'_>, flow: Flow) -> Ruling {
        if let Some(residual) = self.rule.residual {
            let port = (residual.key == Tuple::Four).then_some(flow.client.port());
            let until = view.now + Duration::from_secs_f64(residual.seconds);
            self.residual.insert((flow.client.ip(), port, flow.server), until);
        }
        let after = match self.rule.action {
            Action::Police { .. } | Action::Shape { .. } | Action::Degrade { .. } | Action::Freeze { .. } => {
                State::Paced
            }
            Action::Divert { .. } => State::Clear,
            _ if self.rule.on_path || is_syn(view) || self.is_one_by_one(flow) => State::Clear,
            _ => State::Condemned,
        };
        let paced = matches!(after, State::Paced);
        self.remember(flow, after);
        if paced { self.pace.rule(view, (self.seed, flow)) } else { self.act(view) }
    }

    /// Whether each datagram of a flow is judged by itself, and answers are let through.
    fn is_one_by_one(&self, flow: Flow) -> bool {
        !flow.tcp
            && (matches!(self.rule.matches, Match::Dns { .. } | Match::Ip { .. })
                || matching::is_about_answers(&self.rule.matches))
    }

    fn act(&self, view: &View<'_>) -> Ruling {
        if let Action::Divert { to, port } = self.rule.action {
            let own = Flow::of(view).map_or(0, |flow| flow.server.port());
            return Ruling::Divert(SocketAddr::new(to, port.unwrap_or(own)));
        }
        let (back, onward) = self.forged(view);
        if back.is_empty() && onward.is_empty() {
            return if self.rule.on_path { Ruling::Pass } else { Ruling::Drop };
        }
        Ruling::Answer { pass: self.rule.on_path, back, onward }
    }

    /// What is sent to the client and to the server.
    fn forged(&self, view: &View<'_>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let packet = view.packet;
        let one = |made: Option<Vec<u8>>| made.into_iter().collect::<Vec<_>>();
        match (&self.rule.action, packet.transport) {
            (Action::Reset { to }, Transport::Tcp(segment)) => {
                let wants = |end: Ends| *to == Ends::Both || *to == end;
                let back = wants(Ends::Client).then(|| reset_back(packet, &segment)).flatten();
                let onward = (wants(Ends::Server) && !segment.syn).then(|| reset_onward(packet, &segment)).flatten();
                (one(back), one(onward))
            }
            (Action::Close, Transport::Tcp(segment)) => (one(forge::last_words(packet, &segment, b"")), Vec::new()),
            (Action::Page { status, body }, Transport::Tcp(segment)) => {
                let page = forge::response(*status, "", body);
                (one(forge::last_words(packet, &segment, &page)), one(reset_onward(packet, &segment)))
            }
            (Action::Redirect { location }, Transport::Tcp(segment)) => {
                let page = forge::response(302, &format!("Location: {location}\r\n"), "");
                (one(forge::last_words(packet, &segment, &page)), one(reset_onward(packet, &segment)))
            }
            (Action::Unreachable { code }, _) => (one(forge::unreachable(packet, view.bytes, *code)), Vec::new()),
            (Action::Dns { answers, rcode, copies, lower_case }, Transport::Udp { source, destination, payload }) => {
                let mut query = payload.to_vec();
                if let (true, Some(after_id)) = (*lower_case, query.get_mut(2..)) {
                    after_id.make_ascii_lowercase();
                }
                let forged = forged_answers(&query, answers, *rcode, *copies);
                let send = |answer: Vec<u8>| forge::datagram(packet, (source, destination), &answer);
                (forged.into_iter().filter_map(send).collect(), Vec::new())
            }
            _ => (Vec::new(), Vec::new()),
        }
    }

    fn is_residual(&self, flow: Flow, now: Instant) -> bool {
        let key = self.rule.residual.map(|residual| (residual.key == Tuple::Four).then_some(flow.client.port()));
        let until = key.and_then(|port| self.residual.get(&(flow.client.ip(), port, flow.server)));
        until.is_some_and(|until| now < *until)
    }

    fn remember(&mut self, flow: Flow, state: State) {
        if self.flows.len() >= MEMORY && !self.flows.contains_key(&flow) {
            self.flows.clear();
        }
        self.flows.insert(flow, state);
    }
}

fn has_data(view: &View<'_>) -> bool {
    match view.packet.transport {
        Transport::Tcp(segment) => !segment.payload.is_empty(),
        Transport::Udp { .. } => true,
        Transport::Echo(..) | Transport::Other => false,
    }
}

fn is_syn(view: &View<'_>) -> bool {
    matches!(view.packet.transport, Transport::Tcp(segment) if segment.syn)
}

/// The forged answers to a query: all addresses at once, or one at a time if there are to be several answers.
fn forged_answers(query: &[u8], addresses: &[IpAddr], rcode: Rcode, copies: u8) -> Vec<Vec<u8>> {
    let Some(question) = parse::question(query) else { return Vec::new() };
    let code = match rcode {
        Rcode::Noerror => 0,
        Rcode::Servfail => 2,
        Rcode::Nxdomain => 3,
        Rcode::Refused => 5,
    };
    if copies <= 1 || addresses.is_empty() {
        return vec![question.answer(code, addresses)];
    }
    addresses.iter().cycle().take(usize::from(copies)).map(|address| question.answer(code, &[*address])).collect()
}
