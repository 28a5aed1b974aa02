//! Proxies over TCP: Shadowsocks, Tor's relays, obfs4, and whatever begins with TLS. Nothing is asked of them that their own
//! clients do not ask first; credentials are the user's, and none is sent where a server could keep it.

mod obfs4;
mod shadowsocks;
mod tls_login;
mod tor;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use faultline_record::{Failure, NotRun, Outcome, Vpn, VpnAnswer, VpnKey, VpnProof, VpnProtocol};
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tap::Tapped;
use super::vpn::{BETWEEN, CUT, Exchange, FirstMessage, ended, instead};
use super::{Drive, Fault};
use crate::vpn_keys::{ProxyKeys, TlsLogin};

/// Octets that are sent in a first message's place: as many as a `ClientHello` has, or a first message of the others'.
const INSTEAD: usize = 300;
/// The longest that any of these servers says before it is understood.
const LONGEST: usize = 16 << 10;

/// How an exchange ended that no error of the network ended.
enum End {
    /// Answered.
    Had,
    /// What came is no answer of the protocol, or another server's.
    Strange(&'static str),
}

impl Drive {
    /// Asks a proxy over a fresh connection.
    pub async fn proxy_by_tcp(
        &self,
        mut stream: Tapped,
        protocol: VpnProtocol,
        first: FirstMessage,
        deadline: Duration,
        (keys, server): (&ProxyKeys, &str),
    ) -> Exchange {
        let Some(standing) = keys.standing(protocol) else { return Exchange::not_run(protocol, NotRun::NoKey) };
        let mut seen = Vpn { key: standing.known(), ..Vpn::planned(protocol) };
        let tap = stream.tap();
        let asking = async {
            match first {
                // An answer to these is no answer of the protocol.
                FirstMessage::Instead(shape) => match instead(&mut stream, &shape.octets(INSTEAD)).await? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => Ok(End::Strange("it answers something else as well")),
                },
                FirstMessage::Plain | FirstMessage::Disguised => {
                    self.ask_proxy(stream, first, (keys, server), &mut seen).await
                }
            }
        };
        let asked = timeout(deadline, asking).await;
        seen.bytes_received = tap.passed().received;
        let strange = |failure, words: &str| {
            let fault = Fault::new(Outcome::Failed(failure), words);
            (fault.outcome, fault.detail)
        };
        match asked {
            Ok(Ok(End::Strange(words))) => {
                let (outcome, detail) = strange(Failure::UnexpectedResponse, words);
                let answer = seen.answer.or(Some(VpnAnswer::Other));
                Exchange { outcome, detail, seen: Vpn { answer, ..seen } }
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let (outcome, detail) = strange(Failure::EofError, "the server closed the connection");
                Exchange { outcome, detail, seen }
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                let (outcome, detail) = strange(Failure::UnexpectedResponse, "no TLS that could be understood");
                Exchange { outcome, detail, seen }
            }
            Ok(Ok(End::Had)) => ended(Ok(true), seen, deadline),
            Ok(Err(error)) => ended(Err(error), seen, deadline),
            Err(_) => ended(Ok(false), seen, deadline),
        }
    }

    async fn ask_proxy(
        &self,
        mut stream: Tapped,
        first: FirstMessage,
        (keys, server): (&ProxyKeys, &str),
        seen: &mut Vpn,
    ) -> io::Result<End> {
        match (seen.protocol, &keys.shadowsocks, &keys.obfs4) {
            (VpnProtocol::Shadowsocks, Some(key), _) => self.ask_shadowsocks(&mut stream, key, first, seen).await,
            (VpnProtocol::Obfs4, _, Some(key)) => obfs4::ask(&mut stream, key, first, seen).await,
            (VpnProtocol::Tor, ..) => self.ask_tor(stream, keys.tor.as_deref(), seen).await,
            _ => {
                let (stream, chain) = self.ask_tls(stream, server, seen).await?;
                if keys.authority.as_ref().is_some_and(|authority| authority.has_issued(&chain, server)) {
                    seen.proof = Some(VpnProof::ServerIdentity);
                }
                // Nobody is told a secret who has not shown who they are.
                let is_known = seen.proof == Some(VpnProof::ServerIdentity) && first == FirstMessage::Plain;
                let fits = |login: &&Arc<TlsLogin>| login.is_for(seen.protocol) && !login.refusal.came();
                match keys.login.as_ref().filter(fits).filter(|_| is_known) {
                    Some(login) => self.log_in_within_tls(stream, login, seen).await,
                    None => Ok(End::Had),
                }
            }
        }
    }

    /// TLS, with whoever is there.
    async fn ask_tls(
        &self,
        stream: Tapped,
        server: &str,
        seen: &mut Vpn,
    ) -> io::Result<(TlsStream<Tapped>, Vec<Arc<faultline_record::Certificate>>)> {
        let (config, presented) = self.tls().recording(&[]);
        let name = ServerName::try_from(server.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let (chain, verdict) = presented();
        seen.answer = Some(VpnAnswer::TlsHandshake);
        seen.proof = Some(if verdict.is_ok() { VpnProof::ServerIdentity } else { VpnProof::Handshake });
        Ok((stream, chain))
    }
}

/// A first message; in disguise it is cut in two, so that its first segment is not what filters know.
async fn send(stream: &mut Tapped, message: &[u8], first: FirstMessage) -> io::Result<()> {
    let cut = if first == FirstMessage::Disguised { CUT.min(message.len()) } else { 0 };
    if cut > 0 {
        stream.write_all(&message[..cut]).await?;
        tokio::time::sleep(BETWEEN).await;
    }
    stream.write_all(&message[cut..]).await
}

impl ProxyKeys {
    /// Whether a proxy can be asked at all, and what is known of the key with which it is.
    fn standing(&self, protocol: VpnProtocol) -> Option<Standing> {
        match protocol {
            VpnProtocol::Shadowsocks => self.shadowsocks.as_ref().map(|key| Standing(Some(key.standing))),
            VpnProtocol::Obfs4 => self.obfs4.as_ref().map(|key| Standing(Some(key.standing))),
            VpnProtocol::Trojan | VpnProtocol::Vless => {
                Some(Standing(self.login.as_ref().filter(|login| login.is_for(protocol)).map(|login| login.standing)))
            }
            _ => Some(Standing(None)),
        }
    }
}

/// The user's word for a key, where one is used.
struct Standing(Option<VpnKey>);

impl Standing {
    fn known(&self) -> Option<VpnKey> {
        self.0
    }
}
