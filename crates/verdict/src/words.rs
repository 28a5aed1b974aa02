//! Rows, signals and vantages in words, for a person. What a stranger wrote into a file cannot steer a terminal.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use faultline_record::{
    Certificate, Dns, DnsRecord, Engine, Family, FirstBytes, HealthSignal, Http, Network, NetworkKind, NotRun,
    Observation, Outcome, Purpose, SignalKind, StepData, Tls, Vpn, VpnAnswer,
};

/// The text with everything that a terminal obeys made visible: control characters and changes of direction
/// (Unicode TR 36, 2.10).
pub fn clean(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if obeyed(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// "row 7: TLS handshake with 192.0.2.7:443, name x.com offered, `connection_reset` after 21 ms".
pub fn row(row: &Observation) -> String {
    let (what, came) = match &row.data {
        StepData::Dns(dns) => (question(dns), answers(dns)),
        StepData::Tcp => (format!("TCP connection to {}", place(row)), "connected".to_owned()),
        StepData::Tls(tls) => (handshake("TLS", row, tls), tls_result(tls)),
        StepData::Quic(_) if negotiates(row) => {
            (format!("QUIC version negotiation with {}", place(row)), "answered".to_owned())
        }
        StepData::Quic(tls) => (handshake("QUIC", row, tls), tls_result(tls)),
        StepData::Vpn(vpn) => (format!("first message of {} to {}", vpn.protocol, place(row)), vpn_result(vpn)),
        StepData::Http(http) => (format!("request for {} at {}", http.url, place(row)), response(http)),
    };
    let mut text = format!("row {}: {}{what}, ", row.seq, purpose(row));
    let after = span(row.t_ms - row.t0_ms);
    let _ = match row.outcome {
        Outcome::Ok => write!(text, "{came} after {after}"),
        Outcome::Failed(failure) => write!(text, "{failure} after {after}{}", seen_despite(&row.data)),
        Outcome::NotRun(reason) => write!(text, "not run: {}", not_run(reason)),
    };
    if let (StepData::Dns(dns), None) = (&row.data, row.outcome.not_run()) {
        text += &late_answers(dns);
    }
    if let Some(ttl) = row.ttl {
        let _ = write!(text, ", with a time to live of {ttl}");
    }
    if let Some(detail) = row.detail.as_deref().filter(|detail| !detail.is_empty()) {
        let _ = write!(text, " ({detail})");
    }
    clean(&text)
}

/// Why a step was done, where it was not the measurement proper, and on which redirect.
fn purpose(row: &Observation) -> String {
    let why = match row.purpose {
        Purpose::Main => "",
        Purpose::Comparison => "for comparison, ",
        Purpose::Retry => "the target's name once more, ",
        Purpose::InnocentSni => "an innocent name at the same address, ",
        Purpose::NoSni => "without a name, ",
        Purpose::SplitSegments => "with the name cut over two segments, ",
        Purpose::SplitRecords => "in many small records, ",
        Purpose::Locate => "sent part of the way, ",
        Purpose::LocateInnocent => "an innocent name sent part of the way, ",
        Purpose::Elsewhere => "the target's name at a stranger's host, ",
        Purpose::ElsewhereInnocent => "the stranger's own name there, ",
        Purpose::MixedCase => "with the name in changing case, ",
        Purpose::LongerName => "with the name in front of a longer one, ",
        Purpose::Tls12 => "in TLS 1.2 only, ",
        Purpose::Ech => "with the name encrypted, ",
        Purpose::QuietInnocent => "an innocent name after a quiet time, ",
        Purpose::QuietOwn => "the target's name once the innocent one was answered again, ",
        Purpose::QuietAgain => "the innocent name right after that, ",
        Purpose::JunkFirst => "behind noise, or cut in two, ",
        Purpose::RandomBytes => "random octets in its place, ",
        Purpose::PrintableBytes => "printable characters in its place, ",
        Purpose::TlsBytes => "what looks like TLS in its place, ",
        Purpose::OtherPort => "at another port of the protocol, ",
        Purpose::HostAlive => "to see whether the host lives, ",
        Purpose::TcpCopy => "the same over TCP, ",
        Purpose::OtherTransport => "over another transport, ",
        Purpose::InnocentName => "an unrelated name, ",
        Purpose::ChangedCase => "the target's name in changing case, ",
        Purpose::NoRecursion => "without recursion, ",
        Purpose::Subdomain => "a name below the target's that cannot exist, ",
        Purpose::ParentName => "the name above the target's, ",
        Purpose::AddressCheck => "an address that nobody had tried, ",
        Purpose::VersionNegotiation => "asked for its versions, ",
        Purpose::Http3Copy => "the same over HTTP/3, ",
        Purpose::QuicElsewhere => "asked of an unrelated operator, ",
        Purpose::NoResolver => "asked of the target's own host, ",
        Purpose::SmallSegments => "in small segments, ",
        Purpose::InnocentServer => "a host that nobody has, at a server that has nothing to do with the target, ",
        Purpose::HostAnywhere => "the target's host at that server, ",
        Purpose::InnocentHost => "an innocent host at the same address, ",
        Purpose::HttpsCopy => "the same over TLS, ",
        Purpose::RandomName => "a name that cannot exist, ",
        Purpose::ProxyCheck => "what only a stranger can answer at the same address, ",
        Purpose::Helper => "seen by the helper outside, ",
    };
    if row.hop == 0 { why.to_owned() } else { format!("redirect {}, {why}", row.hop) }
}

fn place(row: &Observation) -> String {
    match (row.address, row.port) {
        (Some(address), Some(port)) => SocketAddr::new(address, port).to_string(),
        (Some(address), None) => address.to_string(),
        (None, _) => "no address".to_owned(),
    }
}

fn question(dns: &Dns) -> String {
    let whom = match (dns.engine, dns.resolver.as_str()) {
        (Engine::System, "helper") => "the helper's resolver".to_owned(),
        (Engine::System, _) => "the system's resolver".to_owned(),
        (Engine::Udp, resolver) => format!("{resolver} over UDP"),
        (Engine::Doh, resolver) => format!("{resolver} over HTTPS"),
        (Engine::Tcp, "system") => "the system's resolver over TCP".to_owned(),
        (Engine::Tcp, resolver) => format!("{resolver} over TCP"),
        (Engine::Dot, resolver) => format!("{resolver} over TLS"),
    };
    format!("question to {whom} for {} ({})", dns.hostname, dns.query_type)
}

fn answers(dns: &Dns) -> String {
    let addresses = listed(dns.addresses());
    if addresses.is_empty() { "no address".to_owned() } else { addresses }
}

/// Replies after the first.
fn late_answers(dns: &Dns) -> String {
    let mut text = String::new();
    let mut late: Vec<(u16, u32)> =
        dns.answers.iter().filter(|answer| answer.reply > 0).map(|answer| (answer.reply, answer.after_ms)).collect();
    late.dedup_by_key(|(reply, _)| *reply);
    for (reply, after_ms) in late {
        let of_reply = dns.answers.iter().filter(|answer| answer.reply == reply);
        let records = of_reply.map(|answer| match &answer.record {
            DnsRecord::Address(address) => address.to_string(),
            DnsRecord::Cname(name) => format!("alias {name}"),
            DnsRecord::Empty => answer.rcode.map_or("nothing".to_owned(), |rcode| format!("code {rcode}, no address")),
        });
        let _ = write!(text, "; then another reply after {after_ms} ms: {}", records.collect::<Vec<_>>().join(", "));
    }
    text
}

/// Whether a row of QUIC's is no handshake.
fn negotiates(row: &Observation) -> bool {
    matches!(row.purpose, Purpose::VersionNegotiation | Purpose::QuicElsewhere)
}

fn handshake(protocol: &str, row: &Observation, tls: &Tls) -> String {
    match &tls.sni {
        Some(name) => format!("{protocol} handshake with {}, name {name} offered", place(row)),
        None => format!("{protocol} handshake with {}, no name offered", place(row)),
    }
}

fn tls_result(tls: &Tls) -> String {
    match tls.chain.first() {
        Some(leaf) => format!("completed with {}", certificate(leaf)),
        None => "completed".to_owned(),
    }
}

fn vpn_result(vpn: &Vpn) -> String {
    match vpn.answer {
        Some(VpnAnswer::ServerReset) => "the server's reset for this session came",
        Some(VpnAnswer::Chosen) => "the server chose a proposal",
        Some(VpnAnswer::Notified) => "the server's notification came",
        Some(VpnAnswer::Relayed) => "data came back through the proxy",
        Some(VpnAnswer::RelayCertificates) => "the relay's certificates came",
        Some(VpnAnswer::BridgeResponse) => "the bridge's response came",
        Some(VpnAnswer::TlsHandshake) => "TLS came about",
        Some(VpnAnswer::Other) => "something came that is no answer of the protocol",
        Some(VpnAnswer::HandshakeResponse) => "the server's response to the handshake came",
        Some(VpnAnswer::Cookie) => "the server is under load and sent a cookie",
        Some(VpnAnswer::Accepted) => "the server took part",
        Some(VpnAnswer::LoginWanted) => "the server wanted a login, which proves that it lives",
        Some(VpnAnswer::Refused) => "the server refused in words of the protocol, which proves that it lives",
        None => "nothing came",
    }
    .to_owned()
}

fn certificate(leaf: &Certificate) -> String {
    let or_unreadable = |text: &str| if text.is_empty() { "(unreadable)".to_owned() } else { text.to_owned() };
    format!("a certificate of {} issued by {}", or_unreadable(&leaf.subject), or_unreadable(&leaf.issuer))
}

fn response(http: &Http) -> String {
    let status = http.status.map_or("no status".to_owned(), |status| format!("status {status}"));
    let title = http.title.as_deref().map(|title| format!(", titled {title:?}")).unwrap_or_default();
    format!("{status} and {} bytes{title}", http.body_length)
}

/// What was seen although the step failed.
fn seen_despite(data: &StepData) -> String {
    match data {
        StepData::Tls(Tls { chain, .. }) | StepData::Quic(Tls { chain, .. }) if !chain.is_empty() => {
            format!(", {} was shown", certificate(&chain[0]))
        }
        StepData::Tls(Tls { first_bytes: Some(first), .. }) => format!(", {} came", first_bytes(*first)),
        StepData::Tls(Tls { bytes_received: 0, .. }) | StepData::Quic(Tls { bytes_received: 0, .. }) => {
            ", nothing came".to_owned()
        }
        StepData::Http(Http { status: Some(status), arrivals, .. }) => {
            let last = arrivals.last();
            let until = last.map(|last| format!(", the last of {} bytes by {}", last.bytes, span(f64::from(last.ms))));
            format!(", status {status} came{}", until.unwrap_or_default())
        }
        _ => String::new(),
    }
}

fn first_bytes(first: FirstBytes) -> &'static str {
    match first {
        FirstBytes::Handshake => "the beginning of a handshake",
        FirstBytes::Alert => "an alert",
        FirstBytes::OtherRecord => "a TLS record out of turn",
        FirstBytes::Http => "HTTP in the clear",
        FirstBytes::NotTls => "something that is not TLS",
    }
}

/// Why a step was never done.
pub fn not_run(reason: NotRun) -> &'static str {
    match reason {
        NotRun::Interrupted => "the run was interrupted",
        NotRun::MaxTime => "the run's time was up",
        NotRun::MaxData => "the run's data was used up",
        NotRun::TargetDeadline => "the time for this target was up",
        NotRun::NoAddress => "there was no address to connect to",
        NotRun::BogonAddress => "the address cannot be public, and a probe does not knock there",
        NotRun::NoIpv6 => "this vantage has no IPv6",
        NotRun::PreviousStepFailed => "the step before it failed",
        NotRun::AddressCap => "enough other addresses were tested",
        NotRun::NoNetwork => "there was no network",
        NotRun::Budget => "the budget for follow-ups was spent",
        NotRun::NotNeeded => "it was not needed, or was switched off",
        NotRun::LocalLimit => "a limit of the machine stood in the way",
        NotRun::NoKey => "the protocol needs a key of the server's, and none was given",
        NotRun::ClockWrong => "the clock is wrong, and a message dated in the future would spoil the key",
    }
}

/// One signal of a check of the vantage.
pub fn signal(signal: &HealthSignal) -> String {
    let over = signal.family.map_or("", |family| match family {
        Family::V4 => " over IPv4",
        Family::V6 => " over IPv6",
    });
    let at = signal.address.map(|address: IpAddr| format!(" at {address}")).unwrap_or_default();
    let of = signal.provider.as_deref().map(|provider| format!(" of {provider}")).unwrap_or_default();
    let mut text = format!("{} {}{of}{at}{over}: ", kind(signal.kind), signal.name);
    let took = span(signal.duration_ms);
    let _ = match (signal.outcome, signal.value) {
        (Outcome::Ok, Some(seconds)) if signal.kind == SignalKind::Clock => {
            write!(text, "our clock minus theirs is {seconds:+.1} s")
        }
        (Outcome::Ok, Some(seen)) if signal.kind == SignalKind::Middlebox => {
            write!(text, "{}", if seen > 0.0 { "one signs what it passes on" } else { "none that signs" })
        }
        (Outcome::Ok, _) if matches!(signal.kind, SignalKind::Link | SignalKind::Route) => write!(text, "there"),
        (Outcome::Ok, _) => write!(text, "works, after {took}"),
        (Outcome::Failed(failure), _) => write!(text, "{failure} after {took}"),
        (Outcome::NotRun(reason), _) => write!(text, "not run: {}", not_run(reason)),
    };
    if let Some(detail) = signal.detail.as_deref().filter(|detail| !detail.is_empty()) {
        let _ = write!(text, " ({detail})");
    }
    clean(&text)
}

fn kind(kind: SignalKind) -> &'static str {
    match kind {
        SignalKind::Link => "interface",
        SignalKind::Route => "default route",
        SignalKind::Gateway => "gateway",
        SignalKind::Captive => "captive-portal check",
        SignalKind::ControlByName => "control by name",
        SignalKind::ControlByAddress => "control by address",
        SignalKind::Resolver => "resolver",
        SignalKind::Clock => "clock against",
        SignalKind::Middlebox => "proxy on the way of plain HTTP",
    }
}

/// "AS17557 Pakistan Telecom, PK, mobile".
pub fn network(network: &Network) -> String {
    let operator = [network.asn.map(|asn| format!("AS{asn}")), network.as_name.clone()];
    let operator = operator.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let kind = (network.kind != NetworkKind::Unknown).then(|| network.kind.name().to_owned());
    let parts = [Some(operator).filter(|text| !text.is_empty()), network.country.clone(), kind];
    let known = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if known.is_empty() { "an unknown network".to_owned() } else { clean(&known) }
}

/// A length of time from milliseconds.
pub fn span(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1_000.0),
    }
}

/// "1 measurement", "2 measurements".
pub fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

fn listed(items: impl Iterator<Item = IpAddr>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use faultline_record::{DnsAnswer, Failure, QueryType};

    use super::*;

    fn seen(outcome: Outcome, data: StepData) -> Observation {
        Observation {
            seq: 7,
            hop: 0,
            purpose: Purpose::Main,
            connection: Some(1),
            t0_ms: 41.5,
            t_ms: 62.5,
            outcome,
            detail: None,
            address: Some("192.0.2.7".parse().unwrap()),
            port: Some(443),
            ttl: None,
            data,
        }
    }

    fn asked(answers: Vec<DnsAnswer>) -> StepData {
        StepData::Dns(Dns {
            engine: Engine::System,
            resolver: "system".into(),
            hostname: "x.com".into(),
            query_type: QueryType::A,
            rcode: Some(0),
            replies: 1,
            answers,
        })
    }

    fn answer(reply: u16, address: &str) -> DnsAnswer {
        let record = DnsRecord::Address(address.parse().unwrap());
        DnsAnswer {
            reply,
            rcode: Some(0),
            after_ms: 10 + u32::from(reply),
            ttl: None,
            opt: None,
            case_kept: None,
            record,
        }
    }

    #[test]
    fn a_handshake_says_which_name_was_offered_and_what_came() {
        let tls = Tls { sni: Some("x.com".into()), ..Tls::default() };
        let reset = Outcome::Failed(Failure::ConnectionReset);
        let at = "row 7: TLS handshake with 192.0.2.7:443, name x.com offered, ";
        assert_eq!(
            row(&seen(reset, StepData::Tls(tls.clone()))),
            format!("{at}connection_reset after 21 ms, nothing came")
        );
        let leaf = Certificate {
            sha256: [0; 32],
            der: Vec::new(),
            subject: "CN=x.com".into(),
            issuer: "CN=R3".into(),
            not_before: None,
            not_after: None,
        };
        let shown = Tls { chain: vec![Arc::new(leaf)], ..tls.clone() };
        assert_eq!(
            row(&seen(Outcome::Ok, StepData::Tls(shown))),
            format!("{at}completed with a certificate of CN=x.com issued by CN=R3 after 21 ms")
        );
        let alerted = Tls { first_bytes: Some(FirstBytes::Alert), bytes_received: 7, ..tls };
        let failed = Outcome::Failed(Failure::SslFailedHandshake);
        assert_eq!(
            row(&seen(failed, StepData::Tls(alerted))),
            format!("{at}ssl_failed_handshake after 21 ms, an alert came")
        );
    }

    #[test]
    fn a_question_tells_every_reply_apart() {
        let two = asked(vec![answer(0, "192.0.2.1"), answer(1, "198.51.100.1"), answer(1, "198.51.100.2")]);
        assert_eq!(
            row(&seen(Outcome::Ok, two)),
            "row 7: question to the system's resolver for x.com (A), 192.0.2.1 after 21 ms; then another reply after 11 ms: \
             198.51.100.1, 198.51.100.2"
        );
        assert_eq!(
            row(&seen(Outcome::Failed(Failure::DnsNxdomainError), asked(Vec::new()))),
            "row 7: question to the system's resolver for x.com (A), dns_nxdomain_error after 21 ms"
        );
    }

    #[test]
    fn a_response_that_stopped_says_when() {
        let arrivals = vec![faultline_record::Arrival { ms: 101, bytes: 12_367 }];
        let http = Http { url: "https://x.com/".into(), status: Some(200), arrivals, ..Http::default() };
        let late = Outcome::Failed(Failure::GenericTimeoutError);
        assert_eq!(
            row(&seen(late, StepData::Http(http))),
            "row 7: request for https://x.com/ at 192.0.2.7:443, generic_timeout_error after 21 ms, status 200 came, the last \
             of 12367 bytes by 101 ms"
        );
    }

    #[test]
    fn what_was_not_run_has_a_reason_and_no_time() {
        let reason = Outcome::NotRun(NotRun::NoIpv6);
        assert_eq!(
            row(&seen(reason, StepData::Tcp)),
            "row 7: TCP connection to 192.0.2.7:443, not run: this vantage has no IPv6"
        );
    }

    #[test]
    fn every_follow_up_and_redirect_says_what_it_is() {
        let follow_up = Observation { purpose: Purpose::InnocentSni, hop: 2, ..seen(Outcome::Ok, StepData::Tcp) };
        assert_eq!(
            row(&follow_up),
            "row 7: redirect 2, an innocent name at the same address, TCP connection to 192.0.2.7:443, connected after 21 ms"
        );
    }

    #[test]
    fn a_stranger_cannot_steer_the_terminal() {
        let forged = Observation { detail: Some("\u{1b}[2J\u{202e}\r\n".into()), ..seen(Outcome::Ok, StepData::Tcp) };
        assert!(row(&forged).ends_with(r"after 21 ms (\u{1b}[2J\u{202e}\u{d}\u{a})"), "{}", row(&forged));
        assert_eq!(clean("پاکستان ünïcödé"), "پاکستان ünïcödé");
    }

    #[test]
    fn a_network_is_named_as_far_as_it_is_known() {
        assert_eq!(network(&Network::default()), "an unknown network");
        let known = Network { asn: Some(17557), country: Some("PK".into()), kind: NetworkKind::Mobile, as_name: None };
        assert_eq!(network(&known), "AS17557, PK, mobile");
    }
}
