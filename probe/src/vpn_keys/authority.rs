//! Authorities of providers' own: the tables `[[authority]]`, and whether a server's chain is theirs.

use std::path::Path;
use std::sync::Arc;

use faultline_record::Certificate;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::{CertificateError, Error};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::file::{Parsed, Table, text_or_file, wrong};
use super::{Entry, Key};

/// Whom a provider's servers have their certificates from. It is trusted for the targets that it was given for, and for nothing else.
#[derive(Debug)]
pub struct Authority {
    verifier: Arc<WebPkiServerVerifier>,
}

/// What is asked of a certificate beside its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// That it is for the name or address that was connected to, as clients of HTTPS want it.
    Held,
    /// Nothing: `OpenVPN`'s clients look at the issuer and the use alone unless they are told more, and most of its certificates name
    /// no host.
    Any,
}

impl Authority {
    fn read(pem: &str) -> Option<Arc<Self>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.ok()?).ok()?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
        Some(Arc::new(Self { verifier }))
    }

    /// Whether a chain of a server's, its own certificate first, is theirs.
    pub fn vouches(
        &self,
        (server, others): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        name: &ServerName<'_>,
        held: Name,
        now: UnixTime,
    ) -> Result<(), Error> {
        match self.verifier.verify_server_cert(server, others, name, &[], now) {
            // The name is looked at last, of a chain that is valid.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if held == Name::Any => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Whether a chain that was seen is theirs, and for this name or address.
    pub fn has_issued(&self, chain: &[Arc<Certificate>], server: &str) -> bool {
        let chain: Vec<_> = chain.iter().map(|seen| CertificateDer::from(seen.der.as_slice())).collect();
        let Some((own, others)) = chain.split_first() else { return false };
        let name = ServerName::try_from(server.to_owned());
        name.is_ok_and(|name| self.vouches((own, others), &name, Name::Held, UnixTime::now()).is_ok())
    }
}

pub(super) fn entry(table: &Table<'_, '_>, folder: &Path) -> Parsed<Entry> {
    table.knows(&["endpoint", "target", "ca"])?;
    let expected = "a file of certificates in PEM, or its text";
    let authority = table.text("ca", expected, |value| Authority::read(&text_or_file(value, folder)?))?;
    let authority = authority.ok_or_else(|| wrong(table.at, format!("ca is needed: {expected}")))?;
    Ok(Entry { whose: table.whose()?, key: Key::Authority(authority) })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::super::file::tests::of;
    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_chain_is_theirs_whatever_its_name_where_nobody_asks_for_one_and_a_strangers_never() {
        let (own, other) = (authority(), authority());
        let theirs = Authority::read(&own.pem()).unwrap();
        let params = CertificateParams::new(vec!["vpn.example".to_owned()]).unwrap();
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &own).unwrap();
        let strangers = params.signed_by(&KeyPair::generate().unwrap(), &other).unwrap();
        let name = |text: &str| ServerName::try_from(text.to_owned()).unwrap();
        let vouches = |leaf: &rcgen::Certificate, text: &str, held| {
            theirs.vouches((leaf.der(), &[]), &name(text), held, UnixTime::now()).is_ok()
        };
        assert!(vouches(&leaf, "vpn.example", Name::Held) && !vouches(&leaf, "x.example", Name::Held));
        assert!(vouches(&leaf, "192.0.2.1", Name::Any));
        assert!(!vouches(&strangers, "vpn.example", Name::Held) && !vouches(&strangers, "vpn.example", Name::Any));
    }

    #[test]
    fn what_is_no_certificate_is_named_with_its_line_and_not_repeated() {
        let entry = "[[authority]]\ntarget = \"a/*\"\n";
        for (line, words) in [
            ("ca = \"hunter2\"", ":3: ca must be a file of certificates"),
            ("ca = \"-----BEGIN CERTIFICATE-----\\nhunter2\\n-----END CERTIFICATE-----\"", ":3: ca must be"),
            ("", ":1: ca is needed"),
        ] {
            let error = of(&format!("{entry}{line}\n")).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }
}
