//! IKE version 2: the first request (`IKE_SA_INIT`, RFC 7296 section 1.2) and what answers it. Every answer proves a server
//! that lives: also a refusal, and the demand for a cookie.

use alloc::vec::Vec;

use crate::ike::{HEADER, message, payload};

/// The first payload's types: security association, key exchange, nonce, notification (section 3.2).
const SA: u8 = 33;
const KEY_EXCHANGE: u8 = 34;
const NONCE: u8 = 40;
const NOTIFICATION: u8 = 41;
/// Version 2.0; exchange `IKE_SA_INIT`; the flags of an initiator's request and of a response (section 3.1).
const VERSION: u8 = 0x20;
const SA_INIT: u8 = 34;
const INITIATOR: u8 = 0x08;
const RESPONSE: u8 = 0x20;
/// Transforms that are offered, type and number (section 3.3.2 and IANA's registry): AES-CBC with 256 and 128 bits, PRFs and
/// integrity by SHA-256 and SHA-1, Diffie-Hellman groups 14, 19, 31 and 2: what servers of the last twenty years accept.
const TRANSFORMS: [(u8, u16, Option<u16>); 10] = [
    (1, 12, Some(256)),
    (1, 12, Some(128)),
    (2, 5, None),
    (2, 2, None),
    (3, 12, None),
    (3, 2, None),
    (4, 14, None),
    (4, 19, None),
    (4, 31, None),
    (4, 2, None),
];
/// The group of the key exchange: 2048 bits, for which any 256 random octets do that begin below the prime.
const GROUP: u16 = 14;

/// Where both ends believe to be, as hashes of addresses and ports (section 2.23): any that is wrong says that there is NAT between,
/// which is said anyway, so that no address has to be known.
const NAT_DETECTION: [u16; 2] = [16_388, 16_389];

/// A request as clients make it: the initiator's index, 256 octets of a public value, a nonce, and hashes for both ends.
pub fn request(spi: [u8; 8], public: &[u8; 256], nonce: &[u8; 32], hashes: &[[u8; 20]; 2]) -> Vec<u8> {
    let payloads = [
        payload(KEY_EXCHANGE, &proposal()),
        payload(NONCE, &[&GROUP.to_be_bytes()[..], &[0, 0], public].concat()),
        payload(NOTIFICATION, nonce),
        payload(NOTIFICATION, &notification(NAT_DETECTION[0], &hashes[0])),
        payload(0, &notification(NAT_DETECTION[1], &hashes[1])),
    ]
    .concat();
    message(spi, [SA, VERSION, SA_INIT, INITIATOR], &payloads)
}

/// A notification about the whole exchange: no protocol, no index (section 3.10).
fn notification(kind: u16, data: &[u8]) -> Vec<u8> {
    [&[0, 0][..], &kind.to_be_bytes(), data].concat()
}

/// One proposal for IKE with all transforms (sections 3.3.1 and 3.3.2).
fn proposal() -> Vec<u8> {
    let mut transforms = Vec::new();
    for (number, (kind, id, key_bits)) in TRANSFORMS.into_iter().enumerate() {
        let more = if number + 1 < TRANSFORMS.len() { 3 } else { 0 };
        // Attribute 14, key length, in the short form (section 3.3.5).
        let attribute = key_bits.map(|bits| [0x80, 14, bits.to_be_bytes()[0], bits.to_be_bytes()[1]]);
        let length = if attribute.is_some() { 12 } else { 8 };
        let id = id.to_be_bytes();
        transforms.extend([more, 0, 0, length, kind, 0, id[0], id[1]]);
        transforms.extend(attribute.into_iter().flatten());
    }
    let length = u16::try_from(transforms.len() + 8).unwrap_or(u16::MAX).to_be_bytes();
    let count = u8::try_from(TRANSFORMS.len()).unwrap_or(u8::MAX);
    [&[0, 0, length[0], length[1], 1, 1, 0, count][..], &transforms].concat()
}

/// What a message in answer to the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server's choice.
    Chosen,
    /// A notification of this type (section 3.10.1): 14 no proposal chosen, 17 another group, 16390 a cookie, ...
    Notified(u16),
    /// Anything else.
    Other,
}

/// Reads the answer to the request with this index.
pub fn answer(message: &[u8], spi: [u8; 8]) -> Answer {
    let is_answer = message.get(..8) == Some(&spi)
        && message.get(17..19) == Some(&[VERSION, SA_INIT])
        && message.get(19).is_some_and(|flags| flags & RESPONSE != 0)
        && message.len() >= HEADER;
    match message.get(16) {
        Some(&SA) if is_answer => Answer::Chosen,
        // Header of the payload, protocol, length of an index that is not there, and the type.
        Some(&NOTIFICATION) if is_answer => match message.get(HEADER + 6..HEADER + 8) {
            Some(&[high, low]) => Answer::Notified(u16::from_be_bytes([high, low])),
            _ => Answer::Other,
        },
        _ => Answer::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPI: [u8; 8] = *b"12345678";

    #[test]
    fn a_request_says_how_long_it_and_its_payloads_are() {
        let request = request(SPI, &[7; 256], &[9; 32], &[[3; 20], [4; 20]]);
        // That of a client with a group of 2048 bits (vpn reference, table 1).
        assert_eq!((&request[..8], request.len()), (&SPI[..], 484));
        assert_eq!(request[16..20], [33, 0x20, 34, 8]);
        assert_eq!(u32::from_be_bytes(request[24..28].try_into().unwrap()) as usize, request.len());
        // Payload after payload leads to the end.
        let (mut at, mut next, mut seen) = (28, request[16], Vec::new());
        while next != 0 {
            seen.push(next);
            next = request[at];
            at += usize::from(u16::from_be_bytes([request[at + 2], request[at + 3]]));
        }
        assert_eq!((seen, at), (alloc::vec![33, 34, 40, 41, 41], request.len()));
    }

    fn response(first: u8, rest: &[u8]) -> Vec<u8> {
        [&SPI[..], &[5; 8], &[first, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 0], rest].concat()
    }

    #[test]
    fn every_answer_is_known_and_every_truncation_is_none() {
        let refusal = response(41, &[0, 0, 0, 8, 0, 0, 0, 14]);
        assert_eq!(answer(&refusal, SPI), Answer::Notified(14));
        assert_eq!(answer(&response(33, &[0; 40]), SPI), Answer::Chosen);
        assert_eq!(answer(&refusal, *b"87654321"), Answer::Other);
        for cut in 0..refusal.len() {
            assert_eq!(answer(&refusal[..cut], SPI), Answer::Other, "cut at {cut}");
        }
        // Our own request, echoed, is no answer.
        assert_eq!(answer(&request(SPI, &[7; 256], &[9; 32], &[[3; 20], [4; 20]]), SPI), Answer::Other);
    }
}
