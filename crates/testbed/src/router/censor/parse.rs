//! What a censor reads of DNS queries and HTTP requests. Written for the testbed alone, as [`super::super::client_hello`].

/// A DNS query's first question (RFC 1035, section 4.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name in lower case, without the last dot.
    pub name: String,
    /// The record type.
    pub kind: u16,
    /// The identifier of the query.
    id: [u8; 2],
    /// The question as it stands in the query.
    bytes: &'a [u8],
}

/// Length of the header of a DNS message.
const DNS_HEADER: usize = 12;

/// Reads a query; `None` for an answer and for what is no DNS.
pub fn question(message: &[u8]) -> Option<Question<'_>> {
    let is_query = message.get(2)? & 0x80 == 0 && message.get(4..6)? == [0, 1];
    let (mut at, mut labels) = (DNS_HEADER, Vec::new());
    while let length @ 1.. = usize::from(*message.get(at)?) {
        labels.push(String::from_utf8_lossy(message.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
        at += 1 + length;
    }
    let kind = message.get(at + 1..at + 3)?;
    let bytes = message.get(DNS_HEADER..at + 5)?;
    let kind = u16::from_be_bytes([kind[0], kind[1]]);
    is_query.then(|| Question { name: labels.join("."), kind, id: [message[0], message[1]], bytes })
}

impl Question<'_> {
    /// An answer to it: a response code (RFC 1035, section 4.1.1) and the addresses that are of the type asked for.
    pub fn answer(&self, rcode: u8, addresses: &[std::net::IpAddr]) -> Vec<u8> {
        let records: Vec<Vec<u8>> = addresses.iter().filter_map(|address| self.record(*address)).collect();
        let count = u8::try_from(records.len()).unwrap_or(u8::MAX);
        // Response, recursion desired and available; one question, so many answers.
        let header = [self.id[0], self.id[1], 0x81, 0x80 | rcode, 0, 1, 0, count, 0, 0, 0, 0];
        [&header[..], self.bytes, &records.concat()].concat()
    }

    fn record(&self, address: std::net::IpAddr) -> Option<Vec<u8>> {
        let (kind, data) = match address {
            std::net::IpAddr::V4(v4) => (1, v4.octets().to_vec()),
            std::net::IpAddr::V6(v6) => (28, v6.octets().to_vec()),
        };
        let length = u8::try_from(data.len()).ok()?;
        // The name by a pointer to the question, class IN, 300 s.
        let head = [0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 1, 0x2c, 0, length];
        (u16::from(kind) == self.kind).then(|| [&head[..], &data].concat())
    }
}

/// The head of an HTTP/1 request: its target and its `Host`, as far as they have come.
pub fn request(stream: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(stream);
    let target = text.lines().next()?.split(' ').nth(1)?.to_owned();
    let host = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim().to_ascii_lowercase())
    });
    text.contains("\r\n\r\n").then(|| (target, host.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Vec<u8> {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x01X\x03com\x00\x00\x01\x00\x01");
        query
    }

    #[test]
    fn the_name_and_the_type_of_a_query_are_read_and_every_truncation_is_none() {
        let query = query();
        let read = question(&query).unwrap();
        assert_eq!((read.name.as_str(), read.kind), ("x.com", 1));
        for cut in 0..query.len() {
            assert_eq!(question(&query[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn an_answer_has_the_records_of_the_type_asked_for() {
        let (query, addresses) = (query(), ["10.10.34.35".parse().unwrap(), "::1".parse().unwrap()]);
        let answer = question(&query).unwrap().answer(0, &addresses);
        assert_eq!(&answer[..8], &[7, 9, 0x81, 0x80, 0, 1, 0, 1]);
        assert!(answer.ends_with(&[0, 4, 10, 10, 34, 35]));
        assert_eq!(question(&answer), None, "an answer is no query");
    }

    #[test]
    fn a_request_is_read_when_its_head_is_whole() {
        let head = b"GET /a?b HTTP/1.1\r\nUser-Agent: t\r\nHOST: X.com\r\n\r\n";
        assert_eq!(request(head), Some(("/a?b".into(), "x.com".into())));
        assert_eq!(request(&head[..30]), None);
    }
}
