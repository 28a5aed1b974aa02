//! Protocols by their first bytes, as filters of protocols know them.

use crate::scenario::censor::Known;

/// `OpenVPN`'s first packets of a client: `P_CONTROL_HARD_RESET_CLIENT_V2` and `_V3` with key id 0 (five bits of opcode, three
/// of key id; the `OpenVPN` protocol's wire format, draft-openvpn-wire-protocol section 4.1).
const OPENVPN_RESETS: [u8; 2] = [7 << 3, 10 << 3];
/// The shortest of them: opcode, session id, an empty list of acknowledgments, packet id.
const OPENVPN_SHORTEST: usize = 14;
/// None is longer: authentication adds at most 64 octets of HMAC, a packet id and a time; V3 carries a wrapped key of at most
/// 1,024.
const OPENVPN_LONGEST: usize = 1_200;

/// Whether a datagram opens an `OpenVPN` session.
pub fn is_openvpn(payload: &[u8]) -> bool {
    let fits = (OPENVPN_SHORTEST..=OPENVPN_LONGEST).contains(&payload.len());
    fits && OPENVPN_RESETS.contains(&payload[0])
}

/// Whether a datagram is the server's answer to that: `P_CONTROL_HARD_RESET_SERVER_V2` with key id 0.
pub fn is_openvpn_response(payload: &[u8]) -> bool {
    payload.len() >= OPENVPN_SHORTEST && payload[0] == 8 << 3
}

/// Whether a datagram carries TLS of `OpenVPN`'s control channel: `P_CONTROL_V1` with key id 0.
pub fn is_openvpn_control(payload: &[u8]) -> bool {
    payload.len() >= OPENVPN_SHORTEST && payload[0] == 4 << 3
}

/// The same of a stream, behind the client's reset; `None` while that cannot be told.
pub fn is_openvpn_control_stream(stream: &[u8]) -> Option<bool> {
    if !is_openvpn_stream(stream)? {
        return Some(false);
    }
    let first = 2 + usize::from(u16::from_be_bytes([stream[0], stream[1]]));
    stream.get(first + 2).map(|opcode| *opcode == 4 << 3)
}

/// Whether a stream begins with such a packet behind its length; `None` while that cannot be told.
pub fn is_openvpn_stream(stream: &[u8]) -> Option<bool> {
    let [high, low, opcode, ..] = stream else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    Some((OPENVPN_SHORTEST..=OPENVPN_LONGEST).contains(&length) && OPENVPN_RESETS.contains(opcode))
}

/// Whether a datagram is `WireGuard`'s first message: type 1, three zero octets, 148 octets in all (Donenfeld, "`WireGuard`:
/// Next Generation Kernel Network Tunnel", section 5.4.2).
pub fn is_wireguard(payload: &[u8]) -> bool {
    payload.len() == 148 && payload.starts_with(&[1, 0, 0, 0])
}

/// Whether a datagram is its answer: type 2, 92 octets (section 5.4.3).
pub fn is_wireguard_response(payload: &[u8]) -> bool {
    payload.len() == 92 && payload.starts_with(&[2, 0, 0, 0])
}

/// Whether a datagram carries data, be it none: type 4, at least 32 octets (section 5.4.6).
pub fn is_wireguard_data(payload: &[u8]) -> bool {
    payload.len() >= 32 && payload.starts_with(&[4, 0, 0, 0])
}

/// IKE's ports, without and behind NAT (RFC 7296 section 2).
const IKE_PORTS: [u16; 2] = [500, 4_500];

/// Whether a datagram is a request `IKE_SA_INIT` of version 2: no responder's SPI yet, exchange type 34 (RFC 7296 section
/// 3.1), on port 4500 behind four zero octets (RFC 3948 section 2.2).
pub fn is_ikev2(port: u16, payload: &[u8]) -> bool {
    let message = if port == IKE_PORTS[1] { payload.strip_prefix(&[0; 4]).unwrap_or_default() } else { payload };
    IKE_PORTS.contains(&port) && message.len() >= 28 && message[8..16] == [0; 8] && message[17..19] == [0x20, 34]
}

/// Whether a datagram is the answer to that: a responder's SPI (or none, in a refusal), exchange type 34 and the flag of
/// responses (RFC 7296 section 3.1).
pub fn is_ikev2_response(port: u16, payload: &[u8]) -> bool {
    let message = if port == IKE_PORTS[1] { payload.strip_prefix(&[0; 4]).unwrap_or_default() } else { payload };
    IKE_PORTS.contains(&port) && message.len() >= 28 && message[17..19] == [0x20, 34] && message[19] & 0x20 != 0
}

/// Whether a client's first payload looks like nothing but noise, by the five exemptions of Wu et al. 2023, "How the Great
/// Firewall of China Detects and Blocks Fully Encrypted Traffic", section 4 (Algorithm 1).
pub fn is_fully_encrypted(payload: &[u8]) -> bool {
    let is_printable = |octet: &u8| (0x20..=0x7e).contains(octet);
    let ones: u32 = payload.iter().map(|octet| octet.count_ones()).sum();
    let (length, printable) = (payload.len(), payload.iter().filter(|octet| is_printable(octet)).count());
    let longest = payload.split(|octet| !is_printable(octet)).map(<[u8]>::len).max().unwrap_or(0);
    // Ones an octet: at most 3.4 or at least 4.6.
    let is_uneven = f64::from(ones) <= 3.4 * as_f64(length) || f64::from(ones) >= 4.6 * as_f64(length);
    let starts_printable = length >= 6 && payload[..6].iter().all(is_printable);
    let known = matches!(known(payload), Guess::Is(_));
    length > 0 && !(is_uneven || starts_printable || printable * 2 > length || longest > 20 || known)
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// HTTP methods, as far as they tell (RFC 9110 section 9; `PRI` begins HTTP/2, RFC 9113 section 3.4).
const METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"PATCH ", b"PRI "];

/// What the first bytes of a stream say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// It is this protocol.
    Is(Known),
    /// It is none of those known.
    Foreign,
    /// More bytes are needed.
    Open,
}

/// The protocol of a stream by its first bytes.
pub fn known(stream: &[u8]) -> Guess {
    match stream {
        _ if METHODS.iter().any(|method| stream.starts_with(method)) => Guess::Is(Known::Http),
        // A handshake record of any version 3.x (RFC 8446 section 5.1).
        [0x16, 0x03, ..] => Guess::Is(Known::Tls),
        _ if METHODS.iter().any(|method| method.starts_with(stream)) || stream == [0x16] => Guess::Open,
        _ => Guess::Foreign,
    }
}

/// The protocol of a client's first datagram to this port.
pub fn known_datagram(port: u16, payload: &[u8]) -> Option<Known> {
    match port {
        53 if super::parse::question(payload).is_some() => Some(Known::Dns),
        // A long header with the fixed bit (RFC 9000 section 17.2).
        _ if payload.len() >= 1_200 && payload[0] & 0xc0 == 0xc0 => Some(Known::Quic),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openvpn_is_known_by_opcode_and_length() {
        let reset = [&[0x38][..], &[9; 13]].concat();
        assert!(is_openvpn(&reset) && !is_openvpn(&reset[..13]) && !is_openvpn(&[0x16; 20]));
        assert_eq!(is_openvpn_stream(&[0, 14, 0x38]), Some(true));
        assert_eq!((is_openvpn_stream(&[0, 14]), is_openvpn_stream(&[0x16, 3, 1])), (None, Some(false)));
    }

    #[test]
    fn wireguard_is_known_by_type_and_size() {
        let mut first = [0; 148];
        first[0] = 1;
        let (response, data) = ([&[2, 0, 0, 0][..], &[7; 88]].concat(), [&[4, 0, 0, 0][..], &[7; 28]].concat());
        assert!(is_wireguard_response(&response) && !is_wireguard_response(&response[..91]));
        assert!(is_wireguard_data(&data) && !is_wireguard_data(&data[..31]) && !is_wireguard_data(&first));
        assert!(is_wireguard(&first) && !is_wireguard(&first[..147]) && !is_wireguard(&[1; 148]));
    }

    #[test]
    fn ike_is_known_on_both_of_its_ports() {
        let mut message = vec![5; 8];
        message.extend([0; 8]);
        message.extend([33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 28]);
        let behind_nat = [&[0; 4][..], &message].concat();
        assert!(is_ikev2(500, &message) && is_ikev2(4_500, &behind_nat));
        let mut response = message.clone();
        response[19] = 0x20;
        assert!(is_ikev2_response(500, &response) && !is_ikev2_response(500, &message));
        assert!(is_openvpn_response(&[&[0x40][..], &[7; 25]].concat()) && !is_openvpn_response(&[0x38; 26]));
        assert!(!is_ikev2(4_500, &message) && !is_ikev2(501, &message) && !is_ikev2(500, &message[..27]));
    }

    #[test]
    fn noise_is_fully_encrypted_and_each_exemption_is_not() {
        // Every octet once and shuffled by a step of 89: four ones an octet, few printable in a row.
        let noise: Vec<u8> = (0..=255_u8).map(|n| n.wrapping_mul(89).wrapping_add(131)).collect();
        assert!(is_fully_encrypted(&noise));
        assert!(!is_fully_encrypted(&[0; 64]), "few ones");
        assert!(!is_fully_encrypted(&[b"SSH-2.0", &noise[..]].concat()), "six printable octets first");
        assert!(!is_fully_encrypted(&[&noise[..30], &[b'a'; 60]].concat()), "printable for the most part");
        assert!(!is_fully_encrypted(&[&noise[..], b"twenty-one characters"].concat()), "a long printable run");
        assert!(!is_fully_encrypted(&[&[0x16, 0x03, 0x01][..], &noise].concat()), "TLS");
        assert!(!is_fully_encrypted(b""));
    }

    #[test]
    fn streams_are_known_by_their_first_bytes() {
        assert_eq!(known(b"GET / HTTP/1.1"), Guess::Is(Known::Http));
        assert_eq!(known(&[0x16, 3, 1]), Guess::Is(Known::Tls));
        assert_eq!([known(b"GE"), known(&[0x16]), known(b"")], [Guess::Open; 3]);
        assert_eq!([known(b"SSH-2.0-x"), known(&[9])], [Guess::Foreign; 2]);
        assert_eq!(known_datagram(443, &[0xc3; 1_200]), Some(Known::Quic));
        assert_eq!(known_datagram(443, &[0x43; 1_200]), None);
    }
}
