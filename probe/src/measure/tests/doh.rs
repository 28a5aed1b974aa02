//! DNS over HTTPS against a service of our own.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use faultline_record::{Engine, Failure, Observation, Outcome, Purpose, Step};
use hickory_proto::op::{Message, ResponseCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::world::{Authority, acceptor, closed_port, config, drive, reply, run, serve};
use crate::drive::{DriveConfig, PublicResolver};

/// A DoH service whose certificate is for these names, and that answers so: a status, and what the reply holds.
pub(super) async fn service(
    authority: &Authority,
    names: &[&str],
    answer: impl Fn(&Message) -> (u16, Message) + Clone + Send + Sync + 'static,
) -> SocketAddr {
    let mut tls = authority.server(names, |_| {});
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = acceptor(tls);
    serve(move |stream| {
        let (tls, answer) = (tls.clone(), answer.clone());
        async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| respond(request, answer.clone()));
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

async fn respond(
    request: Request<Incoming>,
    answer: impl Fn(&Message) -> (u16, Message),
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/dns-query");
    let query = Message::from_vec(&request.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let (status, reply) = answer(&query);
    let response = Response::builder().status(status).header("content-type", "application/dns-message");
    Ok(response.body(Full::new(reply.to_vec().unwrap().into())).unwrap())
}

fn genuine(query: &Message) -> (u16, Message) {
    (200, reply(query, Some(IpAddr::from([127, 9, 9, 1]))))
}

pub(super) fn public(name: &str, host: &str, address: SocketAddr) -> PublicResolver {
    let doh = format!("https://{host}:{}/dns-query", address.port()).parse().unwrap();
    PublicResolver { name: name.to_owned(), udp: vec![address.ip()], doh, dot: None }
}

/// The rows of DoH questions in a measurement of a name.
async fn rows(config: DriveConfig) -> Vec<Observation> {
    let rows = run(&drive(config, &[]), "tcp://x.example:1").await;
    rows.check_numbers();
    rows.of(Step::Dns).into_iter().filter(|row| row.dns().unwrap().engine == Engine::Doh).cloned().collect()
}

async fn one(authority: &Authority, resolver: PublicResolver) -> Observation {
    let rows = rows(DriveConfig { resolvers: vec![resolver], ..config(authority) }).await;
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

#[tokio::test]
async fn an_answer_over_https_comes_from_the_literal_address_of_the_service() {
    let authority = Authority::new();
    let address = service(&authority, &["doh.example"], genuine).await;
    let row = one(&authority, public("resolver/one", "doh.example", address)).await;
    let dns = row.dns().unwrap();
    assert_eq!((row.outcome, dns.rcode, row.purpose), (Outcome::Ok, Some(0), Purpose::Comparison), "{row:?}");
    assert_eq!(dns.addresses().collect::<Vec<_>>(), [IpAddr::from([127, 9, 9, 1])]);
    assert_eq!(dns.resolver, "resolver/one");
    assert_eq!((row.address, row.port), (Some(address.ip()), Some(address.port())));
}

#[tokio::test]
async fn a_negative_answer_has_an_rcode_and_a_failed_transport_has_none() {
    let authority = Authority::new();
    let negative = |query: &Message| {
        let mut reply = reply(query, None);
        reply.metadata.response_code = ResponseCode::NXDomain;
        (200, reply)
    };
    let says_no = service(&authority, &["doh.example"], negative).await;
    let forbidden = service(&authority, &["doh.example"], |query| (403, reply(query, None))).await;
    let other_name = service(&authority, &["other.example"], genuine).await;
    let impostor = service(&Authority::new(), &["doh.example"], genuine).await;
    for (address, failure, rcode) in [
        (says_no, Failure::DnsNxdomainError, Some(3)),
        (forbidden, Failure::UnexpectedResponse, None),
        (other_name, Failure::SslInvalidHostname, None),
        (impostor, Failure::SslUnknownAuthority, None),
        (closed_port().await, Failure::ConnectionRefused, None),
    ] {
        let row = one(&authority, public("resolver/one", "doh.example", address)).await;
        assert_eq!((row.outcome, row.dns().unwrap().rcode), (Outcome::Failed(failure), rcode), "{row:?}");
    }
}

#[tokio::test]
async fn a_service_that_the_user_named_is_found_through_the_public_ones() {
    let authority = Authority::new();
    let local = |query: &Message| (200, reply(query, Some(IpAddr::from([127, 0, 0, 1]))));
    let finder = service(&authority, &["doh.example"], local).await;
    let named = service(&authority, &["named.example"], genuine).await;
    let literal = service(&authority, &["127.0.0.1"], genuine).await;
    let mut config = config(&authority);
    config.resolvers = vec![public("resolver/one", "doh.example", finder)];
    config.doh = vec![
        format!("https://named.example:{}/dns-query", named.port()).parse().unwrap(),
        format!("https://{literal}/dns-query").parse().unwrap(),
    ];
    let urls: Vec<_> = config.doh.iter().map(ToString::to_string).collect();
    let rows = rows(config).await;
    for url in urls {
        let row = rows.iter().find(|row| row.dns().unwrap().resolver == url).unwrap();
        assert_eq!(row.outcome, Outcome::Ok, "{row:?}");
        assert_eq!(row.dns().unwrap().addresses().collect::<Vec<_>>(), [IpAddr::from([127, 9, 9, 1])]);
    }
}

#[tokio::test]
async fn a_service_that_nobody_can_find_is_a_failure_of_the_way_there() {
    let mut config = config(&Authority::new());
    config.resolvers = vec![public("resolver/one", "doh.example", closed_port().await)];
    config.doh = vec!["https://named.example/dns-query".parse().unwrap()];
    let rows = rows(config).await;
    let row = rows.iter().find(|row| row.dns().unwrap().resolver.contains("named")).unwrap();
    assert_eq!(row.outcome, Outcome::Failed(Failure::ConnectionRefused));
    assert!(row.detail.as_ref().unwrap().starts_with("finding named.example"), "{row:?}");
}

#[tokio::test]
async fn questions_share_one_connection_to_a_service() {
    let authority = Authority::new();
    let address = service(&authority, &["doh.example"], genuine).await;
    let resolvers = vec![public("resolver/one", "doh.example", address)];
    let drive = drive(DriveConfig { resolvers, ..config(&authority) }, &[]);
    for _ in 0..3 {
        run(&drive, "tcp://x.example:1").await;
    }
    // Without a system resolver the address that the service gave is dialled, once in each measurement.
    assert_eq!(drive.meter().totals().0, 1 + 3);
}
