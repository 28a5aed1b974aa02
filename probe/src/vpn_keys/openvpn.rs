//! `OpenVPN`'s static keys and accounts: the tables `[[openvpn]]`, and the files that they name.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use faultline_record::VpnKey;

use super::account::{self, Account};
use super::file::{Parsed, Table, text_or_file, wrong};
use super::{Entry, Key, Secret, SecretOctets};

/// What is known for one endpoint.
#[derive(Clone, Debug)]
pub struct OpenvpnKey {
    /// The static key. Big providers give one to all their customers; it hides the protocol's first messages.
    pub wrap: Option<Arc<OpenvpnWrap>>,
    /// With what a client logs in.
    pub account: Option<Arc<Account>>,
    /// Whether it works, and from elsewhere, by the user's word.
    pub standing: VpnKey,
}

impl OpenvpnKey {
    /// With what another entry has and this one has not. The word is this one's.
    pub(super) fn or(self, other: &Self) -> Self {
        let wrap = self.wrap.or_else(|| other.wrap.clone());
        Self { wrap, account: self.account.or_else(|| other.account.clone()), ..self }
    }
}

/// How first messages are wrapped.
#[derive(Debug)]
pub enum OpenvpnWrap {
    /// `tls-auth`: a code over each message.
    Auth {
        /// Four keys of 64 octets.
        key: Box<Secret<256>>,
        /// Which of them.
        direction: Direction,
        /// What the code is made with.
        digest: Digest,
    },
    /// `tls-crypt`: a code, and what it covers encrypted.
    Crypt(Box<Secret<256>>),
    /// `tls-crypt-v2`: the same with a client's own key, that goes along wrapped for the server.
    CryptV2 {
        /// The client's.
        key: Box<Secret<256>>,
        /// The same for the server, which nobody else can unwrap.
        wrapped: SecretOctets,
    },
}

/// `key-direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// One key for both ways.
    Both,
    /// As servers have it as a rule.
    Zero,
    /// As clients have it as a rule.
    One,
}

/// What codes of `tls-auth` are made with (`auth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// 20 octets.
    Sha1,
    /// 32 octets.
    Sha256,
    /// 64 octets.
    Sha512,
}

/// What an entry may say.
const KNOWN: [&str; 8] =
    ["endpoint", "target", "tls-auth", "tls-crypt", "tls-crypt-v2", "direction", "digest", "proven"];
/// Around keys of tls-auth and tls-crypt, and around a client's of tls-crypt-v2.
const STATIC: &str = "OpenVPN Static key V1";
const CLIENT: &str = "OpenVPN tls-crypt-v2 client key";

pub(super) fn entry(table: &Table<'_, '_>, folder: &Path) -> Parsed<Entry> {
    table.knows(&[&KNOWN[..], &account::KNOWN].concat())?;
    let account = account::account(table, folder)?;
    let wrap = wrap(table, folder)?.map(Arc::new);
    if wrap.is_none() && account.is_none() {
        return Err(wrong(table.at, "one of tls-auth, tls-crypt, tls-crypt-v2, certificate and username is needed"));
    }
    let standing = if table.flag("proven")? { VpnKey::Proven } else { VpnKey::Given };
    let whose = table.whose()?;
    Ok(Entry { whose, key: Key::Openvpn(Arc::new(OpenvpnKey { wrap, account, standing })) })
}

fn wrap(table: &Table<'_, '_>, folder: &Path) -> Parsed<Option<OpenvpnWrap>> {
    let expected = |kind: &str| format!("a file of the kind {kind:?}, or its text");
    let text = |value: &str| text_or_file(value, folder);
    let in_hex = |value: &str| static_key(&between(&text(value)?, STATIC)?);
    let auth = table.text("tls-auth", &expected(STATIC), in_hex)?;
    let crypt = table.text("tls-crypt", &expected(STATIC), in_hex)?;
    let v2 = table.text("tls-crypt-v2", &expected(CLIENT), |value| client_key(&between(&text(value)?, CLIENT)?))?;
    let direction = table.text("direction", "\"0\", \"1\" or \"none\"", |value| match value {
        "0" => Some(Direction::Zero),
        "1" => Some(Direction::One),
        "none" => Some(Direction::Both),
        _ => None,
    })?;
    let digest = table.text("digest", "\"SHA1\", \"SHA256\" or \"SHA512\"", |value| {
        match value.to_ascii_uppercase().as_str() {
            "SHA1" => Some(Digest::Sha1),
            "SHA256" => Some(Digest::Sha256),
            "SHA512" => Some(Digest::Sha512),
            _ => None,
        }
    })?;
    let wrap = match (auth, crypt, v2) {
        (Some(key), None, None) => Some(OpenvpnWrap::Auth {
            key,
            direction: direction.unwrap_or(Direction::One),
            digest: digest.unwrap_or(Digest::Sha1),
        }),
        (None, Some(key), None) => Some(OpenvpnWrap::Crypt(key)),
        (None, None, Some((key, wrapped))) => Some(OpenvpnWrap::CryptV2 { key, wrapped }),
        (None, None, None) => None,
        _ => return Err(wrong(table.at, "only one of tls-auth, tls-crypt and tls-crypt-v2 can hold")),
    };
    if !matches!(wrap, Some(OpenvpnWrap::Auth { .. })) && (direction.is_some() || digest.is_some()) {
        return Err(wrong(table.at, "direction and digest are for tls-auth"));
    }
    Ok(wrap)
}

/// What stands between the two lines that name its kind, on one line.
fn between(text: &str, kind: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {kind}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {kind}-----"))?;
    Some(body.split_whitespace().collect())
}

fn static_key(hex: &str) -> Option<Box<Secret<256>>> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let octets: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(octet).collect();
    Some(Box::new(Secret::new(octets?.try_into().ok()?)))
}

/// A client's key: 256 octets, and behind them the same wrapped.
fn client_key(base64: &str) -> Option<(Box<Secret<256>>, SecretOctets)> {
    let octets = BASE64_STANDARD.decode(base64).ok()?;
    let (key, wrapped) = octets.split_at_checked(256)?;
    (!wrapped.is_empty()).then_some(())?;
    Some((Box::new(Secret::new(key.try_into().ok()?)), SecretOctets::new(wrapped.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::of;
    use super::*;

    fn key(digits: usize) -> String {
        format!("-----BEGIN {STATIC}-----\n{}\n-----END {STATIC}-----\n", "ab".repeat(digits))
    }

    fn entry_with(line: &str) -> String {
        format!("[[openvpn]]\nendpoint = \"h.example:1194\"\n{line}\n")
    }

    /// A certificate and a key of its own.
    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["abab.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn an_account_is_read_with_or_without_a_static_key_and_shown_to_nobody() {
        let (certificate, key) = pair();
        let pair = format!("certificate = \"\"\"{certificate}\"\"\"\nprivate-key = \"\"\"{key}\"\"\"\n");
        let login = "username = \"some-user\"\npassword = \"hunter2\"\n";
        for lines in [pair.clone(), login.to_owned(), [login, &pair].concat()] {
            let keys = of(&entry_with(&lines)).unwrap();
            let Key::Openvpn(read) = &keys.entries[0].key else { panic!("{keys:?}") };
            let account = read.account.as_ref().unwrap();
            assert_eq!(account.certificate.is_some(), lines.contains("BEGIN CERT"));
            assert_eq!(account.password.is_some(), lines.contains("hunter2"));
            let shown = format!("{keys:?}");
            assert!(
                !shown.contains("hunter2") && !shown.contains("some-user") && !shown.contains("104, 117"),
                "{shown}"
            );
            assert!(read.wrap.is_none() && !account.refusal.came());
            account.refusal.note();
            assert!(account.refusal.came());
        }
    }

    #[test]
    fn each_kind_is_read_and_shown_to_nobody() {
        let client = BASE64_STANDARD.encode([&[0xab; 256][..], &[7; 9]].concat());
        let client = format!("-----BEGIN {CLIENT}-----\n{client}\n-----END {CLIENT}-----");
        for line in [
            format!("tls-auth = \"\"\"{}\"\"\"\ndigest = \"sha512\"\ndirection = \"none\"", key(256)),
            format!("tls-crypt = \"\"\"{}\"\"\"", key(256)),
            format!("tls-crypt-v2 = \"\"\"{client}\"\"\"\nproven = true"),
        ] {
            let keys = of(&entry_with(&line)).unwrap();
            let Key::Openvpn(read) = &keys.entries[0].key else { panic!("{keys:?}") };
            let wrap = read.wrap.as_deref().unwrap();
            let (OpenvpnWrap::Auth { key, .. } | OpenvpnWrap::Crypt(key) | OpenvpnWrap::CryptV2 { key, .. }) = wrap;
            assert_eq!(key.expose(), &[0xab; 256]);
            assert!(!format!("{keys:?}").contains("171"), "0xab is 171");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_nothing_is_repeated() {
        for (line, words) in [
            (format!("tls-auth = \"\"\"{}\"\"\"", key(255)), ":3: tls-auth must be a file of the kind"),
            ("tls-crypt = \"no-such-file\"".to_owned(), ":3: tls-crypt must be a file"),
            (String::new(), ":1: one of tls-auth"),
            (format!("tls-crypt = \"\"\"{}\"\"\"\ndigest = \"SHA1\"", key(256)), "are for tls-auth"),
            (format!("tls-auth = \"\"\"{}\"\"\"\ndigest = \"abab\"", key(256)), "digest must be"),
            (format!("tls-auth = \"\"\"{0}\"\"\"\ntls-crypt = \"\"\"{0}\"\"\"", key(256)), "only one of"),
            ("username = \"abab\"".to_owned(), ":1: username and password go together"),
            ("certificate = \"abab\"".to_owned(), ":3: certificate must be a file"),
            ("private-key = \"-----BEGIN abab\"".to_owned(), ":3: private-key must be a file"),
            (format!("certificate = \"\"\"{}\"\"\"", pair().0), ":1: certificate and private-key go"),
            (
                format!("certificate = \"\"\"{}\"\"\"\nprivate-key = \"\"\"{}\"\"\"", pair().0, pair().1),
                "do not belong together",
            ),
        ] {
            let error = of(&entry_with(&line)).unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
            assert!(!error.contains("abab"), "{error}");
        }
    }
}
