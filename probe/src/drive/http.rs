//! One GET over a connection that was just measured, by HTTP/1.1 or h2, as the handshake negotiated.
//!
//! The header set is fixed and that of a common browser. Many sites and most middleboxes treat unknown agents unlike
//! people, and what people get is the question; a probe that names itself would also mark its user to whoever watches.
//! `Accept-Encoding` is left out: bodies are compared as text, and nothing that a stranger compressed is unpacked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use faultline_record::{Arrival, Failure, Http, Outcome};
use http::{HeaderMap, Request, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Error, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;
use url::Url;

use super::bounded::{Bounded, is_too_much};
use super::scrub::Scrubber;
use super::tap::{Tap, Tapped};
use super::tcp::Waited;
use super::{Drive, Fault};

/// A desktop browser with a large share; its version moves with our releases. Newer Chromes freeze all but the first
/// number (User-Agent reduction, 2022).
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const ACCEPT_LANGUAGE: &str = "en-US,en;q=0.9";

/// Room for a response's head; hyper would allow more than what is kept of a body.
pub(super) const HEAD: usize = 64 * 1024;

type Ask = Request<Empty<Bytes>>;

/// What a request goes over.
#[derive(Debug)]
pub enum Channel {
    /// TCP in the clear.
    Plain(Tapped),
    /// TLS.
    Secure(Box<TlsStream<Tapped>>),
}

impl Channel {
    fn tapped(&self) -> &Tapped {
        match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => stream.get_ref().0,
        }
    }

    fn is_h2(&self) -> bool {
        matches!(self, Self::Secure(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2"))
    }
}

/// A request's end: what was seen, as far as it came.
#[derive(Debug)]
pub struct Fetch {
    /// How it ended.
    pub outcome: Outcome,
    /// Whose words came with a failure.
    pub detail: Option<String>,
    /// What was seen, scrubbed.
    pub seen: Http,
    /// The `Location` of a redirect as it was sent, to follow and not to keep.
    pub location: Option<String>,
}

/// What has been received so far; outlives a deadline.
#[derive(Default)]
pub(super) struct Received {
    pub(super) start: Option<Instant>,
    pub(super) head_ms: Option<u32>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) status: Option<u16>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) body_length: u64,
    pub(super) truncated: bool,
}

impl Drive {
    /// Asks for a URL; reads at most the limit of a body and closes then.
    pub async fn get(&self, channel: Channel, url: &Url, deadline: Duration) -> Fetch {
        self.get_at_most(channel, url, deadline, self.config().limits.body).await
    }

    /// The same with a limit of its own, octets.
    pub async fn get_at_most(&self, channel: Channel, url: &Url, deadline: Duration, limit: usize) -> Fetch {
        let scrubber = Scrubber::new(channel.tapped().stream().local_addr().ok());
        let tap = channel.tapped().tap();
        let is_h2 = channel.is_h2();
        let mut received = Received { start: Some(Instant::now()), ..Received::default() };
        tap.begin_curve();
        let Some(request) = request(url, is_h2) else {
            let fault = Fault::new(Outcome::Failed(Failure::InvalidArgument), "the URL cannot be asked for");
            return end(Some(fault), received, url, is_h2, scrubber);
        };
        let exchange = async {
            match channel {
                Channel::Plain(stream) => over_http1(Bounded::new(stream, limit), request, limit, &mut received).await,
                Channel::Secure(stream) if is_h2 => {
                    over_h2(Bounded::new(*stream, limit), request, limit, &mut received).await
                }
                Channel::Secure(stream) => {
                    over_http1(Bounded::new(*stream, limit), request, limit, &mut received).await
                }
            }
        };
        let fault = match timeout(deadline, exchange).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(fault(&error, &tap, is_h2)).filter(|fault| !ends_there(fault, &received, is_h2)),
            Err(_) => Some(Fault::new(Outcome::Failed(Failure::GenericTimeoutError), Waited(deadline))),
        };
        received.arrivals = tap.arrivals();
        end(fault, received, url, is_h2, scrubber)
    }
}

fn end(fault: Option<Fault>, received: Received, url: &Url, is_h2: bool, scrubber: Scrubber) -> Fetch {
    let location = received.headers.get(header::LOCATION).map(|value| lossy(value.as_bytes()));
    let (outcome, detail) = fault.map_or((Outcome::Ok, None), |fault| (fault.outcome, fault.detail));
    Fetch { outcome, detail, seen: keep(received, url, is_h2, scrubber), location }
}

/// Whether the end of the stream is the end of the body: a response without a length (RFC 9112, 6.3). Many servers then
/// close TLS without `close_notify`, which browsers bear with, and which is no sign of interference.
fn ends_there(fault: &Fault, received: &Received, is_h2: bool) -> bool {
    let has_length =
        [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| received.headers.contains_key(name));
    fault.outcome == Outcome::Failed(Failure::EofError) && received.status.is_some() && !is_h2 && !has_length
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn keep(received: Received, url: &Url, is_h2: bool, scrubber: Scrubber) -> Http {
    let headers = &received.headers;
    Http {
        url: scrubber.place(url.as_str()),
        protocol: received.status.map(|_| if is_h2 { "h2" } else { "http/1.1" }.to_owned()),
        status: received.status,
        headers: headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), scrubber.header(name.as_str(), value.as_bytes())))
            .collect(),
        body: received.status.map(|_| Arc::from(scrubber.body(received.body))),
        body_length: received.body_length,
        body_truncated: received.truncated,
        title: None,
        head_ms: received.head_ms,
        arrivals: received.arrivals,
    }
}

async fn over_http1<IO>(io: IO, request: Ask, limit: usize, received: &mut Received) -> Result<(), Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        http1::Builder::new().title_case_headers(true).max_buf_size(HEAD).handshake(TokioIo::new(io)).await?;
    let exchange = async move { receive(sender.send_request(request).await?, limit, received).await };
    drive(connection, exchange).await
}

async fn over_h2<IO>(io: IO, request: Ask, limit: usize, received: &mut Received) -> Result<(), Error>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
        .handshake(TokioIo::new(io))
        .await?;
    let exchange = async move { receive(sender.send_request(request).await?, limit, received).await };
    drive(connection, exchange).await
}

/// Drives a connection beside the exchange over it, in this very task. The exchange has the last word: a connection
/// that ends first has handed over what it knew.
async fn drive(
    connection: impl Future<Output = Result<(), Error>>,
    exchange: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        result = &mut exchange => return result,
        ended = connection => if let Err(error) = ended { tracing::debug!(%error, "an HTTP connection ended early") },
    }
    exchange.await
}

async fn receive(response: Response<Incoming>, limit: usize, received: &mut Received) -> Result<(), Error> {
    let (head, mut body) = response.into_parts();
    received.status = Some(head.status.as_u16());
    received.head_ms = received.start.map(|start| u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX));
    received.headers = head.headers;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        received.body_length += data.len() as u64;
        let room = limit - received.body.len();
        received.body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            received.truncated = true;
            break;
        }
    }
    Ok(())
}

/// The request for a URL, if it can be written down.
pub(super) fn request(url: &Url, is_h2: bool) -> Option<Ask> {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let builder = if is_h2 {
        Request::builder().version(Version::HTTP_2).uri(&url[..url::Position::AfterQuery])
    } else {
        Request::builder().version(Version::HTTP_11).uri(target).header(header::HOST, host)
    };
    builder
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, ACCEPT)
        .header(header::ACCEPT_LANGUAGE, ACCEPT_LANGUAGE)
        .header(header::UPGRADE_INSECURE_REQUESTS, "1")
        .body(Empty::new())
        .ok()
}

/// The failure of hyper's error. What the wire did comes first: libraries give it names of their own.
fn fault(error: &Error, tap: &Tap, is_h2: bool) -> Fault {
    let passed = tap.passed();
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let outcome = match io {
        _ if passed.error.is_some() => passed.error.unwrap_or(Outcome::Failed(Failure::UnknownFailure)),
        Some(io) if is_too_much(io) => Outcome::Failed(Failure::HttpMalformedResponse),
        Some(io) => super::tls::fault(io, &passed).outcome,
        None if error.is_parse() => Outcome::Failed(Failure::HttpMalformedResponse),
        None if error.is_incomplete_message() || passed.ended => Outcome::Failed(Failure::EofError),
        None if is_h2 => Outcome::Failed(Failure::Http2ProtocolError),
        None => Outcome::Failed(Failure::HttpMalformedResponse),
    };
    let words =
        std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    Fault { outcome, detail: Some(words) }
}
