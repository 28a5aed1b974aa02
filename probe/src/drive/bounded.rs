//! A stream of which no more is read than a response can need: what is beside head and body (interim responses, frames, chunks of one
//! octet) has no end of its own, and a library that reads it does not look at the clock meanwhile.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets on the wire for each of a body: chunks of a single one take six (RFC 9112 section 7.1).
const FOR_EACH: usize = 6;
/// Room for the head, interim responses and frames.
const BESIDE: usize = 512 * 1024;

/// Says that more came than a response can hold.
#[derive(Debug, thiserror::Error)]
#[error("more came than a response can hold")]
struct TooMuch;

/// Whether this is what ended the stream.
pub(super) fn is_too_much(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
}

/// The stream.
#[derive(Debug)]
pub(super) struct Bounded<IO> {
    inner: IO,
    left: usize,
}

impl<IO> Bounded<IO> {
    /// A stream for one response of which so much of a body is kept.
    pub(super) fn new(inner: IO, body: usize) -> Self {
        Self { inner, left: body.saturating_mul(FOR_EACH).saturating_add(BESIDE) }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Bounded<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        this.left = this.left.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Bounded<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_is_within_the_bound_is_read_whole_and_what_is_beyond_is_an_error_of_its_own() {
        let most = 10 * FOR_EACH + BESIDE;
        let mut read = Vec::new();
        let within = vec![1; most - 1];
        assert_eq!(Bounded::new(&within[..], 10).read_to_end(&mut read).await.unwrap(), most - 1);
        let error = Bounded::new(tokio::io::repeat(1), 10).read_to_end(&mut Vec::new()).await.unwrap_err();
        assert!(is_too_much(&error) && !is_too_much(&io::Error::other("else")), "{error}");
    }
}
