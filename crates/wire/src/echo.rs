//! An echo request (RFC 792) in an IPv4 packet (RFC 791): the least that a tunnel can be asked to carry.

use alloc::vec::Vec;

/// Octets of the IPv4 header without options.
const HEADER: usize = 20;
/// ICMP's number among protocols (IANA).
const ICMP: u8 = 1;

/// A request from one address to another.
pub fn request(from: [u8; 4], to: [u8; 4], id: u16, sequence: u16) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + 8);
    packet.extend_from_slice(&[0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, ICMP, 0, 0]);
    packet.extend_from_slice(&from);
    packet.extend_from_slice(&to);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(&[8, 0, 0, 0]);
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    let sum = checksum(&packet[HEADER..]);
    packet[HEADER + 2..HEADER + 4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The internet checksum (RFC 1071) of an even number of octets.
fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits above")]
    let folded = sum as u16;
    !folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_both_checksums() {
        let packet = request([10, 99, 0, 2], [10, 99, 0, 1], 0x1234, 1);
        assert_eq!(packet.len(), 28);
        assert_eq!((checksum(&packet[..20]), checksum(&packet[20..])), (0, 0));
        assert_eq!(packet[12..20], [10, 99, 0, 2, 10, 99, 0, 1]);
        assert_eq!(packet[20..22], [8, 0]);
        // By hand: 0x0800 + 0x1234 + 0x0001, inverted.
        assert_eq!(packet[22..28], [0xe5, 0xca, 0x12, 0x34, 0, 1]);
    }
}
