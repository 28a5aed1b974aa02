//! SOCKS version 5 (RFC 1928): the greeting of a client that has no login, and, where none is wanted, the request for a
//! connection. Nothing is encrypted: whoever is on the way reads where it leads.

use alloc::string::String;
use alloc::vec::Vec;

use crate::dialogue::{Answer, Dialogue, Turn};

/// The version; the method without a login, and no method at all (RFC 1928 section 3).
const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const NO_METHOD: u8 = 0xff;
/// A connection, to a name (section 4).
const CONNECT: u8 = 1;
/// Kinds of addresses, and the octets of each (section 5).
const V4: (u8, usize) = (1, 4);
const NAME: u8 = 3;
const V6: (u8, usize) = (4, 16);
/// The last of the replies that are defined (section 6); 0 is success.
const LAST_REPLY: u8 = 8;

/// The client's side.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where a connection is asked for to, if none has to log in.
    host: String,
    port: u16,
    is_greeted: bool,
}

impl Client {
    /// One that asks for a connection to this name, of at most 255 octets.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port, is_greeted: false }
    }

    fn connect(&self) -> Vec<u8> {
        let length = u8::try_from(self.host.len()).unwrap_or(u8::MAX);
        let name = &self.host.as_bytes()[..usize::from(length)];
        [&[VERSION, CONNECT, 0, NAME, length][..], name, &self.port.to_be_bytes()].concat()
    }

    fn greeted(&mut self, heard: &[u8]) -> Turn {
        match heard {
            [] | [VERSION] => Turn::More,
            [VERSION, NO_LOGIN, ..] => {
                self.is_greeted = true;
                Turn::Next { spent: 2, send: self.connect() }
            }
            [VERSION, NO_METHOD, ..] => Turn::end(Answer::WantsLogin, 2),
            _ => Turn::Other,
        }
    }
}

impl Dialogue for Client {
    fn opening(&self) -> Vec<u8> {
        [VERSION, 1, NO_LOGIN].to_vec()
    }

    fn hear(&mut self, heard: &[u8]) -> Turn {
        if self.is_greeted { connected(heard) } else { self.greeted(heard) }
    }
}

/// The reply to the request, whose length its address tells.
fn connected(heard: &[u8]) -> Turn {
    let odd = |at: usize, wrong: fn(u8) -> bool| heard.get(at).is_some_and(|octet| wrong(*octet));
    if odd(0, |octet| octet != VERSION) || odd(1, |octet| octet > LAST_REPLY) || odd(2, |octet| octet != 0) {
        return Turn::Other;
    }
    let address = match heard.get(3..5) {
        Some(&[kind, _]) if kind == V4.0 => V4.1,
        Some(&[kind, _]) if kind == V6.0 => V6.1,
        Some(&[NAME, length]) => 1 + usize::from(length),
        Some(_) => return Turn::Other,
        None => return Turn::More,
    };
    let length = 4 + address + 2;
    let answer = if heard[1] == 0 { Answer::Accepted } else { Answer::Refused };
    if heard.len() < length { Turn::More } else { Turn::end(answer, length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::tests::every_truncation_is_waited_for;

    fn client() -> Client {
        Client::new("example.com", 443)
    }

    #[test]
    fn a_greeting_offers_no_login_and_a_request_names_the_host() {
        let mut client = client();
        assert_eq!(client.opening(), [5, 1, 0]);
        let turn = every_truncation_is_waited_for(&mut client, &[5, 0]);
        let wanted = [&[5, 1, 0, 3, 11][..], b"example.com", &[1, 0xbb]].concat();
        assert_eq!(turn, Turn::Next { spent: 2, send: wanted });
    }

    #[test]
    fn a_connection_of_each_kind_of_address_is_an_answer_and_so_is_a_refusal() {
        for (reply, answer) in [
            (&[5, 0, 0, 1, 127, 0, 0, 1, 1, 0xbb][..], Answer::Accepted),
            (&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0], Answer::Refused),
            (&[5, 0, 0, 3, 1, b'a', 0, 80], Answer::Accepted),
            (&[5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80], Answer::Accepted),
        ] {
            let mut client = Client { is_greeted: true, ..client() };
            assert_eq!(every_truncation_is_waited_for(&mut client, reply), Turn::end(answer, reply.len()));
        }
    }

    #[test]
    fn a_server_that_wants_a_login_speaks_the_protocol_and_one_of_another_version_does_not() {
        assert_eq!(client().hear(&[5, 0xff]), Turn::end(Answer::WantsLogin, 2));
        for odd in [&[4, 0][..], &[5, 2], &[0, 90], b"HTTP/1.1 400"] {
            assert_eq!(client().hear(odd), Turn::Other);
        }
        for odd in [&[4][..], &[5, 9], &[5, 0, 1], &[5, 0, 0, 2, 0]] {
            assert_eq!(Client { is_greeted: true, ..client() }.hear(odd), Turn::Other);
        }
    }
}
