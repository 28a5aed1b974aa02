//! A helper and its client, both real, on loopback: what is asked, what is answered, what is refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use faultline_record::{Failure, NotRun, Observation, Outcome, Purpose, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::world::{
    Authority, Rows, at_once, closed_port, config, context, drive, limits, reply, reset, resolvers, serve, target,
};
use crate::drive::Drive;
use crate::helper::message::{HelperAnswer, HelperQuestion, Origin};
use crate::helper::{HelperClient, Server};
use crate::measure::{MeasureContext, measure};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A helper that uses these drivers.
async fn helper(drive: Drive, allow_private: bool) -> SocketAddr {
    let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::with_drive(drive, allow_private, CancellationToken::new());
    tokio::spawn(async move { server.serve(listener).await });
    address
}

fn client(address: SocketAddr) -> HelperClient {
    HelperClient::new(&Url::parse(&format!("http://{address}/")).unwrap())
}

async fn run(drive: &Drive, input: &str, helper: SocketAddr) -> Rows {
    let context = MeasureContext { helper: Some(Arc::new(client(helper))), ..context() };
    Rows(measure(drive, &target(input), context).await)
}

/// A resolver that gives this machine for every name.
async fn genuine() -> Vec<SocketAddr> {
    resolvers(1, |_, query| at_once(&reply(query, Some(LOCAL)))).await
}

/// A site over TLS, and how many connections it has had.
async fn site(authority: &Authority) -> (SocketAddr, Arc<AtomicUsize>) {
    let tls = authority.acceptor(&["site.example"]);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let address = serve(move |stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        let tls = tls.clone();
        async move {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let page = "<html><title>The site</title></html>";
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", page.len());
            let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (address.await, count)
}

fn by_helper(rows: &Rows) -> Vec<&Observation> {
    rows.0.observations.iter().filter(|row| row.purpose == Purpose::Helper).collect()
}

fn steps(rows: &[&Observation]) -> Vec<(Step, Outcome)> {
    rows.iter().map(|row| (row.step(), row.outcome)).collect()
}

#[tokio::test]
async fn a_name_that_fails_here_is_shown_to_work_outside() {
    let authority = Authority::new();
    let (site, _) = site(&authority).await;
    let outside = helper(drive(config(&authority), &genuine().await), true).await;
    let silent = resolvers(1, |_, _| Vec::new()).await;
    let rows =
        run(&drive(config(&authority), &silent), &format!("https://site.example:{}/", site.port()), outside).await;
    rows.check_numbers();
    let seen = by_helper(&rows);
    let ok = Outcome::Ok;
    let expected = [(Step::Http, ok), (Step::Dns, ok), (Step::Tcp, ok), (Step::Tls, ok), (Step::Http, ok)];
    assert_eq!(steps(&seen), expected, "{seen:#?}");
    assert_eq!(seen[0].http().unwrap().url, format!("http://{outside}/v1/check"));
    assert_eq!((seen[0].connection, seen[0].address), (None, None), "the errand is no connection to the target");
    assert_eq!(seen[1].dns().unwrap().addresses().collect::<Vec<_>>(), [LOCAL]);
    assert!(seen[2..].iter().all(|row| row.connection == seen[2].connection && row.address == Some(LOCAL)));
    assert_eq!(seen[4].http().unwrap().status, Some(200));
    let page = seen[4].http().unwrap();
    assert_eq!(page.title.as_deref(), Some("The site"));
    let names: Vec<&str> = page.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["connection", "content-length"]);
    assert!(page.headers.iter().all(|(_, value)| value.is_empty()), "values stay with the helper");
}

#[tokio::test]
async fn a_target_that_plainly_works_is_nobodys_business() {
    let authority = Authority::new();
    let (site, count) = site(&authority).await;
    let errands = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&errands);
    let outside = serve(move |stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { drop(stream) }
    });
    let (outside, names) = (outside.await, genuine().await);
    let rows =
        run(&drive(config(&authority), &names), &format!("https://site.example:{}/", site.port()), outside).await;
    assert!(by_helper(&rows).is_empty());
    assert_eq!((errands.load(Ordering::Relaxed), count.load(Ordering::Relaxed)), (0, 1));
}

#[tokio::test]
async fn a_helper_that_cannot_be_reached_is_one_row_and_the_rest_is_as_without_it() {
    let authority = Authority::new();
    let dead = closed_port().await;
    let input = format!("https://{dead}/");
    let drive = drive(config(&authority), &[]);
    let without = Rows(measure(&drive, &target(&input), context()).await);
    for (helper, failure) in [
        (closed_port().await, Failure::ConnectionRefused),
        (serve(|stream| async move { reset(stream) }).await, Failure::ConnectionReset),
        (
            serve(|mut stream| async move { drop(stream.write_all(b"SSH-2.0-x\r\n").await) }).await,
            Failure::HttpMalformedResponse,
        ),
    ] {
        let with = run(&drive, &input, helper).await;
        let errand = by_helper(&with);
        assert_eq!(steps(&errand), [(Step::Http, Outcome::Failed(failure))], "{errand:#?}");
        let own: Vec<_> = with.outline().into_iter().filter(|(_, purpose, _)| *purpose != Purpose::Helper).collect();
        assert_eq!(own, without.outline());
    }
}

#[tokio::test]
async fn over_tls_only_the_named_helper_is_asked() {
    let authority = Authority::new();
    let inner = helper(drive(config(&authority), &genuine().await), true).await;
    for (name, believed) in [("helper.example", true), ("impostor.example", false)] {
        let tls = authority.acceptor(&[name]);
        let front = serve(move |stream| {
            let tls = tls.clone();
            async move {
                let Ok(mut stream) = tls.accept(stream).await else { return };
                let mut inner = TcpStream::connect(inner).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
            }
        });
        let base = Url::parse(&format!("https://helper.example:{}/", front.await.port())).unwrap();
        let drive = drive(config(&authority), &genuine().await);
        let question = HelperQuestion::new("tcp://site.example:1".into(), "site.example".into(), Vec::new());
        let answer = HelperClient::new(&base).ask(&drive, &question).await;
        match answer {
            Ok(answer) => assert_eq!((believed, answer.dns.addresses), (true, vec![LOCAL])),
            Err(fault) => {
                assert_eq!((believed, fault.outcome), (false, Outcome::Failed(Failure::SslInvalidHostname)));
            }
        }
    }
}

#[tokio::test]
async fn a_dead_address_is_dead_for_the_helper_too() {
    let authority = Authority::new();
    let dead = closed_port().await;
    let outside = helper(drive(config(&authority), &genuine().await), true).await;
    let input = format!("https://site.example:{}/", dead.port());
    let rows = run(&drive(config(&authority), &genuine().await), &input, outside).await;
    let refused = Outcome::Failed(Failure::ConnectionRefused);
    let skipped = Outcome::NotRun(NotRun::PreviousStepFailed);
    let expected = [(Step::Http, Outcome::Ok), (Step::Dns, Outcome::Ok), (Step::Tcp, refused), (Step::Tls, skipped)];
    assert_eq!(steps(&by_helper(&rows)), expected, "{:#?}", by_helper(&rows));
}

/// Asks a helper as a stranger would.
async fn asked(helper: SocketAddr, endpoint: &str, host: &str, addresses: &[IpAddr]) -> HelperAnswer {
    let question = HelperQuestion::new(endpoint.to_owned(), host.to_owned(), addresses.to_vec());
    client(helper).ask(&drive(config(&Authority::new()), &[]), &question).await.unwrap()
}

#[tokio::test]
async fn the_clients_addresses_are_tried_beside_the_helpers_own() {
    let authority = Authority::new();
    let (site, _) = site(&authority).await;
    let outside = helper(drive(config(&authority), &genuine().await), true).await;
    let nobody = IpAddr::from([127, 0, 0, 99]);
    let answer =
        asked(outside, &format!("https://site.example:{}/", site.port()), "site.example", &[nobody, LOCAL]).await;
    let tried: Vec<_> = answer.addresses.iter().map(|tried| (tried.address, tried.from, tried.verified)).collect();
    assert!(tried.contains(&(LOCAL, Origin::Helper, true)) && tried.contains(&(nobody, Origin::Client, false)));
    assert_eq!(tried.len(), 2, "an address that both name is tried once");
    assert_eq!(answer.http.unwrap().title.as_deref(), Some("The site"));
}

#[tokio::test]
async fn nothing_private_is_dialled_whoever_names_it() {
    let authority = Authority::new();
    let (site, count) = site(&authority).await;
    let outside = helper(drive(config(&authority), &genuine().await), false).await;
    let port = site.port();
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
    for (endpoint, host, given) in [
        (format!("https://site.example:{port}/"), "site.example", vec![]),
        (format!("https://127.0.0.1:{port}/"), "127.0.0.1", vec![]),
        (format!("tcp://localhost:{port}"), "localhost", vec![]),
        (format!("tcp://[::ffff:127.0.0.1]:{port}"), "::ffff:127.0.0.1", vec![]),
        (format!("https://site.example:{port}/"), "site.example", vec![LOCAL, mapped, IpAddr::from([127, 1, 2, 3])]),
    ] {
        let answer = asked(outside, &endpoint, host, &given).await;
        let refused = Outcome::NotRun(NotRun::BogonAddress);
        assert!(!answer.addresses.is_empty(), "{endpoint}");
        let is_refused = |outcome| matches!(outcome, Outcome::NotRun(NotRun::BogonAddress | NotRun::NoIpv6));
        assert!(answer.addresses.iter().all(|tried| is_refused(tried.tcp.0)), "{endpoint}: {answer:#?}");
        assert_eq!(answer.addresses[0].tcp.0, refused, "{endpoint}");
        assert!(answer.http.is_none_or(|page| page.status.is_none()), "{endpoint}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 0, "not one connection was made");
}

/// Sends these bytes and reads the status of what comes back; 0 when nothing does.
async fn status_of(helper: SocketAddr, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(helper).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_the_helper_goes_on() {
    let outside = helper(drive(config(&Authority::new()), &genuine().await), false).await;
    let post = |length: usize, body: &str| {
        format!("POST /v1/check HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    };
    let long = "x".repeat(20_000);
    for (bytes, expected) in [
        (b"GET /v1/check HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(), 405),
        (b"GET / HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(), 404),
        (post(1, "{"), 400),
        (post(long.len(), &long), 413),
        (post(2_000_000_000, "x"), 413),
        (b"\x16\x03\x01\x02\x00\x01".to_vec(), 400),
        (b"CONNECT site.example:443 HTTP/1.1\r\nhost: site.example\r\n\r\n".to_vec(), 404),
        (b"GET http://site.example/ HTTP/1.1\r\nhost: site.example\r\n\r\n".to_vec(), 404),
    ] {
        assert_eq!(
            status_of(outside, &bytes).await,
            expected,
            "{:?}",
            String::from_utf8_lossy(&bytes[..40.min(bytes.len())])
        );
    }
    let answer = asked(outside, "tcp://site.example:80", "site.example", &[]).await;
    assert_eq!(answer.dns.addresses, [LOCAL]);
}

#[tokio::test]
async fn what_a_redirect_carries_stays_here() {
    let authority = Authority::new();
    let heard = Arc::new(std::sync::Mutex::new(String::new()));
    let keep = Arc::clone(&heard);
    let outside = serve(move |mut stream| {
        let keep = Arc::clone(&keep);
        async move {
            let mut bytes = vec![0; 4096];
            let length = stream.read(&mut bytes).await.unwrap_or(0);
            *keep.lock().unwrap() += &String::from_utf8_lossy(&bytes[..length]);
        }
    })
    .await;
    let dead = closed_port().await;
    let front = serve(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let to = format!("https://127.0.0.1:{}/in?visitor=secret#part", dead.port());
        let response =
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(response.as_bytes()).await;
    })
    .await;
    run(&drive(config(&authority), &[]), &format!("http://{front}/"), outside).await;
    let heard = heard.lock().unwrap().clone();
    assert!(heard.contains(&format!("https://127.0.0.1:{}/in", dead.port())), "{heard}");
    assert!(!heard.contains("secret") && !heard.contains("part"), "{heard}");
}

#[tokio::test]
async fn strangers_wait_their_turn_and_no_more_than_eight_are_worked_for() {
    let authority = Authority::new();
    let silent = serve(|stream| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(stream);
    })
    .await;
    let outside = helper(drive(config(&authority), &genuine().await), true).await;
    let endpoint = format!("tls://site.example:{}", silent.port());
    let begun = std::time::Instant::now();
    let asking = (0..20).map(|_| asked(outside, &endpoint, "site.example", &[]));
    let answers = futures_util::future::join_all(asking).await;
    let timeout = Outcome::Failed(Failure::GenericTimeoutError);
    assert!(answers.iter().all(|answer| answer.addresses[0].tls.0 == timeout), "{answers:#?}");
    // Twenty questions of one time-out each, eight at once, take three time-outs.
    assert!(begun.elapsed() >= limits().tls * 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_connects_and_dawdles_keeps_nobody_waiting() {
    let outside = helper(drive(config(&Authority::new()), &genuine().await), false).await;
    let mut dawdling = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(outside).await.unwrap();
        stream.write_all(b"POST /v1/check HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n").await.unwrap();
        dawdling.push(stream);
    }
    let asking = asked(outside, "tcp://site.example:80", "site.example", &[]);
    let answer = tokio::time::timeout(Duration::from_secs(2), asking).await.unwrap();
    assert_eq!(answer.dns.addresses, [LOCAL]);
}
