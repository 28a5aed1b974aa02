//! The closed vocabulary of failures.
//!
//! The first 47 names are OONI's (df-007 and netxlite's table), so that data flows both ways; those under "ours" say
//! what OONI folds into `unknown_failure`. Free text is never counted: `unknown_failure` is a single name, and its
//! detail lives in a column of its own. This module does not classify errors: who meets one (the probe's drivers,
//! the importer) maps it here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The layer a failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The host itself: sockets, buffers, interfaces.
    System,
    /// Name resolution.
    Dns,
    /// IP and TCP or UDP.
    Transport,
    /// TLS, over TCP or inside QUIC.
    Tls,
    /// QUIC's own framing.
    Quic,
    /// HTTP of any version.
    Http,
}

impl Layer {
    /// The name used in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Dns => "dns",
            Self::Transport => "transport",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Http => "http",
        }
    }
}

/// What was being done when a failure can occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A question to a resolver.
    Resolve,
    /// Opening a socket or a TCP connection.
    Connect,
    /// A TLS or QUIC handshake.
    Handshake,
    /// A request and its response.
    RoundTrip,
    /// Any read or write.
    Transfer,
}

impl Operation {
    /// The name used in rows and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::RoundTrip => "round_trip",
            Self::Transfer => "transfer",
        }
    }
}

macro_rules! failures {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $layer:ident, $operation:ident, $ooni:literal;)*) => {
        /// Why a step did not succeed. The names are a public contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Failure { $($(#[$doc])* $variant,)* }

        impl Failure {
            /// Every failure, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in rows and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The layer this failure belongs to.
            pub const fn layer(self) -> Layer {
                match self { $(Self::$variant => Layer::$layer,)* }
            }

            /// The operation this failure is typical of.
            pub const fn operation(self) -> Operation {
                match self { $(Self::$variant => Operation::$operation,)* }
            }

            /// Whether OONI's data uses the same name.
            pub const fn is_ooni(self) -> bool {
                match self { $(Self::$variant => $ooni,)* }
            }
        }
    };
}

failures! {
    /// EAFNOSUPPORT.
    AddressFamilyNotSupported = "address_family_not_supported", System, Connect, true;
    /// EADDRINUSE.
    AddressInUse = "address_in_use", System, Connect, true;
    /// EADDRNOTAVAIL.
    AddressNotAvailable = "address_not_available", System, Connect, true;
    /// EISCONN.
    AlreadyConnected = "already_connected", System, Connect, true;
    /// Android's resolver has no data for the name.
    AndroidDnsCacheNoData = "android_dns_cache_no_data", Dns, Resolve, true;
    /// EFAULT.
    BadAddress = "bad_address", System, Transfer, true;
    /// EBADF.
    BadFileDescriptor = "bad_file_descriptor", System, Transfer, true;
    /// ECONNABORTED.
    ConnectionAborted = "connection_aborted", Transport, Transfer, true;
    /// The connection was closed by ourselves before.
    ConnectionAlreadyClosed = "connection_already_closed", System, Transfer, true;
    /// EALREADY.
    ConnectionAlreadyInProgress = "connection_already_in_progress", System, Connect, true;
    /// ECONNREFUSED: a reset in answer to the SYN.
    ConnectionRefused = "connection_refused", Transport, Connect, true;
    /// ECONNRESET: a reset on an established connection.
    ConnectionReset = "connection_reset", Transport, Transfer, true;
    /// EDESTADDRREQ.
    DestinationAddressRequired = "destination_address_required", System, Transfer, true;
    /// An answer with an address that cannot be public (RFC 6890).
    DnsBogonError = "dns_bogon_error", Dns, Resolve, true;
    /// NOERROR without an address (RFC 2308, NODATA).
    DnsNoAnswer = "dns_no_answer", Dns, Resolve, true;
    /// `getaddrinfo`'s `EAI_FAIL`.
    DnsNonRecoverableFailure = "dns_non_recoverable_failure", Dns, Resolve, true;
    /// RCODE 3 (RFC 1035, 4.1.1).
    DnsNxdomainError = "dns_nxdomain_error", Dns, Resolve, true;
    /// RCODE 5 (RFC 1035, 4.1.1).
    DnsRefusedError = "dns_refused_error", Dns, Resolve, true;
    /// A reply with an id that was not asked.
    DnsReplyWithWrongQueryId = "dns_reply_with_wrong_query_id", Dns, Resolve, true;
    /// Any other RCODE or a reply that cannot be parsed.
    DnsServerMisbehaving = "dns_server_misbehaving", Dns, Resolve, true;
    /// RCODE 2 (RFC 1035, 4.1.1).
    DnsServfailError = "dns_servfail_error", Dns, Resolve, true;
    /// `getaddrinfo`'s `EAI_AGAIN`.
    DnsTemporaryFailure = "dns_temporary_failure", Dns, Resolve, true;
    /// The peer ended the stream where more was due.
    EofError = "eof_error", Transport, Transfer, true;
    /// Our own deadline passed.
    GenericTimeoutError = "generic_timeout_error", Transport, Transfer, true;
    /// EHOSTUNREACH: ICMP host unreachable, or no neighbour.
    HostUnreachable = "host_unreachable", Transport, Connect, true;
    /// A Location that names no host that can be asked.
    HttpInvalidRedirectLocationHost = "http_invalid_redirect_location_host", Http, RoundTrip, true;
    /// Cancelled. Faultline itself records `not_run: interrupted` instead; kept for imports.
    Interrupted = "interrupted", System, Transfer, true;
    /// EINVAL.
    InvalidArgument = "invalid_argument", System, Connect, true;
    /// A JSON answer that is not JSON.
    JsonParseError = "json_parse_error", Http, RoundTrip, true;
    /// EMSGSIZE.
    MessageSize = "message_size", System, Transfer, true;
    /// ENETDOWN.
    NetworkDown = "network_down", System, Connect, true;
    /// ENETRESET.
    NetworkReset = "network_reset", Transport, Transfer, true;
    /// ENETUNREACH: no route, or ICMP network unreachable.
    NetworkUnreachable = "network_unreachable", Transport, Connect, true;
    /// ENOBUFS.
    NoBufferSpace = "no_buffer_space", System, Transfer, true;
    /// ENOPROTOOPT.
    NoProtocolOption = "no_protocol_option", System, Connect, true;
    /// ENOTSOCK.
    NotASocket = "not_a_socket", System, Transfer, true;
    /// ENOTCONN.
    NotConnected = "not_connected", System, Transfer, true;
    /// EWOULDBLOCK.
    OperationWouldBlock = "operation_would_block", System, Transfer, true;
    /// EACCES or EPERM: a local firewall, most often.
    PermissionDenied = "permission_denied", System, Connect, true;
    /// EPROTONOSUPPORT.
    ProtocolNotSupported = "protocol_not_supported", System, Connect, true;
    /// QUIC version negotiation failed (RFC 9000, section 6).
    QuicIncompatibleVersion = "quic_incompatible_version", Quic, Handshake, true;
    /// The handshake failed by an alert of the peer or for want of common parameters.
    SslFailedHandshake = "ssl_failed_handshake", Tls, Handshake, true;
    /// The chain is expired, not yet valid, malformed or unfit for a server.
    SslInvalidCertificate = "ssl_invalid_certificate", Tls, Handshake, true;
    /// The certificate is for another name, or the peer sent `unrecognized_name`.
    SslInvalidHostname = "ssl_invalid_hostname", Tls, Handshake, true;
    /// The chain does not end at a root that we trust.
    SslUnknownAuthority = "ssl_unknown_authority", Tls, Handshake, true;
    /// ETIMEDOUT: the kernel gave up.
    TimedOut = "timed_out", Transport, Connect, true;
    /// EPROTOTYPE.
    WrongProtocolType = "wrong_protocol_type", System, Connect, true;

    // Ours.

    /// A reply came from an address that was not asked.
    DnsReplyFromWrongAddress = "dns_reply_from_wrong_address", Dns, Resolve, false;
    /// The peer answered a `ClientHello` with bytes that are no TLS record (RFC 8446, 5.1).
    TlsMalformedRecord = "tls_malformed_record", Tls, Handshake, false;
    /// The response is not HTTP.
    HttpMalformedResponse = "http_malformed_response", Http, RoundTrip, false;
    /// More than ten redirects.
    HttpTooManyRedirects = "http_too_many_redirects", Http, RoundTrip, false;
    /// An HTTP/2 stream or connection error (RFC 9113, section 7).
    Http2ProtocolError = "http2_protocol_error", Http, RoundTrip, false;
    /// A captive-portal check or control answered with something else than it must.
    UnexpectedResponse = "unexpected_response", Http, RoundTrip, false;
    /// None of the above; the detail column says what it was.
    UnknownFailure = "unknown_failure", System, Transfer, true;
}

impl Failure {
    /// The failure of that name, if the vocabulary has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|failure| failure.name() == name)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown failure {name:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oonis_47_names_and_the_prefix_are_all_there() {
        assert_eq!(Failure::ALL.iter().filter(|failure| failure.is_ooni()).count(), 47 + 1);
    }

    #[test]
    fn every_name_leads_back_to_its_failure() {
        for &failure in Failure::ALL {
            assert_eq!(Failure::from_name(failure.name()), Some(failure));
        }
        assert_eq!(Failure::from_name("blocked"), None);
    }
}
