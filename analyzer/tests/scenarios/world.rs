//! A small writer of Web Connectivity 0.5 measurements: who answered what, as OONI's probe would have told it.

use serde_json::{Value, json};

pub const EX: &str = "93.184.216.34";
pub const BITLY: &str = "67.199.248.11";
pub const BAD: &str = "104.154.89.105";
pub const PROXY: &str = "130.192.182.17";
pub const BLOCKPAGE: &str = "83.224.65.41";
pub const BOGON: &str = "10.10.34.35";
pub const LOOPBACK: &str = "127.0.0.1";

/// What a page is.
#[derive(Clone, Copy)]
pub struct Page {
    pub code: u16,
    pub title: &'static str,
    pub length: usize,
    pub header: &'static str,
    pub location: Option<&'static str>,
}

/// The site's own page.
pub const SITE: Page = Page { code: 200, title: "Default Web Page", length: 1_533, header: "Alt-Svc", location: None };
/// What a censor puts in its place.
pub const DENIED: Page = Page { code: 200, title: "Access Denied", length: 188, header: "X-Censor", location: None };

/// A redirect.
pub fn to(location: &'static str) -> Page {
    Page { code: 302, title: "", length: 0, header: "Server", location: Some(location) }
}

/// A measurement in the making.
pub struct World {
    input: String,
    queries: Vec<Value>,
    dials: Vec<Value>,
    shakes: Vec<Value>,
    fetches: Vec<Value>,
    control: Value,
    control_failure: Value,
    failure: Value,
    next: i64,
}

/// Null for an empty text, else the text.
fn or_null(failure: &str) -> Value {
    if failure.is_empty() { Value::Null } else { failure.into() }
}

fn tags(depth: u16, transaction: i64) -> Value {
    json!({"tags": [format!("depth={depth}")], "transaction_id": transaction, "t0": 0.1, "t": 0.2})
}

fn with(mut row: Value, more: &Value) -> Value {
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more.clone());
    }
    row
}

impl World {
    pub fn new(input: &str) -> Self {
        let control = json!({"tcp_connect": {}, "tls_handshake": {}, "quic_handshake": {}, "dns": {"failure": null, "addrs": []},
            "http_request": {"failure": null, "body_length": 1_533, "status_code": 200, "title": SITE.title,
                "headers": {"Alt-Svc": "h3", "Content-Length": "1533"}}});
        Self {
            input: input.into(),
            queries: Vec::new(),
            dials: Vec::new(),
            shakes: Vec::new(),
            fetches: Vec::new(),
            control,
            control_failure: Value::Null,
            failure: Value::Null,
            next: 0,
        }
    }

    fn transaction(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// What a resolver says of a name: an address, or (behind `!`) how it fails.
    fn query(&mut self, depth: u16, engine: &str, host: &str, says: &str) {
        let resolver = match engine {
            "udp" => "1.1.1.1:53",
            "doh" => "https://dns.google/dns-query",
            _ => "",
        };
        let failure = says.strip_prefix('!').unwrap_or_default();
        let answers: Vec<Value> =
            if failure.is_empty() { vec![json!({"answer_type": "A", "ipv4": says})] } else { Vec::new() };
        let kind = if engine == "getaddrinfo" { "ANY" } else { "A" };
        let transaction = self.transaction();
        let row = json!({"engine": engine, "hostname": host, "query_type": kind, "failure": or_null(failure), "answers": answers,
            "resolver_address": resolver});
        self.queries.push(with(row, &tags(depth, transaction)));
    }

    /// The system's resolver, and the two others.
    pub fn names(mut self, host: &str, system: &str, others: &str) -> Self {
        self.query(0, "getaddrinfo", host, system);
        self.query(0, "udp", host, others);
        self.query(0, "doh", host, others);
        self
    }

    /// The same on a redirect, where only the system's resolver and one over UDP are asked.
    pub fn names_at(mut self, depth: u16, host: &str, system: &str, other: &str) -> Self {
        self.query(depth, "getaddrinfo", host, system);
        self.query(depth, "udp", host, other);
        self
    }

    fn dial(&mut self, depth: u16, ip: &str, port: u16, failure: &str, transaction: i64) {
        let status = json!({"failure": or_null(failure), "success": failure.is_empty()});
        self.dials.push(with(json!({"ip": ip, "port": port, "status": status}), &tags(depth, transaction)));
    }

    /// A TLS handshake after a connection that stood, or (behind `tcp:`) did not.
    fn tls(&mut self, depth: u16, ip: &str, name: &str, failure: &str) -> i64 {
        let transaction = self.transaction();
        if let Some(failure) = failure.strip_prefix("tcp:") {
            self.dial(depth, ip, 443, failure, transaction);
            return transaction;
        }
        self.dial(depth, ip, 443, "", transaction);
        let row = json!({"network": "tcp", "address": format!("{ip}:443"), "server_name": name, "no_tls_verify": false,
            "failure": or_null(failure), "peer_certificates": []});
        self.shakes.push(with(row, &tags(depth, transaction)));
        transaction
    }

    fn fetch(&mut self, depth: u16, ip: &str, url: &str, page: Result<Page, &str>, transaction: i64) {
        let port = if url.starts_with("https") { 443 } else { 80 };
        let response = page.map_or_else(
            |_| json!({}),
            |page| {
                let body = format!(
                    "<title>{}</title>{}",
                    page.title,
                    "x".repeat(page.length.saturating_sub(15 + page.title.len()))
                );
                let location = page.location.map_or(json!([]), |to| json!([["Location", to]]));
                let mut headers = vec![json!([page.header, "1"])];
                headers.extend(location.as_array().cloned().unwrap_or_default());
                json!({"code": page.code, "body": body, "headers_list": headers})
            },
        );
        let row = json!({"network": "tcp", "address": format!("{ip}:{port}"), "failure": or_null(page.err().unwrap_or_default()),
            "request": {"url": url, "method": "GET"}, "response": response});
        self.fetches.insert(0, with(row, &tags(depth, transaction)));
    }

    /// An address of an `https://` URL: how the handshake ends, and the page, if it is asked for here.
    pub fn https(mut self, depth: u16, ip: &str, url: &str, handshake: &str, page: Option<Result<Page, &str>>) -> Self {
        let host = url.split('/').nth(2).unwrap_or_default().to_owned();
        let transaction = self.tls(depth, ip, &host, handshake);
        if let Some(page) = page {
            self.fetch(depth, ip, url, page, transaction);
        }
        self
    }

    /// An address of an `http://` URL: how the connection ends, the page, and how the handshake beside it ends.
    pub fn http(mut self, depth: u16, ip: &str, url: &str, page: Result<Page, &str>, handshake: &str) -> Self {
        let authority = url.split('/').nth(2).unwrap_or_default();
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        let transaction = self.transaction();
        let failure = page.err().and_then(|failure| failure.strip_prefix("tcp:"));
        self.dial(depth, ip, port.parse().unwrap_or(80), failure.unwrap_or_default(), transaction);
        if failure.is_none() && page.err() != Some("not asked") {
            self.fetch(depth, ip, url, page, transaction);
        }
        if port == "80" {
            self.tls(depth, ip, host, handshake);
        }
        self
    }

    /// What the test helper's resolver says.
    pub fn helper_names(mut self, addresses: &[&str], failure: &str) -> Self {
        self.control["dns"] = json!({"failure": or_null(failure), "addrs": addresses});
        self
    }

    /// How the test helper's connection to an address ends.
    pub fn helper_at(mut self, endpoint: &str, tcp: &str, tls: Option<&str>) -> Self {
        self.control["tcp_connect"][endpoint] = json!({"status": tcp.is_empty(), "failure": or_null(tcp)});
        if let Some(tls) = tls {
            self.control["tls_handshake"][endpoint] =
                json!({"server_name": "x", "status": tls.is_empty(), "failure": or_null(tls)});
        }
        self
    }

    /// The test helper sees a site at that address, by both ports.
    pub fn helper_sees(self, ip: &str) -> Self {
        self.helper_names(&[ip], "").helper_at(&format!("{ip}:443"), "", Some("")).helper_at(
            &format!("{ip}:80"),
            "",
            None,
        )
    }

    /// How the test helper's request fails.
    pub fn helper_page(mut self, failure: &str) -> Self {
        self.control["http_request"] = json!({"failure": failure, "body_length": -1, "status_code": -1, "title": ""});
        self
    }

    /// The test helper is not reached.
    pub fn no_helper(mut self, failure: &str) -> Self {
        self.control = Value::Null;
        self.control_failure = failure.into();
        self
    }

    /// What the test as a whole failed by.
    pub fn ends(mut self, failure: &str) -> Self {
        self.failure = failure.into();
        self
    }

    /// The measurement.
    pub fn json(self) -> Value {
        json!({
            "test_name": "web_connectivity", "test_version": "0.5.28", "data_format_version": "0.2.0", "input": self.input,
            "measurement_start_time": "2026-02-03 04:05:06", "test_start_time": "2026-02-03 04:05:00", "test_runtime": 1.0,
            "probe_asn": "AS64500", "probe_cc": "IT", "report_id": "", "software_name": "ooniprobe", "software_version": "3.22.0",
            "test_helpers": {"backend": {"address": "https://th.example/", "type": "https"}},
            "test_keys": {"queries": self.queries, "tcp_connect": self.dials, "tls_handshakes": self.shakes, "requests": self.fetches,
                "control": self.control, "control_failure": self.control_failure, "http_experiment_failure": self.failure}
        })
    }
}
