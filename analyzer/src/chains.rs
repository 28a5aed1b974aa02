//! Certificates verified anew: a file that says a chain was valid is not believed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use faultline_record::{Certificate, Timestamp, sha256};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::exit::AnalyzerError;

/// Chains whose end is remembered: a file shows the same few again and again.
const REMEMBERED: usize = 1 << 16;
/// A day, seconds: certificates are valid by days, and days make what is remembered the same in every run.
const DAY_S: i64 = 86_400;

/// A verifier with Mozilla's roots and the user's, and what it has verified.
#[derive(Debug)]
pub struct Chains {
    verifier: Arc<WebPkiServerVerifier>,
    known: RefCell<HashMap<[u8; 32], bool>>,
}

impl Chains {
    /// With those authorities beside Mozilla's.
    pub fn new(extra: &[PathBuf]) -> Result<Self, AnalyzerError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for file in extra {
            add(&mut roots, file)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| AnalyzerError::Usage(format!("failed to use the roots: {error}")))?;
        Ok(Self { verifier, known: RefCell::default() })
    }

    /// Whether a chain, leaf first, was valid for a name on the day of that time.
    pub fn prove(&self, chain: &[Arc<Certificate>], name: &str, at: Timestamp) -> bool {
        let day = at.as_millisecond().div_euclid(DAY_S * 1_000);
        let mut content: Vec<u8> = chain.iter().flat_map(|certificate| certificate.sha256).collect();
        content.extend(day.to_be_bytes());
        content.extend(name.as_bytes());
        let key = sha256(&content);
        if let Some(&known) = self.known.borrow().get(&key) {
            return known;
        }
        let is_valid = self.verify(chain, name, day).unwrap_or(false);
        let mut known = self.known.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, is_valid);
        is_valid
    }

    /// At noon of the day.
    fn verify(&self, chain: &[Arc<Certificate>], name: &str, day: i64) -> Option<bool> {
        let ders: Vec<CertificateDer<'_>> = chain.iter().map(|one| CertificateDer::from(one.der.as_slice())).collect();
        let (leaf, rest) = ders.split_first()?;
        let name = ServerName::try_from(name).ok()?;
        let noon = u64::try_from(day.checked_mul(DAY_S)?.checked_add(DAY_S / 2)?).ok()?;
        let noon = UnixTime::since_unix_epoch(Duration::from_secs(noon));
        Some(self.verifier.verify_server_cert(leaf, rest, &name, &[], noon).is_ok())
    }
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), AnalyzerError> {
    let fails = |reason: &dyn std::fmt::Display| {
        AnalyzerError::Usage(format!("failed to read the certificates in {}: {reason}", file.display()))
    };
    let mut count = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| fails(&error))? {
        roots.add(certificate.map_err(|error| fails(&error))?).map_err(|error| fails(&error))?;
        count += 1;
    }
    if count == 0 { Err(fails(&"there is none in it")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_chain_proves_nothing() {
        let chains = Chains::new(&[]).unwrap();
        let broken = Arc::new(Certificate::from_der(vec![0x30, 0x03, 0x02, 0x01]));
        let now = Timestamp::from_millisecond(1_795_348_800_000);
        assert!(!chains.prove(&[], "x.com", now));
        assert!(!chains.prove(&[Arc::clone(&broken)], "x.com", now));
        assert!(!chains.prove(&[broken], "no name at all", Timestamp::from_millisecond(i64::MIN)));
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Chains::new(&[file.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("there is none in it") && error.contains(&file.path().display().to_string()), "{error}");
    }
}
