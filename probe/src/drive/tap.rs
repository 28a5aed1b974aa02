//! A TCP stream that remembers what passed over it: how much, how it began, and how it ended. TLS and HTTP libraries
//! give errors of their own; what the wire did is read here.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use faultline_record::Outcome;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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

    fn read(&mut self, bytes: &[u8]) {
        let before = usize::try_from(self.received).map_or(KEPT, |received| received.min(KEPT));
        let more = bytes.len().min(KEPT - before);
        self.first[before..before + more].copy_from_slice(&bytes[..more]);
        self.received += bytes.len() as u64;
        self.ended |= bytes.is_empty();
    }
}

/// A look at a connection that something else owns.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<Mutex<Passed>>);

impl Tap {
    /// What has passed so far.
    pub fn passed(&self) -> Passed {
        self.lock().clone()
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
}

impl Tapped {
    pub(super) fn new(stream: TcpStream, meter: Arc<Meter>) -> Self {
        Self { stream, tap: Tap::default(), meter }
    }

    /// The tap, to keep after the stream has been given away.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
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
            }
            Err(error) => this.tap.failed(error),
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes));
        this.wrote(&result);
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
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

impl Tapped {
    fn wrote(&self, result: &io::Result<usize>) {
        match result {
            Ok(bytes) => self.meter.sent(*bytes),
            Err(error) => self.tap.failed(error),
        }
    }
}
