//! Rows of OONI's lists, read one by one (df-001, df-002, df-005, df-006, df-008).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use url::Url;

use crate::failure::Failure;
use crate::model::{Certificate, DnsRecord, Engine, FirstBytes, Http, QueryType, Tls};

use super::failures::{self, Failed};
use super::flow::{Dial, Fetch, Mark, Query, Record, Shake};
use super::json::{Json, base64_bytes};
use super::oddities::Oddities;

/// Records of an answer, certificates of a chain, and late replies to a question that are kept: far more than real ones have, and fewer
/// than rows can be numbered.
const RECORDS: usize = 256;
const CERTIFICATES: usize = 32;
pub(super) const REPLIES: usize = 64;
/// The last redirect hop that is told apart; OONI follows ten.
pub(super) const DEEPEST: u16 = 32;
/// Body bytes that are kept, as the probe does.
const BODY_KEPT: usize = 256 * 1024;

/// Reads single rows, for tests that keep them elsewhere than in lists.
pub(super) struct FlowReader<'o> {
    events: Events,
    pub(super) oddities: &'o mut Oddities,
    certificates: HashMap<String, Arc<Certificate>>,
}

impl<'o> FlowReader<'o> {
    /// With what network events tell of handshakes.
    pub(super) fn with_events(events: &[Json<'_>], oddities: &'o mut Oddities) -> Self {
        Self { events: Events::of(events), ..Self::new(oddities) }
    }

    /// Without network events.
    pub(super) fn new(oddities: &'o mut Oddities) -> Self {
        Self { events: Events::default(), oddities, certificates: HashMap::new() }
    }

    fn mark(&mut self, row: &Json<'_>) -> Mark {
        let ms = |key: &str| row.get(key).milliseconds();
        let end = ms("t").or_else(|| ms("t0")).unwrap_or(0.0);
        let depth = row.get("tags").elements().iter().filter_map(Json::text).find_map(|tag| tag.strip_prefix("depth="));
        Mark {
            t0_ms: ms("t0").unwrap_or(end).min(end),
            t_ms: end,
            transaction: row.get("transaction_id").whole().filter(|&id: &i64| id != 0),
            depth: depth.and_then(|depth| depth.parse().ok()).unwrap_or(0).min(DEEPEST),
            failed: failures::read(row.get("failure"), self.oddities),
        }
    }

    /// A row of `queries`.
    pub(super) fn query(&mut self, row: &Json<'_>) -> Option<Query> {
        let Some(host) = row.get("hostname").word() else {
            self.oddities.note("left out", "a question without a name");
            return None;
        };
        let kind = match row.get("query_type").text().unwrap_or("A") {
            "A" => Some(QueryType::A),
            "AAAA" => Some(QueryType::Aaaa),
            "ANY" => None,
            other => {
                self.oddities.note("question of a type that is not kept", other);
                return None;
            }
        };
        let (engine, resolver, server) = self.resolver(row);
        Some(Query {
            mark: self.mark(row),
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            kind,
            engine,
            resolver,
            server,
            rcode: row.get("rcode").whole(),
            records: self.records(row),
            late: Vec::new(),
        })
    }

    /// Who was asked, and how.
    fn resolver(&mut self, row: &Json<'_>) -> (Engine, String, Option<SocketAddr>) {
        let address = row.get("resolver_address").word();
        let name = row.get("resolver_hostname").word();
        let port = row.get("resolver_port").whole().unwrap_or(53);
        let by_name = name.and_then(|name| name.parse().ok()).map(|ip: IpAddr| SocketAddr::new(ip, port));
        let server = address.and_then(|text| text.parse().ok()).or(by_name);
        let engine = match (row.get("engine").word(), server) {
            (None, Some(_)) | (Some("udp"), _) => Engine::Udp,
            (None | Some("getaddrinfo" | "system" | "golang_net_resolver" | "netgo" | "go" | "unknown"), _) => {
                Engine::System
            }
            (Some("doh" | "doh3"), _) => Engine::Doh,
            (Some("tcp"), _) => Engine::Tcp,
            (Some("dot"), _) => Engine::Dot,
            (Some(other), _) => {
                self.oddities.note("unknown DNS engine, taken for the system's", other);
                Engine::System
            }
        };
        let resolver = match (engine, server, address.or(name)) {
            (Engine::System, _, _) => "system".to_owned(),
            (Engine::Doh, _, Some(url)) => url.to_owned(),
            (_, Some(server), _) => format!("resolver/{}", server.ip()),
            (_, None, Some(text)) => format!("resolver/{text}"),
            (_, None, None) => "resolver/unknown".to_owned(),
        };
        (engine, resolver, if engine == Engine::System { None } else { server })
    }

    /// The records of an answer.
    pub(super) fn records(&mut self, row: &Json<'_>) -> Vec<Record> {
        let record = |answer: &Json<'_>, oddities: &mut Oddities| {
            let kind = answer.get("answer_type").text().unwrap_or_default();
            let ttl = answer.get("ttl").whole();
            let address = answer.get("ipv4").word().or_else(|| answer.get("ipv6").word());
            match (kind, address, answer.get("hostname").word()) {
                ("CNAME", _, Some(name)) => Some((DnsRecord::Cname(name.trim_end_matches('.').to_owned()), ttl)),
                (_, Some(text), _) => {
                    let ip = parse_address(text);
                    if ip.is_none() {
                        oddities.note("no address", text);
                    }
                    Some((DnsRecord::Address(ip?), ttl))
                }
                (other, _, _) => {
                    oddities.note("record of a type that is not kept", other);
                    None
                }
            }
        };
        let answers = capped(row.get("answers").elements(), RECORDS, "more records than are kept", self.oddities);
        answers.iter().filter_map(|answer| record(answer, self.oddities)).collect()
    }

    /// A row of `tcp_connect`.
    pub(super) fn dial(&mut self, row: &Json<'_>) -> Option<Dial> {
        let mut mark = self.mark(row);
        let status = row.get("status");
        mark.failed = failures::read(status.get("failure"), self.oddities).or(mark.failed);
        if mark.failed.is_none() && status.get("success").flag() == Some(false) {
            mark.failed = Some(Failure::UnknownFailure.into());
        }
        let text = row.get("ip").word().unwrap_or_default();
        let (Some(ip), Some(port)) = (parse_address(text), row.get("port").whole()) else {
            self.oddities.note("connection to no address", text);
            return None;
        };
        Some(Dial { mark, to: SocketAddr::new(ip, port) })
    }

    /// A row of `tls_handshakes` or `quic_handshakes`.
    pub(super) fn shake(&mut self, row: &Json<'_>, quic: bool) -> Shake {
        let mark = self.mark(row);
        let network = row.get("network").text().unwrap_or_default();
        let quic = quic || matches!(network, "udp" | "quic");
        let to = row.get("address").word().and_then(|text| text.parse().ok()).or_else(|| self.events.address_at(&mark));
        let chain = self.chain(row);
        let certificates: usize = chain.iter().map(|link| link.der.len()).sum();
        let read = self.events.read_before(&mark).unwrap_or(0);
        let alert = mark.failed.as_ref().is_some_and(Failed::is_alert)
            || (chain.is_empty() && mark.failed.as_ref().is_some_and(|f| f.failure == Failure::SslInvalidHostname));
        let text = |key: &str| row.get(key).word().map(str::to_owned);
        if to.is_none() && row.get("address").word().is_some() {
            self.oddities.note("handshake with no address", row.get("address").text().unwrap_or_default());
        }
        let is_verified = row.get("no_tls_verify").flag() != Some(true);
        let mut shake = Shake {
            to,
            quic,
            verified: true,
            tls: Tls {
                sni: text("server_name").filter(|name| name.parse::<IpAddr>().is_err()),
                version: text("tls_version"),
                cipher_suite: text("cipher_suite"),
                alpn: text("negotiated_protocol"),
                bytes_received: read.max(certificates as u64).max(u64::from(alert || mark.failed.is_none())),
                first_bytes: alert.then_some(FirstBytes::Alert),
                chain,
            },
            mark,
        };
        if !is_verified {
            shake.leave_unverified();
        }
        shake
    }

    fn chain(&mut self, row: &Json<'_>) -> Vec<Arc<Certificate>> {
        let mut chain = Vec::new();
        let shown = row.get("peer_certificates").elements();
        for certificate in capped(shown, CERTIFICATES, "more certificates than are kept", self.oddities) {
            let text = certificate.get("data").text().or(certificate.text()).unwrap_or_default();
            if let Some(known) = self.certificates.get(text) {
                chain.push(Arc::clone(known));
            } else if let Some(der) = base64_bytes(text) {
                let new = Arc::new(Certificate::from_der(der));
                self.certificates.insert(text.to_owned(), Arc::clone(&new));
                chain.push(new);
            } else {
                self.oddities.note("certificate that is not base64", text);
            }
        }
        chain
    }

    /// A row of `requests`.
    pub(super) fn fetch(&mut self, row: &Json<'_>) -> Option<Fetch> {
        let (request, response) = (row.get("request"), row.get("response"));
        let text = request.get("url").text().unwrap_or_default();
        let Some(url) = Url::parse(text.trim()).ok().filter(|url| url.host().is_some()) else {
            self.oddities.note("request for no URL", text);
            return None;
        };
        let is_on = |key: &str| request.get("tor").get(key).flag() == Some(true);
        let mark = self.mark(row);
        let body = response.get("body").bytes().unwrap_or_default();
        let kept = &body[..body.len().min(BODY_KEPT)];
        let has_response = mark.failed.is_none() || response.get("code").whole::<u16>().is_some_and(|code| code > 0);
        let is_cut = response.get("body_is_truncated").flag() == Some(true);
        let http = Http {
            url: url.to_string(),
            protocol: row.get("alpn").word().map(str::to_owned),
            status: response.get("code").whole().filter(|&code: &u16| code > 0),
            headers: headers(response),
            body: (has_response && !kept.is_empty()).then(|| Arc::from(kept)),
            body_length: body.len() as u64,
            body_truncated: is_cut || body.len() > BODY_KEPT,
            ..Http::default()
        };
        Some(Fetch {
            to: row.get("address").word().and_then(|text| text.parse().ok()).or_else(|| literal(&url)),
            mark,
            url,
            http,
            by_tor: is_on("is_tor"),
        })
    }
}

/// Response headers, names in lower case.
fn headers(response: &Json<'_>) -> Vec<(String, String)> {
    let text = |value: &Json<'_>| value.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let pair = |row: &Json<'_>| match row.elements() {
        [name, value] => Some((text(name)?.to_ascii_lowercase(), text(value)?)),
        _ => None,
    };
    let list = response.get("headers_list").elements();
    if !list.is_empty() {
        return list.iter().filter_map(pair).collect();
    }
    let members = response.get("headers").members().iter();
    members.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), text(value)?))).collect()
}

/// As many rows as are kept.
fn capped<'j, 'a>(rows: &'j [Json<'a>], most: usize, word: &'static str, oddities: &mut Oddities) -> &'j [Json<'a>] {
    if rows.len() > most {
        oddities.note(word, &rows.len().to_string());
    }
    &rows[..rows.len().min(most)]
}

/// Where a URL leads that names an address.
fn literal(url: &Url) -> Option<SocketAddr> {
    let ip = parse_address(url.host_str()?)?;
    Some(SocketAddr::new(ip, url.port_or_known_default()?))
}

/// An address, without brackets or zone.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    text.split_once('%').map_or(text, |(address, _)| address).parse().ok()
}

/// What network events tell of handshakes: how much was read, and (in older data) with whom it was.
#[derive(Debug, Default)]
struct Events {
    /// Time of an end of a handshake, milliseconds as bits, with the address that was connected to before it.
    ends: HashMap<u64, SocketAddr>,
    /// Time, bytes read and transaction of each read, in order of time.
    reads: Vec<(f64, u64, Option<i64>)>,
}

impl Events {
    fn of(rows: &[Json<'_>]) -> Self {
        let mut events = Self::default();
        let mut address = None;
        for row in rows {
            let Some(t) = row.get("t").number() else { continue };
            match row.get("operation").text() {
                Some("connect") => address = row.get("address").text().and_then(|text| text.parse().ok()),
                Some("tls_handshake_done") => {
                    events.ends.extend(address.map(|address| ((t * 1_000.0).to_bits(), address)));
                }
                Some("read" | "read_from") => {
                    let bytes = row.get("num_bytes").whole().unwrap_or(0);
                    let transaction = row.get("transaction_id").whole().filter(|&id: &i64| id != 0);
                    events.reads.push((t * 1_000.0, bytes, transaction));
                }
                _ => {}
            }
        }
        events
    }

    fn address_at(&self, mark: &Mark) -> Option<SocketAddr> {
        self.ends.get(&mark.t_ms.to_bits()).copied()
    }

    /// Bytes that were read in a flow until a step's end; `None` where events cannot be told apart by flow.
    fn read_before(&self, mark: &Mark) -> Option<u64> {
        let transaction = mark.transaction?;
        let own = self.reads.iter().filter(|(t, _, of)| *of == Some(transaction) && *t <= mark.t_ms);
        Some(own.map(|(_, bytes, _)| bytes).sum())
    }
}
