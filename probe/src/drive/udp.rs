//! Our own query over UDP, which listens on after the first reply: one who injects answers does not stop the true one
//! from coming. hickory's client drops what comes late or does not fit; that is the very evidence wanted here.
//!
//! The socket is not connected, so that replies from other addresses are seen too; the price is that Linux does not
//! tell such a socket of ICMP errors: a port that is closed looks like silence.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use faultline_record::{Dns, Engine, Failure, Outcome};
use hickory_proto::op::{Edns, Message, MessageType, Query};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::dns::{Answered, Question, has_address, outcome, rows};
use super::tcp::Waited;
use super::way::PAYLOAD;
use super::{Drive, Fault, errno};

/// Room for a datagram: more than was offered, for those who do not keep to it.
const DATAGRAM: usize = 4096;
/// Different replies kept for one question.
const REPLIES: usize = 16;

impl Drive {
    /// Asks one resolver by UDP, and collects every reply until some time after the first.
    pub async fn ask_udp(&self, question: &Question, resolver: &str, server: IpAddr) -> Answered {
        let mut heard = Heard::new(question.unanswered(Engine::Udp, resolver));
        super::stays_here(server);
        let server = SocketAddr::new(server, self.shared.dns_port);
        let result = self.listen(question, server, &mut heard).await;
        let (outcome, detail) = heard.end(result, self.config().limits.dns);
        Answered { outcome, detail, seen: heard.seen, server: Some(server) }
    }

    async fn listen(&self, question: &Question, server: SocketAddr, heard: &mut Heard) -> Result<(), Fault> {
        let limits = self.config().limits;
        let met = |error: io::Error| Fault::new(errno::outcome(&error), error);
        let query = query(question)?;
        let bytes = query.to_vec().map_err(|error| Fault::new(Outcome::Failed(Failure::InvalidArgument), error))?;
        let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await.map_err(met)?;
        let asked = Instant::now();
        socket.send_to(&bytes, server).await.map_err(met)?;
        self.meter().sent(bytes.len());
        let mut deadline = asked + limits.dns;
        let mut buffer = vec![0; DATAGRAM];
        while let Ok(received) = timeout_at(deadline, socket.recv_from(&mut buffer)).await {
            let (length, from) = received.map_err(met)?;
            self.meter().received(length);
            let is_first = heard.replies.is_empty();
            heard.datagram(&buffer[..length], from, server, &query, asked.elapsed());
            if is_first && !heard.replies.is_empty() {
                deadline = Instant::now() + limits.late_dns;
            }
        }
        Ok(())
    }
}

pub(super) fn query(question: &Question) -> Result<Message, Fault> {
    let mut message = Message::query();
    message.metadata.id = rand::random();
    message.metadata.recursion_desired = question.recursive;
    message.add_query(question.query()?);
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD).set_version(0);
    message.set_edns(edns);
    Ok(message)
}

/// Everything that came back for one question.
pub(super) struct Heard {
    pub(super) seen: Dns,
    /// The bytes of every different reply, to know a datagram that the network doubled.
    replies: Vec<Vec<u8>>,
    doubled: u32,
    wrong_id: u32,
    wrong_address: u32,
    garbage: u32,
    truncated: bool,
    first: Option<Outcome>,
}

impl Heard {
    pub(super) fn new(seen: Dns) -> Self {
        let replies = Vec::new();
        Self { seen, replies, doubled: 0, wrong_id: 0, wrong_address: 0, garbage: 0, truncated: false, first: None }
    }

    pub(super) fn datagram(
        &mut self,
        bytes: &[u8],
        from: SocketAddr,
        server: SocketAddr,
        query: &Message,
        after: Duration,
    ) {
        if from != server {
            self.wrong_address += 1;
            return;
        }
        let Ok(message) = Message::from_vec(bytes) else {
            self.garbage += 1;
            return;
        };
        if message.metadata.id != query.metadata.id {
            self.wrong_id += 1;
        } else if !answers(&message, query) {
            self.garbage += 1;
        } else if self.replies.iter().any(|reply| reply == bytes) {
            self.doubled += 1;
        } else if self.replies.len() < REPLIES {
            self.replies.push(bytes.to_vec());
            if let Some(asked) = query.queries.first() {
                self.reply(&message, asked, after);
            }
        }
    }

    fn reply(&mut self, message: &Message, query: &Query, after: Duration) {
        let number = self.seen.replies;
        self.seen.replies += 1;
        let after_ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        let rows = rows(number, after_ms, message, query);
        if number == 0 {
            let rcode = message.metadata.response_code;
            self.seen.rcode = Some(rcode.into());
            self.truncated = message.metadata.truncation;
            self.first = Some(outcome(rcode, has_address(&rows, self.seen.query_type)));
        }
        self.seen.answers.extend(rows);
    }

    /// The outcome is the first reply's; without one, what came instead says more than that time ran out.
    pub(super) fn end(&self, result: Result<(), Fault>, deadline: Duration) -> (Outcome, Option<String>) {
        if let Some(outcome) = self.first {
            return (outcome, self.notes());
        }
        if let Err(fault) = result {
            return (fault.outcome, fault.detail);
        }
        let failure = match self {
            Self { garbage: 1.., .. } => Failure::DnsServerMisbehaving,
            Self { wrong_id: 1.., .. } => Failure::DnsReplyWithWrongQueryId,
            Self { wrong_address: 1.., .. } => Failure::DnsReplyFromWrongAddress,
            _ => Failure::GenericTimeoutError,
        };
        (Outcome::Failed(failure), self.notes().or_else(|| Some(Waited(deadline).to_string())))
    }

    fn notes(&self) -> Option<String> {
        let mut notes: Vec<String> = [
            (self.wrong_id, "with a wrong id"),
            (self.wrong_address, "from another address"),
            (self.garbage, "that could not be read or answered something else"),
            (self.doubled, "that repeated one byte for byte"),
        ]
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, what)| format!("{count} datagram(s) {what}"))
        .collect();
        if self.truncated {
            notes.push("the reply was truncated (TC)".to_owned());
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// Whether a message is a response to the very question; names compare without case, and a server that refuses may
/// leave the question out.
fn answers(message: &Message, query: &Message) -> bool {
    message.metadata.message_type == MessageType::Response
        && (message.queries.is_empty() || message.queries == query.queries)
}
