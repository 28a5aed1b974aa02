//! Reading and writing the few packet fields that a router and a censor look at.
//!
//! Parsing and building lean on `etherparse`; only the TTL is changed in place, with the checksum mended as RFC 1624
//! has it. Nothing here keeps state.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::{
    Icmpv4Type, Icmpv6Type, IpHeaders, LaxNetSlice, LaxSlicedPacket, PacketBuilder, PacketBuilderStep, TransportSlice,
    icmpv4, icmpv6,
};

/// The TTL of packets that routers and censors make themselves (Linux' default).
const OWN_TTL: u8 = 64;

/// Protocol numbers (IANA).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// How much of an offending packet an ICMP error quotes: enough for every header (RFC 1812, section 4.3.2.3).
pub(super) const ICMP_QUOTE: usize = 128;

/// One IP packet, taken apart as far as rules need.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live, or the hop limit of IPv6.
    pub ttl: u8,
    /// What it carries.
    pub transport: Transport<'a>,
}

/// The transport layer of a packet.
#[derive(Debug, Clone, Copy)]
pub enum Transport<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// A UDP datagram.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// The payload.
        payload: &'a [u8],
    },
    /// An ICMP echo request, with its identifier, sequence number and data.
    Echo(u16, u16, &'a [u8]),
    /// Anything else, fragments included.
    Other,
}

/// The fields of a TCP segment that rules look at.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent bits of the header")]
pub struct Segment<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// SYN flag.
    pub syn: bool,
    /// ACK flag.
    pub ack: bool,
    /// FIN flag.
    pub fin: bool,
    /// RST flag.
    pub rst: bool,
    /// The payload.
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// The sequence number that follows this segment: SYN and FIN count as one each (RFC 9293, section 3.4).
    pub fn next_sequence(&self) -> u32 {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        self.sequence.wrapping_add(length).wrapping_add(u32::from(self.syn)).wrapping_add(u32::from(self.fin))
    }
}

impl<'a> Packet<'a> {
    /// Takes a packet apart; `None` for what is no IP packet.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ip(bytes).ok()?;
        let (source, destination, ttl) = addresses(sliced.net.as_ref()?)?;
        let transport = sliced.transport.as_ref().map_or(Transport::Other, Transport::of);
        Some(Self { source, destination, ttl, transport })
    }
}

fn addresses(net: &LaxNetSlice<'_>) -> Option<(IpAddr, IpAddr, u8)> {
    match net {
        LaxNetSlice::Ipv4(v4) => {
            let header = v4.header();
            Some((header.source_addr().into(), header.destination_addr().into(), header.ttl()))
        }
        LaxNetSlice::Ipv6(v6) => {
            let header = v6.header();
            Some((header.source_addr().into(), header.destination_addr().into(), header.hop_limit()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

impl<'a> Transport<'a> {
    fn of(slice: &TransportSlice<'a>) -> Self {
        match slice {
            TransportSlice::Tcp(tcp) => Self::Tcp(Segment {
                source: tcp.source_port(),
                destination: tcp.destination_port(),
                sequence: tcp.sequence_number(),
                acknowledgment: tcp.acknowledgment_number(),
                syn: tcp.syn(),
                ack: tcp.ack(),
                fin: tcp.fin(),
                rst: tcp.rst(),
                payload: tcp.payload(),
            }),
            TransportSlice::Udp(udp) => {
                Self::Udp { source: udp.source_port(), destination: udp.destination_port(), payload: udp.payload() }
            }
            TransportSlice::Icmpv4(icmp) => match icmp.icmp_type() {
                Icmpv4Type::EchoRequest(echo) => Self::Echo(echo.id, echo.seq, icmp.payload()),
                _ => Self::Other,
            },
            TransportSlice::Icmpv6(icmp) => match icmp.icmp_type() {
                Icmpv6Type::EchoRequest(echo) => Self::Echo(echo.id, echo.seq, icmp.payload()),
                _ => Self::Other,
            },
            TransportSlice::Igmp(_) => Self::Other,
        }
    }
}

/// Takes `hops` from the TTL of a packet. The caller knows that so many are left.
pub fn lower_ttl(bytes: &mut [u8], hops: u8) {
    match bytes.first().map(|b| b >> 4) {
        Some(4) if bytes.len() >= 20 => {
            let before = u16::from_be_bytes([bytes[8], bytes[9]]);
            bytes[8] -= hops;
            let after = u16::from_be_bytes([bytes[8], bytes[9]]);
            let sum = u16::from_be_bytes([bytes[10], bytes[11]]);
            bytes[10..12].copy_from_slice(&mended(sum, before, after).to_be_bytes());
        }
        Some(6) if bytes.len() >= 40 => bytes[7] -= hops,
        _ => {}
    }
}

/// Gives a TCP segment or a UDP datagram another source or destination, of the family that it has, and mends the checksums.
/// Other packets, and those with IPv6 extension headers, stay as they are.
pub fn readdress(bytes: &mut [u8], source: Option<SocketAddr>, destination: Option<SocketAddr>) -> Option<()> {
    let is_v4 = bytes.first()? >> 4 == 4;
    let (transport, protocol, addresses) =
        if is_v4 { (usize::from(bytes[0] & 0xf) * 4, *bytes.get(9)?, 12) } else { (40, *bytes.get(6)?, 8) };
    let sum = transport
        + match protocol {
            TCP => 16,
            UDP => 6,
            _ => return None,
        };
    let has_sum = protocol == TCP || bytes.get(sum..sum + 2)? != [0, 0];
    let length = if is_v4 { 4 } else { 16 };
    for (end, which) in [(source, 0), (destination, 1)] {
        let Some(end) = end.filter(|end| end.is_ipv4() == is_v4) else { continue };
        let address = match end.ip() {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let (ip_sum, transport_sum) = (is_v4.then_some(10), has_sum.then_some(sum));
        overwrite(bytes, addresses + which * length, &address, [ip_sum, transport_sum])?;
        overwrite(bytes, transport + which * 2, &end.port().to_be_bytes(), [None, transport_sum])?;
    }
    Some(())
}

/// Writes octets (an even number, at an even place) and mends the checksums that cover them.
fn overwrite(bytes: &mut [u8], at: usize, new: &[u8], sums: [Option<usize>; 2]) -> Option<()> {
    for (n, word) in new.chunks(2).enumerate() {
        let at = at + 2 * n;
        let before = u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
        let after = u16::from_be_bytes(word.try_into().ok()?);
        for sum in sums.into_iter().flatten() {
            let old = u16::from_be_bytes(bytes.get(sum..sum + 2)?.try_into().ok()?);
            bytes[sum..sum + 2].copy_from_slice(&mended(old, before, after).to_be_bytes());
        }
        bytes[at..at + 2].copy_from_slice(word);
    }
    Some(())
}

/// A checksum after one 16-bit word of the data changed (RFC 1624, equation 3).
fn mended(sum: u16, before: u16, after: u16) -> u16 {
    let mut total = u32::from(!sum) + u32::from(!before) + u32::from(after);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    !u16::try_from(total).unwrap_or(u16::MAX)
}

/// The reset that ends a connection at the receiver of `segment`: it looks as if its sender had sent it.
pub fn reset_onward(packet: &Packet<'_>, segment: &Segment<'_>) -> Option<Vec<u8>> {
    let tcp = ip(packet.source, packet.destination)?.tcp(segment.source, segment.destination, segment.sequence, 0);
    finish(|out| tcp.rst().ack(segment.acknowledgment).write(out, &[]).is_ok())
}

/// The reset that ends a connection at the sender of `segment`: it looks as if its receiver had sent it.
pub fn reset_back(packet: &Packet<'_>, segment: &Segment<'_>) -> Option<Vec<u8>> {
    let sequence = if segment.ack { segment.acknowledgment } else { 0 };
    let tcp = ip(packet.destination, packet.source)?.tcp(segment.destination, segment.source, sequence, 0);
    finish(|out| tcp.rst().ack(segment.next_sequence()).write(out, &[]).is_ok())
}

/// What a router at `hop` says of a packet whose TTL ran out there.
pub fn time_exceeded(hop: IpAddr, packet: &Packet<'_>, bytes: &[u8]) -> Option<Vec<u8>> {
    let quote = &bytes[..bytes.len().min(ICMP_QUOTE)];
    let answer = ip(hop, packet.source)?;
    if hop.is_ipv4() {
        let kind = Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit);
        finish(|out| answer.icmpv4(kind).write(out, quote).is_ok())
    } else {
        let kind = Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded);
        finish(|out| answer.icmpv6(kind).write(out, quote).is_ok())
    }
}

/// The answer to an echo request.
pub fn echo_reply(packet: &Packet<'_>, id: u16, sequence: u16, data: &[u8]) -> Option<Vec<u8>> {
    let answer = ip(packet.destination, packet.source)?;
    if packet.source.is_ipv4() {
        finish(|out| answer.icmpv4_echo_reply(id, sequence).write(out, data).is_ok())
    } else {
        finish(|out| answer.icmpv6_echo_reply(id, sequence).write(out, data).is_ok())
    }
}

pub(super) fn ip(source: IpAddr, destination: IpAddr) -> Option<PacketBuilderStep<IpHeaders>> {
    match (source, destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => Some(PacketBuilder::ipv4(s.octets(), d.octets(), OWN_TTL)),
        (IpAddr::V6(s), IpAddr::V6(d)) => Some(PacketBuilder::ipv6(s.octets(), d.octets(), OWN_TTL)),
        _ => None,
    }
}

pub(super) fn finish(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(ICMP_QUOTE + 48);
    write(&mut out).then_some(out)
}

/// Whether an address has no place on the public internet (the blocks of RFC 6890 that a border router would refuse).
pub fn is_bogon(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_bogon_v4(v4),
        IpAddr::V6(v6) => is_bogon_v6(v6),
    }
}

fn is_bogon_v4(v4: Ipv4Addr) -> bool {
    let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
    shared || v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.octets()[0] == 0
}

fn is_bogon_v6(v6: Ipv6Addr) -> bool {
    v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_segment(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let tcp = PacketBuilder::ipv4([100, 64, 10, 2], [104, 244, 42, 1], 64).tcp(40_000, 443, 1_000, 64_240);
        tcp.ack(2_000).write(&mut out, payload).unwrap();
        out
    }

    fn tcp_of(bytes: &[u8]) -> (Packet<'_>, Segment<'_>) {
        let packet = Packet::parse(bytes).unwrap();
        let Transport::Tcp(segment) = packet.transport else { panic!("no TCP segment") };
        (packet, segment)
    }

    /// The header checksum of a valid IPv4 header sums up to all ones (RFC 791).
    fn header_is_intact(bytes: &[u8]) -> bool {
        let sum: u32 = bytes[..20].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
        (sum & 0xffff) + (sum >> 16) == 0xffff
    }

    #[test]
    fn lowering_the_ttl_keeps_the_header_checksum_right_for_every_value() {
        for hops in 0..=64 {
            let mut bytes = client_segment(b"");
            lower_ttl(&mut bytes, hops);
            assert_eq!(bytes[8], 64 - hops);
            assert!(header_is_intact(&bytes), "after {hops} hops");
        }
    }

    /// The packet that `write` makes, rewritten, and made with the other ends from the start.
    #[test]
    fn a_packet_with_other_ends_is_as_if_it_had_been_made_with_them() {
        let (client, server, other) = ([100, 64, 10, 2], [8, 8, 8, 8], [100, 64, 0, 53]);
        let udp = |to: [u8; 4], port| {
            let mut bytes = Vec::new();
            PacketBuilder::ipv4(client, to, 64).udp(4_000, port).write(&mut bytes, b"query").unwrap();
            bytes
        };
        let mut datagram = udp(server, 53);
        readdress(&mut datagram, None, Some((IpAddr::from(other), 5_353).into())).unwrap();
        assert_eq!(datagram, udp(other, 5_353));

        let tcp = |from: [u8; 16], port| {
            let mut bytes = Vec::new();
            let tcp = PacketBuilder::ipv6(from, [7; 16], 64).tcp(port, 4_000, 1, 2);
            tcp.write(&mut bytes, b"odd").unwrap();
            bytes
        };
        let mut segment = tcp([1; 16], 443);
        readdress(&mut segment, Some((IpAddr::from([2; 16]), 8_443).into()), None).unwrap();
        assert_eq!(segment, tcp([2; 16], 8_443));
        assert_eq!(readdress(&mut [0x45, 0, 0], None, None), None);
    }

    #[test]
    fn a_reset_back_is_what_the_client_would_accept_from_the_server() {
        let bytes = client_segment(b"hello");
        let (packet, segment) = tcp_of(&bytes);
        let reset = reset_back(&packet, &segment).unwrap();
        let (forged, answer) = tcp_of(&reset);
        assert_eq!((forged.source, forged.destination), (packet.destination, packet.source));
        assert!(answer.rst);
        assert_eq!((answer.sequence, answer.acknowledgment), (2_000, 1_005));
    }

    #[test]
    fn a_reset_onward_carries_the_sequence_number_that_the_server_waits_for() {
        let bytes = client_segment(b"hello");
        let (packet, segment) = tcp_of(&bytes);
        let reset = reset_onward(&packet, &segment).unwrap();
        let (_, answer) = tcp_of(&reset);
        assert!(answer.rst && answer.sequence == 1_000);
    }

    #[test]
    fn time_exceeded_goes_back_to_the_source_and_quotes_the_packet() {
        let bytes = client_segment(b"hello");
        let packet = Packet::parse(&bytes).unwrap();
        let hop = IpAddr::from([100, 64, 10, 1]);
        let icmp = time_exceeded(hop, &packet, &bytes).unwrap();
        let answer = Packet::parse(&icmp).unwrap();
        assert_eq!((answer.source, answer.destination), (hop, packet.source));
        assert_eq!(&icmp[20..22], &[11, 0]);
        assert_eq!(&icmp[28..], &bytes[..]);
    }

    #[test]
    fn junk_is_no_packet() {
        assert!(Packet::parse(&[]).is_none());
        assert!(Packet::parse(&[0xff; 40]).is_none());
    }

    #[test]
    fn private_and_shared_addresses_are_bogons_and_public_ones_are_not() {
        for bogon in ["10.10.34.35", "100.64.0.53", "192.168.1.1", "127.0.0.1", "fe80::1"] {
            assert!(is_bogon(bogon.parse().unwrap()), "{bogon}");
        }
        for public in ["104.244.42.1", "8.8.8.8", "2606:4700:4700::1111"] {
            assert!(!is_bogon(public.parse().unwrap()), "{public}");
        }
    }
}
