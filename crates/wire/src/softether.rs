//! `SoftEther`'s own protocol, inside TLS: the request that its clients begin with, and the packet in which the server says what
//! it is (`SoftEther` VPN, `Cedar/Protocol.c` and `Mayaqua/Pack.c`; sizes as measured, vpn reference, section 3.6).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::dialogue::{Answer, Dialogue, Turn, long};
use crate::http_head::Head;

/// Where servers listen, and the word that makes them answer.
const PATH: &str = "/vpnsvc/connect.cgi";
const WORD: &str = "VPNCONNECT";
/// The kind of content that a packet goes under.
const PACKET: &str = "application/octet-stream";
/// The element that every server's first packet has, and its type: text.
const HELLO: &[u8] = b"hello";
const TEXT: u32 = 2;
/// Elements and values that are read: a server's first packet has some five, of one value each.
const MOST: u32 = 64;
/// Octets of a packet that are waited for.
const LONGEST: usize = 16 * 1_024;

/// The client's side.
#[derive(Clone, Debug)]
pub struct Client {
    host: String,
}

impl Client {
    /// One for a server of this name.
    pub fn new(host: &str) -> Self {
        Self { host: host.into() }
    }
}

impl Dialogue for Client {
    fn opening(&self) -> Vec<u8> {
        let (host, length) = (&self.host, WORD.len());
        let fields = format!("Content-Type: image/jpeg\r\nConnection: Keep-Alive\r\nContent-Length: {length}\r\n");
        format!("POST {PATH} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n{WORD}").into_bytes()
    }

    fn hear(&mut self, heard: &[u8]) -> Turn {
        let response = match Head::read(heard) {
            Head::Response(response) => response,
            Head::More => return Turn::More,
            Head::Other => return Turn::Other,
        };
        let expected = response.body();
        if response.status != 200 || response.field("content-type") != Some(PACKET) || expected > LONGEST {
            return Turn::Other;
        }
        let end = response.length + expected;
        match heard.get(response.length..end) {
            None => Turn::More,
            Some(packet) if says_hello(packet) => Turn::end(Answer::Accepted, end),
            Some(_) => Turn::Other,
        }
    }
}

/// Whether a text of this name is among the elements of a packet.
fn says_hello(packet: &[u8]) -> bool {
    read_elements(packet).unwrap_or(false)
}

/// Elements one behind the other, each with its name's length plus one, name, type, and values; `None` where one is cut short.
fn read_elements(packet: &[u8]) -> Option<bool> {
    let mut rest = packet.get(4..)?;
    for _ in 0..long(packet, 0)?.min(MOST) {
        let length = usize::try_from(long(rest, 0)?.checked_sub(1)?).ok()?;
        let name = rest.get(4..)?.get(..length)?;
        rest = rest.get(4 + length..)?;
        let (kind, values) = (long(rest, 0)?, long(rest, 4)?);
        if name == HELLO && kind == TEXT {
            return Some(true);
        }
        rest = rest.get(8..)?;
        for _ in 0..values.min(MOST) {
            rest = rest.get(value_length(kind, rest)?..)?;
        }
    }
    Some(false)
}

/// Octets of a value: numbers have four or eight, all else says how many follow.
fn value_length(kind: u32, at: &[u8]) -> Option<usize> {
    match kind {
        0 => Some(4),
        4 => Some(8),
        1..=3 => usize::try_from(long(at, 0)?).ok()?.checked_add(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::tests::every_truncation_is_waited_for;

    fn element(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(name.len() + 1).unwrap().to_be_bytes();
        [&length[..], name.as_bytes(), &kind.to_be_bytes(), &1_u32.to_be_bytes(), value].concat()
    }

    fn packet(last: &str) -> Vec<u8> {
        let text = [&28_u32.to_be_bytes()[..], b"SoftEther VPN Server 5.01 (x"].concat();
        let elements = [
            element("random", 1, &[&20_u32.to_be_bytes()[..], &[7; 20]].concat()),
            element("version", 0, &501_u32.to_be_bytes()),
            element("time", 4, &[0; 8]),
            element(last, 2, &text),
        ];
        [&4_u32.to_be_bytes()[..], &elements.concat()].concat()
    }

    fn answer(body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {PACKET}\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_packet_that_says_hello_is_an_answer_and_every_truncation_is_waited_for() {
        let whole = answer(&packet("hello"));
        let turn = every_truncation_is_waited_for(&mut Client::new("a"), &whole);
        assert_eq!(turn, Turn::end(Answer::Accepted, whole.len()));
    }

    #[test]
    fn what_lies_about_its_lengths_or_says_something_else_is_none() {
        let hear = |octets: &[u8]| Client::new("a").hear(octets);
        assert_eq!(hear(&answer(&packet("error"))), Turn::Other);
        let own = packet("hello");
        for cut in 0..own.len() - 40 {
            assert_eq!(hear(&answer(&own[..cut])), Turn::Other, "cut at {cut}");
        }
        for at in [4, 22] {
            let mut long = own.clone();
            long[at] = 0xff;
            assert_eq!(hear(&answer(&long)), Turn::Other);
        }
        assert_eq!(hear(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n"), Turn::Other);
    }

    #[test]
    fn the_opening_is_a_post_of_the_word() {
        let opening = Client::new("vpn.example.net").opening();
        assert!(opening.starts_with(b"POST /vpnsvc/connect.cgi HTTP/1.1\r\nHost: vpn.example.net\r\n"));
        assert!(opening.ends_with(b"Content-Length: 10\r\n\r\nVPNCONNECT"));
    }
}
