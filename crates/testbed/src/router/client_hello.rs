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
/// Extension `encrypted_client_hello` (RFC 9849).
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
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

/// Reads the start of a handshake that is in no records: that of QUIC (RFC 9001 section 4).
pub fn read_handshake(bytes: &[u8]) -> Hello {
    match server_name(&mut Bytes(bytes)) {
        Ok(Some(name)) => Hello::Name(name),
        Ok(None) | Err(Stop::NoHello) => Hello::Nameless,
        Err(Stop::Short) => Hello::Unfinished,
    }
}

/// What else a whole `ClientHello` shows of its client.
#[derive(Debug, PartialEq, Eq)]
pub struct Traits {
    /// Whether it has the extension `encrypted_client_hello`.
    pub ech: bool,
    /// Its cipher suites, in its order.
    pub cipher_suites: Vec<u16>,
}

/// The traits of the `ClientHello` at the start of a TCP stream; `None` while it is not whole.
pub fn traits(stream: &[u8]) -> Option<Traits> {
    let handshake = join_records(stream);
    let mut bytes = Bytes(&handshake.bytes);
    bytes.skip(1 + 3 + 2 + 32).ok()?;
    bytes.vector_8().ok()?;
    let suites = bytes.vector_16().ok()?;
    bytes.vector_8().ok()?;
    let mut extensions = Bytes(bytes.vector_16().ok()?);
    let mut ech = false;
    while let Ok(kind) = extensions.u16() {
        ech |= kind == ENCRYPTED_CLIENT_HELLO;
        extensions.vector_16().ok()?;
    }
    let cipher_suites = suites.chunks_exact(2).map(|suite| u16::from_be_bytes([suite[0], suite[1]])).collect();
    Some(Traits { ech, cipher_suites })
}

/// Why reading ended before the answer was known.
#[derive(Debug)]
pub enum Stop {
    /// The bytes end.
    Short,
    /// It is no greeting.
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
    bytes.vector_8()?; // session id
    bytes.vector_16()?; // cipher suites
    bytes.vector_8()?; // compression methods
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
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next octets.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Stop::Short)?;
        self.0 = tail;
        Ok(head)
    }

    fn skip(&mut self, count: usize) -> Result<(), Stop> {
        self.take(count).map(drop)
    }

    /// The next octet.
    pub fn u8(&mut self) -> Result<u8, Stop> {
        self.take(1).map(|b| b[0])
    }

    /// The next two octets.
    pub fn u16(&mut self) -> Result<u16, Stop> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    /// A vector behind its length in one octet.
    pub fn vector_8(&mut self) -> Result<&'a [u8], Stop> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }

    /// A vector behind its length in two octets.
    pub fn vector_16(&mut self) -> Result<&'a [u8], Stop> {
        let length = usize::from(self.u16()?);
        self.take(length)
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
    fn traits_are_those_of_the_whole_greeting() {
        let plain = record(&padded_hello());
        assert_eq!(traits(&plain), Some(Traits { ech: false, cipher_suites: vec![0x1301, 0x1302] }));
        let hidden = record(&hello(&[extension(0x0015, &[0; 40]), extension(0xfe0d, &[1; 90])].concat()));
        assert!(traits(&hidden).unwrap().ech);
        assert_eq!(traits(&hidden[..hidden.len() - 1]), None);
    }

    #[test]
    fn a_handshake_without_records_has_its_name_too() {
        assert_eq!(read_handshake(&padded_hello()), Hello::Name("x.com".into()));
        assert_eq!(read_handshake(&padded_hello()[..60]), Hello::Unfinished);
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
