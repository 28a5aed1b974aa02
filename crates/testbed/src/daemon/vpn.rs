//! VPN servers abroad: `OpenVPN`, `WireGuard` (in user space) and `IKEv2`, all at [`ADDRESS`], at their usual ports.
//!
//! Keys are no secrets here: scenarios and clients have to know them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use super::{Daemon, Endpoint};
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

/// Starts one of them in `namespace`, with its files in `folder`.
pub fn start(vpn: Vpn, namespace: &Namespace, folder: &Path, roots: &Path, identity: &Identity) -> Result<Daemon> {
    std::fs::create_dir_all(folder)?;
    match vpn {
        Vpn::OpenvpnUdp => openvpn(("udp", 1), namespace, folder, roots, identity),
        Vpn::OpenvpnTcp => openvpn(("tcp-server", 2), namespace, folder, roots, identity),
        Vpn::Wireguard => wireguard(namespace, folder),
        Vpn::Ikev2 => ike(namespace, folder),
    }
}

fn openvpn(
    (protocol, network): (&str, u8),
    namespace: &Namespace,
    folder: &Path,
    roots: &Path,
    identity: &Identity,
) -> Result<Daemon> {
    let mut command = namespace.command("openvpn");
    command.args(["--mode", "server", "--tls-server", "--dev", "tun", "--topology", "subnet", "--dh", "none"]);
    command.args(["--server", &format!("10.8.{network}.0"), "255.255.255.0", "--proto", protocol, "--duplicate-cn"]);
    command.args(["--local", &ADDRESS.to_string(), "--port", &OPENVPN_PORT.to_string()]);
    command.arg("--ca").arg(roots).arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.key);
    let ready = match protocol {
        "udp" => Endpoint::Udp(OPENVPN_PORT),
        _ => Endpoint::Tcp(SocketAddr::new(ADDRESS, OPENVPN_PORT)),
    };
    Daemon::start(namespace, command, folder, vec![ready])
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
