//! Packets that a censor makes: what it puts in the place of a server's answer.

use std::net::IpAddr;

use etherparse::{Icmpv4Type, Icmpv6Type, icmpv4, icmpv6};

use super::super::packet::{ICMP_QUOTE, Packet, Segment, finish, ip};
use crate::scenario::censor::Unreachable;

/// A segment from the server to the client, in answer to the client's `segment`: `payload`, and the end of the stream.
pub fn last_words(packet: &Packet<'_>, segment: &Segment<'_>, payload: &[u8]) -> Option<Vec<u8>> {
    let tcp = ip(packet.destination, packet.source)?;
    let tcp = tcp.tcp(segment.destination, segment.source, segment.acknowledgment, 64_240);
    let tcp = tcp.ack(segment.next_sequence()).psh().fin();
    finish(|out| tcp.write(out, payload).is_ok())
}

/// A datagram from the server to the client.
pub fn datagram(packet: &Packet<'_>, ports: (u16, u16), payload: &[u8]) -> Option<Vec<u8>> {
    let (client, server) = ports;
    let udp = ip(packet.destination, packet.source)?.udp(server, client);
    finish(|out| udp.write(out, payload).is_ok())
}

/// ICMP "destination unreachable", as if from the destination's own router.
pub fn unreachable(packet: &Packet<'_>, bytes: &[u8], code: Unreachable) -> Option<Vec<u8>> {
    use icmpv4::DestUnreachableHeader as V4;
    use icmpv6::DestUnreachableCode as V6;
    let quote = &bytes[..bytes.len().min(ICMP_QUOTE)];
    let answer = ip(packet.destination, packet.source)?;
    if packet.source.is_ipv4() {
        let code = match code {
            Unreachable::Network => V4::Network,
            Unreachable::Host => V4::Host,
            Unreachable::Port => V4::Port,
            Unreachable::Prohibited => V4::FilterProhibited,
        };
        return finish(|out| answer.icmpv4(Icmpv4Type::DestinationUnreachable(code)).write(out, quote).is_ok());
    }
    let code = match code {
        Unreachable::Network => V6::NoRoute,
        Unreachable::Host => V6::Address,
        Unreachable::Port => V6::Port,
        Unreachable::Prohibited => V6::Prohibited,
    };
    finish(|out| answer.icmpv6(Icmpv6Type::DestinationUnreachable(code)).write(out, quote).is_ok())
}

/// An HTTP response of a few lines.
pub fn response(status: u16, header: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Blocked\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n{header}Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Whether an address is of the family asked for, if one is.
pub fn is_of(address: IpAddr, family: Option<crate::scenario::IpFamily>) -> bool {
    family.is_none_or(|family| (family == crate::scenario::IpFamily::Ipv4) == address.is_ipv4())
}
