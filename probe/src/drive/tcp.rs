//! TCP connections: one address, one deadline, the class of error by `errno`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faultline_record::{Failure, Outcome};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::tap::Tapped;
use super::{Drive, Fault, errno};

/// The pace's leave to open one connection.
#[derive(Debug)]
pub struct Admission(());

impl Drive {
    /// Waits until the pace allows one more connection.
    pub async fn admit(&self) -> Admission {
        self.pace().admit().await;
        Admission(())
    }

    /// Waits until the pace allows one more handshake by datagrams.
    pub async fn admit_datagrams(&self) -> Admission {
        self.pace().admit_datagrams().await;
        Admission(())
    }

    /// Opens a connection. The clock of the deadline starts now, not when leave was asked for.
    pub async fn connect(
        &self,
        admission: Admission,
        address: SocketAddr,
        deadline: Duration,
    ) -> Result<Tapped, Fault> {
        self.connect_in(admission, address, deadline, None).await
    }

    /// The same; the peer is told to send segments of at most so many octets, if that is asked for.
    pub async fn connect_in(
        &self,
        _admission: Admission,
        address: SocketAddr,
        deadline: Duration,
        segments: Option<u32>,
    ) -> Result<Tapped, Fault> {
        super::stays_here(address.ip());
        self.meter().connection();
        match timeout(deadline, dial(address, segments)).await {
            Ok(Ok(stream)) => {
                // Without it a request that follows the handshake waits for the peer's delayed acknowledgement. Where
                // the option is refused the connection is merely slower.
                let _ = stream.set_nodelay(true);
                Ok(Tapped::new(stream, Arc::clone(&self.shared.meter)))
            }
            Ok(Err(error)) => Err(Fault::new(errno::outcome(&error), error)),
            Err(_) => Err(Fault::new(Outcome::Failed(Failure::GenericTimeoutError), Waited(deadline))),
        }
    }
}

async fn dial(address: SocketAddr, segments: Option<u32>) -> io::Result<TcpStream> {
    let Some(octets) = segments else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    SockRef::from(&socket).set_tcp_mss(octets)?;
    socket.connect(address).await
}

/// Says how long was waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waited(pub(super) Duration);

impl std::fmt::Display for Waited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nothing within {:?}", self.0)
    }
}
