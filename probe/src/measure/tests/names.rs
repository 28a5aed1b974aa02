//! Follow-ups on names that fail, against servers of our own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faultline_record::{Observation, Outcome, Purpose, Step};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::world::{Authority, Rows, at_once, config, drive, reply, reset, resolvers, run};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;

const OWN: &str = "site.example";

/// Serves TLS on an address; resets those handshakes that a filter cuts off, by the name and how many bore it before.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, cuts: impl Fn(usize) -> bool + Send + Sync + 'static) {
    let (seen, cuts) = (AtomicUsize::new(0), Arc::new(cuts));
    while let Ok((stream, _)) = listener.accept().await {
        let mut hello = [0; 4096];
        let length = stream.peek(&mut hello).await.unwrap_or(0);
        let names_it = hello[..length].windows(OWN.len()).any(|bytes| bytes == OWN.as_bytes());
        if names_it && cuts(seen.fetch_add(1, Ordering::Relaxed)) {
            reset(stream);
            continue;
        }
        tokio::spawn(answer(stream, acceptor.clone()));
    }
}

async fn answer(stream: TcpStream, acceptor: TlsAcceptor) {
    // A client that goes away in the middle is no concern of the server's.
    if let Ok(mut stream) = acceptor.accept(stream).await {
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 64]).await;
    }
}

/// The target's server and a stranger's, at the same port, and a resolver that knows both names.
async fn two_servers(
    authority: &Authority,
    at_home: impl Fn(usize) -> bool + Send + Sync + 'static,
    elsewhere: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> (SocketAddr, Vec<SocketAddr>) {
    let home = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = home.local_addr().unwrap();
    let stranger = Ipv4Addr::new(127, 0, 0, 77);
    let other = TcpListener::bind((stranger, address.port())).await.unwrap();
    tokio::spawn(serve(home, authority.acceptor(&[OWN]), at_home));
    tokio::spawn(serve(other, authority.acceptor(&["example.com"]), elsewhere));
    let servers = resolvers(1, move |_, query| {
        let is_own = query.queries[0].name().to_ascii().starts_with(OWN);
        at_once(&reply(query, Some(if is_own { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { stranger.into() })))
    })
    .await;
    (address, servers)
}

fn following_up(authority: &Authority) -> DriveConfig {
    DriveConfig { follow_up: FollowUps::Usual, innocent_sni: "example.com".to_owned(), ..config(authority) }
}

fn handshakes(rows: &Rows, purpose: Purpose) -> Vec<&Observation> {
    rows.of(Step::Tls).into_iter().filter(|row| row.purpose == purpose).collect()
}

#[tokio::test]
async fn a_name_that_is_always_cut_off_is_tried_at_a_strangers_host_and_in_other_forms() {
    let authority = Authority::new();
    let (address, servers) = two_servers(&authority, |_| true, |_| true).await;
    let rows = run(&drive(following_up(&authority), &servers), &format!("tls://{address}?sni={OWN}")).await;
    rows.check_numbers();
    let answered = |purpose| {
        handshakes(&rows, purpose).iter().map(|row| row.tls().unwrap().bytes_received > 0).collect::<Vec<_>>()
    };
    assert_eq!(answered(Purpose::Retry), [false; 3]);
    assert_eq!((answered(Purpose::Elsewhere), answered(Purpose::ElsewhereInnocent)), (vec![false], vec![true]));
    let [mixed] = handshakes(&rows, Purpose::MixedCase)[..] else { panic!("{:?}", rows.outline()) };
    assert_eq!((mixed.outcome, mixed.tls().unwrap().sni.as_deref()), (Outcome::Ok, Some("SiTe.eXaMpLe")));
    let [older] = handshakes(&rows, Purpose::Tls12)[..] else { panic!("{:?}", rows.outline()) };
    assert_eq!(older.tls().unwrap().bytes_received, 0);
    let connections = rows.0.observations.iter().filter_map(|row| row.connection).max();
    assert!(connections <= Some(16), "the measurement's own and fifteen: {:?}", rows.outline());
}

#[tokio::test]
async fn a_name_that_is_cut_off_now_and_then_gets_more_rounds_than_three_and_one_that_recovers_twelve() {
    let authority = Authority::new();
    let tries = async |cuts: fn(usize) -> bool| {
        let (address, servers) = two_servers(&authority, cuts, |_| false).await;
        let rows = run(&drive(following_up(&authority), &servers), &format!("tls://{OWN}:{}", address.port())).await;
        let own = handshakes(&rows, Purpose::Retry);
        (own.len(), own.iter().filter(|row| row.outcome.failure().is_some()).count())
    };
    assert_eq!(tries(|before| before % 2 == 0).await, (16, 8), "odds of 100 to 1 after eight");
    assert_eq!(tries(|before| before == 0).await, (12, 0));
}
