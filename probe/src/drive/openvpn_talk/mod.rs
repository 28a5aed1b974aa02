//! What follows the answer to `OpenVPN`'s first message: TLS up to the server's certificate; with an account of the user's the login,
//! and data. Nobody logs in with a server that has not shown who it is. There is no interface and no route: what data there is are
//! echoes for the server's own end of the tunnel, its options, and the protocol's pings.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use faultline_record::{ServerKey, Vpn, VpnAnswer, VpnKey, VpnProof};
use faultline_wire::openvpn_data::{OPTIONS_QUESTION, PING, is_data};
use faultline_wire::openvpn_login::{self as login, Pushed, RANDOM, Said};
use faultline_wire::{echo, openvpn};
use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::Drive;
use super::openvpn::Wrapper;
use super::openvpn_control::Control;
use super::openvpn_data::{DataChannel, EXPORTER, Shared};
use super::tap::Tapped;
use super::tls::Judge;
use super::vpn::DATAGRAM;
use crate::meter::Meter;
use crate::vpn_keys::{Account, Authority, OpenvpnKey, OpenvpnWrap};

/// When packets of the control channel that were not acknowledged are sent again (the program itself doubles its pauses).
const AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// When a configuration that has not come is asked for once more: the program itself asks every five seconds.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Packets of data each way that show a filter that counts (vpn reference, finding 8), how many are sent at most where some are lost,
/// and the pause between them.
const PACKETS: u16 = 10;
const MOST_PACKETS: u16 = 20;
const PAUSE: Duration = Duration::from_millis(200);

/// What is known of a server before it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The static key and the account.
    pub key: Option<&'a OpenvpnKey>,
    /// Whom it has its certificate from.
    pub authority: Option<&'a Arc<Authority>>,
    /// Its name or address, as its certificate has it unless the authority is the provider's own.
    pub server: &'a str,
    /// Its public key, where the target names it by one.
    pub public: Option<ServerKey>,
    /// Whether the account is used, if there is one.
    pub logs_in: bool,
}

impl Known<'_> {
    pub(super) fn wrap(&self) -> Option<&Arc<OpenvpnWrap>> {
        self.key?.wrap.as_ref()
    }

    pub(super) fn standing(&self) -> Option<VpnKey> {
        self.key.map(|key| key.standing)
    }

    /// The account, unless a server has refused it.
    fn account(&self) -> Option<&Account> {
        self.key?.account.as_deref().filter(|account| self.logs_in && !account.refusal.came())
    }
}

/// What carries messages.
pub(super) enum Line<'a> {
    /// UDP.
    Datagrams {
        /// Connected to the server.
        socket: &'a UdpSocket,
        /// Where octets are counted.
        meter: &'a Meter,
    },
    /// TCP, whose octets are counted elsewhere.
    Stream(Frames<'a>),
}

impl Line<'_> {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagrams { socket, meter } => meter.sent(socket.send(message).await?),
            Self::Stream(frames) => frames.send(message).await?,
        }
        Ok(())
    }

    /// The next message; `None` where a stream has ended.
    async fn next(&mut self, seen: &mut Vpn) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Stream(frames) => frames.next().await,
            Self::Datagrams { socket, meter } => {
                let mut buffer = [0; DATAGRAM];
                let length = socket.recv(&mut buffer).await?;
                meter.received(length);
                seen.bytes_received += length as u64;
                Ok(Some(buffer[..length].to_vec()))
            }
        }
    }
}

/// Messages over TCP, one after the other.
pub(super) struct Frames<'a> {
    stream: &'a mut Tapped,
    heard: Vec<u8>,
}

impl<'a> Frames<'a> {
    pub(super) fn over(stream: &'a mut Tapped) -> Self {
        Self { stream, heard: Vec::new() }
    }

    pub(super) fn stream(&mut self) -> &mut Tapped {
        self.stream
    }

    /// Whether octets have come that are no whole message.
    pub(super) fn has_heard(&self) -> bool {
        !self.heard.is_empty()
    }

    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.stream.write_all(&openvpn::framed(message)).await
    }

    /// The next message; `None` where the stream ends, or goes on without one.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; DATAGRAM];
        loop {
            if let Some(message) = openvpn::first_frame(&self.heard).map(<[u8]>::to_vec) {
                self.heard.drain(..2 + message.len());
                return Ok(Some(message));
            }
            let length = self.stream.read(&mut buffer).await?;
            self.heard.extend_from_slice(&buffer[..length]);
            if length == 0 || self.heard.len() > 4 * DATAGRAM {
                return Ok(None);
            }
        }
    }
}

/// What is said behind the resets: by whom, and in which wrap.
pub(super) struct Talk {
    ours: [u8; 8],
    theirs: [u8; 8],
    wrapper: Wrapper,
    /// Octets of the wrapped key that the server wants once more.
    shows_key: Option<usize>,
}

impl Talk {
    /// Behind this reset of the server's, out of its wrap.
    pub(super) fn behind(reset: &[u8], ours: [u8; 8], wrapper: Wrapper) -> Option<Self> {
        let shows_key = openvpn::asks_for_key(reset).then(|| wrapper.wrapped_key());
        Some(Self { ours, theirs: reset.get(1..9)?.try_into().ok()?, shows_key, wrapper })
    }

    /// TLS's side of it; `None` if it cannot be set up.
    fn control(&self, config: ClientConfig, server: &str) -> Option<Control> {
        let name = ServerName::try_from(server.to_owned()).ok()?;
        let control = Control::new(config, name, self.ours, self.theirs)?;
        Some(match self.shows_key {
            Some(octets) => control.showing_key(octets),
            None => control,
        })
    }
}

/// What one wait has brought.
enum Heard {
    /// A message of the control channel, or a moment to send something again.
    Control,
    /// A message of the data channel.
    Data(Vec<u8>),
    /// Nothing, and the time is over.
    Nothing,
    /// The end of a stream: a server that closes in good order is alive.
    End,
}

/// A conversation in the making.
struct Conversation<'a> {
    line: Line<'a>,
    control: Control,
    wrapper: Wrapper,
    /// When what was not acknowledged is sent again.
    again: Vec<Instant>,
}

impl Conversation<'_> {
    /// From now on what is not acknowledged is sent again in its times. TCP does that by itself.
    fn begin_stage(&mut self) {
        let now = Instant::now();
        let is_udp = matches!(self.line, Line::Datagrams { .. });
        self.again = AGAIN.iter().rev().filter(|_| is_udp).map(|after| now + *after).collect();
    }

    async fn send_all(&mut self, messages: Vec<Vec<u8>>) -> io::Result<()> {
        for message in messages {
            self.line.send(&self.wrapper.wrap(&message)).await?;
        }
        Ok(())
    }

    /// Sends what there is to send, and waits for one message until then.
    async fn turn(&mut self, until: Instant, seen: &mut Vpn) -> io::Result<Heard> {
        let outgoing = self.control.outgoing();
        self.send_all(outgoing).await?;
        let next = self.again.last().copied().filter(|again| *again < until);
        match timeout_at(next.unwrap_or(until), self.line.next(seen)).await {
            Ok(message) => match message? {
                None => Ok(Heard::End),
                Some(message) if is_data(&message) => Ok(Heard::Data(message)),
                Some(message) => {
                    if let Some(message) = self.wrapper.plain(&message) {
                        self.control.incoming(&message);
                    }
                    Ok(Heard::Control)
                }
            },
            Err(_) if next.is_some() => {
                self.again.pop();
                let again = self.control.again();
                self.send_all(again).await?;
                Ok(Heard::Control)
            }
            Err(_) => Ok(Heard::Nothing),
        }
    }

    /// TLS, up to its end: whether the server said enough, or closed, or refused.
    async fn shake_hands(&mut self, deadline: Duration, seen: &mut Vpn) -> io::Result<bool> {
        self.begin_stage();
        let until = Instant::now() + deadline;
        loop {
            let heard = self.turn(until, seen).await?;
            if self.control.is_done() || self.control.has_failed() {
                // What ends it is sent, too: acknowledgments, the client's last words, an alert.
                let outgoing = self.control.outgoing();
                self.send_all(outgoing).await?;
                return Ok(true);
            }
            match heard {
                Heard::End => return Ok(true),
                // On a line that loses much some of the server's flight is missing in the end: it is not silent.
                Heard::Nothing => return Ok(matches!(self.line, Line::Datagrams { .. }) && self.control.has_heard()),
                Heard::Control | Heard::Data(_) => {}
            }
        }
    }

    /// Logs in, and asks for a configuration.
    async fn log_in(&mut self, account: &Account, deadline: Duration, seen: &mut Vpn) -> io::Result<LoggedIn> {
        let mut login = Login::begin(account, &mut self.control);
        self.begin_stage();
        let start = Instant::now();
        let (until, mut ask_again) = (start + deadline, start + ASK_AGAIN);
        loop {
            let heard = self.turn(ask_again.min(until), seen).await?;
            if let Some(end) = login.read(&mut self.control) {
                return Ok(end);
            }
            match heard {
                Heard::Nothing if ask_again < until => {
                    login.ask(&mut self.control);
                    ask_again += ASK_AGAIN;
                }
                Heard::Nothing => return Ok(LoggedIn::Silence),
                Heard::End => return Ok(LoggedIn::Not),
                Heard::Control if self.control.has_failed() => return Ok(LoggedIn::Not),
                Heard::Control | Heard::Data(_) => {}
            }
        }
    }

    /// Sends data until enough has come back: whether any did after the tenth packet that was sent.
    async fn carry(
        &mut self,
        channel: &mut DataChannel,
        pushed: &Pushed,
        patience: Duration,
        seen: &mut Vpn,
    ) -> io::Result<bool> {
        self.begin_stage();
        let (start, id) = (Instant::now(), rand::random());
        let (mut heard, mut is_late) = (0, false);
        for number in 1..=MOST_PACKETS {
            for packet in carried(pushed, id, number) {
                let Some(message) = channel.seal(&packet) else { return Ok(heard > 0) };
                self.line.send(&message).await?;
            }
            let patient = if number == MOST_PACKETS { patience } else { PAUSE * u32::from(number) };
            let until = start + patient.min(patience);
            loop {
                match self.turn(until, seen).await? {
                    Heard::Data(message) if channel.open(&message).is_some() => {
                        heard += 1;
                        seen.proof = Some(VpnProof::Data);
                        is_late |= number >= PACKETS;
                        if is_late && (heard >= PACKETS || number == MOST_PACKETS) {
                            return Ok(true);
                        }
                    }
                    Heard::Data(_) | Heard::Control => {}
                    Heard::Nothing => break,
                    Heard::End => return Ok(is_late),
                }
            }
        }
        Ok(is_late)
    }

    /// A word of farewell, where the server knows it, so that it need not wait for us. Whether it arrives, nobody waits to see.
    async fn leave(&mut self, pushed: &Pushed) {
        if pushed.exit {
            self.control.say(login::EXIT);
            let outgoing = self.control.outgoing();
            let _ = self.send_all(outgoing).await;
        }
    }
}

/// What one moment's packets carry: an echo for the server's end of the tunnel; the protocol's own question for options with the
/// first few, which servers answer that answer no echo; and a ping where there is nobody to ask.
fn carried(pushed: &Pushed, id: u16, number: u16) -> Vec<Vec<u8>> {
    let ends = pushed.address.zip(pushed.gateway);
    let echo = ends.map(|(from, to)| echo::request(from, to, id, number));
    let first = echo.unwrap_or_else(|| PING.to_vec());
    let question = (number.is_multiple_of(5)).then(|| OPTIONS_QUESTION.to_vec());
    [Some(first), question].into_iter().flatten().collect()
}

/// A login in the making.
struct Login {
    shared: Shared,
    /// The server's random values, once they have come.
    theirs: Option<[[u8; RANDOM]; 2]>,
    /// Parts of the configuration that came before the last.
    parts: Pushed,
}

impl Login {
    fn begin(account: &Account, control: &mut Control) -> Self {
        let shared = Shared::new();
        let password = account.password.as_ref().map(|(name, password)| (name.expose(), password.expose()));
        control.say(&login::client(&shared.randoms(), password, true));
        Self { shared, theirs: None, parts: Pushed::default() }
    }

    /// Asks for a configuration, if the server has said who it is to be with.
    fn ask(&self, control: &mut Control) {
        if self.theirs.is_some() {
            control.say(login::PUSH_REQUEST);
        }
    }

    /// Reads what has been said; `None` while more has to come.
    fn read(&mut self, control: &mut Control) -> Option<LoggedIn> {
        let Some(theirs) = self.theirs else {
            return match login::server(control.heard()) {
                Said::More => None,
                Said::Other => Some(LoggedIn::Not),
                Said::This(random, spent) => {
                    self.theirs = Some(random);
                    control.spend(spent);
                    self.ask(control);
                    self.read(control)
                }
            };
        };
        loop {
            let (said, spent) = match login::control(control.heard()) {
                Said::More => return None,
                Said::Other => return Some(LoggedIn::Not),
                Said::This(said, spent) => (said, spent),
            };
            control.spend(spent);
            match said {
                login::Control::Refused => return Some(LoggedIn::Refused),
                login::Control::Pushed(last) => return Some(self.configured(control, &theirs, last)),
                login::Control::PushedMore(part) => self.parts = std::mem::take(&mut self.parts).and(part),
                login::Control::Other => {}
            }
        }
    }

    fn configured(&mut self, control: &Control, theirs: &[[u8; RANDOM]; 2], last: Pushed) -> LoggedIn {
        let pushed = std::mem::take(&mut self.parts).and(last);
        let keys =
            if pushed.exports { control.export(EXPORTER) } else { Some(self.shared.keys(theirs, control.sessions())) };
        let channel = keys.and_then(|keys| DataChannel::new(&keys, &pushed));
        LoggedIn::In(pushed, channel)
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// What became of a login.
enum LoggedIn {
    /// The client is configured; without a data channel where the cipher is not spoken here.
    In(Pushed, Option<DataChannel>),
    /// The server has said no.
    Refused,
    /// It ended with neither: the server closed, or said what is of no login.
    Not,
    /// Nothing was said.
    Silence,
}

impl Drive {
    /// TLS behind the server's reset, for as long as a first message is waited for; then, with an account, login and data. What the
    /// server's certificate is worth is told by the provider's own authority, or by what is trusted anyway: otherwise it is a
    /// handshake and no more. Whether the server was not silent to the last that it was told.
    pub(super) async fn talk(
        &self,
        line: Line<'_>,
        talk: Talk,
        known: &Known<'_>,
        deadline: Duration,
        seen: &mut Vpn,
    ) -> io::Result<bool> {
        let account = known.account();
        let judge = Judge { authority: known.authority.cloned(), insists: account.is_some() };
        let (mut config, presented) = self.tls().recording_by(&[], Some(judge));
        if let Some(pair) = account.and_then(|account| account.certificate.as_ref()) {
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(pair)));
        }
        let Some(control) = talk.control(config, known.server) else { return Ok(true) };
        let mut conversation = Conversation { line, control, wrapper: talk.wrapper, again: Vec::new() };
        let is_over = conversation.shake_hands(deadline, seen).await?;
        if !conversation.control.is_done() || conversation.control.has_failed() {
            return Ok(is_over);
        }
        seen.proof = Some(if presented().1.is_ok() { VpnProof::ServerIdentity } else { VpnProof::Handshake });
        let Some(account) = account else { return Ok(is_over) };
        let end = match conversation.log_in(account, deadline, seen).await {
            // A server that closes before it has read all that was said to it resets the connection (RFC 1122 section 4.2.2.13): it
            // refuses, unless the account is known to work.
            Err(error) if is_reset(&error) && known.standing() != Some(VpnKey::Proven) => LoggedIn::Not,
            end => end?,
        };
        match end {
            LoggedIn::Silence => Ok(false),
            LoggedIn::Not => Ok(true),
            LoggedIn::Refused => {
                account.refusal.note();
                seen.answer = Some(VpnAnswer::Refused);
                Ok(true)
            }
            LoggedIn::In(pushed, channel) => {
                seen.answer = Some(VpnAnswer::Accepted);
                let patience = self.config().limits.tunnel_data;
                let is_carried = match channel {
                    Some(mut channel) => conversation.carry(&mut channel, &pushed, patience, seen).await?,
                    None => true,
                };
                conversation.leave(&pushed).await;
                Ok(is_carried)
            }
        }
    }
}

#[cfg(test)]
mod tests;
