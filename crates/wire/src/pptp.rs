//! PPTP's control connection (RFC 2637): its start, echoes over it, its stop. No call is made: behind one stands a login.
//! Whether GRE, which carries the payload, gets through is another matter, and nobody without privileges can try it.

use alloc::vec::Vec;

use crate::dialogue::{Answer, Dialogue, Turn, long, word};

/// The cookie in every message (RFC 2637 section 2).
const COOKIE: u32 = 0x1a2b_3c4d;
/// A message of the control connection, not of its management (section 1.4).
const CONTROL: u16 = 1;
/// Types of messages (section 1.4).
const START_REQUEST: u16 = 1;
const START_REPLY: u16 = 2;
const STOP_REQUEST: u16 = 3;
const ECHO_REQUEST: u16 = 5;
const ECHO_REPLY: u16 = 6;
/// Octets of a start's request and of its reply (sections 2.1 and 2.2), and of an echo's reply (section 2.6).
const START: usize = 156;
const ECHO: usize = 20;
/// Octets of names in a start.
const NAME: usize = 64;
/// Version 1.0 (section 2.1); the revision of the software is anybody's choice.
const VERSION: u16 = 0x0100;
const FIRMWARE: u16 = 1;
/// What the start may end with, of good and of bad (section 2.2): 1 is success, 2 to 5 are errors.
const SUCCESS: u8 = 1;
const LAST_ERROR: u8 = 5;
/// How many echoes are asked for: ten messages of ours in all, by which filters that look at whole flows have seen enough
/// (vpn reference, finding 8).
const ECHOES: u32 = 8;

/// The client's side.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Echoes that were asked for; `None` before the start is answered.
    echoes: Option<u32>,
}

impl Dialogue for Client {
    fn opening(&self) -> Vec<u8> {
        start()
    }

    fn hear(&mut self, heard: &[u8]) -> Turn {
        let (wanted, kind) = if self.echoes.is_none() { (START, START_REPLY) } else { (ECHO, ECHO_REPLY) };
        if !agrees(heard, wanted, kind) {
            return Turn::Other;
        }
        match (heard.get(..wanted), self.echoes) {
            (None, _) => Turn::More,
            (Some(reply), None) => self.started(reply[14]),
            (Some(reply), Some(echoes)) => self.echoed(echoes, reply),
        }
    }
}

impl Client {
    fn started(&mut self, result: u8) -> Turn {
        match result {
            SUCCESS => self.ask(1, START),
            2..=LAST_ERROR => Turn::end(Answer::Refused, START),
            _ => Turn::Other,
        }
    }

    fn echoed(&mut self, echoes: u32, reply: &[u8]) -> Turn {
        match long(reply, 12) {
            Some(id) if id != echoes => Turn::Other,
            _ if echoes < ECHOES => self.ask(echoes + 1, ECHO),
            _ => Turn::End { answer: Answer::Accepted, spent: ECHO, farewell: stop() },
        }
    }

    fn ask(&mut self, number: u32, spent: usize) -> Turn {
        self.echoes = Some(number);
        Turn::Next { spent, send: message(ECHO_REQUEST, &number.to_be_bytes()) }
    }
}

/// Whether what came so far can be a message of this length and type.
fn agrees(heard: &[u8], length: usize, kind: u16) -> bool {
    let is = |at, wanted: u16| word(heard, at).is_none_or(|found| found == wanted);
    let cookie = long(heard, 4).is_none_or(|found| found == COOKIE);
    is(0, u16::try_from(length).unwrap_or(u16::MAX)) && is(2, CONTROL) && cookie && is(8, kind)
}

/// A message of this type, its reserved octets included.
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + body.len()).unwrap_or(u16::MAX);
    let head = [length.to_be_bytes(), CONTROL.to_be_bytes()].concat();
    [&head[..], &COOKIE.to_be_bytes(), &kind.to_be_bytes(), &[0, 0], body].concat()
}

/// The request for a start: both kinds of framing and of bearers, any number of channels, and the names that the client of
/// Linux gives (section 2.1).
fn start() -> Vec<u8> {
    let numbers = [&VERSION.to_be_bytes()[..], &[0, 0], &3_u32.to_be_bytes(), &3_u32.to_be_bytes()].concat();
    let channels = [u16::MAX.to_be_bytes(), FIRMWARE.to_be_bytes()].concat();
    message(START_REQUEST, &[numbers, channels, name(b"local"), name(b"cananian")].concat())
}

/// A name, filled up with zeros.
fn name(text: &[u8]) -> Vec<u8> {
    let mut field = text.to_vec();
    field.resize(NAME, 0);
    field
}

/// The request for a stop: no reason but that it is wanted (section 2.3).
fn stop() -> Vec<u8> {
    message(STOP_REQUEST, &[1, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::tests::every_truncation_is_waited_for;

    /// The reply of a server, as pptpd 1.4.0 makes it: two channels, host "local", vendor "linux".
    fn reply(result: u8) -> Vec<u8> {
        let body = [&VERSION.to_be_bytes()[..], &[result, 0], &[0, 0, 0, 0], &[0, 0, 0, 0], &[0, 1, 0, 1]].concat();
        message(START_REPLY, &[body, name(b"local"), name(b"linux")].concat())
    }

    fn echo(id: u32) -> Vec<u8> {
        message(ECHO_REPLY, &[&id.to_be_bytes()[..], &[1, 0, 0, 0]].concat())
    }

    #[test]
    fn the_opening_is_what_the_client_of_linux_sends() {
        // Captured: pptp-linux 1.10 against a socket of ours; two names of 64 octets end it.
        let head = [
            0x00, 0x9c, 0x00, 0x01, 0x1a, 0x2b, 0x3c, 0x4d, 0x00, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x03, 0x00, 0x00, 0x00, 0x03, 0xff, 0xff, 0x00, 0x01,
        ];
        let opening = Client::default().opening();
        assert_eq!((opening.len(), &opening[..28]), (START, &head[..]));
        assert_eq!((&opening[28..34], &opening[92..101]), (&b"local\0"[..], &b"cananian\0"[..]));
    }

    #[test]
    fn a_server_starts_and_echoes_as_often_as_it_is_asked_to() {
        let mut client = Client::default();
        let mut turn = every_truncation_is_waited_for(&mut client, &reply(SUCCESS));
        for id in 1..=ECHOES {
            let Turn::Next { send, .. } = turn else { panic!("{turn:?}") };
            assert_eq!((send.len(), word(&send, 8), long(&send, 12)), (16, Some(ECHO_REQUEST), Some(id)));
            turn = every_truncation_is_waited_for(&mut client, &echo(id));
        }
        let Turn::End { answer, farewell, .. } = turn else { panic!("{turn:?}") };
        assert_eq!((answer, farewell.len(), word(&farewell, 8)), (Answer::Accepted, 16, Some(STOP_REQUEST)));
    }

    #[test]
    fn a_refusal_is_an_answer_and_what_is_odd_is_none() {
        assert_eq!(Client::default().hear(&reply(2)), Turn::end(Answer::Refused, START));
        assert_eq!(Client::default().hear(&reply(0)), Turn::Other);
        assert_eq!(Client::default().hear(b"HTTP/1.1 400 Bad Request"), Turn::Other);
        for (at, octet) in [(1, 0x9d), (3, 2), (7, 0), (9, 1)] {
            let mut wrong = reply(SUCCESS);
            wrong[at] = octet;
            assert_eq!(Client::default().hear(&wrong), Turn::Other, "octet {at}");
        }
        let mut client = Client::default();
        client.hear(&reply(SUCCESS));
        assert_eq!(client.hear(&echo(7)), Turn::Other, "the echo of something else");
    }
}
