//! What proxies want to know: the tables `[[shadowsocks]]`, `[[tor]]`, `[[obfs4]]`, `[[trojan]]` and `[[vless]]`.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA224, digest};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use faultline_record::{VpnKey, VpnProtocol};
use faultline_wire::trojan::HASH;

use super::account::Refusal;
use super::file::{Parsed, Table, wrong};
use super::{Entry, Key, Secret, SecretOctets};

/// A password, and what is done with it.
#[derive(Debug)]
pub struct ShadowsocksKey {
    /// The cipher.
    pub method: Method,
    /// Whether it is the protocol's edition of 2022 (SIP022), where the password is a key in base64.
    pub is_2022: bool,
    /// The password's octets, or that key.
    pub password: SecretOctets,
    /// Whether it works, and from elsewhere, by the user's word.
    pub standing: VpnKey,
}

/// Ciphers of Shadowsocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `aes-128-gcm`.
    Aes128,
    /// `aes-256-gcm`.
    Aes256,
    /// `chacha20-ietf-poly1305`.
    Chacha20,
}

impl Method {
    /// Octets of its keys, and of its salts.
    pub fn octets(self) -> usize {
        if self == Self::Aes128 { 16 } else { 32 }
    }
}

/// Who a relay of Tor's should be.
#[derive(Debug)]
pub struct TorIdentity {
    /// The hash of its RSA identity, as bridge lines have it.
    pub fingerprint: Option<[u8; 20]>,
    /// Its Ed25519 identity.
    pub ed25519: Option<[u8; 32]>,
}

/// What a bridge line says of a bridge behind obfs4.
#[derive(Debug)]
pub struct Obfs4Key {
    /// Its node id.
    pub node: Secret<20>,
    /// Its public key, which only those know who have the line.
    pub bridge: Secret<32>,
    /// Whether it works, and from elsewhere, by the user's word.
    pub standing: VpnKey,
}

/// With what a client logs in within TLS.
#[derive(Debug)]
pub struct TlsLogin {
    /// What is sent.
    pub token: Token,
    /// Whether it works, and from elsewhere, by the user's word.
    pub standing: VpnKey,
    /// Whether a server has refused it.
    pub refusal: Refusal,
}

/// What such a login is made of.
#[derive(Debug)]
pub enum Token {
    /// Trojan's: the hash of the password, in hexadecimal digits.
    Trojan(Box<Secret<HASH>>),
    /// The identifier of VLESS.
    Vless(Secret<16>),
}

impl TlsLogin {
    /// Whether it is one of this protocol's.
    pub fn is_for(&self, protocol: VpnProtocol) -> bool {
        match self.token {
            Token::Trojan(_) => protocol == VpnProtocol::Trojan,
            Token::Vless(_) => protocol == VpnProtocol::Vless,
        }
    }
}

fn standing(table: &Table<'_, '_>) -> Parsed<VpnKey> {
    Ok(if table.flag("proven")? { VpnKey::Proven } else { VpnKey::Given })
}

/// The ciphers that are known, by their names.
fn method(name: &str) -> Option<(Method, bool)> {
    Some(match name {
        "aes-128-gcm" => (Method::Aes128, false),
        "aes-256-gcm" => (Method::Aes256, false),
        "chacha20-ietf-poly1305" => (Method::Chacha20, false),
        "2022-blake3-aes-128-gcm" => (Method::Aes128, true),
        "2022-blake3-aes-256-gcm" => (Method::Aes256, true),
        _ => return None,
    })
}

const METHODS: &str =
    "one of aes-128-gcm, aes-256-gcm, chacha20-ietf-poly1305, 2022-blake3-aes-128-gcm and 2022-blake3-aes-256-gcm";

pub(super) fn shadowsocks(table: &Table<'_, '_>) -> Parsed<Entry> {
    table.knows(&["endpoint", "target", "method", "password", "proven"])?;
    let (method, is_2022) = table
        .text("method", METHODS, method)?
        .ok_or_else(|| wrong(table.at, format!("method is needed: {METHODS}")))?;
    let expected = if is_2022 { "a key in base64, as long as the cipher's" } else { "a text that is not empty" };
    let password = table.text("password", expected, |text| {
        if is_2022 {
            BASE64_STANDARD.decode(text).ok().filter(|key| key.len() == method.octets())
        } else {
            Some(text.as_bytes().to_vec()).filter(|text| !text.is_empty())
        }
    })?;
    let password = SecretOctets::new(password.ok_or_else(|| wrong(table.at, "password is needed"))?);
    let key = ShadowsocksKey { method, is_2022, password, standing: standing(table)? };
    Ok(Entry { whose: table.whose()?, key: Key::Shadowsocks(Arc::new(key)) })
}

pub(super) fn tor(table: &Table<'_, '_>) -> Parsed<Entry> {
    table.knows(&["endpoint", "target", "fingerprint", "ed25519"])?;
    let fingerprint =
        table.text("fingerprint", "40 hexadecimal digits", |text| octets_of_hex(text)?.try_into().ok())?;
    let ed25519 = table.text("ed25519", "32 octets in base64 without padding, 43 characters", |text| {
        BASE64_STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
    })?;
    if fingerprint.is_none() && ed25519.is_none() {
        return Err(wrong(table.at, "fingerprint or ed25519 is needed: who the relay should be"));
    }
    Ok(Entry { whose: table.whose()?, key: Key::Tor(Arc::new(TorIdentity { fingerprint, ed25519 })) })
}

fn octets_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|_| pair.len() == 2)?, 16).ok())
        .collect()
}

/// Octets of a node id and of a key.
const CERT: usize = 52;

pub(super) fn obfs4(table: &Table<'_, '_>) -> Parsed<Entry> {
    table.knows(&["endpoint", "target", "bridge", "proven"])?;
    let cert = table.text("bridge", "a bridge line with cert=, and iat-mode 0, 1 or 2 if it has one", |line| {
        let iat = line.split_whitespace().find_map(|word| word.strip_prefix("iat-mode="));
        // How a client cuts what it sends after the handshake, which is all that is sent here.
        iat.is_none_or(|mode| matches!(mode, "0" | "1" | "2")).then_some(())?;
        let cert = line.split_whitespace().find_map(|word| word.strip_prefix("cert="))?;
        let octets: [u8; CERT] = BASE64_STANDARD_NO_PAD.decode(cert.trim_end_matches('=')).ok()?.try_into().ok()?;
        let (node, bridge) = octets.split_first_chunk()?;
        Some((Secret::new(*node), Secret::new(bridge.try_into().ok()?)))
    })?;
    let (node, bridge) = cert.ok_or_else(|| wrong(table.at, "bridge is needed: the line as it was given to you"))?;
    let key = Obfs4Key { node, bridge, standing: standing(table)? };
    Ok(Entry { whose: table.whose()?, key: Key::Obfs4(Arc::new(key)) })
}

/// A password becomes 28 octets in small hexadecimal digits (the protocol's page).
fn hash_of(password: &str) -> Option<Box<Secret<HASH>>> {
    let hash = digest(&SHA224, password.as_bytes());
    let digit = |half: u8| DIGITS[usize::from(half & 0x0f)];
    let digits: Vec<u8> = hash.as_ref().iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect();
    let digits = digits.try_into().ok()?;
    (!password.is_empty()).then(|| Box::new(Secret::new(digits)))
}

/// Of hexadecimal numbers.
const DIGITS: [u8; 16] = *b"0123456789abcdef";

fn login(table: &Table<'_, '_>, token: Token) -> Parsed<Entry> {
    let key = TlsLogin { token, standing: standing(table)?, refusal: Refusal::default() };
    Ok(Entry { whose: table.whose()?, key: Key::TlsLogin(Arc::new(key)) })
}

pub(super) fn trojan(table: &Table<'_, '_>) -> Parsed<Entry> {
    table.knows(&["endpoint", "target", "password", "proven"])?;
    let hash = table.text("password", "a text that is not empty", hash_of)?;
    login(table, Token::Trojan(hash.ok_or_else(|| wrong(table.at, "password is needed"))?))
}

pub(super) fn vless(table: &Table<'_, '_>) -> Parsed<Entry> {
    table.knows(&["endpoint", "target", "id", "proven"])?;
    let id =
        table.text("id", "a UUID", |text| octets_of_hex(&text.replace('-', ""))?.try_into().ok().map(Secret::new))?;
    login(table, Token::Vless(id.ok_or_else(|| wrong(table.at, "id is needed: the UUID that was given to you"))?))
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::of;
    use super::*;

    fn entry(kind: &str, lines: &str) -> String {
        format!("[[{kind}]]\nendpoint = \"h.example:1\"\n{lines}\n")
    }

    #[test]
    fn each_kind_is_read_and_shown_to_nobody() {
        let key = BASE64_STANDARD.encode([0xab; 32]);
        let cert = BASE64_STANDARD_NO_PAD.encode([0xab; 52]);
        for (kind, lines) in [
            ("shadowsocks", "method = \"aes-128-gcm\"\npassword = \"hunter2\"\nproven = true".to_owned()),
            ("shadowsocks", format!("method = \"2022-blake3-aes-256-gcm\"\npassword = \"{key}\"")),
            ("obfs4", format!("bridge = \"obfs4 192.0.2.1:9002 {} cert={cert} iat-mode=0\"", "0".repeat(40))),
            ("obfs4", format!("bridge = \"obfs4 192.0.2.1:9002 {} cert={cert} iat-mode=2\"", "0".repeat(40))),
            ("trojan", "password = \"hunter2\"".to_owned()),
            ("vless", format!("id = \"{}\"\nproven = true", "ab".repeat(16))),
        ] {
            let shown = format!("{:?}", of(&entry(kind, &lines)).unwrap());
            assert!(!shown.contains("hunter2") && !shown.contains("171"), "{shown}");
            assert!(!shown.contains("abababab") && !shown.contains("97, 98"), "{shown}");
        }
        let relay = of(&entry("tor", &format!("fingerprint = \"{}\"", "0A".repeat(20)))).unwrap();
        let Key::Tor(identity) = &relay.entries[0].key else { panic!("{relay:?}") };
        assert_eq!((identity.fingerprint, identity.ed25519), (Some([10; 20]), None));
    }

    #[test]
    fn a_password_of_trojan_s_is_hashed_as_others_do_it() {
        // printf hunter2 | sha224sum
        assert_eq!(hash_of("hunter2").unwrap().expose(), b"84ca85078d6fa3a9b01dae0242938a9b71c9c6920f8d790505cad7a7");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_nothing_is_repeated() {
        let bridge = format!("bridge = \"cert={} iat-mode=hunter2\"", BASE64_STANDARD_NO_PAD.encode([0xab; 52]));
        for (kind, lines, words) in [
            ("shadowsocks", "method = \"rc4\"\npassword = \"hunter2\"", ":3: method must be one of"),
            (
                "shadowsocks",
                "method = \"2022-blake3-aes-128-gcm\"\npassword = \"hunter2\"",
                ":4: password must be a key",
            ),
            ("shadowsocks", "method = \"aes-256-gcm\"", ":1: password is needed"),
            ("tor", "fingerprint = \"hunter2\"", ":3: fingerprint must be 40"),
            ("tor", "", ":1: fingerprint or ed25519"),
            ("obfs4", "bridge = \"obfs4 h:1 cert=hunter2\"", ":3: bridge must be a bridge line"),
            ("obfs4", "", ":1: bridge is needed"),
            ("obfs4", bridge.as_str(), ":3: bridge must be a bridge line with cert=, and iat-mode"),
            ("trojan", "password = \"\"", ":3: password must be a text"),
            ("trojan", "", ":1: password is needed"),
            ("vless", "id = \"hunter2\"", ":3: id must be a UUID"),
            ("vless", "password = \"hunter2\"", ":3: unknown key: known are"),
        ] {
            let error = of(&entry(kind, lines)).unwrap_err().to_string();
            assert!(error.contains(words), "{lines}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
