//! What hickory's resolvers run on: tokio's sockets, with our pace and our meter.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::tap::Tapped;
use crate::meter::Meter;
use crate::pace::Pace;

/// Sockets for hickory. A clone must stay alive as long as its resolvers: it holds their background tasks.
#[derive(Clone)]
pub(super) struct Metered {
    tokio: TokioRuntimeProvider,
    pace: Arc<Pace>,
    meter: Arc<Meter>,
    connect: Duration,
}

impl Metered {
    pub(super) fn new(pace: Arc<Pace>, meter: Arc<Meter>, connect: Duration) -> Self {
        Self { tokio: TokioRuntimeProvider::new(), pace, meter, connect }
    }
}

impl std::fmt::Debug for Metered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered").finish_non_exhaustive()
    }
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<AsyncIoTokioAsStd<Tapped>>> + Send>>;
type Binding = Pin<Box<dyn Future<Output = io::Result<MeteredUdp>> + Send>>;

impl RuntimeProvider for Metered {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = MeteredUdp;
    type Tcp = AsyncIoTokioAsStd<Tapped>;

    fn create_handle(&self) -> TokioHandle {
        self.tokio.create_handle()
    }

    fn connect_tcp(&self, server: SocketAddr, _local: Option<SocketAddr>, limit: Option<Duration>) -> Connecting {
        let (pace, meter) = (Arc::clone(&self.pace), Arc::clone(&self.meter));
        let limit = limit.unwrap_or(self.connect);
        Box::pin(async move {
            pace.admit().await;
            meter.connection();
            let stream = timeout(limit, TcpStream::connect(server)).await.map_err(|_| io::ErrorKind::TimedOut)??;
            stream.set_nodelay(true)?;
            Ok(AsyncIoTokioAsStd(Tapped::new(stream, meter)))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _server: SocketAddr) -> Binding {
        let meter = Arc::clone(&self.meter);
        Box::pin(async move { Ok(MeteredUdp { socket: UdpSocket::bind(local).await?, meter }) })
    }
}

/// A UDP socket whose payload is counted.
pub(super) struct MeteredUdp {
    socket: UdpSocket,
    meter: Arc<Meter>,
}

impl DnsUdpSocket for MeteredUdp {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let (length, from) = ready!(DnsUdpSocket::poll_recv_from(&self.socket, cx, buffer))?;
        self.meter.received(length);
        Poll::Ready(Ok((length, from)))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, bytes: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        let length = ready!(DnsUdpSocket::poll_send_to(&self.socket, cx, bytes, to))?;
        self.meter.sent(length);
        Poll::Ready(Ok(length))
    }
}
