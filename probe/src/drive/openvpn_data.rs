//! `OpenVPN`'s data channel: where its keys come from, and packets sealed with them. Ciphers and codes by `aws-lc-rs`, those with MD5
//! by their crates, layouts by `wire`.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::hmac as codes;
use faultline_wire::openvpn_data::{self as wire, NUMBER, TAG};
use faultline_wire::openvpn_login::{PRE_MASTER, Pushed, RANDOM, Randoms};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

/// Octets of the keys of both ways: each has 64 of a cipher's and 64 of a code's.
pub(super) const KEYS: usize = 256;
/// What TLS's exporter is asked by (draft-openvpn-wire-protocol, section 7).
pub(super) const EXPORTER: &[u8] = b"EXPORTER-OpenVPN-datakeys";
/// What the older derivation is told apart by.
const MASTER: &[u8] = b"OpenVPN master secret";
const EXPANSION: &[u8] = b"OpenVPN key expansion";
/// Where a way's key of codes begins, of which the end of its nonces is taken.
const CODES: usize = 64;
/// Where what the server sends has its keys.
const SERVER: usize = 128;
/// The mark of a packet that is not compressed (`comp-lzo`).
const NOT_COMPRESSED: u8 = 0xfa;

/// A client's side of the exchange of random octets.
pub(super) struct Shared {
    pre_master: [u8; PRE_MASTER],
    random: [[u8; RANDOM]; 2],
}

impl Shared {
    /// New octets.
    pub(super) fn new() -> Self {
        let mut pre_master = [0; PRE_MASTER];
        rand::fill(&mut pre_master);
        Self { pre_master, random: [rand::random(), rand::random()] }
    }

    /// The same as the message has them.
    pub(super) fn randoms(&self) -> Randoms<'_> {
        Randoms { pre_master: &self.pre_master, random: &self.random }
    }

    /// The keys of both ways, where TLS's exporter is not used: TLS 1.0's derivation (RFC 2246 section 5) twice. Sessions are the
    /// client's and the server's.
    pub(super) fn keys(&self, theirs: &[[u8; RANDOM]; 2], sessions: [[u8; 8]; 2]) -> [u8; KEYS] {
        let (mut master, mut keys) = ([0; PRE_MASTER], [0; KEYS]);
        derive(&self.pre_master, &[MASTER, &self.random[0], &theirs[0]].concat(), &mut master);
        let seed = [EXPANSION, &self.random[1], &theirs[1], &sessions.concat()].concat();
        derive(&master, &seed, &mut keys);
        keys
    }
}

/// TLS 1.0's derivation (RFC 2246 section 5): each half of the secret, by a code of its own, and both put together.
fn derive(secret: &[u8], seed: &[u8], into: &mut [u8]) {
    let half = secret.len().div_ceil(2);
    let sha1 = |message: &[u8]| {
        let key = codes::Key::new(codes::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret[secret.len() - half..]);
        codes::sign(&key, message).as_ref().to_vec()
    };
    let md5 = |message: &[u8]| md5_code(&secret[..half], message).to_vec();
    let both = expanded(&md5, seed, into.len()).into_iter().zip(expanded(&sha1, seed, into.len()));
    for (octet, (one, other)) in into.iter_mut().zip(both) {
        *octet = one ^ other;
    }
}

/// `P_hash` of the same section.
fn expanded(code: &dyn Fn(&[u8]) -> Vec<u8>, seed: &[u8], length: usize) -> Vec<u8> {
    let (mut octets, mut link) = (Vec::new(), code(seed));
    while octets.len() < length {
        octets.extend_from_slice(&code(&[&link, seed].concat()));
        link = code(&link);
    }
    octets
}

/// HMAC with MD5 (RFC 2104).
fn md5_code(key: &[u8], message: &[u8]) -> [u8; 16] {
    // Keys of every length will do.
    let code = Hmac::<Md5>::new_from_slice(key).map(|code| code.chain_update(message).finalize().into_bytes());
    code.map_or([0; 16], Into::into)
}

/// One way's key, and the end of its nonces.
struct Way {
    key: LessSafeKey,
    nonce: [u8; NONCE_LEN - NUMBER],
}

impl Way {
    fn new(algorithm: &'static Algorithm, keys: &[u8; KEYS], at: usize) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(algorithm, keys.get(at..at + algorithm.key_len())?).ok()?);
        Some(Self { key, nonce: *keys.get(at + CODES..)?.first_chunk()? })
    }

    fn nonce(&self, number: [u8; NUMBER]) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..NUMBER].copy_from_slice(&number);
        nonce[NUMBER..].copy_from_slice(&self.nonce);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// A client's data channel.
pub(super) struct DataChannel {
    outward: Way,
    inward: Way,
    peer: Option<u32>,
    is_marked: bool,
    next: u32,
}

impl DataChannel {
    /// With these keys, as the server has configured it; `None` if that is a cipher that is not spoken here.
    pub(super) fn new(keys: &[u8; KEYS], pushed: &Pushed) -> Option<Self> {
        let algorithm = match pushed.cipher.as_deref()? {
            "AES-256-GCM" => &AES_256_GCM,
            "AES-128-GCM" => &AES_128_GCM,
            "CHACHA20-POLY1305" => &CHACHA20_POLY1305,
            _ => return None,
        };
        let (outward, inward) = (Way::new(algorithm, keys, 0)?, Way::new(algorithm, keys, SERVER)?);
        Some(Self { outward, inward, peer: pushed.peer, is_marked: pushed.is_marked, next: 1 })
    }

    /// The packet that carries this. A conversation has a handful, so that numbers do not come to an end.
    pub(super) fn seal(&mut self, carried: &[u8]) -> Option<Vec<u8>> {
        let head = wire::head(self.peer, self.next);
        let nonce = self.outward.nonce(self.next.to_be_bytes());
        self.next = self.next.checked_add(1)?;
        let mut body = if self.is_marked { vec![NOT_COMPRESSED] } else { Vec::new() };
        body.extend_from_slice(carried);
        let covered = Aad::from(wire::covered(&head));
        let tag = self.outward.key.seal_in_place_separate_tag(nonce, covered, &mut body).ok()?;
        Some([&head[..], tag.as_ref(), &body].concat())
    }

    /// What a packet of the server's carries; `None` if it was not made with the key.
    pub(super) fn open(&self, message: &[u8]) -> Option<Vec<u8>> {
        let parts = wire::parts(message)?;
        let mut sealed = [parts.body, parts.tag].concat();
        let covered = Aad::from(wire::covered(parts.head));
        let length = self.inward.key.open_in_place(self.inward.nonce(parts.number), covered, &mut sealed).ok()?.len();
        debug_assert_eq!(length + TAG, sealed.len());
        sealed.truncate(length);
        Some(sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_code_with_md5_is_the_one_of_the_rfc_s_vectors() {
        // RFC 2202 section 2, cases 1 and 2.
        assert_eq!(md5_code(&[0x0b; 16], b"Hi There").to_vec(), hex("9294727a3638bb1c13f48ef8158bfc9d"));
        let second = md5_code(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(second.to_vec(), hex("750c783e6ab0b503eaa86e310a5db738"));
    }

    #[test]
    fn keys_are_those_that_another_program_derives() {
        // By Python's hmac and hashlib, after RFC 2246 section 5.
        let shared = Shared { pre_master: [1; 48], random: [[2; 32], [3; 32]] };
        let keys = shared.keys(&[[4; 32], [5; 32]], [[6; 8], [7; 8]]);
        assert_eq!(keys[..16], hex("df52f010932d0764260f7117f367cf5d"));
        assert_eq!(keys[128..144], hex("f1233ce79964fef2a7f2f1c2df849c2a"));
        assert_eq!(keys[240..], hex("a65f1dde5828e807caa311a2f031ad3c"));
        assert_ne!(keys, shared.keys(&[[4; 32], [5; 32]], [[7; 8], [6; 8]]));
    }

    #[test]
    fn packets_are_opened_by_the_other_side_alone_and_no_octet_of_them_can_change() {
        let mut keys = [0; KEYS];
        for (octet, at) in keys.iter_mut().zip(0..=255) {
            *octet = at;
        }
        for (cipher, peer) in [("AES-256-GCM", Some(3)), ("AES-128-GCM", None), ("CHACHA20-POLY1305", Some(0))] {
            let pushed = Pushed { cipher: Some(cipher.to_owned()), peer, ..Pushed::default() };
            let mut ours = DataChannel::new(&keys, &pushed).unwrap();
            let mut turned = keys;
            turned.rotate_left(SERVER);
            let theirs = DataChannel::new(&turned, &pushed).unwrap();
            let (one, two) = (ours.seal(b"one").unwrap(), ours.seal(b"one").unwrap());
            assert_ne!(one, two);
            assert_eq!(theirs.open(&one).as_deref(), Some(&b"one"[..]));
            assert_eq!(ours.open(&one), None, "the other way has another key");
            // Of the older form the opcode is not covered; it says where everything else is.
            for at in 0..one.len() {
                let mut forged = one.clone();
                forged[at] ^= 1;
                assert_eq!(theirs.open(&forged), None, "{cipher} at {at}");
            }
        }
        let marked = Pushed { cipher: Some("AES-256-GCM".to_owned()), is_marked: true, ..Pushed::default() };
        assert_eq!(DataChannel::new(&keys, &marked).unwrap().seal(b"x").unwrap().len(), 5 + TAG + 2);
        let unknown = Pushed { cipher: Some("BF-CBC".to_owned()), ..Pushed::default() };
        assert!(DataChannel::new(&keys, &unknown).is_none() && DataChannel::new(&keys, &Pushed::default()).is_none());
    }
}
