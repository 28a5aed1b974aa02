//! What a TLS peer first says (RFC 8446, sections 5.1 and 6): told from five to seven bytes, nothing decrypted.
//!
//! Not a TLS implementation: whether what follows is well-formed is the TLS library's word.

/// Length of a record's header: type, legacy version, length (RFC 8446, 5.1).
const HEADER: usize = 5;
/// `alert`, `handshake` and the rest of the content types (RFC 8446, 5.1; heartbeat: RFC 6520, 3).
const ALERT: u8 = 0x15;
const HANDSHAKE: u8 = 0x16;
const CONTENT_TYPES: core::ops::RangeInclusive<u8> = 0x14..=0x18;
/// The major version of every record since SSL 3.0, and the newest minor one (`legacy_record_version`, RFC 8446, 5.1).
const MAJOR: u8 = 0x03;
const MAX_MINOR: u8 = 0x04;
/// A record's longest payload: 2^14 + 2048 of TLS 1.2 (RFC 5246, 6.2.3).
const MAX_LENGTH: u16 = (1 << 14) + 2048;
/// How every HTTP/1 response begins (RFC 9112, section 4).
const HTTP: &[u8] = b"HTTP/";

/// The first thing a peer said after a `ClientHello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBytes {
    /// A handshake record: a `ServerHello`, as it should be.
    Handshake,
    /// An alert record; its content, unless that is encrypted or has not come yet.
    Alert(Option<Alert>),
    /// Another record of TLS: `change_cipher_spec`, `application_data` or `heartbeat`.
    OtherRecord,
    /// An HTTP/1 response in the clear.
    Http,
    /// Anything else.
    NotTls,
}

/// An alert's content (RFC 8446, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// As in IANA's registry: 40 `handshake_failure`, 112 `unrecognized_name`, ...
    pub description: u8,
}

/// Classifies the bytes received so far; `None` while they are too few to tell.
pub fn first_bytes(bytes: &[u8]) -> Option<FirstBytes> {
    if bytes.is_empty() {
        return None;
    }
    if is_prefix_or_longer(bytes, HTTP) {
        return (bytes.len() >= HTTP.len()).then_some(FirstBytes::Http);
    }
    if !may_be_record(bytes) {
        return Some(FirstBytes::NotTls);
    }
    if bytes.len() < HEADER {
        return None;
    }
    Some(match bytes[0] {
        HANDSHAKE => FirstBytes::Handshake,
        ALERT => FirstBytes::Alert(alert(bytes)),
        _ => FirstBytes::OtherRecord,
    })
}

/// Whether the two agree as far as both go.
fn is_prefix_or_longer(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(a, b)| a == b)
}

/// Whether the bytes so far can be the beginning of a record.
fn may_be_record(bytes: &[u8]) -> bool {
    let fits = |index: usize, ok: &dyn Fn(u8) -> bool| bytes.get(index).is_none_or(|&byte| ok(byte));
    let length_fits = match *bytes {
        [_, _, _, high, low, ..] => (1..=MAX_LENGTH).contains(&u16::from_be_bytes([high, low])),
        [_, _, _, high] => u16::from(high) <= MAX_LENGTH >> 8,
        _ => true,
    };
    fits(0, &|kind| CONTENT_TYPES.contains(&kind))
        && fits(1, &|major| major == MAJOR)
        && fits(2, &|minor| minor <= MAX_MINOR)
        && length_fits
}

/// The content of an alert record in the clear: exactly two bytes.
fn alert(record: &[u8]) -> Option<Alert> {
    match *record {
        [_, _, _, 0, 2, level, description, ..] => Some(Alert { level, description }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use alloc::vec::Vec;

    use super::*;

    /// RFC 8448, section 3: the record of the `ServerHello`, as far as the fields of the handshake's header.
    const SERVER_HELLO: &[u8] = &[0x16, 0x03, 0x03, 0x00, 0x5a, 0x02, 0x00, 0x00, 0x56, 0x03, 0x03];
    /// RFC 8448, section 3: the client's last record, an encrypted alert.
    const ENCRYPTED_ALERT: &[u8] = &[0x17, 0x03, 0x03, 0x00, 0x13, 0xb7, 0x2b];
    const UNRECOGNIZED_NAME: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];
    const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";

    #[test]
    fn known_beginnings_are_told_apart() {
        assert_eq!(first_bytes(SERVER_HELLO), Some(FirstBytes::Handshake));
        assert_eq!(first_bytes(ENCRYPTED_ALERT), Some(FirstBytes::OtherRecord));
        let alert = Alert { level: 2, description: 112 };
        assert_eq!(first_bytes(UNRECOGNIZED_NAME), Some(FirstBytes::Alert(Some(alert))));
        assert_eq!(first_bytes(BAD_REQUEST), Some(FirstBytes::Http));
        assert_eq!(first_bytes(b"<html><body>Blocked"), Some(FirstBytes::NotTls));
        assert_eq!(first_bytes(b"SSH-2.0-OpenSSH_9.2\r\n"), Some(FirstBytes::NotTls));
        assert_eq!(first_bytes(&[0x00, 0x00, 0x12, 0x04, 0x00]), Some(FirstBytes::NotTls), "an HTTP/2 SETTINGS frame");
    }

    #[test]
    fn a_truncation_is_undecided_or_says_the_same_as_the_whole() {
        for whole in [SERVER_HELLO, ENCRYPTED_ALERT, BAD_REQUEST] {
            for length in 0..whole.len() {
                let expected = if length < 5 { None } else { first_bytes(whole) };
                assert_eq!(first_bytes(&whole[..length]), expected, "{length} of {whole:?}");
            }
        }
        for length in 0..UNRECOGNIZED_NAME.len() {
            let expected = if length < 5 { None } else { Some(FirstBytes::Alert(None)) };
            assert_eq!(first_bytes(&UNRECOGNIZED_NAME[..length]), expected, "{length}");
        }
    }

    #[test]
    fn what_cannot_be_a_record_is_known_at_the_first_wrong_byte() {
        let wrong: [&[u8]; 7] = [
            &[0x13],
            &[0x19],
            &[0x16, 0x02],
            &[0x16, 0x03, 0x05],
            &[0x16, 0x03, 0x03, 0x49],
            &[0x16, 0x03, 0x03, 0x48, 0x01],
            &[0x16, 0x03, 0x03, 0x00, 0x00],
        ];
        for bytes in wrong {
            assert_eq!(first_bytes(bytes), Some(FirstBytes::NotTls), "{bytes:02x?}");
            assert_eq!(first_bytes(&bytes[..bytes.len() - 1]), None, "{bytes:02x?} without its last byte");
        }
        assert_eq!(first_bytes(b"HTTQ/1.1"), Some(FirstBytes::NotTls));
        assert_eq!(first_bytes(&[0x16, 0x03, 0x03, 0x48, 0x00]), Some(FirstBytes::Handshake), "the longest record");
    }

    #[test]
    fn an_alert_of_another_length_has_no_content_to_read() {
        assert_eq!(first_bytes(&[0x15, 0x03, 0x03, 0x00, 0x1a, 0x02, 0x70]), Some(FirstBytes::Alert(None)));
    }

    #[test]
    fn no_two_bytes_panic_and_more_bytes_never_undo_a_decision() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let mut bytes = Vec::from([first, second]);
                let decided = first_bytes(&bytes);
                bytes.extend_from_slice(&[0x03, 0x00, 0x02, 0x02, 0x28]);
                if decided.is_some() {
                    assert_eq!(first_bytes(&bytes), decided, "{bytes:02x?}");
                }
            }
        }
    }
}
