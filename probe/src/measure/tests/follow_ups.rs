//! Experiments that follow what stood alone, against servers of our own.

use std::net::{IpAddr, SocketAddr};

use faultline_record::{Failure, Observation, Outcome, Purpose, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::world::{Authority, Rows, at_once, config, drive, public, reply, reset, resolvers, run, serve};
use crate::drive::{DriveConfig, KnownPage, Strangers};
use crate::follow_up::FollowUps;

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn following_up(authority: &Authority) -> DriveConfig {
    let strangers = Strangers { names: vec!["one.test".to_owned(), "two.test".to_owned()], ..Strangers::default() };
    DriveConfig { follow_up: FollowUps::Usual, strangers, ..config(authority) }
}

fn rows_for(rows: &Rows, purpose: Purpose, step: Step) -> Vec<&Observation> {
    rows.of(step).into_iter().filter(|row| row.purpose == purpose).collect()
}

/// The first fake resolver knows `site.example`, the others say what is given of it; nobody knows any other name.
async fn disagreeing(others: Option<IpAddr>) -> Vec<SocketAddr> {
    resolvers(3, move |index, query| {
        let is_known = query.queries[0].name().to_ascii().starts_with("site.example");
        let said = if index == 0 { Some(LOCAL) } else { others };
        at_once(&reply(query, said.filter(|_| is_known)))
    })
    .await
}

/// Resets what asks for the host that is filtered, and answers everybody else.
async fn filter(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await.unwrap_or(0);
    if String::from_utf8_lossy(&request[..length]).contains("Host: site.example") {
        return reset(stream);
    }
    let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
}

#[tokio::test]
async fn a_host_that_is_reset_in_the_clear_is_held_against_an_innocent_one_in_three_rounds() {
    let address = serve(filter).await;
    let servers = disagreeing(Some(LOCAL)).await;
    let config = following_up(&Authority::new());
    let rows = run(&drive(config, &servers), &format!("http://site.example:{}/", address.port())).await;
    rows.check_numbers();
    let seen: Vec<_> = rows.of(Step::Http).into_iter().map(|row| (row.purpose, row.outcome)).collect();
    let (own, innocent) =
        ((Purpose::Retry, Outcome::Failed(Failure::ConnectionReset)), (Purpose::InnocentHost, Outcome::Ok));
    assert_eq!(seen[0], (Purpose::Main, Outcome::Failed(Failure::ConnectionReset)));
    assert_eq!(seen.len(), 7);
    for round in seen[1..].chunks(2) {
        assert!(round == [own, innocent] || round == [innocent, own], "{round:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_reset_is_asked_for_at_a_strangers_server_beside_one_that_nobody_has() {
    let (address, stranger) = (serve(filter).await, serve(filter).await);
    let servers = resolvers(1, |_, query| at_once(&reply(query, Some(LOCAL)))).await;
    let mut config = following_up(&Authority::new());
    let url = format!("http://check.test:{}/known?x=y", stranger.port()).parse().unwrap();
    config.strangers.pages = vec![KnownPage { url, status: 204, body: String::new() }];
    let rows = run(&drive(config, &servers), &format!("http://site.example:{}/secret", address.port())).await;
    rows.check_numbers();
    let asked = rows_for(&rows, Purpose::InnocentServer, Step::Dns);
    assert_eq!(asked.iter().map(|row| row.dns().unwrap().hostname.as_str()).collect::<Vec<_>>(), ["check.test"]);
    let nobody = rows_for(&rows, Purpose::InnocentServer, Step::Http);
    let own = rows_for(&rows, Purpose::HostAnywhere, Step::Http);
    assert_eq!(nobody.iter().map(|row| row.outcome).collect::<Vec<_>>(), [Outcome::Ok; 3]);
    assert_eq!(own.iter().map(|row| row.outcome).collect::<Vec<_>>(), [Outcome::Failed(Failure::ConnectionReset); 3]);
    assert!(nobody.iter().zip(&own).all(|(nobody, own)| nobody.seq < own.seq), "in turns");
    for row in nobody.iter().chain(&own) {
        let url = &row.http().unwrap().url;
        assert!(url.ends_with(&format!(".example:{}/", stranger.port())) && !url.contains("secret"), "{url}");
        assert_eq!(row.port, Some(stranger.port()));
    }
}

#[tokio::test]
async fn of_a_name_that_only_the_system_knows_one_that_cannot_exist_is_asked_as_well() {
    let servers = disagreeing(None).await;
    let mut config = following_up(&Authority::new());
    config.resolvers = vec![public("one", servers[1]), public("two", servers[2])];
    let closed = super::world::closed_port().await;
    let rows = run(&drive(config, &servers), &format!("tls://site.example:{}", closed.port())).await;
    let random = rows_for(&rows, Purpose::RandomName, Step::Dns);
    assert_eq!(random.len(), 1, "{:?}", rows.outline());
    let name = &random[0].dns().unwrap().hostname;
    assert!(name.ends_with(".example") && name.len() == 16 + ".example".len() && !name.contains("site"), "{name}");
    assert_eq!(random[0].outcome, Outcome::Failed(Failure::DnsNoAnswer));
}

async fn verified(acceptor: TlsAcceptor) -> SocketAddr {
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut tls) = acceptor.accept(stream).await {
                let _ = tls.read(&mut [0]).await;
            }
        }
    })
    .await
}

/// Outcomes of asking for strangers where the certificate is for these names.
async fn strangers_at(names: &[&str]) -> Vec<bool> {
    let authority = Authority::new();
    let address = verified(authority.acceptor(names)).await;
    let servers = disagreeing(Some(IpAddr::from([127, 9, 9, 9]))).await;
    let mut config = following_up(&authority);
    config.resolvers = vec![public("one", servers[1]), public("two", servers[2])];
    let rows = run(&drive(config, &servers), &format!("tls://site.example:{}", address.port())).await;
    rows_for(&rows, Purpose::ProxyCheck, Step::Tls).iter().map(|row| row.outcome.is_ok()).collect()
}

#[tokio::test]
async fn an_address_that_only_the_system_gave_is_asked_for_strangers_until_one_is_not_there() {
    assert_eq!(strangers_at(&["site.example", "one.test", "two.test"]).await, [true, true]);
    assert_eq!(strangers_at(&["site.example", "one.test"]).await, [true, false]);
    assert_eq!(strangers_at(&["site.example", "two.test"]).await, [false], "one refusal is enough");
}

/// Passes on what it is asked for: each host's own page; a page of its own for all others.
async fn pass_on(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&request[..length]).into_owned();
    let body = if text.contains("Host: one.test") { "one" } else { "two" };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
}

#[tokio::test]
async fn in_the_clear_strangers_are_known_by_their_answers_and_another_answer_is_unexpected() {
    let page = |host: &str, body: &str| KnownPage {
        url: format!("http://{host}/check").parse().unwrap(),
        status: 200,
        body: body.to_owned(),
    };
    let address = serve(pass_on).await;
    let servers = disagreeing(Some(IpAddr::from([127, 9, 9, 9]))).await;
    let unexpected = Outcome::Failed(Failure::UnexpectedResponse);
    for (second, end) in [("two", Outcome::Ok), ("second", unexpected)] {
        let mut config = following_up(&Authority::new());
        config.strangers.pages = vec![page("one.test", "one"), page("two.test", second)];
        config.resolvers = vec![public("one", servers[1]), public("two", servers[2])];
        let rows = run(&drive(config, &servers), &format!("http://site.example:{}/", address.port())).await;
        let asked = rows_for(&rows, Purpose::ProxyCheck, Step::Http);
        assert_eq!(asked.iter().map(|row| row.outcome).collect::<Vec<_>>(), [Outcome::Ok, end], "{rows:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_nobodys_is_asked_for_once_more_by_an_innocent_name() {
    let address = verified(Authority::new().acceptor(&["site.example"])).await;
    let servers = disagreeing(Some(LOCAL)).await;
    let config = following_up(&Authority::new());
    let rows = run(&drive(config, &servers), &format!("tls://site.example:{}", address.port())).await;
    let innocent = rows_for(&rows, Purpose::InnocentSni, Step::Tls);
    assert_eq!(innocent.len(), 1);
    let tls = innocent[0].tls().unwrap();
    assert_eq!(tls.sni.as_deref(), Some("innocent.example"));
    assert!(!tls.chain.is_empty());
    assert!(rows_for(&rows, Purpose::Retry, Step::Tls).is_empty());
}

#[tokio::test]
async fn nothing_follows_where_everything_is_well() {
    let authority = Authority::new();
    let address = verified(authority.acceptor(&["site.example"])).await;
    let servers = disagreeing(Some(LOCAL)).await;
    let mut config = following_up(&authority);
    config.resolvers = vec![public("one", servers[1]), public("two", servers[2])];
    let rows = run(&drive(config, &servers), &format!("tls://site.example:{}", address.port())).await;
    let purposes = rows.0.observations.iter().map(|row| row.purpose);
    assert!(purposes.clone().all(|purpose| matches!(purpose, Purpose::Main | Purpose::Comparison)), "{rows:?}");
    assert_eq!(rows.of(Step::Tls).len(), 1);
}

/// A filter that waits for more than the first segment, and resets what has the name in it in one piece. (One that does
/// not wait is in the testbed, where segments are packets of their own.)
async fn by_name(authority: &Authority) -> SocketAddr {
    let acceptor = authority.acceptor(&["site.example"]);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut start = [0; 2048];
            let _ = stream.peek(&mut start).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let length = stream.peek(&mut start).await.unwrap_or(0);
            if start[..length].windows(12).any(|window| window == b"site.example") {
                return reset(stream);
            }
            if let Ok(mut tls) = acceptor.accept(stream).await {
                let _ = tls.read(&mut [0; 64]).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_name_that_is_reset_is_sent_in_other_ways_until_one_passes() {
    let authority = Authority::new();
    let address = by_name(&authority).await;
    let rows = run(&drive(following_up(&authority), &[]), &format!("tls://{address}?sni=site.example")).await;
    rows.check_numbers();
    let hidden = [Purpose::SplitSegments, Purpose::SplitRecords, Purpose::NoSni];
    let seen: Vec<_> = rows.of(Step::Tls).into_iter().filter(|row| hidden.contains(&row.purpose)).collect();
    let of = |purpose| seen.iter().find(|row| row.purpose == purpose).map(|row| row.outcome);
    assert_eq!(of(Purpose::SplitSegments), Some(Outcome::Failed(Failure::ConnectionReset)));
    // Small records cut the name by chance; one that is left out is read by nobody. What comes first ends it.
    assert!(seen.last().unwrap().outcome.is_ok() && seen.iter().filter(|row| row.outcome.is_ok()).count() == 1);
    let nameless = seen.iter().find(|row| row.purpose == Purpose::NoSni);
    assert!(nameless.is_none_or(|row| row.tls().unwrap().sni.is_none()));
}
