//! The head of an HTTP/1.1 response (RFC 9112 section 4), as far as a dialogue needs it.

use core::str;

/// Octets that a head may have: more than any server's of those that are asked here.
const LONGEST: usize = 16 * 1_024;

/// What octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head<'a> {
    /// Too few to tell.
    More,
    /// A response's head.
    Response(Response<'a>),
    /// Nothing of HTTP's.
    Other,
}

/// A response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// The status.
    pub(crate) status: u16,
    /// Octets of the head, the empty line included.
    pub(crate) length: usize,
    fields: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads it.
    pub(crate) fn read(heard: &'a [u8]) -> Self {
        let start = b"HTTP/1.";
        let seen = heard.len().min(start.len());
        if heard[..seen] != start[..seen] {
            return Self::Other;
        }
        let Some(end) = heard.windows(4).take(LONGEST).position(|octets| octets == b"\r\n\r\n") else {
            return if heard.len() < LONGEST { Self::More } else { Self::Other };
        };
        let status = heard.get(9..12).and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        let line = heard.iter().position(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        match status {
            Some(status @ 100..=599) if heard.get(8) == Some(&b' ') => Self::Response(Response {
                status,
                length: end + 4,
                fields: heard.get(line..end + 2).unwrap_or_default(),
            }),
            _ => Self::Other,
        }
    }
}

impl<'a> Response<'a> {
    /// The value of a field, its name compared without case.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.split(|octet| *octet == b'\n').find_map(|line| {
            let (own, value) = str::from_utf8(line).ok()?.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Octets that the body is said to have.
    pub(crate) fn body(&self) -> usize {
        self.field("content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_status_and_fields_and_every_truncation_is_waited_for() {
        let whole = b"HTTP/1.1 407 No\r\nVia: 1.1 a (squid)\r\nproxy-authenticate:Basic\r\nContent-Length: 5\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(Head::read(&whole[..cut]), Head::More, "cut at {cut}");
        }
        let Head::Response(head) = Head::read(whole) else { panic!("no head") };
        assert_eq!((head.status, head.length, head.body()), (407, whole.len(), 5));
        assert_eq!((head.field("VIA"), head.field("Proxy-Authenticate")), (Some("1.1 a (squid)"), Some("Basic")));
        assert_eq!(head.field("No"), None);
    }

    #[test]
    fn what_is_no_head_is_known_by_its_first_octets_or_its_length() {
        for odd in
            [&b"\x05\x00"[..], b"HTTQ", b"HTTP/1.1 4x7 No\r\n\r\n", b"HTTP/1.1 999 No\r\n\r\n", b"HTTP/1.1200\r\n\r\n"]
        {
            assert_eq!(Head::read(odd), Head::Other, "{odd:?}");
        }
        let mut long = b"HTTP/1.1 200 OK\r\n".to_vec();
        long.resize(LONGEST, b'a');
        assert_eq!(Head::read(&long), Head::Other);
    }
}
