//! A censor's view of QUIC: the client's Initial packets, which anyone on the path can decrypt (RFC 9001 section 5.2).
//!
//! rustls derives the keys and decrypts; only the headers and frames (RFC 9000 sections 17.2.2 and 19) are read here.

use std::collections::BTreeMap;

use rustls::Side;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Keys, Version};

use super::super::client_hello::Bytes;

/// The bytes of a client's CRYPTO stream so far, by offset.
#[derive(Debug, Default)]
pub struct Crypto {
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Crypto {
    /// Adds what a datagram has of it. `None`: the datagram has no Initial packet that can be read.
    pub fn add(&mut self, datagram: &[u8]) -> Option<()> {
        for (offset, piece) in crypto_frames(&initial(datagram)?) {
            self.pieces.insert(offset, piece);
        }
        Some(())
    }

    /// The stream from its start to the first gap.
    pub fn start(&self) -> Vec<u8> {
        let mut stream: Vec<u8> = Vec::new();
        for (offset, piece) in &self.pieces {
            let known = stream.len();
            let Some(skip) = usize::try_from(*offset).ok().and_then(|offset| known.checked_sub(offset)) else { break };
            stream.extend_from_slice(piece.get(skip..).unwrap_or_default());
        }
        stream
    }
}

/// The decrypted payload of the Initial packet at the start of a datagram.
fn initial(datagram: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Bytes(datagram);
    let first = bytes.u8().ok()?;
    let version = u32::from_be_bytes(bytes.take(4).ok()?.try_into().ok()?);
    // A long header of an Initial packet of version 1.
    if first & 0xf0 != 0xc0 || version != 1 {
        return None;
    }
    let destination = bytes.vector_8().ok()?;
    bytes.vector_8().ok()?;
    let token = varint(&mut bytes)?;
    bytes.take(usize::try_from(token).ok()?).ok()?;
    let length = usize::try_from(varint(&mut bytes)?).ok()?;
    let number_at = datagram.len() - bytes.0.len();
    let mut packet = datagram.get(..number_at + length)?.to_vec();

    let suite = TLS13_AES_128_GCM_SHA256.tls13()?;
    let keys = Keys::initial(Version::V1, suite, suite.quic?, destination, Side::Server).remote;
    let sample_at = number_at + 4;
    let sample = packet.get(sample_at..sample_at + keys.header.sample_len())?.to_vec();
    let (head, rest) = packet.split_at_mut(number_at);
    keys.header.decrypt_in_place(&sample, &mut head[0], &mut rest[..4]).ok()?;
    let number_length = usize::from(packet[0] & 0x03) + 1;
    let number = packet[number_at..number_at + number_length].iter().fold(0, |n, b| n << 8 | u64::from(*b));
    let (header, payload) = packet.split_at_mut(number_at + number_length);
    keys.packet.decrypt_in_place(number, header, payload).ok().map(<[u8]>::to_vec)
}

/// A variable-length integer (RFC 9000 section 16).
fn varint(bytes: &mut Bytes<'_>) -> Option<u64> {
    let first = bytes.u8().ok()?;
    let rest = bytes.take((1 << (first >> 6)) - 1).ok()?;
    Some(rest.iter().fold(u64::from(first & 0x3f), |n, b| n << 8 | u64::from(*b)))
}

/// The CRYPTO frames of a payload, with their offsets. Reading ends at the first frame that an Initial packet of a client
/// has no use for.
fn crypto_frames(payload: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let (mut bytes, mut found) = (Bytes(payload), Vec::new());
    while let Ok(kind) = bytes.u8() {
        match kind {
            // PADDING, PING
            0x00 | 0x01 => {}
            // CRYPTO
            0x06 => {
                let Some((offset, length)) = varint(&mut bytes).zip(varint(&mut bytes)) else { break };
                let Some(piece) = usize::try_from(length).ok().and_then(|length| bytes.take(length).ok()) else {
                    break;
                };
                found.push((offset, piece.to_vec()));
            }
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client's Initial packet around `payload`, made with the keys of RFC 9001's example connection.
    fn packet(payload: &[u8]) -> Vec<u8> {
        let destination = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        let keys = Keys::initial(Version::V1, suite, suite.quic.unwrap(), &destination, Side::Client).local;
        let mut payload = payload.to_vec();
        payload.resize(1_162, 0);
        // RFC 9001 appendix A.2: an unprotected header with packet number 2 in four octets.
        let mut header = [&[0xc3, 0, 0, 0, 1, 8][..], &destination, &[0, 0, 0x44, 0x9e, 0, 0, 0, 2]].concat();
        let tag = keys.packet.encrypt_in_place(2, &header, &mut payload).unwrap();
        payload.extend_from_slice(tag.as_ref());
        let number_at = header.len() - 4;
        let (head, number) = header.split_at_mut(number_at);
        keys.header.encrypt_in_place(&payload[..16], &mut head[0], number).unwrap();
        [header, payload].concat()
    }

    #[test]
    fn the_example_of_the_rfc_looks_as_the_rfc_prints_it() {
        // RFC 9001 appendix A.2: the frames begin 060040f1010000ed; the protected packet begins so.
        let packet = packet(&[0x06, 0x00, 0x40, 0xf1, 0x01, 0x00, 0x00, 0xed]);
        assert_eq!(packet.len(), 1_200);
        assert_eq!(&packet[1..18], &[0, 0, 0, 1, 8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 0, 0x44, 0x9e]);
    }

    #[test]
    fn pieces_of_a_stream_come_together_in_any_order() {
        let mut crypto = Crypto::default();
        crypto.add(&packet(&[0x06, 3, 2, b'l', b'o'])).unwrap();
        assert_eq!(crypto.start(), b"");
        crypto.add(&packet(&[0x01, 0x06, 0, 3, b'h', b'e', b'l'])).unwrap();
        assert_eq!(crypto.start(), b"hello");
    }

    #[test]
    fn what_is_no_initial_packet_is_not_read_and_every_truncation_is_none() {
        let whole = packet(&[0x06, 0, 1, 7]);
        for cut in 0..whole.len() {
            assert!(Crypto::default().add(&whole[..cut]).is_none(), "cut at {cut}");
        }
        assert!(Crypto::default().add(&[0x40; 1_200]).is_none());
    }
}
