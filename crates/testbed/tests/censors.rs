//! Every censor and every fault of the router, seen by other people's clients: curl, dig, openssl, ping. What they say
//! owes nothing to the probe.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use common::{can_run, in_world};

/// What every world here holds: a site over HTTPS and over plain HTTP, one that nobody minds, and a long page.
const SITES: &str = r#"
[[site]]
name = "x.com"
addresses = ["104.244.42.1"]
http = "page"

[[site]]
name = "www.wikipedia.org"
http = "page"

[[site]]
name = "files.example.org"
addresses = ["185.199.40.9"]
body_kb = 512

[[site]]
name = "news.example.pk"
at = "home"
addresses = ["203.99.48.10"]
"#;

/// curl's exit code and status for a URL. 6: no address; 7: no connection; 28: time-out; 35: TLS failed; 52: empty answer;
/// 56: reset while receiving; 60: the certificate is not valid.
fn fetch(url: &str) -> String {
    // In one piece: several may print at the same time.
    format!("code=$(curl -sS -m 3 -o /dev/null -w '%{{http_code}}' {url} 2>/dev/null); echo \"$code $?\"")
}

/// The lines that these commands print in a world with `rules`.
fn lines(rules: &str, commands: &[String]) -> Vec<String> {
    let script = commands.join("\n");
    in_world(&format!("{SITES}\n{rules}"), &format!("{script}\ntrue")).lines().map(String::from).collect()
}

fn fetches(rules: &str, urls: &[&str]) -> Vec<String> {
    lines(rules, &urls.iter().map(|url| fetch(url)).collect::<Vec<_>>())
}

fn censor(matches: &str, action: &str) -> String {
    format!("[[censor]]\nmatch = {{ {matches} }}\naction = {{ {action} }}\n")
}

fn fault(broken: &str) -> String {
    format!("[[fault]]\nbroken = {{ {broken} }}\n")
}

const X: &str = "https://x.com/";
const X_PLAIN: &str = "http://x.com/";
const WIKIPEDIA: &str = "https://www.wikipedia.org/";
const WIKIPEDIA_PLAIN: &str = "http://www.wikipedia.org/";
const FILES: &str = "https://files.example.org/";
const HOME: &str = "https://news.example.pk/";

const TLS_X: &str = r#"kind = "tls", names = ["x.com"]"#;
const HTTP_X: &str = r#"kind = "http", hosts = ["x.com"]"#;
const DNS_X: &str = r#"kind = "dns", names = ["x.com"], resolvers = ["8.8.8.8"]"#;
const IP_X: &str = r#"kind = "ip", addresses = ["104.244.42.1"]"#;

macro_rules! seen {
    ($($(#[$note:meta])* $test:ident: $left:expr => $right:expr;)*) => {
        $(
            $(#[$note])*
            #[test]
            fn $test() {
                if !can_run() {
                    return;
                }
                let wanted: &[&str] = &$right;
                assert_eq!($left, wanted);
            }
        )*
    };
}

fn asked(action: &str, more: &str) -> Vec<String> {
    let rules = censor(DNS_X, action);
    let ask = "dig +tries=1 +time=1 x.com @8.8.8.8 | grep -oE 'status: [A-Z]+|timed out' | head -1";
    lines(&format!("{rules}{more}"), &[ask.into(), "dig +short www.wikipedia.org @8.8.8.8 | grep -c 151.101".into()])
}

fn answered(action: &str, more: &str) -> Vec<String> {
    lines(&format!("{}{more}", censor(DNS_X, action)), &["dig +short +tries=1 +time=1 x.com @8.8.8.8".into()])
}

seen! {
    an_injected_bogon_replaces_the_answer: answered(r#"kind = "dns", answers = ["10.10.34.35"]"#, "") => ["10.10.34.35"];
    an_injected_answer_on_the_path_comes_first:
        answered(r#"kind = "dns", answers = ["198.35.26.96"]"#, "on_path = true\n") => ["198.35.26.96"];
    nxdomain_is_injected: asked(r#"kind = "dns", rcode = "nxdomain""#, "") => ["status: NXDOMAIN", "1"];
    servfail_is_injected: asked(r#"kind = "dns", rcode = "servfail""#, "") => ["status: SERVFAIL", "1"];
    refused_is_injected: asked(r#"kind = "dns", rcode = "refused""#, "") => ["status: REFUSED", "1"];
    an_empty_answer_is_injected: asked(r#"kind = "dns""#, "") => ["status: NOERROR", "1"];
    queries_are_dropped: asked(r#"kind = "drop""#, "") => ["timed out", "1"];

    a_transparent_proxy_answers_for_every_resolver: lines(
        &format!("{}\n[[lie]]\nnames = [\"x.com\"]\nanswers = [\"203.99.48.80\"]\n",
            censor(r#"kind = "dns""#, r#"kind = "divert", to = "100.64.0.53""#)),
        &["dig +short x.com @8.8.8.8".into(), "dig +short x.com @9.9.9.9".into()],
    ) => ["203.99.48.80", "203.99.48.80"];
    doh_is_dropped_by_name: fetches(&censor(r#"kind = "tls", names = ["dns.google"]"#, r#"kind = "drop""#),
        &["https://dns.google/", "https://cloudflare-dns.com/"]) => ["000 28", "404 0"];
    dot_is_dropped_by_port: lines(&censor(r#"kind = "ip", ports = [853], protocol = "tcp""#, r#"kind = "drop""#), &[
        "timeout 2 openssl s_client -connect 8.8.8.8:853 </dev/null 2>&1 | grep -c 'BEGIN CERT'".into(),
        "timeout 2 openssl s_client -connect 8.8.8.8:443 </dev/null 2>&1 | grep -c 'BEGIN CERT'".into(),
    ]) => ["0", "1"];

    an_address_is_dropped: fetches(&censor(IP_X, r#"kind = "drop""#), &[X, X_PLAIN, WIKIPEDIA])
        => ["000 28", "000 28", "200 0"];
    an_address_is_reset: fetches(&censor(IP_X, r#"kind = "reset""#), &[X, WIKIPEDIA]) => ["000 7", "200 0"];
    an_address_is_unreachable: fetches(&censor(IP_X, r#"kind = "unreachable""#), &[X, WIKIPEDIA])
        => ["000 7", "200 0"];
    one_port_of_an_address_is_dropped:
        fetches(&censor(&format!("{IP_X}, ports = [443]"), r#"kind = "drop""#), &[X, X_PLAIN]) => ["000 28", "200 0"];


    tls_is_reset_by_name: fetches(&censor(TLS_X, r#"kind = "reset""#), &[X, X_PLAIN, WIKIPEDIA])
        => ["000 35", "200 0", "200 0"];
    tls_is_closed_by_name: fetches(&censor(TLS_X, r#"kind = "close""#), &[X, WIKIPEDIA]) => ["000 35", "200 0"];
    tls_is_dropped_by_name: fetches(&censor(TLS_X, r#"kind = "drop""#), &[X, WIKIPEDIA]) => ["000 28", "200 0"];
    /// With segments of 100 bytes the name is not whole in the first.
    a_filter_that_does_not_reassemble_misses_a_split_name: lines(
        &censor(&format!("{TLS_X}, reassemble = false"), r#"kind = "reset""#),
        &[fetch(X), "ip link set uplink mtu 140".into(), fetch(X)],
    ) => ["000 35", "200 0"];
    a_filter_that_reassembles_finds_a_split_name: lines(
        &censor(TLS_X, r#"kind = "reset""#),
        &["ip link set uplink mtu 140".into(), fetch(X), fetch(WIKIPEDIA)],
    ) => ["000 35", "200 0"];

    a_greeting_is_known_by_its_cipher_suites: {
        let one = "kind = \"tls\", cipher_suites = [0x1301, 0x00ff]";
        let asks = "--tlsv1.3 --tls13-ciphers TLS_AES_128_GCM_SHA256 https://x.com/";
        fetches(&censor(one, r#"kind = "reset""#), &[asks, X])
    } => ["000 35", "200 0"];
    an_allowlist_of_names_stops_all_others: fetches(
        &censor(r#"kind = "tls", except = ["wikipedia.org"]"#, r#"kind = "drop""#), &[X, WIKIPEDIA])
        => ["000 28", "200 0"];

    tls_is_intercepted: fetches(
        &format!("[[site]]\nname = \"mitm.isp.example\"\naddresses = [\"203.99.48.90\"]\nat = \"home\"\n\
                  serves = \"interception\"\ncertificate = \"unknown_authority\"\n{}",
            censor(IP_X, r#"kind = "divert", to = "203.99.48.90""#)), &[X, WIKIPEDIA]) => ["000 60", "200 0"];


    http_is_reset_by_host: fetches(&censor(HTTP_X, r#"kind = "reset""#), &[X_PLAIN, X, WIKIPEDIA_PLAIN])
        => ["000 56", "200 0", "200 0"];
    http_is_closed_by_host: fetches(&censor(HTTP_X, r#"kind = "close""#), &[X_PLAIN, WIKIPEDIA_PLAIN])
        => ["000 52", "200 0"];
    http_is_dropped_by_host: fetches(&censor(HTTP_X, r#"kind = "drop""#), &[X_PLAIN, WIKIPEDIA_PLAIN])
        => ["000 28", "200 0"];
    http_is_reset_by_path: fetches(&censor(r#"kind = "http", paths = ["/forbidden"]"#, r#"kind = "reset""#),
        &["http://x.com/forbidden/page", X_PLAIN]) => ["000 56", "200 0"];
    a_block_page_takes_the_place_of_the_page: lines(
        &censor(HTTP_X, r#"kind = "page", status = 403, body = "<title>Access Denied</title>""#),
        &[format!("curl -sS -m 3 -w ' %{{http_code}}\\n' {X_PLAIN}"), fetch(WIKIPEDIA_PLAIN)],
    ) => ["<title>Access Denied</title> 403", "200 0"];
    a_redirect_takes_the_place_of_the_page: lines(
        &censor(HTTP_X, r#"kind = "redirect", location = "http://203.99.48.80/blocked""#),
        &[format!("curl -sS -m 3 -o /dev/null -w '%{{http_code}} %{{redirect_url}}\\n' {X_PLAIN}")],
    ) => ["302 http://203.99.48.80/blocked"];
    a_connection_is_reset_by_a_text_in_it: fetches(
        &censor(r#"kind = "text", text = "x.com", ports = [80]"#, r#"kind = "reset""#), &[X_PLAIN, WIKIPEDIA_PLAIN])
        => ["000 56", "200 0"];


    what_follows_a_hit_is_blocked_for_a_while: lines(
        &format!("{}residual = {{ seconds = 4, key = \"3-tuple\" }}\n", censor(TLS_X, r#"kind = "reset""#)),
        &[fetch("--connect-to x.com:443:104.244.42.1:443 https://x.com/"),
          fetch("-k --connect-to www.wikipedia.org:443:104.244.42.1:443 https://www.wikipedia.org/"), "sleep 5".into(),
          fetch("-k --connect-to www.wikipedia.org:443:104.244.42.1:443 https://www.wikipedia.org/")],
    ) => ["000 35", "000 28", "200 0"];

    a_filter_of_one_family_leaves_the_other: {
        let world = "ipv6 = true\n[[site]]\nname = \"six.example.org\"\n\
                     addresses = [\"185.199.40.20\", \"2a04:4e42::20\"]\n";
        let rule = format!("{}family = \"ipv6\"\n",
            censor(r#"kind = "tls", names = ["six.example.org"]"#, r#"kind = "reset""#));
        let script = [fetch("-4 https://six.example.org/"), fetch("-6 https://six.example.org/")];
        common::in_world(&format!("{world}{rule}"), &(script.join("\n") + "\ntrue")).lines().map(String::from)
            .collect::<Vec<_>>()
    } => ["200 0", "000 35"];


    a_dead_gateway_is_silent: fetches(&fault(r#"kind = "gateway_down""#), &["https://1.1.1.1/"]) => ["000 28"];
    a_dead_resolver_is_silent_and_addresses_answer: fetches(&fault(r#"kind = "resolver_dead""#), &[X, "-k https://1.1.1.1/"])
        => ["000 28", "404 0"];
    an_overloaded_resolver_leaves_a_share_of_all_questions_unanswered:
        lines(&fault(r#"kind = "resolver_overloaded", share = 0.5"#), &["n=0; for i in $(seq 24); do \
              dig +tries=1 +time=1 +short x.com | grep -q 104.244.42.1 && n=$((n + 1)); done; echo $((n > 3 && n < 21))".into()])
        => ["1"];
    an_authority_that_is_silent_keeps_a_recursive_resolver_searching:
        in_world(&format!("resolver = \"recursive\"\n{SITES}\n{}", fault(r#"kind = "authority_silent", names = ["x.com"]"#)),
              "dig +tries=1 +time=2 +short x.com | grep -c timed; dig +tries=1 +time=2 +norecurse x.com | grep -o 'status: [A-Z]*'
               dig +short www.wikipedia.org | grep -c 151.101\ntrue").lines().map(String::from).collect::<Vec<_>>()
        => ["1", "status: REFUSED", "1"];
    questions_can_be_reset_over_tcp_alone:
        lines(&censor(&format!("{DNS_X}, protocol = \"tcp\""), r#"kind = "reset""#), &[
            "dig +short x.com @8.8.8.8".into(), "dig +tcp +tries=1 +time=2 x.com @8.8.8.8 | grep -c reset".into(),
            "dig +tcp +short www.wikipedia.org @8.8.8.8 | grep -c 151.101".into()]) => ["104.244.42.1", "1", "1"];
    answers_can_be_forged_over_udp_alone_and_in_small_letters:
        lines(&censor(&format!("{DNS_X}, protocol = \"udp\""), r#"kind = "dns", answers = ["10.10.34.35"], lower_case = true"#), &[
            "dig +noall +answer X.cOm @8.8.8.8 | awk '{ print $1, $5 }'".into(), "dig +tcp +short x.com @8.8.8.8".into()])
        => ["x.com. 10.10.34.35", "104.244.42.1"];
    a_slow_resolver_answers_late: lines(&fault(r#"kind = "resolver_slow", delay_ms = 700"#),
        &["dig x.com | awk '/Query time/ { print ($4 >= 700 && $4 < 1500) }'".into()]) => ["1"];
    with_the_upstream_dead_not_even_the_country_answers:
        fetches(&fault(r#"kind = "upstream_dead""#), &[X, HOME]) => ["000 28", "000 28"];
    with_abroad_dead_the_country_answers: fetches(&fault(r#"kind = "abroad_dead""#), &[X, HOME]) => ["000 28", "200 0"];
    a_dead_address_is_silent: fetches(&fault(r#"kind = "address_dead", addresses = ["104.244.42.1"]"#), &[X, WIKIPEDIA])
        => ["000 28", "200 0"];
    a_refusing_address_refuses:
        fetches(&fault(r#"kind = "address_refuses", addresses = ["104.244.42.1"]"#), &[X, WIKIPEDIA])
        => ["000 7", "200 0"];
    a_cut_cable_makes_abroad_slow_and_leaves_the_country: lines(
        &fault(r#"kind = "cable_cut", delay_ms = 150, loss = 0.0, rate_kbit = 2000"#),
        &[format!("curl -sS -m 9 -o /dev/null -w '%{{time_connect}}' {X} | awk '{{ print ($1 > 0.3) }}'"),
          format!("curl -sS -m 9 -o /dev/null -w '%{{time_connect}}' {HOME} | awk '{{ print ($1 < 0.2) }}'")],
    ) => ["1", "1"];
    a_long_page_does_not_fit_through_an_mtu_black_hole:
        how_they_end(fetches(&fault(r#"kind = "mtu_black_hole", bytes = 1200"#), &[FILES, X_PLAIN])) => ["28", "0"];
    a_full_nat_table_lets_no_new_flow_through: lines(&fault(r#"kind = "nat_exhausted", flows = 3"#), &[
        "for i in 1 2 3 4 5 6; do curl -k -sS -m 2 -o /dev/null https://1.1.1.1/ 2>/dev/null && echo in || echo out; done \
         | sort | uniq -c | awk '{ print $2, $1 }'".into()]) => ["in 3", "out 3"];

    broken_ipv6_leaves_ipv4: {
        let world = "ipv6 = true\n[[site]]\nname = \"six.example.org\"\n\
                     addresses = [\"185.199.40.20\", \"2a04:4e42::20\"]\n[[fault]]\nbroken.kind = \"broken_ipv6\"\n";
        let script = [fetch("-4 https://six.example.org/"), fetch("-6 https://six.example.org/")];
        in_world(world, &(script.join("\n") + "\ntrue")).lines().map(String::from).collect::<Vec<_>>()
    } => ["200 0", "000 28"];
    unreachable_is_said_over_ipv6_as_well: {
        let world = "ipv6 = true\n[[site]]\nname = \"six.example.org\"\n\
                     addresses = [\"185.199.40.20\", \"2a04:4e42::20\"]\n";
        let rule = censor(r#"kind = "ip", addresses = ["2a04:4e42::20"]"#, r#"kind = "unreachable""#);
        let script = [fetch("-6 https://six.example.org/"), fetch("-4 https://six.example.org/")];
        in_world(&format!("{world}{rule}"), &(script.join("\n") + "\ntrue")).lines().map(String::from).collect::<Vec<_>>()
    } => ["000 7", "200 0"];
}

/// curl's exit codes alone. Whether the head of a response came is left to how the server's kernel cut it into segments: beside
/// the first of the body, or ahead of it.
fn how_they_end(fetched: Vec<String>) -> Vec<String> {
    fetched.into_iter().filter_map(|line| line.split(' ').next_back().map(str::to_owned)).collect()
}

/// Kilobits a second at which curl received a long page.
fn rate(rules: &str, url: &str) -> f64 {
    let command = format!("curl -sS -m 20 -o /dev/null -w '%{{speed_download}}\\n' {url}");
    lines(rules, &[command])[0].parse::<f64>().unwrap() * 8.0 / 1_000.0
}

#[test]
fn policing_and_shaping_by_name_hold_the_rate_down() {
    if !can_run() {
        return;
    }
    let by_name = r#"kind = "tls", names = ["files.example.org"]"#;
    let free = rate("", FILES);
    assert!(free > 5_000.0, "{free} kbit/s without a censor");
    for action in [r#"kind = "police", rate_kbit = 1000"#, r#"kind = "shape", rate_kbit = 1000"#] {
        let throttled = rate(&censor(by_name, action), FILES);
        assert!(throttled > 100.0 && throttled < 1_300.0, "{action}: {throttled} kbit/s");
    }
}

#[test]
fn packets_that_wait_in_a_shapers_queue_hold_up_no_others_on_an_uneven_line() {
    if !can_run() {
        return;
    }
    let rule = censor(r#"kind = "tls", names = ["files.example.org"]"#, r#"kind = "shape", rate_kbit = 100"#);
    let uneven = "[link.access]\njitter_ms = 2.0\n[link.abroad]\njitter_ms = 2.0\n";
    let beside = format!(
        "curl -sS -m 6 -o /dev/null {FILES} 2>/dev/null & sleep 3\n\
         curl -sS -m 9 -o /dev/null -w '%{{time_connect}}\\n' {WIKIPEDIA}; wait"
    );
    let seconds: f64 = lines(&format!("{uneven}{rule}"), &[beside])[0].parse().unwrap();
    assert!(seconds < 1.0, "{seconds} s for a connection beside the queue");
}

#[test]
fn degrading_makes_what_names_a_site_late_and_lossy() {
    if !can_run() {
        return;
    }
    let time = |action: &str, url: &str| -> f64 {
        let command = format!("curl -sS -m 20 -o /dev/null -w '%{{time_total}}\\n' {url}");
        lines(&censor(TLS_X, action), &[command])[0].parse().unwrap()
    };
    // The answer to the greeting, and the page: two ways there and back of 0.3 s more each way.
    let late = r#"kind = "degrade", delay_ms = 300, loss = 0.0"#;
    assert!(time(late, X) > time(late, WIKIPEDIA) + 1.0);
    let lossy = censor(TLS_X, r#"kind = "degrade", delay_ms = 0, loss = 1.0"#);
    assert_eq!(fetches(&lossy, &[X, WIKIPEDIA]), ["000 28", "200 0"]);
}

#[test]
fn a_connection_freezes_after_its_first_kilobytes() {
    if !can_run() {
        return;
    }
    let rules = censor(r#"kind = "tls", names = ["files.example.org"]"#, r#"kind = "freeze", after_kb = 64"#);
    let command = format!("curl -sS -m 4 -o /dev/null -w '%{{size_download}} ' {FILES} 2>/dev/null; echo $?");
    let line = lines(&rules, &[command, fetch(X)]);
    let (received, code) = line[0].split_once(' ').unwrap();
    assert!((1_000..70_000).contains(&received.parse::<u64>().unwrap()) && code == "28", "{line:?}");
    assert_eq!(line[1], "200 0");
}

/// How many of 40 connections were reset.
fn resets_of_forty(more: &str) -> usize {
    let rules = format!("{}{more}", censor(TLS_X, r#"kind = "reset""#));
    let script = format!("for i in $(seq 40); do {}; done", fetch(X));
    lines(&rules, &[script]).iter().filter(|line| *line == "000 35").count()
}

#[test]
fn a_censor_that_acts_by_chance_and_one_on_some_paths_act_on_some_connections() {
    if !can_run() {
        return;
    }
    // Of 40 draws with one half each, fewer than 8 or more than 32 come once in ten thousand worlds.
    for more in ["probability = 0.5\n", "source_ports = 0.5\n"] {
        let resets = resets_of_forty(more);
        assert!((8..=32).contains(&resets), "{more}: {resets} of 40");
    }
}

#[test]
fn a_censor_of_many_connections_leaves_single_ones_alone() {
    if !can_run() {
        return;
    }
    let rules = format!("{}parallel_above = 4\n", censor(TLS_X, r#"kind = "drop""#));
    let many = format!("for i in $(seq 12); do {{ {}; }} & done; wait", fetch(X).replace("-m 3", "-m 2"));
    let seen = lines(&rules, &[fetch(X), many]);
    assert_eq!(seen[0], "200 0", "one alone");
    let dropped = seen[1..].iter().filter(|line| *line == "000 28").count();
    assert!(dropped >= 4, "{dropped} of 12 at once: {seen:?}");
}

#[test]
fn loss_on_the_line_loses_pings() {
    if !can_run() {
        return;
    }
    let ping = "for i in $(seq 60); do dig +tries=1 +time=1 +short x.com >/dev/null && echo got || echo lost; done";
    let lost = |rules: &str| lines(rules, &[ping.into()]).iter().filter(|line| *line == "lost").count();
    assert_eq!(lost(""), 0);
    // Each question crosses the line twice: at 15 % each way, 28 % are lost.
    let with = lost(&fault(r#"kind = "loss", share = 0.15"#));
    assert!((5..=32).contains(&with), "{with} of 60");
}
