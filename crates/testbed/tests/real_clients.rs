//! A filter sees of the probe what it sees of a user: the first message of each protocol, captured on the client's own line, beside that of
//! a program that people use. What either draws at random is left out; every other octet, and the length, must be the same.
//!
//! Left out of this: IKE, whose proposals are each client's own, and what goes inside TLS.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]
#![allow(clippy::single_range_in_vec_init, reason = "a list of ranges may have one")]

mod common;

use std::ops::Range;

use common::capture::{Captured, captured};
use common::{can_run_with, in_world_at, probe};
use etherparse::{SlicedPacket, TransportSlice};

/// The static key of the testbed's `OpenVPN` servers.
const STATIC_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/keys/static.key");
/// Where the servers are.
const SERVER: &str = "146.70.12.4";

/// A protocol, and a client of somebody else's.
struct Case<'a> {
    /// The server, by its name in scenarios.
    server: &'a str,
    scheme: &'a str,
    port: u16,
    /// What follows the port in the target.
    query: &'a str,
    /// What the client needs, by its names in `testbed doctor`.
    needs: &'a [&'a str],
    client: &'a str,
    /// The table of the probe's keys.
    keys: &'a str,
    /// Octets that are drawn at random, tell the time, or are made from these.
    free: &'a [Range<usize>],
}

impl<'a> Case<'a> {
    /// One without keys, none of whose octets is free.
    fn new(server: &'a str, scheme: &'a str, port: u16, needs: &'a [&'a str], client: &'a str) -> Self {
        Self { server, scheme, port, query: "", needs, client, keys: "", free: &[] }
    }

    fn first_message(&self, script: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().to_str().unwrap();
        let script = format!("cd {capture}; {script}; true");
        in_world_at(&format!("vpn = [\"{}\"]", self.server), &["--capture", capture], &script);
        let packets = captured(&folder.path().join("access-0.pcapng"));
        let mut messages =
            packets.iter().filter(|packet| packet.is_sent).filter_map(|packet| message(packet, self.port));
        messages.next().unwrap_or_else(|| panic!("nothing was sent to port {}", self.port))
    }

    fn holds(&self) {
        if !can_run_with(self.needs) {
            return;
        }
        let theirs = self.first_message(self.client);
        let keys = format!("printf '%s' '{}' > keys.toml", self.keys);
        let (probe, url) =
            (probe().display().to_string(), format!("{}://{SERVER}:{}{}", self.scheme, self.port, self.query));
        let run = format!(
            "{probe} check '{url}' --yes --yes-vpn --db x.sqlite --vpn-keys keys.toml --ca-file /run/testbed/world/authority.pem"
        );
        let ours = self.first_message(&format!("{keys}; {run}"));
        assert_eq!(self.masked(&ours), self.masked(&theirs), "ours, theirs: {}", self.scheme);
    }

    /// The octets that must be the same, in hexadecimal, and dots for the free ones.
    fn masked(&self, message: &[u8]) -> String {
        let is_free = |index: usize| self.free.iter().any(|range| range.contains(&index));
        let one = |(index, octet): (usize, &u8)| if is_free(index) { "..".into() } else { format!("{octet:02x}") };
        message.iter().enumerate().map(one).collect()
    }
}

/// What a packet carries to a port, over TCP or UDP, if it carries anything.
fn message(packet: &Captured, port: u16) -> Option<Vec<u8>> {
    let sliced = SlicedPacket::from_ip(&packet.bytes).ok()?;
    let (to, payload) = match sliced.transport? {
        TransportSlice::Tcp(tcp) => (tcp.destination_port(), tcp.payload()),
        TransportSlice::Udp(udp) => (udp.destination_port(), udp.payload()),
        _ => return None,
    };
    (to == port && !payload.is_empty()).then(|| payload.to_vec())
}

/// `openvpn`, until it has said something.
fn openvpn(port: u16, options: &str) -> String {
    format!(
        "printf 'u\\np\\n' > login; timeout 3 openvpn --client --dev null --nobind --auth-user-pass login \
         --ca /run/testbed/world/authority.pem --remote {SERVER} {port} {options}"
    )
}

/// The table of an `OpenVPN` server's static key.
fn openvpn_keys(port: u16, kind: &str, more: &str) -> String {
    let key = std::fs::read_to_string(STATIC_KEY).unwrap();
    format!("[[openvpn]]\nendpoint = \"{SERVER}:{port}\"\n{kind} = \"\"\"\n{key}\"\"\"\n{more}\n")
}

#[test]
fn openvpn_over_udp() {
    // The session.
    let client = openvpn(1194, "--proto udp");
    let case = Case { free: &[1..9], ..Case::new("openvpn_udp", "openvpn+udp", 1194, &["openvpn"], &client) };
    case.holds();
}

#[test]
fn openvpn_over_tcp() {
    let client = openvpn(1194, "--proto tcp");
    let case = Case { free: &[3..11], ..Case::new("openvpn_tcp", "openvpn+tcp", 1194, &["openvpn"], &client) };
    case.holds();
}

#[test]
fn openvpn_behind_tls_auth() {
    // The session; the code and the time.
    let client = openvpn(1195, &format!("--proto udp --tls-auth {STATIC_KEY} 1 --auth SHA1"));
    let keys = openvpn_keys(1195, "tls-auth", "digest = \"SHA1\"");
    let case = Case {
        keys: &keys,
        free: &[1..29, 33..37],
        ..Case::new("openvpn_tls_auth_sha1", "openvpn+udp", 1195, &["openvpn"], &client)
    };
    case.holds();
}

#[test]
fn openvpn_behind_tls_crypt() {
    // The session; the time, the code and what is encrypted.
    let client = openvpn(1198, &format!("--proto udp --tls-crypt {STATIC_KEY}"));
    let keys = openvpn_keys(1198, "tls-crypt", "");
    let case = Case {
        keys: &keys,
        free: &[1..9, 13..54],
        ..Case::new("openvpn_tls_crypt", "openvpn+udp", 1198, &["openvpn"], &client)
    };
    case.holds();
}

#[test]
fn wireguard() {
    use testbed::daemon::vpn::{WIREGUARD_CLIENT_KEYS, WIREGUARD_PUBLIC_KEY};
    let own = WIREGUARD_CLIENT_KEYS[0];
    let client = format!(
        "wireguard-go wg9 >/dev/null 2>&1; printf '{own}' > key; wg set wg9 private-key key peer {WIREGUARD_PUBLIC_KEY} \
         endpoint {SERVER}:51820 allowed-ips 10.99.0.0/24 persistent-keepalive 1; ip link set wg9 up; sleep 2"
    );
    let query = format!("?pubkey={WIREGUARD_PUBLIC_KEY}");
    let keys = format!("[[wireguard]]\nendpoint = \"{SERVER}:51820\"\nprivate-key = \"{own}\"\n");
    // All but the type, the three octets after it and the second code, which is empty before a cookie.
    let case = Case {
        query: &query,
        keys: &keys,
        free: &[4..132],
        ..Case::new("wireguard", "wireguard", 51_820, &["wireguard-go", "wg"], &client)
    };
    case.holds();
}

#[test]
fn l2tp() {
    let config = format!(
        "[global]\\nforce userspace = yes\\n[lac x]\\nlns = {SERVER}\\nhostname = localhost\\nautodial = yes\\n"
    );
    let client = format!(
        "printf '{config}' > conf; timeout 4 xl2tpd -D -c $PWD/conf -p $PWD/pid -C $PWD/control >/dev/null 2>&1"
    );
    // The tunnel's number.
    let case = Case { free: &[96..98], ..Case::new("l2tp", "l2tp", 1701, &["xl2tpd"], &client) };
    case.holds();
}

#[test]
fn pptp() {
    let client = format!("timeout 4 pptp {SERVER} --nolaunchpppd --logstring x >/dev/null 2>&1");
    let case = Case::new("pptp", "pptp", 1723, &["pptpd", "pptp"], &client);
    case.holds();
}

#[test]
fn socks() {
    let client = format!("curl -s -m 5 --socks5-basic --socks5-hostname {SERVER}:1080 https://example.com/ >/dev/null");
    let case = Case::new("socks5", "socks5", 1080, &["curl", "microsocks"], &client);
    case.holds();
}

#[test]
fn http_connect() {
    let client =
        format!("curl -s -m 5 --proxy-header User-Agent: -x http://{SERVER}:8080 https://example.com/ >/dev/null");
    let case = Case::new("http_proxy", "http-proxy", 8080, &["curl", "tinyproxy"], &client);
    case.holds();
}

#[test]
fn stun() {
    let client = format!("timeout 4 turnutils_stunclient {SERVER}");
    // The transaction.
    let case = Case { free: &[8..20], ..Case::new("stun", "stun", 3478, &["turnserver"], &client) };
    case.holds();
}
