//! A relay of Tor's: TLS, its certificates, and a circuit to it alone. Layouts by `wire`, signatures by `aws-lc-rs`; the one that
//! ties the Ed25519 identity to the RSA one has no digest's name in it (cert-spec), and is undone here.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use faultline_record::{Vpn, VpnAnswer, VpnProof};
use faultline_wire::tor::{self as wire, MATERIAL};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;
use x509_parser::num_bigint::BigUint;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{Drive, End, LONGEST, Tapped};
use crate::vpn_keys::TorIdentity;

/// Kinds of certificates in a CERTS cell (tor-spec, "CERTS cells").
const RSA_IDENTITY: u8 = 2;
const SIGNING_KEY: u8 = 4;
const LINK: u8 = 5;
const CROSS: u8 = 7;
/// What stands before the fields of a cross-certificate when it is signed (cert-spec).
const CROSS_PREFIX: &[u8] = b"Tor TLS RSA/Ed25519 cross-certificate";
/// Letters of the name that is offered: relays are offered any.
const LETTERS: usize = 12;

impl Drive {
    pub(super) async fn ask_tor(
        &self,
        stream: Tapped,
        expected: Option<&TorIdentity>,
        seen: &mut Vpn,
    ) -> io::Result<End> {
        let letters: String = (0..LETTERS).map(|_| char::from(b'a' + rand::random::<u8>() % 26)).collect();
        let (stream, chain) = self.ask_tls(stream, &format!("www.{letters}.com"), seen).await?;
        // Anybody speaks TLS.
        seen.proof = Some(VpnProof::FirstAnswer);
        let mut cells = Cells { stream, heard: Vec::new() };
        cells.stream.write_all(&wire::OFFER).await?;
        let versions = cells.next(2).await?;
        let Some(version) = versions.as_deref().and_then(|cell| wire::version(wire::first_cell(cell, 2)?)) else {
            return Ok(End::Strange("there is TLS, and no relay behind it"));
        };
        let circuit = wire::circuit_octets(version);
        let certificates = cells.next(circuit).await?;
        let leaf = chain.first().map_or(&[][..], |leaf| &leaf.der);
        let Some(identity) = certificates.as_deref().and_then(|cell| identity(cell, circuit, leaf)) else {
            return Ok(End::Strange("the relay's certificates do not hold"));
        };
        seen.answer = Some(VpnAnswer::RelayCertificates);
        if expected.is_some_and(|expected| !identity.is(expected)) {
            return Ok(End::Strange("it is another relay"));
        }
        seen.proof = Some(if expected.is_some() { VpnProof::ServerIdentity } else { VpnProof::Handshake });
        let ours: [u8; MATERIAL] = rand::random();
        cells.stream.write_all(&wire::create_fast(version, &ours)).await?;
        cells.created(circuit, &ours).await
    }
}

/// Cells, one after the other.
struct Cells {
    stream: TlsStream<Tapped>,
    heard: Vec<u8>,
}

impl Cells {
    /// The next, as its octets; `None` where what comes is too long for one.
    async fn next(&mut self, circuit: usize) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; 2_048];
        loop {
            if let Some(cell) = wire::first_cell(&self.heard, circuit) {
                let length = cell.length;
                return Ok(Some(self.heard.drain(..length).collect()));
            }
            if self.heard.len() > LONGEST {
                return Ok(None);
            }
            match self.stream.read(&mut buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.heard.extend_from_slice(&buffer[..length]),
            }
        }
    }

    /// Waits for the circuit; what else a relay says meanwhile is passed over.
    async fn created(&mut self, circuit: usize, ours: &[u8; MATERIAL]) -> io::Result<End> {
        while let Some(cell) = self.next(circuit).await? {
            let created = wire::first_cell(&cell, circuit).and_then(wire::created_fast);
            let Some((theirs, hash)) = created else { continue };
            // KDF-TOR (tor-spec, "KDF-TOR"): the first octets show that both have the same.
            let derived = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&ours[..], &theirs, &[0]].concat());
            let is_shared = derived.as_ref() == hash;
            return Ok(if is_shared { End::Had } else { End::Strange("the circuit's keys differ") });
        }
        Ok(End::Strange("no circuit came about"))
    }
}

/// Who a relay has shown to be.
struct Identity {
    fingerprint: [u8; 20],
    ed25519: [u8; 32],
}

impl Identity {
    fn is(&self, expected: &TorIdentity) -> bool {
        expected.fingerprint.is_none_or(|one| one == self.fingerprint)
            && expected.ed25519.is_none_or(|one| one == self.ed25519)
    }
}

/// Follows the signatures from the TLS certificate to both identities; `None` where one does not hold. Dates are not looked at: the
/// TLS key is at hand, and clocks are wrong.
fn identity(cell: &[u8], circuit: usize, leaf: &[u8]) -> Option<Identity> {
    let certificates = wire::certificates(wire::first_cell(cell, circuit)?)?;
    let of = |kind| certificates.iter().find(|(one, _)| *one == kind).map(|(_, certificate)| *certificate);
    let signing = wire::signed(of(SIGNING_KEY)?, SIGNING_KEY)?;
    let ed25519 = *signing.by?;
    UnparsedPublicKey::new(&ED25519, ed25519).verify(signing.covered, signing.signature).ok()?;
    let link = wire::signed(of(LINK)?, LINK)?;
    UnparsedPublicKey::new(&ED25519, signing.certified).verify(link.covered, link.signature).ok()?;
    let is_this = digest(&SHA256, leaf).as_ref() == link.certified;
    let (_, rsa) = X509Certificate::from_der(of(RSA_IDENTITY)?).ok()?;
    let wire::Cross { key, covered, signature } = wire::cross(of(CROSS)?)?;
    let hash = digest(&SHA256, &[CROSS_PREFIX, covered].concat());
    let is_crossed = *key == ed25519 && opens_to(&rsa, signature, hash.as_ref())?;
    let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &rsa.public_key().subject_public_key.data);
    (is_this && is_crossed).then_some(Identity { fingerprint: fingerprint.as_ref().try_into().ok()?, ed25519 })
}

/// Whether an RSA signature in PKCS #1's first padding (RFC 8017 section 9.2), with no digest's name before the hash, is of this hash.
fn opens_to(certificate: &X509Certificate<'_>, signature: &[u8], hash: &[u8]) -> Option<bool> {
    let PublicKey::RSA(key) = certificate.public_key().parsed().ok()? else { return None };
    let modulus = BigUint::from_bytes_be(key.modulus);
    let octets = usize::try_from(modulus.bits().div_ceil(8)).ok()?;
    // Relays' are of 1,024 bits, with an exponent of 65,537; others are not worked with.
    if !(128..=512).contains(&octets) || key.exponent.len() > 4 {
        return None;
    }
    let opened = BigUint::from_bytes_be(signature).modpow(&BigUint::from_bytes_be(key.exponent), &modulus);
    let padding = vec![0xff; octets.checked_sub(hash.len() + 3)?];
    Some(opened.to_bytes_be() == [&[1][..], &padding, &[0], hash].concat())
}
