//! Hosts that speak no protocol: they accept connections and then misbehave, each in one way.
//!
//! No daemon does that on purpose, so threads of this process listen, in the namespace of the host.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use socket2::{SockRef, Socket};

use crate::netns::Namespace;
use crate::scenario::Serves;

/// How long a connection is kept.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a host misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// It answers the client's first bytes with noise.
    Junk,
    /// It closes at once.
    Eof,
    /// It resets at once.
    Reset,
    /// It says nothing.
    Mute,
}

impl Oddity {
    /// That of a site, if it has one.
    pub fn of(serves: Serves) -> Option<Self> {
        match serves {
            Serves::Junk => Some(Self::Junk),
            Serves::Eof => Some(Self::Eof),
            Serves::Reset => Some(Self::Reset),
            Serves::Mute => Some(Self::Mute),
            _ => None,
        }
    }

    fn treat(self, stream: TcpStream) {
        // Whatever fails here: the client has gone, which ends the connection as well.
        let _ = match self {
            Self::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
            Self::Eof => stream.shutdown(Shutdown::Write).and_then(|()| drain(stream)),
            Self::Mute => drain(stream),
            Self::Junk => babble(stream),
        };
    }
}

/// Reads until the client has had enough.
fn drain(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

fn babble(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    if stream.read(&mut [0; 4096])? > 0 {
        stream.write_all(&noise())?;
        stream.shutdown(Shutdown::Write)?;
        drain(stream)?;
    }
    Ok(())
}

/// 512 octets that begin neither a TLS record nor an HTTP response: a linear congruential generator's upper bits
/// (multiplier and increment of Knuth's MMIX), with the first octet set.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::once(0xff).chain(std::iter::repeat_with(&mut next).take(511)).collect()
}

/// A running listener. It stops when dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Arc<Socket>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Starts to misbehave at an address and port.
    pub fn start(namespace: &Namespace, oddity: Oddity, at: (IpAddr, u16)) -> Result<Self> {
        let listener = namespace
            .inside(|| TcpListener::bind(SocketAddr::from(at)))?
            .with_context(|| format!("listen at {} port {}", at.0, at.1))?;
        let socket = Arc::new(Socket::from(listener.try_clone()?));
        let name = format!("odd-{}", listener.as_raw_fd());
        let thread = std::thread::Builder::new().name(name).spawn(move || serve(&listener, oddity))?;
        Ok(Self { socket, thread: Some(thread) })
    }
}

fn serve(listener: &TcpListener, oddity: Oddity) {
    while let Ok((stream, _)) = listener.accept() {
        // Without a thread for it the connection is closed, which is odd enough.
        let _ = std::thread::Builder::new().spawn(move || oddity.treat(stream));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It wakes the thread out of `accept`.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    /// What a client reads that says hello first, after a pause in which an eager server acts.
    fn read(oddity: Oddity) -> std::io::Result<Vec<u8>> {
        let listener = TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0))?;
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        client.set_read_timeout(Some(Duration::from_millis(300)))?;
        let (stream, _) = listener.accept()?;
        let server = std::thread::spawn(move || oddity.treat(stream));
        if oddity == Oddity::Junk {
            client.write_all(b"hello")?;
        }
        let mut bytes = Vec::new();
        let result = client.read_to_end(&mut bytes);
        drop(client);
        server.join().unwrap();
        result.map(|_| bytes)
    }

    #[test]
    fn noise_is_no_protocol_and_always_the_same() {
        assert!(noise().len() == 512 && noise()[0] == 0xff && noise() == noise());
        assert!(noise().iter().collect::<std::collections::BTreeSet<_>>().len() > 100);
    }

    #[test]
    fn each_host_misbehaves_in_its_way() {
        assert_eq!(read(Oddity::Junk).unwrap(), noise());
        assert_eq!(read(Oddity::Eof).unwrap(), b"");
        assert_eq!(read(Oddity::Reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(read(Oddity::Mute).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
