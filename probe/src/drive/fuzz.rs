//! Ways for `fuzz/` to the parsers of this module; not in any build but cargo-fuzz's.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use faultline_record::{Engine, QueryType};

use super::dns::Question;
use super::tap::Passed;
use super::udp::{Heard, query};

/// What a tap keeps of a stream that comes in these pieces: the first bytes, and how many came.
pub fn passed(pieces: &[&[u8]]) -> Passed {
    let mut passed = Passed::default();
    for piece in pieces {
        passed.read(piece);
    }
    passed
}

/// What is kept of replies to one question, as many as are given: records and replies.
pub fn replies(datagrams: &[&[u8]]) -> (usize, u16) {
    let question = Question::new("x.example", QueryType::A);
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let Ok(mut query) = query(&question) else { return (0, 0) };
    query.metadata.id = 0x2a2a;
    let mut heard = Heard::new(question.unanswered(Engine::Udp, "fuzz"));
    for datagram in datagrams {
        heard.datagram(datagram, server, server, &query, Duration::ZERO);
    }
    let _ = heard.end(Ok(()), Duration::ZERO);
    (heard.seen.answers.len(), heard.seen.replies)
}
