//! Dialogues with servers over a stream: PPTP, SSTP, AnyConnect, `SoftEther`, SOCKS and HTTP's proxies. The machines are `wire`'s; here
//! octets are moved, and a proxy that lets everybody through is asked for a TLS handshake with a known server behind it.

use std::io;
use std::time::Duration;

use faultline_record::{Failure, Outcome, Vpn, VpnAnswer, VpnKind, VpnProof, VpnProtocol};
use faultline_wire::dialogue::{Answer, Dialogue, Turn};
use faultline_wire::{anyconnect, http_proxy, pptp, socks5, softether, sstp};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tap::{Passed, Tap};
use super::vpn::{BETWEEN, CUT, DATAGRAM, ended, instead};
use super::{Drive, Exchange, Fault, FirstMessage};

/// Octets of an answer that are read.
const LONGEST: usize = 32 * 1_024;
/// The port of the server behind a proxy (HTTPS's).
const BEHIND: u16 = 443;

/// With whom a dialogue is.
#[derive(Clone, Copy, Debug)]
pub struct Partner<'a> {
    /// The protocol.
    pub protocol: VpnProtocol,
    /// What requests call the server.
    pub host: &'a str,
    /// Where the dialogue is within TLS: whether the certificate was one that is trusted for the name.
    pub is_known: bool,
    /// Whether a proxy that lets everybody through is asked for a server behind it.
    pub leads_on: bool,
}

impl Partner<'_> {
    /// The client's machine; `None` where the protocol is no such dialogue.
    fn client(&self, innocent: &str) -> Option<Box<dyn Dialogue + Send>> {
        Some(match self.protocol {
            VpnProtocol::Pptp => Box::new(pptp::Client::default()),
            VpnProtocol::Sstp => Box::new(sstp::Client::new(self.host, rand::random())),
            VpnProtocol::Anyconnect => Box::new(anyconnect::Client::new(self.host)),
            VpnProtocol::Softether => Box::new(softether::Client::new(self.host)),
            VpnProtocol::Socks5 => Box::new(socks5::Client::new(innocent, BEHIND)),
            VpnProtocol::HttpProxy => Box::new(http_proxy::Client::new(innocent, BEHIND)),
            _ => return None,
        })
    }

    /// What an answer proves: within TLS somebody held the key of a certificate.
    fn proof(&self) -> VpnProof {
        match (self.protocol.is_tls(), self.is_known) {
            (false, _) => VpnProof::FirstAnswer,
            (true, false) => VpnProof::Handshake,
            (true, true) => VpnProof::ServerIdentity,
        }
    }

    /// Whether it leads on to others once it has accepted.
    fn is_proxy(&self) -> bool {
        self.protocol.kind() == VpnKind::Proxy
    }
}

impl Drive {
    /// Talks with a server over a fresh stream, TLS's or TCP's, as far as nobody has to log in.
    pub async fn dialogue<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        mut stream: S,
        tap: &Tap,
        partner: Partner<'_>,
        first: FirstMessage,
        deadline: Duration,
    ) -> Exchange {
        let mut seen = Vpn::planned(partner.protocol);
        let talking = self.talk_with(&mut stream, partner, first, &mut seen);
        let mut ends = timeout(deadline, talking).await.unwrap_or(Ok(End::Silence));
        let passed = tap.passed();
        if let Err(error) = &ends
            && is_end(error, &passed)
        {
            ends = Ok(End::Closed);
        }
        match ends {
            Ok(End::Closed) if seen.bytes_received == 0 || seen.proof.is_some() => {
                let closed = Fault::new(Outcome::Failed(Failure::EofError), "the server closed the connection");
                Exchange { outcome: closed.outcome, detail: closed.detail, seen }
            }
            Ok(End::Closed | End::Odd) => {
                seen.answer = Some(VpnAnswer::Other);
                ended(Ok(false), Vpn { proof: None, ..seen }, deadline)
            }
            Ok(End::Silence) => ended(Ok(false), seen, deadline),
            Ok(End::Done) => ended(Ok(true), seen, deadline),
            Err(error) => ended(Err(error), seen, deadline),
        }
    }

    async fn talk_with<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        stream: &mut S,
        partner: Partner<'_>,
        first: FirstMessage,
        seen: &mut Vpn,
    ) -> io::Result<End> {
        let innocent = self.config().innocent_sni.clone();
        let Some(mut client) = partner.client(&innocent) else { return Ok(End::Odd) };
        let opening = client.opening();
        if let FirstMessage::Instead(shape) = first {
            let length = instead(stream, &shape.octets(opening.len())).await?;
            seen.bytes_received += length as u64;
            return Ok(if length == 0 { End::Closed } else { End::Odd });
        }
        send_first(stream, &opening, first, partner.protocol).await?;
        let (mut heard, mut buffer) = (Vec::new(), [0; DATAGRAM]);
        loop {
            match client.hear(&heard) {
                Turn::More if heard.len() < LONGEST => {
                    let length = stream.read(&mut buffer).await?;
                    if length == 0 {
                        return Ok(End::Closed);
                    }
                    seen.bytes_received += length as u64;
                    heard.extend_from_slice(&buffer[..length]);
                }
                Turn::More | Turn::Other => return Ok(End::Odd),
                Turn::Next { spent, send } => {
                    (seen.answer, seen.proof) = (Some(VpnAnswer::Accepted), Some(partner.proof()));
                    heard.drain(..spent.min(heard.len()));
                    stream.write_all(&send).await?;
                    stream.flush().await?;
                }
                Turn::End { answer, farewell, .. } => {
                    (seen.answer, seen.proof) = (Some(named(answer)), Some(partner.proof()));
                    if partner.leads_on && partner.is_proxy() && answer == Answer::Accepted {
                        return self.behind(stream, &innocent, seen).await;
                    }
                    // Whether it arrives, nobody waits to see.
                    let _ = stream.write_all(&farewell).await;
                    let _ = stream.shutdown().await;
                    return Ok(End::Done);
                }
            }
        }
    }

    /// TLS with a server behind a proxy, up to its certificate: a request is not made.
    async fn behind<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        stream: &mut S,
        host: &str,
        seen: &mut Vpn,
    ) -> io::Result<End> {
        let Ok(name) = ServerName::try_from(host.to_owned()) else { return Ok(End::Done) };
        let (config, presented) = self.tls().recording(&[]);
        TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await?;
        seen.proof = Some(if presented().1.is_ok() { VpnProof::Data } else { VpnProof::Handshake });
        Ok(End::Done)
    }
}

/// How a dialogue ended that met no error.
enum End {
    /// All was said.
    Done,
    /// What came is not of the protocol.
    Odd,
    /// The server closed.
    Closed,
    /// Time ran out.
    Silence,
}

/// Whether an error is a library's word for the end of a stream.
fn is_end(error: &io::Error, passed: &Passed) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof && passed.ended && passed.error.is_none()
}

/// Within TLS nobody sees how a message is cut: there the greeting of TLS is.
async fn send_first<S: AsyncWrite + Unpin>(
    stream: &mut S,
    opening: &[u8],
    first: FirstMessage,
    protocol: VpnProtocol,
) -> io::Result<()> {
    if first == FirstMessage::Disguised && !protocol.is_tls() {
        let (head, rest) = opening.split_at(CUT.min(opening.len()));
        stream.write_all(head).await?;
        tokio::time::sleep(BETWEEN).await;
        return stream.write_all(rest).await;
    }
    stream.write_all(opening).await?;
    stream.flush().await
}

fn named(answer: Answer) -> VpnAnswer {
    match answer {
        Answer::Accepted => VpnAnswer::Accepted,
        Answer::WantsLogin => VpnAnswer::LoginWanted,
        Answer::Refused => VpnAnswer::Refused,
    }
}
