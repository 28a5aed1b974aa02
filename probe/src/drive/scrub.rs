//! The vantage's own addresses are not stored: they are taken out of everything that a peer may have echoed.
//!
//! Known are the addresses of our own sockets. Behind a NAT the public address is not known to us; against that stand
//! the headers that exist to echo it (scrubbed wholly), every global address in any other header, and every global
//! address in the query of a redirect. What remains is a body that prints a public address which is none of our own
//! sockets': it cannot be told from any other address and is kept.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use faultline_record::is_bogon;

/// What stands where an address stood.
pub const SCRUBBED: &str = "[scrubbed]";

/// Headers whose whole purpose is to tell who asked.
const ECHOES: [&str; 14] = [
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "remote-addr",
    "true-client-ip",
    "x-client-ip",
    "x-client-ips",
    "x-forwarded",
    "x-forwarded-for",
    "x-original-forwarded-for",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
];

/// Headers that say where to go next: their addresses are evidence (a redirect to a block page), but not their queries.
const PLACES: [&str; 5] = ["location", "content-location", "refresh", "link", "alt-svc"];

/// Takes a vantage's addresses out of what is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrubber {
    own: Option<IpAddr>,
}

impl Scrubber {
    /// A scrubber for a connection from this local address. A private one tells nobody anything and is left.
    pub fn new(local: Option<SocketAddr>) -> Self {
        Self { own: local.map(|local| local.ip().to_canonical()).filter(|&address| !is_bogon(address)) }
    }

    /// A header's value, fit to be kept. The name is in lower case.
    pub fn header(&self, name: &str, value: &[u8]) -> String {
        if ECHOES.contains(&name) {
            return SCRUBBED.to_owned();
        }
        let value = String::from_utf8_lossy(value);
        if PLACES.contains(&name) {
            return self.place(&value);
        }
        replace(&value, &|address| !is_bogon(address)).into_owned()
    }

    /// A URL or what holds one, fit to be kept: global addresses are taken out from the first `?` on.
    pub fn place(&self, text: &str) -> String {
        let query = text.find('?').unwrap_or(text.len());
        let (before, after) = text.split_at(query);
        let before = self.text(before);
        let after = replace(after, &|address| !is_bogon(address));
        format!("{before}{after}")
    }

    /// Any text, without our own address.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.own {
            Some(own) => replace(text, &|address| address.to_canonical() == own),
            None => Cow::Borrowed(text),
        }
    }

    /// A body, without our own address.
    pub fn body(&self, body: Vec<u8>) -> Vec<u8> {
        match self.own {
            Some(own) => replace_bytes(&body, &|address| address.to_canonical() == own).unwrap_or(body),
            None => body,
        }
    }
}

fn replace<'a>(text: &'a str, unwanted: &dyn Fn(IpAddr) -> bool) -> Cow<'a, str> {
    match replace_bytes(text.as_bytes(), unwanted) {
        // Only whole runs of ASCII were taken out and put in: what is left is UTF-8 still.
        Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        None => Cow::Borrowed(text),
    }
}

/// The bytes with every unwanted literal address replaced; `None` when there is none.
fn replace_bytes(bytes: &[u8], unwanted: &dyn Fn(IpAddr) -> bool) -> Option<Vec<u8>> {
    let mut kept: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|&&byte| is_part(byte)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        if let Some((from, to)) = find_literal(&bytes[at..at + length], unwanted) {
            let kept = kept.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
            kept.extend_from_slice(&bytes[copied..at + from]);
            kept.extend_from_slice(SCRUBBED.as_bytes());
            copied = at + to;
            // The rest of the run may hold it once more.
            at += to;
            continue;
        }
        at += length;
    }
    if let Some(kept) = &mut kept {
        kept.extend_from_slice(&bytes[copied..]);
    }
    kept
}

/// What a literal address is written with; the dash stands for the dot in names made of addresses (`1-2-3-4.isp.net`).
const fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'-')
}

/// Colons and dashes in a run beyond which no address is looked for: two of IPv6 with their ports have eighteen.
const MARKS: usize = 24;

/// The first unwanted address in a run of such bytes: the run itself without marks around it, or what stands between two of
/// its colons or dashes (`IP:8.8.8.8:443`). The longest comes first.
fn find_literal(run: &[u8], unwanted: &dyn Fn(IpAddr) -> bool) -> Option<(usize, usize)> {
    let whole = std::str::from_utf8(run).ok()?;
    let text = whole.trim_end_matches(['.', '-']);
    let before = text.len() - text.trim_start_matches(['.', '-']).len();
    let text = &text[before..];
    // A dash stands between two addresses as well: `192.0.2.1-192.0.2.9`.
    let marks = [':', '-'];
    // The shortest is `::`; the longest has 45 bytes, and room for marks and a port.
    let is_long = !(2..=64).contains(&text.len()) || text.matches(marks).count() > MARKS;
    if is_long || !text.contains(['.', ':', '-']) {
        return None;
    }
    let starts = std::iter::once(0).chain(text.match_indices(marks).map(|(at, _)| at + 1));
    let ends = || {
        let marked = text.rmatch_indices(marks).map(|(at, _)| at);
        std::iter::once(text.len()).chain(marked).chain(dash_run(text))
    };
    let pieces = starts.flat_map(|start| ends().map(move |end| (start, end)));
    let found = pieces.filter(|(start, end)| start < end).find(|&(start, end)| {
        let literal = &text[start..end];
        let address = literal.parse().or_else(|_| literal.replace('-', ".").parse::<IpAddr>());
        address.is_ok_and(unwanted)
    });
    found.map(|(start, end)| (before + start, before + end))
}

/// Where four numbers with dashes between them end, when a dot and more follow.
fn dash_run(text: &str) -> Option<usize> {
    let end = text.find('.')?;
    (text[..end].matches('-').count() == 3).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Scrubber {
        Scrubber::new(Some(SocketAddr::new(address.parse().unwrap(), 4711)))
    }

    #[test]
    fn our_own_address_is_taken_out_of_a_body_in_every_spelling() {
        let four = from("8.8.4.4");
        for (given, wanted) in [
            ("Your IP is 8.8.4.4.", "Your IP is [scrubbed]."),
            ("8.8.4.4:51234, and 8.8.4.45", "[scrubbed]:51234, and 8.8.4.45"),
            ("ip='8.8.4.4'", "ip='[scrubbed]'"),
            ("IP:8.8.4.4:443", "IP:[scrubbed]:443"),
            ("host 8-8-4-4.dsl.example", "host [scrubbed].dsl.example"),
            ("18.8.4.4 8.8.4 8.8.8.8", "18.8.4.4 8.8.4 8.8.8.8"),
            ("::ffff:8.8.4.4", "[scrubbed]"),
            ("8.8.4.4::8.8.4.4:443", "[scrubbed]::[scrubbed]:443"),
            ("8.8.4.1-8.8.4.4, 8.8.4.4-8.8.4.4", "8.8.4.1-[scrubbed], [scrubbed]-[scrubbed]"),
        ] {
            assert_eq!(String::from_utf8(four.body(given.into())).unwrap(), wanted);
        }
        let six = from("2001:4860:4860::8844");
        for text in ["2001:4860:4860::8844", "2001:4860:4860:0:0:0:0:8844", "[2001:4860:4860:0000::8844]:443"] {
            let scrubbed = six.text(text);
            assert!(scrubbed.contains(SCRUBBED) && !scrubbed.contains("8844"), "{text} became {scrubbed}");
        }
    }

    #[test]
    fn a_line_of_dashes_hides_nothing() {
        let line = "-".repeat(100);
        assert_eq!(from("8.8.4.4").text(&format!("{line}8.8.4.4{line}")), format!("{line}[scrubbed]{line}"));
    }

    #[test]
    fn a_body_that_is_all_marks_is_looked_through_in_time() {
        let run = format!("{} ", "1-".repeat(23) + "1:1.1.1.1");
        let body = run.repeat(256 * 1024 / run.len()).into_bytes();
        let start = std::time::Instant::now();
        assert_eq!(from("8.8.4.4").body(body.clone()), body);
        assert_eq!(from("8.8.4.4").body(vec![b'-'; 256 * 1024]).len(), 256 * 1024);
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    }

    #[test]
    fn a_body_that_is_no_text_is_left_as_it_is() {
        let body = vec![0xff, b'1', 0xfe, b'8', b'.', 0x00];
        assert_eq!(from("8.8.4.4").body(body.clone()), body);
    }

    #[test]
    fn a_private_address_is_left() {
        assert_eq!(from("192.168.1.7").text("you are 192.168.1.7"), "you are 192.168.1.7");
    }

    #[test]
    fn headers_that_echo_the_client_are_scrubbed_wholly_and_others_of_global_addresses() {
        let nat = from("192.168.1.7");
        assert_eq!(nat.header("x-client-ip", b"unknown"), SCRUBBED);
        assert_eq!(nat.header("set-cookie", b"geo=8.8.4.4|PK; path=/"), "geo=[scrubbed]|PK; path=/");
        assert_eq!(nat.header("content-type", b"text/html"), "text/html");
        assert_eq!(nat.header("server", b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn where_a_redirect_leads_is_kept_but_not_what_it_says_about_us() {
        let nat = from("192.168.1.7");
        let given = b"http://10.10.34.35/block?ip=8.8.4.4&url=x.com";
        assert_eq!(nat.header("location", given), "http://10.10.34.35/block?ip=[scrubbed]&url=x.com");
        assert_eq!(nat.header("location", b"http://1.0.0.7/"), "http://1.0.0.7/");
    }
}
