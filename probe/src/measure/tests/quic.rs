//! QUIC handshakes with a server of quinn's own, and with one that says nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use faultline_record::{Failure, Observation, Outcome, Purpose, Step};
use rustls::ServerConfig;

use super::world::{Authority, Rows, config, drive, run};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;

/// A QUIC server that takes every connection and waits for its end.
fn quic_server(mut tls: ServerConfig) -> SocketAddr {
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = endpoint.local_addr().unwrap();
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
    assert_eq!(tries.iter().filter(timed_out).count(), 7);
    assert!(tries.iter().all(|row| row.quic().unwrap().bytes_received == 0));
    assert!(rows.of(Step::Tcp).iter().any(|row| row.purpose == Purpose::TcpCopy));
}
