//! What the router does to packets, seen in its captures and by other people's clients: uneven lines, chance by seed,
//! several vantages, and filters of protocols before real QUIC and VPN servers.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use common::capture::{Captured, captured};
use common::{can_run, can_run_with, in_world_at, probe};

const X: &str = "[[site]]\nname = \"x.com\"\naddresses = [\"104.244.42.1\"]\nhttp = \"page\"\n";

/// 200 questions to a resolver abroad, 3 ms apart, numbered by the identifier of the message. They are for its version, which
/// it refuses to tell: an answer with records would have their remaining time to live in it.
const QUESTIONS: &str = r#"perl -MIO::Socket::INET -e '
    $s = IO::Socket::INET->new(LocalPort => 5000, PeerAddr => "8.8.8.8:53", Proto => "udp");
    for $n (1..200) { $s->send(pack("n6", $n, 0x100, 1, 0, 0, 0) . "\7version\4bind\0\0\20\0\3"); select(undef, undef, undef, 0.003) }
    sleep 1'"#;

/// What the client's and the servers' ends of the lines saw of the questions, in a world with these lines.
fn asked(link: &str, seed: u64) -> [Vec<Captured>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let world = format!("{X}[link]\n{link}\n");
    in_world_at(&world, &["--seed", &seed.to_string(), "--capture", &path], QUESTIONS);
    ["access-0", "abroad"].map(|name| captured(&folder.path().join(format!("{name}.pcapng"))))
}

/// The numbers of the questions or answers that a host received.
fn received(packets: &[Captured]) -> Vec<u16> {
    let dns = packets.iter().filter(|packet| !packet.is_sent && packet.bytes.len() > 30);
    dns.map(|packet| u16::from_be_bytes([packet.bytes[28], packet.bytes[29]])).collect()
}

#[test]
fn the_same_seed_gives_the_same_packets_and_another_gives_others() {
    if !can_run() {
        return;
    }
    let uneven = "access = { loss = 0.1, duplicate = 0.1, jitter_ms = 2 }\nabroad = { loss = 0.1 }";
    // The identification of an IPv4 packet (and with it the header's checksum) is drawn by the hosts' kernel.
    let seen = |seed| {
        asked(uneven, seed).map(|packets| {
            let mut ways: [Vec<Vec<u8>>; 2] = Default::default();
            for mut packet in packets {
                packet.bytes[4..6].fill(0);
                packet.bytes[10..12].fill(0);
                ways[usize::from(packet.is_sent)].push(packet.bytes);
            }
            ways
        })
    };
    let (first, again, other) = (seen(7), seen(7), seen(8));
    let count = |packets: &[[Vec<Vec<u8>>; 2]; 2]| packets.iter().flatten().map(Vec::len).collect::<Vec<_>>();
    assert!(first == again, "{:?} and {:?}", count(&first), count(&again));
    assert!(first != other, "{:?}", count(&first));
    assert_eq!(first[0][1].len(), 200, "the client has sent all");
}

#[test]
fn lines_lose_double_and_reorder_as_they_are_told() {
    if !can_run() {
        return;
    }
    let [even, _] = asked("", 1);
    assert_eq!(received(&even), (1..=200).collect::<Vec<u16>>());
    let [_, lossy] = asked("access = { loss = 0.2 }", 1);
    assert!((135..=185).contains(&received(&lossy).len()), "{} of 200", received(&lossy).len());
    let [_, double] = asked("access = { duplicate = 0.2 }", 1);
    assert!((215..=265).contains(&received(&double).len()), "{} of 200", received(&double).len());
    let [_, shuffled] = asked("abroad = { reorder = 0.1 }", 1);
    let mut numbers = received(&shuffled);
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<u16>>(), "late, and not lost");
}

#[test]
fn jitter_and_a_low_rate_spread_packets_out() {
    if !can_run() {
        return;
    }
    let longest = |packets: &[Captured]| packets.last().unwrap().at_ms;
    let [_, even] = asked("", 1);
    // 51 octets each: 200 of them take 1.6 s at 51 kbit/s; the rest of the queue is lost.
    let [_, slow] = asked("access = { rate_kbit = 51 }", 1);
    assert!(received(&slow).len() < received(&even).len() && longest(&slow) > longest(&even));
    let gaps = |packets: &[Captured]| {
        let times: Vec<u128> = packets.iter().filter(|packet| !packet.is_sent).map(|packet| packet.at_ms).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    };
    let [_, jittery] = asked("access = { jitter_ms = 60 }", 1);
    assert!(received(&jittery).is_sorted() && gaps(&jittery) > gaps(&even) + 10, "{}", gaps(&jittery));
}

/// What each of these shell commands prints, one line each.
fn lines_at(world: &str, vantage: &str, commands: &[&str]) -> Vec<String> {
    let script = commands.join("\n") + "\ntrue";
    in_world_at(world, &["--vantage", vantage], &script).lines().map(String::from).collect()
}

const TWO: &str = "[[vantage]]\nname = \"mobile\"\n[[vantage]]\nname = \"fixed\"\n";
const FETCH_X: &str = "curl -sS -m 2 -o /dev/null -w '%{http_code} ' https://x.com/ 2>/dev/null; echo $?";

#[test]
fn a_censor_and_a_fault_of_one_vantage_are_none_of_the_other_s() {
    if !can_run() {
        return;
    }
    let world = format!(
        "{TWO}{X}[[censor]]\nwhen.vantages = [\"mobile\"]\nmatch = {{ kind = \"tls\", names = [\"x.com\"] }}\n\
         action.kind = \"reset\"\n"
    );
    assert_eq!(lines_at(&world, "mobile", &[FETCH_X]), ["000 35"]);
    assert_eq!(lines_at(&world, "fixed", &[FETCH_X]), ["200 0"]);
    for kind in ["gateway_down", "upstream_dead", "captive_portal"] {
        let world = format!("{TWO}{X}[[fault]]\nwhen.vantages = [\"fixed\"]\nbroken.kind = \"{kind}\"\n");
        assert_eq!(lines_at(&world, "mobile", &[FETCH_X]), ["200 0"], "{kind}");
        assert_ne!(lines_at(&world, "fixed", &[FETCH_X]), ["200 0"], "{kind}");
    }
}

#[test]
fn a_censor_at_the_isp_s_own_servers_is_met_behind_every_isp() {
    if !can_run() {
        return;
    }
    let world = format!(
        "{TWO}{X}[[censor]]\nat = \"isp\"\nmatch = {{ kind = \"dns\", names = [\"x.com\"] }}\n\
         action = {{ kind = \"dns\", rcode = \"nxdomain\" }}\n"
    );
    for vantage in ["mobile", "fixed"] {
        assert_eq!(lines_at(&world, vantage, &["dig x.com | grep -o 'status: [A-Z]*'"]), ["status: NXDOMAIN"]);
    }
}

#[test]
fn a_longer_line_has_more_routers() {
    if !can_run() {
        return;
    }
    // Questions with a rising TTL: those that do not arrive are not answered.
    let script = "perl -MIO::Socket::INET -e 'for $t (1..12) { $s = IO::Socket::INET->new(PeerAddr => \"8.8.8.8:53\", \
                  Proto => \"udp\"); setsockopt($s, 0, 2, $t); $s->send(pack(\"n6\", $t, 0x100, 1, 0, 0, 0) . \
                  \"\\1x\\3com\\0\\0\\1\\0\\1\"); $r = \"\"; vec($r, fileno($s), 1) = 1; \
                  print \"$t\\n\" if select($r, undef, undef, 0.3) && $s->recv($b, 500) && length $b }' | head -1";
    let first = |link: &str| in_world_at(&format!("{X}[link]\n{link}\n"), &[], script).trim().to_owned();
    assert_eq!(first(""), "5");
    assert_eq!(first("access = { hops = 3 }\nabroad = { hops = 7 }"), "11");
}

fn filter(matches: &str) -> String {
    format!("[[censor]]\nmatch = {{ {matches} }}\naction.kind = \"drop\"\n")
}

/// The status of a page over HTTP/3, by ngtcp2's client.
fn http3(name: &str) -> String {
    format!(
        "gtlsclient --no-quic-dump --timeout=3s --handshake-timeout=3s --exit-on-all-streams-close {name} 443 \
         https://{name}/ 2>&1 | grep -o ':status: [0-9]*' || echo none"
    )
}

#[test]
fn quic_is_dropped_by_the_name_in_its_initial_packets_and_as_a_whole() {
    if !can_run_with(&["caddy", "gtlsclient"]) {
        return;
    }
    let sites = "[[site]]\nname = \"three.example.org\"\naddresses = [\"185.3.6.1\"]\nhttp3 = true\n\
                 [[site]]\nname = \"free.example.org\"\naddresses = [\"185.3.6.1\"]\nhttp3 = true\n";
    let script = [http3("three.example.org"), http3("free.example.org")].join("\n")
        + "\n"
        + &FETCH_X.replace("x.com", "three.example.org");
    let seen = |rules: &str| {
        in_world_at(&format!("{sites}{rules}"), &[], &script).lines().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(seen(""), [":status: 200", ":status: 200", "200 0"]);
    let by_name = filter(r#"kind = "quic", names = ["three.example.org"]"#);
    assert_eq!(seen(&by_name), ["none", ":status: 200", "200 0"]);
    assert_eq!(seen(&filter(r#"kind = "quic""#)), ["none", "none", "200 0"]);
    let by_port = filter(r#"kind = "ip", ports = [443], protocol = "udp""#);
    assert_eq!(seen(&by_port), ["none", "none", "200 0"]);
}

/// Whether OpenVPN's own client comes through over UDP and TCP, and WireGuard's; and whether the IKE server answers.
const TUNNELS: &str = r#"cd /run/testbed/world/vpn
for p in udp tcp-client; do timeout 4 openvpn --client --dev null --proto $p --remote 146.70.12.4 1194 --nobind \
    --ca ../authority.pem --cert vpn.example.net.pem --key vpn.example.net.key.pem --ifconfig-noexec --route-noexec \
    | grep -q 'Initialization Sequence Completed' && echo up || echo down; done
cd wireguard; WG_PROCESS_FOREGROUND=1 wireguard-go wg1 >/dev/null 2>&1 &
cd /run/testbed/world/vpn/wireguard; until wg show wg1 >/dev/null 2>&1; do sleep 0.02; done
wg set wg1 private-key client.key peer $(wg pubkey <server.key) endpoint 146.70.12.4:51820 allowed-ips 10.99.0.1/32 \
    persistent-keepalive 1
ip link set wg1 up
for i in $(seq 60); do h=$(wg show wg1 latest-handshakes | cut -f2); [ $h != 0 ] && break; sleep 0.05; done
[ $h != 0 ] && echo up || echo down
perl -MIO::Socket::INET -e '
    $s = IO::Socket::INET->new(PeerAddr => "146.70.12.4:500", Proto => "udp");
    $s->send("12345678" . ("\0" x 8) . "\x00\x20\x22\x08" . pack("NN", 0, 28));
    $r = ""; vec($r, fileno($s), 1) = 1; print select($r, undef, undef, 2) ? "up\n" : "down\n";'"#;

#[test]
fn each_tunnel_is_known_by_its_first_message_and_the_others_are_let_through() {
    if !can_run_with(&["openvpn", "wireguard-go", "wg", "charon-systemd"]) {
        return;
    }
    let servers = "vpn = [\"openvpn_udp\", \"openvpn_tcp\", \"wireguard\", \"ikev2\"]\n";
    let seen = |rules: &str| {
        in_world_at(&format!("{servers}{X}{rules}"), &[], TUNNELS).lines().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(seen(""), ["up", "up", "up", "up"]);
    assert_eq!(seen(&filter(r#"kind = "openvpn""#)), ["down", "down", "up", "up"]);
    assert_eq!(seen(&filter(r#"kind = "wireguard""#)), ["up", "up", "down", "up"]);
    assert_eq!(seen(&filter(r#"kind = "ikev2""#)), ["up", "up", "up", "down"]);
    let allowlist = filter(r#"kind = "not_allowlisted", protocols = ["dns", "http", "tls"]"#);
    assert_eq!(seen(&allowlist), ["down", "down", "down", "down"]);
}

/// Whether a server answers to these first bytes at all: `got` or `none`.
fn says(bytes: &str, port: u16) -> String {
    format!(
        "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => \"185.3.7.1:{port}\", Timeout => 2) or \
         (print(\"none\\n\"), exit); $s->send({bytes}); $r = \"\"; vec($r, fileno($s), 1) = 1; \
         print select($r, undef, undef, 2) && defined($s->recv($b, 100)) && length $b ? \"got\\n\" : \"none\\n\"'"
    )
}

/// A permutation of all octets: four ones each, and few printable ones in a row.
const NOISE: &str = "join(\"\", map { chr(($_ * 89 + 131) % 256) } 0..255)";

#[test]
fn noise_is_dropped_as_fully_encrypted_and_what_has_a_form_is_not() {
    if !can_run() {
        return;
    }
    // A host that answers whatever it is sent.
    let site =
        "[[site]]\nname = \"noise.example.org\"\naddresses = [\"185.3.7.1\"]\nserves = \"junk\"\nhttp = \"page\"\n";
    let script = [
        says(NOISE, 443),
        says("\"SSH-2.0-OpenSSH_9.2\\r\\n\"", 443),
        says(&format!("\"\\x16\\x03\\x01\" . {NOISE}"), 443),
    ];
    let seen = |rules: &str| {
        in_world_at(&format!("{site}{rules}"), &[], &script.join("\n")).lines().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(seen(""), ["got", "got", "got"]);
    assert_eq!(seen(&filter(r#"kind = "fully_encrypted""#)), ["none", "got", "got"]);
}

#[test]
fn an_allowlist_of_protocols_or_destinations_stops_everything_else() {
    if !can_run() {
        return;
    }
    let site =
        "[[site]]\nname = \"noise.example.org\"\naddresses = [\"185.3.7.1\"]\nserves = \"junk\"\nhttp = \"page\"\n";
    let script = [
        FETCH_X,
        &FETCH_X.replace("https", "http"),
        "dig +short +tries=1 +time=2 x.com @8.8.8.8 | head -1",
        &says(NOISE, 443),
    ]
    .join("\n");
    let seen = |rules: &str| {
        in_world_at(&format!("{X}{site}{rules}"), &[], &script).lines().map(String::from).collect::<Vec<_>>()
    };
    let protocols = filter(r#"kind = "not_allowlisted", protocols = ["dns", "http", "tls"]"#);
    assert_eq!(seen(&protocols), ["200 0", "200 0", "104.244.42.1", "none"]);
    let destinations = filter(r#"kind = "not_allowlisted", destinations = ["104.244.42.1"]"#);
    let closed = seen(&destinations);
    assert_eq!(
        (&closed[..2], closed.last().unwrap().as_str()),
        (&["200 0".to_owned(), "200 0".to_owned()][..], "none")
    );
    assert!(!closed.contains(&"104.244.42.1".to_owned()), "{closed:?}");
}

/// A small `ClientHello` with one extension of this type and length 4.
fn greeting(extension: &str) -> String {
    format!(
        "pack(\"H*\", \"160301003c010000380303\" . (\"0\" x 66) . \"0008c02bc02f009c009d01000007{extension}0003010203\")"
    )
}

#[test]
fn a_greeting_with_ech_is_dropped_and_one_without_is_answered() {
    if !can_run() {
        return;
    }
    let site = "[[site]]\nname = \"plain.example.org\"\naddresses = [\"185.3.7.1\"]\n";
    let script = [says(&greeting("fe0d"), 443), says(&greeting("ff77"), 443)].join("\n");
    let seen = |rules: &str| {
        in_world_at(&format!("{site}{rules}"), &[], &script).lines().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(seen(""), ["got", "got"]);
    assert_eq!(seen(&filter(r#"kind = "tls", ech = true"#)), ["none", "got"]);
    assert_eq!(seen(&filter(r#"kind = "tls", ech = false"#)), ["got", "none"]);
}

/// What the probe's evidence of a rule says, in a world with these lines and this censor.
fn evidence(rule: &str, path: &str, censor: &str) -> Vec<String> {
    let script = format!(
        "{} check https://x.com/ --locate --json --yes --db /run/testbed/world/located.sqlite --ca-file $CURL_CA_BUNDLE; true",
        probe().display()
    );
    let said = in_world_at(&format!("{X}{censor}\n[link]\n{path}\n"), &[], &script);
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    let measurement: serde_json::Value = serde_json::from_str(line).unwrap();
    let rows = measurement["verdict"]["evidence"].as_array().unwrap();
    rows.iter().filter(|row| row["rule"] == rule).map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_probe_finds_how_far_away_a_name_is_reset_and_how_far_the_server_is() {
    if !can_run() {
        return;
    }
    // Two routers on the client's line, seven on the way abroad: what is sent three routers far meets the censor at the core.
    let censor = "[[censor]]\nmatch = { kind = \"tls\", names = [\"x.com\"] }\naction.kind = \"reset\"\n";
    let said = evidence("tls.cut_off_on_the_way", "abroad = { hops = 7 }", censor);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("is cut off 3 hops from here"), "{said:?}");
    assert!(said[0].contains("first answered 10 hops from here"), "{said:?}");
    // A censor that cuts names only in one piece lets a name pass that is cut over two segments.
    let weak = censor.replace("names = [\"x.com\"]", "names = [\"x.com\"], reassemble = false");
    let said = evidence("tls.passes_when_hidden", "", &weak);
    assert!(said.len() == 1 && said[0].contains("cut over two TCP segments"), "{said:?}");
}
