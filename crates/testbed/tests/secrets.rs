//! Every kind of tunnel with every kind of secret, measured at real servers: no secret is in anything that either program prints, logs,
//! records or exports, nor in an error; and where the servers are is in none of it but the database and the logs of developers.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{beside, can_run_with, in_world, probe};

/// What every secret here has in it, in whatever base it is written: a text, and octets in hexadecimal and base64.
const PASSWORD: &str = "correct-horse-battery";
const USER: &str = "secret-user-name";
const PRIVATE_KEY: &str = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=";
const PRESHARED_KEY: &str = "REREREREREREREREREREREREREREREREREREREREREQ=";
const KEY_2022: &str = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
const UUID: &str = "3f8c2b1a-5d4e-4f6a-8b7c-9d0e1f2a3b4c";
const BRIDGE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMw";
/// The beginnings of lines of the static key and the wrapped key below.
const STATIC: &str = "030a11181f262d343b424950575e656c";
const WRAPPED: &str = "ShF03iVu7FtmBx0/2BNSkS7aqYifxdO+";
/// Where the servers are.
const PLACES: [&str; 2] = ["146.70.12.4", "vpn.example.net"];

const STATIC_KEY: &str = include_str!("../keys/static.key");
const CLIENT_KEY: &str = include_str!("../keys/tls-crypt-v2-client.key");

/// Secrets as they are typed, and what is made of some of them on the way.
fn secrets(key_line: &str) -> Vec<String> {
    let typed = [PASSWORD, USER, PRIVATE_KEY, PRESHARED_KEY, KEY_2022, UUID, BRIDGE, STATIC, WRAPPED, key_line];
    let mut all: Vec<String> = typed.iter().map(|secret| (*secret).to_owned()).collect();
    all.push(UUID.replace('-', ""));
    all
}

/// Where in these octets a secret or a place is.
fn found<'a>(octets: &[u8], words: &'a [String]) -> Option<&'a str> {
    let text = String::from_utf8_lossy(octets).to_ascii_lowercase();
    words.iter().map(String::as_str).find(|word| text.contains(&word.to_ascii_lowercase()))
}

fn keys() -> String {
    let at = |kind: &str, port: u16, lines: &str| format!("[[{kind}]]\nendpoint = \"146.70.12.4:{port}\"\n{lines}\n");
    let certificate = "certificate = \"/run/testbed/world/vpn/vpn.example.net.pem\"\n\
                       private-key = \"/run/testbed/world/vpn/vpn.example.net.key.pem\"\n";
    let login = format!("username = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
    [
        at("wireguard", 51_820, &format!("private-key = \"{PRIVATE_KEY}\"\npreshared-key = \"{PRESHARED_KEY}\"")),
        at("openvpn", 1_194, &format!("{certificate}{login}")),
        at("openvpn", 1_198, &format!("{login}tls-crypt = \"\"\"\n{STATIC_KEY}\"\"\"")),
        at("openvpn", 1_199, &format!("{certificate}tls-crypt-v2 = \"\"\"\n{CLIENT_KEY}\"\"\"")),
        at("openvpn", 1_200, &login),
        "[[authority]]\ntarget = \"a-vpn/*\"\nca = \"/run/testbed/world/authority.pem\"\n".to_owned(),
        at("shadowsocks", 8_388, &format!("method = \"chacha20-ietf-poly1305\"\npassword = \"{PASSWORD}\"")),
        at("shadowsocks", 8_389, &format!("method = \"2022-blake3-aes-256-gcm\"\npassword = \"{KEY_2022}\"")),
        at("obfs4", 9_002, &format!("bridge = \"obfs4 146.70.12.4:9002 cert={BRIDGE} iat-mode=0\"")),
        at("trojan", 8_443, &format!("password = \"{PASSWORD}\"")),
        at("vless", 8_444, &format!("id = \"{UUID}\"")),
    ]
    .concat()
}

/// Each kind of tunnel, a role of one provider's.
const ENDPOINTS: [&str; 21] = [
    "wireguard://146.70.12.4:51820?pubkey=e06Qm75//kTEZaIgA31gjuNYl9Me+XLwf3SJLLD3PxM=",
    "openvpn+udp://146.70.12.4:1194",
    "openvpn+udp://146.70.12.4:1198",
    "openvpn+udp://146.70.12.4:1199",
    "openvpn+udp://146.70.12.4:1200",
    "openvpn+tcp://146.70.12.4:1200",
    "ikev1://146.70.12.4",
    "ikev2://146.70.12.4:4500",
    "l2tp://146.70.12.4",
    "pptp://146.70.12.4",
    "sstp://vpn.example.net:4433",
    "anyconnect://vpn.example.net:4443",
    "softether://146.70.12.4:5555",
    "socks5://146.70.12.4",
    "http-proxy://146.70.12.4:8080",
    "stun://146.70.12.4",
    "ss://146.70.12.4:8388",
    "tor://146.70.12.4:9001",
    "obfs4://146.70.12.4:9002",
    "trojan://146.70.12.4:8443?sni=vpn.example.net",
    "vless://146.70.12.4:8444?sni=vpn.example.net",
];

fn list() -> String {
    let roles: Vec<String> = (0..ENDPOINTS.len()).map(|number| format!("kind-{number}")).collect();
    let rows = roles
        .iter()
        .zip(ENDPOINTS)
        .map(|(role, endpoint)| format!("[[endpoint]]\nrole = \"{role}\"\nendpoint = \"{endpoint}\"\n"));
    format!(
        "version = 1\nservice = \"a-vpn\"\ntitle = \"A VPN\"\nkind = \"vpn\"\ncategory_code = \"ANON\"\nsource = \"s\"\n\
         date = \"2026-11-26\"\n{}[[rule]]\nname = \"tunnel\"\nkind = \"any_of\"\nroles = {roles:?}\n",
        rows.collect::<String>()
    )
}

/// Entries that are wrong, each with a secret in it.
fn wrong_keys() -> Vec<String> {
    let entry = |kind: &str, lines: &str| format!("[[{kind}]]\nendpoint = \"146.70.12.4:1\"\n{lines}\n");
    vec![
        entry("wireguard", &format!("private-key = \"{PRIVATE_KEY}x\"")),
        entry("openvpn", &format!("username = \"{USER}\"")),
        entry("openvpn", &format!("private-key = \"-----BEGIN PRIVATE KEY-----{PASSWORD}\"")),
        entry("openvpn", &format!("tls-auth = \"-----BEGIN OpenVPN Static key V1-----{STATIC}\"")),
        entry("openvpn", &format!("tls-crypt-v2 = \"-----BEGIN OpenVPN tls-crypt-v2 client key-----{WRAPPED}\"")),
        entry("shadowsocks", &format!("method = \"{PASSWORD}\"\npassword = \"x\"")),
        entry("obfs4", &format!("bridge = \"cert={BRIDGE}x\"")),
        entry("trojan", &format!("password = \"{PASSWORD}\"\n\"{PASSWORD}\" = 1")),
        entry("vless", &format!("id = \"{UUID}0\"")),
        PASSWORD.to_owned(),
    ]
}

/// Runs the probe in the client of a world in each of its ways, and keeps what it says in files of this folder.
fn measured(folder: &Path) {
    std::fs::write(folder.join("keys.toml"), keys()).unwrap();
    std::fs::write(folder.join("list.toml"), list()).unwrap();
    for (number, text) in wrong_keys().iter().enumerate() {
        std::fs::write(folder.join(format!("wrong-{number}.toml")), text).unwrap();
    }
    let wrong = wrong_keys().len() - 1;
    let (probe, own) = (probe().display().to_string(), folder.display().to_string());
    let script = format!(
        "cd {own}; p='{probe}'; l='--list list.toml --category ANON --vpn-keys keys.toml'; \
         o='--ca-file /run/testbed/world/authority.pem --yes --yes-vpn --no-follow-up --rate 0 --db own.sqlite'\n\
         say() {{ n=$1; shift; \"$@\" >said-$n.out 2>said-$n.err; echo \"$n $?\"; }}\n\
         FAULTLINE_LOG=info say run $p run $l $o --json\n\
         FAULTLINE_LOG=trace say logs $p run $l $o\n\
         say dry $p run $l --dry-run\nsay targets $p targets list --list list.toml --category ANON\n\
         say list $p results list --json --db own.sqlite\nsay export $p results export --db own.sqlite\n\
         id=$(sed -n 's/^{{.*\"id\":\"\\([^\"]*\\)\".*/\\1/p' said-run.out | head -n 1)\n\
         say show $p results show $id --json --db own.sqlite\nsay table $p results show $id --db own.sqlite\n\
         for i in $(seq 0 {wrong}); do say wrong-$i $p run --list list.toml --category ANON $o --vpn-keys wrong-$i.toml; done\n\
         sed -n 2p /run/testbed/world/vpn/vpn.example.net.key.pem >key-line; chmod -R a+rX .; true"
    );
    let servers = "vpn = [\"wireguard\", \"openvpn_udp\", \"openvpn_tls_crypt\", \"openvpn_tls_crypt_v2\", \"openvpn_login\", \
                   \"openvpn_tcp_login\", \"ikev2\", \"l2tp\", \"pptp\", \"sstp\", \"anyconnect\", \"softether\", \"socks5\", \
                   \"http_proxy\", \"stun\", \"shadowsocks\", \"tor\", \"trojan\", \"vless\"]\n\
                   [[site]]\nname = \"vpn.example.net\"\naddresses = [\"146.70.12.4\"]\n";
    let codes = in_world(servers, &script);
    for (what, code) in codes.lines().filter_map(|line| line.split_once(' ')) {
        let expected = if what.starts_with("wrong") { "2" } else { "0" };
        assert_eq!(code, expected, "{what}: {}", read(&folder.join(format!("said-{what}.err"))));
    }
    assert_eq!(codes.lines().count(), 8 + wrong + 1, "{codes}");
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

/// What the analyzer says of the database in each of its ways.
fn analysed(folder: &Path) {
    let analyzer = beside("analyzer");
    let database = folder.join("own.sqlite");
    let run = |name: &str, arguments: &[&str]| {
        let output = Command::new(&analyzer).args(arguments).arg(&database).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(folder.join(format!("said-{name}.out")), &output.stdout).unwrap();
        std::fs::write(folder.join(format!("said-{name}.err")), &output.stderr).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for format in ["table", "jsonl", "csv"] {
        run(&format!("verdicts-{format}"), &["verdicts", "--format", format]);
        run(&format!("service-{format}"), &["verdicts", "--by", "service", "--format", format]);
    }
    for line in read(&folder.join("said-verdicts-jsonl.out")).lines() {
        let verdict: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = verdict["id"].as_str().unwrap().to_owned();
        run(&format!("explain-{id}"), &["explain", &id]);
    }
    run("export", &["export", "--format", "ooni", "--output", "exported"]);
}

/// Every file below whose name begins so.
fn files(folder: &Path, is_wanted: fn(&str) -> bool) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            all.extend(files(&path, |_| true));
        } else if is_wanted(&name) {
            all.push(path);
        }
    }
    all
}

#[test]
fn no_secret_of_any_tunnel_is_in_any_output_log_export_error_or_database() {
    let servers = ["pptpd", "xl2tpd", "sstpd", "ocserv", "vpnserver", "charon-systemd", "microsocks", "turnserver"];
    if !can_run_with(&[&servers[..], &["openvpn", "tor", "trojan", "v2ray", "ss-server", "tinyproxy"]].concat()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    measured(folder.path());
    analysed(folder.path());
    // Made with the world, and gone with it.
    let key_line = read(&folder.path().join("key-line"));
    assert_eq!(key_line.trim().len(), 64, "a line of base64: {key_line}");
    let secrets = secrets(key_line.trim());
    let places: Vec<String> = PLACES.iter().map(|place| (*place).to_owned()).collect();
    assert_eq!(found(b"at 146.70.12.4", &places), Some("146.70.12.4"), "the search finds what it looks for");
    assert_eq!(found(keys().as_bytes(), &secrets), Some(PASSWORD));
    let said = files(folder.path(), |name| name.starts_with("said-"));
    assert!(said.len() > 2 * (8 + ENDPOINTS.len()), "{said:?}");
    for file in said {
        let octets = std::fs::read(&file).unwrap();
        assert_eq!(found(&octets, &secrets), None, "{}", file.display());
        if !file.ends_with("said-logs.err") {
            assert_eq!(found(&octets, &places), None, "{}: {}", file.display(), String::from_utf8_lossy(&octets));
        }
    }
    for file in files(folder.path(), |name| name.starts_with("own.sqlite")) {
        assert_eq!(found(&std::fs::read(&file).unwrap(), &secrets), None, "{}", file.display());
    }
    // The secrets were in use: servers that know them have let the probe in.
    let run = read(&folder.path().join("said-run.out"));
    for endpoint in ["openvpn+udp", "vless"] {
        let line = run
            .lines()
            .find(|line| line.contains(&format!("\"input\":\"{endpoint}")) && line.contains("\"proof\":\"data\""));
        assert!(line.is_some(), "{endpoint}: {run}");
    }
    let proven = |scheme: &str| {
        run.lines().any(|line| {
            line.contains(&format!("\"input\":\"{scheme}")) && line.contains("\"proof\":\"server_identity\"")
        })
    };
    assert!(proven("sstp") && proven("anyconnect"), "asked for by name: {run}");
}
