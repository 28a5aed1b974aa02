//! Shadowsocks against another implementation of it (the crate `shadowsocks`), in both editions. (Real daemons are in the testbed.)

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use faultline_record::{Failure, NotRun, Outcome, Purpose, Step, VpnAnswer, VpnProof};
use shadowsocks::config::{ServerConfig, ServerType};
use shadowsocks::context::Context;
use shadowsocks::crypto::CipherKind;
use shadowsocks::{ProxyListener, relay::Address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{Authority, Rows, config, drive, run};
use crate::drive::{DriveConfig, PublicResolver};
use crate::vpn_keys::VpnKeys;

/// Keys in base64, as the edition of 2022 has them.
const KEY: &str = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
const SHORT_KEY: &str = "q6urq6urq6urq6urq6urqw==";
const OTHER_KEY: &str = "zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0=";
const RESOLVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)), 53);

/// A server that answers every request for the resolver, without asking it.
async fn server(method: &str, password: &str) -> SocketAddr {
    let method: CipherKind = method.parse().unwrap();
    let config = ServerConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), password, method).unwrap();
    let listener = ProxyListener::bind(Context::new_shared(ServerType::Server), &config).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(asked) = stream.handshake().await else { return };
                assert!(matches!(asked, Address::SocketAddress(address) if address == RESOLVER), "{asked}");
                let mut question = [0; 64];
                let length = stream.read(&mut question).await.unwrap();
                assert!(usize::from(u16::from_be_bytes([question[0], question[1]])) + 2 == length, "one question");
                stream.write_all(&question[..length]).await.unwrap();
                let _ = stream.read(&mut question).await;
            });
        }
    });
    address
}

async fn measured(address: SocketAddr, entry: &str) -> Rows {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    std::fs::write(&file, entry.replace("ADDRESS", &address.to_string())).unwrap();
    let authority = Authority::new();
    let resolver = PublicResolver {
        name: "resolver/test".into(),
        udp: vec![RESOLVER.ip()],
        doh: "https://resolver.example/dns-query".parse().unwrap(),
        dot: None,
    };
    let vpn_keys = Arc::new(VpnKeys::read(&file).unwrap());
    let config = DriveConfig { vpn_keys, resolvers: vec![resolver], ..config(&authority) };
    run(&drive(config, &[]), &format!("ss://{address}")).await
}

fn entry(method: &str, password: &str) -> String {
    format!("[[shadowsocks]]\nendpoint = \"ADDRESS\"\nmethod = \"{method}\"\npassword = \"{password}\"\n")
}

#[tokio::test]
async fn each_cipher_of_both_editions_is_understood_by_another_implementation() {
    for (method, password) in [
        ("aes-128-gcm", "hunter2"),
        ("aes-256-gcm", "hunter2"),
        ("chacha20-ietf-poly1305", "hunter2"),
        ("2022-blake3-aes-128-gcm", SHORT_KEY),
        ("2022-blake3-aes-256-gcm", KEY),
    ] {
        let rows = measured(server(method, password).await, &entry(method, password)).await;
        let row = rows.only(Step::Vpn);
        assert_eq!(row.outcome, Outcome::Ok, "{method}: {row:?}");
        let seen = row.vpn().unwrap();
        assert_eq!((seen.answer, seen.proof), (Some(VpnAnswer::Relayed), Some(VpnProof::Data)), "{method}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_never_an_answer_and_nothing_recorded_repeats_it() {
    let method = "2022-blake3-aes-256-gcm";
    let rows = measured(server(method, KEY).await, &entry(method, OTHER_KEY)).await;
    let main = rows.of(Step::Vpn).into_iter().find(|row| row.purpose == Purpose::Main).unwrap();
    assert!(main.outcome.failure().is_some(), "{main:?}");
    assert_eq!(main.vpn().unwrap().proof, None);
    let shown = format!("{:?}", rows.of(Step::Vpn));
    assert!(!shown.contains(&OTHER_KEY[..12]) && !shown.contains(&KEY[..12]), "{shown}");
}

#[tokio::test]
async fn without_a_password_a_server_is_connected_to_and_asked_nothing() {
    let rows = measured(server("aes-256-gcm", "hunter2").await, "").await;
    assert_eq!(rows.only(Step::Tcp).outcome, Outcome::Ok);
    assert_eq!(rows.only(Step::Vpn).outcome, Outcome::NotRun(NotRun::NoKey));
}

#[tokio::test]
async fn a_dead_server_is_refused() {
    let closed = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let rows = measured(closed, &entry("aes-256-gcm", "hunter2")).await;
    let main = rows.of(Step::Tcp).into_iter().find(|row| row.purpose == Purpose::Main).unwrap();
    assert_eq!(main.outcome, Outcome::Failed(Failure::ConnectionRefused));
}
