//! Tor's link protocol between a client and a relay, as far as it shows who the relay is and that it works: cells (tor-spec,
//! "Channels"; link versions 3 to 5), the certificates of a CERTS cell (cert-spec), `CREATE_FAST`. Signatures are checked
//! elsewhere.

use alloc::vec;
use alloc::vec::Vec;

/// Commands of cells (tor-spec, "Cells").
const CREATE_FAST: u8 = 5;
const CREATED_FAST: u8 = 6;
const VERSIONS: u8 = 7;
const NETINFO: u8 = 8;
const CERTS: u8 = 129;
/// Commands from here on have bodies of any length; so has VERSIONS.
const VARIABLE: u8 = 128;
/// Octets of every other body.
const FIXED: usize = 509;
/// Octets of the material that each side gives, and of the hash that comes back.
pub const MATERIAL: usize = 20;

/// The first message, which offers link versions 3, 4 and 5. Its circuit's number has two octets, whatever the version.
pub const OFFER: [u8; 11] = [0, 0, VERSIONS, 0, 6, 0, 3, 0, 4, 0, 5];

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What it is.
    pub command: u8,
    /// What it holds.
    pub body: &'a [u8],
    /// Octets of the whole.
    pub length: usize,
}

/// The cell at the start of a stream, where numbers of circuits have so many octets; `None` while it is not whole.
pub fn first_cell(stream: &[u8], circuit: usize) -> Option<Cell<'_>> {
    let (&command, rest) = stream.get(circuit..)?.split_first()?;
    let (head, length) = if command == VERSIONS || command >= VARIABLE {
        (2, usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])))
    } else {
        (0, FIXED)
    };
    Some(Cell { command, body: rest.get(head..head + length)?, length: circuit + 1 + head + length })
}

/// The best version that both sides know; `None` if the cell is no VERSIONS or has none of ours.
pub fn version(cell: Cell<'_>) -> Option<u16> {
    let offered = cell.body.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    offered.filter(|version| cell.command == VERSIONS && (3..=5).contains(version)).max()
}

/// Octets of a circuit's number in a version.
pub fn circuit_octets(version: u16) -> usize {
    if version >= 4 { 4 } else { 2 }
}

/// The certificates of a CERTS cell by their kinds; `None` if it is another cell, or broken.
pub fn certificates(cell: Cell<'_>) -> Option<Vec<(u8, &[u8])>> {
    let (&count, mut rest) = cell.body.split_first().filter(|_| cell.command == CERTS)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let (head, behind) = rest.split_at_checked(3)?;
        let (certificate, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes([head[1], head[2]])))?;
        found.push((head[0], certificate));
        rest = behind;
    }
    Some(found)
}

/// An Ed25519 certificate (cert-spec, "Ed25519 certificates").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// When it ends, hours since 1970.
    pub expires: u32,
    /// The key, or the hash, that is certified.
    pub certified: &'a [u8; 32],
    /// The key that signed, where it is told (extension 4).
    pub by: Option<&'a [u8; 32]>,
    /// What is signed.
    pub covered: &'a [u8],
    /// By this.
    pub signature: &'a [u8; 64],
}

/// Reads one of this kind; `None` if it is another or broken.
pub fn signed(certificate: &[u8], kind: u8) -> Option<Signed<'_>> {
    let (covered, signature) = certificate.split_last_chunk::<64>()?;
    let (head, rest) = covered.split_at_checked(7)?;
    if head[0] != 1 || head[1] != kind {
        return None;
    }
    let (certified, rest) = rest.split_first_chunk::<32>()?;
    let (&count, mut rest) = rest.split_first()?;
    let mut by = None;
    for _ in 0..count {
        let (head, behind) = rest.split_at_checked(4)?;
        let (data, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes([head[0], head[1]])))?;
        if head[2] == 4 {
            by = data.try_into().ok();
        }
        rest = behind;
    }
    let expires = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    Some(Signed { expires, certified, by, covered, signature })
}

/// What the RSA identity says of the Ed25519 one (cert-spec, "RSA->Ed25519 cross-certificate").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cross<'a> {
    /// The Ed25519 identity.
    pub key: &'a [u8; 32],
    /// What is signed, behind a prefix.
    pub covered: &'a [u8],
    /// By this.
    pub signature: &'a [u8],
}

/// Reads one; `None` if it is broken.
pub fn cross(certificate: &[u8]) -> Option<Cross<'_>> {
    let (key, rest) = certificate.split_first_chunk::<32>()?;
    // When it ends.
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let (&length, signature) = rest.split_first()?;
    let covered = certificate.get(..36)?;
    (signature.len() == usize::from(length)).then_some(Cross { key, covered, signature })
}

/// A NETINFO cell of a client's, who says neither the time nor its address, and a `CREATE_FAST` behind it.
pub fn create_fast(version: u16, material: &[u8; MATERIAL]) -> Vec<u8> {
    let fixed = |circuit: &[u8], command: u8, start: &[u8]| {
        let mut body = vec![0; FIXED];
        body[..start.len()].copy_from_slice(start);
        [circuit, &[command], &body].concat()
    };
    // The highest bit says who has begun the circuit.
    let (none, own): (&[u8], &[u8]) =
        if circuit_octets(version) == 4 { (&[0; 4], &[0x80, 0, 0, 1]) } else { (&[0; 2], &[0x80, 1]) };
    // No time, the other's address (0.0.0.0), none of ours.
    let netinfo = fixed(none, NETINFO, &[0, 0, 0, 0, 4, 4, 0, 0, 0, 0, 0]);
    [netinfo, fixed(own, CREATE_FAST, material)].concat()
}

/// The relay's material and its hash; `None` if it is another cell.
pub fn created_fast(cell: Cell<'_>) -> Option<([u8; MATERIAL], [u8; MATERIAL])> {
    let (theirs, rest) = cell.body.split_first_chunk().filter(|_| cell.command == CREATED_FAST)?;
    Some((*theirs, *rest.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_awaited_until_it_is_whole() {
        let versions = [0, 0, 7, 0, 4, 0, 3, 0, 9];
        for cut in 0..versions.len() {
            assert_eq!(first_cell(&versions[..cut], 2), None, "cut at {cut}");
        }
        let cell = first_cell(&versions, 2).unwrap();
        assert_eq!((version(cell), cell.length), (Some(3), 9));
        assert_eq!(version(first_cell(&OFFER, 2).unwrap()), Some(5));
        assert_eq!(version(first_cell(&[0, 0, 7, 0, 2, 0, 9], 2).unwrap()), None, "none of ours");
        let fixed = [&[0, 0, 0, 0, 8][..], &[1; 509]].concat();
        assert_eq!(first_cell(&fixed[..513], 4), None);
        assert_eq!(first_cell(&fixed, 4).unwrap().length, 514);
    }

    #[test]
    fn certificates_are_read_by_kind_and_every_truncation_is_none() {
        let body = [2, 4, 0, 2, 8, 9, 7, 0, 1, 5];
        let of = |body| certificates(Cell { command: 129, body, length: 0 });
        assert_eq!(of(&body), Some(vec![(4, &[8, 9][..]), (7, &[5])]));
        for cut in 0..body.len() {
            assert_eq!(of(&body[..cut]), None, "cut at {cut}");
        }
        assert_eq!(certificates(Cell { command: 8, body: &body, length: 0 }), None);
    }

    #[test]
    fn an_ed25519_certificate_tells_its_key_and_who_signed_it() {
        let head = [1, 4, 0, 0, 1, 0, 1];
        let whole = [&head[..], &[7; 32], &[1, 0, 32, 4, 0], &[8; 32], &[9; 64]].concat();
        let read = signed(&whole, 4).unwrap();
        assert_eq!((read.certified, read.by, read.expires), (&[7; 32], Some(&[8; 32]), 256));
        assert_eq!((read.covered.len(), read.signature), (whole.len() - 64, &[9; 64]));
        assert_eq!(signed(&whole, 5), None, "another kind");
        for cut in 0..whole.len() {
            assert!(signed(&whole[..cut], 4).is_none_or(|short| short.signature != &[9; 64]), "cut at {cut}");
        }
    }

    #[test]
    fn a_cross_certificate_ends_with_its_signature() {
        let whole = [&[7; 32][..], &[0, 0, 1, 0], &[3], &[1, 2, 3]].concat();
        let expected = Cross { key: &[7; 32], covered: &whole[..36], signature: &[1, 2, 3] };
        assert_eq!(cross(&whole), Some(expected));
        for cut in 0..whole.len() {
            assert_eq!(cross(&whole[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_circuit_is_asked_for_behind_netinfo() {
        let sent = create_fast(5, &[6; 20]);
        assert_eq!((sent.len(), sent[4], sent[518], sent[519]), (2 * 514, 8, 5, 6));
        assert_eq!(sent[514..518], [0x80, 0, 0, 1]);
        assert_eq!(create_fast(3, &[6; 20]).len(), 2 * 512);
        let answer = [&[0x80, 0, 0, 1, 6][..], &[1; 20], &[2; 20], &[0; 469]].concat();
        assert_eq!(created_fast(first_cell(&answer, 4).unwrap()), Some(([1; 20], [2; 20])));
        assert_eq!(created_fast(first_cell(&sent, 4).unwrap()), None);
    }
}
