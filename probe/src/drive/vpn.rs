//! First messages to tunnels' servers: sent as often as the protocol's own clients send them, until an answer or the end of
//! patience. No key is used but the static one that the user may give; what follows the first answer of `OpenVPN`'s servers is
//! another module's.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use faultline_record::{Failure, NotRun, Outcome, Vpn, VpnAnswer, VpnProof, VpnProtocol};
use faultline_wire::openvpn;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use super::datagram::Datagram;
use super::openvpn::Wrapper;
use super::openvpn_talk::{Frames, Known, Line, Talk};
use super::tap::Tapped;
use super::tcp::{Admission, Waited};
use super::{Drive, Fault, errno};

/// When a message that is not answered is sent again, after the first: `OpenVPN` 2.6's server answers each and repeats
/// nothing (vpn reference, section 3.1).
pub(super) const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(7)];
/// Octets of noise sent first in disguise: shorter than any message of either protocol.
const NOISE: usize = 9;
/// Where a message over TCP is cut in disguise: after its length. `OpenVPN`'s servers take that, and no cut after one octet
/// (vpn reference, finding 9).
pub(crate) const CUT: usize = 2;
/// What printable octets are made of.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// The head of a TLS record with a handshake (RFC 8446 section 5.1), longer than what follows it.
const TLS_HEAD: [u8; 5] = [0x16, 0x03, 0x01, 0x02, 0x00];
/// The pause between both parts, so that they are segments of their own.
pub(super) const BETWEEN: Duration = Duration::from_millis(50);
/// Room for a datagram.
pub(super) const DATAGRAM: usize = 2_048;

/// How the first message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstMessage {
    /// As clients do.
    #[default]
    Plain,
    /// Behind a datagram of noise; over TCP in two parts.
    Disguised,
    /// Not at all: other octets in its place, as many. Over TCP only, where it shows that a server lives when it closes.
    Instead(Shape),
}

/// What octets look like that are no message of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing that anybody knows.
    Random,
    /// Letters and digits.
    Printable,
    /// The head of a TLS handshake record, and noise behind it.
    Tls,
}

impl Shape {
    pub(super) fn octets(self, count: usize) -> Vec<u8> {
        let noise = (0..count).map(|_| rand::random::<u8>());
        match self {
            Self::Random => noise.collect(),
            Self::Printable => noise.map(|octet| LETTERS[usize::from(octet) % LETTERS.len()]).collect(),
            Self::Tls => TLS_HEAD.into_iter().chain(noise).take(count).collect(),
        }
    }
}

/// The end of an exchange.
#[derive(Debug)]
pub struct Exchange {
    /// How it ended.
    pub outcome: Outcome,
    /// Whose words came with a failure.
    pub detail: Option<String>,
    /// What was seen.
    pub seen: Vpn,
}

impl Exchange {
    /// One that was not begun.
    pub fn not_run(protocol: VpnProtocol, reason: NotRun) -> Self {
        Self { outcome: Outcome::NotRun(reason), detail: None, seen: Vpn::planned(protocol) }
    }
}

/// A message, and how its answer is known.
enum Question {
    Openvpn { session: [u8; 8], wrapper: Wrapper },
    Datagram(Datagram),
}

impl Question {
    /// A new one: nobody who has not seen it can answer.
    fn new(protocol: VpnProtocol, port: u16, known: &Known<'_>) -> Self {
        match Datagram::new(protocol, port, known.public) {
            Some(datagram) => Self::Datagram(datagram),
            None => Self::Openvpn { session: rand::random(), wrapper: Wrapper::new(known.wrap()) },
        }
    }

    fn datagram(&mut self) -> Vec<u8> {
        match self {
            Self::Openvpn { session, wrapper } => wrapper.reset(*session),
            Self::Datagram(datagram) => datagram.message().to_vec(),
        }
    }

    /// When it is sent again.
    fn again(&self) -> &'static [Duration] {
        match self {
            Self::Openvpn { .. } => &AGAIN,
            Self::Datagram(datagram) => datagram.again(),
        }
    }

    /// What is sent to who has answered, and waited for no more.
    fn farewell(&self, answer: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Openvpn { .. } => None,
            Self::Datagram(datagram) => datagram.farewell(answer),
        }
    }

    /// What follows an answer, where TLS can.
    fn talk(self, answer: &[u8]) -> Option<Talk> {
        match self {
            Self::Openvpn { session, wrapper } => {
                let reset = wrapper.plain(answer)?;
                Talk::behind(&reset, session, wrapper)
            }
            Self::Datagram(_) => None,
        }
    }

    fn read(&self, message: &[u8]) -> VpnAnswer {
        match self {
            Self::Openvpn { session, wrapper } => {
                match wrapper.plain(message).map(|plain| openvpn::answer(&plain, *session)) {
                    Some(openvpn::Answer::Reset) => VpnAnswer::ServerReset,
                    Some(openvpn::Answer::Other) | None => VpnAnswer::Other,
                }
            }
            Self::Datagram(datagram) => datagram.read(message),
        }
    }
}

impl Drive {
    /// Asks a server over UDP, from a port of its own.
    pub async fn tunnel_by_udp(
        &self,
        _admission: Admission,
        address: SocketAddr,
        protocol: VpnProtocol,
        first: FirstMessage,
        deadline: Duration,
        known: &Known<'_>,
    ) -> Exchange {
        super::stays_here(address.ip());
        self.meter().connection();
        let mut seen = Vpn { key: known.standing(), ..Vpn::planned(protocol) };
        let question = Question::new(protocol, address.port(), known);
        let asked = self.ask_tunnel(address, question, (first, known), deadline, &mut seen).await;
        ended(asked, seen, deadline)
    }

    async fn ask_tunnel(
        &self,
        address: SocketAddr,
        mut question: Question,
        (first, known): (FirstMessage, &Known<'_>),
        deadline: Duration,
        seen: &mut Vpn,
    ) -> io::Result<bool> {
        let socket = connected(address).await?;
        if first == FirstMessage::Disguised {
            self.meter().sent(socket.send(&noise()).await?);
        }
        let (message, start) = (question.datagram(), Instant::now());
        self.meter().sent(socket.send(&message).await?);
        let mut buffer = [0; DATAGRAM];
        let again = question.again().iter().copied();
        for wait in again.filter(|again| *again < deadline).chain([deadline]) {
            while let Ok(received) = timeout_at(start + wait, socket.recv(&mut buffer)).await {
                let length = received?;
                self.meter().received(length);
                seen.bytes_received += length as u64;
                let answer = question.read(&buffer[..length]);
                if answer != VpnAnswer::Other || seen.answer.is_none() {
                    seen.answer = Some(answer);
                }
                if answer != VpnAnswer::Other {
                    seen.proof = Some(VpnProof::FirstAnswer);
                    if let Some(farewell) = question.farewell(&buffer[..length]) {
                        self.meter().sent(socket.send(&farewell).await?);
                    }
                    return match question.talk(&buffer[..length]).filter(|_| first == FirstMessage::Plain) {
                        Some(talk) => {
                            let line = Line::Datagrams { socket: &socket, meter: self.meter() };
                            self.talk(line, talk, known, deadline, seen).await
                        }
                        None => Ok(true),
                    };
                }
            }
            if wait < deadline {
                self.meter().sent(socket.send(&message).await?);
            }
        }
        Ok(false)
    }

    /// Asks `OpenVPN`'s server over a fresh connection.
    pub async fn tunnel_by_tcp(
        &self,
        mut stream: Tapped,
        first: FirstMessage,
        deadline: Duration,
        known: &Known<'_>,
    ) -> Exchange {
        let mut seen = Vpn { key: known.standing(), ..Vpn::planned(VpnProtocol::OpenvpnTcp) };
        let question = Question::new(VpnProtocol::OpenvpnTcp, 0, known);
        let tap = stream.tap();
        let mut frames = Frames::over(&mut stream);
        let asked = match timeout(deadline, ask_by_tcp(&mut frames, question, first, &mut seen)).await {
            Ok(Ok(Some(talk))) => self.talk(Line::Stream(frames), talk, known, deadline, &mut seen).await,
            Ok(Ok(None)) => Ok(seen.proof.is_some()),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(false),
        };
        seen.bytes_received = tap.passed().received;
        if tap.passed().ended && seen.bytes_received == 0 {
            let closed = Fault::new(Outcome::Failed(Failure::EofError), "the server closed the connection");
            return Exchange { outcome: closed.outcome, detail: closed.detail, seen };
        }
        ended(asked, seen, deadline)
    }
}

async fn ask_by_tcp(
    frames: &mut Frames<'_>,
    mut question: Question,
    first: FirstMessage,
    seen: &mut Vpn,
) -> io::Result<Option<Talk>> {
    let frame = openvpn::framed(&question.datagram());
    match first {
        FirstMessage::Plain => frames.stream().write_all(&frame).await?,
        FirstMessage::Instead(shape) => frames.stream().write_all(&shape.octets(frame.len())).await?,
        FirstMessage::Disguised => {
            frames.stream().write_all(&frame[..CUT]).await?;
            tokio::time::sleep(BETWEEN).await;
            frames.stream().write_all(&frame[CUT..]).await?;
        }
    }
    let Some(message) = frames.next().await? else {
        seen.answer = (frames.has_heard()).then_some(VpnAnswer::Other);
        return Ok(None);
    };
    let answer = question.read(&message);
    seen.answer = Some(answer);
    if answer == VpnAnswer::Other {
        return Ok(None);
    }
    seen.proof = Some(VpnProof::FirstAnswer);
    Ok(question.talk(&message).filter(|_| first == FirstMessage::Plain))
}

/// Other octets in the place of a first message, and how many come back; none where the server closes.
pub(super) async fn instead<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, octets: &[u8]) -> io::Result<usize> {
    stream.write_all(octets).await?;
    stream.read(&mut [0; DATAGRAM]).await
}

/// A socket of its own. Connected, so that it is told of ICMP errors.
pub(super) async fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// A datagram of noise. The upper bits are set, and the lowest: the opcode, the message type and the version of no protocol here.
pub(super) fn noise() -> [u8; NOISE] {
    rand::random::<[u8; NOISE]>().map(|octet| octet | 0xc1)
}

pub(super) fn ended(asked: io::Result<bool>, seen: Vpn, deadline: Duration) -> Exchange {
    let fault = match asked {
        Ok(true) => {
            let seen = Vpn { proof: seen.proof.or(Some(VpnProof::FirstAnswer)), ..seen };
            return Exchange { outcome: Outcome::Ok, detail: None, seen };
        }
        Ok(false) if seen.proof.is_some() => {
            Fault::new(Outcome::Failed(Failure::GenericTimeoutError), "answered, and silent to what followed")
        }
        Ok(false) if seen.answer.is_some() => {
            Fault::new(Outcome::Failed(Failure::UnexpectedResponse), "no answer of the protocol")
        }
        Ok(false) => Fault::new(Outcome::Failed(Failure::GenericTimeoutError), Waited(deadline)),
        Err(error) => Fault::new(errno::outcome(&error), error),
    };
    Exchange { outcome: fault.outcome, detail: fault.detail, seen }
}
