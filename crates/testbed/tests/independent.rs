//! Each censor and each fault, seen by other people's clients: curl, dig and openssl in the client's place.
//!
//! If these fail, the world is wrong; if only `scenarios.rs` fails, the probe is.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use common::{can_run, in_client};

/// A shell function that gives curl's exit code and the HTTP status. Curl's codes: 0 done, 6 no such name, 7 not
/// connected, 28 time-out, 35 TLS handshake failed (a reset, here).
const FETCH: &str = "fetch() { status=$(curl -sS -o /dev/null -w '%{http_code}' --max-time 4 \"$@\"); \
                     echo \"$? $status\"; }; ";

fn fetches(scenario: &str, urls: &[&str]) -> Vec<String> {
    in_client(scenario, &format!("{FETCH}for url in {}; do fetch $url; done", urls.join(" ")))
        .lines()
        .map(String::from)
        .collect()
}

const X: &str = "https://x.com/";
const WIKIPEDIA: &str = "https://www.wikipedia.org/";

#[test]
fn in_a_clean_world_every_site_check_and_resolver_answers() {
    if !can_run() {
        return;
    }
    let checks = "http://connectivitycheck.gstatic.com/generate_204 http://detectportal.firefox.com/success.txt \
                  http://network-test.debian.org/nm http://x.com/";
    let sites = "https://x.com/ https://www.wikipedia.org/ https://example.com/ https://www.apple.com/ \
                 https://www.microsoft.com/";
    let urls: Vec<&str> = checks.split_whitespace().chain(sites.split_whitespace()).collect();
    let answers = fetches("clean", &urls);
    assert_eq!(answers, ["0 204", "0 200", "0 200", "0 301", "0 200", "0 200", "0 200", "0 200", "0 200"]);
}

#[test]
fn in_a_clean_world_all_resolvers_agree_over_udp_tcp_and_https() {
    if !can_run() {
        return;
    }
    let script = "dig +short x.com | sort | xargs; for r in 8.8.8.8 9.9.9.9 1.1.1.1; do \
                  dig +short x.com @$r | sort | xargs; dig +tcp +short x.com @$r | sort | xargs; done; \
                  for r in dns.google:443:8.8.8.8 dns.quad9.net:443:9.9.9.9 cloudflare-dns.com:443:1.1.1.1; do \
                  curl -sS -o /dev/null -w '%{remote_ip}\\n' --doh-url https://${r%%:*}/dns-query --resolve $r \
                  https://www.wikipedia.org/; done; dig +short www.wikipedia.org";
    let lines = in_client("clean", script);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 11);
    assert!(lines[..7].iter().all(|line| *line == "104.244.42.1 104.244.42.65"), "{lines:?}");
    assert!(lines[7..].iter().all(|line| *line == lines[10]), "{lines:?}");
}

#[test]
fn in_a_clean_world_the_literal_controls_show_certificates_for_their_names() {
    if !can_run() {
        return;
    }
    let script = "for c in 1.1.1.1:one.one.one.one 8.8.8.8:dns.google 9.9.9.9:dns.quad9.net; do \
                  openssl s_client -connect ${c%%:*}:443 -servername ${c#*:} -verify_hostname ${c#*:} \
                  -CAfile $CURL_CA_BUNDLE -verify_return_error </dev/null 2>/dev/null | grep 'Verify return code'; done";
    assert_eq!(in_client("clean", script).matches("0 (ok)").count(), 3);
}

#[test]
fn the_round_trips_are_those_that_the_scenario_asks_for() {
    if !can_run() {
        return;
    }
    let script = "for i in 1 2 3; do curl -sS -o /dev/null -w '%{time_connect} %{time_namelookup}\\n' \
                  http://x.com/; done; dig x.com | grep 'Query time'";
    let lines = in_client("clean", script);
    for line in lines.lines().take(3) {
        let (connected, named) = line.split_once(' ').unwrap();
        let round_trip = connected.parse::<f64>().unwrap() - named.parse::<f64>().unwrap();
        assert!((0.050..0.075).contains(&round_trip), "{round_trip} s to a site abroad");
    }
}

#[test]
fn a_denied_name_does_not_exist_for_the_isp_and_does_for_the_others() {
    if !can_run() {
        return;
    }
    let script = "dig x.com | grep -o 'status: [A-Z]*'; dig www.x.com | grep -o 'status: [A-Z]*'; \
                  dig x.com @8.8.8.8 | grep -o 'status: [A-Z]*'; dig www.wikipedia.org | grep -o 'status: [A-Z]*'";
    let lines = in_client("dns-nxdomain", script);
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        ["status: NXDOMAIN", "status: NXDOMAIN", "status: NOERROR", "status: NOERROR"]
    );
    assert_eq!(fetches("dns-nxdomain", &[X, WIKIPEDIA]), ["6 000", "0 200"]);
}

#[test]
fn a_forged_name_has_the_bogon_and_nothing_else_and_nobody_answers_there() {
    if !can_run() {
        return;
    }
    let lines = in_client("dns-bogon", "dig +short x.com; dig +short x.com @9.9.9.9 | sort");
    assert_eq!(lines.lines().collect::<Vec<_>>(), ["10.10.34.35", "104.244.42.1", "104.244.42.65"]);
    assert_eq!(fetches("dns-bogon", &[X, WIKIPEDIA]), ["28 000", "0 200"]);
}

#[test]
fn dropped_addresses_are_silent_on_every_port() {
    if !can_run() {
        return;
    }
    assert_eq!(fetches("ip-drop", &[X, "http://x.com/", WIKIPEDIA]), ["28 000", "28 000", "0 200"]);
}

#[test]
fn a_listed_server_name_is_reset_and_an_innocent_one_at_the_same_address_is_not() {
    if !can_run() {
        return;
    }
    let script = "curl -sS https://x.com/ 2>&1; \
                  for name in x.com example.com; do echo $name; openssl s_client -connect 104.244.42.1:443 \
                  -servername $name </dev/null 2>&1 | grep -cE 'errno=104|Server certificate'; done; true";
    let lines = in_client("sni-reset", script);
    assert!(lines.contains("reset by peer"), "{lines}");
    assert_eq!(fetches("sni-reset", &[X, "http://x.com/", WIKIPEDIA]), ["35 000", "0 301", "0 200"]);
    let script = "openssl s_client -connect 104.244.42.1:443 -servername example.com </dev/null 2>&1";
    assert!(in_client("sni-reset", &format!("{script}; true")).contains("BEGIN CERTIFICATE"));
}

#[test]
fn the_server_is_reset_too_when_a_name_is_listed() {
    if !can_run() {
        return;
    }
    // The kernel beside the web server counts the established connections that were reset under it.
    let script = "curl -sS https://x.com/ 2>/dev/null; for i in $(seq 200); do \
                  n=$(nsenter --net=/run/netns/abroad nstat -az TcpEstabResets | awk '/Estab/ { print $2 }'); \
                  [ $n != 0 ] && break; sleep 0.01; done; echo $n";
    assert_eq!(in_client("sni-reset", script).trim(), "1");
}

#[test]
fn a_listed_server_name_falls_silent_and_an_innocent_one_at_the_same_address_does_not() {
    if !can_run() {
        return;
    }
    assert_eq!(fetches("sni-drop", &[X, "http://x.com/", WIKIPEDIA]), ["28 000", "0 301", "0 200"]);
    let script = "timeout 3 openssl s_client -connect 104.244.42.65:443 -servername example.com </dev/null 2>&1; true";
    assert!(in_client("sni-drop", script).contains("BEGIN CERTIFICATE"));
}

#[test]
fn a_server_that_is_down_refuses_connections() {
    if !can_run() {
        return;
    }
    // 111 is ECONNREFUSED: an answer of the living host, unlike silence or a missing route.
    let script = "openssl s_client -connect 185.199.40.7:443 </dev/null 2>&1 | grep -o 'errno=111'";
    assert_eq!(in_client("server-down", script).trim(), "errno=111");
    assert_eq!(fetches("server-down", &["https://gardenclub.example.org/", WIKIPEDIA]), ["7 000", "0 200"]);
}

#[test]
fn without_a_network_there_is_no_route_and_no_resolver() {
    if !can_run() {
        return;
    }
    let script = "ip route | wc -l; curl -sS --connect-to ::104.244.42.1:443 https://x.com/ 2>&1; true";
    let lines = in_client("no-network", script);
    assert!(lines.starts_with('0') && lines.contains("curl:"), "{lines}");
    assert_eq!(fetches("no-network", &[X]), ["6 000"]);
}

#[test]
fn with_the_upstream_dead_only_the_isp_answers() {
    if !can_run() {
        return;
    }
    let script = "dig +short www.wikipedia.org; dig +tries=1 +time=1 x.com @8.8.8.8 | grep -c 'timed out'; true";
    let lines = in_client("upstream-dead", script);
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.starts_with("151.101.") && lines.ends_with("1\n"), "{lines}");
    let urls = [X, WIKIPEDIA, "http://connectivitycheck.gstatic.com/generate_204"];
    assert_eq!(fetches("upstream-dead", &urls), ["28 000", "28 000", "28 000"]);
}

#[test]
fn behind_a_captive_portal_plain_http_ends_at_the_login_page_and_https_nowhere() {
    if !can_run() {
        return;
    }
    let script = "dig +short x.com | sort | head -1; \
                  curl -sSm 4 -o /dev/null -w '%{http_code} %{redirect_url}\\n' http://detectportal.firefox.com/success.txt; \
                  curl -sSLm 4 http://connectivitycheck.gstatic.com/generate_204 | grep -o '<title>.*</title>'";
    let lines = in_client("captive-portal", script);
    let wanted = [
        "104.244.42.1",
        "302 http://login.hotspot.example/login?from=detectportal.firefox.com",
        "<title>Hotspot login</title>",
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), wanted);
    assert_eq!(fetches("captive-portal", &[X, WIKIPEDIA]), ["28 000", "28 000"]);
}
