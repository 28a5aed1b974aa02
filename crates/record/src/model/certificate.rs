//! Certificates as they came, with the few fields that judgements rest on read out.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

/// One certificate of a peer's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of `der`: its key in the file.
    pub sha256: [u8; 32],
    /// As received (X.690 DER).
    pub der: Vec<u8>,
    /// Subject as an RFC 4514-like string; empty when the DER cannot be parsed.
    pub subject: String,
    /// Issuer as an RFC 4514-like string; empty when the DER cannot be parsed.
    pub issuer: String,
    /// Not before, seconds since the epoch.
    pub not_before: Option<i64>,
    /// Not after, seconds since the epoch.
    pub not_after: Option<i64>,
}

impl Certificate {
    /// Reads a certificate; DER that cannot be parsed is kept all the same, with empty fields.
    pub fn from_der(der: Vec<u8>) -> Self {
        let sha256 = sha256(&der);
        let parsed = X509Certificate::from_der(&der).ok().map(|(_, certificate)| {
            let validity = certificate.validity();
            (
                certificate.subject().to_string(),
                certificate.issuer().to_string(),
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            )
        });
        match parsed {
            Some((subject, issuer, not_before, not_after)) => {
                Self { sha256, der, subject, issuer, not_before: Some(not_before), not_after: Some(not_after) }
            }
            None => {
                Self { sha256, der, subject: String::new(), issuer: String::new(), not_before: None, not_after: None }
            }
        }
    }

    /// Whether subject and issuer are the same (and known).
    pub fn is_self_issued(&self) -> bool {
        !self.subject.is_empty() && self.subject == self.issuer
    }
}

/// SHA-256 of bytes: the key of content-addressed things.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
