//! Whether packets are what a rule is about.

use std::net::{IpAddr, SocketAddr};

use super::super::client_hello::{self, Hello};
use super::super::packet::{Packet, Transport};
use super::protocol::Guess;
use super::quic::Crypto;
use super::{parse, protocol};
use crate::scenario::censor::{Known, Match, Protocol};

/// The longest start of a stream that is kept while a name is awaited.
const LONGEST_HEAD: usize = 16 * 1024;

/// The port of DNS.
const DNS: u16 = 53;

/// What has been seen of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It is one of those.
    Match,
    /// It is not.
    Other,
    /// That may still turn out.
    Unknown,
}

impl Sight {
    fn from(hit: bool) -> Self {
        if hit { Self::Match } else { Self::Other }
    }
}

/// Whether `name` is one of `names` or below one of them; any name, if none are given.
pub fn is_listed(names: &[String], name: &str) -> bool {
    let is_below = |listed: &String| {
        let rest = name.strip_suffix(listed.to_ascii_lowercase().as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    names.is_empty() || names.iter().any(is_below)
}

fn any_or<T: PartialEq>(listed: &[T], one: &T) -> bool {
    listed.is_empty() || listed.contains(one)
}

/// A flow by its server.
pub fn by_address(rule: &Match, server: SocketAddr, tcp: bool) -> Sight {
    let Match::Ip { addresses, ports, protocol, except } = rule else { return Sight::Other };
    let transport = if tcp { Protocol::Tcp } else { Protocol::Udp };
    let protocol = protocol.is_none_or(|wanted| wanted == transport);
    let spared = except.contains(&server.ip());
    Sight::from(protocol && !spared && any_or(addresses, &server.ip()) && any_or(ports, &server.port()))
}

/// A flow of which nothing is known but its ends, where that is all that a rule asks for.
pub fn by_ends(rule: &Match, server: SocketAddr, tcp: bool) -> Option<Sight> {
    match rule {
        Match::Ip { .. } => Some(by_address(rule, server, tcp)),
        Match::NotAllowlisted { destinations, .. } if destinations.contains(&server.ip()) => Some(Sight::Other),
        Match::NotAllowlisted { protocols, .. } if protocols.is_empty() => Some(Sight::Match),
        _ => None,
    }
}

/// A packet that has no ports: only a rule on addresses knows it.
pub fn without_ports(rule: &Match, packet: &Packet<'_>) -> bool {
    if let Match::NotAllowlisted { destinations, .. } = rule {
        return !destinations.contains(&packet.destination);
    }
    let Match::Ip { addresses, ports, protocol, except } = rule else { return false };
    let echo = matches!(packet.transport, Transport::Echo(..));
    let protocol = protocol.is_none_or(|wanted| wanted == Protocol::Icmp && echo);
    let destination: IpAddr = packet.destination;
    protocol && ports.is_empty() && !except.contains(&destination) && any_or(addresses, &destination)
}

/// Whether a rule is about what servers send.
pub fn is_about_answers(rule: &Match) -> bool {
    matches!(
        rule,
        Match::WireguardResponse | Match::OpenvpnResponse | Match::Ikev2Response | Match::Payload { answers: true, .. }
    )
}

/// A datagram of the client, or of the server where the rule is about answers. `crypto` is what its flow has shown of a QUIC handshake.
pub fn by_datagram(rule: &Match, server: SocketAddr, payload: &[u8], crypto: &mut Crypto) -> Sight {
    // A further question, or another first message of a tunnel, may come from the same port: such flows are never settled.
    let or_unknown = |hit: bool| if hit { Sight::Match } else { Sight::Unknown };
    match rule {
        Match::Dns { names, types, resolvers, protocol } if is_asked(server, resolvers, *protocol, Protocol::Udp) => {
            let asked = parse::question(payload);
            or_unknown(asked.is_some_and(|asked| is_listed(names, &asked.name) && any_or(types, &asked.kind)))
        }
        Match::Quic { names, ports } if any_or(ports, &server.port()) => initial(names, payload, crypto),
        Match::Openvpn => or_unknown(protocol::is_openvpn(payload)),
        Match::Wireguard => or_unknown(protocol::is_wireguard(payload)),
        Match::OpenvpnControl => or_unknown(protocol::is_openvpn_control(payload)),
        Match::WireguardResponse => or_unknown(protocol::is_wireguard_response(payload)),
        Match::OpenvpnResponse => or_unknown(protocol::is_openvpn_response(payload)),
        Match::Ikev2Response => or_unknown(protocol::is_ikev2_response(server.port(), payload)),
        Match::WireguardData => or_unknown(protocol::is_wireguard_data(payload)),
        Match::Ikev2 => or_unknown(protocol::is_ikev2(server.port(), payload)),
        Match::Payload { hex, at, protocol, ports, .. } if is_wanted(*protocol, Protocol::Udp, ports, server) => {
            or_unknown(payload.get(*at..).is_some_and(|rest| rest.starts_with(&hex.0)))
        }
        Match::NotAllowlisted { protocols, .. } => {
            let known = protocol::known_datagram(server.port(), payload);
            Sight::from(known.is_none_or(|known| !protocols.contains(&known)))
        }
        _ => Sight::Other,
    }
}

/// Whether a rule on questions is about those to this server over this protocol.
fn is_asked(server: SocketAddr, resolvers: &[IpAddr], wanted: Option<Protocol>, protocol: Protocol) -> bool {
    server.port() == DNS && any_or(resolvers, &server.ip()) && wanted.is_none_or(|wanted| wanted == protocol)
}

/// Whether a rule on payloads is about those to this server over this protocol.
fn is_wanted(wanted: Option<Protocol>, protocol: Protocol, ports: &[u16], server: SocketAddr) -> bool {
    wanted.is_none_or(|wanted| wanted == protocol) && any_or(ports, &server.port())
}

fn initial(names: &[String], payload: &[u8], crypto: &mut Crypto) -> Sight {
    if crypto.add(payload).is_none() {
        return Sight::Other;
    }
    match client_hello::read_handshake(&crypto.start()) {
        _ if names.is_empty() => Sight::Match,
        Hello::Name(name) => Sight::from(is_listed(names, &name)),
        Hello::Nameless => Sight::Other,
        Hello::Unfinished => Sight::Unknown,
    }
}

/// The client's bytes of a TCP connection so far.
pub fn by_stream(rule: &Match, server: SocketAddr, bytes: &[u8]) -> Sight {
    match rule {
        Match::Tls { addresses, ports, .. } if any_or(ports, &server.port()) && any_or(addresses, &server.ip()) => {
            greeting(rule, bytes)
        }
        Match::Http { hosts, paths, addresses, ports }
            if any_or(ports, &server.port()) && any_or(addresses, &server.ip()) =>
        {
            let Some((target, host)) = parse::request(bytes) else { return unfinished(bytes) };
            let host = host.split(':').next().unwrap_or_default();
            let path = paths.is_empty() || paths.iter().any(|path| target.contains(path.as_str()));
            Sight::from(is_listed(hosts, host) && path)
        }
        Match::Text { text, ports } if any_or(ports, &server.port()) => {
            let there = bytes.windows(text.len().max(1)).any(|window| window == text.as_bytes());
            if there { Sight::Match } else { unfinished(bytes) }
        }
        Match::Dns { names, types, resolvers, protocol } if is_asked(server, resolvers, *protocol, Protocol::Tcp) => {
            // The length comes first (RFC 1035, section 4.2.2).
            let Some(asked) = bytes.get(2..).and_then(parse::question) else { return unfinished(bytes) };
            Sight::from(is_listed(names, &asked.name) && any_or(types, &asked.kind))
        }
        Match::Openvpn => protocol::is_openvpn_stream(bytes).map_or(Sight::Unknown, Sight::from),
        Match::OpenvpnControl => protocol::is_openvpn_control_stream(bytes).map_or(Sight::Unknown, Sight::from),
        Match::Payload { hex, at, protocol, ports, answers: false }
            if is_wanted(*protocol, Protocol::Tcp, ports, server) =>
        {
            match bytes.get(*at..*at + hex.0.len()) {
                Some(there) => Sight::from(there == hex.0),
                None => Sight::Unknown,
            }
        }
        Match::FullyEncrypted => Sight::from(protocol::is_fully_encrypted(bytes)),
        Match::NotAllowlisted { protocols, .. } => {
            let guess = if server.port() == DNS { Guess::Is(Known::Dns) } else { protocol::known(bytes) };
            match guess {
                Guess::Is(known) => Sight::from(!protocols.contains(&known)),
                Guess::Foreign => Sight::Match,
                Guess::Open => Sight::Unknown,
            }
        }
        _ => Sight::Other,
    }
}

fn unfinished(bytes: &[u8]) -> Sight {
    if bytes.len() < LONGEST_HEAD { Sight::Unknown } else { Sight::Other }
}

fn greeting(rule: &Match, bytes: &[u8]) -> Sight {
    let Match::Tls { names, except, reassemble, ech, cipher_suites, .. } = rule else { return Sight::Other };
    let by_name = match client_hello::read(bytes) {
        Hello::Unfinished if *reassemble => return unfinished(bytes),
        Hello::Name(name) => is_listed(names, &name) && (except.is_empty() || !is_listed(except, &name)),
        Hello::Nameless => names.is_empty() && bytes.first() == Some(&0x16),
        Hello::Unfinished => false,
    };
    if !by_name || (ech.is_none() && cipher_suites.is_empty()) {
        return Sight::from(by_name);
    }
    match client_hello::traits(bytes) {
        Some(traits) => {
            let ech = ech.is_none_or(|wanted| wanted == traits.ech);
            Sight::from(ech && (cipher_suites.is_empty() || *cipher_suites == traits.cipher_suites))
        }
        None if *reassemble => unfinished(bytes),
        None => Sight::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cover_what_is_below_them_and_no_lookalikes() {
        let names = ["X.com".to_owned()];
        assert!(is_listed(&names, "x.com") && is_listed(&names, "api.x.com") && is_listed(&[], "anything"));
        assert!(!is_listed(&names, "netflix.com") && !is_listed(&names, "x.com.example"));
    }

    #[test]
    fn a_text_is_found_wherever_it_stands_and_awaited_until_then() {
        let rule = Match::Text { text: "forbidden".into(), ports: vec![80] };
        let server: SocketAddr = "104.244.42.1:80".parse().unwrap();
        assert_eq!(by_stream(&rule, server, b"GET /forbi"), Sight::Unknown);
        assert_eq!(by_stream(&rule, server, b"GET /forbidden"), Sight::Match);
        assert_eq!(by_stream(&rule, "104.244.42.1:81".parse().unwrap(), b"forbidden"), Sight::Other);
    }

    #[test]
    fn a_host_with_a_port_is_still_the_host() {
        let rule = Match::Http { hosts: vec!["x.com".into()], paths: vec![], addresses: vec![], ports: vec![80] };
        let server: SocketAddr = "104.244.42.1:80".parse().unwrap();
        assert_eq!(by_stream(&rule, server, b"GET / HTTP/1.1\r\nHost: x.com:80\r\n\r\n"), Sight::Match);
        assert_eq!(by_stream(&rule, server, b"GET / HTTP/1.1\r\nHost: y.com\r\n\r\n"), Sight::Other);
    }
}
