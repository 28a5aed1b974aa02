//! A throw-away certificate authority and the certificates that it gives to the world's servers (ECDSA P-256).
//!
//! The authority's key lives in memory and dies with the world.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::scenario::Certificate as Kind;

/// The authority of one world.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority.
    pub fn new() -> Result<Self> {
        let issuer = CertifiedIssuer::self_signed(authority("Testbed throw-away authority"), KeyPair::generate()?)
            .context("make the authority")?;
        Ok(Self { issuer })
    }

    /// Its certificate, in PEM: what the probe is told to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for `names` (host names, wildcards, addresses) and writes it to `dir`.
    pub fn issue(&self, names: &[String], dir: &Path) -> Result<Identity> {
        self.issue_as(names, dir, Kind::Valid)
    }

    /// Issues a certificate of this kind for `names`, and writes it to `dir`.
    pub fn issue_as(&self, names: &[String], dir: &Path, kind: Kind) -> Result<Identity> {
        let first = names.first().context("a certificate needs a name")?;
        let file_name = first.replace('*', "wildcard");
        let key = KeyPair::generate()?;
        let identity = Identity {
            certificate: dir.join(format!("{file_name}.pem")),
            key: dir.join(format!("{file_name}.key.pem")),
        };
        std::fs::write(&identity.certificate, self.sign(names, &key, kind)?)?;
        std::fs::write(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }

    fn sign(&self, names: &[String], key: &KeyPair, kind: Kind) -> Result<String> {
        let certificate = match kind {
            Kind::Valid => leaf(names)?.signed_by(key, &self.issuer)?,
            Kind::WrongHost => leaf(&[WRONG_HOST.into()])?.signed_by(key, &self.issuer)?,
            Kind::SelfSigned => leaf(names)?.self_signed(key)?,
            Kind::UnknownAuthority => leaf(names)?.signed_by(key, &Self::new()?.issuer)?,
            Kind::Expired => {
                let mut params = leaf(names)?;
                valid(&mut params, -400, -35)?;
                params.signed_by(key, &self.issuer)?
            }
            Kind::Incomplete => {
                let intermediate = self.intermediate()?;
                leaf(names)?.signed_by(key, &intermediate)?
            }
        };
        Ok(certificate.pem())
    }

    /// An authority below this one, whose certificate is given to nobody.
    fn intermediate(&self) -> Result<CertifiedIssuer<'static, KeyPair>> {
        CertifiedIssuer::signed_by(authority("Testbed intermediate authority"), KeyPair::generate()?, &self.issuer)
            .context("make an intermediate authority")
    }
}

/// Makes a certificate valid from so many days from now to so many.
fn valid(params: &mut CertificateParams, from: i64, to: i64) -> Result<()> {
    let today = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.as_secs())? / DAY;
    let at = |days: i64| -> Result<_> {
        let since = Duration::from_secs(u64::try_from((today + days) * DAY).context("a date before 1970")?);
        Ok(rcgen::date_time_ymd(1970, 1, 1) + since)
    };
    (params.not_before, params.not_after) = (at(from)?, at(to)?);
    Ok(())
}

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The name on certificates of [`Kind::WrongHost`].
const WRONG_HOST: &str = "wrong.host.example";

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn leaf(names: &[String]) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    // As public authorities do it (90 days), so that a wrong clock has its effect.
    valid(&mut params, -30, 60)?;
    params.distinguished_name.push(DnType::CommonName, names[0].clone());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    for name in names {
        params.subject_alt_names.push(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.clone().try_into()?),
        });
    }
    Ok(params)
}
