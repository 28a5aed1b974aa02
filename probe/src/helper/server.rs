//! `probe helper serve`: a small HTTP/1.1 service that answers one kind of question.
//!
//! It is open to strangers, so everything is bounded: connections, questions worked on at once, bytes and time of each.
//! It passes on no body, follows no redirect, dials nothing private and no address of its own machine, keeps nothing,
//! and names no target in its log above debug level.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::answer::answer;
use super::guard::{self, Checked};
use super::message::{ADDRESSES, PATH, QUESTION_BYTES};
use crate::drive::{Drive, DriveConfig, DriveError, Strangers};
use crate::follow_up::FollowUps;
use crate::limits::Limits;
use crate::measure::{Survey, survey};
use crate::meter::Meter;
use crate::pace::Pace;

/// Questions worked on at once (the protocol's brief).
const AT_ONCE: usize = 8;
/// Connections held at once: those that work and those that wait, with room for some that dawdle.
const CONNECTIONS: usize = 64;
/// How long a question waits for its turn; a client waits 15 s in all.
const TURN: Duration = Duration::from_secs(5);
/// How long the work on a question may take: with a turn's wait it stays within the client's patience.
const SURVEY: Duration = Duration::from_secs(9);
/// How long a request may take in all, reading it included (the protocol's brief).
const REQUEST: Duration = Duration::from_secs(20);
/// New connections a second to targets, for all clients together.
const RATE: f64 = 50.0;

/// How a helper is set up.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Roots to trust, besides the built-in ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Whether private addresses and this machine's own may be tried: for networks that are one's own.
    pub allow_private: bool,
    /// Whether the machine has an IPv6 route.
    pub ipv6: bool,
}

/// Deadlines of a helper's steps: shorter than a probe's, for somebody waits.
fn limits() -> Limits {
    let seconds = Duration::from_secs;
    Limits { dns: seconds(3), tcp: seconds(4), tls: seconds(4), http: seconds(4), ..Limits::default() }
}

/// A helper that listens. Clones share everything.
#[derive(Clone, Debug)]
pub struct Server {
    drive: Drive,
    allow_private: bool,
    work: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    cancel: CancellationToken,
}

impl Server {
    /// Builds a helper; it ends when `cancel` says so.
    pub fn new(options: &ServerOptions, cancel: CancellationToken) -> Result<Self, DriveError> {
        let config = DriveConfig {
            extra_roots: options.extra_roots.clone(),
            resolvers: Vec::new(),
            doh: Vec::new(),
            innocent_sni: String::new(),
            strangers: Strangers::default(),
            limits: limits(),
            follow_up: FollowUps::None,
            http3: false,
            ipv6: options.ipv6,
            vpn_keys: Arc::default(),
        };
        let drive = Drive::new(config, Arc::new(Pace::new(Some(RATE))), Arc::new(Meter::default()))?;
        Ok(Self::with_drive(drive, options.allow_private, cancel))
    }

    pub(crate) fn with_drive(drive: Drive, allow_private: bool, cancel: CancellationToken) -> Self {
        Self {
            drive,
            allow_private,
            work: Arc::new(Semaphore::new(AT_ONCE)),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            cancel,
        }
    }

    /// Serves until told to end.
    pub async fn serve(&self, listener: TcpListener) {
        loop {
            let next = async {
                let permit = Arc::clone(&self.connections).acquire_owned().await.ok()?;
                Some((permit, listener.accept().await))
            };
            let accepted = tokio::select! {
                () = self.cancel.cancelled() => return,
                accepted = next => accepted,
            };
            match accepted {
                Some((permit, Ok((stream, _)))) => {
                    let this = self.clone();
                    tokio::spawn(async move {
                        this.converse(stream).await;
                        drop(permit);
                    });
                }
                // Out of descriptors, or a client that has gone: a moment later it may work.
                Some((_, Err(error))) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                None => return,
            }
        }
    }

    /// One connection, one question.
    async fn converse(&self, stream: TcpStream) {
        let service = service_fn(|request| async move { Ok::<_, Infallible>(self.reply(request).await) });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(TURN)
            .keep_alive(false)
            .max_buf_size(QUESTION_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        if let Ok(Err(error)) = timeout(REQUEST + TURN, connection).await {
            tracing::debug!(%error, "a client's connection ended early");
        }
    }

    async fn reply(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let replied = timeout(REQUEST, self.handle(request)).await;
        replied.unwrap_or_else(|_| refuse(StatusCode::SERVICE_UNAVAILABLE, "failed to finish within its time"))
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.uri().path(), request.method()) {
            (PATH, &Method::POST) => {}
            (PATH, _) => return refuse(StatusCode::METHOD_NOT_ALLOWED, "failed to find a question: POST is expected"),
            _ => return refuse(StatusCode::NOT_FOUND, "failed to find anything here"),
        }
        let is_announced = request.body().size_hint().lower() > QUESTION_BYTES as u64;
        let too_long = || refuse(StatusCode::PAYLOAD_TOO_LARGE, "the question is too long");
        // A little more is read than is taken, so that who sends a little too much hears of it before a reset.
        let body = match Limited::new(request.into_body(), 4 * QUESTION_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if is_announced || error.is::<LengthLimitError>() => return too_long(),
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("failed to read the question: {error}")),
        };
        if body.len() > QUESTION_BYTES {
            return too_long();
        }
        match guard::check(&body) {
            Ok(checked) => self.work(checked).await,
            Err(refusal) => refuse(StatusCode::BAD_REQUEST, &refusal.to_string()),
        }
    }

    async fn work(&self, Checked { endpoint, addresses, datagram }: Checked) -> Response<Full<Bytes>> {
        let Ok(Ok(_turn)) = timeout(TURN, self.work.acquire()).await else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many questions at once");
        };
        let wanted = Survey {
            endpoint,
            addresses,
            datagram,
            cap: ADDRESSES,
            // Looked at anew each time: a machine's addresses change.
            forbidden: if self.allow_private { Vec::new() } else { guard::own_addresses() }.into(),
            dials_bogons: self.allow_private,
            limit: SURVEY,
            cancel: self.cancel.clone(),
        };
        let rows = Box::pin(survey(&self.drive, wanted)).await;
        match serde_json::to_vec(&answer(&rows)) {
            Ok(json) => respond(StatusCode::OK, json),
            Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

fn refuse(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    respond(status, serde_json::json!({ "error": words }).to_string().into_bytes())
}

fn respond(status: StatusCode, json: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(json));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
