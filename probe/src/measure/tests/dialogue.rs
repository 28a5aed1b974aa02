//! Dialogues with servers of VPNs and proxies: with servers of our own that answer, fall silent, lie or pour out what they have. (The
//! real daemons are in the testbed.)

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_record::{Failure, NotRun, Outcome, Purpose, Step, Vpn, VpnAnswer, VpnProof};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::world::{Authority, Rows, config, drive, limits, reset, run, serve};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;
use crate::vpn_keys::VpnKeys;

const SILENCE: Outcome = Outcome::Failed(Failure::GenericTimeoutError);

/// What came of the first message.
fn of_main(rows: &Rows) -> (Outcome, Vpn) {
    let row = rows.of(Step::Vpn).into_iter().find(|row| row.purpose == Purpose::Main).unwrap();
    (row.outcome, row.vpn().unwrap().clone())
}

async fn measured(authority: &Authority, input: &str) -> Rows {
    let rows = run(&drive(config(authority), &[]), input).await;
    rows.check_numbers();
    rows
}

/// A server that says each of these in turn, once something was sent to it, and then waits.
async fn saying(lines: &'static [&'static [u8]]) -> SocketAddr {
    serve(move |mut stream| async move {
        for line in lines {
            if stream.read(&mut [0; 2_048]).await.unwrap_or(0) == 0 {
                return;
            }
            let _ = stream.write_all(line).await;
        }
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// The reply to a start of PPTP's, as its RFC has it: success, and names of nothing.
const STARTED: &[u8] = &{
    let mut reply = [0; 156];
    let head = [0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 2, 0, 0, 1, 0, 1];
    let mut at = 0;
    while at < head.len() {
        reply[at] = head[at];
        at += 1;
    }
    reply
};

#[tokio::test]
async fn what_was_proven_is_kept_where_the_rest_is_silence() {
    let authority = Authority::new();
    let rows = measured(&authority, &format!("pptp://{}", saying(&[STARTED]).await)).await;
    let (outcome, seen) = of_main(&rows);
    assert_eq!((outcome, seen.proof, seen.bytes_received), (SILENCE, Some(VpnProof::FirstAnswer), 156));
}

#[tokio::test]
async fn a_login_that_is_wanted_and_a_refusal_are_answers_of_living_servers() {
    let authority = Authority::new();
    let refused = b"HTTP/1.1 403 Forbidden\r\nVia: 1.1 a\r\n\r\n";
    let wanted = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\r\n";
    for (scheme, said, answer) in [
        ("socks5", &[&b"\x05\xff"[..]], VpnAnswer::LoginWanted),
        ("http-proxy", &[&wanted[..]], VpnAnswer::LoginWanted),
        ("http-proxy", &[&refused[..]], VpnAnswer::Refused),
    ] {
        let said: &'static [&'static [u8]] = Box::leak(Box::new(*said));
        let (outcome, seen) = of_main(&measured(&authority, &format!("{scheme}://{}", saying(said).await)).await);
        assert_eq!((outcome, seen.answer, seen.proof), (Outcome::Ok, Some(answer), Some(VpnProof::FirstAnswer)));
    }
}

/// A proxy that lets everybody through, to a server with this certificate.
async fn leading_to(acceptor: TlsAcceptor) -> SocketAddr {
    serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut head = [0; 2_048];
            let length = stream.read(&mut head).await.unwrap();
            assert!(head[..length].starts_with(b"CONNECT innocent.example:443 HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut head).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn through_a_proxy_for_everybody_a_known_server_is_reached_and_an_interceptor_s_certificate_is_less() {
    let authority = Authority::new();
    for (owner, proof) in [(&authority, VpnProof::Data), (&Authority::new(), VpnProof::Handshake)] {
        let proxy = leading_to(owner.acceptor(&["innocent.example"])).await;
        let (outcome, seen) = of_main(&measured(&authority, &format!("http-proxy://{proxy}")).await);
        assert_eq!((outcome, seen.answer, seen.proof), (Outcome::Ok, Some(VpnAnswer::Accepted), Some(proof)));
    }
}

/// The head with which a server of SSTP's becomes a stream, and its word that a call is taken.
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
const TAKEN: &[u8] = &[0x10, 1, 0, 8, 0, 2, 0, 0];

async fn sstp(stream: TcpStream, acceptor: TlsAcceptor) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    for said in [STREAM, TAKEN] {
        if stream.read(&mut [0; 2_048]).await.unwrap_or(0) == 0 {
            return;
        }
        stream.write_all(said).await.unwrap();
    }
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// Asks a server of SSTP's at this machine's address for a call, with these keys.
async fn of_sstp(known: &Authority, owner: &Authority, names: &[&str], keys: &str) -> Option<VpnProof> {
    let acceptor = owner.acceptor(names);
    let address = serve(move |stream| sstp(stream, acceptor.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    std::fs::write(&file, keys.replace("ADDRESS", &address.to_string())).unwrap();
    let vpn_keys = Arc::new(VpnKeys::read(&file).unwrap());
    let config = DriveConfig { vpn_keys, ..config(known) };
    let (outcome, seen) = of_main(&run(&drive(config, &[]), &format!("sstp://{address}")).await);
    assert_eq!(outcome, Outcome::Ok);
    seen.proof
}

#[tokio::test]
async fn a_provider_s_own_authority_proves_its_server_for_its_name_alone_and_no_other_target_s() {
    let (known, provider, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let given = |whose: &str| format!("[[authority]]\n{whose}\nca = \"\"\"\n{}\"\"\"\n", provider.pem());
    let (own, of_another) = (given("endpoint = \"ADDRESS\""), given("target = \"another/*\""));
    let (identity, handshake) = (Some(VpnProof::ServerIdentity), Some(VpnProof::Handshake));
    assert_eq!(of_sstp(&known, &provider, &["127.0.0.1"], &own).await, identity);
    assert_eq!(of_sstp(&known, &provider, &["vpn.example"], &own).await, handshake, "another name");
    assert_eq!(of_sstp(&known, &stranger, &["127.0.0.1"], &own).await, handshake, "another authority");
    assert_eq!(of_sstp(&known, &provider, &["127.0.0.1"], &of_another).await, handshake, "another target");
    assert_eq!(of_sstp(&known, &known, &["127.0.0.1"], "").await, identity, "by what is trusted anyway");
}

#[tokio::test]
async fn within_tls_a_trusted_certificate_proves_who_the_server_is_and_another_a_handshake() {
    let authority = Authority::new();
    for (owner, proof, tls) in [
        (&authority, VpnProof::ServerIdentity, Outcome::Ok),
        (&Authority::new(), VpnProof::Handshake, Outcome::Failed(Failure::SslUnknownAuthority)),
    ] {
        let acceptor = owner.acceptor(&["localhost"]);
        let server = serve(move |stream| sstp(stream, acceptor.clone())).await;
        let rows = measured(&authority, &format!("sstp://localhost:{}", server.port())).await;
        let (outcome, seen) = of_main(&rows);
        assert_eq!((outcome, seen.proof, rows.only(Step::Tls).outcome), (Outcome::Ok, Some(proof), tls));
        assert_eq!(rows.of(Step::Tcp).len(), 1);
    }
}

#[tokio::test]
async fn a_handshake_without_a_name_that_is_reset_has_the_ladder_of_a_tunnel() {
    let authority = Authority::new();
    let server = serve(|stream| async move {
        stream.readable().await.unwrap();
        reset(stream);
    })
    .await;
    let config = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    let rows = run(&drive(config, &[]), &format!("sstp://{server}")).await;
    let of = |purpose| -> Vec<Outcome> {
        rows.of(Step::Tls).iter().filter(|row| row.purpose == purpose).map(|row| row.outcome).collect()
    };
    let cut = Outcome::Failed(Failure::ConnectionReset);
    assert_eq!(
        (of(Purpose::Main), of(Purpose::Retry), of(Purpose::JunkFirst)),
        (vec![cut], vec![cut; 2], vec![cut; 2])
    );
    // Other octets go in the place of TLS: they are no handshake that could fail.
    let others = [Purpose::PrintableBytes, Purpose::TlsBytes, Purpose::RandomBytes];
    for row in rows.of(Step::Vpn) {
        let wanted = if others.contains(&row.purpose) { cut } else { Outcome::NotRun(NotRun::PreviousStepFailed) };
        assert_eq!(row.outcome, wanted, "{}", row.purpose);
    }
    assert!(others.iter().all(|purpose| rows.of(Step::Vpn).iter().any(|row| row.purpose == *purpose)));
}

#[tokio::test]
async fn a_server_of_something_else_one_that_closes_and_one_that_resets_are_told_apart() {
    let authority = Authority::new();
    let closing = serve(|mut stream| async move { _ = stream.read(&mut [0; 2_048]).await }).await;
    let resetting = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 2_048]).await;
        reset(stream);
    })
    .await;
    let other = saying(&[b"SSH-2.0-nonsense\r\n"]).await;
    for scheme in ["pptp", "socks5", "http-proxy"] {
        for (server, failure) in
            [(closing, Failure::EofError), (resetting, Failure::ConnectionReset), (other, Failure::UnexpectedResponse)]
        {
            let (outcome, seen) = of_main(&measured(&authority, &format!("{scheme}://{server}")).await);
            assert_eq!((outcome, seen.proof), (Outcome::Failed(failure), None), "{scheme}");
        }
    }
}

#[tokio::test]
async fn a_server_that_pours_out_what_it_has_ends_the_dialogue_at_once_or_with_its_time() {
    let authority = Authority::new();
    for (scheme, start) in [("socks5", &b"\x05"[..]), ("http-proxy", b"HTTP/1.1 200 "), ("pptp", &STARTED[..20])] {
        let server = serve(move |mut stream| async move {
            let _ = stream.read(&mut [0; 2_048]).await;
            let _ = stream.write_all(start).await;
            while stream.write_all(&[b'a'; 4_096]).await.is_ok() {}
        })
        .await;
        let begun = Instant::now();
        let (outcome, seen) = of_main(&measured(&authority, &format!("{scheme}://{server}")).await);
        assert!(outcome.failure().is_some(), "{scheme}: {outcome:?}");
        assert!(seen.bytes_received <= 64 * 1_024, "{scheme}: {}", seen.bytes_received);
        assert!(begun.elapsed() < limits().tls + Duration::from_secs(2), "{scheme}: {:?}", begun.elapsed());
    }
}

/// A server over UDP with this answer to each datagram, the number of which it is given, and the datagrams that it was sent.
async fn by_udp(
    answer: impl Fn(usize, &[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let (heard, datagrams) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        for number in 1.. {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else { return };
            let _ = heard.send(buffer[..length].to_vec());
            if let Some(answer) = answer(number, &buffer[..length]) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    (address, datagrams)
}

#[tokio::test]
async fn a_server_of_l2tp_s_that_replied_is_told_that_nobody_wants_the_tunnel() {
    let (server, mut datagrams) = by_udp(|_, request| {
        // The number of the client's tunnel is the value of its attribute 9, the last but one.
        let tunnel = &request[request.len() - 10..request.len() - 8];
        let head = [&[0xc8, 2, 0, 28][..], tunnel, &[0, 0, 0, 0, 0, 1]].concat();
        (request.len() > 36)
            .then(|| [&head[..], &[0x80, 8, 0, 0, 0, 0, 0, 2, 0x80, 8, 0, 0, 0, 9, 0x12, 0x34]].concat())
    })
    .await;
    let (outcome, seen) = of_main(&measured(&Authority::new(), &format!("l2tp://{server}")).await);
    assert_eq!((outcome, seen.answer), (Outcome::Ok, Some(VpnAnswer::Accepted)));
    let (request, stop) = (datagrams.recv().await.unwrap(), datagrams.recv().await.unwrap());
    assert_eq!((&request[..2], &request[4..6]), (&[0xc8, 2][..], &[0, 0][..]));
    assert_eq!((&stop[4..6], &stop[12..20]), (&[0x12, 0x34][..], &[0x80, 8, 0, 0, 0, 0, 0, 4][..]));
}

#[tokio::test]
async fn a_request_of_stun_s_is_sent_again_until_it_is_answered() {
    let (server, mut datagrams) = by_udp(|number, request| {
        let head = [&[1, 1, 0, 12][..], &request[4..20]].concat();
        (number == 2).then(|| [&head[..], &[0, 0x20, 0, 8, 0, 1, 1, 2, 3, 4, 5, 6]].concat())
    })
    .await;
    let (outcome, seen) = of_main(&measured(&Authority::new(), &format!("stun://{server}")).await);
    assert_eq!((outcome, seen.answer), (Outcome::Ok, Some(VpnAnswer::Accepted)));
    let (first, second) = (datagrams.recv().await.unwrap(), datagrams.recv().await.unwrap());
    assert_eq!(first, second, "the same, to the last octet");
}

#[tokio::test]
async fn ike_s_first_messages_are_of_their_version_and_have_no_marker_but_on_port_4500() {
    for scheme in ["ikev1", "ikev2"] {
        let (server, mut datagrams) = by_udp(|_, _| None).await;
        let _ = measured(&Authority::new(), &format!("{scheme}://{server}")).await;
        let sent = datagrams.recv().await.unwrap();
        assert_eq!((&sent[8..16], sent[17] >> 4), (&[0; 8][..], if scheme == "ikev1" { 1 } else { 2 }), "{scheme}");
    }
}
