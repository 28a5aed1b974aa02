//! Trojan and VLESS behind their TLS: one connection to the server of no interest that proxies are asked for, and TLS with it up to its
//! certificate. Nobody but that server can answer so. No request is made there.

use std::io;
use std::sync::Arc;

use faultline_record::{Vpn, VpnAnswer, VpnProof};
use faultline_wire::{trojan, vless};
use rustls::ClientConnection;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use super::super::vpn::DATAGRAM;
use super::{Drive, End, Tapped};
use crate::vpn_keys::{TlsLogin, Token};

/// The port of the server behind a proxy (HTTPS's).
const BEHIND: u16 = 443;

impl TlsLogin {
    /// What is said first, to be connected with a host.
    fn request(&self, host: &str) -> Option<Vec<u8>> {
        match &self.token {
            Token::Trojan(hash) => trojan::request(hash.expose(), host, BEHIND),
            Token::Vless(id) => vless::request(id.expose(), host, BEHIND),
        }
    }

    /// Octets of the head of what comes back; `None` while that cannot be told, an error if it is none.
    fn head(&self, heard: &[u8]) -> io::Result<Option<usize>> {
        match (&self.token, vless::head(heard)) {
            (Token::Trojan(_), _) => Ok(Some(0)),
            (Token::Vless(_), vless::Head::Of(length)) => Ok(Some(length)),
            (Token::Vless(_), vless::Head::More) => Ok(None),
            (Token::Vless(_), vless::Head::Other) => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Drive {
    /// Logs in over a stream within TLS, whose server has shown who it is. One that leads to somebody else (Trojan's to a web site), or
    /// closes in good order, refuses the login; it is alive.
    pub(super) async fn log_in_within_tls(
        &self,
        mut stream: TlsStream<Tapped>,
        login: &TlsLogin,
        seen: &mut Vpn,
    ) -> io::Result<End> {
        let host = self.config().innocent_sni.clone();
        let (Ok(name), Some(request)) = (ServerName::try_from(host.clone()), login.request(&host)) else {
            return Ok(End::Had);
        };
        let (config, presented) = self.tls().recording(&[]);
        let mut behind = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        match through(&mut stream, request, login, &mut behind).await {
            Ok(true) if presented().1.is_ok() => {
                (seen.answer, seen.proof) = (Some(VpnAnswer::Accepted), Some(VpnProof::Data));
            }
            Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
            Ok(_) | Err(_) => {
                login.refusal.note();
                seen.answer = Some(VpnAnswer::Refused);
            }
        }
        let _ = stream.shutdown().await;
        Ok(End::Had)
    }
}

/// Moves TLS's octets behind the request, up to the end of its handshake; `false` where the server has closed in good order.
async fn through(
    stream: &mut TlsStream<Tapped>,
    request: Vec<u8>,
    login: &TlsLogin,
    behind: &mut ClientConnection,
) -> io::Result<bool> {
    let (mut outgoing, mut heard, mut is_headed) = (request, Vec::new(), false);
    let mut buffer = [0; DATAGRAM];
    loop {
        while behind.wants_write() {
            behind.write_tls(&mut outgoing)?;
        }
        if !behind.is_handshaking() {
            return Ok(true);
        }
        // With the request goes the first flight, as real clients send it.
        stream.write_all(&std::mem::take(&mut outgoing)).await?;
        stream.flush().await?;
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(false);
        }
        heard.extend_from_slice(&buffer[..length]);
        if !is_headed {
            let Some(length) = login.head(&heard)? else { continue };
            heard.drain(..length);
            is_headed = true;
        }
        feed(behind, &std::mem::take(&mut heard))?;
    }
}

fn feed(behind: &mut ClientConnection, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        if behind.read_tls(&mut octets)? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        behind.process_new_packets().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    }
    Ok(())
}
