//! `OpenVPN`'s data channel with ciphers that authenticate: the layout of its packets, and what its sides say to each other
//! there beside what they carry (draft-openvpn-wire-protocol, section 8). Ciphers are elsewhere.

use alloc::vec::Vec;

/// `P_DATA_V1` and `P_DATA_V2` with key id 0.
const V1: u8 = 6 << 3;
const V2: u8 = 9 << 3;
/// Octets of the packet's number, which is the first part of its nonce.
pub const NUMBER: usize = 4;
/// Octets of the code.
pub const TAG: usize = 16;
/// What either side sends where it has nothing else to: octets that no packet of the internet begins with.
pub const PING: [u8; 16] =
    [0x2a, 0x18, 0x7b, 0xf3, 0x64, 0x1e, 0xb4, 0xcb, 0x07, 0xed, 0x2d, 0x0a, 0x98, 0x1f, 0xc7, 0x48];
/// A question for the other side's options, which every version 2 answers: a mark, and the kind of the message, 0.
pub const OPTIONS_QUESTION: [u8; 17] =
    [0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81, 0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c, 0];

/// Whether a message is of the data channel.
pub fn is_data(message: &[u8]) -> bool {
    message.first().is_some_and(|opcode| matches!(opcode & 0xf8, V1 | V2))
}

/// The head of a packet, up to its number: with the number that the server knows the client by, if it has given one.
pub fn head(peer: Option<u32>, number: u32) -> Vec<u8> {
    let mut head = match peer {
        Some(peer) => (u32::from(V2) << 24 | peer & 0x00ff_ffff).to_be_bytes().to_vec(),
        None => [V1].to_vec(),
    };
    head.extend_from_slice(&number.to_be_bytes());
    head
}

/// What of a head is covered by the code: all of it, or the number alone in the older form.
pub fn covered(head: &[u8]) -> &[u8] {
    if head.first() == Some(&V1) { &head[1..] } else { head }
}

/// A packet in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Up to its number.
    pub head: &'a [u8],
    /// Its number.
    pub number: [u8; NUMBER],
    /// The code.
    pub tag: &'a [u8],
    /// What is encrypted.
    pub body: &'a [u8],
}

/// Takes a packet with key id 0 apart; `None` if it is no whole one.
pub fn parts(message: &[u8]) -> Option<Parts<'_>> {
    let length = match *message.first()? {
        V1 => 1 + NUMBER,
        V2 => 4 + NUMBER,
        _ => return None,
    };
    let (head, rest) = message.split_at_checked(length)?;
    let (tag, body) = rest.split_at_checked(TAG)?;
    Some(Parts { head, number: *head.last_chunk()?, tag, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_taken_apart_as_it_was_made_and_every_truncation_of_its_head_is_none() {
        for (peer, length) in [(Some(0x0102_0304), 8), (None, 5)] {
            let head = head(peer, 7);
            assert_eq!(head.len(), length);
            let message = [&head[..], &[5; TAG], &[6; 9]].concat();
            assert!(is_data(&message));
            let expected = Parts { head: &head, number: [0, 0, 0, 7], tag: &[5; TAG], body: &[6; 9] };
            assert_eq!(parts(&message), Some(expected));
            for cut in 0..length + TAG {
                assert_eq!(parts(&message[..cut]), None, "cut at {cut}");
            }
        }
        assert_eq!(head(Some(0x0102_0304), 7)[..4], [0x48, 2, 3, 4], "a peer's id has three octets");
        assert_eq!(covered(&head(Some(1), 7)).len(), 8);
        assert_eq!(covered(&head(None, 7)), [0, 0, 0, 7]);
        assert!(!is_data(&[0x20]) && !is_data(&[]));
        assert_eq!(parts(&[0x4a; 40]), None, "another key");
    }
}
