//! `WireGuard`'s messages as frames: what is sealed in them is made and opened elsewhere (Donenfeld, "`WireGuard`: Next
//! Generation Kernel Network Tunnel", section 5.4; sizes as measured with wireguard-go, vpn reference, section 3.2).

use alloc::vec::Vec;

/// Octets of the sealed part of an initiation: ephemeral key, sealed static key, sealed time stamp.
pub const INITIATION_SEALED: usize = 108;
/// Octets of an initiation.
pub const INITIATION: usize = 148;
/// Octets of an initiation that its first code covers.
pub const SIGNED: usize = 116;
/// Octets of a message authentication code.
pub const CODE: usize = 16;
/// Octets of a time stamp.
pub const STAMP: usize = 12;
/// A sealed packet is padded to a multiple of this (section 5.4.6).
const PADDED_TO: usize = 16;
/// Octets before what is sealed in a message with data.
const DATA_HEADER: usize = 16;
/// TAI64's label of 1970-01-01 00:00:10 TAI, which is where Unix time begins (Bernstein, "TAI64, TAI64N, and TAI64NA"; leap
/// seconds since are left out, as by `WireGuard` itself).
const TAI64_EPOCH: u64 = 0x4000_0000_0000_000a;
/// Nanoseconds are rounded down to a multiple of this, so that they betray no timing (wireguard-go, `tai64n`).
const WHITENED: u32 = 1 << 24;

/// A first message, with both of its codes still empty.
pub fn initiation(sender: u32, sealed: &[u8; INITIATION_SEALED]) -> [u8; INITIATION] {
    let mut message = [0; INITIATION];
    message[0] = 1;
    message[4..8].copy_from_slice(&sender.to_le_bytes());
    message[8..SIGNED].copy_from_slice(sealed);
    message
}

/// Puts in the first code, which is made over the octets before it ([`SIGNED`]).
pub fn sign(message: &mut [u8; INITIATION], code: [u8; CODE]) {
    message[SIGNED..SIGNED + CODE].copy_from_slice(&code);
}

/// A message with data for the peer that calls the session `receiver`.
pub fn data(receiver: u32, counter: u64, sealed: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DATA_HEADER + sealed.len());
    message.extend_from_slice(&[4, 0, 0, 0]);
    message.extend_from_slice(&receiver.to_le_bytes());
    message.extend_from_slice(&counter.to_le_bytes());
    message.extend_from_slice(sealed);
    message
}

/// A packet as it is sealed: padded.
pub fn padded(packet: &[u8]) -> Vec<u8> {
    let mut padded = packet.to_vec();
    padded.resize(packet.len().next_multiple_of(PADDED_TO), 0);
    padded
}

/// A time stamp (TAI64N), from a Unix time in seconds and nanoseconds.
pub fn stamp(seconds: u64, nanoseconds: u32) -> [u8; STAMP] {
    let mut stamp = [0; STAMP];
    stamp[..8].copy_from_slice(&TAI64_EPOCH.wrapping_add(seconds).to_be_bytes());
    stamp[8..].copy_from_slice(&(nanoseconds / WHITENED * WHITENED).to_be_bytes());
    stamp
}

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The answer to an initiation.
    Response {
        /// What the server calls the session.
        sender: u32,
        /// What the client called it.
        receiver: u32,
        /// Ephemeral key and an empty text, sealed.
        sealed: &'a [u8; 48],
    },
    /// A server under load asks for proof of the address.
    Cookie {
        /// What the client called the session.
        receiver: u32,
        /// Of the seal.
        nonce: &'a [u8; 24],
        /// The cookie, sealed.
        sealed: &'a [u8; 32],
    },
    /// A packet.
    Data {
        /// What the client called the session.
        receiver: u32,
        /// Of the seal.
        counter: u64,
        /// The packet, sealed.
        sealed: &'a [u8],
    },
}

/// Reads a datagram of a server's; `None` unless it is exactly one of its messages.
pub fn read(datagram: &[u8]) -> Option<Message<'_>> {
    let word = |at: usize| Some(u32::from_le_bytes(datagram.get(at..at + 4)?.try_into().ok()?));
    match (word(0)?, datagram.len()) {
        (2, 92) => {
            let sealed = datagram.get(12..60)?.try_into().ok()?;
            Some(Message::Response { sender: word(4)?, receiver: word(8)?, sealed })
        }
        (3, 64) => {
            let (nonce, sealed) = (datagram.get(8..32)?.try_into().ok()?, datagram.get(32..64)?.try_into().ok()?);
            Some(Message::Cookie { receiver: word(4)?, nonce, sealed })
        }
        (4, 32..) if datagram.len().is_multiple_of(PADDED_TO) => {
            let counter = u64::from_le_bytes(datagram.get(8..16)?.try_into().ok()?);
            Some(Message::Data { receiver: word(4)?, counter, sealed: datagram.get(DATA_HEADER..)? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_first_message_is_type_1_with_its_session_and_both_codes_last() {
        let mut message = initiation(0x0403_0201, &[7; INITIATION_SEALED]);
        assert_eq!(message[..9], [1, 0, 0, 0, 1, 2, 3, 4, 7]);
        assert_eq!(message[115..], [&[7][..], &[0; 32]].concat());
        sign(&mut message, [9; CODE]);
        assert_eq!(message[SIGNED..], [[9; 16], [0; 16]].concat());
    }

    #[test]
    fn each_message_of_a_server_is_read_and_every_other_length_is_none() {
        let response = [&[2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0][..], &[5; 48], &[0; 32]].concat();
        let cookie = [&[3, 0, 0, 0, 2, 0, 0, 0][..], &[6; 24], &[7; 32]].concat();
        let expected = [
            Message::Response { sender: 1, receiver: 2, sealed: &[5; 48] },
            Message::Cookie { receiver: 2, nonce: &[6; 24], sealed: &[7; 32] },
        ];
        for (message, expected) in [response, cookie].into_iter().zip(expected) {
            assert_eq!(read(&message), Some(expected));
            for cut in 0..message.len() {
                assert_eq!(read(&message[..cut]), None, "cut at {cut}");
            }
            assert_eq!(read(&[&message[..], &[0]].concat()), None);
            let mut reserved = message.clone();
            reserved[1] = 1;
            assert_eq!(read(&reserved), None, "reserved octets are zero");
        }
    }

    #[test]
    fn data_goes_both_ways_and_is_at_least_an_empty_packet() {
        let message = data(2, 0x0102, &[8; 16]);
        assert_eq!(message[..16], [4, 0, 0, 0, 2, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&message), Some(Message::Data { receiver: 2, counter: 0x0102, sealed: &[8; 16] }));
        for cut in 0..32 {
            assert_eq!(read(&message[..cut]), None, "cut at {cut}");
        }
        assert_eq!(read(&data(2, 0, &[8; 17])), None);
    }

    #[test]
    fn packets_are_padded_to_sixteen_octets_and_an_empty_one_stays_empty() {
        assert_eq!((padded(&[]).len(), padded(&[1]).len(), padded(&[1; 32]).len()), (0, 16, 32));
        assert_eq!(padded(&[1, 2])[..3], vec![1, 2, 0]);
    }

    #[test]
    fn a_stamp_counts_from_ten_seconds_on_and_hides_its_last_24_bits() {
        assert_eq!(stamp(0, 0), [0x40, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0]);
        assert_eq!(stamp(1, 999_999_999)[7..], [0x0b, 0x3b, 0, 0, 0]);
        assert!(stamp(1_800_000_000, 20_000_000) > stamp(1_800_000_000, 0), "20 ms later is later");
    }
}
