//! The hosts of a world, each kind seen by other people's clients: curl, dig, openssl, perl's sockets, and real VPN clients.
//! What they say owes nothing to the probe.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use common::{can_run, can_run_with, in_world, in_world_at};

/// curl's exit code and status. 6: no address; 7: no connection; 28: time-out; 35: TLS failed; 47: too many redirects; 52:
/// empty answer; 56: reset while receiving; 60: the certificate is not valid; 1: no HTTP that curl knows.
const FETCH: &str = "f() { s=$(curl -sS -m 3 -o /dev/null -w '%{http_code}' \"$@\" 2>/dev/null); echo \"$? $s\"; }\n";

/// A site with this name, and more about it.
fn site(name: &str, more: &str) -> String {
    format!("[[site]]\nname = \"{name}\"\n{more}\n")
}

fn lines(world: &str, script: &str) -> Vec<String> {
    in_world(world, &format!("{FETCH}{script}\ntrue")).lines().map(String::from).collect()
}

/// What curl says of each URL, options before it.
fn fetches(world: &str, urls: &[&str]) -> Vec<String> {
    lines(world, &urls.iter().map(|url| format!("f {url}")).collect::<Vec<_>>().join("\n"))
}

#[test]
fn each_certificate_is_bad_in_its_way() {
    if !can_run() {
        return;
    }
    let kinds = ["valid", "expired", "wrong_host", "self_signed", "unknown_authority", "incomplete"];
    let world: String = kinds
        .iter()
        .map(|kind| site(&format!("{}.example.org", kind.replace('_', "-")), &format!("certificate = \"{kind}\"")))
        .collect();
    let script = "for n in valid expired wrong-host self-signed unknown-authority incomplete; do \
                  openssl s_client -connect $n.example.org:443 -servername $n.example.org -verify_hostname $n.example.org \
                  -CAfile $CURL_CA_BUNDLE </dev/null 2>/dev/null | grep -m1 -o 'Verify return code.*'; done";
    let codes: Vec<String> =
        lines(&world, script).iter().map(|line| line.trim_start_matches("Verify return code: ").to_owned()).collect();
    // 0 fine; 10 expired; 62 another host's; 18 self-signed; 21 nobody known has signed it.
    let wanted = ["0 ", "10 ", "62 ", "18 ", "21 ", "21 "];
    assert_eq!(codes.len(), wanted.len(), "{codes:?}");
    for (code, wanted) in codes.iter().zip(wanted) {
        assert!(code.starts_with(wanted), "{codes:?}");
    }
}

#[test]
fn an_incomplete_chain_is_that_of_another_authority_than_an_unknown_one() {
    if !can_run() {
        return;
    }
    let world = site("a.example.org", "certificate = \"incomplete\"")
        + &site("b.example.org", "certificate = \"unknown_authority\"");
    let script = "for n in a b; do openssl s_client -connect $n.example.org:443 -servername $n.example.org </dev/null 2>/dev/null \
                  | openssl x509 -noout -issuer; done";
    let issuers = lines(&world, script);
    assert!(issuers[0].contains("intermediate") && !issuers[1].contains("intermediate"), "{issuers:?}");
}

#[test]
fn hosts_that_speak_no_protocol_misbehave_over_tls_and_over_plain_http() {
    if !can_run() {
        return;
    }
    let kinds = ["junk", "eof", "reset", "mute", "nothing", "silence", "alert"];
    let world: String = kinds
        .iter()
        .map(|kind| site(&format!("{kind}.example.org"), &format!("serves = \"{kind}\"\nhttp = \"page\"")))
        .collect();
    let secure = kinds.map(|kind| format!("https://{kind}.example.org/"));
    let plain = kinds.map(|kind| format!("http://{kind}.example.org/"));
    let urls: Vec<&str> = secure.iter().chain(&plain).map(String::as_str).collect();
    let seen = fetches(&world, &urls);
    assert_eq!(seen[..7], ["35 000", "35 000", "35 000", "28 000", "7 000", "28 000", "35 000"], "over TLS");
    assert_eq!(seen[7..], ["1 000", "52 000", "56 000", "28 000", "7 000", "28 000", "0 200"], "in plain");
}

#[test]
fn end_of_file_reset_junk_and_alert_are_told_apart_by_openssl() {
    if !can_run() {
        return;
    }
    let kinds = ["junk", "eof", "reset", "alert"];
    let world: String =
        kinds.iter().map(|kind| site(&format!("{kind}.example.org"), &format!("serves = \"{kind}\""))).collect();
    let script = "for n in junk eof reset alert; do openssl s_client -connect $n.example.org:443 -servername $n.example.org \
                  </dev/null 2>&1 | grep -oE 'wrong version|unexpected eof|errno=104|unrecognized name' | head -1; done";
    assert_eq!(lines(&world, script), ["wrong version", "unexpected eof", "errno=104", "unrecognized name"]);
}

#[test]
fn redirects_lead_where_they_say_or_nowhere() {
    if !can_run() {
        return;
    }
    let world = site("bit.ly", "serves = \"redirect\"\nlocation = \"https://page.example.org/x\"")
        + &site("page.example.org", "")
        + &site("loop.example.org", "serves = \"redirect_loop\"")
        + &site("chain.example.org", "serves = \"redirects\"\nredirects = 15\nhttp = \"page\"")
        + &site("broken.example.org", "serves = \"broken_location\"");
    let script = "curl -sSL -o /dev/null -w '%{http_code} %{num_redirects} %{url_effective}\\n' https://bit.ly/21645\n\
                  f -L https://loop.example.org/\n\
                  curl -sSL -o /dev/null -w '%{http_code} %{num_redirects}\\n' http://chain.example.org/redirect/15\n\
                  curl -sS -o /dev/null -D - https://broken.example.org/ | grep -i '^location' | tr -d '\\r'";
    let wanted = ["200 1 https://page.example.org/x", "47 302", "200 15", "location: http://"];
    assert_eq!(lines(&world, script), wanted);
}

#[test]
fn pages_have_the_status_the_length_and_the_pace_that_they_are_given() {
    if !can_run() {
        return;
    }
    let world = site("law.example.org", "status = 451")
        + &site("long.example.org", "body_kb = 300\nstatus = 404")
        + &site("giant.example.org", "serves = \"giant\"")
        + &site("drip.example.org", "serves = \"drip\"")
        + &site("captcha.example.org", "serves = \"captcha\"")
        + &site("plain.example.org", "https = false")
        + &site("secure.example.org", "http = \"nothing\"");
    let script = "f https://law.example.org/\n\
                  curl -sS -o /dev/null -w '%{http_code} %{size_download}\\n' https://long.example.org/\n\
                  curl -sS -o /dev/null -w '%{http_code} %{size_download}\\n' https://giant.example.org/\n\
                  curl -sS -m 5 -o /dev/null -w '%{size_download}\\n' https://drip.example.org/ 2>/dev/null\n\
                  curl -sS -o /dev/null -D - https://captcha.example.org/ | grep -oE '503|cf-mitigated: challenge'\n\
                  f http://plain.example.org/\nf https://plain.example.org/\nf http://secure.example.org/";
    let seen = lines(&world, script);
    assert_eq!(seen[..3], ["0 451", "404 307200", "200 33554432"]);
    let dripped: u64 = seen[3].parse().unwrap();
    assert!((32..2_000).contains(&dripped), "{dripped} bytes in five seconds");
    assert_eq!(seen[4..], ["503", "cf-mitigated: challenge", "0 200", "7 000", "7 000"]);
}

#[test]
fn a_server_with_a_rate_sends_each_response_at_it_whatever_the_name() {
    if !can_run() {
        return;
    }
    let world = site("slow.example.org", "body_kb = 60\nrate_kbit = 200\naddresses = [\"185.199.40.7\"]");
    let rate = |name: &str| {
        let at = format!("--connect-to {name}:443:185.199.40.7:443 -k -H 'Host: slow.example.org'");
        let script = format!("curl -sS -m 20 -o /dev/null -w '%{{speed_download}}\\n' {at} https://{name}/");
        lines(&world, &script)[0].parse::<f64>().unwrap() * 8.0 / 1_000.0
    };
    for name in ["slow.example.org", "other.example.org"] {
        let seen = rate(name);
        assert!((100.0..300.0).contains(&seen), "{name}: {seen} kbit/s");
    }
}

#[test]
fn several_names_share_an_address_and_are_told_apart_by_the_server_name() {
    if !can_run() {
        return;
    }
    let world = site("www.example.com", "addresses = [\"93.184.216.34\"]")
        + &site("www.example.org", "addresses = [\"93.184.216.34\"]\nstatus = 403");
    assert_eq!(fetches(&world, &["https://www.example.com/", "https://www.example.org/"]), ["0 200", "0 403"]);
    assert_eq!(lines(&world, "dig +short www.example.com www.example.org"), ["93.184.216.34"; 2]);
}

#[test]
fn names_are_removed_aliased_dead_or_different_by_vantage() {
    if !can_run() {
        return;
    }
    let world = "[[vantage]]\nname = \"home\"\n[[vantage]]\nname = \"other\"\n".to_owned()
        + &site("gone.example.org", "removed = true")
        + &site("www.alias.example.org", "alias = \"host.example.org\"")
        + &site("host.example.org", "addresses = [\"185.3.1.1\"]")
        + &site("empty.example.org", "alias = \"nowhere.example.org\"")
        + &site("half.example.org", "addresses = [\"185.3.1.2\", \"185.3.1.3\"]\ndead = [\"185.3.1.2\"]")
        + &site(
            "cdn.example.org",
            "addresses = [\"185.3.1.4\", \"185.3.1.5\"]\nanswers_at = { other = [\"185.3.1.5\"] }",
        )
        + &site("self.example.org", "addresses = [\"127.0.0.1\"]")
        + &site("яндекс.рф", "");
    let script = "dig gone.example.org | grep -o 'status: [A-Z]*'\n\
                  dig +noall +answer www.alias.example.org | awk '{ print $4, $5 }'\n\
                  f https://www.alias.example.org/\n\
                  dig empty.example.org | grep -oE 'status: [A-Z]*|IN\\s+A\\s+[0-9.]+'\n\
                  f --connect-to ::185.3.1.2 https://half.example.org/\nf --connect-to ::185.3.1.3 https://half.example.org/\n\
                  dig +short cdn.example.org\ndig +short self.example.org\nf https://xn--d1acpjx3f.xn--p1ai/";
    let wanted = [
        "status: NXDOMAIN",
        "CNAME host.example.org.",
        "A 185.3.1.1",
        "0 200",
        "status: NOERROR",
        "28 000",
        "0 200",
        "185.3.1.4",
        "185.3.1.5",
        "127.0.0.1",
        "0 200",
    ];
    assert_eq!(lines(&world, script), wanted);
    let script = "cat /etc/resolv.conf; dig +short cdn.example.org; dig +short cdn.example.org @9.9.9.9";
    let seen = in_world_at(&world, &["--vantage", "other"], script);
    assert_eq!(seen.lines().collect::<Vec<_>>(), ["nameserver 100.64.1.53", "185.3.1.5", "185.3.1.5"]);
}

#[test]
fn the_isp_s_resolver_lies_in_six_ways_and_tells_the_truth_otherwise() {
    if !can_run() {
        return;
    }
    let lie = |name: &str, more: &str| format!("[[lie]]\nnames = [\"{name}.example\"]\n{more}\n");
    let world = site("true.example", "addresses = [\"185.3.2.1\"]")
        + &lie("nx", "rcode = \"nxdomain\"")
        + &lie("refused", "rcode = \"refused\"")
        + &lie("fail", "rcode = \"servfail\"")
        + &lie("empty", "rcode = \"noerror\"")
        + &lie("drop", "")
        + &lie("forged", "answers = [\"203.99.1.1\", \"10.10.34.35\"]");
    let script = "for n in nx refused fail empty drop true; do dig +tries=1 +time=1 $n.example \
                  | grep -oE 'status: [A-Z]+|timed out' | head -1; done\n\
                  dig +short www.forged.example | sort\ndig empty.example | grep -o 'ANSWER: 0'\ndig +short true.example";
    let wanted = [
        "status: NXDOMAIN",
        "status: REFUSED",
        "status: SERVFAIL",
        "status: NOERROR",
        "timed out",
        "status: NOERROR",
        "10.10.34.35",
        "203.99.1.1",
        "ANSWER: 0",
        "185.3.2.1",
    ];
    assert_eq!(lines(&world, script), wanted);
}

#[test]
fn public_resolvers_speak_dns_over_tls_and_over_https_with_their_certificates() {
    if !can_run() {
        return;
    }
    let world = site("a.example.org", "addresses = [\"185.3.3.1\"]");
    let script = "for r in 8.8.8.8:dns.google 9.9.9.9:dns.quad9.net 1.1.1.1:cloudflare-dns.com; do for how in tls https; do \
                  dig +short +$how +tls-ca=$CURL_CA_BUNDLE +tls-hostname=${r#*:} a.example.org @${r%%:*}; done; done\n\
                  dig +short +tries=1 +time=2 +tls +tls-ca=$CURL_CA_BUNDLE +tls-hostname=dns.google a.example.org @1.1.1.1 \
                  | grep -c 185.3.3.1";
    let seen = lines(&world, script);
    assert_eq!(seen[..6], ["185.3.3.1"; 6]);
    assert_eq!(seen[6], "0", "a certificate for another resolver's name");
}

#[test]
fn a_recursive_resolver_asks_abroad_and_then_remembers() {
    if !can_run() {
        return;
    }
    let world = format!("resolver = \"recursive\"\n{}", site("a.example.org", "addresses = [\"185.3.3.1\"]"));
    let script = "for i in 1 2; do dig a.example.org | awk '/Query time/ { print ($4 > 40) }'; done\n\
                  dig +short a.example.org\ndig nowhere.example.org | grep -o 'status: [A-Z]*'\n\
                  dig +noall +comments a.example.org @198.41.0.4 | grep -o 'flags: qr aa'";
    assert_eq!(lines(&world, script), ["1", "0", "185.3.3.1", "status: NXDOMAIN", "flags: qr aa"]);
}

#[test]
fn with_ipv6_clients_sites_and_resolvers_have_it_and_without_nobody_has() {
    if !can_run() {
        return;
    }
    let world =
        site("six.example.org", "addresses = [\"185.3.4.1\", \"2a04:4e42::20\"]") + &site("made-up.example.org", "");
    let script = "f -6 https://six.example.org/\nf -4 https://six.example.org/\nf -6 https://made-up.example.org/\n\
                  dig +short +tries=1 +time=1 aaaa six.example.org @2001:4860:4860::8888 | grep -c 2a04\n\
                  ip -6 address show scope global | grep -c inet6";
    assert_eq!(lines(&format!("ipv6 = true\n{world}"), script), ["0 200", "0 200", "0 200", "1", "1"]);
    let without = lines(&world, script);
    assert_eq!((without[0].as_str(), without[1].as_str(), without[4].as_str()), ("7 000", "0 200", "0"));
}

#[test]
fn a_proxy_shows_the_true_site_and_an_interceptor_forges_its_certificate() {
    if !can_run_with(&["nginx stream"]) {
        return;
    }
    let world = site("true.example.org", "addresses = [\"185.3.5.1\"]\nstatus = 403\nhttp = \"page\"")
        + &site("proxy.isp.example", "at = \"home\"\naddresses = [\"203.99.1.1\"]\nserves = \"proxy\"")
        + &site(
            "mitm.isp.example",
            "at = \"isp\"\naddresses = [\"203.99.1.2\"]\nserves = \"interception\"\ncertificate = \"self_signed\"",
        )
        + &site("block.isp.example", "at = \"home\"\naddresses = [\"203.99.1.3\"]\nserves = \"block_page\"");
    let urls = [
        "--connect-to ::203.99.1.1: https://true.example.org/",
        "--connect-to ::203.99.1.1: http://true.example.org/",
        "--connect-to ::203.99.1.1: https://other.example.org/",
        "--connect-to ::203.99.1.2: https://true.example.org/",
        "-k --connect-to ::203.99.1.2: https://true.example.org/",
        "--connect-to ::203.99.1.2: http://true.example.org/",
        "--connect-to ::203.99.1.3: http://true.example.org/",
        "--connect-to ::203.99.1.3: https://true.example.org/",
    ];
    let wanted = ["0 403", "0 403", "35 000", "60 000", "0 403", "0 403", "0 200", "7 000"];
    assert_eq!(fetches(&world, &urls), wanted);
    let script = "openssl s_client -connect 203.99.1.2:443 -servername true.example.org </dev/null 2>/dev/null \
                  | openssl x509 -noout -ext subjectAltName | grep -o 'DNS:.*'\n\
                  curl -sS --connect-to ::203.99.1.3: http://true.example.org/ | grep -o '<title>.*</title>'";
    assert_eq!(lines(&world, script), ["DNS:true.example.org", "<title>Access Denied</title>"]);
}

#[test]
fn links_routes_and_clocks_break_at_their_vantage_in_their_phase() {
    if !can_run_with(&["libfaketime"]) {
        return;
    }
    let phases: String = ["fine", "down", "routeless", "late"].map(|p| format!("[[phase]]\nname = \"{p}\"\n")).concat();
    let world = phases
        + "[[vantage]]\nname = \"a\"\n[[vantage]]\nname = \"b\"\n\
           [[fault]]\nbroken.kind = \"link_down\"\nwhen = { phases = [\"down\"], vantages = [\"b\"] }\n\
           [[fault]]\nbroken.kind = \"no_route\"\nwhen.phases = [\"routeless\"]\n\
           [[fault]]\nbroken = { kind = \"clock_wrong\", seconds = 8640000 }\nwhen.phases = [\"late\"]\n"
        + &site("page.example.org", "");
    // Not dig: it does not stand libfaketime.
    let script = "date +%s; ip route | wc -l; ip -br address show up | grep -c uplink; \
                  curl -sS -m 3 -o /dev/null -w '%{http_code} ' https://page.example.org/ 2>/dev/null; echo $?";
    let seen = |vantage, phase| {
        let text = in_world_at(&world, &["--vantage", vantage, "--phase", phase], script);
        let mut lines = text.lines();
        let clock: u64 = lines.next().unwrap().parse().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(clock > now + 8_000_000, phase == "late", "the clock at {vantage} in {phase}");
        lines.map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(seen("b", "fine"), ["2", "1", "200 0"]);
    assert_eq!(seen("b", "down"), ["0", "0", "000 6"]);
    assert_eq!(seen("a", "down"), ["2", "1", "200 0"]);
    assert_eq!(seen("b", "routeless"), ["1", "1", "000 6"]);
    // The certificate will have expired by then.
    assert_eq!(seen("a", "late"), ["2", "1", "000 60"]);
}

/// A QUIC packet of a version that nobody speaks: the server has to name those that it does (RFC 9000 section 6).
const STRANGE_QUIC: &str = r#"perl -MIO::Socket::INET -e '
    $s = IO::Socket::INET->new(PeerAddr => "185.3.6.1:443", Proto => "udp");
    $s->send("\xc0\x1a\x2a\x3a\x4a\x08" . ("\x11" x 8) . "\x08" . ("\x22" x 8) . ("\0" x 1200));
    $SIG{ALRM} = sub { exit 1 }; alarm 3; $s->recv($b, 2000);
    print unpack("N", substr($b, 1, 4)), " ", unpack("H*", $b) =~ /00000001/ ? "v1" : "no v1", "\n";'"#;

#[test]
fn a_site_with_http3_speaks_quic_beside_http2_and_says_so() {
    if !can_run_with(&["caddy"]) {
        return;
    }
    let world = site("three.example.org", "addresses = [\"185.3.6.1\"]\nhttp3 = true")
        + &site("beside.example.org", "addresses = [\"185.3.6.1\"]\nstatus = 403");
    let script = format!(
        "curl -sS -o /dev/null -w '%{{http_code}} %{{http_version}}\\n' https://three.example.org/\n\
         curl -sS -o /dev/null -D - https://three.example.org/ | grep -o 'h3=\":443\"'\n\
         f https://beside.example.org/\nf http://beside.example.org/\n{STRANGE_QUIC}"
    );
    assert_eq!(lines(&world, &script), ["200 2", "h3=\":443\"", "0 403", "0 301", "0 v1"]);
}

#[test]
fn openvpn_s_client_gets_through_over_udp_and_over_tcp() {
    if !can_run_with(&["openvpn"]) {
        return;
    }
    let script = "cd /run/testbed/world/vpn; for p in udp tcp-client; do timeout 8 openvpn --client --dev null --proto $p \
                  --remote 146.70.12.4 1194 --nobind --ca ../authority.pem --cert vpn.example.net.pem \
                  --key vpn.example.net.key.pem --ifconfig-noexec --route-noexec | grep -m1 -o 'Initialization Sequence Completed'; done";
    let done = "Initialization Sequence Completed";
    assert_eq!(lines("vpn = [\"openvpn_udp\", \"openvpn_tcp\"]", script), [done, done]);
}

#[test]
fn wireguard_s_client_shakes_hands() {
    if !can_run_with(&["wireguard-go", "wg"]) {
        return;
    }
    let script = "cd /run/testbed/world/vpn/wireguard; WG_PROCESS_FOREGROUND=1 wireguard-go wg1 >/dev/null 2>&1 & \
                  until wg show wg1 >/dev/null 2>&1; do sleep 0.02; done; cd /run/testbed/world/vpn/wireguard\n\
                  wg set wg1 private-key client.key peer $(wg pubkey <server.key) endpoint 146.70.12.4:51820 \
                  allowed-ips 10.99.0.1/32 persistent-keepalive 1\nip link set wg1 up\n\
                  for i in $(seq 100); do h=$(wg show wg1 latest-handshakes | cut -f2); [ $h != 0 ] && break; sleep 0.05; done\n\
                  [ $h != 0 ] && echo hands";
    assert_eq!(lines("vpn = [\"wireguard\"]", script), ["hands"]);
}

/// The header of an `IKE_SA_INIT` request without any payload: the answer is a notification (RFC 7296 section 2.21).
const BARE_IKE: &str = r#"perl -MIO::Socket::INET -e '
    $s = IO::Socket::INET->new(PeerAddr => "146.70.12.4:500", Proto => "udp");
    $s->send("12345678" . ("\0" x 8) . "\x00\x20\x22\x08" . pack("NN", 0, 28));
    $SIG{ALRM} = sub { exit 1 }; alarm 3; $s->recv($b, 2000);
    print substr($b, 0, 8), " ", unpack("H*", substr($b, 16, 4)), "\n";'"#;

#[test]
fn the_ike_server_answers_a_first_message() {
    if !can_run_with(&["charon-systemd"]) {
        return;
    }
    // The same SPI; a notification (0x29), version 2, IKE_SA_INIT, a response.
    assert_eq!(lines("vpn = [\"ikev2\"]", BARE_IKE), ["12345678 29202220"]);
}
