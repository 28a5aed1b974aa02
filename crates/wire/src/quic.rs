//! QUIC's version negotiation: a packet of a version that nobody speaks, and the list that a server answers it with (RFC 9000
//! sections 6 and 17.2.1; RFC 8999 sections 5.1 and 6).
//!
//! No key and no name is in it: whatever reads names in Initials has nothing to read here. The answer repeats the connection ids, so
//! nobody who has not seen the question can make one.

use alloc::vec::Vec;

/// Octets of the datagram: what a client's first must have, and what a server wants before it answers (RFC 9000 section 14.1).
pub const DATAGRAM: usize = 1_200;
/// Octets of the connection ids sent: what a client's first destination id must have at least (RFC 9000 section 7.2).
pub const ID: usize = 8;
/// The long header's form, the fixed bit, and the type of an Initial of version 1 with a packet number of four octets (RFC 9000
/// sections 17.2 and 17.2.2); what follows the version means nothing to those who do not speak it.
const FIRST: u8 = 0xc3;
/// The bit of a long header (RFC 8999 section 5.1).
const LONG: u8 = 0x80;
/// Versions that are reserved to be answered by negotiation: `0x?a?a?a?a` (RFC 9000 section 15).
const RESERVED: u32 = 0x0a0a_0a0a;
const RESERVED_MASK: u32 = 0x0f0f_0f0f;
/// Where the versions begin in an answer to [`question`]: first octet, version, both ids behind their lengths.
const VERSIONS: usize = 1 + 4 + 1 + ID + 1 + ID;

/// What a question is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The version that was offered.
    pub version: u32,
    /// Destination connection id.
    pub destination: [u8; ID],
    /// Source connection id.
    pub source: [u8; ID],
}

impl Asked {
    /// From octets of chance: a reserved version and two connection ids.
    pub fn new(version: u32, destination: [u8; ID], source: [u8; ID]) -> Self {
        Self { version: (version & !RESERVED_MASK) | RESERVED, destination, source }
    }
}

/// The datagram that asks: a long header (RFC 8999 section 5.1), an empty token and a length as an Initial of version 1 has them,
/// then zeros.
pub fn question(asked: &Asked) -> [u8; DATAGRAM] {
    let mut datagram = [0; DATAGRAM];
    // Behind the ids: no token, and what is left as a length of two octets (RFC 9000 section 16).
    let rest = u16::try_from(DATAGRAM - VERSIONS - 3).unwrap_or(0) | 0x4000;
    let length = [u8::try_from(ID).unwrap_or(0)];
    let parts: [&[u8]; 8] = [
        &[FIRST],
        &asked.version.to_be_bytes(),
        &length,
        &asked.destination,
        &length,
        &asked.source,
        &[0],
        &rest.to_be_bytes(),
    ];
    let mut at = 0;
    for part in parts {
        datagram[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    datagram
}

/// What a datagram in answer to a question is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The versions that the server speaks, in its order.
    Versions(Vec<u32>),
    /// Anything else.
    Other,
}

/// Reads the answer to a question: a long header of version 0, the ids in exchanged places, and versions to the end, one at least.
/// An answer that lists the version which was offered is to be passed over (RFC 9000 section 6.2).
pub fn answer(datagram: &[u8], asked: &Asked) -> Answer {
    let negotiates = datagram.first().is_some_and(|first| first & LONG != 0) && datagram.get(1..5) == Some(&[0; 4]);
    let id = |at: usize, id: &[u8; ID]| {
        datagram.get(at).map(|length| usize::from(*length)) == Some(ID) && datagram.get(at + 1..at + 1 + ID) == Some(id)
    };
    if !negotiates || !id(5, &asked.source) || !id(6 + ID, &asked.destination) {
        return Answer::Other;
    }
    let (versions, rest) = datagram.get(VERSIONS..).unwrap_or_default().as_chunks::<4>();
    let versions: Vec<u32> = versions.iter().map(|version| u32::from_be_bytes(*version)).collect();
    if versions.is_empty() || !rest.is_empty() || versions.contains(&asked.version) {
        return Answer::Other;
    }
    Answer::Versions(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { version: 0x5a6a_7a8a, destination: *b"destin_8", source: *b"source_8" };

    /// As a server of versions 1 and 2 answers (RFC 9000 section 17.2.1), the unused bits of the first octet set at random.
    fn reply(versions: &[u8]) -> Vec<u8> {
        [&[0xb5, 0, 0, 0, 0, 8][..], b"source_8", &[8], b"destin_8", versions].concat()
    }

    const BOTH: [u8; 8] = [0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf];

    #[test]
    fn a_question_is_a_long_header_of_a_reserved_version_padded_to_the_full() {
        let asked = Asked::new(0x5162_7384, ASKED.destination, ASKED.source);
        assert_eq!(asked, ASKED);
        let datagram = question(&asked);
        assert_eq!(datagram.len(), 1200);
        assert_eq!(datagram[..6], [0xc3, 0x5a, 0x6a, 0x7a, 0x8a, 8]);
        assert_eq!((&datagram[6..14], datagram[14], &datagram[15..23]), (&b"destin_8"[..], 8, &b"source_8"[..]));
        // No token; the length, 0x4000 set, counts what follows it: 1200 - 26 = 1174 = 0x496.
        assert_eq!(datagram[23..26], [0, 0x44, 0x96]);
        assert!(datagram[26..].iter().all(|octet| *octet == 0));
    }

    #[test]
    fn every_version_drawn_is_reserved_and_none_is_one_that_is_spoken() {
        for draw in [0, 1, u32::MAX, 0x6b33_43cf] {
            let version = Asked::new(draw, ASKED.destination, ASKED.source).version;
            assert_eq!(version & 0x0f0f_0f0f, 0x0a0a_0a0a, "{version:08x}");
        }
    }

    #[test]
    fn the_versions_of_an_answer_are_read_in_its_order() {
        assert_eq!(answer(&reply(&BOTH), &ASKED), Answer::Versions(alloc::vec![1, 0x6b33_43cf]));
        // A reserved version of the server's own choice (RFC 9000 section 6.3).
        assert_eq!(answer(&reply(&[0x1a, 0x2a, 0x3a, 0x4a]), &ASKED), Answer::Versions(alloc::vec![0x1a2a_3a4a]));
    }

    #[test]
    fn a_truncation_is_no_answer_unless_it_ends_between_versions() {
        let whole = reply(&BOTH);
        for cut in 0..whole.len() {
            let expected = if cut == whole.len() - 4 { Answer::Versions(alloc::vec![1]) } else { Answer::Other };
            assert_eq!(answer(&whole[..cut], &ASKED), expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_to_this_question_is_no_answer() {
        let whole = reply(&BOTH);
        // A short header, another version, ids of other lengths, ids that were not sent.
        for (at, octet) in [(0, 0x35), (4, 1), (5, 7), (5, 255), (6, b'S'), (13, b'9'), (14, 0), (14, 9), (15, b'D')] {
            let mut wrong = whole.clone();
            wrong[at] = octet;
            assert_eq!(answer(&wrong, &ASKED), Answer::Other, "octet {at} is {octet:02x}");
        }
        // The question itself, echoed; the offered version in the list.
        assert_eq!(answer(&question(&ASKED), &ASKED), Answer::Other);
        assert_eq!(answer(&reply(&[0, 0, 0, 1, 0x5a, 0x6a, 0x7a, 0x8a]), &ASKED), Answer::Other);
        assert_eq!(answer(&reply(&[]), &ASKED), Answer::Other);
    }
}
