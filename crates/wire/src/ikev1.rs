//! IKE version 1: the first message of main mode (RFC 2409 section 5; RFC 2408) with the vendor ids without which some servers
//! are silent, and what answers it. Aggressive mode is never used: its answer gives away what a password can be guessed from.

use alloc::vec::Vec;

use crate::ike::{HEADER, message, payload};

/// Payloads (RFC 2408 section 3.1): security association, notification, vendor's id.
const SA: u8 = 1;
const NOTIFICATION: u8 = 11;
const VENDOR: u8 = 13;
/// Version 1.0; main mode, which ISAKMP calls identity protection; an exchange that only informs.
const VERSION: u8 = 0x10;
const MAIN_MODE: u8 = 2;
const INFORMATIONAL: u8 = 5;
/// The domain of IPsec, and the situation in which identities are enough (RFC 2407 sections 4.2 and 4.6.1).
const DOMAIN_AND_SITUATION: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Transforms: cipher and its key's bits, hash, group (RFC 2409 appendix A): AES-256, SHA-1, 2048 bits, which servers of the last
/// twenty years accept; 3DES, SHA-1, 1024 bits, for what is older.
const TRANSFORMS: [(u16, Option<u16>, u16, u16); 2] = [(7, Some(256), 2, 14), (5, None, 2, 2)];
/// A key that both know, and seconds, 28,800 of them (RFC 2409 appendix A).
const PRE_SHARED: u16 = 1;
const SECONDS: u16 = 1;
const LIFE: u16 = 28_800;
/// Vendor ids: NAT traversal of RFC 3947 and of its drafts 02 and 03, and dead peer detection (RFC 3706).
const VENDORS: [[u8; 16]; 4] = [
    [0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45, 0x2f],
    [0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d, 0x92, 0x15, 0x52, 0x9d, 0x56],
    [0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81, 0xb5, 0xec, 0x42, 0x7b, 0x1f],
    [0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01, 0x00],
];

/// A first message with this initiator's cookie.
pub fn request(cookie: [u8; 8]) -> Vec<u8> {
    let mut payloads = payload(VENDOR, &[&DOMAIN_AND_SITUATION[..], &payload(0, &proposal())].concat());
    for (number, vendor) in VENDORS.iter().enumerate() {
        let next = if number + 1 < VENDORS.len() { VENDOR } else { 0 };
        payloads.extend(payload(next, vendor));
    }
    message(cookie, [SA, VERSION, MAIN_MODE, 0], &payloads)
}

/// Proposal 1 for ISAKMP itself, without an index (RFC 2408 section 3.5).
fn proposal() -> Vec<u8> {
    let count = u8::try_from(TRANSFORMS.len()).unwrap_or(u8::MAX);
    let mut proposal = [1, 1, 0, count].to_vec();
    for (number, transform) in (1..).zip(TRANSFORMS) {
        let next = if number < count { 3 } else { 0 };
        proposal.extend(payload(next, &self::transform(number, transform)));
    }
    proposal
}

/// A transform: its number, `KEY_IKE` (RFC 2407 section 4.4.2), and attributes in the short form.
fn transform(number: u8, (cipher, bits, hash, group): (u16, Option<u16>, u16, u16)) -> Vec<u8> {
    let fixed = [(1, cipher), (2, hash), (3, PRE_SHARED), (4, group), (11, SECONDS), (12, LIFE)];
    let all = fixed.into_iter().chain(bits.map(|bits| (14, bits)));
    let attributes = all.flat_map(|(kind, value): (u16, u16)| [(0x8000 | kind).to_be_bytes(), value.to_be_bytes()]);
    [number, 1, 0, 0].into_iter().chain(attributes.flatten()).collect()
}

/// What a message in answer to the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server's choice.
    Chosen,
    /// A notification of this type (RFC 2408 section 3.14.1): 14 no proposal chosen, ...
    Notified(u16),
    /// Anything else.
    Other,
}

/// Reads the answer to the request with this cookie.
pub fn answer(message: &[u8], cookie: [u8; 8]) -> Answer {
    let is_answer = message.len() >= HEADER && message[..8] == cookie && message[17] == VERSION;
    match (message.get(16), message.get(18)) {
        (Some(&SA), Some(&MAIN_MODE)) if is_answer && message[8..16] != [0; 8] => Answer::Chosen,
        // Generic header, domain, protocol, length of an index that may be there, and the type.
        (Some(&NOTIFICATION), Some(&INFORMATIONAL)) if is_answer => match message.get(HEADER + 10..HEADER + 12) {
            Some(&[high, low]) => Answer::Notified(u16::from_be_bytes([high, low])),
            _ => Answer::Other,
        },
        _ => Answer::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; 8] = *b"12345678";

    #[test]
    fn a_request_says_how_long_it_and_its_payloads_are_and_ends_with_the_vendors() {
        let request = request(COOKIE);
        assert_eq!((&request[..8], &request[8..20]), (&COOKIE[..], &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0x10, 2, 0][..]));
        assert_eq!(u32::from_be_bytes(request[24..28].try_into().unwrap()) as usize, request.len());
        let (mut at, mut next, mut seen) = (28, request[16], Vec::new());
        while next != 0 {
            seen.push(next);
            next = request[at];
            at += usize::from(u16::from_be_bytes([request[at + 2], request[at + 3]]));
        }
        assert_eq!((seen, at), (alloc::vec![1, 13, 13, 13, 13], request.len()));
        assert!(request.windows(16).any(|octets| octets == VENDORS[0]));
    }

    #[test]
    fn a_transform_is_as_the_registry_numbers_it() {
        // AES (1 is 7) with 256 bits (14), SHA-1 (2 is 2), a shared key (3 is 1), group 14 (4), 28,800 (12) seconds (11 is 1).
        let wanted = [
            1, 1, 0, 0, 0x80, 1, 0, 7, 0x80, 2, 0, 2, 0x80, 3, 0, 1, 0x80, 4, 0, 14, 0x80, 11, 0, 1, 0x80, 12, 0x70,
            0x80, 0x80, 14, 1, 0,
        ];
        assert_eq!(transform(1, TRANSFORMS[0]), wanted);
    }

    fn response(first: u8, exchange: u8, rest: &[u8]) -> Vec<u8> {
        [&COOKIE[..], &[5; 8], &[first, 0x10, exchange, 0, 0, 0, 0, 0, 0, 0, 0, 0], rest].concat()
    }

    #[test]
    fn every_answer_is_known_and_every_truncation_is_none() {
        let refusal = response(11, 5, &[0, 0, 0, 12, 0, 0, 0, 1, 1, 0, 0, 14]);
        assert_eq!(answer(&refusal, COOKIE), Answer::Notified(14));
        assert_eq!(answer(&response(1, 2, &[0; 40]), COOKIE), Answer::Chosen);
        assert_eq!(answer(&refusal, *b"87654321"), Answer::Other);
        for cut in 0..refusal.len() {
            assert_eq!(answer(&refusal[..cut], COOKIE), Answer::Other, "cut at {cut}");
        }
        // Our own request, echoed; version 2's answer.
        assert_eq!(answer(&request(COOKIE), COOKIE), Answer::Other);
        let mut newer = response(1, 2, &[0; 40]);
        newer[17] = 0x20;
        assert_eq!(answer(&newer, COOKIE), Answer::Other);
    }
}
