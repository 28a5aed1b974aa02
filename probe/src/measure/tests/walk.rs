//! Measurements cut short, capped, and followed up.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faultline_record::{Failure, NotRun, Outcome, Purpose, Step};
use hickory_proto::rr::{RData, Record};
use tokio::io::AsyncReadExt;

use super::world::{
    Authority, Rows, at_once, closed_port, config, context, drive, limits, reply, reset, resolvers, run, serve, target,
};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;
use crate::measure::measure;

/// A server that accepts and never says a word.
async fn silent() -> std::net::SocketAddr {
    serve(|stream| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(stream);
    })
    .await
}

#[tokio::test]
async fn a_step_cut_by_the_targets_deadline_is_not_a_failure() {
    let address = silent().await;
    let mut config = config(&Authority::new());
    config.limits.target = Duration::from_millis(200);
    let rows = run(&drive(config, &[]), &format!("https://{address}/")).await;
    assert_eq!(rows.only(Step::Tcp).outcome, Outcome::Ok);
    for step in [Step::Tls, Step::Http] {
        assert_eq!(rows.only(step).outcome, Outcome::NotRun(NotRun::TargetDeadline), "{step}");
    }
    assert!(rows.0.duration_ms < 600.0, "{}", rows.0.duration_ms);
}

#[tokio::test]
async fn a_step_cut_by_the_runs_end_is_interrupted_and_what_was_measured_is_kept() {
    let address = silent().await;
    let drive = drive(config(&Authority::new()), &[]);
    let context = context();
    let cancel = context.cancel.clone();
    let (target, end) = (target(&format!("https://{address}/")), async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let (measurement, ()) = tokio::join!(measure(&drive, &target, context), end);
    let rows = Rows(measurement);
    assert_eq!(rows.only(Step::Tcp).outcome, Outcome::Ok);
    for step in [Step::Tls, Step::Http] {
        assert_eq!(rows.only(step).outcome, Outcome::NotRun(NotRun::Interrupted), "{step}");
    }
}

#[tokio::test]
async fn a_measurement_cancelled_before_it_began_sends_nothing() {
    let servers = resolvers(1, |_, _| Vec::new()).await;
    let drive = drive(config(&Authority::new()), &servers);
    let context = context();
    context.cancel.cancel();
    let rows = Rows(measure(&drive, &target("https://site.example/"), context).await);
    assert!(rows.0.observations.iter().all(|row| row.outcome == Outcome::NotRun(NotRun::Interrupted)), "{rows:?}");
    assert_eq!(drive.meter().totals(), (0, 0, 0));
}

#[tokio::test]
async fn waiting_for_the_pace_is_cut_as_well() {
    let address = silent().await;
    let mut config = config(&Authority::new());
    config.limits.target = Duration::from_millis(100);
    let drive = drive(config, &[]);
    drive.pace().set_rate(Some(0.1));
    let _ = drive.admit().await;
    let rows = run(&drive, &format!("tcp://{address}")).await;
    assert_eq!(rows.only(Step::Tcp).outcome, Outcome::NotRun(NotRun::TargetDeadline));
}

#[tokio::test]
async fn addresses_beyond_the_cap_are_named_and_not_dialled() {
    let server = serve(|stream| async { drop(stream) }).await;
    let servers = resolvers(1, |_, query| {
        let mut reply = reply(query, None);
        let question = &query.queries[0];
        if question.query_type == hickory_proto::rr::RecordType::A {
            for last in 1..=6 {
                let data = RData::A(std::net::Ipv4Addr::new(127, 0, 0, last).into());
                reply.add_answer(Record::from_rdata(question.name.clone(), 60, data));
            }
        }
        at_once(&reply)
    })
    .await;
    let mut config = config(&Authority::new());
    config.limits.addresses = 4;
    let rows = run(&drive(config, &servers), &format!("tcp://site.example:{}", server.port())).await;
    rows.check_numbers();
    let tcp = rows.of(Step::Tcp);
    let capped = tcp.iter().filter(|row| row.outcome == Outcome::NotRun(NotRun::AddressCap)).count();
    assert_eq!((tcp.len(), capped), (6, 2), "{:?}", rows.outline());
    assert!(tcp.iter().any(|row| row.outcome.is_ok()));
}

#[tokio::test]
async fn one_request_is_made_however_many_addresses_there_are() {
    let requests = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&requests);
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                if matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 No\r\n\r\n").await;
                }
            });
        }
    });
    let servers = resolvers(1, |_, query| {
        let mut reply = reply(query, Some(IpAddr::from([127, 0, 0, 1])));
        if let Some(first) = reply.answers.first().cloned() {
            let data = RData::A(std::net::Ipv4Addr::new(127, 0, 0, 2).into());
            reply.add_answer(Record::from_rdata(first.name, 60, data));
        }
        at_once(&reply)
    })
    .await;
    let rows = run(&drive(config(&Authority::new()), &servers), &format!("http://site.example:{port}/")).await;
    assert_eq!(rows.of(Step::Tcp).len(), 2);
    assert_eq!(rows.only(Step::Http).outcome, Outcome::Ok);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

fn following_up(authority: &Authority) -> DriveConfig {
    DriveConfig { follow_up: FollowUps::Usual, ..config(authority) }
}

/// A server with a censor before it: a ClientHello that holds this name is answered with a reset.
async fn censored(authority: &Authority, name: &'static str) -> std::net::SocketAddr {
    let tls = authority.acceptor(&["site.example", "innocent.example"]);
    serve(move |stream| {
        let tls = tls.clone();
        async move {
            let mut hello = [0; 4096];
            let length = stream.peek(&mut hello).await.unwrap_or(0);
            if hello[..length].windows(name.len()).any(|window| window == name.as_bytes()) {
                reset(stream);
            } else if let Ok(mut stream) = tls.accept(stream).await {
                let _ = stream.read(&mut hello).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_reset_for_the_own_name_only_is_shown_by_three_rounds() {
    let authority = Authority::new();
    let address = censored(&authority, "site.example").await;
    let input = format!("tls://{address}?sni=site.example");
    let rows = run(&drive(following_up(&authority), &[]), &input).await;
    rows.check_numbers();
    let tls: Vec<_> = rows.of(Step::Tls).iter().map(|row| (row.purpose, row.outcome)).collect();
    let reset = Outcome::Failed(Failure::ConnectionReset);
    let (innocent, own) = ((Purpose::InnocentSni, Outcome::Ok), (Purpose::Retry, reset));
    assert_eq!(tls[0], (Purpose::Main, reset));
    assert!(tls[1..7].chunks(2).all(|round| round == [innocent, own] || round == [own, innocent]), "{tls:?}");
    // Then the name is sent in other ways.
    assert!(tls[7..].iter().all(|(purpose, _)| !matches!(purpose, Purpose::InnocentSni | Purpose::Retry)));
    let connections: Vec<_> = rows.of(Step::Tls).iter().map(|row| row.connection).collect();
    assert!(connections.iter().copied().eq((1..).map(Some).take(tls.len())), "each over a fresh connection");

    let mut quiet = following_up(&authority);
    quiet.follow_up = FollowUps::None;
    assert_eq!(run(&drive(quiet, &[]), &input).await.of(Step::Tls).len(), 1, "they can be switched off");
}

#[tokio::test]
async fn a_handshake_that_verifies_is_not_followed_up() {
    let authority = Authority::new();
    let address = censored(&authority, "other.example").await;
    let rows = run(&drive(following_up(&authority), &[]), &format!("tls://{address}?sni=site.example")).await;
    assert_eq!(rows.only(Step::Tls).outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_refused_connection_is_tried_once_more_a_second_later() {
    let address = closed_port().await;
    let rows = run(&drive(following_up(&Authority::new()), &[]), &format!("https://{address}/")).await;
    rows.check_numbers();
    let tcp: Vec<_> = rows.of(Step::Tcp).into_iter().map(|row| (row.purpose, row.outcome)).collect();
    let refused = Outcome::Failed(Failure::ConnectionRefused);
    assert_eq!(tcp, [(Purpose::Main, refused), (Purpose::Retry, refused)]);
    assert!(rows.of(Step::Tcp)[1].t0_ms >= 1_000.0);
}

#[tokio::test]
async fn a_round_that_the_deadline_cuts_has_its_rows() {
    let address = silent().await;
    let mut config = following_up(&Authority::new());
    config.limits.target = limits().tls + Duration::from_millis(100);
    let rows = run(&drive(config, &[]), &format!("tls://{address}?sni=site.example")).await;
    rows.check_numbers();
    let tls: Vec<_> = rows.of(Step::Tls).into_iter().map(|row| row.outcome).collect();
    assert_eq!(tls[0], Outcome::Failed(Failure::GenericTimeoutError));
    assert_eq!(tls.last(), Some(&Outcome::NotRun(NotRun::TargetDeadline)));
    assert!(tls.len() < 7, "no further round is made: {tls:?}");
}

#[tokio::test]
async fn localhost_is_this_machine_and_is_asked_of_nobody() {
    let address = silent().await;
    let drive = crate::drive::Drive::on_loopback(config(&Authority::new()), Vec::new(), 53, false);
    let rows = run(&drive, &format!("tcp://localhost:{}", address.port())).await;
    assert_eq!(rows.only(Step::Tcp).outcome, Outcome::Ok);
    assert!(rows.of(Step::Dns).is_empty());
}

#[tokio::test]
async fn a_literal_ipv6_address_of_this_machine_is_measured_without_an_ipv6_route() {
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let address = listener.local_addr().unwrap();
    let rows = run(&drive(config(&Authority::new()), &[]), &format!("tcp://{address}")).await;
    let row = rows.only(Step::Tcp);
    assert_eq!((row.outcome, row.address, row.port), (Outcome::Ok, Some(address.ip()), Some(address.port())));
}
