//! Requests by HTTP/3, of a server of h3's own and of servers that misbehave.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faultline_record::{Failure, Outcome, Purpose, Step};
use h3_quinn::BidiStream;
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::quic::listen;
use super::world::{Authority, Rows, acceptor, config, drive, run};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;

type Stream = h3::server::RequestStream<BidiStream<Bytes>, Bytes>;

/// A server that treats every request in the same way.
fn serve<F>(authority: &Authority, answer: impl Fn(Request<()>, Stream) -> F + Clone + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let (endpoint, address) = listen(authority.server(&["site.example"], |_| {}));
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let connection = h3_quinn::Connection::new(incoming.await.unwrap());
                let mut connection = h3::server::Connection::new(connection).await.unwrap();
                while let Ok(Some(asked)) = connection.accept().await {
                    if let Ok((request, stream)) = asked.resolve_request().await {
                        tokio::spawn(answer(request, stream));
                    }
                }
            });
        }
    });
    address
}

async fn measured(authority: &Authority, address: SocketAddr) -> Rows {
    let rows = run(&drive(config(authority), &[]), &format!("quic://{address}/page?sni=site.example")).await;
    rows.check_numbers();
    rows
}

fn respond(status: u16) -> Response<()> {
    Response::builder().status(status).header("x-kind", "test").body(()).unwrap()
}

#[tokio::test]
async fn a_path_is_asked_for_behind_the_handshake() {
    let authority = Authority::new();
    let address = serve(&authority, |request, mut stream| async move {
        let said = format!("{} at {}", request.uri().path(), request.uri().authority().unwrap().host());
        stream.send_response(respond(200)).await.unwrap();
        stream.send_data(said.into()).await.unwrap();
        stream.finish().await.unwrap();
    });
    let rows = measured(&authority, address).await;
    let outline = [(Step::Quic, Purpose::Main, Outcome::Ok), (Step::Http, Purpose::Main, Outcome::Ok)];
    assert_eq!(rows.outline(), outline);
    let (quic, row) = (rows.only(Step::Quic), rows.only(Step::Http));
    assert_eq!((row.connection, row.address, row.port), (quic.connection, quic.address, quic.port));
    let http = row.http().unwrap();
    assert_eq!((http.protocol.as_deref(), http.status, http.header("x-kind")), (Some("h3"), Some(200), Some("test")));
    assert_eq!(http.body.as_deref(), Some(&b"/page at site.example"[..]));
    assert_eq!(http.url, format!("https://site.example:{}/page", address.port()));
}

#[tokio::test]
async fn a_redirect_is_written_down_and_not_followed() {
    let authority = Authority::new();
    let address = serve(&authority, |_, mut stream| async move {
        let response = Response::builder().status(302).header("location", "https://elsewhere.example/");
        stream.send_response(response.body(()).unwrap()).await.unwrap();
        stream.finish().await.unwrap();
    });
    let rows = measured(&authority, address).await;
    assert_eq!(rows.only(Step::Http).http().unwrap().header("location"), Some("https://elsewhere.example/"));
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_limit() {
    let authority = Authority::new();
    let address = serve(&authority, |_, mut stream| async move {
        stream.send_response(respond(200)).await.unwrap();
        while stream.send_data(vec![b'x'; 16 * 1024].into()).await.is_ok() {}
    });
    let rows = measured(&authority, address).await;
    let row = rows.only(Step::Http);
    let http = row.http().unwrap();
    let limit = crate::limits::Limits::default().body;
    assert_eq!((row.outcome, http.body_truncated, http.body.as_ref().unwrap().len()), (Outcome::Ok, true, limit));
}

#[tokio::test]
async fn silence_after_the_handshake_ends_with_the_deadline() {
    let authority = Authority::new();
    let address = serve(&authority, |_, stream| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(stream);
    });
    let start = Instant::now();
    let rows = measured(&authority, address).await;
    assert_eq!(rows.only(Step::Quic).outcome, Outcome::Ok);
    assert_eq!(rows.only(Step::Http).outcome, Outcome::Failed(Failure::GenericTimeoutError));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn interim_responses_without_end_are_given_up() {
    let authority = Authority::new();
    let address =
        serve(&authority, |_, mut stream| async move { while stream.send_response(respond(103)).await.is_ok() {} });
    let start = Instant::now();
    let rows = measured(&authority, address).await;
    let row = rows.only(Step::Http);
    assert!(row.http().unwrap().header("x-kind").is_none() || row.http().unwrap().status == Some(103), "{row:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// A server whose response is one frame that never ends: written by hand, for no library sends that.
fn endless_head(authority: &Authority) -> SocketAddr {
    let (endpoint, address) = listen(authority.server(&["site.example"], |_| {}));
    tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (mut send, _receive) = connection.accept_bi().await.unwrap();
        // HEADERS (RFC 9114 section 7.2.2) of 2^30 octets, as a variable-length integer of eight.
        send.write_all(&[0x01, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]).await.unwrap();
        while send.write_all(&[0x20; 16 * 1024]).await.is_ok() {}
    });
    address
}

#[tokio::test]
async fn a_head_without_end_is_given_up_before_it_fills_the_memory() {
    let authority = Authority::new();
    let address = endless_head(&authority);
    let drive = drive(config(&authority), &[]);
    let rows = run(&drive, &format!("quic://{address}/?sni=site.example")).await;
    let row = rows.only(Step::Http);
    assert_eq!(row.outcome, Outcome::Failed(Failure::HttpMalformedResponse), "{row:?}");
    let (_, _, came) = drive.meter().totals();
    assert!(came < 8 * 1024 * 1024, "{came} bytes");
}

/// A site over TLS that offers HTTP/3 at this port, or nothing.
async fn offering(authority: &Authority, port: u16) -> SocketAddr {
    let tls = acceptor(authority.server(&["127.0.0.1"], |_| {}));
    super::world::serve(move |stream| {
        let tls = tls.clone();
        async move {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 2_048]).await;
            let answer = format!("HTTP/1.1 200 OK\r\nalt-svc: h3=\":{port}\"; ma=60\r\ncontent-length: 2\r\n\r\nok");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_site_that_offers_http_3_is_asked_over_it_only_on_demand() {
    let authority = Authority::new();
    let (endpoint, address) = listen(authority.server(&["127.0.0.1"], |_| {}));
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let connection = h3_quinn::Connection::new(incoming.await.unwrap());
            let mut connection = h3::server::Connection::<_, Bytes>::new(connection).await.unwrap();
            while let Ok(Some(asked)) = connection.accept().await {
                let (_, mut stream) = asked.resolve_request().await.unwrap();
                stream.send_response(respond(200)).await.unwrap();
                stream.finish().await.unwrap();
            }
        }
    });
    let site = offering(&authority, address.port()).await;
    let usual = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    for (http3, steps) in [(false, 0), (true, 2)] {
        let drive = drive(DriveConfig { http3, ..usual.clone() }, &[]);
        let rows = run(&drive, &format!("https://{site}/")).await;
        rows.check_numbers();
        let copies: Vec<_> = rows.0.observations.iter().filter(|row| row.purpose == Purpose::Http3Copy).collect();
        assert_eq!(copies.len(), steps, "{rows:#?}");
        for copy in copies {
            assert_eq!((copy.outcome, copy.port), (Outcome::Ok, Some(address.port())), "{copy:?}");
        }
    }
}

#[tokio::test]
async fn http_3_that_is_offered_and_silent_is_looked_into() {
    let authority = Authority::new();
    let silent = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let site = offering(&authority, silent.local_addr().unwrap().port()).await;
    let usual = DriveConfig { follow_up: FollowUps::Usual, http3: true, ..config(&authority) };
    let rows = run(&drive(usual, &[]), &format!("https://{site}/")).await;
    let of = |purpose| rows.of(Step::Quic).iter().filter(|row| row.purpose == purpose).count();
    let all = [Purpose::Http3Copy, Purpose::InnocentSni, Purpose::Retry, Purpose::VersionNegotiation].map(of);
    assert_eq!(all, [1, 3, 3, 1], "{rows:#?}");
    let page = rows.of(Step::Http).into_iter().find(|row| row.purpose == Purpose::Main).unwrap();
    assert_eq!(page.outcome, Outcome::Ok);
}
