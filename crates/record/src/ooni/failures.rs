//! OONI's words for failures, and ours for the same: one table.
//!
//! Sources: df-007 and its 47 names (which ours share), the names that only the specification has, those that older engines
//! (ooni-probe 1 and 2, Measurement Kit) and test helpers used, and what Go's and Windows' own texts say behind
//! `unknown_failure`.

use crate::failure::Failure;

use super::json::Json;
use super::oddities::Oddities;

/// Words that are not our own names, and what they mean.
pub(crate) const WORDS: &[(&str, Failure)] = &[
    ("address_family_not_supported_error", Failure::AddressFamilyNotSupported),
    ("address_in_use_error", Failure::AddressInUse),
    ("connect_error", Failure::UnknownFailure),
    ("connection_done", Failure::EofError),
    ("connection_lost_error", Failure::ConnectionReset),
    ("connection_refused_error", Failure::ConnectionRefused),
    ("connection_reset_by_peer", Failure::ConnectionReset),
    ("deferred_timeout_error", Failure::GenericTimeoutError),
    ("dns_lookup_error", Failure::DnsServerMisbehaving),
    ("dns_name_error", Failure::DnsNxdomainError),
    ("dns_name_failure", Failure::DnsNxdomainError),
    ("host_unreachable_error", Failure::HostUnreachable),
    ("http_request_failed", Failure::UnexpectedResponse),
    ("http_unexpected_redirect_url", Failure::UnexpectedResponse),
    ("http_unexpected_status_code", Failure::UnexpectedResponse),
    ("network_unreachable_error", Failure::NetworkUnreachable),
    ("no_answer", Failure::DnsNoAnswer),
    ("no_route_to_host", Failure::HostUnreachable),
    ("response_never_received", Failure::EofError),
    ("socks_address_not_supported", Failure::UnknownFailure),
    ("socks_command_not_supported", Failure::UnknownFailure),
    ("socks_connection_not_allowed", Failure::UnknownFailure),
    ("socks_connection_refused", Failure::ConnectionRefused),
    ("socks_error", Failure::UnknownFailure),
    ("socks_general_failure", Failure::UnknownFailure),
    ("socks_host_unreachable", Failure::HostUnreachable),
    ("socks_network_unreachable", Failure::NetworkUnreachable),
    ("socks_ttl_expired", Failure::GenericTimeoutError),
    ("ssl_error", Failure::SslFailedHandshake),
    ("task_timed_out", Failure::GenericTimeoutError),
    ("tcp_timed_out_error", Failure::TimedOut),
    ("timeout_error", Failure::GenericTimeoutError),
    ("unknown_error", Failure::UnknownFailure),
];

/// Parts of the text behind `unknown_failure:` that say what it was, the more telling first.
const PARTS: &[(&str, Failure)] = &[
    ("remote error: tls:", Failure::SslFailedHandshake),
    ("tls: first record does not look like a TLS handshake", Failure::TlsMalformedRecord),
    ("x509: certificate signed by unknown authority", Failure::SslUnknownAuthority),
    ("x509: certificate is valid for", Failure::SslInvalidHostname),
    ("x509: certificate has expired", Failure::SslInvalidCertificate),
    ("x509:", Failure::SslInvalidCertificate),
    ("tls:", Failure::SslFailedHandshake),
    ("too many redirects", Failure::HttpTooManyRedirects),
    ("stopped after 10 redirects", Failure::HttpTooManyRedirects),
    ("malformed HTTP", Failure::HttpMalformedResponse),
    ("malformed MIME header", Failure::HttpMalformedResponse),
    ("http2:", Failure::Http2ProtocolError),
    ("no such host", Failure::DnsNxdomainError),
    ("no route to host", Failure::HostUnreachable),
    ("network is unreachable", Failure::NetworkUnreachable),
    ("unreachable network", Failure::NetworkUnreachable),
    ("network is down", Failure::NetworkDown),
    ("connection refused", Failure::ConnectionRefused),
    ("actively refused", Failure::ConnectionRefused),
    ("forcibly closed by the remote host", Failure::ConnectionReset),
    ("connection reset by peer", Failure::ConnectionReset),
    ("aborted by the software in your host", Failure::ConnectionAborted),
    ("did not properly respond after a period of time", Failure::TimedOut),
    ("i/o timeout", Failure::GenericTimeoutError),
    ("deadline exceeded", Failure::GenericTimeoutError),
    ("handshake did not complete in time", Failure::GenericTimeoutError),
    ("permission denied", Failure::PermissionDenied),
    ("forbidden by its access permissions", Failure::PermissionDenied),
    ("context canceled", Failure::Interrupted),
    ("EOF", Failure::EofError),
];

/// A failure as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// In our vocabulary.
    pub(crate) failure: Failure,
    /// OONI's text, where it says more.
    pub(crate) detail: Option<String>,
}

impl Failed {
    /// Whether the peer refused by an alert.
    pub(crate) fn is_alert(&self) -> bool {
        self.detail.as_deref().is_some_and(|detail| detail.contains("remote error: tls:"))
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, detail: None }
    }
}

/// Reads a `failure`: null, or (once) `false`, is none.
pub(crate) fn read(value: &Json<'_>, oddities: &mut Oddities) -> Option<Failed> {
    match value {
        Json::Null | Json::Flag(false) => None,
        Json::Text(text) if text.trim().is_empty() => None,
        Json::Text(text) => Some(of(text.trim(), oddities)),
        other => {
            oddities.note("failure that is no text", other.kind());
            Some(Failure::UnknownFailure.into())
        }
    }
}

/// What a text means.
pub(crate) fn of(text: &str, oddities: &mut Oddities) -> Failed {
    if let Some(failure) = known(text) {
        return Failed { failure, detail: (!text.ends_with(failure.name())).then(|| text.to_owned()) };
    }
    let detail = Some(text.to_owned());
    if let Some((_, failure)) = PARTS.iter().find(|(part, _)| text.contains(part)) {
        return Failed { failure: *failure, detail };
    }
    oddities.note("unknown failure", text);
    Failed { failure: Failure::UnknownFailure, detail }
}

fn known(text: &str) -> Option<Failure> {
    // Of names that are ours alone, as we export them.
    let text = text.strip_prefix("unknown_failure: ").filter(|rest| Failure::from_name(rest).is_some()).unwrap_or(text);
    let listed = || WORDS.binary_search_by_key(&text, |(word, _)| *word).ok().map(|place| WORDS[place].1);
    Failure::from_name(text).or_else(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vocabulary of df-007 and of older engines, as the reference lists it.
    const OONIS: &str = "address_family_not_supported address_in_use address_not_available already_connected
        android_dns_cache_no_data bad_address bad_file_descriptor connection_aborted connection_already_closed
        connection_already_in_progress connection_refused connection_reset destination_address_required dns_bogon_error
        dns_no_answer dns_non_recoverable_failure dns_nxdomain_error dns_refused_error dns_reply_with_wrong_query_id
        dns_server_misbehaving dns_servfail_error dns_temporary_failure eof_error generic_timeout_error host_unreachable
        http_invalid_redirect_location_host interrupted invalid_argument json_parse_error message_size network_down
        network_reset network_unreachable no_buffer_space no_protocol_option not_a_socket not_connected
        operation_would_block permission_denied protocol_not_supported quic_incompatible_version ssl_failed_handshake
        ssl_invalid_certificate ssl_invalid_hostname ssl_unknown_authority timed_out wrong_protocol_type
        http_request_failed http_unexpected_redirect_url http_unexpected_status_code address_family_not_supported_error
        connect_error connection_done connection_lost_error connection_refused_error deferred_timeout_error
        dns_lookup_error dns_name_error dns_name_failure response_never_received socks_error task_timed_out
        tcp_timed_out_error unknown_error";

    #[test]
    fn the_table_is_sorted_and_each_word_stands_once() {
        assert!(WORDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(WORDS.iter().all(|(word, _)| Failure::from_name(word).is_none()));
    }

    #[test]
    fn every_word_of_oonis_is_mapped_or_is_said_to_be_unknown() {
        let mut oddities = Oddities::default();
        let unknown: Vec<&str> = OONIS
            .split_whitespace()
            .filter(|word| of(word, &mut oddities).failure == Failure::UnknownFailure)
            .collect();
        assert_eq!(unknown, ["connect_error", "socks_error", "unknown_error"]);
        assert_eq!(oddities.count(), 0);
    }

    #[test]
    fn an_unknown_text_is_kept_and_listed() {
        let mut oddities = Oddities::default();
        let failed = of("unknown_failure: the moon is full", &mut oddities);
        assert_eq!(failed.failure, Failure::UnknownFailure);
        assert_eq!(failed.detail.as_deref(), Some("unknown_failure: the moon is full"));
        assert_eq!(oddities.iter().collect::<Vec<_>>(), [("unknown failure", "unknown_failure: the moon is full", 1)]);
    }

    #[test]
    fn what_go_says_is_understood() {
        let mut oddities = Oddities::default();
        let alert = of("unknown_failure: remote error: tls: internal error", &mut oddities);
        assert_eq!((alert.failure, alert.is_alert()), (Failure::SslFailedHandshake, true));
        let text = "unknown_failure: stopped after too many redirects";
        assert_eq!(of(text, &mut oddities).failure, Failure::HttpTooManyRedirects);
        assert_eq!(read(&Json::Flag(false), &mut oddities), None);
        assert_eq!(read(&Json::Null, &mut oddities), None);
        assert_eq!(oddities.count(), 0);
    }
}
