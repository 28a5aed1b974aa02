//! Trojan: what a client says first within TLS (the protocol's own page, "The Trojan Protocol"). There is no answer but the data of
//! whom it asks for; who does not know the password is led to a web site.

use alloc::vec::Vec;

/// Digits of the password's hash: 28 octets of SHA-224 in hexadecimal.
pub const HASH: usize = 56;
/// The request for a connection, and the kind of address that is a name (as in RFC 1928, sections 4 and 5).
const CONNECT: u8 = 1;
const NAME: u8 = 3;

/// A client's request for a connection with a host, by its name; `None` if the name is empty or longer than its length can say.
pub fn request(hash: &[u8; HASH], host: &str, port: u16) -> Option<Vec<u8>> {
    let length = u8::try_from(host.len()).ok().filter(|length| *length > 0)?;
    let mut request = hash.to_vec();
    request.extend_from_slice(&[b'\r', b'\n', CONNECT, NAME, length]);
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(b"\r\n");
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_hash_and_where_to() {
        let request = request(&[b'a'; HASH], "x.example", 443).unwrap();
        assert_eq!(request[..HASH], [b'a'; HASH]);
        assert_eq!(request[HASH..], *b"\r\n\x01\x03\x09x.example\x01\xbb\r\n");
    }

    #[test]
    fn a_name_that_has_no_length_is_none() {
        let long = core::str::from_utf8(&[b'a'; 256]).unwrap();
        assert!(request(&[0; HASH], "", 1).is_none() && request(&[0; HASH], long, 1).is_none());
        assert!(request(&[0; HASH], &long[1..], 1).is_some());
    }
}
