//! QUIC handshakes with a server of quinn's own, and with one that says nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use faultline_record::{Failure, Observation, Outcome, Purpose, Step};
use rustls::ServerConfig;

use super::world::{Authority, Rows, config, drive, run};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;

/// A QUIC server that offers HTTP/3, and where it is.
pub(super) fn listen(mut tls: ServerConfig) -> (quinn::Endpoint, SocketAddr) {
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

/// A QUIC server that takes every connection and waits for its end.
fn quic_server(tls: ServerConfig) -> SocketAddr {
    let (endpoint, address) = listen(tls);
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
    });
    address
}

async fn measured(authority: &Authority, address: SocketAddr) -> Rows {
    run(&drive(config(authority), &[]), &format!("quic://{address}?sni=site.example")).await
}

#[tokio::test]
async fn a_healthy_handshake_says_what_was_negotiated_and_keeps_the_chain() {
    let authority = Authority::new();
    let address = quic_server(authority.server(&["site.example"], |_| {}));
    let rows = measured(&authority, address).await;
    rows.check_numbers();
    let row = rows.only(Step::Quic);
    assert_eq!((row.outcome, row.address, row.port), (Outcome::Ok, Some(address.ip()), Some(address.port())));
    let seen = row.quic().unwrap();
    assert_eq!((seen.sni.as_deref(), seen.alpn.as_deref()), (Some("site.example"), Some("h3")));
    assert!(seen.bytes_received > 1_000 && !seen.chain.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_kept_and_named() {
    let authority = Authority::new();
    let address = quic_server(authority.server(&["other.example"], |_| {}));
    let rows = measured(&authority, address).await;
    let row = rows.only(Step::Quic);
    assert_eq!(row.outcome, Outcome::Failed(Failure::SslInvalidHostname));
    assert!(!row.quic().unwrap().chain.is_empty());
}

#[tokio::test]
async fn silence_asks_for_an_innocent_name_and_for_tcp() {
    let authority = Authority::new();
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    let input = format!("quic://{}?sni=site.example", silent.local_addr().unwrap());
    let rows = run(&drive(config, &[]), &input).await;
    rows.check_numbers();
    let tries = rows.of(Step::Quic);
    let of = |purpose| tries.iter().filter(|row| row.purpose == purpose).count();
    assert_eq!((of(Purpose::Main), of(Purpose::InnocentSni), of(Purpose::Retry)), (1, 3, 3));
    let timed_out = |row: &&&Observation| row.outcome == Outcome::Failed(Failure::GenericTimeoutError);
    assert_eq!(asked(&rows, Purpose::VersionNegotiation).len(), 1);
    assert_eq!(tries.iter().filter(timed_out).count(), 8);
    assert!(tries.iter().all(|row| row.quic().unwrap().bytes_received == 0));
    assert!(rows.of(Step::Tcp).iter().any(|row| row.purpose == Purpose::TcpCopy));
}

/// A UDP server that answers a question for versions, and nothing else, at this address.
async fn negotiator(address: SocketAddr, junk: &'static [u8]) -> SocketAddr {
    let socket = tokio::net::UdpSocket::bind(address).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let asked = &buffer[..length];
            if !junk.is_empty() {
                socket.send_to(junk, from).await.unwrap();
                continue;
            }
            // A version that ends in a on every octet; the ids in exchanged places (RFC 9000 section 17.2.1).
            if asked[1..5].iter().all(|octet| octet & 0x0f == 0x0a) && length == 1_200 {
                let answer = [&[0x80, 0, 0, 0, 0, 8], &asked[15..23], &[8], &asked[6..14], &[0, 0, 0, 1]].concat();
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

fn asked(rows: &Rows, purpose: Purpose) -> Vec<&Observation> {
    rows.of(Step::Quic).into_iter().filter(|row| row.purpose == purpose).collect()
}

#[tokio::test]
async fn a_server_that_only_says_its_versions_is_told_from_one_that_is_not_there() {
    let authority = Authority::new();
    let address = negotiator((Ipv4Addr::LOCALHOST, 0).into(), b"").await;
    let config = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    let rows = run(&drive(config, &[]), &format!("quic://{address}?sni=site.example")).await;
    rows.check_numbers();
    let [negotiated] = asked(&rows, Purpose::VersionNegotiation)[..] else { panic!("{rows:#?}") };
    assert_eq!((negotiated.outcome, negotiated.detail.as_deref()), (Outcome::Ok, Some("versions 00000001")));
    assert_eq!((negotiated.address, negotiated.port), (Some(address.ip()), Some(address.port())));
    assert_eq!(negotiated.quic().unwrap().bytes_received, 27);
    assert!(asked(&rows, Purpose::QuicElsewhere).is_empty(), "an answer needs nobody else's");
}

#[tokio::test]
async fn what_is_no_answer_is_named_and_no_answer() {
    let authority = Authority::new();
    let address = negotiator((Ipv4Addr::LOCALHOST, 0).into(), b"not QUIC at all").await;
    let drive = drive(config(&authority), &[]);
    let limit = std::time::Duration::from_millis(300);
    let done = drive.negotiate(drive.admit().await, address, limit).await;
    assert_eq!(done.outcome, Outcome::Failed(Failure::UnexpectedResponse));
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let done = drive.negotiate(drive.admit().await, silent.local_addr().unwrap(), limit).await;
    assert_eq!(done.outcome, Outcome::Failed(Failure::GenericTimeoutError));
    drop(silent);
    let closed = super::world::closed_port().await;
    let done = drive.negotiate(drive.admit().await, closed, limit).await;
    assert_eq!((done.outcome, done.seen.bytes_received), (Outcome::Failed(Failure::ConnectionRefused), 0));
}

#[tokio::test]
async fn a_peer_that_closes_behind_the_handshake_ends_the_request() {
    let authority = Authority::new();
    let (endpoint, address) = listen(authority.server(&["site.example"], |_| {}));
    tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (_send, mut receive) = connection.accept_bi().await.unwrap();
        let _ = receive.read_chunk(100, true).await;
        connection.close(7_u32.into(), b"no service here");
        connection.closed().await;
    });
    let rows = run(&drive(config(&authority), &[]), &format!("quic://{address}/?sni=site.example")).await;
    let row = rows.only(Step::Http);
    assert_eq!(row.outcome, Outcome::Failed(Failure::EofError), "{row:?}");
}
