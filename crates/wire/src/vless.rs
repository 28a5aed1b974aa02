//! VLESS: a client's first octets within TLS, and the head of the server's (the protocol's own page, "VLESS"; sizes as in the vpn
//! reference, section 3.9).

use alloc::vec::Vec;

/// The protocol's version.
const VERSION: u8 = 0;
/// The request for a connection over TCP, and the kind of address that is a name.
const CONNECT: u8 = 1;
const NAME: u8 = 2;

/// A client's request for a connection with a host, by its name; `None` if the name is empty or longer than its length can say.
pub fn request(id: &[u8; 16], host: &str, port: u16) -> Option<Vec<u8>> {
    let length = u8::try_from(host.len()).ok().filter(|length| *length > 0)?;
    let mut request = [VERSION].to_vec();
    request.extend_from_slice(id);
    // Nothing is added.
    request.extend_from_slice(&[0, CONNECT]);
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&[NAME, length]);
    request.extend_from_slice(host.as_bytes());
    Some(request)
}

/// What a server's first octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Too few to tell.
    More,
    /// A head of so many octets, behind which data begins.
    Of(usize),
    /// No head of the protocol's.
    Other,
}

/// Reads the head of a server's octets: version, and what is added behind its length.
pub fn head(octets: &[u8]) -> Head {
    match *octets {
        [VERSION, length, ..] if octets.len() >= 2 + usize::from(length) => Head::Of(2 + usize::from(length)),
        [] | [VERSION, ..] => Head::More,
        _ => Head::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_identifier_and_where_to() {
        let request = request(&[7; 16], "x.example", 443).unwrap();
        let expected = [&[0][..], &[7; 16], b"\0\x01\x01\xbb\x02\x09x.example"].concat();
        assert_eq!(request, expected);
        let long = core::str::from_utf8(&[b'a'; 256]).unwrap();
        assert!(super::request(&[7; 16], "", 1).is_none() && super::request(&[7; 16], long, 1).is_none());
    }

    #[test]
    fn a_head_is_read_with_what_is_added_and_every_truncation_is_waited_for() {
        assert_eq!(head(&[0, 0, 22]), Head::Of(2));
        let whole = [0, 3, 1, 2, 3];
        assert_eq!(head(&whole), Head::Of(5));
        for cut in 0..whole.len() {
            assert_eq!(head(&whole[..cut]), Head::More, "cut at {cut}");
        }
        assert_eq!((head(b"HTTP"), head(&[1])), (Head::Other, Head::Other));
    }
}
