//! The file of `--vpn-keys`: TOML, one table an endpoint. Errors name file, line and key, and never repeat a value: it may be
//! a secret, be it in the wrong place.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use faultline_record::{ServerKey, VpnKey};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Key, Secret, VpnKeys, Whose, WireguardKey};
use super::{authority, openvpn, proxy};

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--vpn-keys {}{}: {reason}", .file.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct KeysError {
    file: PathBuf,
    line: Option<usize>,
    reason: String,
}

/// Where something is wrong, octets from the start, and what.
pub(super) struct Wrong {
    at: usize,
    reason: String,
}

pub(super) type Parsed<T> = Result<T, Wrong>;

pub(super) fn read(path: &Path) -> Result<VpnKeys, KeysError> {
    let error = |line, reason: String| KeysError { file: path.to_path_buf(), line, reason };
    let text = std::fs::read_to_string(path).map_err(|why| error(None, format!("failed to read it: {why}")))?;
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|wrong| {
        let line = 1 + text.bytes().take(wrong.at).filter(|&byte| byte == b'\n').count();
        error(Some(line), wrong.reason)
    })
}

/// The keys that providers have published; a test says that they can be read.
pub(super) fn published() -> Option<VpnKeys> {
    parse(include_str!("../../../test-lists/vpn-keys.toml"), Path::new("")).ok()
}

fn parse(text: &str, folder: &Path) -> Parsed<VpnKeys> {
    // The parser's own words could quote the file.
    let not_toml = |error: &toml::de::Error| Wrong {
        at: error.span().map_or(0, |span| span.start),
        reason: "this is not TOML".to_owned(),
    };
    let file = DeTable::parse(text).map_err(|error| not_toml(&error))?;
    let mut entries = Vec::new();
    for (name, value) in file.get_ref() {
        let unknown = || {
            wrong(
                name.span().start,
                "unknown table: known are [[wireguard]], [[openvpn]], [[authority]], [[shadowsocks]], [[tor]], [[obfs4]], \
                 [[trojan]] and [[vless]]",
            )
        };
        for table in value.get_ref().as_array().ok_or_else(unknown)? {
            let table = Table::of(table)?;
            entries.push(match name.get_ref().as_ref() {
                "wireguard" => wireguard(&table)?,
                "openvpn" => openvpn::entry(&table, folder)?,
                "authority" => authority::entry(&table, folder)?,
                "shadowsocks" => proxy::shadowsocks(&table)?,
                "tor" => proxy::tor(&table)?,
                "obfs4" => proxy::obfs4(&table)?,
                "trojan" => proxy::trojan(&table)?,
                "vless" => proxy::vless(&table)?,
                _ => return Err(unknown()),
            });
        }
    }
    Ok(VpnKeys { entries })
}

pub(super) fn wrong(at: usize, reason: impl Into<String>) -> Wrong {
    Wrong { at, reason: reason.into() }
}

/// What a value says: a text in PEM or another form with such lines itself, or a file beside the one that names it.
pub(super) fn text_or_file(value: &str, folder: &Path) -> Option<String> {
    let is_text = value.contains("-----BEGIN");
    if is_text { Some(value.to_owned()) } else { std::fs::read_to_string(folder.join(value)).ok() }
}

/// One entry, of which every value is asked for by its name.
pub(super) struct Table<'a, 'i> {
    pub(super) at: usize,
    table: &'a DeTable<'i>,
}

impl<'a, 'i> Table<'a, 'i> {
    fn of(value: &'a Spanned<DeValue<'i>>) -> Parsed<Self> {
        let at = value.span().start;
        let table = value.get_ref().as_table().ok_or_else(|| wrong(at, "a table was expected, as in [[wireguard]]"))?;
        Ok(Self { at, table })
    }

    pub(super) fn knows(&self, names: &[&str]) -> Parsed<()> {
        match self.table.keys().find(|name| !names.contains(&name.get_ref().as_ref())) {
            None => Ok(()),
            Some(name) => Err(wrong(name.span().start, format!("unknown key: known are {}", names.join(", ")))),
        }
    }

    fn value(&self, name: &str) -> Option<(usize, &'a DeValue<'i>)> {
        self.table.get(name).map(|value| (value.span().start, value.get_ref()))
    }

    /// A text, made into what it means; what it should have been is said where it is not.
    pub(super) fn text<T>(&self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Parsed<Option<T>> {
        let Some((at, value)) = self.value(name) else { return Ok(None) };
        let read = value.as_str().and_then(read);
        read.map(Some).ok_or_else(|| wrong(at, format!("{name} must be {expected}")))
    }

    pub(super) fn flag(&self, name: &str) -> Parsed<bool> {
        let Some((at, value)) = self.value(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| wrong(at, format!("{name} must be true or false")))
    }

    pub(super) fn whose(&self) -> Parsed<Whose> {
        let endpoint = self.text("endpoint", "host:port", |text| {
            let (host, port) = text.rsplit_once(':')?;
            let port: u16 = port.parse().ok()?;
            (!host.is_empty()).then(|| Whose::Endpoint(format!("{}:{port}", host.to_ascii_lowercase())))
        })?;
        let target = self.text("target", "a target's name", |text| Some(Whose::Target(text.to_owned())))?;
        match (endpoint, target) {
            (Some(whose), None) | (None, Some(whose)) => Ok(whose),
            _ => Err(wrong(self.at, "either endpoint or target is needed: what the key is for")),
        }
    }
}

/// What an entry for `WireGuard` may say.
const WIREGUARD: [&str; 8] =
    ["endpoint", "target", "private-key", "public-key", "preshared-key", "address", "gateway", "proven"];
/// What keys look like in the tools' own files.
const IN_BASE64: &str = "32 octets in base64, 44 characters";

fn wireguard(table: &Table<'_, '_>) -> Parsed<Entry> {
    table.knows(&WIREGUARD)?;
    let whose = table.whose()?;
    let secret = |text: &str| BASE64_STANDARD.decode(text).ok()?.try_into().ok().map(Secret::new);
    let private = table.text("private-key", &format!("{IN_BASE64}, or \"generate\""), |text| match text {
        "generate" => Some(None),
        text => secret(text).map(Some),
    })?;
    let private = private.ok_or_else(|| wrong(table.at, "private-key is needed; \"generate\" makes one up"))?;
    let is_proven = table.flag("proven")?;
    if private.is_none() && is_proven {
        return Err(wrong(table.at, "a key that is made up for the run cannot be proven"));
    }
    let standing = private.as_ref().map(|_| if is_proven { VpnKey::Proven } else { VpnKey::Given });
    let (address, gateway) = (ipv4(table, "address")?, ipv4(table, "gateway")?);
    if address.is_some() != gateway.is_some() {
        return Err(wrong(table.at, "address and gateway go together"));
    }
    let key = WireguardKey {
        private: private.unwrap_or_else(Secret::random),
        server: table.text("public-key", IN_BASE64, ServerKey::parse)?,
        preshared: table.text("preshared-key", IN_BASE64, secret)?,
        address,
        gateway,
        standing,
    };
    Ok(Entry { whose, key: Key::Wireguard(Arc::new(key)) })
}

/// An address within the tunnel; a prefix length behind it, as in the tools' own files, is left out.
fn ipv4(table: &Table<'_, '_>, name: &str) -> Parsed<Option<Ipv4Addr>> {
    table.text(name, "an IPv4 address", |text| text.split('/').next()?.parse().ok())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const KEY: &str = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=";

    pub(in super::super) fn of(text: &str) -> Result<VpnKeys, KeysError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn an_entry_is_read_whole() {
        let text = format!(
            "[[wireguard]]\nendpoint = \"VPN.example.net:51820\"\nprivate-key = \"{KEY}\"\npublic-key = \"{KEY}\"\n\
             preshared-key = \"{KEY}\"\naddress = \"10.2.0.2/32\"\ngateway = \"10.2.0.1\"\nproven = true\n\n\
             [[wireguard]]\ntarget = \"a/wireguard\"\nprivate-key = \"generate\"\n"
        );
        let keys = of(&text).unwrap();
        let [first, second] = &keys.entries[..] else { panic!("{keys:?}") };
        assert_eq!(first.whose, Whose::Endpoint("vpn.example.net:51820".into()));
        assert_eq!(second.whose, Whose::Target("a/wireguard".into()));
        let (Key::Wireguard(first), Key::Wireguard(second)) = (&first.key, &second.key) else { panic!("{keys:?}") };
        assert_eq!((first.private.expose(), first.standing), (&[0x22; 32], Some(VpnKey::Proven)));
        assert_eq!(first.address, Some(Ipv4Addr::new(10, 2, 0, 2)));
        assert_eq!((second.server, second.standing), (None, None));
        assert!(!format!("{keys:?}").contains("34, 34"), "0x22 is 34: {keys:?}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_no_value_is_repeated() {
        let entry = "[[wireguard]]\nendpoint = \"h.example:1\"\n";
        for (text, words) in [
            (format!("{entry}private-key = {KEY}"), "keys.toml:3: this is not TOML"),
            (format!("{entry}private-key = \"{KEY}AAAA\""), "keys.toml:3: private-key must be 32 octets in base64"),
            (
                format!("{entry}private-key = \"{KEY}\"\nproven = \"{KEY}\""),
                "keys.toml:4: proven must be true or false",
            ),
            (format!("{entry}private-key = \"generate\"\nproven = true"), "cannot be proven"),
            (format!("{entry}\"{KEY}\" = 1"), "keys.toml:3: unknown key: known are endpoint"),
            (format!("\n[\"{KEY}\"]"), "keys.toml:2: unknown table"),
            (format!("[[\"{KEY}\"]]"), "keys.toml:1: unknown table"),
            (format!("[[wireguard]]\nprivate-key = \"{KEY}\""), "keys.toml:1: either endpoint or target"),
            (entry.to_owned(), "keys.toml:1: private-key is needed"),
            (format!("{entry}private-key = \"{KEY}\"\naddress = \"{KEY}\""), "keys.toml:4: address must be an IPv4"),
            (format!("{entry}private-key = \"{KEY}\"\naddress = \"10.0.0.2\""), "go together"),
        ] {
            let error = of(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains(&KEY[..20]), "{error}");
        }
        let missing = read(Path::new("/nowhere/keys.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("--vpn-keys /nowhere/keys.toml: failed to read it"), "{missing}");
    }
}
