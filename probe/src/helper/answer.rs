//! From what the helper's own steps saw to its answer: a pure function.

use std::collections::BTreeSet;
use std::net::IpAddr;

use faultline_record::{Http, NotRun, Observation, Outcome, Purpose, QueryType, Step};

use super::message::{HEADERS, HelperAddress, HelperAnswer, HelperNames, HelperPage, Origin, SCHEMA, StepEnd};

/// Characters of a title that are passed on.
const TITLE: usize = 200;
/// Bytes of a redirect's destination that are passed on: RFC 9110, 4.1 asks for support of 8000 in a URI; hosts and
/// paths that tell a block page from a site are far shorter.
const LOCATION: usize = 2_000;
/// Characters of a header's name that are passed on; those in IANA's registry are shorter.
const HEADER: usize = 64;

/// The answer from the rows of a survey: those for the helper's own addresses are `main`, the client's `comparison`.
pub(super) fn answer(rows: &[Observation]) -> HelperAnswer {
    HelperAnswer {
        schema: SCHEMA.to_owned(),
        dns: names(rows),
        addresses: connections(rows),
        http: rows.iter().find_map(page),
    }
}

fn names(rows: &[Observation]) -> HelperNames {
    let lookups = || rows.iter().filter_map(|row| Some((row, row.dns()?)));
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in lookups().flat_map(|(_, dns)| dns.addresses()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let of_type = |query_type| lookups().find(|(_, dns)| dns.query_type == query_type).map(|(row, _)| row.outcome);
    let failed = of_type(QueryType::A).or_else(|| of_type(QueryType::Aaaa)).unwrap_or(Outcome::Ok);
    HelperNames { failure: StepEnd(if addresses.is_empty() { failed } else { Outcome::Ok }), addresses }
}

fn connections(rows: &[Observation]) -> Vec<HelperAddress> {
    let has_tunnel = rows.iter().any(|row| row.vpn().is_some());
    // A tunnel over TCP has both rows: the tunnel's says how it ended.
    let is_one = |row: &&Observation| match row.step() {
        Step::Tcp => !has_tunnel,
        step => matches!(step, Step::Quic | Step::Vpn),
    };
    let made = rows.iter().filter(is_one);
    made.filter_map(|row| {
        if row.step() != Step::Tcp {
            return Some(by_one_step(row, ending(row, rows), row.address?, row.port?));
        }
        let of_connection = |other: &&Observation| other.step() == Step::Tls && other.connection == row.connection;
        let tls = rows.iter().filter(|other| other.connection.is_some()).find(of_connection);
        let tls = tls.map_or(Outcome::NotRun(NotRun::NotNeeded), |row| row.outcome);
        Some(HelperAddress {
            address: row.address?,
            port: row.port?,
            from: origin(row),
            tcp: StepEnd(row.outcome),
            tls: StepEnd(tls),
            verified: tls.is_ok(),
        })
    })
    .collect()
}

/// QUIC is a handshake from the first packet on, and a tunnel's first message counts as one.
fn by_one_step(row: &Observation, end: Outcome, address: IpAddr, port: u16) -> HelperAddress {
    let (tcp, tls) = (StepEnd(Outcome::NotRun(NotRun::NotNeeded)), StepEnd(end));
    HelperAddress { address, port, from: origin(row), tcp, tls, verified: end.is_ok() }
}

/// How a step ended; one that was not made because of another before it, as that one did.
fn ending(row: &Observation, rows: &[Observation]) -> Outcome {
    let is_before = |other: &&Observation| other.connection == row.connection && row.connection.is_some();
    let failed = || rows.iter().filter(is_before).rev().find(|other| other.outcome.failure().is_some());
    match row.outcome {
        Outcome::NotRun(NotRun::PreviousStepFailed) => failed().map_or(row.outcome, |other| other.outcome),
        outcome => outcome,
    }
}

fn origin(row: &Observation) -> Origin {
    if row.purpose == Purpose::Main { Origin::Helper } else { Origin::Client }
}

fn page(row: &Observation) -> Option<HelperPage> {
    let http = row.http()?;
    row.connection?;
    Some(HelperPage {
        address: row.address,
        status: http.status,
        title: http.body.as_deref().and_then(title),
        body_length: http.body_length,
        failure: StepEnd(row.outcome),
        location: http.header("location").map(|location| cut(location, LOCATION)),
        headers: header_names(http),
    })
}

fn header_names(http: &Http) -> Vec<String> {
    let names: BTreeSet<String> =
        http.headers.iter().map(|(name, _)| cut(&name.to_ascii_lowercase(), HEADER)).collect();
    names.into_iter().take(HEADERS).collect()
}

/// The text of the first `<title>`, on one line.
pub(super) fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    // ASCII only changes case byte for byte, so that places in one are places in the other.
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let open = start + lower[start..].find('>')? + 1;
    let close = open + lower[open..].find("</title")?;
    let words = text[open..close].split_whitespace().collect::<Vec<_>>().join(" ");
    (!words.is_empty()).then(|| cut(&words, TITLE))
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_found_in_any_case_and_put_on_one_line() {
        let of = |body: &str| title(body.as_bytes());
        assert_eq!(of("<HTML><Title lang=en>\n Site\t of  all </TITLE>").as_deref(), Some("Site of all"));
        assert_eq!(of("<title>caf\u{e9} \u{130}</title>").as_deref(), Some("caf\u{e9} \u{130}"));
        assert_eq!(of("<title></title>"), None);
        assert_eq!(of("<title>never closed"), None);
        assert_eq!(of(&format!("<title>{}</title>", "x".repeat(900))).unwrap().len(), TITLE);
    }

    #[test]
    fn bytes_that_are_no_text_are_no_title_and_no_harm() {
        assert_eq!(title(&[0xff, 0xfe, 0x3c]), None);
        assert_eq!(title(b"<title>\xff</title>").as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn names_of_headers_are_told_once_and_not_without_end() {
        let header = |name: &str| (name.to_owned(), "secret".to_owned());
        let http = Http { headers: ["X-Cache", "x-cache", "via"].map(header).to_vec(), ..Http::default() };
        assert_eq!(header_names(&http), ["via", "x-cache"]);
        let many = Http { headers: (0..90).map(|n| header(&format!("x-{n}"))).collect(), ..Http::default() };
        assert_eq!(header_names(&many).len(), HEADERS);
    }

    #[test]
    fn nothing_seen_is_an_empty_answer() {
        let empty = answer(&[]);
        assert_eq!((empty.dns.failure.0, empty.addresses.len(), empty.http), (Outcome::Ok, 0, None));
    }
}
