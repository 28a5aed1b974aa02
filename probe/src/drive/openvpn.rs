//! `OpenVPN`'s messages, wrapped with a static key: codes and ciphers by `aws-lc-rs`, layouts by `wire` (vpn reference,
//! section 3.1).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use faultline_wire::openvpn::{self, HEAD, Parts, TAG};
use faultline_wire::openvpn_control;

use crate::vpn_keys::{Digest, Direction, OpenvpnWrap};

/// The first packet, and the same where a client of tls-crypt-v2 says that it can be asked for a cookie.
const FIRST: u32 = 1;
const FIRST_EARLY: u32 = 0x0f00_0001;

/// What a client wraps its messages with, and how many it has wrapped: a server takes no number twice.
pub(super) struct Wrapper {
    key: Option<Arc<OpenvpnWrap>>,
    next: u32,
    time: u32,
}

impl Wrapper {
    /// For a new session. Without a key messages stay as they are.
    pub(super) fn new(key: Option<&Arc<OpenvpnWrap>>) -> Self {
        // The time is in clear: seconds of this century fit.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let is_v2 = key.is_some_and(|key| matches!(**key, OpenvpnWrap::CryptV2 { .. }));
        let next = if is_v2 { FIRST_EARLY } else { FIRST };
        Self { key: key.cloned(), next, time: u32::try_from(time).unwrap_or(0) }
    }

    /// The first message of a session.
    pub(super) fn reset(&mut self, session: [u8; 8]) -> Vec<u8> {
        let is_v2 = self.wrapped_key() > 0;
        self.wrap(&if is_v2 { openvpn::client_reset_v3(session) } else { openvpn::client_reset(session) })
    }

    /// A client's message, as it is sent.
    pub(super) fn wrap(&mut self, plain: &[u8]) -> Vec<u8> {
        let stamp = openvpn::stamp(self.next, self.time);
        self.next = self.next.wrapping_add(1);
        match self.key.as_deref() {
            None => plain.to_vec(),
            Some(OpenvpnWrap::Auth { key, direction, digest }) => {
                let key = code_key(key.expose(), *digest, *direction == Direction::One);
                authenticated(&key, plain, &stamp)
            }
            Some(OpenvpnWrap::Crypt(key)) => encrypted(key.expose(), plain, &stamp, true),
            Some(OpenvpnWrap::CryptV2 { key, wrapped }) => {
                let mut message = encrypted(key.expose(), plain, &stamp, true);
                if openvpn_control::carries_key(plain) {
                    message.extend_from_slice(wrapped.expose());
                }
                message
            }
        }
    }

    /// A server's message as it is without its wrap; `None` if it was not made with the key.
    pub(super) fn plain(&self, message: &[u8]) -> Option<Vec<u8>> {
        plain(message, self.key.as_deref())
    }

    /// Octets of the wrapped key that a client of tls-crypt-v2 shows.
    pub(super) fn wrapped_key(&self) -> usize {
        match self.key.as_deref() {
            Some(OpenvpnWrap::CryptV2 { wrapped, .. }) => wrapped.expose().len(),
            _ => 0,
        }
    }
}

fn plain(message: &[u8], key: Option<&OpenvpnWrap>) -> Option<Vec<u8>> {
    match key {
        None => Some(message.to_vec()),
        Some(OpenvpnWrap::Auth { key, direction, digest }) => {
            let parts = openvpn::authenticated(message, length(*digest))?;
            let key = code_key(key.expose(), *digest, *direction == Direction::Zero);
            let covered = [parts.stamp, parts.head, parts.body].concat();
            hmac::verify(&key, &covered, parts.code).ok()?;
            Some([parts.head, parts.body].concat())
        }
        Some(OpenvpnWrap::Crypt(key) | OpenvpnWrap::CryptV2 { key, .. }) => opened(key.expose(), message, false),
    }
}

fn length(digest: Digest) -> usize {
    match digest {
        Digest::Sha1 => 20,
        Digest::Sha256 => 32,
        Digest::Sha512 => 64,
    }
}

/// The key of codes: the fourth of the file's for what a client in direction 1 sends, the second for the other way and for
/// both.
fn code_key(file: &[u8; 256], digest: Digest, is_fourth: bool) -> hmac::Key {
    let algorithm = match digest {
        Digest::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => hmac::HMAC_SHA256,
        Digest::Sha512 => hmac::HMAC_SHA512,
    };
    let at = if is_fourth { 192 } else { 64 };
    hmac::Key::new(algorithm, &file[at..at + length(digest)])
}

fn authenticated(key: &hmac::Key, plain: &[u8], stamp: &[u8]) -> Vec<u8> {
    let (head, body) = plain.split_at(HEAD);
    let code = hmac::sign(key, &[stamp, head, body].concat());
    [head, code.as_ref(), stamp, body].concat()
}

/// The keys of cipher and code: the third and fourth of the file's for what the client sends, the first and second for what
/// the server does.
fn crypt_keys(file: &[u8; 256], by_client: bool) -> (&[u8], hmac::Key) {
    let at = if by_client { 128 } else { 0 };
    (&file[at..at + 32], hmac::Key::new(hmac::HMAC_SHA256, &file[at + 64..at + 96]))
}

fn encrypted(file: &[u8; 256], plain: &[u8], stamp: &[u8], by_client: bool) -> Vec<u8> {
    let (head, body) = plain.split_at(HEAD);
    let (cipher, code) = crypt_keys(file, by_client);
    let code = hmac::sign(&code, &[head, stamp, body].concat());
    // A key of 32 octets and a code of 32 are never refused.
    let body = in_counter_mode(cipher, code.as_ref(), body).unwrap_or_default();
    [head, stamp, code.as_ref(), &body].concat()
}

fn opened(file: &[u8; 256], message: &[u8], by_client: bool) -> Option<Vec<u8>> {
    let Parts { head, stamp, code, body } = openvpn::encrypted(message)?;
    let (cipher, key) = crypt_keys(file, by_client);
    let body = in_counter_mode(cipher, code, body)?;
    hmac::verify(&key, &[head, stamp, &body].concat(), code).ok()?;
    Some([head, &body].concat())
}

/// AES-256-CTR, which is its own inverse; the code's first half is where it starts.
fn in_counter_mode(key: &[u8], code: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let start: [u8; 16] = code.get(..TAG / 2)?.try_into().ok()?;
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let mut body = body.to_vec();
    key.less_safe_encrypt(&mut body, EncryptionContext::Iv128(FixedLength::from(start))).ok()?;
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vpn_keys::{Secret, SecretOctets};

    const SESSION: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn file() -> Box<Secret<256>> {
        let mut octets = [0; 256];
        for (octet, at) in octets.iter_mut().zip(0..=255) {
            *octet = at;
        }
        Box::new(Secret::new(octets))
    }

    fn reset(key: &Arc<OpenvpnWrap>) -> Vec<u8> {
        Wrapper::new(Some(key)).reset(SESSION)
    }

    #[test]
    fn wrapped_resets_have_the_sizes_of_a_real_client_s() {
        for (digest, size) in [(Digest::Sha1, 42), (Digest::Sha256, 54), (Digest::Sha512, 86)] {
            let key = Arc::new(OpenvpnWrap::Auth { key: file(), direction: Direction::One, digest });
            let message = reset(&key);
            assert_eq!((message.len(), message[0]), (size, 0x38));
            assert_eq!(plain(&message, Some(&key)), None, "the other direction has another key");
            let both = Arc::new(OpenvpnWrap::Auth { key: file(), direction: Direction::Both, digest });
            let message = reset(&both);
            assert_eq!(plain(&message, Some(&both)).unwrap(), openvpn::client_reset(SESSION));
            let mut forged = message.clone();
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(plain(&forged, Some(&both)), None);
        }
        assert_eq!(reset(&Arc::new(OpenvpnWrap::Crypt(file()))).len(), 54);
        let second = Arc::new(OpenvpnWrap::CryptV2 { key: file(), wrapped: SecretOctets::new(vec![9; 299]) });
        let message = reset(&second);
        assert_eq!((message.len(), message[0], message[352]), (353, 0x50, 9));
    }

    #[test]
    fn each_message_of_a_session_has_the_next_number_and_the_key_goes_along_where_it_is_wanted() {
        let control = openvpn_control::packet(SESSION, [2; 8], &[0], Some((1, &[9; 40])));
        let auth = OpenvpnWrap::Auth { key: file(), direction: Direction::Both, digest: Digest::Sha256 };
        let mut wrapper = Wrapper::new(Some(&Arc::new(auth)));
        wrapper.reset(SESSION);
        let message = wrapper.wrap(&control);
        assert_eq!(openvpn::authenticated(&message, 32).unwrap().stamp[..4], [0, 0, 0, 2]);
        assert_eq!(wrapper.plain(&message), Some(control.clone()), "in both directions the key is one");
        let second = OpenvpnWrap::CryptV2 { key: file(), wrapped: SecretOctets::new(vec![7; 299]) };
        let mut wrapper = Wrapper::new(Some(&Arc::new(second)));
        wrapper.reset(SESSION);
        let (with_key, without) = (wrapper.wrap(&openvpn_control::with_key(control.clone())), wrapper.wrap(&control));
        assert_eq!((with_key.len(), with_key[0]), (without.len() + 299, 0x58));
        assert_eq!(openvpn::encrypted(&without).unwrap().stamp[..4], [0x0f, 0, 0, 3]);
    }

    #[test]
    fn what_is_encrypted_for_one_side_is_opened_by_the_other_alone() {
        let (file, reset) = (file(), openvpn::client_reset(SESSION));
        let message = encrypted(file.expose(), &reset, &openvpn::stamp(1, 2), true);
        assert_ne!(message[HEAD + 8 + TAG..], [0; 5]);
        assert_eq!(opened(file.expose(), &message, true).unwrap(), reset);
        assert_eq!(opened(file.expose(), &message, false), None);
        for cut in 0..message.len() {
            assert_eq!(opened(file.expose(), &message[..cut], true), None, "cut at {cut}");
        }
    }
}
