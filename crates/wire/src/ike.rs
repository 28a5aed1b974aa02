//! What both versions of IKE share: the header, payloads one behind the other (RFC 7296 sections 3.1 and 3.2; RFC 2408
//! sections 3.1 and 3.2), and the marker before messages on port 4500.

use alloc::vec::Vec;

/// Octets of the header.
pub const HEADER: usize = 28;
/// Four zeros before each message on port 4500 tell it from ESP (RFC 3948 section 2.2).
pub const MARKER: [u8; 4] = [0; 4];
/// The port where the marker goes before each message (RFC 3948 section 2.1).
pub const NAT_PORT: u16 = 4_500;

/// A message of this port's, from one that has no marker.
pub fn marked(port: u16, message: Vec<u8>) -> Vec<u8> {
    if port == NAT_PORT { [&MARKER[..], &message].concat() } else { message }
}

/// A message without the marker; `None` where one should be and is not.
pub fn unmarked(port: u16, message: &[u8]) -> Option<&[u8]> {
    if port == NAT_PORT { message.strip_prefix(&MARKER) } else { Some(message) }
}

/// A first message: the initiator's index and none of a responder's, then the type of the first payload, version, type of the
/// exchange and flags.
pub(crate) fn message(spi: [u8; 8], head: [u8; 4], payloads: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payloads.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&spi[..], &[0; 8], &head, &[0; 4], &length, payloads].concat()
}

/// A payload behind its generic header: the type of the next, and its length.
pub(crate) fn payload(next: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).unwrap_or(u16::MAX).to_be_bytes();
    [&[next, 0, length[0], length[1]][..], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_set_and_wanted_on_port_4500_alone() {
        for port in [500, 4_500] {
            let message = marked(port, alloc::vec![7; 28]);
            assert_eq!(unmarked(port, &message), Some(&[7; 28][..]));
        }
        assert_eq!(marked(4_500, alloc::vec![7])[..4], [0; 4]);
        assert_eq!((unmarked(4_500, &[7; 28]), unmarked(4_500, &[0; 3])), (None, None));
    }
}
