//! Requests and redirects.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use faultline_record::{Failure, NotRun, Outcome, Step};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{Authority, Rows, acceptor, config, drive, reset, run, serve};
use crate::drive::Drive;

fn plain() -> Drive {
    drive(config(&Authority::new()), &[])
}

/// A server in the clear that reads a request and says this.
async fn says(answer: Vec<u8>) -> SocketAddr {
    serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if !matches!(stream.read(&mut byte).await, Ok(1)) {
            break;
        }
        request.push(byte[0]);
    }
    String::from_utf8(request).unwrap()
}

async fn failure_of(answer: &[u8]) -> Failure {
    let address = says(answer.to_vec()).await;
    let rows = run(&plain(), &format!("http://{address}/")).await;
    rows.only(Step::Http).outcome.failure().unwrap_or_else(|| panic!("{:?}", rows.only(Step::Http)))
}

#[tokio::test]
async fn a_response_in_the_clear_is_kept_with_headers_in_order_and_body() {
    let answer = b"HTTP/1.1 200 OK\r\nServer: test\r\nX-Client-IP: 8.8.4.4\r\nContent-Length: 5\r\n\r\nhello";
    let address = says(answer.to_vec()).await;
    let rows = run(&plain(), &format!("http://{address}/a?b=c")).await;
    let row = rows.only(Step::Http);
    let http = row.http().unwrap();
    assert_eq!(row.outcome, Outcome::Ok, "{row:?}");
    assert_eq!((http.status, http.protocol.as_deref()), (Some(200), Some("http/1.1")));
    let headers: Vec<_> = http.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("server", "test"), ("x-client-ip", "[scrubbed]"), ("content-length", "5")]);
    assert_eq!((http.body.as_deref(), http.body_length, http.body_truncated), (Some(&b"hello"[..]), 5, false));
    assert_eq!(http.url, format!("http://{address}/a?b=c"));
    assert_eq!(row.connection, rows.only(Step::Tcp).connection);
}

#[tokio::test]
async fn the_request_looks_like_a_browsers() {
    let (sender, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            sender.send(read_request(&mut stream).await).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    run(&plain(), &format!("http://{address}/x?y=z#fragment")).await;
    let request = requests.recv().await.unwrap();
    let mut lines = request.lines();
    assert_eq!(lines.next(), Some("GET /x?y=z HTTP/1.1"));
    assert_eq!(lines.next(), Some(format!("Host: {address}").as_str()));
    assert!(request.contains("\r\nUser-Agent: Mozilla/5.0 "), "{request}");
    assert!(!request.to_ascii_lowercase().contains("accept-encoding"), "{request}");
}

/// An HTTPS server that speaks this protocol and no other.
async fn secure(authority: &Authority, protocol: &'static str) -> SocketAddr {
    let mut tls = authority.server(&["127.0.0.1"], |_| {});
    tls.alpn_protocols = vec![protocol.into()];
    let tls = acceptor(tls);
    serve(move |stream| {
        let tls = tls.clone();
        async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let (io, service) = (TokioIo::new(stream), service_fn(greet));
            let _ = match protocol {
                "h2" => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
                _ => http1::Builder::new().serve_connection(io, service).await,
            };
        }
    })
    .await
}

async fn greet(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let greeting = format!("hello over {:?} at {}", request.version(), request.uri().path());
    Ok(Response::new(Full::new(greeting.into())))
}

#[tokio::test]
async fn the_negotiated_protocol_is_spoken_over_the_measured_connection() {
    let authority = Authority::new();
    for (protocol, body) in [("h2", "hello over HTTP/2.0 at /p"), ("http/1.1", "hello over HTTP/1.1 at /p")] {
        let address = secure(&authority, protocol).await;
        let rows = run(&drive(config(&authority), &[]), &format!("https://{address}/p")).await;
        let row = rows.only(Step::Http);
        assert_eq!(row.outcome, Outcome::Ok, "{row:?}");
        assert_eq!(row.http().unwrap().protocol.as_deref(), Some(protocol));
        assert_eq!(row.http().unwrap().body.as_deref(), Some(body.as_bytes()));
        assert_eq!(rows.only(Step::Tls).tls().unwrap().alpn.as_deref(), Some(protocol));
        let connections: Vec<_> = rows.0.observations.iter().map(|row| row.connection).collect();
        assert_eq!(connections, [Some(1), Some(1), Some(1)]);
    }
}

#[tokio::test]
async fn what_is_no_http_2_is_named() {
    let authority = Authority::new();
    let mut tls = authority.server(&["127.0.0.1"], |_| {});
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = acceptor(tls);
    let address = serve(move |stream| {
        let tls = tls.clone();
        async move {
            let mut stream = tls.accept(stream).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 4096]).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    })
    .await;
    let rows = run(&drive(config(&authority), &[]), &format!("https://{address}/")).await;
    let row = rows.only(Step::Http);
    assert_eq!(row.outcome, Outcome::Failed(Failure::Http2ProtocolError), "{row:?}");
}

#[tokio::test]
async fn what_is_no_response_is_named() {
    assert_eq!(failure_of(b"SSH-2.0-nonsense\r\n\r\n").await, Failure::HttpMalformedResponse);
    assert_eq!(failure_of(b"<html>blocked</html>\r\n\r\n").await, Failure::HttpMalformedResponse);
    assert_eq!(failure_of(b"").await, Failure::EofError);
    assert_eq!(failure_of(b"HTTP/1.1 200 OK\r\nContent-Le").await, Failure::EofError);
}

#[tokio::test]
async fn a_response_that_breaks_off_is_a_failure_that_keeps_what_came() {
    let address = says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()).await;
    let rows = run(&plain(), &format!("http://{address}/")).await;
    let row = rows.only(Step::Http);
    assert_eq!(row.outcome, Outcome::Failed(Failure::EofError), "{row:?}");
    assert_eq!(row.http().unwrap().status, Some(200));
    assert_eq!(row.http().unwrap().body.as_deref(), Some(&b"half"[..]));
}

#[tokio::test]
async fn a_body_without_a_length_may_end_with_the_stream_and_one_with_a_length_may_not() {
    let authority = Authority::new();
    for (head, outcome) in [
        ("HTTP/1.1 200 OK\r\n\r\nhello", Outcome::Ok),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Outcome::Failed(Failure::EofError)),
    ] {
        let tls = authority.acceptor(&["127.0.0.1"]);
        let address = serve(move |stream| {
            let tls = tls.clone();
            async move {
                let mut stream = tls.accept(stream).await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                // The TCP stream ends without a close_notify.
                drop(stream.into_inner().0);
            }
        })
        .await;
        let rows = run(&drive(config(&authority), &[]), &format!("https://{address}/")).await;
        let row = rows.only(Step::Http);
        assert_eq!(row.outcome, outcome, "{row:?}");
        assert_eq!(row.http().unwrap().body.as_deref(), Some(&b"hello"[..]));
    }
}

#[tokio::test]
async fn a_reset_after_the_request_is_a_reset_in_the_clear_and_inside_tls() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        reset(stream);
    })
    .await;
    let rows = run(&plain(), &format!("http://{address}/")).await;
    assert_eq!(rows.only(Step::Http).outcome, Outcome::Failed(Failure::ConnectionReset));

    let authority = Authority::new();
    for protocol in ["h2", "http/1.1"] {
        let mut tls = authority.server(&["127.0.0.1"], |_| {});
        tls.alpn_protocols = vec![protocol.into()];
        let tls = acceptor(tls);
        let address = serve(move |stream| {
            let tls = tls.clone();
            async move {
                let mut stream = tls.accept(stream).await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                reset(stream.into_inner().0);
            }
        })
        .await;
        let rows = run(&drive(config(&authority), &[]), &format!("https://{address}/")).await;
        assert_eq!(rows.only(Step::Http).outcome, Outcome::Failed(Failure::ConnectionReset), "{protocol}");
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_no_further() {
    let endless = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let long = [b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".to_vec(), vec![b'x'; 300_000]].concat();
    for address in [endless, says(long).await] {
        let drive = plain();
        let rows = run(&drive, &format!("http://{address}/")).await;
        let row = rows.only(Step::Http);
        let http = row.http().unwrap();
        assert_eq!(row.outcome, Outcome::Ok, "{:?}", row.detail);
        assert_eq!(http.body.as_deref().map(<[u8]>::len), Some(256 * 1024));
        assert!(http.body_truncated && http.body_length > 256 * 1024);
        assert!(drive.meter().totals().2 < 1024 * 1024, "{:?}", drive.meter().totals());
    }
}

#[tokio::test]
async fn a_slow_drip_ends_at_the_deadline_and_keeps_what_came() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let rows = run(&plain(), &format!("http://{address}/")).await;
    let row = rows.only(Step::Http);
    assert_eq!(row.outcome, Outcome::Failed(Failure::GenericTimeoutError));
    assert_eq!(row.http().unwrap().status, Some(200));
    assert!((2..100).contains(&row.http().unwrap().body_length));
}

/// A server whose pages /0, /1, ... each redirect to the next.
async fn chain() -> SocketAddr {
    serve(|mut stream| async move {
        let request = read_request(&mut stream).await;
        let page: u32 = request.split(['/', ' ']).nth(2).and_then(|page| page.parse().ok()).unwrap_or(0);
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: /{}\r\nContent-Length: 0\r\n\r\n", page + 1);
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn ten_redirects_are_followed_and_the_eleventh_is_a_failure() {
    let address = chain().await;
    let rows = run(&plain(), &format!("http://{address}/0")).await;
    rows.check_numbers();
    let http = rows.of(Step::Http);
    assert_eq!(http.len(), 12);
    for (hop, row) in (0..).zip(&http[..11]) {
        assert_eq!((row.hop, row.outcome), (hop, Outcome::Ok));
        assert_eq!(row.connection, Some(u32::from(hop) + 1), "each hop has a connection of its own");
    }
    let last = http[11];
    assert_eq!((last.hop, last.outcome), (11, Outcome::Failed(Failure::HttpTooManyRedirects)));
    assert_eq!(last.http().unwrap().url, "/11");
    assert_eq!(rows.of(Step::Tcp).len(), 11);
}

async fn after_redirect(location: &str) -> Rows {
    let address = says(format!("HTTP/1.1 301 Moved\r\nLocation: {location}\r\n\r\n").into_bytes()).await;
    let config = config(&Authority::new());
    // These drivers dial no address that cannot be public, unless the target names it.
    let drive = Drive::on_loopback(config, Vec::new(), 53, false);
    run(&drive, &format!("http://{address}/")).await
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_a_failure_of_its_own() {
    let rows = after_redirect("http:///").await;
    let last = rows.of(Step::Http)[1];
    assert_eq!((last.hop, last.outcome), (1, Outcome::Failed(Failure::HttpInvalidRedirectLocationHost)));
}

#[tokio::test]
async fn a_redirect_to_an_app_is_where_the_web_ends() {
    assert_eq!(after_redirect("intent://x#Intent;end").await.of(Step::Http).len(), 1);
}

#[tokio::test]
async fn a_redirect_to_a_name_without_a_resolver_is_not_run() {
    let rows = after_redirect("https://blocked.example/").await;
    let dns = rows.of(Step::Dns);
    assert!(!dns.is_empty() && dns.iter().all(|row| row.hop == 1));
    let [http] = rows.of(Step::Http)[1..] else { panic!() };
    assert!(matches!(http.outcome, Outcome::NotRun(NotRun::NoNetwork | NotRun::NoAddress)), "{http:?}");
}
