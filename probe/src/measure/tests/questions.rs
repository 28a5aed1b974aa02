//! Names in dispute: the same question over TCP and TLS, spelled otherwise, and for other names.

use std::net::{IpAddr, SocketAddr};

use faultline_record::{Engine, Failure, Observation, Outcome, Purpose, Step};
use hickory_proto::op::{Message, ResponseCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::world::{Authority, Datagrams, Rows, at_once, config, drive, reply, reset, resolvers, run, serve};
use crate::drive::{DriveConfig, PublicResolver};
use crate::follow_up::FollowUps;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 9, 9, 1));

/// One question and its answer over a stream (RFC 7766, section 8).
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(length) = stream.read_u16().await else { return };
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await.unwrap();
    let reply = reply(&Message::from_vec(&query).unwrap(), Some(ADDRESS)).to_vec().unwrap();
    stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&reply).await.unwrap();
    // The asker closes.
    let _ = stream.read_u8().await;
}

fn no(query: &Message) -> Datagrams {
    let mut reply = reply(query, None);
    reply.metadata.response_code = ResponseCode::NXDomain;
    at_once(&reply)
}

/// A system's resolver that denies every name, and a public one that is silent over UDP.
async fn denied() -> Vec<SocketAddr> {
    resolvers(2, |index, query| if index == 0 { no(query) } else { Vec::new() }).await
}

/// The rows of questions over other transports, where the public resolver has this DNS over TLS.
async fn asked(authority: &Authority, servers: &[SocketAddr], dot: Option<(String, u16)>) -> Vec<Observation> {
    let doh = "https://one.example:1/dns-query".parse().unwrap();
    let public = PublicResolver { name: "resolver/one".into(), udp: vec![servers[1].ip()], doh, dot };
    let config = DriveConfig { resolvers: vec![public], follow_up: FollowUps::Usual, ..config(authority) };
    let rows = run(&drive(config, servers), "tcp://x.example:1").await;
    rows.check_numbers();
    let (streams, again): (Vec<_>, Vec<_>) = of(&rows, Purpose::OtherTransport)
        .into_iter()
        .partition(|row| matches!(row.dns().unwrap().engine, Engine::Tcp | Engine::Dot));
    let again: Vec<Engine> = again.iter().map(|row| row.dns().unwrap().engine).collect();
    assert!(again.contains(&Engine::System) && again.contains(&Engine::Udp) && again.len() == 2, "{again:?}");
    streams
}

fn of(rows: &Rows, purpose: Purpose) -> Vec<Observation> {
    rows.of(Step::Dns).into_iter().filter(|row| row.purpose == purpose).cloned().collect()
}

#[tokio::test]
async fn a_name_that_the_system_denies_is_asked_of_the_resolvers_over_tcp_and_tls() {
    let (authority, servers) = (Authority::new(), denied().await);
    for server in &servers {
        let listener = tokio::net::TcpListener::bind(server).await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
    }
    let tls = authority.acceptor(&["dot.example"]);
    let dot = serve(move |stream| {
        let tls = tls.clone();
        async move { answer(tls.accept(stream).await.unwrap()).await }
    })
    .await;
    let public = SocketAddr::new(servers[1].ip(), dot.port());
    // The service listens at 127.0.0.1 alone: its port is led there.
    let listener = tokio::net::TcpListener::bind(public).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut onward = tokio::net::TcpStream::connect(dot).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
        }
    });
    let rows = asked(&authority, &servers, Some(("dot.example".into(), dot.port()))).await;
    let engines: Vec<(Engine, &str, Option<u16>)> =
        rows.iter().map(|row| (row.dns().unwrap().engine, row.dns().unwrap().resolver.as_str(), row.port)).collect();
    let port = Some(servers[0].port());
    for expected in [
        (Engine::Tcp, "system", port),
        (Engine::Tcp, "resolver/one", port),
        (Engine::Dot, "resolver/one", Some(dot.port())),
    ] {
        assert!(engines.contains(&expected), "{expected:?} in {rows:#?}");
    }
    assert!(engines.len() == 3 && rows.iter().all(|row| row.outcome == Outcome::Ok), "{rows:#?}");
    assert!(rows.iter().all(|row| row.dns().unwrap().addresses().eq([ADDRESS])), "{rows:#?}");
}

#[tokio::test]
async fn a_stream_that_is_reset_or_leads_to_an_impostor_has_no_rcode() {
    let (authority, servers) = (Authority::new(), denied().await);
    let listener = tokio::net::TcpListener::bind(servers[1]).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read_u16().await;
            reset(stream);
        }
    });
    let impostor = Authority::new().acceptor(&["dot.example"]);
    let dot = tokio::net::TcpListener::bind((servers[1].ip(), 0)).await.unwrap();
    let port = dot.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = dot.accept().await {
            let impostor = impostor.clone();
            tokio::spawn(async move { drop(impostor.accept(stream).await) });
        }
    });
    let rows = asked(&authority, &servers, Some(("dot.example".into(), port))).await;
    let failure = |engine, resolver: &str| {
        let row = rows.iter().find(|row| row.dns().is_some_and(|dns| dns.engine == engine && dns.resolver == resolver));
        let row = row.unwrap();
        assert_eq!(row.dns().unwrap().rcode, None, "{row:?}");
        row.outcome
    };
    assert_eq!(failure(Engine::Tcp, "resolver/one"), Outcome::Failed(Failure::ConnectionReset));
    assert_eq!(failure(Engine::Tcp, "system"), Outcome::Failed(Failure::ConnectionRefused));
    assert_eq!(failure(Engine::Dot, "resolver/one"), Outcome::Failed(Failure::SslUnknownAuthority));
}

#[tokio::test]
async fn a_silent_name_is_asked_for_in_turns_with_an_unrelated_one_and_without_recursion() {
    let authority = Authority::new();
    let servers = resolvers(1, |_, query| {
        let name = query.queries[0].name.to_ascii();
        match (name.to_ascii_lowercase().contains("innocent.example"), query.metadata.recursion_desired) {
            (true, true) => at_once(&reply(query, Some(ADDRESS))),
            (true, false) => {
                let mut refused = reply(query, None);
                refused.metadata.response_code = ResponseCode::Refused;
                at_once(&refused)
            }
            (false, _) => Vec::new(),
        }
    })
    .await;
    let config = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    let rows = run(&drive(config, &servers), "tcp://x.example:1").await;
    let (own, innocent) = (of(&rows, Purpose::ChangedCase), of(&rows, Purpose::InnocentName));
    assert_eq!((own.len(), innocent.len()), (3, 3), "{rows:#?}");
    let silent = Outcome::Failed(Failure::GenericTimeoutError);
    assert!(own.iter().all(|row| row.outcome == silent && row.dns().unwrap().hostname != "x.example"));
    for row in &innocent {
        let dns = row.dns().unwrap();
        assert_eq!((row.outcome, dns.answers[0].case_kept, dns.answers[0].opt), (Outcome::Ok, Some(true), Some(false)));
    }
    let last: Vec<Outcome> = of(&rows, Purpose::NoRecursion).iter().map(|row| row.outcome).collect();
    assert_eq!(last, [Outcome::Failed(Failure::DnsRefusedError), silent]);
}

#[tokio::test]
async fn a_name_that_is_answered_when_asked_again_is_asked_no_further() {
    let authority = Authority::new();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let servers = resolvers(1, move |_, query| {
        let name = query.queries[0].name.to_ascii();
        asked.fetch_or(name.to_ascii_lowercase().contains("innocent"), std::sync::atomic::Ordering::Relaxed);
        let speaks = asked.load(std::sync::atomic::Ordering::Relaxed);
        if speaks { at_once(&reply(query, Some(ADDRESS))) } else { Vec::new() }
    })
    .await;
    let config = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    let rows = run(&drive(config, &servers), "tcp://x.example:1").await;
    assert_eq!((of(&rows, Purpose::ChangedCase).len(), of(&rows, Purpose::InnocentName).len()), (1, 1), "{rows:#?}");
    assert_eq!(of(&rows, Purpose::NoRecursion).len(), 0);
}
