//! Why a text is no endpoint, in words that tell nobody where a tunnel's server is.

use super::vpn::VpnProtocol;

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("{:?} is not a URL: {reason}", shown(.input))]
    NotAUrl {
        /// What was given.
        input: String,
        /// The parser's word.
        reason: String,
    },
    /// A scheme nobody defined.
    #[error(
        "unknown scheme {scheme:?} in {:?}: known are http, https, tcp, tls, quic, dns, {}", shown(.input), tunnels()
    )]
    UnknownScheme {
        /// What was given.
        input: String,
        /// The scheme.
        scheme: String,
    },
    /// A scheme that the design defines and this version does not measure.
    #[error("scheme {scheme:?} in {:?} is not measured by this version", shown(.input))]
    LaterScheme {
        /// What was given.
        input: String,
        /// The scheme.
        scheme: String,
    },
    /// A part is missing or malformed.
    #[error("{:?}: {problem}", shown(.input))]
    Malformed {
        /// What was given.
        input: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// As much of an input as an error may repeat: of a site all of it, unless there is a password in it; of a tunnel's server, or of
/// what may be one, nothing behind the scheme, since errors end up in logs, and addresses, keys and passwords stand there.
fn shown(input: &str) -> String {
    const WHOLE: [&str; 6] = ["http", "https", "tcp", "tls", "quic", "dns"];
    match input.split_once("://") {
        None if !input.contains('@') => input.to_owned(),
        Some((scheme, rest)) if WHOLE.contains(&scheme.to_ascii_lowercase().as_str()) && !rest.contains('@') => {
            input.to_owned()
        }
        Some((scheme, _)) => format!("{scheme}://..."),
        None => "...".to_owned(),
    }
}

/// The schemes of tunnels.
fn tunnels() -> String {
    VpnProtocol::ALL.iter().map(|protocol| protocol.name()).collect::<Vec<_>>().join(", ")
}
