//! Servers of VPNs and proxies, each seen by somebody else's client: sstpc, openconnect, ike-scan, xl2tpd, `SoftEther`'s own, curl,
//! coturn's own, perl's sockets. What they say owes nothing to the probe.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use common::{can_run_with, in_world};

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
