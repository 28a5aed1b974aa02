//! Whether packets are what a rule is about.

use std::net::{IpAddr, SocketAddr};

use super::super::client_hello::{self, Hello};
use super::super::packet::{Packet, Transport};
use super::parse;
use crate::scenario::censor::{Match, Protocol};

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

/// A packet that has no ports: only a rule on addresses knows it.
pub fn without_ports(rule: &Match, packet: &Packet<'_>) -> bool {
    let Match::Ip { addresses, ports, protocol, except } = rule else { return false };
    let echo = matches!(packet.transport, Transport::Echo(..));
    let protocol = protocol.is_none_or(|wanted| wanted == Protocol::Icmp && echo);
    let destination: IpAddr = packet.destination;
    protocol && ports.is_empty() && !except.contains(&destination) && any_or(addresses, &destination)
}

/// A datagram of the client.
pub fn by_datagram(rule: &Match, server: SocketAddr, payload: &[u8]) -> Sight {
    let Match::Dns { names, types, resolvers } = rule else { return Sight::Other };
    if server.port() != DNS || !any_or(resolvers, &server.ip()) {
        return Sight::Other;
    }
    let question = parse::question(payload);
    // A further question may come from the same port: no flow of DNS is ever settled.
    match question {
        Some(asked) if is_listed(names, &asked.name) && any_or(types, &asked.kind) => Sight::Match,
        _ => Sight::Unknown,
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
        Match::Dns { names, types, resolvers } if server.port() == DNS && any_or(resolvers, &server.ip()) => {
            // The length comes first (RFC 1035, section 4.2.2).
            let Some(asked) = bytes.get(2..).and_then(parse::question) else { return unfinished(bytes) };
            Sight::from(is_listed(names, &asked.name) && any_or(types, &asked.kind))
        }
        _ => Sight::Other,
    }
}

fn unfinished(bytes: &[u8]) -> Sight {
    if bytes.len() < LONGEST_HEAD { Sight::Unknown } else { Sight::Other }
}

fn greeting(rule: &Match, bytes: &[u8]) -> Sight {
    let Match::Tls { names, except, reassemble, .. } = rule else { return Sight::Other };
    match client_hello::read(bytes) {
        Hello::Unfinished if *reassemble => unfinished(bytes),
        Hello::Name(name) => {
            let spared = !except.is_empty() && is_listed(except, &name);
            Sight::from(is_listed(names, &name) && !spared)
        }
        Hello::Nameless if names.is_empty() && bytes.first() == Some(&0x16) => Sight::Match,
        Hello::Unfinished | Hello::Nameless => Sight::Other,
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
