//! STUN (RFC 8489): a binding request and what answers it. No tunnel: proxies of volunteers, and calls, find each other by it.
//! The address that a server sees the request come from stands in its answer; nobody reads it here.

use alloc::vec::Vec;

use crate::dialogue::{long, word};

/// A request for a binding, and the answers to one (RFC 8489 sections 5 and 18.2).
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const ERROR: u16 = 0x0111;
/// In every message (section 5).
const COOKIE: u32 = 0x2112_a442;
/// Octets of the header, and of the transaction's number at its end.
const HEADER: usize = 20;
/// The address as the server sees it, encoded; the same in the clear, of servers of RFC 5389's and before; the error's code.
const XOR_MAPPED: u16 = 0x0020;
const MAPPED: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;

/// A request without attributes.
pub fn request(transaction: [u8; 12]) -> Vec<u8> {
    [&REQUEST.to_be_bytes()[..], &[0, 0], &COOKIE.to_be_bytes(), &transaction].concat()
}

/// What a message in answer to the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address is in it.
    Bound,
    /// The server refuses, and says why.
    Refused,
    /// Anything else.
    Other,
}

/// Reads the answer to the request of this transaction.
pub fn answer(message: &[u8], transaction: [u8; 12]) -> Answer {
    let is_ours = long(message, 4) == Some(COOKIE) && message.get(8..HEADER) == Some(&transaction);
    let length = word(message, 2).map(usize::from).filter(|length| length % 4 == 0);
    let body = length.filter(|_| is_ours).and_then(|length| message.get(HEADER..HEADER + length));
    match (word(message, 0), body) {
        (Some(SUCCESS), Some(body)) if has(body, &[XOR_MAPPED, MAPPED]) => Answer::Bound,
        (Some(ERROR), Some(body)) if has(body, &[ERROR_CODE]) => Answer::Refused,
        _ => Answer::Other,
    }
}

/// Whether one of these attributes is among those of a message; each is filled up to four octets (section 14).
fn has(mut body: &[u8], wanted: &[u16]) -> bool {
    while let (Some(kind), Some(length)) = (word(body, 0), word(body, 2)) {
        let length = 4 + usize::from(length).next_multiple_of(4);
        let Some((_, rest)) = body.split_at_checked(length) else { return false };
        if wanted.contains(&kind) {
            return true;
        }
        body = rest;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    /// The response of RFC 5769 section 2.2, its fingerprint left out: name of the software, and 192.0.2.1 port 32853.
    fn response() -> Vec<u8> {
        let software = [&[0x80, 0x22, 0x00, 0x0b][..], b"test vector "].concat();
        let address = [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        let head = [&[0x01, 0x01, 0x00, 0x1c, 0x21, 0x12, 0xa4, 0x42][..], &TRANSACTION].concat();
        [head, software, address.to_vec()].concat()
    }

    #[test]
    fn a_request_is_what_coturn_s_client_sends() {
        // Captured: turnutils_stunclient 4.6.1.
        let captured = b"\x00\x01\x00\x00\x21\x12\xa4\x42\xa7\x35\xf5\xfd\x45\x4a\xc0\xa4\x3f\xe8\xec\xda";
        assert_eq!(request(captured[8..].try_into().unwrap()), captured);
    }

    #[test]
    fn every_answer_is_known_and_every_truncation_is_none() {
        let bound = response();
        assert_eq!(answer(&bound, TRANSACTION), Answer::Bound);
        assert_eq!(answer(&bound, [7; 12]), Answer::Other, "another transaction's");
        for cut in 0..bound.len() {
            assert_eq!(answer(&bound[..cut], TRANSACTION), Answer::Other, "cut at {cut}");
        }
        let refused =
            [&[0x01, 0x11, 0, 8, 0x21, 0x12, 0xa4, 0x42][..], &TRANSACTION, &[0, 9, 0, 4, 0, 0, 4, 0]].concat();
        assert_eq!(answer(&refused, TRANSACTION), Answer::Refused);
        assert_eq!(answer(&request(TRANSACTION), TRANSACTION), Answer::Other, "our own, echoed");
        let empty = [&[0x01, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &TRANSACTION].concat();
        assert_eq!(answer(&empty, TRANSACTION), Answer::Other, "no address");
    }
}
