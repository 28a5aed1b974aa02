//! The control channel of `OpenVPN` behind the server's reset, as a machine without socket or clock: TLS in numbered packets,
//! acknowledged and sent again, up to the end of the handshake, and what is said within it after that.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use faultline_wire::openvpn_control::{ACKS, PAYLOAD, packet, read, with_key};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

/// Packets that may come before their turn; a server sends a handful.
const EARLY: usize = 32;
/// Octets that a server may say within TLS before they are read.
const LONGEST: usize = 16 << 10;
/// The number of the first packet behind the reset.
const FIRST: u32 = 1;

/// The client's side.
pub(super) struct Control {
    tls: ClientConnection,
    ours: [u8; 8],
    theirs: [u8; 8],
    /// Sent and not acknowledged.
    unconfirmed: BTreeMap<u32, Vec<u8>>,
    next: u32,
    acks: Vec<u32>,
    /// Acknowledged last: said again with each packet, since the first time may be lost, and a server that keeps no state
    /// until then knows its own reset by it.
    recent: Vec<u32>,
    /// Came before its turn.
    early: BTreeMap<u32, Vec<u8>>,
    expected: u32,
    has_failed: bool,
    /// Said within TLS and not spent.
    heard: Vec<u8>,
    /// Octets of the wrapped key that goes along with the first packet.
    key: Option<usize>,
}

impl Control {
    /// After the resets of both, each of which was packet 0. `None` if TLS cannot be set up.
    pub(super) fn new(config: ClientConfig, name: ServerName<'static>, ours: [u8; 8], theirs: [u8; 8]) -> Option<Self> {
        let tls = ClientConnection::new(Arc::new(config), name).ok()?;
        let (unconfirmed, early) = (BTreeMap::new(), BTreeMap::new());
        Some(Self {
            tls,
            ours,
            theirs,
            unconfirmed,
            next: FIRST,
            acks: vec![0],
            recent: Vec::new(),
            early,
            expected: 1,
            has_failed: false,
            heard: Vec::new(),
            key: None,
        })
    }

    /// The same, with room for the wrapped key of so many octets in the first packet.
    pub(super) fn showing_key(self, octets: usize) -> Self {
        Self { key: Some(octets), ..self }
    }

    /// What is to be sent now.
    pub(super) fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut octets = Vec::new();
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut octets).is_err() {
                break;
            }
        }
        let mut packets = Vec::new();
        let is_first = self.next == FIRST;
        let room = if is_first { PAYLOAD.saturating_sub(self.key.unwrap_or(0)).max(1) } else { PAYLOAD };
        let (first, rest) = octets.split_at(octets.len().min(room));
        for payload in first.chunks(PAYLOAD).chain(rest.chunks(PAYLOAD)) {
            self.unconfirmed.insert(self.next, payload.to_vec());
            packets.push(self.packet(Some((self.next, payload))));
            self.next += 1;
        }
        while !self.acks.is_empty() {
            packets.push(self.packet(None));
        }
        packets
    }

    /// What was not acknowledged, once more.
    pub(super) fn again(&mut self) -> Vec<Vec<u8>> {
        let unconfirmed = self.unconfirmed.clone();
        unconfirmed.iter().map(|(number, payload)| self.packet(Some((*number, payload)))).collect()
    }

    fn packet(&mut self, carried: Option<(u32, &[u8])>) -> Vec<u8> {
        let mut acks: Vec<u32> = self.acks.drain(..self.acks.len().min(ACKS)).collect();
        for ack in std::mem::take(&mut self.recent) {
            if acks.len() < ACKS && !acks.contains(&ack) {
                acks.push(ack);
            }
        }
        self.recent.clone_from(&acks);
        let is_first = carried.is_some_and(|(number, _)| number == FIRST);
        let packet = packet(self.ours, self.theirs, &acks, carried);
        if is_first && self.key.is_some() { with_key(packet) } else { packet }
    }

    /// Takes a message; whether it was the server's, of this session.
    pub(super) fn incoming(&mut self, message: &[u8]) -> bool {
        let Some(packet) = read(message).filter(|packet| packet.session == self.theirs) else { return false };
        self.unconfirmed.retain(|number, _| !packet.acks.contains(number));
        if let Some((number, payload)) = packet.carried {
            self.acks.push(number);
            if number >= self.expected && self.early.len() < EARLY {
                self.early.insert(number, payload.to_vec());
            }
            while let Some(payload) = self.early.remove(&self.expected) {
                self.expected += 1;
                self.feed(&payload);
            }
        }
        true
    }

    fn feed(&mut self, mut payload: &[u8]) {
        while !payload.is_empty() && !self.has_failed {
            let is_taken = self.tls.read_tls(&mut payload).is_ok_and(|taken| taken > 0);
            self.has_failed = !is_taken || self.tls.process_new_packets().is_err();
            // What is there can be read: an error only says that there is no more.
            let _ =
                self.tls.reader().take(LONGEST.saturating_sub(self.heard.len()) as u64).read_to_end(&mut self.heard);
        }
    }

    /// Says something within TLS, once its handshake has ended.
    pub(super) fn say(&mut self, words: &[u8]) {
        self.has_failed |= self.tls.writer().write_all(words).is_err();
    }

    /// What the server has said within TLS and nobody has spent.
    pub(super) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// So many octets of it were read.
    pub(super) fn spend(&mut self, octets: usize) {
        self.heard.drain(..octets.min(self.heard.len()));
    }

    /// Octets that both sides have from TLS (RFC 5705); `None` before its handshake has ended.
    pub(super) fn export<const N: usize>(&self, label: &[u8]) -> Option<[u8; N]> {
        self.tls.export_keying_material([0; N], label, None).ok()
    }

    /// The sessions, ours and the server's.
    pub(super) fn sessions(&self) -> [[u8; 8]; 2] {
        [self.ours, self.theirs]
    }

    /// Whether the handshake has ended: the server holds the key of the certificate that it showed.
    pub(super) fn is_done(&self) -> bool {
        !self.tls.is_handshaking()
    }

    /// Whether the server has said anything in TLS, be it not enough.
    pub(super) fn has_heard(&self) -> bool {
        self.expected > 1 || !self.early.is_empty()
    }

    /// Whether TLS has failed. The server spoke all the same.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }
}

#[cfg(test)]
mod tests {
    use rustls::{RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    const OURS: [u8; 8] = [1; 8];
    const THEIRS: [u8; 8] = [2; 8];

    fn both() -> (Control, ServerConnection) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let made = rcgen::generate_simple_self_signed(vec!["vpn.example".to_owned()]).unwrap();
        let (chain, key) = (vec![made.cert.der().clone()], made.signing_key.serialize_der().try_into().unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(chain[0].clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let name = ServerName::try_from("vpn.example").unwrap();
        (Control::new(client, name, OURS, THEIRS).unwrap(), ServerConnection::new(Arc::new(server)).unwrap())
    }

    /// What the server says to these packets: its flight in small packets, from this number on.
    fn answers(server: &mut ServerConnection, packets: &[Vec<u8>], first: u32) -> Vec<Vec<u8>> {
        let mut acks = Vec::new();
        for packet in packets {
            let Some((number, mut payload)) = read(packet).unwrap().carried else { continue };
            acks.push(number);
            server.read_tls(&mut payload).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        let carry = |(number, payload): (u32, &[u8])| packet(THEIRS, OURS, &acks, Some((number, payload)));
        (first..).zip(flight.chunks(200)).map(carry).collect()
    }

    #[test]
    fn a_handshake_ends_although_packets_come_in_the_wrong_order_and_twice() {
        let (mut control, mut server) = both();
        let hello = control.outgoing();
        assert_eq!(read(&hello[0]).unwrap().acks, [0], "the server's reset is acknowledged");
        let again = control.again();
        assert_eq!(again.len(), hello.len(), "it is sent again as long as nobody says that it came");
        assert_eq!(read(&again[0]).unwrap().acks, [0], "and with it the acknowledgment, which may be lost as well");
        let mut flight = answers(&mut server, &hello, 1);
        assert!(flight.len() > 2);
        flight.reverse();
        let twice = flight[0].clone();
        for message in flight.iter().chain([&twice]) {
            assert!(control.incoming(message));
        }
        assert!(control.has_heard() && control.is_done() && !control.has_failed() && control.again().is_empty());
        let acknowledged: Vec<u32> = control.outgoing().iter().flat_map(|one| read(one).unwrap().acks).collect();
        assert!((1..).zip(&flight).all(|(number, _)| acknowledged.contains(&number)), "{acknowledged:?}");
    }

    #[test]
    fn behind_the_handshake_both_sides_are_heard_and_have_the_same_octets() {
        let (mut control, mut server) = both();
        let flight = answers(&mut server, &control.outgoing(), 1);
        let next = u32::try_from(flight.len()).unwrap() + 1;
        assert!(flight.iter().all(|message| control.incoming(message)));
        control.say(b"ours");
        server.writer().write_all(b"theirs").unwrap();
        for message in answers(&mut server, &control.outgoing(), next) {
            control.incoming(&message);
        }
        let mut said = [0; 4];
        server.reader().read_exact(&mut said).unwrap();
        assert_eq!((&said, control.heard()), (b"ours", &b"theirs"[..]));
        control.spend(2);
        assert_eq!(control.heard(), b"eirs");
        let exported: [u8; 9] = server.export_keying_material([0; 9], b"label", None).unwrap();
        assert_eq!(control.export(b"label"), Some(exported));
        assert_eq!(control.sessions(), [OURS, THEIRS]);
    }

    #[test]
    fn the_first_packet_leaves_room_for_the_key_that_goes_along_and_says_so_each_time() {
        let (control, mut server) = both();
        let mut control = control.showing_key(PAYLOAD - 90);
        let hello = control.outgoing();
        let opcodes = |packets: &[Vec<u8>]| packets.iter().map(|packet| packet[0]).collect::<Vec<_>>();
        assert!(opcodes(&hello).starts_with(&[0x58, 0x20]), "{:?}", opcodes(&hello));
        assert!(hello[0].len() <= 100 + 40);
        assert_eq!(opcodes(&control.again()), opcodes(&hello));
        let plain: Vec<Vec<u8>> = hello.iter().map(|packet| [&[0x20], &packet[1..]].concat()).collect();
        assert!(answers(&mut server, &plain, 1).len() > 1, "the server has the whole of it");
    }

    #[test]
    fn packets_of_nobody_s_change_nothing_and_no_tls_is_a_failure() {
        let (mut control, _) = both();
        assert!(!control.incoming(&packet([3; 8], OURS, &[], Some((1, &[0; 9])))), "another session");
        assert!(!control.incoming(&[]) && !control.has_failed() && !control.has_heard());
        assert!(control.incoming(&packet(THEIRS, OURS, &[], Some((1, b"HTTP/1.1 200 OK")))));
        assert!(control.has_failed() && !control.is_done());
    }
}
