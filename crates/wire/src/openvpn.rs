//! `OpenVPN`'s first messages: a client's reset and the server's answer, plain or wrapped with a static key (the protocol's
//! wire format, draft-openvpn-wire-protocol, sections 4 and 5; sizes as measured with `OpenVPN` 2.6). Codes and ciphers are
//! made elsewhere.

use alloc::vec::Vec;

/// `P_CONTROL_HARD_RESET_CLIENT_V2` and `_SERVER_V2`, five bits of opcode and three of key id, which is 0.
const CLIENT_RESET: u8 = 7 << 3;
const SERVER_RESET: u8 = 8 << 3;
/// `P_CONTROL_HARD_RESET_CLIENT_V3`: with the wrapped key of tls-crypt-v2 behind it.
pub(crate) const CLIENT_RESET_V3: u8 = 10 << 3;
/// The one thing that is said behind a server's reset: type, length and value of `EARLY_NEG_FLAGS` (the protocol's wire format,
/// draft-openvpn-wire-protocol, section 5.3), and the flag that asks for the wrapped key once more.
const EARLY_FLAGS: u16 = 1;
const KEY_AGAIN: u16 = 1;
/// Octets of a server's reset that acknowledges one message.
const RESET: usize = 26;
/// Octets of opcode and session id.
pub const HEAD: usize = 1 + SESSION;
/// Octets of packet id and time.
pub const STAMP: usize = 8;
/// Octets of the code of tls-crypt.
pub const TAG: usize = 32;
/// Octets of a session id.
const SESSION: usize = 8;

/// A client's first message: opcode, session id, no acknowledgments, message id 0.
pub fn client_reset(session: [u8; SESSION]) -> [u8; 14] {
    let mut message = [0; 14];
    message[0] = CLIENT_RESET;
    message[1..=SESSION].copy_from_slice(&session);
    message
}

/// The same as tls-crypt-v2 has it.
pub fn client_reset_v3(session: [u8; SESSION]) -> [u8; 14] {
    let mut message = client_reset(session);
    message[0] = CLIENT_RESET_V3;
    message
}

/// A packet id and a time, seconds, as wrapped messages carry them.
pub fn stamp(packet: u32, time: u32) -> [u8; STAMP] {
    let mut stamp = [0; STAMP];
    stamp[..4].copy_from_slice(&packet.to_be_bytes());
    stamp[4..].copy_from_slice(&time.to_be_bytes());
    stamp
}

/// A message in its parts, where tls-auth has put a code of `length` octets and a stamp behind the head.
pub fn authenticated(message: &[u8], length: usize) -> Option<Parts<'_>> {
    let (head, rest) = message.split_at_checked(HEAD)?;
    let (code, rest) = rest.split_at_checked(length)?;
    let (stamp, body) = rest.split_at_checked(STAMP)?;
    Some(Parts { head, stamp, code, body })
}

/// The same, where tls-crypt has put a stamp and a code there.
pub fn encrypted(message: &[u8]) -> Option<Parts<'_>> {
    let (head, rest) = message.split_at_checked(HEAD)?;
    let (stamp, rest) = rest.split_at_checked(STAMP)?;
    let (code, body) = rest.split_at_checked(TAG)?;
    Some(Parts { head, stamp, code, body })
}

/// A wrapped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Opcode and session id.
    pub head: &'a [u8],
    /// Packet id and time.
    pub stamp: &'a [u8],
    /// The code over it all.
    pub code: &'a [u8],
    /// What a plain message has behind the head; encrypted by tls-crypt.
    pub body: &'a [u8],
}

/// A message as TCP carries it: behind its length. Messages are shorter than 64 KiB; what is beyond is cut.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&message[..usize::from(length)]);
    frame
}

/// What a message in answer to a reset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server's reset, for this very session: nobody who has not seen the client's can make it.
    Reset,
    /// Anything else.
    Other,
}

/// Reads the answer to the reset of `session`: opcode, the server's session id, one acknowledgment (message 0), the client's
/// session id, message id 0.
pub fn answer(message: &[u8], session: [u8; SESSION]) -> Answer {
    let is_reset = message.first() == Some(&SERVER_RESET)
        && message.get(9..14) == Some(&[1, 0, 0, 0, 0])
        && message.get(14..22) == Some(&session)
        && message.len() >= RESET;
    if is_reset { Answer::Reset } else { Answer::Other }
}

/// Whether a server's reset asks for the wrapped key of tls-crypt-v2 once more, with the first packet of the control channel.
pub fn asks_for_key(message: &[u8]) -> bool {
    let mut rest = message.get(RESET..).unwrap_or_default();
    let number = |octets: &[u8], at: usize| Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]));
    while let (Some(kind), Some(length)) = (number(rest, 0), number(rest, 2)) {
        let Some(value) = rest.get(4..4 + usize::from(length)) else { return false };
        if kind == EARLY_FLAGS && length == 2 {
            return number(value, 0).is_some_and(|flags| flags & KEY_AGAIN != 0);
        }
        rest = &rest[4 + usize::from(length)..];
    }
    false
}

/// The message at the start of a TCP stream; `None` while it is not whole.
pub fn first_frame(stream: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*stream.first()?, *stream.get(1)?]));
    stream.get(2..2 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn reset() -> [u8; 26] {
        let mut message = [0; 26];
        message[0] = 0x40;
        message[1..9].copy_from_slice(&[9; 8]);
        message[9] = 1;
        message[14..22].copy_from_slice(&OURS);
        message
    }

    #[test]
    fn a_reset_has_the_octets_of_a_real_client_s() {
        assert_eq!(client_reset(OURS), [0x38, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0]);
        assert_eq!(framed(&client_reset(OURS))[..4], [0, 14, 0x38, 1]);
        assert_eq!(client_reset_v3(OURS)[..2], [0x50, 1]);
    }

    #[test]
    fn an_answer_is_one_to_this_session_and_every_truncation_is_none() {
        assert_eq!(answer(&reset(), OURS), Answer::Reset);
        assert_eq!(answer(&reset(), [7; 8]), Answer::Other);
        for cut in 0..26 {
            assert_eq!(answer(&reset()[..cut], OURS), Answer::Other, "cut at {cut}");
        }
    }

    #[test]
    fn a_reset_can_ask_for_the_key_once_more_and_every_truncation_does_not() {
        let asks = [&reset()[..], &[0, 9, 0, 1, 7], &[0, 1, 0, 2, 0, 1]].concat();
        assert!(asks_for_key(&asks) && !asks_for_key(&reset()));
        for cut in 0..asks.len() {
            assert!(!asks_for_key(&asks[..cut]), "cut at {cut}");
        }
        assert!(!asks_for_key(&[&reset()[..], &[0, 1, 0, 2, 0, 2]].concat()), "another flag");
        assert!(!asks_for_key(&[&reset()[..], &[0, 2, 0xff, 0xff]].concat()), "longer than it is");
    }

    #[test]
    fn a_wrapped_message_is_taken_apart_and_every_truncation_of_its_head_is_none() {
        let [head, code, stamp, body] = [&[1; 9][..], &[2; 20], &[3; 8], &[4; 5]];
        let expected = Parts { head, stamp, code, body };
        let message = [head, code, stamp, body].concat();
        assert_eq!(authenticated(&message, 20), Some(expected));
        let code = &[2; TAG][..];
        let crypted = [head, stamp, code, body].concat();
        assert_eq!(encrypted(&crypted), Some(Parts { code, ..expected }));
        for cut in 0..37 {
            assert_eq!(authenticated(&message[..cut], 20), None, "cut at {cut}");
        }
        for cut in 0..49 {
            assert_eq!(encrypted(&crypted[..cut]), None, "cut at {cut}");
        }
        assert_eq!(super::stamp(1, 0x0102_0304), [0, 0, 0, 1, 1, 2, 3, 4]);
    }

    #[test]
    fn a_frame_is_awaited_until_it_is_whole() {
        let stream: Vec<u8> = [&[0, 26][..], &reset()].concat();
        for cut in 0..28 {
            assert_eq!(first_frame(&stream[..cut]), None, "cut at {cut}");
        }
        assert_eq!(first_frame(&stream), Some(&reset()[..]));
    }
}
