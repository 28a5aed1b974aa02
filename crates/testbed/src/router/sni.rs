//! A censor that reads server names: it follows every TCP connection to port 443 from its SYN on, puts the client's
//! bytes together until the `ClientHello` gives a name, and condemns the connections whose name is on its list.
//!
//! It sits in the path: the segment that completes a condemned name never arrives.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::client_hello::{self, Hello};
use super::packet::{Packet, Segment};
use super::rules::Judgement;

/// Connections that are remembered at once; the oldest go first.
const MEMORY: usize = 65_536;

/// The longest start of a stream that is kept while the name is awaited.
const LONGEST_HELLO: usize = 16 * 1024;

/// The port on which names are read.
const HTTPS: u16 = 443;

/// What happens to a connection with a listed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sentence {
    /// Both sides are reset, the segment is dropped.
    Reset,
    /// The segment and everything after it, in both directions, is dropped.
    Silence,
}

/// The filter and the connections that it follows.
#[derive(Debug)]
pub struct SniFilter {
    names: Vec<String>,
    sentence: Sentence,
    connections: HashMap<Connection, State>,
    order: VecDeque<Connection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Connection {
    client: SocketAddr,
    server: SocketAddr,
}

#[derive(Debug)]
enum State {
    /// The client's bytes so far, and the sequence number that comes next.
    Listening {
        next: u32,
        bytes: Vec<u8>,
    },
    Condemned,
}

impl SniFilter {
    /// A filter for `names` and everything below them.
    pub fn new(names: &[String], sentence: Sentence) -> Self {
        let names = names.iter().map(|n| n.to_ascii_lowercase()).collect();
        Self { names, sentence, connections: HashMap::new(), order: VecDeque::new() }
    }

    /// Judges one TCP segment, of either direction.
    pub fn judge(&mut self, packet: &Packet<'_>, segment: &Segment<'_>) -> Judgement {
        let source = SocketAddr::new(packet.source, segment.source);
        let destination = SocketAddr::new(packet.destination, segment.destination);
        if segment.destination == HTTPS {
            self.judge_client(Connection { client: source, server: destination }, segment)
        } else if segment.source == HTTPS {
            self.judge_server(Connection { client: destination, server: source })
        } else {
            Judgement::Pass
        }
    }

    fn judge_server(&self, connection: Connection) -> Judgement {
        match self.connections.get(&connection) {
            Some(State::Condemned) => Judgement::Drop,
            _ => Judgement::Pass,
        }
    }

    fn judge_client(&mut self, connection: Connection, segment: &Segment<'_>) -> Judgement {
        if segment.syn {
            self.remember(connection, segment.next_sequence());
            return Judgement::Pass;
        }
        let Some(State::Listening { next, bytes }) = self.connections.get_mut(&connection) else {
            return self.judge_server(connection);
        };
        if segment.sequence != *next || segment.payload.is_empty() {
            return Judgement::Pass;
        }
        *next = segment.next_sequence();
        bytes.extend_from_slice(segment.payload);
        match client_hello::read(bytes) {
            Hello::Unfinished if bytes.len() < LONGEST_HELLO => Judgement::Pass,
            Hello::Name(name) if is_listed(&self.names, &name) => self.condemn(connection),
            Hello::Name(_) | Hello::Nameless | Hello::Unfinished => {
                self.connections.remove(&connection);
                Judgement::Pass
            }
        }
    }

    fn remember(&mut self, connection: Connection, next: u32) {
        if self.order.len() >= MEMORY
            && let Some(oldest) = self.order.pop_front()
        {
            self.connections.remove(&oldest);
        }
        self.order.push_back(connection);
        self.connections.insert(connection, State::Listening { next, bytes: Vec::new() });
    }

    fn condemn(&mut self, connection: Connection) -> Judgement {
        self.connections.insert(connection, State::Condemned);
        match self.sentence {
            Sentence::Reset => Judgement::Reset,
            Sentence::Silence => Judgement::Drop,
        }
    }
}

/// Whether `name` is one of `names` or below one of them.
fn is_listed(names: &[String], name: &str) -> bool {
    names.iter().any(|listed| name.strip_suffix(listed.as_str()).is_some_and(|p| p.is_empty() || p.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::packet::Transport;

    /// Cut from what `openssl s_client -servername x.com` sends: record, `ClientHello`, one extension.
    fn hello(name: &str) -> Vec<u8> {
        let n = u8::try_from(name.len()).unwrap();
        let mut body = vec![3, 3];
        body.extend([9; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0, 0, n + 9, 0, 0, 0, n + 5, 0, n + 3, 0, 0, n]);
        body.extend(name.as_bytes());
        let length = u8::try_from(body.len()).unwrap();
        [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length], &body[..]].concat()
    }

    struct Talk {
        filter: SniFilter,
        client_port: u16,
    }

    impl Talk {
        fn new(sentence: Sentence) -> Self {
            Self { filter: SniFilter::new(&["x.com".into()], sentence), client_port: 40_000 }
        }

        fn segment(&mut self, upward: bool, sequence: u32, syn: bool, payload: &[u8]) -> Judgement {
            let ports = if upward { (self.client_port, 443) } else { (443, self.client_port) };
            let segment = Segment {
                source: ports.0,
                destination: ports.1,
                sequence,
                acknowledgment: 1,
                syn,
                ack: !syn,
                fin: false,
                rst: false,
                payload,
            };
            let ends = ["100.64.10.2".parse().unwrap(), "104.244.42.1".parse().unwrap()];
            let (source, destination) = if upward { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
            let packet = Packet { source, destination, ttl: 60, transport: Transport::Tcp(segment) };
            self.filter.judge(&packet, &segment)
        }

        fn open(&mut self) {
            assert_eq!(self.segment(true, 100, true, b""), Judgement::Pass);
            assert_eq!(self.segment(true, 101, false, b""), Judgement::Pass);
        }
    }

    #[test]
    fn a_listed_name_is_reset_and_the_rest_of_the_connection_is_dropped() {
        let mut talk = Talk::new(Sentence::Reset);
        talk.open();
        assert_eq!(talk.segment(true, 101, false, &hello("x.com")), Judgement::Reset);
        assert_eq!(talk.segment(false, 1, false, b"server hello"), Judgement::Drop);
    }

    #[test]
    fn a_listed_name_over_two_segments_is_silenced_at_the_second() {
        let mut talk = Talk::new(Sentence::Silence);
        talk.open();
        let stream = hello("api.x.com");
        let (first, second) = stream.split_at(60);
        assert_eq!(talk.segment(true, 101, false, first), Judgement::Pass);
        assert_eq!(talk.segment(true, 161, false, second), Judgement::Drop);
        assert_eq!(talk.segment(true, 161, false, second), Judgement::Drop, "the retransmission");
        assert_eq!(talk.segment(false, 1, false, b"server hello"), Judgement::Drop);
    }

    #[test]
    fn a_new_connection_from_the_same_port_is_judged_anew() {
        let mut talk = Talk::new(Sentence::Silence);
        talk.open();
        assert_eq!(talk.segment(true, 101, false, &hello("x.com")), Judgement::Drop);
        talk.open();
        assert_eq!(talk.segment(true, 101, false, &hello("example.com")), Judgement::Pass);
    }

    #[test]
    fn innocent_names_and_lookalikes_pass_and_are_forgotten() {
        for name in ["example.com", "netflix.com", "x.com.example"] {
            let mut talk = Talk::new(Sentence::Reset);
            talk.open();
            assert_eq!(talk.segment(true, 101, false, &hello(name)), Judgement::Pass, "{name}");
            assert!(talk.filter.connections.is_empty());
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut talk = Talk::new(Sentence::Reset);
        for port in 0..=u16::MAX {
            talk.client_port = port;
            talk.segment(true, 100, true, b"");
        }
        talk.client_port = 443;
        assert!(talk.filter.connections.len() <= MEMORY && talk.filter.order.len() <= MEMORY);
    }
}
