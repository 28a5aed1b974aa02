//! QUIC handshakes (RFC 9000, RFC 9001): one connection, one deadline, from a UDP socket of its own.
//!
//! quinn drives a connection on a task of its own, where the slot of TLS over TCP cannot be seen: here each handshake has a verifier
//! of its own.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use faultline_record::{Failure, Outcome, Tls};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{
    AsyncUdpSocket, ClientConfig, ConnectionError, Endpoint, EndpointConfig, Runtime as _, TokioRuntime,
    TransportConfig, UdpPoller,
};
use rustls_pki_types::ServerName;
use tokio::time::timeout;

use super::tcp::{Admission, Waited};
use super::{Drive, Fault, errno};
use crate::meter::Meter;

/// The application protocol of HTTP/3 (RFC 9114 section 3.1).
const HTTP3: &[u8] = b"h3";

/// TLS alerts as QUIC reports them: 0x100 plus the alert (RFC 9001 section 4.8).
const UNRECOGNIZED_NAME: u64 = 0x100 + 112;

/// A handshake's end.
#[derive(Debug)]
pub struct QuicHandshake {
    /// How it ended; `ssl_*` is the verdict on the chain.
    pub outcome: Outcome,
    /// Whose words came with a failure.
    pub detail: Option<String>,
    /// What was seen.
    pub seen: Tls,
    /// What a request can go over, when the handshake was finished.
    pub channel: Option<QuicChannel>,
}

/// A connection over which nothing has been asked yet. It is closed when this is dropped.
#[derive(Debug)]
pub struct QuicChannel {
    endpoint: Endpoint,
    pub(super) connection: quinn::Connection,
    /// Bytes of datagrams received so far.
    pub(super) received: Arc<AtomicU64>,
}

impl Drop for QuicChannel {
    fn drop(&mut self) {
        self.connection.close(0_u32.into(), b"");
        self.endpoint.close(0_u32.into(), b"");
    }
}

/// A socket that counts what comes and goes.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn AsyncUdpSocket>,
    meter: Arc<Meter>,
    received: Arc<AtomicU64>,
}

impl AsyncUdpSocket for Counted {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)?;
        self.meter.sent(transmit.contents.len());
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let polled = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(count)) = polled {
            let bytes: usize = meta[..count].iter().map(|one| one.len).sum();
            self.meter.received(bytes);
            self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        polled
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

impl Drive {
    /// A handshake for a name (offered as SNI) or a literal address (no SNI is offered).
    pub async fn quic(
        &self,
        _admission: Admission,
        address: SocketAddr,
        host: &str,
        deadline: Duration,
    ) -> QuicHandshake {
        super::stays_here(address.ip());
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            let fault = Fault::new(Outcome::Failed(Failure::InvalidArgument), "the name cannot be offered");
            return ended(fault, Tls::default());
        };
        let mut seen = Tls { sni: super::tls::sni(&name), ..Tls::default() };
        self.meter().connection();
        let (config, presented) = self.shared.tls.recording(&[HTTP3]);
        let received = Arc::new(AtomicU64::new(0));
        let result = match self.open(address, config, Arc::clone(&received)) {
            Ok((endpoint, config)) => shake(endpoint, config, (address, host), deadline, Arc::clone(&received)).await,
            Err(error) => Err(Fault::new(errno::outcome(&error), error)),
        };
        let (channel, result) = result.map_or_else(|fault| (None, Err(fault)), |channel| (Some(channel), Ok(())));
        if let Some(channel) = &channel {
            super::tls::look_at_quic(&mut seen, &channel.connection);
        }
        seen.bytes_received = received.load(Ordering::Relaxed);
        let (chain, verdict) = presented();
        seen.chain = chain;
        match verdict.and(result) {
            Ok(()) => QuicHandshake { outcome: Outcome::Ok, detail: None, seen, channel },
            Err(fault) => QuicHandshake { channel, ..ended(fault, seen) },
        }
    }

    fn open(
        &self,
        address: SocketAddr,
        tls: rustls::ClientConfig,
        received: Arc<AtomicU64>,
    ) -> io::Result<(Endpoint, ClientConfig)> {
        let any: SocketAddr =
            if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let runtime = Arc::new(TokioRuntime);
        let inner = runtime.wrap_udp_socket(UdpSocket::bind(any)?)?;
        let socket = Arc::new(Counted { inner, meter: Arc::clone(&self.shared.meter), received });
        let endpoint = Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime)?;
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        // Lost Initials are sent again after a third of a second (RFC 9002 section 6.2.2), as browsers do.
        config.transport_config(Arc::new(TransportConfig::default()));
        Ok((endpoint, config))
    }
}

/// The handshake itself. Whatever becomes of it, the endpoint is closed in the end.
async fn shake(
    endpoint: Endpoint,
    config: ClientConfig,
    (address, host): (SocketAddr, &str),
    deadline: Duration,
    received: Arc<AtomicU64>,
) -> Result<QuicChannel, Fault> {
    let connecting = endpoint.connect_with(config, address, host);
    let connecting = connecting.map_err(|error| Fault::new(Outcome::Failed(Failure::InvalidArgument), error))?;
    let result = match timeout(deadline, connecting).await {
        Ok(Ok(connection)) => return Ok(QuicChannel { endpoint, connection, received }),
        Ok(Err(error)) => fault_of(&error),
        Err(_) => Fault::new(Outcome::Failed(Failure::GenericTimeoutError), Waited(deadline)),
    };
    endpoint.close(0_u32.into(), b"");
    Err(result)
}

fn ended(fault: Fault, seen: Tls) -> QuicHandshake {
    QuicHandshake { outcome: fault.outcome, detail: fault.detail, seen, channel: None }
}

pub(super) fn fault_of(error: &ConnectionError) -> Fault {
    let failure = match error {
        ConnectionError::TimedOut => Failure::GenericTimeoutError,
        ConnectionError::Reset => Failure::ConnectionReset,
        ConnectionError::ConnectionClosed(close) if u64::from(close.error_code) == UNRECOGNIZED_NAME => {
            Failure::SslInvalidHostname
        }
        _ => Failure::SslFailedHandshake,
    };
    // A peer that closes gives a reason in words of its own.
    Fault::said(Outcome::Failed(failure), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_s_reason_to_close_is_kept_without_the_addresses_in_it() {
        let reason = "no service for 8.8.4.4 here".into();
        let close = quinn::ApplicationClose { error_code: 7_u32.into(), reason };
        let words = fault_of(&ConnectionError::ApplicationClosed(close)).detail.unwrap();
        assert!(words.contains("no service for [scrubbed] here"), "{words}");
    }
}
