//! Shadowsocks: one connection to a public resolver at its own address, and a question there for a name of no interest. What comes
//! back is sealed with the password: nobody else can make it. Ciphers by `aws-lc-rs`, BLAKE3 and MD5 by their crates, layouts
//! by `wire` (the protocol's pages "AEAD Ciphers" and SIP022; vpn reference, section 3.7).

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA1_FOR_LEGACY_USE_ONLY, KeyType, Salt};
use faultline_record::{QueryType, Vpn, VpnAnswer, VpnProof};
use faultline_wire::shadowsocks::{self as wire, LENGTH};
use md5::{Digest, Md5};
use tokio::io::AsyncReadExt;

use super::super::dns::Question;
use super::super::{Drive, udp};
use super::{End, FirstMessage, Tapped, send};
use crate::vpn_keys::{Method, ShadowsocksKey};

/// Octets that a cipher adds.
const TAG: usize = 16;
/// What keys of a session are derived for (the protocol's pages).
const INFO: &[u8] = b"ss-subkey";
const CONTEXT_2022: &str = "shadowsocks 2022 session subkey";
/// DNS's port (RFC 1035 section 4.2).
const DNS: u16 = 53;

/// One way of a connection: what was sealed so far is counted.
struct Sealer {
    key: LessSafeKey,
    sealed: u64,
}

impl Sealer {
    fn new(key: &ShadowsocksKey, salt: &[u8]) -> io::Result<Self> {
        let session = if key.is_2022 { session_2022(key, salt) } else { session(key, salt)? };
        let key = UnboundKey::new(algorithm(key.method), &session).map_err(io::Error::other)?;
        Ok(Self { key: LessSafeKey::new(key), sealed: 0 })
    }

    fn nonce(&mut self) -> Nonce {
        let mut octets = [0; 12];
        octets[..8].copy_from_slice(&self.sealed.to_le_bytes());
        self.sealed += 1;
        Nonce::assume_unique_for_key(octets)
    }

    fn seal(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let (mut octets, nonce) = (plain.to_vec(), self.nonce());
        self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut octets).map_err(io::Error::other)?;
        Ok(octets)
    }

    fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (mut octets, nonce) = (sealed.to_vec(), self.nonce());
        let plain = self.key.open_in_place(nonce, Aad::empty(), &mut octets).ok()?.len();
        octets.truncate(plain);
        Some(octets)
    }
}

fn algorithm(method: Method) -> &'static Algorithm {
    match method {
        Method::Aes128 => &AES_128_GCM,
        Method::Aes256 => &AES_256_GCM,
        Method::Chacha20 => &CHACHA20_POLY1305,
    }
}

/// A password's key, as OpenSSL's `EVP_BytesToKey` makes it with MD5, no salt and one round.
fn master(password: &[u8], octets: usize) -> Vec<u8> {
    let (mut key, mut last) = (Vec::new(), Vec::new());
    while key.len() < octets {
        last = Md5::new().chain_update(&last).chain_update(password).finalize().to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(octets);
    key
}

/// A length for HKDF.
struct Octets(usize);

impl KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

fn session(key: &ShadowsocksKey, salt: &[u8]) -> io::Result<Vec<u8>> {
    let (mut session, master) = (vec![0; key.method.octets()], master(key.password.expose(), key.method.octets()));
    let extracted = Salt::new(HKDF_SHA1_FOR_LEGACY_USE_ONLY, salt).extract(&master);
    let expanded = extracted.expand(&[INFO], Octets(session.len())).map_err(io::Error::other)?;
    expanded.fill(&mut session).map_err(io::Error::other)?;
    Ok(session)
}

fn session_2022(key: &ShadowsocksKey, salt: &[u8]) -> Vec<u8> {
    let material = [key.password.expose(), salt].concat();
    blake3::derive_key(CONTEXT_2022, &material)[..key.method.octets()].to_vec()
}

/// A client's first message: salt, destination and payload in one segment.
fn first_message(key: &ShadowsocksKey, salt: &[u8], destination: &[u8], payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut sealer = Sealer::new(key, salt)?;
    let body = if key.is_2022 { wire::body(destination, payload) } else { [destination, payload].concat() };
    let length = u16::try_from(body.len()).map_err(io::Error::other)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let head = if key.is_2022 { wire::head(now, length).to_vec() } else { length.to_be_bytes().to_vec() };
    Ok([salt, &sealer.seal(&head)?, &sealer.seal(&body)?].concat())
}

impl Drive {
    pub(super) async fn ask_shadowsocks(
        &self,
        stream: &mut Tapped,
        key: &ShadowsocksKey,
        first: FirstMessage,
        seen: &mut Vpn,
    ) -> io::Result<End> {
        let resolver = self.config().resolvers.iter().flat_map(|resolver| &resolver.udp).find(|ip| ip.is_ipv4());
        let resolver = *resolver.ok_or_else(|| io::Error::other("there is no resolver to ask through it"))?;
        let question = Question::new(&self.config().innocent_sni, QueryType::A);
        let query = udp::query(&question).ok().and_then(|query| query.to_vec().ok()).unwrap_or_default();
        // Over TCP the length comes first (RFC 1035 section 4.2.2).
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        let payload = [&length.to_be_bytes()[..], &query].concat();
        let salt: Vec<u8> = (0..key.method.octets()).map(|_| rand::random()).collect();
        let message = first_message(key, &salt, &wire::destination(SocketAddr::new(resolver, DNS)), &payload)?;
        send(stream, &message, first).await?;
        answer(stream, key, &salt, seen).await
    }
}

/// The head of the server's stream, which opens with the password alone.
async fn answer(stream: &mut Tapped, key: &ShadowsocksKey, ours: &[u8], seen: &mut Vpn) -> io::Result<End> {
    let mut theirs = vec![0; key.method.octets()];
    stream.read_exact(&mut theirs).await?;
    let length = if key.is_2022 { wire::answer_octets(ours.len()) } else { LENGTH };
    let mut head = vec![0; length + TAG];
    stream.read_exact(&mut head).await?;
    let opened = Sealer::new(key, &theirs)?.open(&head);
    let is_answer = opened.is_some_and(|head| !key.is_2022 || wire::answers(&head, ours));
    if !is_answer {
        return Ok(End::Strange("what came is not sealed with the password"));
    }
    (seen.answer, seen.proof) = (Some(VpnAnswer::Relayed), Some(VpnProof::Data));
    Ok(End::Had)
}

#[cfg(test)]
mod tests {
    use faultline_record::VpnKey;

    use super::*;
    use crate::vpn_keys::SecretOctets;

    fn key(method: Method, is_2022: bool, password: &[u8]) -> ShadowsocksKey {
        ShadowsocksKey { method, is_2022, password: SecretOctets::new(password.to_vec()), standing: VpnKey::Given }
    }

    #[test]
    fn a_password_becomes_the_key_that_openssl_makes_of_it() {
        // echo | openssl enc -aes-256-cbc -md md5 -nosalt -pass pass:foobar -P
        let expected = [
            0x38, 0x58, 0xf6, 0x22, 0x30, 0xac, 0x3c, 0x91, 0x5f, 0x30, 0x0c, 0x66, 0x43, 0x12, 0xc6, 0x3f, 0x56, 0x83,
            0x78, 0x52, 0x96, 0x14, 0xd2, 0x2d, 0xdb, 0x49, 0x23, 0x7d, 0x2f, 0x60, 0xbf, 0xdf,
        ];
        assert_eq!(master(b"foobar", 32), expected);
    }

    #[test]
    fn first_messages_have_the_sizes_of_a_real_client_s() {
        let destination = wire::destination("127.0.0.1:80".parse().unwrap());
        let size = |key: &ShadowsocksKey, payload: usize| {
            first_message(key, &vec![1; key.method.octets()], &destination, &vec![0; payload]).unwrap().len()
        };
        // salt, length and tag, address and payload and tag.
        assert_eq!(size(&key(Method::Chacha20, false, b"pw"), 18), 32 + 2 + 16 + 7 + 18 + 16);
        assert_eq!(size(&key(Method::Aes256, true, &[7; 32]), 18), 32 + 11 + 16 + 7 + 2 + 18 + 16);
        assert_eq!(size(&key(Method::Aes128, true, &[7; 16]), 0), 16 + 11 + 16 + 7 + 2 + 16);
    }

    #[test]
    fn what_was_sealed_is_opened_in_its_order_alone() {
        for key in [
            key(Method::Aes128, false, b"pw"),
            key(Method::Chacha20, false, b"pw"),
            key(Method::Aes256, true, &[7; 32]),
        ] {
            let (mut ours, mut theirs) = (Sealer::new(&key, &[1; 32]).unwrap(), Sealer::new(&key, &[1; 32]).unwrap());
            let (one, two) = (ours.seal(b"one").unwrap(), ours.seal(b"two").unwrap());
            assert_eq!((theirs.open(&one).unwrap(), theirs.open(&two).unwrap()), (b"one".to_vec(), b"two".to_vec()));
            assert_eq!(theirs.open(&one), None);
            assert_eq!(Sealer::new(&key, &[2; 32]).unwrap().open(&one), None, "another salt");
        }
    }
}
