//! Proton's ping over UDP: whoever knows a server's public key is answered, without an account (Proton's `go-vpn-lib` of March 2026, by
//! the vpn reference, section 3.3). The code over it is HMAC-SHA-256, and made by who has one.

use alloc::vec::Vec;

/// The key of the code: the same in every client.
pub const CODE_KEY: &[u8] = b"lci6UYRryo5rcQVpxfJ0fCs6UBY5eGyV";
/// What a request begins with, and the whole of an answer.
const REQUEST: [u8; 2] = [0xfe, 0x01];
const ANSWER: [u8; 3] = [0xfe, 0x01, 0x01];

/// What the code is made over: the server's key (Curve25519), and the time, seconds since 1970-01-01T00:00:00Z.
pub fn covered(server: &[u8; 32], seconds: u32) -> Vec<u8> {
    [&server[..], &seconds.to_le_bytes()].concat()
}

/// A request of 38 octets: the time, and the code over it.
pub fn request(seconds: u32, code: &[u8; 32]) -> Vec<u8> {
    [&REQUEST[..], &seconds.to_le_bytes(), code].concat()
}

/// Whether a message is an answer. Every server's is the same, whatever was asked.
pub fn is_answer(message: &[u8]) -> bool {
    message == ANSWER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_mark_the_time_and_the_code() {
        let message = request(0x0102_0304, &[7; 32]);
        assert_eq!((message.len(), &message[..6]), (38, &[0xfe, 1, 4, 3, 2, 1][..]));
        assert_eq!(covered(&[9; 32], 0x0102_0304)[31..], [9, 4, 3, 2, 1]);
    }

    #[test]
    fn an_answer_is_three_octets_and_no_other_message_is_one() {
        assert!(is_answer(&[0xfe, 1, 1]));
        for other in [&[][..], &[0xfe], &[0xfe, 1], &[0xfe, 1, 2], &[0xfe, 1, 1, 0]] {
            assert!(!is_answer(other), "{other:?}");
        }
    }
}
