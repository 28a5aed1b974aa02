//! An account with a provider of `OpenVPN`'s: a certificate with its key, a user's name with the password, or both.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::SecretOctets;
use super::file::{Parsed, Table, text_or_file, wrong};

/// Keys of an entry that are about an account.
pub(super) const KNOWN: [&str; 4] = ["certificate", "private-key", "username", "password"];

/// With what a client logs in.
pub struct Account {
    /// A certificate and its key.
    pub certificate: Option<Arc<CertifiedKey>>,
    /// A user's name and the password.
    pub password: Option<(SecretOctets, SecretOctets)>,
    /// Whether a server has refused it.
    pub refusal: Refusal,
}

/// Whether a server has refused a login in this run. It is not tried again: too many wrong passwords lock an account.
#[derive(Debug, Default)]
pub struct Refusal(AtomicBool);

impl Refusal {
    /// Whether one has.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// One has.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(account)")
    }
}

pub(super) fn account(table: &Table<'_, '_>, folder: &Path) -> Parsed<Option<Arc<Account>>> {
    let chain = table.text("certificate", "a file of certificates in PEM, or its text", |value| {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(text_or_file(value, folder)?.as_bytes()).collect();
        chain.ok().filter(|chain| !chain.is_empty())
    })?;
    let key = table.text("private-key", "a file with a key in PEM without a passphrase, or its text", |value| {
        PrivateKeyDer::from_pem_slice(text_or_file(value, folder)?.as_bytes()).ok().map(Arc::new)
    })?;
    let certificate = match (chain, key) {
        (Some(chain), Some(key)) => {
            let pair = CertifiedKey::from_der(chain, key.clone_key(), &aws_lc_rs::default_provider());
            let pair = pair.map_err(|_| wrong(table.at, "certificate and private-key do not belong together"))?;
            Some(Arc::new(pair))
        }
        (None, None) => None,
        _ => return Err(wrong(table.at, "certificate and private-key go together")),
    };
    let octets = |value: &str| {
        let is_text = !value.is_empty() && value.len() <= LONGEST && !value.contains('\0');
        is_text.then(|| SecretOctets::new(value.as_bytes().to_vec()))
    };
    let expected = "a text of 1 to 1,000 octets";
    let password = match (table.text("username", expected, octets)?, table.text("password", expected, octets)?) {
        (Some(name), Some(password)) => Some((name, password)),
        (None, None) => None,
        _ => return Err(wrong(table.at, "username and password go together")),
    };
    let is_any = certificate.is_some() || password.is_some();
    Ok(is_any.then(|| Arc::new(Account { certificate, password, refusal: Refusal::default() })))
}

/// Octets of a name or a password: more than any provider takes.
const LONGEST: usize = 1_000;
