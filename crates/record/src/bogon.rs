//! Addresses that no public service can have: IANA's special-purpose registries (RFC 6890) and multicast.
//!
//! Written out here rather than taken from `std`, whose `is_global` is unstable and leaves out what we need.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 blocks, first address and prefix length. Source: IANA IPv4 Special-Purpose Address Registry (RFC 6890), the
/// entries that are not globally reachable; 224.0.0.0/4: RFC 5771.
const V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),           // this network, RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared (carrier-grade NAT), RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link local, RFC 3927
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // IETF protocol assignments, RFC 6890
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation, RFC 5737
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relay anycast, deprecated by RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast, RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved and limited broadcast, RFC 1112, RFC 919
];

/// IPv6 blocks. Source: IANA IPv6 Special-Purpose Address Registry (RFC 6890), the entries that are not globally
/// reachable; `ff00::/8`: RFC 4291. The two that embed an IPv4 address are judged by it, see [`embedded`].
const V6: [(Ipv6Addr, u32); 11] = [
    (Ipv6Addr::UNSPECIFIED, 128),                         // unspecified, RFC 4291
    (Ipv6Addr::LOCALHOST, 128),                           // loopback, RFC 4291
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),  // local-use translation, RFC 8215
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),      // discard only, RFC 6666
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48),     // benchmarking, RFC 5180
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation, RFC 3849
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),     // documentation, RFC 9637
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),     // segment routing, RFC 9602
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),      // unique local, RFC 4193
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),     // link local, RFC 4291
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),      // multicast, RFC 4291
];

/// Whether the address cannot be a public service's.
pub fn is_bogon(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => V4.iter().any(|&(block, length)| v4_matches(address, block, length)),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_bogon(inner.into()),
            None => V6.iter().any(|&(block, length)| v6_matches(address, block, length)),
        },
    }
}

/// The IPv4 address in an IPv4-mapped one (RFC 4291, 2.5.5.2) or a NAT64 one (`64:ff9b::/96`, RFC 6052).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., w, x, y, z] = address.octets();
    let is_nat64 = address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    address.to_ipv4_mapped().or_else(|| is_nat64.then_some(Ipv4Addr::new(w, x, y, z)))
}

fn v4_matches(address: Ipv4Addr, block: Ipv4Addr, length: u32) -> bool {
    (address.to_bits() ^ block.to_bits()).leading_zeros() >= length
}

fn v6_matches(address: Ipv6Addr, block: Ipv6Addr, length: u32) -> bool {
    (address.to_bits() ^ block.to_bits()).leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(addresses: &[&str], expected: bool) {
        for address in addresses {
            assert_eq!(is_bogon(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn the_edges_of_every_block_are_inside() {
        all(&["0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255"], true);
        all(&["127.0.0.1", "127.255.255.255", "169.254.0.1", "172.16.0.0", "172.31.255.255"], true);
        all(&["192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.255.255", "198.18.0.0", "198.19.255.255"], true);
        all(&["198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255"], true);
        all(&["::", "::1", "64:ff9b:1::1", "100::1", "2001:2::1", "2001:db8::1", "3fff::1", "5f00::1"], true);
        all(&["fc00::1", "fdff::1", "fe80::1", "febf::1", "ff02::1"], true);
    }

    #[test]
    fn the_neighbours_of_every_block_are_outside() {
        all(&["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"], false);
        all(&["128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0"], false);
        all(&["198.17.255.255", "198.20.0.0", "223.255.255.255", "8.8.8.8"], false);
        all(&["::2", "2001:4860:4860::8888", "2620:fe::fe", "3ffe::1", "fbff::1", "fec0::1", "2002:808:808::1"], false);
    }

    #[test]
    fn an_address_in_an_address_counts_as_the_inner_one() {
        all(&["::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::192.168.1.1"], true);
        all(&["::ffff:8.8.8.8", "64:ff9b::8.8.8.8"], false);
    }
}
