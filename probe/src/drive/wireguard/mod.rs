//! `WireGuard`: a client's handshake with a server whose public key is known, and whether data passes after it. The Noise
//! protocol (`IKpsk2`) is `snow`'s; the frames are `wire`'s.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use blake2::digest::consts::U16;
use blake2::digest::{Digest, FixedOutput, KeyInit, Mac};
use blake2::{Blake2s256, Blake2sMac};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, Payload};
use faultline_record::{NotRun, Outcome, ServerKey, Vpn, VpnAnswer, VpnProof, VpnProtocol};
use faultline_wire::{echo, wireguard};
use snow::{HandshakeState, StatelessTransportState};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::Drive;
use super::tcp::Admission;
use super::vpn::{DATAGRAM, Exchange, FirstMessage, connected, ended, noise};
use crate::vpn_keys::WireguardKey;

/// The construction and the prologue (Donenfeld, section 5.4.1).
const CONSTRUCTION: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";
/// What the keys of codes and cookies are hashed with (section 5.4.4).
const LABEL_CODE: &[u8] = b"mac1----";
const LABEL_COOKIE: &[u8] = b"cookie--";
/// When a client begins anew, after the first time: every five seconds (section 6.4).
const AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(10)];
/// Between two time stamps: more than they are rounded by (2^24 ns), lest the second look like a repetition.
const STEP: Duration = Duration::from_millis(20);
/// A clock that is behind the last stamp by more was set back.
const SET_BACK: Duration = Duration::from_secs(1);
/// Packets with data, and the pause between them: ten show a filter that counts (vpn reference, section 3.2).
const PACKETS: u16 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// A server, and who asks it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The server's public key.
    pub server: ServerKey,
    /// The client's keys.
    pub key: Arc<WireguardKey>,
}

/// Time stamps of a run's handshakes: each later than the last, none in the future.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    last: Mutex<Duration>,
}

impl Stamps {
    /// The next one, once its time has come; `None` if the clock was set back.
    async fn next(&self) -> Option<[u8; wireguard::STAMP]> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let stamp = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if *last > now + SET_BACK {
                return None;
            }
            *last = now.max(*last + STEP);
            *last
        };
        tokio::time::sleep(stamp.saturating_sub(now)).await;
        Some(wireguard::stamp(stamp.as_secs(), stamp.subsec_nanos()))
    }
}

/// A first message that was sent.
struct Initiation {
    noise: HandshakeState,
    session: u32,
    code: [u8; wireguard::CODE],
    message: [u8; wireguard::INITIATION],
}

/// A handshake that was answered.
struct Session {
    noise: StatelessTransportState,
    /// What we call it.
    ours: u32,
    /// What the server calls it.
    theirs: u32,
}

/// What a datagram of the server's was.
enum Said {
    Response(Box<Session>),
    Cookie,
    Other,
}

impl Initiation {
    fn new(peer: &Peer, stamp: [u8; wireguard::STAMP]) -> Result<Self, snow::Error> {
        let without = [0; 32];
        let preshared = peer.key.preshared.as_ref().map_or(&without, |secret| secret.expose());
        let mut noise = snow::Builder::new(CONSTRUCTION.parse()?)
            .prologue(IDENTIFIER)?
            .local_private_key(peer.key.private.expose())?
            .remote_public_key(&peer.server.0)?
            .psk(2, preshared)?
            .build_initiator()?;
        let mut sealed = [0; wireguard::INITIATION_SEALED];
        noise.write_message(&stamp, &mut sealed)?;
        let session = rand::random();
        let mut message = wireguard::initiation(session, &sealed);
        let code = code(&peer.server, &message[..wireguard::SIGNED]);
        wireguard::sign(&mut message, code);
        Ok(Self { noise, session, code, message })
    }

    fn opens(&self, server: &ServerKey, nonce: &[u8; 24], sealed: &[u8; 32]) -> bool {
        let key = hash(LABEL_COOKIE, server);
        let sealed = Payload { msg: sealed, aad: &self.code };
        XChaCha20Poly1305::new(&key.into()).decrypt(nonce.into(), sealed).is_ok()
    }
}

impl Session {
    fn seal(&self, counter: u64, packet: &[u8]) -> Result<Vec<u8>, snow::Error> {
        let packet = wireguard::padded(packet);
        let mut sealed = vec![0; packet.len() + wireguard::CODE];
        self.noise.write_message(counter, &packet, &mut sealed)?;
        Ok(wireguard::data(self.theirs, counter, &sealed))
    }

    /// Whether a datagram is the server's, of this session.
    fn opens(&self, datagram: &[u8]) -> bool {
        let Some(wireguard::Message::Data { receiver, counter, sealed }) = wireguard::read(datagram) else {
            return false;
        };
        receiver == self.ours && self.noise.read_message(counter, sealed, &mut vec![0; sealed.len()]).is_ok()
    }
}

fn hash(label: &[u8], server: &ServerKey) -> [u8; 32] {
    Blake2s256::new().chain_update(label).chain_update(server.0).finalize().into()
}

/// The first code of a message for this server (section 5.4.4).
fn code(server: &ServerKey, message: &[u8]) -> [u8; wireguard::CODE] {
    let mut mac = <Blake2sMac<U16> as KeyInit>::new(&hash(LABEL_CODE, server).into());
    Mac::update(&mut mac, message);
    mac.finalize_fixed().into()
}

fn read(datagram: &[u8], server: &ServerKey, sent: &mut Vec<Initiation>) -> Said {
    match wireguard::read(datagram) {
        Some(wireguard::Message::Response { sender, receiver, sealed }) => {
            let Some(at) = sent.iter().position(|one| one.session == receiver) else { return Said::Other };
            if sent[at].noise.read_message(sealed, &mut []).is_err() {
                return Said::Other;
            }
            let one = sent.swap_remove(at);
            one.noise.into_stateless_transport_mode().map_or(Said::Other, |noise| {
                Said::Response(Box::new(Session { noise, ours: receiver, theirs: sender }))
            })
        }
        Some(wireguard::Message::Cookie { receiver, nonce, sealed }) => {
            let is_ours = |one: &Initiation| one.session == receiver && one.opens(server, nonce, sealed);
            if sent.iter().any(is_ours) { Said::Cookie } else { Said::Other }
        }
        Some(wireguard::Message::Data { .. }) | None => Said::Other,
    }
}

/// How a handshake ended that no error of the network ended.
enum End {
    /// Answered, and data passed where it was wanted.
    Had,
    /// Nothing, or nothing of the protocol; or data vanished.
    Not,
    /// This machine's clock went back.
    ClockWrong,
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// An answer to the handshake.
    pub answer: Duration,
    /// Data, once it was answered.
    pub data: Duration,
}

impl Drive {
    /// Asks a server of `WireGuard`'s for a handshake, from a port of its own, and sends data once it was had. A disguised
    /// question ends with the answer.
    pub async fn tunnel_by_wireguard(
        &self,
        _admission: Admission,
        address: SocketAddr,
        peer: &Peer,
        first: FirstMessage,
        patience: Patience,
    ) -> Exchange {
        super::stays_here(address.ip());
        self.meter().connection();
        let mut seen = Vpn { key: peer.key.standing, ..Vpn::planned(VpnProtocol::Wireguard) };
        match self.ask_wireguard(address, peer, first, patience, &mut seen).await {
            Ok(End::ClockWrong) => Exchange { outcome: Outcome::NotRun(NotRun::ClockWrong), detail: None, seen },
            Ok(End::Had) => ended(Ok(true), seen, patience.answer),
            Ok(End::Not) => ended(Ok(false), seen, patience.answer),
            Err(error) => ended(Err(error), seen, patience.answer),
        }
    }

    async fn ask_wireguard(
        &self,
        address: SocketAddr,
        peer: &Peer,
        first: FirstMessage,
        patience: Patience,
        seen: &mut Vpn,
    ) -> io::Result<End> {
        let socket = connected(address).await?;
        if first == FirstMessage::Disguised {
            self.meter().sent(socket.send(&noise()).await?);
        }
        let (mut sent, start) = (Vec::new(), Instant::now());
        for until in AGAIN.into_iter().filter(|again| *again < patience.answer).chain([patience.answer]) {
            let Some(stamp) = self.stamps().next().await else { return Ok(End::ClockWrong) };
            let one = Initiation::new(peer, stamp).map_err(io::Error::other)?;
            self.meter().sent(socket.send(&one.message).await?);
            sent.push(one);
            while let Some(datagram) = self.hear(&socket, start + until, seen).await? {
                match read(&datagram, &peer.server, &mut sent) {
                    Said::Response(session) => {
                        (seen.answer, seen.proof) =
                            (Some(VpnAnswer::HandshakeResponse), Some(VpnProof::ServerIdentity));
                        if first == FirstMessage::Disguised {
                            return Ok(End::Had);
                        }
                        return self.carry(&socket, &session, &peer.key, patience.data, seen).await;
                    }
                    Said::Cookie => {
                        (seen.answer, seen.proof) = (Some(VpnAnswer::Cookie), Some(VpnProof::FirstAnswer));
                        return Ok(End::Had);
                    }
                    Said::Other => seen.answer = Some(VpnAnswer::Other),
                }
            }
        }
        Ok(End::Not)
    }

    /// A first message that somebody else is to send; `None` if this machine's clock was set back.
    pub async fn wireguard_initiation(&self, peer: &Peer) -> Option<[u8; wireguard::INITIATION]> {
        let stamp = self.stamps().next().await?;
        Initiation::new(peer, stamp).ok().map(|one| one.message)
    }

    /// Sends a first message of somebody else's, from a port of its own: whether the server answers that very message is all
    /// that can be seen without its keys.
    pub async fn relay_wireguard(
        &self,
        _admission: Admission,
        address: SocketAddr,
        message: &[u8; wireguard::INITIATION],
        deadline: Duration,
    ) -> Exchange {
        super::stays_here(address.ip());
        self.meter().connection();
        let mut seen = Vpn::planned(VpnProtocol::Wireguard);
        let asked = self.relay(address, message, deadline, &mut seen).await;
        ended(asked, seen, deadline)
    }

    async fn relay(
        &self,
        address: SocketAddr,
        message: &[u8; wireguard::INITIATION],
        deadline: Duration,
        seen: &mut Vpn,
    ) -> io::Result<bool> {
        let (socket, start) = (connected(address).await?, Instant::now());
        let session = u32::from_le_bytes([message[4], message[5], message[6], message[7]]);
        for until in super::vpn::AGAIN.into_iter().filter(|again| *again < deadline).chain([deadline]) {
            self.meter().sent(socket.send(message).await?);
            while let Some(datagram) = self.hear(&socket, start + until, seen).await? {
                let answer = match wireguard::read(&datagram) {
                    Some(wireguard::Message::Response { receiver, .. }) if receiver == session => {
                        VpnAnswer::HandshakeResponse
                    }
                    Some(wireguard::Message::Cookie { receiver, .. }) if receiver == session => VpnAnswer::Cookie,
                    _ => VpnAnswer::Other,
                };
                seen.answer = Some(answer);
                if answer != VpnAnswer::Other {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A datagram, until a time.
    async fn hear(&self, socket: &UdpSocket, until: Instant, seen: &mut Vpn) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; DATAGRAM];
        let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else { return Ok(None) };
        let length = received?;
        self.meter().received(length);
        seen.bytes_received += length as u64;
        Ok(Some(buffer[..length].to_vec()))
    }

    /// Sends data until some comes back: an echo of the gateway's, or what every server sends ten seconds after it was sent
    /// data and had none to send (section 6.5), whoever the data was for.
    async fn carry(
        &self,
        socket: &UdpSocket,
        session: &Session,
        key: &WireguardKey,
        patience: Duration,
        seen: &mut Vpn,
    ) -> io::Result<End> {
        let send = async |counter: u64, packet: &[u8]| -> io::Result<()> {
            let message = session.seal(counter, packet).map_err(io::Error::other)?;
            self.meter().sent(socket.send(&message).await?);
            Ok(())
        };
        // A client confirms the session at once, with an empty packet.
        send(0, &[]).await?;
        let ends = |ip: Option<Ipv4Addr>| ip.map_or([0; 4], |ip| ip.octets());
        let (from, to, id, start) = (ends(key.address), ends(key.gateway), rand::random(), Instant::now());
        for number in 1..=PACKETS {
            send(number.into(), &echo::request(from, to, id, number)).await?;
            let until = if number == PACKETS { patience } else { (PAUSE * u32::from(number)).min(patience) };
            while let Some(datagram) = self.hear(socket, start + until, seen).await? {
                if session.opens(&datagram) {
                    seen.proof = Some(VpnProof::Data);
                    return Ok(End::Had);
                }
            }
        }
        Ok(End::Not)
    }
}

#[cfg(test)]
mod tests;
