//! Shadowsocks: where a client wants to be connected to, and the heads of what is sealed (the protocol's own pages, "AEAD
//! Ciphers" and SIP022). Ciphers are elsewhere.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Octets of a chunk's length, before it is sealed.
pub const LENGTH: usize = 2;
/// Octets of the head of a client's stream in SIP022: kind, time, length of what follows.
const HEAD: usize = 11;
/// Kinds of streams.
const CLIENT: u8 = 0;
const SERVER: u8 = 1;

/// A destination: kind of address, address, port (as in RFC 1928 section 5).
pub fn destination(address: SocketAddr) -> Vec<u8> {
    let mut octets = match address.ip() {
        IpAddr::V4(ip) => [&[1][..], &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[4][..], &ip.octets()].concat(),
    };
    octets.extend_from_slice(&address.port().to_be_bytes());
    octets
}

/// The head of a client's stream in SIP022, before it is sealed.
pub fn head(seconds: u64, length: u16) -> [u8; HEAD] {
    let mut head = [CLIENT; HEAD];
    head[1..9].copy_from_slice(&seconds.to_be_bytes());
    head[9..].copy_from_slice(&length.to_be_bytes());
    head
}

/// What follows it: destination, an empty padding, payload.
pub fn body(destination: &[u8], payload: &[u8]) -> Vec<u8> {
    [destination, &[0, 0], payload].concat()
}

/// Octets of the head of a server's stream in SIP022, with salts of this length, before it is sealed.
pub fn answer_octets(salt: usize) -> usize {
    HEAD + salt
}

/// Whether the opened head of a server's stream answers the client's stream of this salt.
pub fn answers(head: &[u8], salt: &[u8]) -> bool {
    head.first() == Some(&SERVER) && head.len() == answer_octets(salt.len()) && &head[9..9 + salt.len()] == salt
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_destination_is_its_kind_its_address_and_its_port() {
        assert_eq!(destination("192.0.2.1:53".parse().unwrap()), [1, 192, 0, 2, 1, 0, 53]);
        assert_eq!(destination("[2001:db8::1]:443".parse().unwrap()).len(), 1 + 16 + 2);
    }

    #[test]
    fn a_server_s_head_repeats_the_client_s_salt() {
        let salt = [7; 32];
        let answer = [&[1][..], &[0; 8], &salt, &[0, 5]].concat();
        assert_eq!(answer.len(), answer_octets(32));
        assert!(answers(&answer, &salt) && !answers(&answer, &[8; 32]) && !answers(&answer[1..], &salt));
        for cut in 0..answer.len() {
            assert!(!answers(&answer[..cut], &salt), "cut at {cut}");
        }
        assert_eq!(head(0x0102, 0x0304), [0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(body(&[1], &[2]), vec![1, 0, 0, 2]);
    }
}
