//! TLS handshakes over a connection that was just measured: the peer's chain is kept whatever becomes of it.
//!
//! The verifier lets every chain pass, so that the handshake runs to its end, and leaves the chain and the true verdict
//! in a slot of the task that drives the handshake. So one configuration serves all connections, a chain is verified
//! once, and it survives a handshake that dies later. Signatures of the handshake are checked for real: the peer must
//! hold the key of what it shows.
//!
//! No post-quantum group is offered: its key share would make the ClientHello two segments long, and whether a censor
//! puts segments together would be mixed into every result. No session is ever resumed: a resumed handshake shows no
//! chain.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faultline_record::{Certificate, Failure, NotRun, Outcome, Tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{EchConfig, EchMode, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, EchConfigListBytes, ServerName, UnixTime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tap::{Passed, Tapped};
use super::tcp::Waited;
use super::{Drive, DriveError, Fault, errno};
use crate::vpn_keys::{Authority, Name};

/// What a handshake offers as application protocols (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `h2` and `http/1.1`, as a browser does.
    Web,
    /// Nothing.
    None,
}

/// How the server's name is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hello {
    /// As browsers do: whole, in one record of one segment.
    #[default]
    Plain,
    /// Not at all. The certificate is held against the name all the same.
    NoName,
    /// Cut over two segments.
    Segments,
    /// In records of 32 octets at most, the shortest that rustls makes.
    Records,
    /// Whole, in TLS 1.2 and nothing newer.
    Tls12,
}

/// A handshake's end: what was seen, and the stream if there is one. There is one also when the chain is not trusted.
#[derive(Debug)]
pub struct Handshake {
    /// How it ended; `ssl_*` is the verdict on the chain.
    pub outcome: Outcome,
    /// Whose words came with a failure.
    pub detail: Option<String>,
    /// What was seen.
    pub seen: Tls,
    /// The stream, when the handshake itself was finished.
    pub stream: Option<TlsStream<Tapped>>,
}

/// The shortest record that rustls makes, its header of five octets included.
const SHORTEST_RECORD: usize = 32;

/// What is built once: configurations with our roots.
#[derive(Debug)]
pub(super) struct TlsSetup {
    web: Arc<ClientConfig>,
    plain: Arc<ClientConfig>,
    nameless: Arc<ClientConfig>,
    fragmented: Arc<ClientConfig>,
    older: Arc<ClientConfig>,
    /// Verifies by itself; for DoH.
    strict: ClientConfig,
    genuine: Arc<rustls::client::WebPkiServerVerifier>,
}

impl TlsSetup {
    pub(super) fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, DriveError> {
        let provider = Arc::new(provider());
        let roots = Arc::new(roots(extra_roots)?);
        let genuine = rustls::client::WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Witness::new(&genuine, Keeper::Task));
        let versions = rustls::DEFAULT_VERSIONS;
        let web = config(&provider, verifier.clone(), versions, &[b"h2", b"http/1.1"])?;
        let older = config(&provider, verifier.clone(), &[&rustls::version::TLS12], &[])?;
        let plain = config(&provider, verifier, versions, &[])?;
        let strict = config(&provider, genuine.clone(), versions, &[])?;
        let (mut nameless, mut fragmented) = (plain.clone(), plain.clone());
        nameless.enable_sni = false;
        fragmented.max_fragment_size = Some(SHORTEST_RECORD);
        let [web, plain, nameless, fragmented, older] = [web, plain, nameless, fragmented, older].map(Arc::new);
        Ok(Self { web, plain, nameless, fragmented, older, strict, genuine })
    }

    pub(super) fn strict(&self) -> ClientConfig {
        self.strict.clone()
    }

    /// A configuration for one handshake of QUIC's, and what its verifier will have seen.
    pub(super) fn recording(
        &self,
        alpn: &[&[u8]],
    ) -> (ClientConfig, impl FnOnce() -> (Vec<Arc<Certificate>>, Verdict)) {
        self.recording_by(alpn, None)
    }

    /// The same, where a chain is held against an authority of the provider's own, and the handshake may depend on it.
    pub(super) fn recording_by(
        &self,
        alpn: &[&[u8]],
        judge: Option<Judge>,
    ) -> (ClientConfig, impl FnOnce() -> (Vec<Arc<Certificate>>, Verdict)) {
        let slot = Arc::new(Mutex::new(None));
        let witness = Witness { judge, ..Witness::new(&self.genuine, Keeper::Shared(Arc::clone(&slot))) };
        let mut config = (*self.plain).clone();
        config.dangerous().set_certificate_verifier(Arc::new(witness));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let presented = move || {
            let seen: Option<Presented> = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            seen.map_or((Vec::new(), Ok(())), |seen| (seen.chain, seen.verdict))
        };
        (config, presented)
    }

    /// Encrypts the name with keys that its HTTPS record gave (an `ECHConfigList`). TLS 1.3 only.
    fn encrypting(&self, keys: &[u8]) -> Result<TlsConnector, Error> {
        let keys = EchConfig::new(EchConfigListBytes::from(keys.to_vec()), aws_lc_rs::hpke::ALL_SUPPORTED_SUITES)?;
        let verifier = Arc::new(Witness::new(&self.genuine, Keeper::Task));
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_ech(EchMode::from(keys))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config).into())
    }

    fn connector(&self, alpn: Alpn, hello: Hello) -> TlsConnector {
        let config = match (hello, alpn) {
            (Hello::NoName, _) => &self.nameless,
            (Hello::Records, _) => &self.fragmented,
            (Hello::Tls12, _) => &self.older,
            (Hello::Plain | Hello::Segments, Alpn::Web) => &self.web,
            (Hello::Plain | Hello::Segments, Alpn::None) => &self.plain,
        };
        Arc::clone(config).into()
    }
}

/// The client's shape on the wire, for comparing runs.
pub fn tls_fingerprint() -> String {
    let provider = provider();
    let groups: Vec<_> = provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
    let suites: Vec<_> = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
    format!(
        "rustls 0.23 (aws-lc-rs); TLSv1.3, TLSv1.2; {}; {}; ALPN h2, http/1.1; no resumption",
        groups.join(", "),
        suites.join(", ")
    )
}

fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519};
    CryptoProvider { kx_groups: vec![X25519, SECP256R1, SECP384R1], ..aws_lc_rs::default_provider() }
}

/// Mozilla's roots and the user's; never the system's store, where an interceptor's root may have been put.
fn roots(extra: &[CertificateDer<'static>]) -> Result<RootCertStore, DriveError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for (index, certificate) in extra.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|error| DriveError::Root { index: index + 1, reason: error.to_string() })?;
    }
    Ok(roots)
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The verdict on a chain.
pub(super) type Verdict = Result<(), Fault>;

/// What the verifier saw of one handshake.
#[derive(Debug)]
struct Presented {
    chain: Vec<Arc<Certificate>>,
    verdict: Verdict,
}

/// Where a verifier leaves what it saw.
#[derive(Debug)]
enum Keeper {
    /// With the task that drives the handshake.
    Task,
    /// With whoever else holds this.
    Shared(Arc<Mutex<Option<Presented>>>),
}

impl Keeper {
    fn keep(&self, presented: Presented) -> Result<(), Error> {
        match self {
            Self::Shared(slot) => *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented),
            // Outside of a handshake of ours nobody would look at the verdict: refuse.
            Self::Task => PRESENTED
                .try_with(|slot| slot.replace(Some(presented)))
                .map(drop)
                .map_err(|_| Error::General("nobody keeps the chain".into()))?,
        }
        Ok(())
    }
}

tokio::task_local! {
    /// Where the verifier leaves what it saw: the verifier is shared, a handshake is driven by one task at a time.
    static PRESENTED: RefCell<Option<Presented>>;
}

/// Lets every chain pass and remembers it, with the verdict of the genuine verifier.
#[derive(Debug)]
struct Witness {
    genuine: Arc<rustls::client::WebPkiServerVerifier>,
    keeper: Keeper,
    judge: Option<Judge>,
}

/// Who else judges a chain.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    /// Instead of the roots, whatever name the certificate has.
    pub(super) authority: Option<Arc<Authority>>,
    /// Whether the handshake ends where the chain is not theirs: somebody logs in behind it.
    pub(super) insists: bool,
}

impl Witness {
    fn new(genuine: &Arc<rustls::client::WebPkiServerVerifier>, keeper: Keeper) -> Self {
        Self { genuine: Arc::clone(genuine), keeper, judge: None }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|certificate| Arc::new(Certificate::from_der(certificate.to_vec())))
            .collect();
        let authority = self.judge.as_ref().and_then(|judge| judge.authority.as_ref());
        let verdict = if let Some(authority) = authority {
            authority.vouches((end_entity, intermediates), server_name, Name::Any, now)
        } else {
            let genuine = &self.genuine;
            genuine.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map(|_| ())
        };
        let refused =
            verdict.as_ref().err().filter(|_| self.judge.as_ref().is_some_and(|judge| judge.insists)).cloned();
        let verdict = verdict.map_err(|error| Fault::new(Outcome::Failed(verdict_failure(&error, &chain)), error));
        self.keeper.keep(Presented { chain, verdict })?;
        refused.map_or(Ok(ServerCertVerified::assertion()), Err)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.genuine.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.genuine.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.genuine.supported_verify_schemes()
    }
}

impl Drive {
    /// A handshake for a name (offered as SNI) or a literal address (no SNI is offered), over a fresh connection.
    pub async fn handshake(&self, connection: Tapped, host: &str, alpn: Alpn, deadline: Duration) -> Handshake {
        self.handshake_by(connection, host, alpn, deadline, Hello::Plain).await
    }

    /// The same, with the name sent in some way.
    pub async fn handshake_by(
        &self,
        connection: Tapped,
        host: &str,
        alpn: Alpn,
        deadline: Duration,
        hello: Hello,
    ) -> Handshake {
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            let outcome = Outcome::Failed(Failure::InvalidArgument);
            let detail = Some("the name cannot be offered".to_owned());
            return Handshake { outcome, detail, seen: Tls::default(), stream: None };
        };
        let seen = Tls { sni: sni(&name).filter(|_| hello != Hello::NoName), ..Tls::default() };
        let connection = if hello == Hello::Segments { connection.cut_at(host) } else { connection };
        shake(&self.shared.tls.connector(alpn, hello), name, connection, seen, deadline).await
    }

    /// The same, with the name encrypted. What is on the wire in its place is the server's public name; the row has the target's.
    /// Where the server has no such keys it says so by a handshake of its own, which ends as a failed one with bytes received.
    pub async fn handshake_encrypted(
        &self,
        connection: Tapped,
        host: &str,
        keys: &[u8],
        deadline: Duration,
    ) -> Handshake {
        let unusable = |error: &dyn std::fmt::Display| Handshake {
            outcome: Outcome::NotRun(NotRun::NotNeeded),
            detail: Some(format!("the name's keys cannot be used: {error}")),
            seen: Tls::default(),
            stream: None,
        };
        let name = match ServerName::try_from(host.to_owned()) {
            Ok(name) => name,
            Err(error) => return unusable(&error),
        };
        let connector = match self.shared.tls.encrypting(keys) {
            Ok(connector) => connector,
            Err(error) => return unusable(&error),
        };
        let seen = Tls { sni: sni(&name), ..Tls::default() };
        shake(&connector, name, connection, seen, deadline).await
    }
}

/// One handshake, and what it showed.
async fn shake(
    connector: &TlsConnector,
    name: ServerName<'static>,
    connection: Tapped,
    mut seen: Tls,
    deadline: Duration,
) -> Handshake {
    let tap = connection.tap();
    let connect = connector.connect(name, connection);
    let (result, presented) = PRESENTED
        .scope(RefCell::new(None), async {
            let result = timeout(deadline, connect).await;
            (result, PRESENTED.with(RefCell::take))
        })
        .await;
    let passed = tap.passed();
    look_at_wire(&mut seen, &passed);
    let (chain, verdict) = presented.map_or((Vec::new(), Ok(())), |seen| (seen.chain, seen.verdict));
    seen.chain = chain;
    let (end, stream) = match result {
        Ok(Ok(stream)) => {
            look_at_session(&mut seen, &stream);
            (Ok(()), Some(stream))
        }
        Ok(Err(error)) => (Err(handshake_fault(&error, &passed)), None),
        Err(_) => (Err(Fault::new(Outcome::Failed(Failure::GenericTimeoutError), Waited(deadline))), None),
    };
    // A verdict against the chain says more than how the handshake went on from there.
    match verdict.and(end) {
        Ok(()) => Handshake { outcome: Outcome::Ok, detail: None, seen, stream },
        Err(fault) => Handshake { outcome: fault.outcome, detail: fault.detail, seen, stream },
    }
}

/// What a literal address offers: nothing (RFC 6066, section 3).
pub(super) fn sni(name: &ServerName<'_>) -> Option<String> {
    match name {
        ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
        _ => None,
    }
}

fn look_at_wire(seen: &mut Tls, passed: &Passed) {
    use faultline_record::FirstBytes;
    use faultline_wire::tls;
    seen.bytes_received = passed.received;
    seen.first_bytes = match tls::first_bytes(passed.first()) {
        Some(tls::FirstBytes::Handshake) => Some(FirstBytes::Handshake),
        Some(tls::FirstBytes::Alert(_)) => Some(FirstBytes::Alert),
        Some(tls::FirstBytes::OtherRecord) => Some(FirstBytes::OtherRecord),
        Some(tls::FirstBytes::Http) => Some(FirstBytes::Http),
        Some(tls::FirstBytes::NotTls) => Some(FirstBytes::NotTls),
        None => None,
    };
}

/// What a finished handshake of QUIC's agreed on. QUIC is TLS 1.3 and nothing older (RFC 9001 section 4.2).
pub(super) fn look_at_quic(seen: &mut Tls, connection: &quinn::Connection) {
    let data =
        connection.handshake_data().and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
    seen.version = Some("TLSv1.3".to_owned());
    seen.alpn = data.and_then(|data| data.protocol).map(|protocol| String::from_utf8_lossy(&protocol).into_owned());
}

fn look_at_session(seen: &mut Tls, stream: &TlsStream<Tapped>) {
    let (_, session) = stream.get_ref();
    seen.version = session.protocol_version().and_then(|version| version.as_str()).map(|version| match version {
        "TLSv1_2" => "TLSv1.2".to_owned(),
        "TLSv1_3" => "TLSv1.3".to_owned(),
        other => other.to_owned(),
    });
    seen.cipher_suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).map(iana_name);
    seen.alpn = session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
}

/// rustls writes `TLS13_` where IANA's registry has `TLS_`.
fn iana_name(suite: &str) -> String {
    suite.replacen("TLS13_", "TLS_", 1)
}

/// The failure of an error of a handshake of ours, whose verifier lets every chain pass: a certificate is invalid in
/// its eyes when the peer does not hold the key.
fn handshake_fault(error: &io::Error, passed: &Passed) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(_)) => Fault::new(Outcome::Failed(Failure::SslFailedHandshake), error),
        _ => fault(error, passed),
    }
}

/// The failure of an error of TLS as it comes through tokio.
pub(super) fn fault(error: &io::Error, passed: &Passed) -> Fault {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return tls_fault(error, passed);
    }
    Fault::new(passed.error.unwrap_or_else(|| errno::outcome(error)), error)
}

/// The failure of an error of TLS.
pub(super) fn tls_fault(error: &Error, passed: &Passed) -> Fault {
    use faultline_wire::tls::{FirstBytes, first_bytes};
    let failure = match error {
        Error::AlertReceived(AlertDescription::UnrecognisedName) => Failure::SslInvalidHostname,
        Error::NoCertificatesPresented => Failure::SslInvalidCertificate,
        Error::InvalidCertificate(_) => verdict_failure(error, &[]),
        _ => match first_bytes(passed.first()) {
            Some(FirstBytes::Http | FirstBytes::NotTls) => Failure::TlsMalformedRecord,
            _ => Failure::SslFailedHandshake,
        },
    };
    Fault::new(Outcome::Failed(failure), error)
}

/// The failure of a verdict on a chain.
fn verdict_failure(error: &Error, chain: &[Arc<Certificate>]) -> Failure {
    let Error::InvalidCertificate(error) = error else { return Failure::SslInvalidCertificate };
    let is_self_issued = chain.first().is_some_and(|leaf| leaf.is_self_issued());
    match error {
        // A bad signature in a chain: its issuer bears the name of a root that we trust, and is another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Failure::SslUnknownAuthority,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Failure::SslInvalidHostname
        }
        // A self-signed certificate that says it is an authority is refused for that, before anybody looks for roots.
        CertificateError::Other(_) if is_self_issued => Failure::SslUnknownAuthority,
        _ => Failure::SslInvalidCertificate,
    }
}
