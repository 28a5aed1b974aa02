//! SSTP, inside TLS: a request that turns HTTP into a stream, then the request for a call and what answers it (MS-SSTP, the
//! protocol's specification by Microsoft). No PPP follows, within which a login would stand.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::dialogue::{Answer, Dialogue, Turn, word};
use crate::http_head::Head;

/// Where every server has it, and the length that no body has (MS-SSTP section 3.2.4.1).
const PATH: &str = "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/";
const ENDLESS: &str = "18446744073709551615";
/// Version 1.0 and a message of control (section 2.2.1); types of messages (section 2.2.2).
const CONTROL: [u8; 2] = [0x10, 1];
const CONNECT_ACK: u16 = 2;
const CONNECT_NAK: u16 = 3;
/// A request for a call that carries PPP (sections 2.2.4 and 2.2.9), and the end of one (section 2.2.8).
const CONNECT: [u8; 14] = [0x10, 1, 0, 14, 0, 1, 0, 1, 0, 1, 0, 6, 0, 1];
const DISCONNECT: [u8; 8] = [0x10, 1, 0, 8, 0, 6, 0, 0];
/// Octets of a message's head, and the most that one has: its length has twelve bits.
const HEADER: usize = 6;
const LONGEST: usize = 0x0fff;

/// The client's side.
#[derive(Clone, Debug)]
pub struct Client {
    host: String,
    correlation: [u8; 16],
    is_stream: bool,
}

impl Client {
    /// One for a server of this name, with a number that tells its calls apart.
    pub fn new(host: &str, correlation: [u8; 16]) -> Self {
        Self { host: host.into(), correlation, is_stream: false }
    }

    /// The number as Microsoft writes such.
    fn guid(&self) -> String {
        let digits = format!("{:032X}", u128::from_be_bytes(self.correlation));
        let part = |range| digits.get(range).unwrap_or_default();
        format!("{{{}-{}-{}-{}-{}}}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
    }

    fn agreed(&mut self, heard: &[u8]) -> Turn {
        match Head::read(heard) {
            Head::More => Turn::More,
            // The same endless length comes back: a web server that knows nothing of SSTP says another.
            Head::Response(response) if response.status == 200 && response.field("content-length") == Some(ENDLESS) => {
                self.is_stream = true;
                Turn::Next { spent: response.length, send: CONNECT.to_vec() }
            }
            Head::Response(_) | Head::Other => Turn::Other,
        }
    }
}

impl Dialogue for Client {
    fn opening(&self) -> Vec<u8> {
        let (host, guid) = (&self.host, self.guid());
        // In the order of Debian's client.
        let head = format!("SSTP_DUPLEX_POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {ENDLESS}\r\n");
        format!("{head}SSTPCORRELATIONID: {guid}\r\n\r\n").into_bytes()
    }

    fn hear(&mut self, heard: &[u8]) -> Turn {
        if self.is_stream { called(heard) } else { self.agreed(heard) }
    }
}

/// The answer to the request for a call.
fn called(heard: &[u8]) -> Turn {
    let seen = heard.len().min(CONTROL.len());
    if heard[..seen] != CONTROL[..seen] {
        return Turn::Other;
    }
    let (Some(length), Some(kind)) = (word(heard, 2).map(usize::from), word(heard, 4)) else { return Turn::More };
    let answer = match kind {
        CONNECT_ACK => Answer::Accepted,
        CONNECT_NAK => Answer::Refused,
        _ => return Turn::Other,
    };
    match length {
        HEADER..=LONGEST if heard.len() < length => Turn::More,
        HEADER..=LONGEST => Turn::End { answer, spent: length, farewell: DISCONNECT.to_vec() },
        _ => Turn::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::tests::every_truncation_is_waited_for;

    fn client() -> Client {
        Client::new("127.0.0.1", [0x71; 16])
    }

    #[test]
    fn the_opening_is_debian_s_client_s_with_a_whole_number() {
        // Captured: sstpc 1.0.18, which leaves a part of the number out.
        let captured = "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\
            Content-Length: 18446744073709551615\r\nSSTPCORRELATIONID: {71985C0C-6FDE-1D3A-6196AFB2}\r\n\r\n";
        let opening = String::from_utf8(client().opening()).unwrap();
        let number = "{71717171-7171-7171-7171-717171717171}";
        assert_eq!(opening, captured.replace("{71985C0C-6FDE-1D3A-6196AFB2}", number));
    }

    #[test]
    fn a_server_turns_into_a_stream_and_takes_the_call() {
        let mut client = client();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\nServer: SSTP-Server/0.6.0\r\n\r\n";
        let turn = every_truncation_is_waited_for(&mut client, head);
        assert_eq!(turn, Turn::Next { spent: head.len(), send: CONNECT.to_vec() });
        let mut taken = [0x10, 1, 0, 48, 0, 2, 0, 1].to_vec();
        taken.resize(48, 7);
        let turn = every_truncation_is_waited_for(&mut client, &taken);
        assert_eq!(turn, Turn::End { answer: Answer::Accepted, spent: 48, farewell: DISCONNECT.to_vec() });
        let turn = client.hear(&[0x10, 1, 0, 6, 0, 3]);
        assert!(matches!(turn, Turn::End { answer: Answer::Refused, .. }), "{turn:?}");
    }

    #[test]
    fn a_web_server_is_none() {
        for text in
            ["HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n"]
        {
            assert_eq!(client().hear(text.as_bytes()), Turn::Other, "{text}");
        }
        for odd in [&[0x10, 2][..], &[0x10, 1, 0, 5, 0, 2], &[0x10, 1, 0x10, 0, 0, 2], &[0x10, 1, 0, 8, 0, 6, 0, 0]] {
            assert_eq!(Client { is_stream: true, ..client() }.hear(odd), Turn::Other, "{odd:?}");
        }
    }
}
