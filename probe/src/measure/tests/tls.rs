//! Handshakes, as they end well and badly.

use faultline_record::{Failure, FirstBytes, NotRun, Observation, Outcome, Step, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{Authority, Rows, acceptor, closed_port, config, drive, reset, run, serve, server, target};
use crate::drive::Drive;
use crate::measure::measure;

/// The row of a handshake with a server that does this after the ClientHello was read.
async fn after_client_hello<F>(then: impl Fn(TcpStream) -> F + Send + Sync + Clone + 'static) -> Observation
where
    F: Future<Output = ()> + Send + 'static,
{
    let address = serve(move |mut stream| {
        let then = then.clone();
        async move {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            then(stream).await;
        }
    })
    .await;
    let drive = drive(config(&Authority::new()), &[]);
    run(&drive, &format!("tls://{address}?sni=site.example")).await.only(Step::Tls).clone()
}

async fn with_server(authority: &Authority, config: ServerConfig, sni: &str) -> Rows {
    let tls = acceptor(config);
    let address = serve(move |stream| {
        let tls = tls.clone();
        async move {
            if let Ok(mut stream) = tls.accept(stream).await {
                let _ = stream.read(&mut [0; 64]).await;
            }
        }
    })
    .await;
    run(&trusting(authority), &format!("tls://{address}?sni={sni}")).await
}

fn trusting(authority: &Authority) -> Drive {
    drive(config(authority), &[])
}

fn seen(row: &Observation) -> &Tls {
    row.tls().unwrap()
}

fn failure(row: &Observation) -> Failure {
    row.outcome.failure().unwrap_or_else(|| panic!("{row:?}"))
}

#[tokio::test]
async fn a_healthy_handshake_says_what_was_negotiated_and_keeps_the_chain() {
    let authority = Authority::new();
    for (versions, version, suite) in [
        (&rustls::version::TLS13, "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (&rustls::version::TLS12, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ] as [(&'static SupportedProtocolVersion, &str, &str); 2]
    {
        let any = authority.server(&["site.example"], |_| {});
        let config = ServerConfig::builder_with_provider(any.crypto_provider().clone())
            .with_protocol_versions(&[versions])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(any.cert_resolver.clone());
        let rows = with_server(&authority, config, "site.example").await;
        let row = rows.only(Step::Tls);
        let tls = seen(row);
        assert_eq!(row.outcome, Outcome::Ok, "{row:?}");
        assert_eq!((tls.version.as_deref(), tls.cipher_suite.as_deref()), (Some(version), Some(suite)));
        assert_eq!(tls.sni.as_deref(), Some("site.example"));
        assert_eq!(tls.first_bytes, Some(FirstBytes::Handshake));
        assert!(tls.bytes_received > 500, "{}", tls.bytes_received);
        assert_eq!(tls.chain.len(), 2);
        assert!(tls.chain[1].subject.contains("Authority of the tests"));
        assert_eq!(row.connection, rows.only(Step::Tcp).connection);
    }
}

#[tokio::test]
async fn a_chain_that_does_not_verify_is_named_and_kept() {
    let authority = Authority::new();
    let expired = authority.server(&["site.example"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let cases = [
        (expired, "site.example", Failure::SslInvalidCertificate),
        (authority.server(&["other.example"], |_| {}), "site.example", Failure::SslInvalidHostname),
        (Authority::new().server(&["site.example"], |_| {}), "site.example", Failure::SslUnknownAuthority),
        (self_signed(IsCa::NoCa), "site.example", Failure::SslUnknownAuthority),
        (self_signed(IsCa::Ca(BasicConstraints::Unconstrained)), "site.example", Failure::SslUnknownAuthority),
    ];
    for (config, sni, expected) in cases {
        let rows = with_server(&authority, config, sni).await;
        let row = rows.only(Step::Tls);
        assert_eq!(failure(row), expected, "{row:?}");
        assert!(!seen(row).chain.is_empty() && row.detail.is_some());
        assert!(seen(row).version.is_some(), "the handshake itself was finished");
    }
}

fn self_signed(is_ca: IsCa) -> ServerConfig {
    let mut params = CertificateParams::new(vec!["site.example".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    server(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

#[tokio::test]
async fn a_literal_address_is_offered_no_name_and_verified_as_an_address() {
    let authority = Authority::new();
    let tls = authority.acceptor(&["127.0.0.1"]);
    let address = serve(move |stream| {
        let tls = tls.clone();
        async move {
            let accepted = tls.accept(stream).await.unwrap();
            assert_eq!(accepted.get_ref().1.server_name(), None);
        }
    })
    .await;
    let rows = run(&trusting(&authority), &format!("tls://{address}")).await;
    assert_eq!(rows.only(Step::Tls).outcome, Outcome::Ok);
    assert_eq!(seen(rows.only(Step::Tls)).sni, None);
}

#[tokio::test]
async fn a_private_authority_does_not_stop_the_request_where_it_is_expected() {
    let tls = Authority::new().acceptor(&["127.0.0.1"]);
    let address = serve(move |stream| {
        let tls = tls.clone();
        async move {
            let mut stream = tls.accept(stream).await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let drive = drive(config(&Authority::new()), &[]);
    let mut target = target(&format!("https://{address}/"));
    for (private_ca, http) in [(false, Outcome::NotRun(NotRun::PreviousStepFailed)), (true, Outcome::Ok)] {
        target.private_ca = private_ca;
        let rows = Rows(measure(&drive, &target, super::world::context()).await);
        assert_eq!(failure(rows.only(Step::Tls)), Failure::SslUnknownAuthority);
        assert_eq!(rows.only(Step::Http).outcome, http);
    }
}

#[tokio::test]
async fn a_reset_after_the_client_hello_is_a_reset() {
    let row = after_client_hello(|stream| async { reset(stream) }).await;
    assert_eq!(failure(&row), Failure::ConnectionReset);
    assert_eq!((seen(&row).bytes_received, seen(&row).first_bytes), (0, None));
}

#[tokio::test]
async fn silence_after_the_client_hello_is_a_timeout() {
    let row = after_client_hello(|stream| async move {
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
        drop(stream);
    })
    .await;
    assert_eq!(failure(&row), Failure::GenericTimeoutError);
    assert!((700.0..2_000.0).contains(&(row.t_ms - row.t0_ms)), "{row:?}");
}

#[tokio::test]
async fn an_end_of_stream_after_the_client_hello_is_an_eof() {
    let row = after_client_hello(|stream| async { drop(stream) }).await;
    assert_eq!(failure(&row), Failure::EofError);
}

#[tokio::test]
async fn alerts_are_told_by_their_description() {
    for (description, expected) in [(112, Failure::SslInvalidHostname), (40, Failure::SslFailedHandshake)] {
        let row = after_client_hello(move |mut stream| async move {
            stream.write_all(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, description]).await.unwrap();
        })
        .await;
        assert_eq!(failure(&row), expected, "{row:?}");
        assert_eq!(seen(&row).first_bytes, Some(FirstBytes::Alert));
    }
}

#[tokio::test]
async fn what_is_no_tls_is_told_from_a_failed_handshake() {
    for (said, first) in [
        (&b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"[..], FirstBytes::Http),
        (b"SSH-2.0-nonsense\r\n", FirstBytes::NotTls),
    ] {
        let row = after_client_hello(move |mut stream| async move {
            stream.write_all(said).await.unwrap();
            let _ = stream.read(&mut [0; 64]).await;
        })
        .await;
        assert_eq!(failure(&row), Failure::TlsMalformedRecord, "{row:?}");
        assert_eq!((seen(&row).first_bytes, seen(&row).bytes_received), (Some(first), said.len() as u64));
    }
}

#[tokio::test]
async fn a_handshake_cut_by_the_network_after_the_chain_was_shown_still_has_the_chain() {
    // TLS 1.2: the client speaks after the server's first flight, and is answered with a reset.
    let authority = Authority::new();
    let any = authority.server(&["site.example"], |_| {});
    let config = ServerConfig::builder_with_provider(any.crypto_provider().clone())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(any.cert_resolver.clone());
    let config = std::sync::Arc::new(config);
    let address = serve(move |mut stream| {
        let config = config.clone();
        async move {
            let mut session = rustls::ServerConnection::new(config).unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            session.read_tls(&mut &buffer[..length]).unwrap();
            session.process_new_packets().unwrap();
            let mut flight = Vec::new();
            session.write_tls(&mut flight).unwrap();
            stream.write_all(&flight).await.unwrap();
            let _ = stream.read(&mut buffer).await;
            reset(stream);
        }
    })
    .await;
    let rows = run(&trusting(&authority), &format!("tls://{address}?sni=site.example")).await;
    let row = rows.only(Step::Tls);
    assert_eq!(failure(row), Failure::ConnectionReset);
    assert_eq!(seen(row).chain.len(), 2);
    assert_eq!(seen(row).version, None);
}

#[tokio::test]
async fn a_closed_port_is_refused_and_the_handshake_is_not_run() {
    let address = closed_port().await;
    let rows = run(&trusting(&Authority::new()), &format!("tls://{address}?sni=site.example")).await;
    assert_eq!(failure(rows.only(Step::Tcp)), Failure::ConnectionRefused);
    assert_eq!(rows.only(Step::Tls).outcome, Outcome::NotRun(NotRun::PreviousStepFailed));
}

#[test]
fn the_fingerprint_names_groups_and_no_post_quantum_one() {
    let fingerprint = crate::drive::tls_fingerprint();
    assert!(fingerprint.contains("X25519") && fingerprint.contains("TLS13_AES_256_GCM_SHA384"), "{fingerprint}");
    assert!(!fingerprint.contains("MLKEM"), "{fingerprint}");
}
