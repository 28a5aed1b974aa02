//! A censor's view of TLS: the server name in the first bytes that a client sends.
//!
//! Written for the testbed alone and on purpose not shared with `crates/wire`: the judge must not share the mistakes of
//! the judged. It reads as far as the bytes go, so that a name in the first of two segments is found at once.

/// What the first bytes of a client's stream say.
#[derive(Debug, PartialEq, Eq)]
pub enum Hello {
    /// A `ClientHello` with this server name, in lower case.
    Name(String),
    /// No name, or no TLS at all; more bytes will not change that.
    Nameless,
    /// So far it looks like a `ClientHello`; the name may still come.
    Unfinished,
}

/// TLS record type of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
/// Handshake type of a `ClientHello` (RFC 8446, section 4).
const CLIENT_HELLO: u8 = 0x01;
/// Extension `server_name` (RFC 6066, section 3).
const SERVER_NAME: u16 = 0x0000;
/// The only kind of name that there is (RFC 6066, section 3).
const HOST_NAME: u8 = 0x00;

/// Reads the start of a TCP stream.
pub fn read(stream: &[u8]) -> Hello {
    let handshake = join_records(stream);
    match server_name(&mut Bytes(&handshake.bytes)) {
        Ok(Some(name)) => Hello::Name(name),
        Ok(None) | Err(Stop::NoHello) => Hello::Nameless,
        Err(Stop::Short) if handshake.broken => Hello::Nameless,
        Err(Stop::Short) => Hello::Unfinished,
    }
}

/// Why reading ended before the answer was known.
#[derive(Debug)]
enum Stop {
    Short,
    NoHello,
}

/// Handshake bytes out of however many records they were cut into.
struct Joined {
    bytes: Vec<u8>,
    /// Something that is no handshake record follows: no more handshake bytes will come.
    broken: bool,
}

fn join_records(mut stream: &[u8]) -> Joined {
    let mut joined = Joined { bytes: Vec::with_capacity(stream.len()), broken: false };
    while let Some(&kind) = stream.first() {
        if kind != HANDSHAKE || stream.get(1).is_some_and(|major| *major != 0x03) {
            joined.broken = true;
            break;
        }
        let Some(length) = stream.get(3..5) else { break };
        let end = 5 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        joined.bytes.extend_from_slice(&stream[5..end.min(stream.len())]);
        stream = stream.get(end..).unwrap_or(&[]);
    }
    joined
}

fn server_name(bytes: &mut Bytes<'_>) -> Result<Option<String>, Stop> {
    if bytes.u8()? != CLIENT_HELLO {
        return Err(Stop::NoHello);
    }
    bytes.skip(3 + 2 + 32)?; // length, legacy version, random
    bytes.skip_vector_8()?; // session id
    bytes.skip_vector_16()?; // cipher suites
    bytes.skip_vector_8()?; // compression methods
    let mut left = usize::from(bytes.u16()?);
    while left >= 4 {
        let (kind, length) = (bytes.u16()?, bytes.u16()?);
        left = left.saturating_sub(4 + usize::from(length));
        if kind == SERVER_NAME {
            return host_name(bytes).map(Some);
        }
        bytes.skip(usize::from(length))?;
    }
    Ok(None)
}

fn host_name(bytes: &mut Bytes<'_>) -> Result<String, Stop> {
    bytes.u16()?; // length of the list, of which only the first entry is read
    if bytes.u8()? != HOST_NAME {
        return Err(Stop::NoHello);
    }
    let length = usize::from(bytes.u16()?);
    Ok(String::from_utf8_lossy(bytes.take(length)?).to_ascii_lowercase())
}

/// A cursor that says when the bytes end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Stop::Short)?;
        self.0 = tail;
        Ok(head)
    }

    fn skip(&mut self, count: usize) -> Result<(), Stop> {
        self.take(count).map(drop)
    }

    fn u8(&mut self) -> Result<u8, Stop> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn skip_vector_8(&mut self) -> Result<(), Stop> {
        let length = usize::from(self.u8()?);
        self.skip(length)
    }

    fn skip_vector_16(&mut self) -> Result<(), Stop> {
        let length = usize::from(self.u16()?);
        self.skip(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
    }

    fn name_extension(name: &str) -> Vec<u8> {
        let length = u16::try_from(name.len()).unwrap();
        let list = [&(length + 3).to_be_bytes()[..], &[HOST_NAME], &length.to_be_bytes(), name.as_bytes()].concat();
        extension(SERVER_NAME, &list)
    }

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let total = u16::try_from(extensions.len()).unwrap();
        let mut body = vec![0x03, 0x03];
        body.extend([0x5a; 32]);
        body.extend([4, 1, 2, 3, 4]); // session id
        body.extend([0, 4, 0x13, 0x01, 0x13, 0x02]); // cipher suites
        body.extend([1, 0]); // compression
        body.extend(total.to_be_bytes());
        body.extend(extensions);
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[CLIENT_HELLO], &length[1..], &body].concat()
    }

    fn record(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap();
        [&[HANDSHAKE, 0x03, 0x01], &length.to_be_bytes()[..], bytes].concat()
    }

    fn padded_hello() -> Vec<u8> {
        hello(&[extension(0x0015, &[0; 40]), name_extension("X.com"), extension(0x0033, &[7; 1200])].concat())
    }

    #[test]
    fn the_name_is_found_in_lower_case_behind_other_extensions() {
        assert_eq!(read(&record(&padded_hello())), Hello::Name("x.com".into()));
    }

    #[test]
    fn every_cut_before_the_name_ends_asks_for_more_and_every_later_one_finds_it() {
        let stream = record(&padded_hello());
        let end = stream.windows(5).position(|w| w == b"X.com").unwrap() + 5;
        for cut in 0..stream.len() {
            let wanted = if cut < end { Hello::Unfinished } else { Hello::Name("x.com".into()) };
            assert_eq!(read(&stream[..cut]), wanted, "cut at {cut}");
        }
    }

    #[test]
    fn a_hello_cut_into_many_records_is_joined() {
        let stream: Vec<u8> = padded_hello().chunks(64).flat_map(record).collect();
        assert_eq!(read(&stream), Hello::Name("x.com".into()));
    }

    #[test]
    fn a_hello_without_a_name_is_nameless() {
        assert_eq!(read(&record(&hello(&extension(0x0033, &[7; 20])))), Hello::Nameless);
    }

    #[test]
    fn what_is_not_tls_is_nameless() {
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Hello::Nameless);
        assert_eq!(read(&record(&[0x02; 60])), Hello::Nameless);
    }

    #[test]
    fn a_truncated_hello_followed_by_another_record_is_nameless() {
        let mut stream = record(&padded_hello()[..60]);
        stream.extend([0x15, 0x03, 0x03, 0, 2, 1, 0]);
        assert_eq!(read(&stream), Hello::Nameless);
    }
}
