//! VPN servers abroad: `OpenVPN`, `WireGuard` (in user space) and `IKEv2`, all at [`ADDRESS`], at their usual ports.
//!
//! Keys are no secrets here: scenarios and clients have to know them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use super::{Daemon, Endpoint, proxy};
use crate::certificates::Identity;
use crate::netns::Namespace;
use crate::scenario::Vpn;

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
/// The private key of the one client that it knows: 32 octets 0x22.
pub const WIREGUARD_CLIENT_KEY: &str = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=";

/// The static key of `OpenVPN`'s servers with tls-auth and tls-crypt, and a server's and a client's of tls-crypt-v2.
const STATIC_KEY: &str = include_str!("../../keys/static.key");
const SERVER_V2_KEY: &str = include_str!("../../keys/tls-crypt-v2-server.key");

/// One of `OpenVPN`'s servers: over what, at which port, and with which static key.
struct Openvpn {
    protocol: &'static str,
    port: u16,
    key: StaticKey,
}

enum StaticKey {
    None,
    TlsAuth(&'static str),
    TlsCrypt,
    TlsCryptV2,
}

impl Openvpn {
    const fn new(protocol: &'static str, port: u16, key: StaticKey) -> Self {
        Self { protocol, port, key }
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
            Vpn::Wireguard | Vpn::Ikev2 | Vpn::Shadowsocks | Vpn::Tor | Vpn::Trojan => return None,
        })
    }

    fn start(&self, namespace: &Namespace, folder: &Path, roots: &Path, identity: &Identity) -> Result<Daemon> {
        let is_udp = self.protocol == "udp";
        let network = self.port.checked_sub(OPENVPN_PORT).unwrap_or(15) + if is_udp { 10 } else { 30 };
        let mut command = namespace.command("openvpn");
        command.args(["--mode", "server", "--tls-server", "--dev", "tun", "--topology", "subnet", "--dh", "none"]);
        command.args(["--server", &format!("10.8.{network}.0"), "255.255.255.0", "--proto", self.protocol]);
        command.args(["--duplicate-cn", "--local", &ADDRESS.to_string(), "--port", &self.port.to_string()]);
        command.arg("--ca").arg(roots).arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.key);
        let file = folder.join("static.key");
        std::fs::write(&file, if matches!(self.key, StaticKey::TlsCryptV2) { SERVER_V2_KEY } else { STATIC_KEY })?;
        match self.key {
            StaticKey::None => {}
            StaticKey::TlsAuth(digest) => _ = command.arg("--tls-auth").arg(&file).args(["0", "--auth", digest]),
            StaticKey::TlsCrypt => _ = command.arg("--tls-crypt").arg(&file),
            StaticKey::TlsCryptV2 => _ = command.arg("--tls-crypt-v2").arg(&file),
        }
        let tcp = Endpoint::Tcp(SocketAddr::new(ADDRESS, self.port));
        Daemon::start(namespace, command, folder, vec![if is_udp { Endpoint::Udp(self.port) } else { tcp }])
    }
}

/// Starts one of them in `namespace`, with its files in `folder`.
pub fn start(vpn: Vpn, namespace: &Namespace, folder: &Path, roots: &Path, identity: &Identity) -> Result<Daemon> {
    std::fs::create_dir_all(folder)?;
    match Openvpn::of(vpn) {
        Some(openvpn) => openvpn.start(namespace, folder, roots, identity),
        None if vpn == Vpn::Wireguard => wireguard(namespace, folder),
        None => proxy::start(vpn, namespace, folder, identity).unwrap_or_else(|| ike(namespace, folder)),
    }
}

fn wireguard(namespace: &Namespace, folder: &Path) -> Result<Daemon> {
    std::fs::write(folder.join("server.key"), WIREGUARD_SERVER_KEY)?;
    std::fs::write(folder.join("client.key"), WIREGUARD_CLIENT_KEY)?;
    // The device is there a moment after the program has started; until then `wg` knows of none.
    let script = format!(
        "(until wg show wg0 >/dev/null 2>&1; do sleep 0.02; done; \
         wg set wg0 private-key server.key listen-port {WIREGUARD_PORT} \
         peer $(wg pubkey <client.key) allowed-ips 10.99.0.2/32; \
         ip address add 10.99.0.1/24 dev wg0; ip link set wg0 up) & \
         WG_PROCESS_FOREGROUND=1 exec wireguard-go wg0"
    );
    let mut command = namespace.command("sh");
    command.args(["-c", &script]).current_dir(folder);
    Daemon::start(namespace, command, folder, vec![Endpoint::Udp(WIREGUARD_PORT)])
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
