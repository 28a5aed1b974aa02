//! One GET by HTTP/3 (RFC 9114) over a QUIC connection that was just measured, with the headers that go over TCP.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Buf;
use faultline_record::{Failure, Outcome};
use h3::error::StreamError;
use http::Request;
use tokio::time::{interval, timeout};
use url::Url;

use super::http::{Fetch, HEAD, Received, keep, request};
use super::quic::{QuicChannel, fault_of};
use super::scrub::Scrubber;
use super::tcp::Waited;
use super::{Drive, Fault};

/// Interim responses (1xx, RFC 9110 section 15.2) that are passed over; nobody sends more than one or two.
const INTERIM: usize = 16;
/// How often it is looked how much has come.
const LOOK: Duration = Duration::from_millis(20);
/// What may come in datagrams beyond head and body: packets, frames and what is sent twice.
const BESIDE: usize = 256 * 1024;

/// What a connection is for h3.
type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, bytes::Bytes>;

impl Drive {
    /// Asks for a URL; reads at most the limit of a body and closes then.
    pub async fn get_by_quic(&self, channel: QuicChannel, url: &Url, deadline: Duration) -> Fetch {
        let scrubber = Scrubber::new(local_address(&channel));
        let mut received = Received::default();
        let limit = self.config().limits.body;
        let result = match request(url, true) {
            Some(ask) => {
                let (head, _) = ask.into_parts();
                let exchange = exchange(&channel, Request::from_parts(head, ()), limit, &mut received);
                tokio::select! {
                    result = timeout(deadline, exchange) => result.unwrap_or_else(|_| {
                        Err(Fault::new(Outcome::Failed(Failure::GenericTimeoutError), Waited(deadline)))
                    }),
                    () = too_much(&channel, limit) => Err(Fault::new(
                        Outcome::Failed(Failure::HttpMalformedResponse), "more came than a response can hold",
                    )),
                }
            }
            None => Err(Fault::new(Outcome::Failed(Failure::InvalidArgument), "the URL cannot be asked for")),
        };
        let location = received.headers.get(http::header::LOCATION);
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut seen = keep(received, url, true, scrubber);
        seen.protocol = seen.protocol.map(|_| "h3".to_owned());
        match result {
            Ok(()) => Fetch { outcome: Outcome::Ok, detail: None, seen, location },
            Err(fault) => Fetch { outcome: fault.outcome, detail: fault.detail, seen, location },
        }
    }
}

/// Our own address towards the peer: the connection's socket is bound to none. Nothing is sent.
fn local_address(channel: &QuicChannel) -> Option<SocketAddr> {
    let peer = channel.connection.remote_address();
    let any = if peer.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).and_then(|()| socket.local_addr()).ok()
}

/// Comes to its end when more has been received than a head, a body of that length and their packets can be: a library reads a
/// frame as long as its sender says that it is.
async fn too_much(channel: &QuicChannel, body: usize) {
    let start = channel.received.load(Ordering::Relaxed);
    let most = (HEAD + body + BESIDE) as u64;
    let mut looks = interval(LOOK);
    while channel.received.load(Ordering::Relaxed) - start <= most {
        looks.tick().await;
    }
}

async fn exchange(channel: &QuicChannel, ask: Request<()>, limit: usize, received: &mut Received) -> Result<(), Fault> {
    let connection = h3_quinn::Connection::new(channel.connection.clone());
    let mut builder = h3::client::builder();
    let built = builder.max_field_section_size(HEAD as u64).build(connection).await;
    let (mut driver, sender) = built.map_err(|error| fault(error, channel))?;
    let mut receive = std::pin::pin!(receive(sender, ask, limit, received));
    let result = tokio::select! {
        biased;
        result = &mut receive => result,
        // The exchange has the last word: a connection that ends first has handed over what it knew.
        _ = std::future::poll_fn(|context| driver.poll_close(context)) => receive.await,
    };
    result.map_err(|error| of_stream(&error, channel))
}

async fn receive(
    mut sender: Sender,
    ask: Request<()>,
    limit: usize,
    received: &mut Received,
) -> Result<(), StreamError> {
    let mut stream = sender.send_request(ask).await?;
    stream.finish().await?;
    let mut head = stream.recv_response().await?;
    for _ in 0..INTERIM {
        if !head.status().is_informational() {
            break;
        }
        head = stream.recv_response().await?;
    }
    received.status = Some(head.status().as_u16());
    received.headers = std::mem::take(head.headers_mut());
    while let Some(mut data) = stream.recv_data().await? {
        let length = data.remaining();
        received.body_length += length as u64;
        let room = limit - received.body.len();
        received.body.extend_from_slice(&data.copy_to_bytes(length.min(room)));
        if length > room {
            received.truncated = true;
            break;
        }
    }
    Ok(())
}

fn of_stream(error: &StreamError, channel: &QuicChannel) -> Fault {
    match error {
        StreamError::RemoteTerminate { .. } => Fault::said(Outcome::Failed(Failure::ConnectionReset), error),
        _ => fault(error, channel),
    }
}

/// What the connection itself met says more than what a library makes of it.
fn fault(error: impl Display, channel: &QuicChannel) -> Fault {
    use quinn::ConnectionError::{ApplicationClosed, ConnectionClosed, LocallyClosed};
    let failure = match channel.connection.close_reason() {
        Some(ApplicationClosed(_) | ConnectionClosed(_)) => Failure::EofError,
        Some(LocallyClosed) | None => Failure::HttpMalformedResponse,
        Some(other) => return fault_of(&other),
    };
    Fault::said(Outcome::Failed(failure), error)
}
