//! Resolvers, certificates, QUIC servers and tunnels that mean harm cost bounded time, and what is kept of them is bounded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use faultline_record::{Failure, Observation, Outcome, Step};
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::net::UdpSocket;

use super::world::{
    Authority, Datagrams, Rows, acceptor, config, drive, limits, public, reply, resolvers, run, serve, server,
};
use crate::drive::{DriveConfig, Question};
use faultline_record::QueryType;

/// What a measurement may take beyond the deadlines of its steps: the tests share a machine.
const SLACK: Duration = Duration::from_secs(2);

async fn timed(measuring: impl Future<Output = Rows>) -> (Rows, Duration) {
    let start = Instant::now();
    let rows = measuring.await;
    rows.check_numbers();
    (rows, start.elapsed())
}

/// A name asked of a resolver that sends this.
async fn asked(answer: impl Fn(&Message) -> Datagrams + Clone + Send + Sync + 'static) -> (Observation, Duration) {
    let servers = resolvers(1, move |_, query| answer(query)).await;
    let drive = drive(config(&Authority::new()), &servers);
    let input = format!("dns://{}/x.example", servers[0].ip());
    let (rows, took) = timed(run(&drive, &input)).await;
    (rows.only(Step::Dns).clone(), took)
}

fn numbered(query: &Message, number: u32) -> Message {
    reply(query, Some(IpAddr::V4(Ipv4Addr::from(0xc633_0000 + number))))
}

#[tokio::test]
async fn ten_thousand_replies_within_the_window_leave_sixteen() {
    let (row, took) =
        asked(|query| (0..10_000).map(|number| (Duration::ZERO, numbered(query, number).to_vec().unwrap())).collect())
            .await;
    let dns = row.dns().unwrap();
    assert_eq!((row.outcome, dns.replies, dns.answers.len()), (Outcome::Ok, 16, 16));
    assert!(took < limits().dns + limits().late_dns + SLACK, "{took:?}");
}

#[tokio::test]
async fn a_reply_of_hundreds_of_records_leaves_sixty_four() {
    let (row, _) = asked(|query| {
        let mut message = reply(query, None);
        for number in 0..200_u32 {
            let address = RData::A(Ipv4Addr::from(0xc633_0000 + number).into());
            message.add_answer(Record::from_rdata(query.queries[0].name.clone(), 60, address));
        }
        vec![(Duration::ZERO, message.to_vec().unwrap())]
    })
    .await;
    assert_eq!((row.outcome, row.dns().unwrap().answers.len()), (Outcome::Ok, 64));
}

#[tokio::test]
async fn a_flood_of_wrong_ids_and_of_junk_ends_with_the_deadline() {
    let (row, took) = asked(|query| {
        let mut wrong = numbered(query, 7);
        wrong.metadata.id = !query.metadata.id;
        let wrong = wrong.to_vec().unwrap();
        (0..5_000).flat_map(|_| [(Duration::ZERO, wrong.clone()), (Duration::ZERO, vec![0xff; 900])]).collect()
    })
    .await;
    assert!(row.outcome.failure().is_some() && row.dns().unwrap().answers.is_empty(), "{row:?}");
    assert!(row.detail.unwrap().len() < 500 && took < limits().dns + SLACK, "{took:?}");
}

#[tokio::test]
async fn names_that_loop_and_point_at_themselves_are_no_answer() {
    let (row, took) = asked(|query| {
        // Header, the question, and an answer whose name is a pointer to itself (RFC 1035 section 4.1.4).
        let mut bytes = reply(query, None).to_vec().unwrap();
        bytes[7] = 1;
        let at = u16::try_from(bytes.len()).unwrap() | 0xc000;
        bytes.extend(at.to_be_bytes());
        bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        vec![(Duration::ZERO, bytes)]
    })
    .await;
    assert!(row.outcome.failure().is_some(), "{row:?}");
    assert!(took < limits().dns + SLACK, "{took:?}");
}

#[tokio::test]
async fn a_flood_at_the_systems_resolver_ends_with_the_deadline() {
    let servers = resolvers(1, |_, query| {
        let mut wrong = numbered(query, 7);
        wrong.metadata.id = !query.metadata.id;
        (0..3_000).map(|_| (Duration::ZERO, wrong.to_vec().unwrap())).collect()
    })
    .await;
    let drive = drive(config(&Authority::new()), &servers);
    let start = Instant::now();
    let answered = drive.ask_system(&Question::new("x.example", QueryType::A)).await;
    assert!(answered.outcome.failure().is_some() && answered.seen.answers.is_empty(), "{answered:?}");
    assert!(start.elapsed() < limits().dns * 2 + SLACK, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_service_s_words_are_kept_short_and_without_addresses() {
    let authority = Authority::new();
    // HTTP/1.1 inside TLS: no DNS over HTTPS, but a page that tells who asked.
    let tls = acceptor(authority.server(&["doh.example"], |_| {}));
    let address = serve(move |stream| {
        let tls = tls.clone();
        async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = hyper::service::service_fn(|_| async {
                let page = "You are 8.8.4.4. ".repeat(3_000);
                let response =
                    hyper::Response::builder().status(403).body(http_body_util::Full::<bytes::Bytes>::from(page));
                Ok::<_, std::convert::Infallible>(response.unwrap())
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await;
        }
    })
    .await;
    let mut resolver = public("words", address);
    resolver.doh = format!("https://doh.example:{}/dns-query", address.port()).parse().unwrap();
    let drive = drive(DriveConfig { resolvers: vec![resolver], ..config(&authority) }, &[]);
    let (rows, _) = timed(run(&drive, "tcp://x.example:1")).await;
    let said: Vec<&String> = rows.of(Step::Dns).into_iter().filter_map(|row| row.detail.as_ref()).collect();
    assert!(said.iter().any(|words| words.contains("403")), "{said:?}");
    assert!(said.iter().all(|words| words.len() <= 600 && !words.contains("8.8.4.4")));
}

/// A chain of so many certificates, each a little one of nobody's.
fn chain(length: usize) -> tokio_rustls::TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let one = CertificateParams::new(vec!["site.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    acceptor(server(vec![one.der().clone(); length], key))
}

#[tokio::test]
async fn a_chain_of_a_thousand_certificates_is_refused_and_one_of_a_hundred_is_kept() {
    for (length, kept) in [(1_000, 0), (100, 100)] {
        let tls = chain(length);
        let address = serve(move |stream| {
            let tls = tls.clone();
            async move {
                let _ = tls.accept(stream).await;
            }
        })
        .await;
        let drive = drive(config(&Authority::new()), &[]);
        let (rows, took) = timed(run(&drive, &format!("tls://{address}?sni=site.example"))).await;
        let row = rows.only(Step::Tls);
        assert!(row.outcome.failure().is_some(), "{row:?}");
        assert_eq!(row.tls().unwrap().chain.len(), kept);
        assert!(took < limits().tls + SLACK, "{took:?}");
    }
}

/// A UDP server that answers each datagram with so many of these.
async fn flood(datagram: Vec<u8>, times: usize) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
            for _ in 0..times {
                let _ = socket.send_to(&datagram, from).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_flood_of_junk_in_place_of_quic_ends_with_the_deadline() {
    // Noise; a short header; a long header of version 1 for nobody.
    for datagram in [vec![0x17; 1_200], vec![0x40; 1_200], [&[0xc0, 0, 0, 0, 1, 8][..], &[7; 1_194]].concat()] {
        let address = flood(datagram, 10_000).await;
        let drive = drive(config(&Authority::new()), &[]);
        let (rows, took) = timed(run(&drive, &format!("quic://{address}?sni=site.example"))).await;
        let row = rows.only(Step::Quic);
        assert_eq!(row.outcome, Outcome::Failed(Failure::GenericTimeoutError), "{row:?}");
        assert!(row.quic().unwrap().chain.is_empty() && took < limits().tls + SLACK, "{took:?}");
    }
}

#[tokio::test]
async fn a_flood_in_answer_to_a_question_for_versions_ends_with_the_deadline() {
    let address = flood(vec![0x80; 1_200], 10_000).await;
    let drive = drive(config(&Authority::new()), &[]);
    let start = Instant::now();
    let done = drive.negotiate(drive.admit().await, address, limits().tls).await;
    assert_eq!(done.outcome, Outcome::Failed(Failure::UnexpectedResponse));
    assert!(start.elapsed() < limits().tls + SLACK, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_flood_in_answer_to_a_tunnel_s_first_message_ends_with_the_deadline() {
    let address = flood(vec![0x17; 1_200], 10_000).await;
    let drive = drive(config(&Authority::new()), &[]);
    for scheme in ["openvpn+udp", "ikev1", "ikev2", "l2tp", "stun"] {
        let (rows, took) = timed(run(&drive, &format!("{scheme}://{address}"))).await;
        assert!(rows.only(Step::Vpn).outcome.failure().is_some());
        assert!(took < limits().tls + SLACK, "{took:?}");
    }
}
