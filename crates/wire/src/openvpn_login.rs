//! What `OpenVPN`'s sides say within the TLS of their control channel: the exchange of random octets and of the login ("key method
//! 2"), and the server's configuration or its refusal (draft-openvpn-wire-protocol, sections 6 and 7; texts as `OpenVPN`
//! 2.6.14 sends them). Keys are made of it elsewhere.

use alloc::string::String;
use alloc::vec::Vec;

/// Octets of a client's first secret.
pub const PRE_MASTER: usize = 48;
/// Octets of each of the two random values of a side.
pub const RANDOM: usize = 32;
/// What both sides' messages begin with: four zero octets, and the number of the method.
const HEAD: [u8; 5] = [0, 0, 0, 0, 2];
/// Longer texts are of nobody's: a message of the control channel begins with a letter, which as the upper half of a length would be
/// more than this.
const LONGEST: u16 = 0x2000;
/// What a client says of its own options. Servers compare it with theirs and go on either way.
const OPTIONS: &str = "V4,dev-type tun,tun-mtu 1500,key-method 2,tls-client";
/// What a client says of itself: its ciphers, and by bits that it takes data with a peer's id (2), exports keys from TLS (8), has a
/// word at its end (128); what we do not do is not said.
const PEER: &str = "IV_VER=2.6.14\nIV_PLAT=linux\nIV_TCPNL=1\nIV_MTU=1600\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\n";
const DATA_V2: u16 = 2;
const KEY_EXPORT: u16 = 8;
const EXIT_WORD: u16 = 128;
/// A client's wish for its configuration.
pub const PUSH_REQUEST: &[u8] = b"PUSH_REQUEST\0";
/// A client's word at its end, to servers that know it.
pub const EXIT: &[u8] = b"EXIT\0";

/// The random octets of a client.
pub struct Randoms<'a> {
    /// The first secret.
    pub pre_master: &'a [u8; PRE_MASTER],
    /// Two values, which the server has as well.
    pub random: &'a [[u8; RANDOM]; 2],
}

/// A client's message. `login` is a user's name and password; `exports` whether keys from TLS's exporter are taken.
pub fn client(randoms: &Randoms<'_>, login: Option<(&[u8], &[u8])>, exports: bool) -> Vec<u8> {
    let mut message = HEAD.to_vec();
    message.extend_from_slice(randoms.pre_master);
    message.extend_from_slice(&randoms.random.concat());
    push_text(&mut message, OPTIONS.as_bytes());
    match login {
        Some((name, password)) => {
            push_text(&mut message, name);
            push_text(&mut message, password);
        }
        None => message.extend_from_slice(&[0; 4]),
    }
    let bits = DATA_V2 | EXIT_WORD | if exports { KEY_EXPORT } else { 0 };
    push_text(&mut message, alloc::format!("{PEER}IV_PROTO={bits}\n").as_bytes());
    message
}

/// A text behind its length, with the zero octet at its end. What is longer than any name or password is cut.
fn push_text(message: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(usize::from(LONGEST) - 2)];
    // At most [`LONGEST`].
    message.extend_from_slice(&u16::try_from(text.len() + 1).unwrap_or(0).to_be_bytes());
    message.extend_from_slice(text);
    message.push(0);
}

/// What the start of a server's octets is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<T> {
    /// Too few to tell.
    More,
    /// This, of so many octets.
    This(T, usize),
    /// No such message.
    Other,
}

/// A server's message: its two random values.
pub fn server(octets: &[u8]) -> Said<[[u8; RANDOM]; 2]> {
    if !octets.starts_with(&HEAD[..octets.len().min(HEAD.len())]) {
        return Said::Other;
    }
    let Some((random, mut rest)) = octets.get(HEAD.len()..).and_then(|rest| rest.split_first_chunk::<{ 2 * RANDOM }>())
    else {
        return Said::More;
    };
    let mut values = [[0; RANDOM]; 2];
    values[0].copy_from_slice(&random[..RANDOM]);
    values[1].copy_from_slice(&random[RANDOM..]);
    // Its options are there always; then come texts, mostly empty, up to the first message of the control channel.
    let mut is_first = true;
    while let Some(&[high, low]) = rest.first_chunk() {
        let length = u16::from_be_bytes([high, low]);
        if length >= LONGEST {
            break;
        }
        let Some(after) = rest.get(2 + usize::from(length)..) else { return Said::More };
        (rest, is_first) = (after, false);
    }
    if is_first { Said::More } else { Said::This(values, octets.len() - rest.len()) }
}

/// A message of the control channel of a server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// It has configured the client.
    Pushed(Pushed),
    /// A part of the configuration; more follows.
    PushedMore(Pushed),
    /// It refuses the login.
    Refused,
    /// Anything else: news, demands.
    Other,
}

/// What a client is configured with, as far as data needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The cipher's name.
    pub cipher: Option<String>,
    /// The number that the server knows the client by.
    pub peer: Option<u32>,
    /// Whether keys come from TLS's exporter.
    pub exports: bool,
    /// Whether the server knows the word at the end.
    pub exit: bool,
    /// Whether each packet begins with an octet that says how it is compressed (`comp-lzo`).
    pub is_marked: bool,
    /// The client's address within the tunnel.
    pub address: Option<[u8; 4]>,
    /// The server's.
    pub gateway: Option<[u8; 4]>,
}

impl Pushed {
    /// With what a later part says, which holds where both say something.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            cipher: later.cipher.or(self.cipher),
            peer: later.peer.or(self.peer),
            exports: later.exports || self.exports,
            exit: later.exit || self.exit,
            is_marked: later.is_marked || self.is_marked,
            address: later.address.or(self.address),
            gateway: later.gateway.or(self.gateway),
        }
    }
}

/// Reads a message, which ends with a zero octet.
pub fn control(octets: &[u8]) -> Said<Control> {
    let Some(length) = octets.iter().position(|octet| *octet == 0) else {
        return if octets.len() < usize::from(LONGEST) { Said::More } else { Said::Other };
    };
    let text = core::str::from_utf8(&octets[..length]).unwrap_or_default();
    let said = match text.split_once(',').unwrap_or((text, "")) {
        ("PUSH_REPLY", options) if options.ends_with("push-continuation 2") => Control::PushedMore(pushed(options)),
        ("PUSH_REPLY", options) => Control::Pushed(pushed(options)),
        ("AUTH_FAILED", _) => Control::Refused,
        _ => Control::Other,
    };
    Said::This(said, length + 1)
}

fn pushed(options: &str) -> Pushed {
    let mut pushed = Pushed::default();
    let mut second = None;
    for option in options.split(',') {
        let mut words = option.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let mut values = words.clone();
        match (name, words.next()) {
            ("cipher", Some(cipher)) => pushed.cipher = Some(cipher.into()),
            ("peer-id", Some(number)) => pushed.peer = number.parse().ok().filter(|number| *number < 1 << 24),
            ("key-derivation", Some("tls-ekm")) => pushed.exports = true,
            ("protocol-flags", Some(_)) => {
                pushed.exports |= values.clone().any(|flag| flag == "tls-ekm");
                pushed.exit |= values.any(|flag| flag == "cc-exit");
            }
            ("comp-lzo", _) => pushed.is_marked = true,
            ("route-gateway", Some(address)) => pushed.gateway = ipv4(address),
            ("ifconfig", Some(address)) => {
                pushed.address = ipv4(address);
                second = words.next().and_then(ipv4).filter(|second| second[0] != 255);
            }
            _ => {}
        }
    }
    // Without a subnet the second address is the other end.
    pushed.gateway = pushed.gateway.or(second);
    pushed
}

fn ipv4(text: &str) -> Option<[u8; 4]> {
    text.parse::<core::net::Ipv4Addr>().ok().map(|address| address.octets())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// As `OpenVPN` 2.6.14 has sent it.
    const REPLY: &[u8] = b"PUSH_REPLY,route-gateway 10.8.1.1,topology subnet,ping 2,ping-restart 10,ifconfig 10.8.1.2 \
        255.255.255.0,peer-id 7,cipher AES-256-GCM,protocol-flags cc-exit tls-ekm dyn-tls-crypt,tun-mtu 1500\0";

    #[test]
    fn a_client_s_message_has_its_secrets_first_and_then_its_texts() {
        let randoms = Randoms { pre_master: &[1; 48], random: &[[2; 32], [3; 32]] };
        let message = client(&randoms, Some((b"user", b"word")), true);
        assert_eq!(message[..6], [0, 0, 0, 0, 2, 1]);
        assert_eq!(message[53..118], [&[2; 32][..], &[3; 32], &[0]].concat());
        let at = 117 + 2 + OPTIONS.len() + 1;
        assert_eq!(message[at..at + 14], *b"\0\x05user\0\0\x05word\0");
        assert!(message.ends_with(b"IV_PROTO=138\n\0"));
        let without = client(&randoms, None, false);
        assert_eq!(without[at..at + 4], [0; 4]);
        assert!(without.ends_with(b"IV_PROTO=130\n\0"));
        let long = client(&randoms, Some((&vec![b'a'; 70_000], b"")), false);
        assert!(long.len() < usize::from(LONGEST) + 600, "what is too long is cut");
    }

    #[test]
    fn a_server_s_message_is_read_with_or_without_what_follows_and_every_truncation_is_waited_for() {
        let message = [&HEAD[..], &[8; 32], &[9; 32], b"\0\x03V4\0", &[0; 6]].concat();
        let whole = Said::This([[8; 32], [9; 32]], message.len());
        assert_eq!(server(&message), whole);
        assert_eq!(server(&[&message[..], REPLY].concat()), whole, "the next message is not a part of it");
        for cut in 0..message.len() - 6 {
            assert_eq!(server(&message[..cut]), Said::More, "cut at {cut}");
        }
        assert_eq!(server(b"HTTP/1.1 200 OK"), Said::Other);
    }

    #[test]
    fn a_configuration_is_read_and_every_truncation_is_waited_for() {
        let expected = Pushed {
            cipher: Some("AES-256-GCM".into()),
            peer: Some(7),
            exports: true,
            exit: true,
            is_marked: false,
            address: Some([10, 8, 1, 2]),
            gateway: Some([10, 8, 1, 1]),
        };
        assert_eq!(control(REPLY), Said::This(Control::Pushed(expected), REPLY.len()));
        for cut in 0..REPLY.len() {
            assert_eq!(control(&REPLY[..cut]), Said::More, "cut at {cut}");
        }
        let older = b"PUSH_REPLY,ifconfig 10.8.0.6 10.8.0.5,comp-lzo no,peer-id 16777216,key-derivation tls-ekm\0";
        let Said::This(Control::Pushed(older), _) = control(older) else { panic!("no configuration") };
        assert_eq!((older.gateway, older.peer, older.is_marked), (Some([10, 8, 0, 5]), None, true));
        assert!(older.exports && !older.exit);
    }

    #[test]
    fn parts_of_a_configuration_make_one_and_the_later_holds() {
        let read = |text: &[u8]| match control(text) {
            Said::This(Control::Pushed(pushed) | Control::PushedMore(pushed), _) => pushed,
            said => panic!("{said:?}"),
        };
        let first =
            read(b"PUSH_REPLY,cipher AES-128-GCM,peer-id 3,ifconfig 10.8.1.2 255.255.255.0,push-continuation 2\0");
        let both = first.and(read(
            b"PUSH_REPLY,route-gateway 10.8.1.1,cipher AES-256-GCM,protocol-flags tls-ekm,push-continuation 1\0",
        ));
        assert_eq!((both.cipher.as_deref(), both.peer), (Some("AES-256-GCM"), Some(3)));
        assert_eq!((both.address, both.gateway, both.exports), (Some([10, 8, 1, 2]), Some([10, 8, 1, 1]), true));
    }

    #[test]
    fn a_refusal_is_one_with_and_without_reasons_and_other_messages_are_others() {
        for (text, said) in [
            (&b"AUTH_FAILED\0"[..], Control::Refused),
            (b"AUTH_FAILED,TEMP[backoff 42]:full\0", Control::Refused),
            (b"PUSH_REPLY,route 10.0.0.0 255.0.0.0,push-continuation 2\0", Control::PushedMore(Pushed::default())),
            (b"INFO_PRE,hello\0", Control::Other),
            (b"\xff\0", Control::Other),
        ] {
            assert_eq!(control(text), Said::This(said, text.len()));
        }
        assert_eq!(control(&vec![b'a'; usize::from(LONGEST)]), Said::Other);
    }
}
