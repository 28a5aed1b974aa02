//! Servers of VPNs and proxies, each seen by somebody else's client: sstpc, openconnect, ike-scan, xl2tpd, `SoftEther`'s own, curl,
//! coturn's own, perl's sockets. What they say owes nothing to the probe.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use std::collections::BTreeMap;

use common::{can_run_with, in_world, probe, testbed};

fn lines(servers: &str, script: &str) -> Vec<String> {
    in_world(&format!("vpn = [{servers}]"), &format!("{script}\ntrue")).lines().map(String::from).collect()
}

#[test]
fn sstp_s_client_is_given_a_call() {
    if !can_run_with(&["sstpd", "sstpc"]) {
        return;
    }
    // Behind the call stands PPP, which this world's server ends at once.
    let script = "timeout 5 sstpc --cert-warn --user u --password p --log-stderr --log-level 4 146.70.12.4:4433 --nolaunchpppd \
                  2>&1 | grep -a -o -m1 'CONNECT ACK'";
    assert_eq!(lines("\"sstp\"", script), ["CONNECT ACK"]);
}

#[test]
fn openconnect_is_asked_for_a_name() {
    if !can_run_with(&["ocserv", "openconnect"]) {
        return;
    }
    let script = "timeout 5 openconnect --protocol=anyconnect --no-system-trust --cafile /run/testbed/world/authority.pem \
                  --resolve vpn.example.net:146.70.12.4 --non-inter https://vpn.example.net:4443/ </dev/null 2>&1 \
                  | grep -o -m1 'Please enter your username'";
    assert_eq!(lines("\"anyconnect\"", script), ["Please enter your username"]);
}

#[test]
fn a_scanner_of_ike_s_first_version_is_answered_on_both_ports() {
    if !can_run_with(&["charon-systemd", "ike-scan"]) {
        return;
    }
    let script =
        "for o in '' --nat-t; do ike-scan --sport=0 --retry=2 $o 146.70.12.4 | grep -o -m1 'NO-PROPOSAL-CHOSEN'; done";
    assert_eq!(lines("\"ikev2\"", script), ["NO-PROPOSAL-CHOSEN"; 2]);
}

#[test]
fn l2tp_s_client_has_its_control_connection() {
    if !can_run_with(&["xl2tpd"]) {
        return;
    }
    let script = "mkdir x; printf '[global]\\nforce userspace = yes\\n[lac x]\\nlns = 146.70.12.4\\nautodial = yes\\n' >x/conf\n\
                  timeout 5 xl2tpd -D -c $PWD/x/conf -p $PWD/x/pid -C $PWD/x/control 2>&1 \
                  | grep -o -m1 'Connection established to 146.70.12.4'";
    let script = format!("cd /run/testbed; {script}");
    assert_eq!(lines("\"l2tp\"", &script), ["Connection established to 146.70.12.4"]);
}

/// A start of PPTP's control connection without names, and the type and the result of the reply.
const PPTP: &str = r#"perl -MIO::Socket::INET -e '
    $s = IO::Socket::INET->new(PeerAddr => "146.70.12.4:1723", Timeout => 3) or die;
    $s->send(pack("nnNnnnCCNNnn", 156, 1, 0x1a2b3c4d, 1, 0, 256, 0, 0, 3, 3, 0, 1) . ("\0" x 128));
    $SIG{ALRM} = sub { exit 1 }; alarm 3; $s->recv($b, 2000);
    print length($b), " ", unpack("n", substr($b, 8, 2)), " ", ord(substr($b, 14, 1)), "\n";'"#;

#[test]
fn the_pptp_server_starts_a_control_connection() {
    if !can_run_with(&["pptpd", "perl"]) {
        return;
    }
    assert_eq!(lines("\"pptp\"", PPTP), ["156 2 1"]);
}

#[test]
fn softether_s_own_client_is_connected() {
    if !can_run_with(&["vpnserver", "vpncmd"]) {
        return;
    }
    let script =
        "timeout 10 vpncmd /SERVER 146.70.12.4:5555 /CMD About 2>&1 | grep -o -m1 'Connection has been established'";
    assert_eq!(lines("\"softether\"", script), ["Connection has been established"]);
}

#[test]
fn each_proxy_treats_curl_in_its_way() {
    if !can_run_with(&["microsocks", "tinyproxy", "squid", "curl"]) {
        return;
    }
    // curl's exit code, the site's status and the proxy's. 97: the SOCKS server wants a login; 56: the proxy refused.
    let script = "for p in socks5h://146.70.12.4:1080 socks5h://146.70.12.4:1081 http://146.70.12.4:8080 \
                  http://146.70.12.4:8081 http://146.70.12.4:3128; do \
                  s=$(curl -sS -m 5 -o /dev/null -w '%{http_code} %{http_connect}' -x $p https://example.com/ 2>/dev/null); \
                  echo \"$? $s\"; done";
    let servers = "\"socks5\", \"socks5_login\", \"http_proxy\", \"http_proxy_login\", \"http_proxy_refuses\"";
    let wanted = ["0 200 000", "97 000 000", "0 200 200", "56 000 407", "56 000 403"];
    assert_eq!(lines(servers, script), wanted);
}

#[test]
fn the_stun_server_tells_a_client_its_address() {
    if !can_run_with(&["turnserver"]) {
        return;
    }
    let script = "timeout 5 turnutils_stunclient 146.70.12.4 | grep -o -m1 'UDP reflexive addr: 100.64.10.2'";
    assert_eq!(lines("\"stun\"", script), ["UDP reflexive addr: 100.64.10.2"]);
}

/// Whether curl gets through either proxy, and STUN's client has its answer.
const THREE: &str = "for p in socks5h://146.70.12.4:1080 http://146.70.12.4:8080; do \
                     curl -sS -m 3 -o /dev/null -x $p https://example.com/ 2>/dev/null && echo up || echo down; done; \
                     timeout 3 turnutils_stunclient 146.70.12.4 | grep -q reflexive && echo up || echo down";

#[test]
fn a_rule_on_payloads_stops_what_begins_so_and_nothing_else() {
    if !can_run_with(&["microsocks", "tinyproxy", "turnserver", "curl"]) {
        return;
    }
    let seen = |rule: &str| {
        let rule = match rule {
            "" => String::new(),
            rule => format!("[[censor]]\nmatch = {{ kind = \"payload\", {rule} }}\naction = {{ kind = \"drop\" }}\n"),
        };
        let world = format!("vpn = [\"socks5\", \"http_proxy\", \"stun\"]\n{rule}");
        in_world(&world, &format!("{THREE}\ntrue")).lines().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(seen(""), ["up", "up", "up"]);
    assert_eq!(seen("hex = \"05\", protocol = \"tcp\""), ["down", "up", "up"]);
    assert_eq!(seen("hex = \"4e4e454354\", at = 2"), ["up", "down", "up"], "the end of a word");
    assert_eq!(seen("hex = \"2112a442\", at = 4, protocol = \"udp\""), ["up", "up", "down"]);
    assert_eq!(seen("hex = \"0101\", answers = true"), ["up", "up", "down"], "what the server sends");
    assert_eq!(seen("hex = \"0101\""), ["up", "up", "up"], "no client sends that");
}

#[test]
fn where_udp_is_dead_names_and_tcp_are_left() {
    if !can_run_with(&["turnserver", "dig", "curl"]) {
        return;
    }
    let world = "vpn = [\"stun\"]\n[[fault]]\nbroken = { kind = \"udp_dead\" }\n";
    let script = "dig +short +tries=1 +time=2 example.com | grep -q . && echo up || echo down\n\
                  curl -sS -m 3 -o /dev/null https://example.com/ 2>/dev/null && echo up || echo down\n\
                  dig +short +tries=1 +time=2 example.com @8.8.8.8 | grep -q '^[0-9]' && echo up || echo down\n\
                  timeout 3 turnutils_stunclient 146.70.12.4 | grep -q reflexive && echo up || echo down\ntrue";
    assert_eq!(in_world(world, script).lines().collect::<Vec<_>>(), ["up", "up", "down", "down"]);
}

/// The answer to each input's first message and what it proved, as the unmodified probe wrote it down in this scenario.
fn proofs(scenario: &str) -> BTreeMap<String, (String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = testbed();
    command.args(["run", scenario, "--out"]).arg(folder.path()).env(testbed::measure::PROBE_VARIABLE, probe());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let lines = std::fs::read_to_string(folder.path().join(format!("{scenario}-1/measurements.jsonl"))).unwrap();
    let measured = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("nothing").to_owned();
    let of = |object: serde_json::Value| {
        let rows = object["observations"].as_array().unwrap();
        let row = rows.iter().find(|row| row["step"] == "vpn" && row["purpose"] == "main").unwrap();
        (text(&object["input"]), (text(&row["answer"]), text(&row["proof"])))
    };
    measured.map(of).collect()
}

fn are(scenario: &str, wanted: &[(&str, &str, &str)]) {
    let wanted: BTreeMap<String, (String, String)> = wanted
        .iter()
        .map(|(input, answer, proof)| ((*input).to_owned(), ((*answer).to_owned(), (*proof).to_owned())))
        .collect();
    assert_eq!(proofs(scenario), wanted);
}

#[test]
fn what_each_vpn_s_server_proved_stands_in_its_row() {
    if !can_run_with(&["pptpd", "xl2tpd", "sstpd", "ocserv", "vpnserver", "charon-systemd"]) {
        return;
    }
    are(
        "tunnels-clean",
        &[
            ("pptp://146.70.12.4:1723", "accepted", "first_answer"),
            ("l2tp://146.70.12.4:1701", "accepted", "first_answer"),
            ("ikev1://146.70.12.4:500", "ike_notified", "first_answer"),
            ("ikev1://146.70.12.4:4500", "ike_notified", "first_answer"),
            ("ikev2://146.70.12.4:4500", "ike_notified", "first_answer"),
            ("sstp://146.70.12.4:4433", "accepted", "handshake"),
            ("anyconnect://146.70.12.4:4443", "login_wanted", "handshake"),
            ("softether://146.70.12.4:5555", "accepted", "handshake"),
        ],
    );
}

#[test]
fn what_each_proxy_proved_stands_in_its_row() {
    if !can_run_with(&["microsocks", "tinyproxy", "squid", "turnserver"]) {
        return;
    }
    are(
        "plain-proxies-clean",
        &[
            ("socks5://146.70.12.4:1080", "accepted", "data"),
            ("socks5://146.70.12.4:1081", "login_wanted", "first_answer"),
            ("http-proxy://146.70.12.4:8080", "accepted", "data"),
            ("http-proxy://146.70.12.4:8081", "login_wanted", "first_answer"),
            ("http-proxy://146.70.12.4:3128", "refused", "first_answer"),
            ("stun://146.70.12.4:3478", "accepted", "first_answer"),
        ],
    );
}

#[test]
fn a_server_that_is_asked_for_by_name_shows_who_it_is() {
    if !can_run_with(&["pptpd", "xl2tpd", "sstpd", "ocserv", "vpnserver", "charon-systemd", "microsocks", "turnserver"])
    {
        return;
    }
    let proofs = proofs("tunnels-by-name");
    let proof = |input: &str| proofs[input].1.as_str();
    assert_eq!(proof("sstp://vpn.example.net:4433"), "server_identity");
    assert_eq!(proof("anyconnect://vpn.example.net:4443"), "server_identity");
    assert_eq!(proof("softether://vpn.example.net:5555"), "handshake", "a certificate of its own");
}

/// Answers a ping of Proton's whose code is the one that Python makes over the server's key and a time of this minute.
const PROTON: &str = r#"python3 -c '
import base64, hashlib, hmac, socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 51820)); s.settimeout(20)
while True:
    m, who = s.recvfrom(100)
    over = base64.b64decode("e06Qm75//kTEZaIgA31gjuNYl9Me+XLwf3SJLLD3PxM=") + m[2:6]
    code = hmac.new(b"lci6UYRryo5rcQVpxfJ0fCs6UBY5eGyV", over, hashlib.sha256).digest()
    now = abs(time.time() - struct.unpack("<I", m[2:6])[0]) < 60
    if len(m) == 38 and m[:2] == b"\xfe\x01" and m[6:] == code and now: s.sendto(b"\xfe\x01\x01", who)
' &"#;

#[test]
fn a_ping_of_proton_s_has_the_code_that_another_implementation_makes_and_of_another_key_not() {
    if !can_run_with(&["wg"]) {
        return;
    }
    let probe = probe().display().to_string();
    let check = |key: &str| {
        format!(
            "{probe} check 'proton-ping://127.0.0.1:51820?pubkey={key}' --yes --yes-vpn --db x.sqlite --json \
             --ca-file /run/testbed/world/authority.pem | grep -o '\"proof\":\"[a-z_]*\"' | sort -u; echo end"
        )
    };
    let server = "e06Qm75//kTEZaIgA31gjuNYl9Me+XLwf3SJLLD3PxM=";
    let stranger = "ERERERERERERERERERERERERERERERERERERERERERE=";
    let script =
        format!("cd /run/testbed; {PROTON}\nsleep 1; {}; {}; kill %1 2>/dev/null", check(server), check(stranger));
    assert_eq!(lines("", &script), ["\"proof\":\"first_answer\"", "end", "end"]);
}
