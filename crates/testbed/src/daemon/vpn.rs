//! VPN servers abroad: `OpenVPN`, `WireGuard` (in user space) and IKE, all at [`ADDRESS`], at their usual ports. Others, and proxies, are
//! in [`tunnels`].
//!
//! Keys are no secrets here: scenarios and clients have to know them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Daemon, Endpoint, proxy, tunnels};
use crate::certificates::Identity;
use crate::netns::Namespace;
use crate::scenario::{Provider, Vpn};

/// Where all of them are: an address of a hosting company.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(146, 70, 12, 4));
/// The name on `OpenVPN`'s certificate.
pub const NAME: &str = "vpn.example.net";
/// `OpenVPN`'s port, over UDP and over TCP (IANA).
pub const OPENVPN_PORT: u16 = 1194;
/// `WireGuard`'s port: that of its documentation.
pub const WIREGUARD_PORT: u16 = 51_820;
/// IKE's port (RFC 7296 section 2).
pub const IKE_PORT: u16 = 500;

/// The private key of the `WireGuard` server: 32 octets 0x11.
pub const WIREGUARD_SERVER_KEY: &str = "ERERERERERERERERERERERERERERERERERERERERERE=";
/// The public key that belongs to it.
pub const WIREGUARD_PUBLIC_KEY: &str = "e06Qm75//kTEZaIgA31gjuNYl9Me+XLwf3SJLLD3PxM=";
/// The private keys of the clients that it knows, one for each of the first vantages: 32 octets 0x22, 0x71, 0x72,
/// 0x73 (0x33 is the key that scenarios have for one that it does not know).
pub const WIREGUARD_CLIENT_KEYS: [&str; 4] = [
    "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=",
    "cXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXE=",
    "cnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=",
    "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M=",
];
/// The last octet of the first client's address within the tunnel; the next have the next.
pub const WIREGUARD_FIRST_CLIENT: usize = 2;

/// The static key of `OpenVPN`'s servers with tls-auth and tls-crypt, and a server's and a client's of tls-crypt-v2.
const STATIC_KEY: &str = include_str!("../../keys/static.key");
const SERVER_V2_KEY: &str = include_str!("../../keys/tls-crypt-v2-server.key");

/// Whose servers: where they are, and the number that keeps their devices and networks apart from those of others.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// Their address.
    pub address: IpAddr,
    /// 0 for those that are nobody's.
    pub number: u8,
}

impl Whose {
    /// The servers at [`ADDRESS`].
    pub const NOBODY: Self = Self { address: ADDRESS, number: 0 };
}

/// Looks at the login that `OpenVPN` hands on in its environment.
const LOGIN: &str = "#!/bin/sh\n[ \"$username\" = testbed ] && [ \"$password\" = 'open sesame' ]\n";

/// One of `OpenVPN`'s servers: over what, at which port, with which static key, and whom it lets in: those with a certificate of the
/// world's authority, or with a password.
struct Openvpn {
    protocol: &'static str,
    port: u16,
    key: StaticKey,
    wants_login: bool,
}

enum StaticKey {
    None,
    TlsAuth(&'static str),
    TlsCrypt,
    TlsCryptV2,
}

impl Openvpn {
    const fn new(protocol: &'static str, port: u16, key: StaticKey) -> Self {
        Self { protocol, port, key, wants_login: false }
    }

    fn of(vpn: Vpn) -> Option<Self> {
        use StaticKey::{None as Without, TlsAuth, TlsCrypt, TlsCryptV2};
        let next = |number| OPENVPN_PORT + number;
        Some(match vpn {
            Vpn::OpenvpnUdp => Self::new("udp", OPENVPN_PORT, Without),
            Vpn::OpenvpnUdp443 => Self::new("udp", 443, Without),
            Vpn::OpenvpnTlsAuthSha1 => Self::new("udp", next(1), TlsAuth("SHA1")),
            Vpn::OpenvpnTlsAuthSha256 => Self::new("udp", next(2), TlsAuth("SHA256")),
            Vpn::OpenvpnTlsAuthSha512 => Self::new("udp", next(3), TlsAuth("SHA512")),
            Vpn::OpenvpnTlsCrypt => Self::new("udp", next(4), TlsCrypt),
            Vpn::OpenvpnTlsCryptV2 => Self::new("udp", next(5), TlsCryptV2),
            Vpn::OpenvpnTcp => Self::new("tcp-server", OPENVPN_PORT, Without),
            Vpn::OpenvpnTcpTlsAuthSha512 => Self::new("tcp-server", next(3), TlsAuth("SHA512")),
            Vpn::OpenvpnTcpTlsCrypt => Self::new("tcp-server", next(4), TlsCrypt),
            Vpn::OpenvpnLogin => Self { wants_login: true, ..Self::new("udp", next(6), Without) },
            Vpn::OpenvpnTcpLogin => Self { wants_login: true, ..Self::new("tcp-server", next(6), Without) },
            _ => return None,
        })
    }

    fn start(
        &self,
        whose: Whose,
        namespace: &Namespace,
        folder: &Path,
        roots: &Path,
        identity: &Identity,
    ) -> Result<Daemon> {
        let is_udp = self.protocol == "udp";
        let network = self.port.checked_sub(OPENVPN_PORT).unwrap_or(15) + if is_udp { 10 } else { 30 };
        let mut command = namespace.command("openvpn");
        command.args(["--mode", "server", "--tls-server", "--dev", "tun", "--topology", "subnet", "--dh", "none"]);
        command.args([
            "--server",
            &format!("10.{}.{network}.0", 8 + whose.number),
            "255.255.255.0",
            "--proto",
            self.protocol,
        ]);
        command.args(["--duplicate-cn", "--local", &whose.address.to_string(), "--port", &self.port.to_string()]);
        command.arg("--ca").arg(roots).arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.key);
        if self.wants_login {
            // Packets of data with the other cipher, pings of the server's own, and a configuration in parts.
            for number in 0..60 {
                command.args(["--push", &format!("route 198.18.{number}.0 255.255.255.0")]);
            }
            command.args(["--data-ciphers", "CHACHA20-POLY1305", "--keepalive", "1", "20"]);
            command.args(["--verify-client-cert", "none", "--script-security", "3", "--auth-user-pass-verify"]);
            command.arg(login_script(folder)?).arg("via-env");
        }
        let file = folder.join("static.key");
        std::fs::write(&file, if matches!(self.key, StaticKey::TlsCryptV2) { SERVER_V2_KEY } else { STATIC_KEY })?;
        match self.key {
            StaticKey::None => {}
            StaticKey::TlsAuth(digest) => _ = command.arg("--tls-auth").arg(&file).args(["0", "--auth", digest]),
            StaticKey::TlsCrypt => _ = command.arg("--tls-crypt").arg(&file),
            StaticKey::TlsCryptV2 => _ = command.arg("--tls-crypt-v2").arg(&file),
        }
        let tcp = Endpoint::Tcp(SocketAddr::new(whose.address, self.port));
        Daemon::start(namespace, command, folder, vec![if is_udp { Endpoint::Udp(self.port) } else { tcp }])
    }
}

fn login_script(folder: &Path) -> Result<PathBuf> {
    let script = folder.join("login");
    std::fs::write(&script, LOGIN)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))?;
    Ok(script)
}

/// Starts one of them in `namespace`, with its files in `folder`. One of IKE's in a namespace is enough: it answers at every
/// address there.
pub fn start(
    vpn: Vpn,
    whose: Whose,
    namespace: &Namespace,
    folder: &Path,
    roots: &Path,
    identity: &Identity,
) -> Result<Daemon> {
    std::fs::create_dir_all(folder)?;
    match Openvpn::of(vpn) {
        Some(openvpn) => openvpn.start(whose, namespace, folder, roots, identity),
        None if vpn == Vpn::Wireguard => wireguard(whose, namespace, folder),
        None if vpn == Vpn::Ikev2 => ike(namespace, folder),
        None => proxy::start(vpn, namespace, folder, identity)
            .unwrap_or_else(|| tunnels::start(vpn, namespace, folder, identity)),
    }
}

/// What a provider's servers are called in inputs of the probe, each by its role; `number` is that of [`Whose`]. Only servers that
/// need no static key.
pub fn urls(provider: &Provider, number: u8) -> Vec<(&'static str, String)> {
    let address = provider.address;
    let url = |vpn: &Vpn| {
        Some(match vpn {
            Vpn::OpenvpnUdp => ("openvpn-udp", format!("openvpn+udp://{address}:{OPENVPN_PORT}")),
            Vpn::OpenvpnTcp => ("openvpn-tcp", format!("openvpn+tcp://{address}:{OPENVPN_PORT}")),
            Vpn::Ikev2 => ("ikev2", format!("ikev2://{address}:{IKE_PORT}")),
            Vpn::Wireguard => {
                let port = WIREGUARD_PORT + u16::from(number);
                ("wireguard", format!("wireguard://{address}:{port}?pubkey={WIREGUARD_PUBLIC_KEY}"))
            }
            _ => return None,
        })
    };
    provider.vpn.iter().filter_map(url).collect()
}

fn wireguard(Whose { number, .. }: Whose, namespace: &Namespace, folder: &Path) -> Result<Daemon> {
    std::fs::write(folder.join("server.key"), WIREGUARD_SERVER_KEY)?;
    let mut peers = String::new();
    for (key, client) in WIREGUARD_CLIENT_KEYS.iter().zip(WIREGUARD_FIRST_CLIENT..) {
        let file = if client == WIREGUARD_FIRST_CLIENT { "client.key".into() } else { format!("client-{client}.key") };
        std::fs::write(folder.join(&file), key)?;
        let address = format!("10.{}.0.{client}/32", 99 + number);
        let _ = write!(peers, " peer $(wg pubkey <{file}) allowed-ips {address}");
    }
    let port = WIREGUARD_PORT + u16::from(number);
    // The device is there a moment after the program has started; until then `wg` knows of none.
    let script = format!(
        "(until wg show wg{number} >/dev/null 2>&1; do sleep 0.02; done; \
         wg set wg{number} private-key server.key listen-port {port}{peers}; \
         ip address add 10.{}.0.1/24 dev wg{number}; ip link set wg{number} up) & \
         WG_PROCESS_FOREGROUND=1 exec wireguard-go wg{number}",
        99 + number
    );
    let mut command = namespace.command("sh");
    command.args(["-c", &script]).current_dir(folder);
    Daemon::start(namespace, command, folder, vec![Endpoint::Udp(port)])
}

/// It has no connection configured: it answers every first message all the same (RFC 7296 section 1.2).
fn ike(namespace: &Namespace, folder: &Path) -> Result<Daemon> {
    let file = folder.join("strongswan.conf");
    let text = format!(
        "charon-systemd {{\n  plugins {{\n    include /etc/strongswan.d/charon/*.conf\n    \
         vici {{\n      socket = unix://{}/vici\n    }}\n  }}\n}}\n",
        folder.display()
    );
    std::fs::write(&file, text)?;
    let mut command = namespace.command("charon-systemd");
    command.env("STRONGSWAN_CONF", &file);
    Daemon::start(namespace, command, folder, vec![Endpoint::Udp(IKE_PORT)])
}
