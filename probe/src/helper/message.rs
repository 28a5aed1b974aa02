//! The messages between a probe and a helper: JSON over one HTTP/1.1 POST. Parsed here once; no policy.

use std::net::IpAddr;

use faultline_record::{Failure, NotRun, Outcome};
use serde::{Deserialize, Serialize};

/// The schema of both messages.
pub const SCHEMA: &str = "faultline/helper/1";
/// Where a helper is asked.
pub const PATH: &str = "/v1/check";
/// Bytes of a question: a URL, a name and eight addresses take far less.
pub const QUESTION_BYTES: usize = 16 * 1024;
/// Bytes of an answer that a client reads.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// Addresses that a helper tries, its own and the client's together (brief of the protocol: 8).
pub const ADDRESSES: usize = 8;

/// Names of headers that an answer tells of a page: servers that send more are rare, and a few names tell them apart.
pub const HEADERS: usize = 48;

/// What a helper is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperQuestion {
    /// [`SCHEMA`].
    pub schema: String,
    /// What to try, as a URL (`https://`, `http://`, `tls://`, `quic://`, `tcp://`, `openvpn+udp://`, `openvpn+tcp://`, `ikev2://`, `wireguard://`).
    pub endpoint: String,
    /// The endpoint's host, once more: a question whose two halves disagree is refused.
    pub host: String,
    /// Addresses that the client was given for the host.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The first message to send, in base64, where only the client can make it (`WireGuard`): dated, sealed, and of use once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagram: Option<String>,
}

impl HelperQuestion {
    /// A question about an endpoint.
    pub fn new(endpoint: String, host: String, addresses: Vec<IpAddr>) -> Self {
        Self { schema: SCHEMA.to_owned(), endpoint, host, addresses, datagram: None }
    }
}

/// What a helper saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperAnswer {
    /// [`SCHEMA`].
    pub schema: String,
    /// The name, by the helper's own resolver.
    pub dns: HelperNames,
    /// Connections, one an address.
    pub addresses: Vec<HelperAddress>,
    /// One request, for web endpoints that were reached.
    pub http: Option<HelperPage>,
}

/// What the helper's resolver said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperNames {
    /// Every address given.
    pub addresses: Vec<IpAddr>,
    /// How it ended, where no address was given.
    pub failure: StepEnd,
}

/// Who named an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The helper's own resolver (or the endpoint itself, when its host is an address).
    Helper,
    /// The client.
    Client,
}

/// One connection of the helper's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperAddress {
    /// Where it went.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Who named the address.
    pub from: Origin,
    /// How the connection ended; not run where QUIC was asked for.
    pub tcp: StepEnd,
    /// How the handshake ended, over TCP or of QUIC's.
    pub tls: StepEnd,
    /// The handshake ended well and the certificate is valid for the name.
    pub verified: bool,
}

/// The response to the helper's request. No redirect is followed and no body is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperPage {
    /// The address that was asked, if the request was made.
    pub address: Option<IpAddr>,
    /// Status, if a response came.
    pub status: Option<u16>,
    /// The page's title, cut to a line.
    pub title: Option<String>,
    /// Bytes of body received.
    pub body_length: u64,
    /// How the request ended.
    pub failure: StepEnd,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Names of the response's headers, in lower case, each once; at most [`HEADERS`]. Helpers of old leave them out.
    #[serde(default)]
    pub headers: Vec<String>,
}

/// How a step ended, on the wire: null when it succeeded, else the failure's name, or `not_run:` with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Option<String>", from = "Option<String>")]
pub struct StepEnd(pub Outcome);

impl Default for StepEnd {
    fn default() -> Self {
        Self(Outcome::Ok)
    }
}

impl From<StepEnd> for Option<String> {
    fn from(StepEnd(outcome): StepEnd) -> Self {
        match outcome {
            Outcome::Ok => None,
            Outcome::Failed(failure) => Some(failure.name().to_owned()),
            Outcome::NotRun(reason) => Some(format!("not_run:{reason}")),
        }
    }
}

impl From<Option<String>> for StepEnd {
    /// A name that this version does not know is still a failure, and a reason it does not know still none.
    fn from(word: Option<String>) -> Self {
        let Some(word) = word else { return Self(Outcome::Ok) };
        Self(match word.strip_prefix("not_run") {
            Some(reason) => {
                Outcome::NotRun(NotRun::from_name(reason.trim_start_matches(':')).unwrap_or(NotRun::NotNeeded))
            }
            None => Outcome::Failed(Failure::from_name(&word).unwrap_or(Failure::UnknownFailure)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_end_survives_the_wire() {
        let failures = Failure::ALL.iter().map(|&failure| Outcome::Failed(failure));
        let reasons = NotRun::ALL.iter().map(|&reason| Outcome::NotRun(reason));
        for outcome in failures.chain(reasons).chain([Outcome::Ok]) {
            let json = serde_json::to_string(&StepEnd(outcome)).unwrap();
            assert_eq!(serde_json::from_str::<StepEnd>(&json).unwrap().0, outcome, "{json}");
        }
    }

    #[test]
    fn words_of_a_later_version_are_failures_and_skipped_steps_all_the_same() {
        let read = |json: &str| serde_json::from_str::<StepEnd>(json).unwrap().0;
        assert_eq!(read("\"quantum_error\""), Outcome::Failed(Failure::UnknownFailure));
        assert_eq!(read("\"not_run\""), Outcome::NotRun(NotRun::NotNeeded));
        assert_eq!(read("\"not_run:weekend\""), Outcome::NotRun(NotRun::NotNeeded));
    }

    #[test]
    fn an_answer_of_a_helper_that_tells_no_headers_reads_as_before() {
        let json =
            r#"{"address": null, "status": 200, "title": null, "body_length": 7, "failure": null, "location": null}"#;
        let page: HelperPage = serde_json::from_str(json).unwrap();
        assert_eq!((page.body_length, page.headers.len()), (7, 0));
    }

    #[test]
    fn a_question_reads_as_it_is_documented() {
        let json = r#"{"schema": "faultline/helper/1", "endpoint": "https://x.example/", "host": "x.example",
            "addresses": ["198.51.100.7", "2001:db8::7"]}"#;
        let question: HelperQuestion = serde_json::from_str(json).unwrap();
        let addresses = ["198.51.100.7", "2001:db8::7"].map(|address| address.parse().unwrap()).to_vec();
        assert_eq!(question, HelperQuestion::new("https://x.example/".into(), "x.example".into(), addresses));
    }
}
