//! A TCP stream that remembers what passed over it: how much, how it began, and how it ended. TLS and HTTP libraries
//! give errors of their own; what the wire did is read here.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use faultline_record::{Arrival, Outcome};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::arrivals::Curve;
use super::errno;
use crate::meter::Meter;

/// How many of the first bytes are kept: enough for a record's header and an alert.
const KEPT: usize = 16;

/// What passed over a connection so far.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Bytes received.
    pub received: u64,
    /// The peer has ended the stream.
    pub ended: bool,
    /// The first error met, as an outcome.
    pub error: Option<Outcome>,
    first: [u8; KEPT],
}

impl Passed {
    /// The first bytes received, as far as they are kept.
    pub fn first(&self) -> &[u8] {
        let length = usize::try_from(self.received).map_or(KEPT, |received| received.min(KEPT));
        &self.first[..length]
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        let before = usize::try_from(self.received).map_or(KEPT, |received| received.min(KEPT));
        let more = bytes.len().min(KEPT - before);
        self.first[before..before + more].copy_from_slice(&bytes[..more]);
        self.received += bytes.len() as u64;
        self.ended |= bytes.is_empty();
    }
}

/// A look at a connection that something else owns.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<Mutex<Passed>>, Arc<Mutex<Curve>>);

impl Tap {
    /// What has passed so far.
    pub fn passed(&self) -> Passed {
        self.lock().clone()
    }

    /// A request is sent now: from here on it is kept when bytes come.
    pub(super) fn begin_curve(&self) {
        self.curve().begin(Instant::now());
    }

    /// When bytes came since the request.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.curve().points()
    }

    fn curve(&self) -> MutexGuard<'_, Curve> {
        // A point is pushed whole, as with the counters.
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Passed> {
        // The counters are whole after every statement: a panic elsewhere cannot have torn them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &io::Error) {
        self.lock().error.get_or_insert_with(|| errno::outcome(error));
    }
}

/// A TCP stream with a tap on it.
#[derive(Debug)]
pub struct Tapped {
    stream: TcpStream,
    tap: Tap,
    meter: Arc<Meter>,
    /// The first bytes sent are cut here.
    cut: Option<Cut>,
}

/// Where what is sent first is cut in two.
#[derive(Debug)]
enum Cut {
    /// In the middle of this text, if it is there.
    Within(Vec<u8>),
    /// After so many octets.
    After(usize),
}

impl Cut {
    fn at(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Within(text) => middle_of(bytes, text),
            Self::After(octets) => Some(*octets).filter(|octets| *octets < bytes.len()),
        }
    }
}

impl Tapped {
    pub(super) fn new(stream: TcpStream, meter: Arc<Meter>) -> Self {
        Self { stream, tap: Tap::default(), meter, cut: None }
    }

    /// The same stream; what is sent first goes out in two segments, cut in the middle of `text`.
    pub(super) fn cut_at(self, text: &str) -> Self {
        Self { cut: Some(Cut::Within(text.as_bytes().to_vec())), ..self }
    }

    /// The same stream; what is sent first goes out in two segments, the first of so many octets.
    pub(crate) fn cut_after(self, octets: usize) -> Self {
        Self { cut: Some(Cut::After(octets)), ..self }
    }

    /// The tap, to keep after the stream has been given away.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// From now on packets go so many routers far (`IP_TTL`, `IPV6_UNICAST_HOPS`; no privilege is needed).
    pub fn sends_as_far_as(&self, ttl: u8) -> io::Result<()> {
        let socket = SockRef::from(&self.stream);
        if self.stream.peer_addr()?.is_ipv4() {
            socket.set_ttl_v4(ttl.into())
        } else {
            socket.set_unicast_hops_v6(ttl.into())
        }
    }

    /// The stream below.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Tapped {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut this.stream).poll_read(cx, buffer));
        match &result {
            Ok(()) if buffer.capacity() == before => {}
            Ok(()) => {
                let bytes = &buffer.filled()[before..];
                this.meter.received(bytes.len());
                this.tap.lock().read(bytes);
                this.tap.curve().saw(bytes.len(), Instant::now());
            }
            Err(error) => this.tap.failed(error),
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Without Nagle's algorithm (RFC 9293, 3.7.4) each write is a segment.
        let bytes = this.cut.as_ref().and_then(|cut| cut.at(bytes)).map_or(bytes, |cut| &bytes[..cut]);
        let result = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes));
        if result.is_ok() {
            this.cut = None;
        }
        this.wrote(&result);
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let (Some(_), Some(first)) = (&this.cut, slices.iter().find(|slice| !slice.is_empty())) {
            return Pin::new(this).poll_write(cx, first);
        }
        let result = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, slices));
        this.wrote(&result);
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The place in the middle of `text` in `bytes`, if it is there.
fn middle_of(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let start = bytes.windows(text.len().max(1)).position(|window| window == text)?;
    Some(start + text.len() / 2).filter(|cut| *cut > 0)
}

impl Tapped {
    fn wrote(&self, result: &io::Result<usize>) {
        match result {
            Ok(bytes) => self.meter.sent(*bytes),
            Err(error) => self.tap.failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_first_is_cut_in_the_middle_of_the_text_or_after_so_many_octets_and_only_once() {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut tapped = Tapped::new(stream, Arc::default()).cut_at("x.example");
        assert_eq!(tapped.write(b"....x.example....").await.unwrap(), 8);
        assert_eq!(tapped.write(b"ample....x.example").await.unwrap(), 18);
        let mut tapped = tapped.cut_after(2);
        assert_eq!(tapped.write(b"\x16\x03\x01").await.unwrap(), 2);
        assert_eq!(tapped.write(b"\x01rest").await.unwrap(), 5);
        assert_eq!((middle_of(b"no name", b"x.example"), middle_of(b"", b"")), (None, None));
    }
}
