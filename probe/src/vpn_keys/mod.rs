//! Keys of tunnels that the user gives (`--vpn-keys`): for which endpoint or target, and what. They are used, and never
//! printed, recorded, exported or logged.

mod account;
mod authority;
mod file;
mod openvpn;
mod proxy;
mod secret;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use faultline_record::{ServerKey, Target, VpnKey};

pub use self::account::Account;
pub use self::authority::{Authority, Name};
pub use self::file::KeysError;
pub use self::openvpn::{Digest, Direction, OpenvpnKey, OpenvpnWrap};
pub use self::proxy::{Method, Obfs4Key, ShadowsocksKey, TlsLogin, Token, TorIdentity};
pub use self::secret::{Secret, SecretOctets};

/// All keys of a run.
#[derive(Debug, Default)]
pub struct VpnKeys {
    entries: Vec<Entry>,
}

/// A key, and what it is for.
#[derive(Debug)]
struct Entry {
    whose: Whose,
    key: Key,
}

/// What a key is for.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// The endpoint at this `host:port`.
    Endpoint(String),
    /// The target of this name, or with a star at its end all that begin so.
    Target(String),
}

impl Whose {
    fn is(&self, place: &str, name: &str) -> bool {
        match self {
            Self::Endpoint(own) => own == place,
            Self::Target(own) => own.strip_suffix('*').map_or(own == name, |start| name.starts_with(start)),
        }
    }
}

/// The keys that providers have published (`test-lists/vpn-keys.toml`): they hold where the user gives none.
static PUBLISHED: LazyLock<VpnKeys> = LazyLock::new(|| file::published().unwrap_or_default());

/// One endpoint's key.
#[derive(Clone, Debug)]
pub enum Key {
    /// `WireGuard`.
    Wireguard(Arc<WireguardKey>),
    /// `OpenVPN`.
    Openvpn(Arc<OpenvpnKey>),
    /// Whom servers have their certificates from.
    Authority(Arc<Authority>),
    /// Shadowsocks.
    Shadowsocks(Arc<ShadowsocksKey>),
    /// A relay of Tor's, which has no key to give.
    Tor(Arc<TorIdentity>),
    /// A bridge behind obfs4.
    Obfs4(Arc<Obfs4Key>),
    /// Trojan or VLESS.
    TlsLogin(Arc<TlsLogin>),
}

/// What is known of one proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxyKeys {
    /// Its password, if it is one of Shadowsocks.
    pub shadowsocks: Option<Arc<ShadowsocksKey>>,
    /// Who it should be, if it is a relay.
    pub tor: Option<Arc<TorIdentity>>,
    /// Its bridge line, if it is one behind obfs4.
    pub obfs4: Option<Arc<Obfs4Key>>,
    /// With what a client logs in, if it is one of Trojan or VLESS.
    pub login: Option<Arc<TlsLogin>>,
    /// Whom it has its certificate from.
    pub authority: Option<Arc<Authority>>,
}

/// What a client of `WireGuard` is configured with.
#[derive(Debug)]
pub struct WireguardKey {
    /// The client's private key.
    pub private: Secret<32>,
    /// The server's public key, where the endpoint does not say it.
    pub server: Option<ServerKey>,
    /// A secret that both share besides.
    pub preshared: Option<Secret<32>>,
    /// The client's address within the tunnel.
    pub address: Option<Ipv4Addr>,
    /// Who is asked for an echo within the tunnel.
    pub gateway: Option<Ipv4Addr>,
    /// Whether it works, and from elsewhere, by the user's word; a key that was made up for the run cannot.
    pub standing: Option<VpnKey>,
}

impl WireguardKey {
    /// A key that nobody knows: servers answer it at most with a cookie.
    pub fn made_up() -> Self {
        Self { private: Secret::random(), server: None, preshared: None, address: None, gateway: None, standing: None }
    }
}

impl VpnKeys {
    /// Reads the file of `--vpn-keys`.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        file::read(path)
    }

    /// The `WireGuard` key for a target: by its endpoint first, then by its name.
    pub fn wireguard(&self, target: &Target) -> Option<Arc<WireguardKey>> {
        self.of(target).find_map(|key| match key {
            Key::Wireguard(key) => Some(Arc::clone(key)),
            _ => None,
        })
    }

    /// The `OpenVPN` key for a target, in the same way: what the first has not, the next may have, so that an account goes with a
    /// provider's published key.
    pub fn openvpn(&self, target: &Target) -> Option<Arc<OpenvpnKey>> {
        let mut keys = self.of(target).filter_map(|key| match key {
            Key::Openvpn(key) => Some(key),
            _ => None,
        });
        let first = keys.next()?;
        Some(Arc::new(keys.fold(OpenvpnKey::clone(first), |known, other| known.or(other))))
    }

    /// Whom a target's servers have their certificates from, in the same way.
    pub fn authority(&self, target: &Target) -> Option<Arc<Authority>> {
        self.of(target).find_map(|key| match key {
            Key::Authority(authority) => Some(Arc::clone(authority)),
            _ => None,
        })
    }

    /// What is known of a target that is a proxy, in the same way: of each kind what comes first.
    pub fn proxy(&self, target: &Target) -> ProxyKeys {
        let mut keys = ProxyKeys::default();
        for key in self.of(target) {
            match key {
                Key::Shadowsocks(key) => _ = keys.shadowsocks.get_or_insert_with(|| Arc::clone(key)),
                Key::Tor(identity) => _ = keys.tor.get_or_insert_with(|| Arc::clone(identity)),
                Key::Obfs4(key) => _ = keys.obfs4.get_or_insert_with(|| Arc::clone(key)),
                Key::TlsLogin(login) => _ = keys.login.get_or_insert_with(|| Arc::clone(login)),
                Key::Authority(authority) => _ = keys.authority.get_or_insert_with(|| Arc::clone(authority)),
                Key::Wireguard(_) | Key::Openvpn(_) => {}
            }
        }
        keys
    }

    fn of(&self, target: &Target) -> impl Iterator<Item = &Key> {
        let (host, port) = target.endpoint.host_and_port();
        let (place, name) = (format!("{host}:{port}"), target.name.clone());
        let by_place = |entry: &&Entry| matches!(entry.whose, Whose::Endpoint(_));
        let own = self.entries.iter().filter(by_place).chain(self.entries.iter().filter(move |entry| !by_place(entry)));
        let fits = move |entry: &&Entry| entry.whose.is(&place, &name);
        own.chain(&PUBLISHED.entries).filter(fits).map(|entry| &entry.key)
    }
}

#[cfg(test)]
mod tests {
    use faultline_record::{Availability, Endpoint};

    use super::*;

    fn target(input: &str, name: &str) -> Target {
        let (category, list, availability) = (None, None, Availability::Unknown);
        let endpoint = Endpoint::parse(input).unwrap();
        Target { input: input.into(), name: name.into(), endpoint, category, list, availability, private_ca: false }
    }

    #[test]
    fn a_key_is_found_by_its_endpoint_and_else_by_its_target() {
        let key = |server: u8| {
            Key::Wireguard(Arc::new(WireguardKey { server: Some(ServerKey([server; 32])), ..WireguardKey::made_up() }))
        };
        let keys = VpnKeys {
            entries: vec![
                Entry { whose: Whose::Target("any/wireguard".into()), key: key(1) },
                Entry { whose: Whose::Endpoint("vpn.example.net:51820".into()), key: key(2) },
            ],
        };
        let server = |input, name| keys.wireguard(&target(input, name)).and_then(|key| key.server);
        let own = "wireguard://vpn.example.net:51820";
        assert_eq!(server(own, "any/wireguard"), Some(ServerKey([2; 32])));
        assert_eq!(server("wireguard://10.0.0.1:443", "any/wireguard"), Some(ServerKey([1; 32])));
        assert_eq!(server("wireguard://10.0.0.1:443", "other"), None);
    }

    #[test]
    fn a_key_that_a_provider_has_published_holds_where_the_user_gives_none() {
        let published = file::published().unwrap();
        assert!(!published.entries.is_empty());
        let none = VpnKeys::default();
        let ivpn = target("openvpn+udp://192.0.2.1:1194", "ivpn/openvpn-udp-pk");
        let Some(key) = none.openvpn(&ivpn) else { panic!("no key") };
        let Some(OpenvpnWrap::Auth { direction, digest, .. }) = key.wrap.as_deref() else { panic!("{key:?}") };
        assert_eq!((*direction, *digest, key.standing), (Direction::One, Digest::Sha1, VpnKey::Given));
        assert!(none.openvpn(&target("openvpn+udp://192.0.2.1:1194", "other/openvpn-udp")).is_none());
        let mine = |wrap| {
            let own = OpenvpnKey { wrap, account: None, standing: VpnKey::Proven };
            let whose = Whose::Endpoint("192.0.2.1:1194".into());
            VpnKeys { entries: vec![Entry { whose, key: Key::Openvpn(Arc::new(own)) }] }
        };
        let crypt = Some(Arc::new(OpenvpnWrap::Crypt(Box::new(Secret::new([7; 256])))));
        let key = mine(crypt).openvpn(&ivpn).unwrap();
        assert_eq!(key.standing, VpnKey::Proven);
        assert!(matches!(key.wrap.as_deref(), Some(OpenvpnWrap::Crypt(_))));
        let key = mine(None).openvpn(&ivpn).unwrap();
        assert_eq!(key.standing, VpnKey::Proven);
        assert!(matches!(key.wrap.as_deref(), Some(OpenvpnWrap::Auth { .. })), "it goes with the published one");
    }
}
