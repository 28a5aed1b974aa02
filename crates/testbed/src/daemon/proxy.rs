//! Proxies abroad, at the same address as the VPN servers: Shadowsocks, a bridge of Tor's with and without obfs4, Trojan, VLESS
//! (`V2Ray`).
//!
//! Keys are no secrets here, and the bridge is the same in every world: scenarios have to know them.

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::vpn::ADDRESS;
use super::{Daemon, Endpoint};
use crate::certificates::Identity;
use crate::netns::Namespace;
use crate::scenario::Vpn;

/// Ports: those of the programs' own examples.
pub const SHADOWSOCKS_PORT: u16 = 8_388;
/// A bridge's.
pub const TOR_PORT: u16 = 9_001;
/// The same bridge's, behind obfs4.
pub const OBFS4_PORT: u16 = 9_002;
/// Trojan's.
pub const TROJAN_PORT: u16 = 8_443;
/// VLESS's.
pub const VLESS_PORT: u16 = 8_444;

/// The only user of VLESS.
pub const VLESS_ID: &str = "3f8c2b1a-5d4e-4f6a-8b7c-9d0e1f2a3b4c";
/// The password of Shadowsocks and of Trojan.
pub const PASSWORD: &str = "testbed";

/// The bridge's identities, and what obfs4proxy keeps of itself.
const TOR_RSA: &str = include_str!("../../keys/tor-rsa.pem");
const TOR_ED25519: &[u8] = include_bytes!("../../keys/tor-ed25519.bin");
const OBFS4_STATE: &str = include_str!("../../keys/obfs4-state.json");

/// Starts one of them in `namespace`, with its files in `folder`; `None` if it is none of these.
pub fn start(vpn: Vpn, namespace: &Namespace, folder: &Path, identity: &Identity) -> Option<Result<Daemon>> {
    match vpn {
        Vpn::Shadowsocks => Some(shadowsocks(namespace, folder)),
        Vpn::Tor => Some(tor(namespace, folder)),
        Vpn::Trojan => Some(trojan(namespace, folder, identity)),
        Vpn::Vless => Some(vless(namespace, folder, identity)),
        _ => None,
    }
}

fn at(port: u16) -> Endpoint {
    Endpoint::Tcp(SocketAddr::new(ADDRESS, port))
}

fn shadowsocks(namespace: &Namespace, folder: &Path) -> Result<Daemon> {
    let mut command = namespace.command("ss-server");
    command.args(["-s", &ADDRESS.to_string(), "-p", &SHADOWSOCKS_PORT.to_string()]);
    command.args(["-k", PASSWORD, "-m", "chacha20-ietf-poly1305"]);
    Daemon::start(namespace, command, folder, vec![at(SHADOWSOCKS_PORT)])
}

/// A bridge, with and without obfs4. It finds no network, and needs none to answer clients.
fn tor(namespace: &Namespace, folder: &Path) -> Result<Daemon> {
    let data = folder.join("data");
    for private in [&data, &data.join("keys"), &data.join("pt_state")] {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(private)?;
    }
    let files = [
        ("keys/secret_id_key", TOR_RSA.as_bytes()),
        ("keys/ed25519_master_id_secret_key", TOR_ED25519),
        ("pt_state/obfs4_state.json", OBFS4_STATE.as_bytes()),
    ];
    for (name, octets) in files {
        let file = data.join(name);
        std::fs::write(&file, octets)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    }
    let text = format!(
        "DataDirectory {}\nBridgeRelay 1\nPublishServerDescriptor 0\nAssumeReachable 1\nSocksPort 0\nAddress {ADDRESS}\n\
         ORPort {ADDRESS}:{TOR_PORT} IPv4Only\nExtORPort auto\nServerTransportPlugin obfs4 exec /usr/bin/obfs4proxy\n\
         ServerTransportListenAddr obfs4 {ADDRESS}:{OBFS4_PORT}\n",
        data.display()
    );
    let file = folder.join("torrc");
    std::fs::write(&file, text)?;
    let mut command = namespace.command("tor");
    command.arg("-f").arg(&file).args(["--defaults-torrc", "/dev/null"]);
    Daemon::start(namespace, command, folder, vec![at(TOR_PORT), at(OBFS4_PORT)])
}

/// It finds names by a public resolver.
fn vless(namespace: &Namespace, folder: &Path, identity: &Identity) -> Result<Daemon> {
    let certificate = json!({"certificateFile": identity.certificate, "keyFile": identity.key});
    let text = json!({
        "log": {"loglevel": "warning"}, "dns": {"servers": ["8.8.8.8"]},
        "inbounds": [{
            "listen": ADDRESS.to_string(), "port": VLESS_PORT, "protocol": "vless",
            "settings": {"clients": [{"id": VLESS_ID}], "decryption": "none"},
            "streamSettings": {"network": "tcp", "security": "tls", "tlsSettings": {"certificates": [certificate]}}
        }],
        "outbounds": [{"protocol": "freedom", "settings": {"domainStrategy": "UseIPv4"}}]
    });
    let file = folder.join("v2ray.json");
    std::fs::write(&file, text.to_string())?;
    let mut command = namespace.command("v2ray");
    command.arg("-config").arg(&file);
    Daemon::start(namespace, command, folder, vec![at(VLESS_PORT)])
}

fn trojan(namespace: &Namespace, folder: &Path, identity: &Identity) -> Result<Daemon> {
    let text = json!({
        "run_type": "server", "local_addr": ADDRESS.to_string(), "local_port": TROJAN_PORT,
        "remote_addr": "127.0.0.1", "remote_port": 80, "password": [PASSWORD], "log_level": 1,
        "ssl": {"cert": identity.certificate, "key": identity.key, "key_password": "", "cipher": "", "cipher_tls13": "",
                "prefer_server_cipher": true, "alpn": ["http/1.1"], "reuse_session": true, "session_ticket": false,
                "session_timeout": 600, "plain_http_response": "", "curves": "", "dhparam": ""},
        "tcp": {"prefer_ipv4": false, "no_delay": true, "keep_alive": true, "reuse_port": false, "fast_open": false,
                "fast_open_qlen": 20},
        "mysql": {"enabled": false}
    });
    let file = folder.join("trojan.json");
    std::fs::write(&file, text.to_string())?;
    let mut command = namespace.command("trojan");
    command.arg("-c").arg(&file);
    Daemon::start(namespace, command, folder, vec![at(TROJAN_PORT)])
}
