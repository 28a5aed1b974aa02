//! The errand to a helper: one POST, over a connection of our own drivers. Whatever goes wrong on it says something
//! about the way to the helper and nothing about the target.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use faultline_record::{Failure, Outcome, QueryType};
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::{Host, Url};

use super::message::{ANSWER_BYTES, HelperAnswer, HelperQuestion, PATH, SCHEMA};
use crate::drive::{Alpn, Drive, Fault, Question, Tapped};

/// How long an errand may take (the protocol's brief).
const ERRAND: Duration = Duration::from_secs(15);
/// One connection, or one handshake, on the way to the helper.
const STEP: Duration = Duration::from_secs(4);
/// Addresses of the helper's that are tried, one after the other.
const TRIES: usize = 3;
/// Errands at once: as many as a helper works on.
const AT_ONCE: usize = 8;
/// Connections or names in an answer beyond which it is no helper's.
const MANY: usize = 64;

/// A helper that can be asked.
#[derive(Debug)]
pub struct HelperClient {
    url: Url,
    turns: Semaphore,
}

impl HelperClient {
    /// The helper at a base URL, as in `https://helper.example/`.
    pub fn new(base: &Url) -> Self {
        let mut url = base.clone();
        url.set_path(&format!("{}{PATH}", base.path().trim_end_matches('/')));
        Self { url, turns: Semaphore::new(AT_ONCE) }
    }

    /// Where it is asked, without what is nobody's business: user, password and query are never kept.
    pub fn place(&self) -> String {
        let mut shown = self.url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        let _ = shown.set_username("").and_then(|()| shown.set_password(None));
        shown.into()
    }

    /// Asks. The wait for a turn does not count.
    pub async fn ask(&self, drive: &Drive, question: &HelperQuestion) -> Result<HelperAnswer, Fault> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(fault(Failure::UnknownFailure, "the helper's turns are closed"));
        };
        let late = |_| fault(Failure::GenericTimeoutError, format!("no answer within {ERRAND:?}"));
        timeout(ERRAND, Box::pin(self.errand(drive, question))).await.map_err(late)?
    }

    async fn errand(&self, drive: &Drive, question: &HelperQuestion) -> Result<HelperAnswer, Fault> {
        let body = serde_json::to_vec(question).map_err(|error| fault(Failure::InvalidArgument, error))?;
        let stream = self.connect(drive).await?;
        if self.url.scheme() == "http" {
            return self.exchange(stream, body).await;
        }
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let shaken = drive.handshake(stream, host, Alpn::None, STEP).await;
        match shaken.stream {
            // Whoever cannot prove to be the helper is not believed.
            Some(stream) if shaken.outcome.is_ok() => self.exchange(stream, body).await,
            _ => Err(Fault { outcome: shaken.outcome, detail: shaken.detail }),
        }
    }

    async fn connect(&self, drive: &Drive) -> Result<Tapped, Fault> {
        let port = self.url.port_or_known_default().unwrap_or(443);
        let mut last = fault(Failure::DnsNoAnswer, "the helper has no address");
        for address in self.addresses(drive).await?.into_iter().take(TRIES) {
            match drive.connect(drive.admit().await, SocketAddr::new(address, port), STEP).await {
                Ok(stream) => return Ok(stream),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn addresses(&self, drive: &Drive) -> Result<Vec<IpAddr>, Fault> {
        match self.url.host() {
            Some(Host::Ipv4(address)) => return Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => return Ok(vec![address.into()]),
            _ => {}
        }
        let host = self.url.host_str().unwrap_or_default();
        let four = drive.ask_system(&Question::new(host, QueryType::A)).await;
        let mut addresses = four.addresses();
        if drive.config().ipv6 {
            addresses.extend(drive.ask_system(&Question::new(host, QueryType::Aaaa)).await.addresses());
        }
        match four.outcome {
            outcome if addresses.is_empty() && !outcome.is_ok() => Err(Fault { outcome, detail: four.detail }),
            _ => Ok(addresses),
        }
    }

    async fn exchange<IO>(&self, io: IO, body: Vec<u8>) -> Result<HelperAnswer, Fault>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let wrong = |error: hyper::Error| fault(failure_of(&error), error);
        let request = self.request(body).map_err(|error| fault(Failure::InvalidArgument, error))?;
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(ANSWER_BYTES).handshake(TokioIo::new(io)).await.map_err(wrong)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(wrong)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| fault(Failure::UnexpectedResponse, error))?.to_bytes();
            if status != http::StatusCode::OK {
                return Err(fault(Failure::UnexpectedResponse, format!("the helper answered with status {status}")));
            }
            read(&body)
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            biased;
            done = &mut exchange => return done,
            _ = connection => {}
        }
        exchange.await
    }

    fn request(&self, body: Vec<u8>) -> http::Result<Request<Full<Bytes>>> {
        Request::post(&self.url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(header::HOST, &self.url[url::Position::BeforeHost..url::Position::AfterPort])
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
    }
}

/// Reads an answer; one that is not, or that is absurdly long, is none.
pub(super) fn read(body: &[u8]) -> Result<HelperAnswer, Fault> {
    let answer: HelperAnswer = serde_json::from_slice(body)
        .map_err(|error| fault(Failure::UnexpectedResponse, format!("the helper's answer cannot be read: {error}")))?;
    let is_sane = answer.schema == SCHEMA && answer.addresses.len() <= MANY && answer.dns.addresses.len() <= MANY;
    is_sane.then_some(answer).ok_or_else(|| fault(Failure::UnexpectedResponse, "not an answer of this protocol"))
}

fn failure_of(error: &hyper::Error) -> Failure {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    match io.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionReset) => Failure::ConnectionReset,
        _ if error.is_incomplete_message() => Failure::EofError,
        _ if error.is_parse() => Failure::HttpMalformedResponse,
        _ => Failure::UnknownFailure,
    }
}

fn fault(failure: Failure, words: impl std::fmt::Display) -> Fault {
    Fault { outcome: Outcome::Failed(failure), detail: Some(words.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> HelperClient {
        HelperClient::new(&Url::parse(base).unwrap())
    }

    #[test]
    fn the_path_is_put_behind_the_base() {
        assert_eq!(client("https://h.example").place(), "https://h.example/v1/check");
        assert_eq!(client("http://192.0.2.1:8080/faultline/").place(), "http://192.0.2.1:8080/faultline/v1/check");
    }

    #[test]
    fn what_is_kept_of_the_place_holds_no_secret() {
        assert_eq!(client("https://me:word@h.example/?key=1#x").place(), "https://h.example/v1/check");
    }

    #[test]
    fn an_answer_that_is_none_is_an_unexpected_response() {
        let endless = format!(
            r#"{{"schema": "{SCHEMA}", "dns": {{"addresses": [{}], "failure": null}}, "addresses": [], "http": null}}"#,
            vec!["\"192.0.2.1\""; MANY + 1].join(",")
        );
        for body in ["", "{}", "<html>", &endless, &endless.replace("helper/1", "helper/2")] {
            let error = read(body.as_bytes()).unwrap_err();
            assert_eq!(error.outcome, Outcome::Failed(Failure::UnexpectedResponse), "{body}");
        }
    }
}
