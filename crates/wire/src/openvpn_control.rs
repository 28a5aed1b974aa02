//! `OpenVPN`'s control channel behind its resets: packets that carry TLS, and their acknowledgments (the protocol's wire
//! format, draft-openvpn-wire-protocol, section 5; as measured with `OpenVPN` 2.6, vpn reference, section 3.1).

use alloc::vec::Vec;

use crate::openvpn::CLIENT_RESET_V3;

/// `P_CONTROL_V1` and `P_ACK_V1` with key id 0.
const CONTROL: u8 = 4 << 3;
const ACK: u8 = 5 << 3;
/// `P_CONTROL_WKC_V1`: the same as the first, with the wrapped key of tls-crypt-v2 behind it.
const CONTROL_WITH_KEY: u8 = 11 << 3;
/// Octets of a session id.
const SESSION: usize = 8;
/// Acknowledgments that one packet holds, as the program itself has it.
pub const ACKS: usize = 4;
/// Octets of TLS in one packet: with all headers it stays below what every path carries.
pub const PAYLOAD: usize = 1_100;

/// A packet for the peer: with TLS and its number, or with acknowledgments alone.
pub fn packet(ours: [u8; SESSION], theirs: [u8; SESSION], acks: &[u32], carried: Option<(u32, &[u8])>) -> Vec<u8> {
    let acks = &acks[..acks.len().min(ACKS)];
    let mut packet = Vec::new();
    packet.push(if carried.is_some() { CONTROL } else { ACK });
    packet.extend_from_slice(&ours);
    // At most four.
    packet.push(u8::try_from(acks.len()).unwrap_or(0));
    for ack in acks {
        packet.extend_from_slice(&ack.to_be_bytes());
    }
    if !acks.is_empty() {
        packet.extend_from_slice(&theirs);
    }
    if let Some((number, payload)) = carried {
        packet.extend_from_slice(&number.to_be_bytes());
        packet.extend_from_slice(payload);
    }
    packet
}

/// The same packet, as one behind which the client's wrapped key follows: so the first is sent to servers of tls-crypt-v2 that
/// keep no state before it.
pub fn with_key(mut packet: Vec<u8>) -> Vec<u8> {
    if let Some(opcode) = packet.first_mut().filter(|opcode| **opcode == CONTROL) {
        *opcode = CONTROL_WITH_KEY;
    }
    packet
}

/// Whether the client's wrapped key belongs behind a message: its reset, or such a packet.
pub fn carries_key(message: &[u8]) -> bool {
    matches!(message.first(), Some(&(CONTROL_WITH_KEY | CLIENT_RESET_V3)))
}

/// A packet of the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sent it.
    pub session: [u8; SESSION],
    /// What has come there.
    pub acks: Vec<u32>,
    /// TLS and its number; none in mere acknowledgments.
    pub carried: Option<(u32, &'a [u8])>,
}

/// Reads a packet; `None` unless it is a whole one of these two kinds.
pub fn read(message: &[u8]) -> Option<Packet<'_>> {
    let (&opcode, rest) = message.split_first()?;
    let (session, rest) = rest.split_at_checked(SESSION)?;
    let (&count, rest) = rest.split_first()?;
    let (acks, rest) = rest.split_at_checked(4 * usize::from(count))?;
    let rest = if count == 0 { rest } else { rest.split_at_checked(SESSION)?.1 };
    let carried = match opcode {
        CONTROL => {
            let (number, payload) = rest.split_at_checked(4)?;
            Some((word(number)?, payload))
        }
        ACK => None,
        _ => return None,
    };
    Some(Packet { session: session.try_into().ok()?, acks: acks.chunks(4).filter_map(word).collect(), carried })
}

fn word(octets: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(octets.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_it_was_made_and_every_truncation_of_its_head_is_none() {
        let message = packet([1; 8], [2; 8], &[0, 7], Some((3, &[9; 5])));
        assert_eq!(message[..14], [0x20, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0, 0, 0, 0]);
        let expected = Packet { session: [1; 8], acks: [0, 7].to_vec(), carried: Some((3, &[9; 5])) };
        assert_eq!(read(&message), Some(expected));
        for cut in 0..message.len() - 5 {
            assert_eq!(read(&message[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_packet_with_the_key_behind_it_has_an_opcode_of_its_own() {
        let with = with_key(packet([1; 8], [2; 8], &[0], Some((1, &[9; 5]))));
        assert_eq!((with[0], carries_key(&with)), (0x58, true));
        let acknowledgment = packet([1; 8], [2; 8], &[0], None);
        assert_eq!(with_key(acknowledgment.clone()), acknowledgment);
        assert!(
            !carries_key(&acknowledgment) && !carries_key(&[]) && carries_key(&crate::openvpn::client_reset_v3([1; 8]))
        );
    }

    #[test]
    fn an_acknowledgment_alone_carries_nothing_and_other_opcodes_are_none() {
        let message = packet([1; 8], [2; 8], &[1], None);
        assert_eq!((message.len(), message[0]), (22, 0x28));
        assert_eq!(read(&message).unwrap().carried, None);
        let mut reset = message.clone();
        reset[0] = 0x40;
        assert_eq!(read(&reset), None);
        assert_eq!(packet([1; 8], [2; 8], &[0, 1, 2, 3, 4], None)[9], 4, "no more than four");
        let without = packet([1; 8], [2; 8], &[], Some((1, &[])));
        assert_eq!(read(&without).unwrap(), Packet { session: [1; 8], acks: Vec::new(), carried: Some((1, &[])) });
    }
}
