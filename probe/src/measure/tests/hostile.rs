//! Servers and resolvers that mean harm cost bounded time, and what is kept of them is bounded.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use faultline_record::{Failure, Observation, Outcome, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{Authority, Rows, config, drive, limits, run, serve};
use crate::drive::Drive;

/// What one step may take beyond its deadline, and a measurement beyond those of its steps: the tests share a machine.
const SLACK: Duration = Duration::from_millis(1_500);
/// Bytes of a response's head that are kept at most (64 KiB are read), with the URL and the names.
const HEAD: usize = 70 * 1024;

fn plain() -> Drive {
    drive(config(&Authority::new()), &[])
}

/// A server that says this once, and then that again and again, as fast as it is read, with a pause after each.
async fn torrent(start: &'static [u8], again: Vec<u8>, pause: Duration) -> SocketAddr {
    serve(move |mut stream| {
        let again = again.clone();
        async move {
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            if stream.write_all(start).await.is_err() {
                return;
            }
            while stream.write_all(&again).await.is_ok() {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    })
    .await
}

/// Bytes that a row keeps.
fn kept(row: &Observation) -> usize {
    let http = row.http().map_or(0, |http| {
        let headers: usize = http.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        headers + http.url.len() + http.body.as_ref().map_or(0, |body| body.len())
    });
    let chain = row.tls().or(row.quic()).map_or(0, |tls| tls.chain.iter().map(|one| one.der.len()).sum());
    let dns = row.dns().map_or(0, |dns| dns.answers.len() * size_of::<faultline_record::DnsAnswer>());
    http + chain + dns + row.detail.as_ref().map_or(0, String::len)
}

struct Cost {
    rows: Rows,
    took: Duration,
    /// Bytes of payload received.
    received: u64,
}

async fn cost(drive: Drive, input: &str) -> Cost {
    let start = Instant::now();
    let rows = run(&drive, input).await;
    rows.check_numbers();
    let (_, _, received) = drive.meter().totals();
    Cost { rows, took: start.elapsed(), received }
}

/// A request in the clear: within its deadline, and no more kept than a head and a body may hold.
async fn request(address: SocketAddr) -> (Outcome, usize, u64) {
    let cost = cost(plain(), &format!("http://{address}/")).await;
    assert!(cost.took < limits().http + SLACK, "{:?}", cost.took);
    let row = cost.rows.only(Step::Http);
    assert!(kept(row) <= HEAD + limits().body, "{} bytes are kept", kept(row));
    (row.outcome, kept(row), cost.received)
}

#[tokio::test]
async fn a_body_without_end_is_read_to_the_limit_and_no_further() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n";
    let address = torrent(head, vec![b'x'; 64 * 1024], Duration::ZERO).await;
    let (outcome, _, received) = request(address).await;
    assert_eq!(outcome, Outcome::Ok);
    // A read's worth may come beyond the limit.
    assert!(received < 2 * limits().body as u64, "{received} bytes");
}

#[tokio::test]
async fn headers_without_end_are_given_up() {
    let address = torrent(b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n".repeat(100), Duration::ZERO).await;
    let (outcome, kept, received) = request(address).await;
    assert_eq!(outcome, Outcome::Failed(Failure::HttpMalformedResponse));
    assert!(kept < 1_024 && received < 1024 * 1024, "{kept} bytes kept of {received}");
}

#[tokio::test]
async fn one_header_without_end_is_given_up() {
    let address = torrent(b"HTTP/1.1 200 OK\r\nx-long: ", vec![b'x'; 4_096], Duration::ZERO).await;
    let (outcome, kept, received) = request(address).await;
    assert_eq!(outcome, Outcome::Failed(Failure::HttpMalformedResponse));
    assert!(kept < 1_024 && received < 1024 * 1024, "{kept} bytes kept of {received}");
}

#[tokio::test]
async fn a_status_line_without_end_is_given_up() {
    let address = torrent(b"HTTP/1.1 200 ", vec![b'K'; 4_096], Duration::ZERO).await;
    let (outcome, kept, _) = request(address).await;
    assert_eq!(outcome, Outcome::Failed(Failure::HttpMalformedResponse));
    assert!(kept < 1_024, "{kept}");
}

#[tokio::test]
async fn a_drip_of_headers_or_of_body_ends_with_the_deadline() {
    for (start, again) in [(&b"HTTP/1.1 200 OK\r\nx-drip: "[..], b"x"), (b"HTTP/1.1 200 OK\r\n\r\n", b"y")] {
        let address = torrent(start, again.to_vec(), Duration::from_millis(100)).await;
        let (outcome, kept, _) = request(address).await;
        assert_eq!(outcome, Outcome::Failed(Failure::GenericTimeoutError));
        assert!(kept < 1_024, "{kept}");
    }
}

#[tokio::test]
async fn interim_responses_without_end_are_given_up() {
    let address = torrent(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_000), Duration::ZERO).await;
    let (outcome, kept, received) = request(address).await;
    assert_eq!(outcome, Outcome::Failed(Failure::HttpMalformedResponse));
    assert!(kept < 1_024 && received < 4 * 1024 * 1024, "{kept} bytes kept of {received}");
}

#[tokio::test]
async fn a_chunk_s_extension_without_end_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=";
    let address = torrent(head, vec![b'x'; 4_096], Duration::ZERO).await;
    let (outcome, kept, received) = request(address).await;
    assert!(outcome.failure().is_some(), "{outcome:?}");
    assert!(kept < 2_048 && received < 1024 * 1024, "{kept} bytes kept of {received}");
}

#[tokio::test]
async fn trailers_without_end_are_given_up() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
    let address = torrent(head, b"x-trailer: and more\r\n".repeat(100), Duration::ZERO).await;
    let (outcome, kept, received) = request(address).await;
    assert!(outcome.failure().is_some(), "{outcome:?}");
    assert!(kept < 2_048 && received < 1024 * 1024, "{kept} bytes kept of {received}");
}

#[tokio::test]
async fn chunks_of_one_octet_without_end_are_read_to_the_limit_or_to_the_deadline() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let address = torrent(head, b"1\r\nx\r\n".repeat(10_000), Duration::ZERO).await;
    let (_, kept, received) = request(address).await;
    assert!(kept <= limits().body + 2_048 && received < 4 * 1024 * 1024, "{kept} bytes kept of {received}");
}

#[tokio::test]
async fn nothing_that_is_compressed_is_unpacked() {
    // A body that says it is gzip: ten bytes of header and zeros. It is kept as it came.
    let body = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 1_000]].concat();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = [head.as_bytes(), &body].concat();
    let address = serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            let _ = stream.read(&mut [0; 1_024]).await;
            let _ = stream.write_all(&answer).await;
        }
    })
    .await;
    let cost = cost(plain(), &format!("http://{address}/")).await;
    assert_eq!(cost.rows.only(Step::Http).http().unwrap().body.as_deref(), Some(&body[..]));
}

#[tokio::test]
async fn redirects_without_end_cost_ten_hops() {
    let address = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 1_024]).await;
        let at = stream.local_addr().unwrap();
        // Each leads to a place that was never seen, with a long name.
        let path: String = format!("{:x}", rand::random::<u64>()).repeat(100);
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://{at}/{path}\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let cost = cost(plain(), &format!("http://{address}/")).await;
    let requests = cost.rows.of(Step::Http);
    assert_eq!(requests.len(), 12, "eleven requests, and the row that says why there are no more");
    assert_eq!(requests[11].outcome, Outcome::Failed(Failure::HttpTooManyRedirects));
    assert!(cost.took < limits().http, "{:?}", cost.took);
}

/// The row of a handshake with a server that reads the `ClientHello` and says this, again and again.
async fn handshake(start: &'static [u8], again: Vec<u8>, pause: Duration) -> Observation {
    let address = torrent(start, again, pause).await;
    let cost = cost(plain(), &format!("tls://{address}?sni=site.example")).await;
    assert!(cost.took < limits().tls + SLACK, "{:?}", cost.took);
    let row = cost.rows.only(Step::Tls).clone();
    assert!(kept(&row) < 128 * 1024, "{} bytes are kept", kept(&row));
    // What is sent between two looks at it is on its way already.
    assert!(cost.received < 4 * 1024 * 1024, "{} bytes were received", cost.received);
    row
}

#[tokio::test]
async fn junk_in_place_of_tls_ends_the_handshake() {
    let row = handshake(b"", b"not TLS at all".repeat(1_000), Duration::ZERO).await;
    assert_eq!(row.outcome, Outcome::Failed(Failure::TlsMalformedRecord));
}

#[tokio::test]
async fn a_drip_of_a_record_ends_with_the_deadline() {
    let row = handshake(&[0x16, 0x03, 0x03, 0x40, 0x00], vec![0x02], Duration::from_millis(100)).await;
    assert_eq!(row.outcome, Outcome::Failed(Failure::GenericTimeoutError));
}

#[tokio::test]
async fn a_handshake_message_of_sixteen_megabytes_is_given_up() {
    // A record of 2^14 octets; in the first a message that says it is a certificate of 2^24 - 1 octets (RFC 8446 section 4).
    let record = [&[0x16, 0x03, 0x03, 0x40, 0x00][..], &[0; 1 << 14]].concat();
    let first: &'static [u8] = &[0x16, 0x03, 0x03, 0x00, 0x04, 0x0b, 0xff, 0xff, 0xff];
    let row = handshake(first, record, Duration::ZERO).await;
    assert!(row.outcome.failure().is_some(), "{row:?}");
}

#[tokio::test]
async fn records_without_content_and_warnings_without_end_are_given_up() {
    for again in
        [[0x16_u8, 0x03, 0x03, 0x00, 0x00].repeat(1_000), [0x15, 0x03, 0x03, 0x00, 0x02, 0x01, 0x5a].repeat(1_000)]
    {
        let row = handshake(b"", again, Duration::ZERO).await;
        assert!(row.outcome.failure().is_some(), "{row:?}");
    }
}

/// A socket on which somebody reads slowly does not keep a measurement.
#[tokio::test]
async fn a_peer_that_never_reads_and_never_speaks_ends_with_the_deadline() {
    let address = serve(|stream: TcpStream| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(stream);
    })
    .await;
    let (outcome, kept, _) = request(address).await;
    assert_eq!(outcome, Outcome::Failed(Failure::GenericTimeoutError));
    assert!(kept < 1_024);
}
