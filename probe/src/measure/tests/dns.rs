//! Names: the system's resolver, our own queries, and what a liar can do.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use faultline_record::{DnsRecord, Engine, Failure, NotRun, Observation, Outcome, Purpose, QueryType, Step};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{Authority, Datagrams, Rows, at_once, config, drive, public, reply, resolvers, run, serve};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Our own query to a resolver that answers so.
async fn asked(answer: impl Fn(&Message) -> Datagrams + Clone + Send + Sync + 'static) -> Observation {
    let servers = resolvers(1, move |_, query| answer(query)).await;
    let rows = run(&drive(config(&Authority::new()), &servers), &format!("dns://{}/x.example", servers[0].ip())).await;
    rows.check_numbers();
    rows.only(Step::Dns).clone()
}

fn public_address(last: u8) -> IpAddr {
    IpAddr::from([9, 9, 9, last])
}

fn after(pause: u64, reply: &Message) -> (Duration, Vec<u8>) {
    (Duration::from_millis(pause), reply.to_vec().unwrap())
}

#[tokio::test]
async fn an_answer_has_its_rcode_its_address_and_its_time_to_live() {
    let row = asked(|query| {
        assert_eq!(query.edns.as_ref().unwrap().max_payload(), 1232);
        at_once(&reply(query, Some(public_address(1))))
    })
    .await;
    let dns = row.dns().unwrap();
    assert_eq!((row.outcome, dns.rcode, dns.replies), (Outcome::Ok, Some(0), 1));
    assert_eq!((dns.engine, dns.query_type, dns.hostname.as_str()), (Engine::Udp, QueryType::A, "x.example"));
    assert_eq!(dns.answers[0].ttl, Some(60));
    assert_eq!(dns.addresses().collect::<Vec<_>>(), [public_address(1)]);
    assert_eq!((row.address, row.purpose), (Some(IpAddr::from([127, 0, 0, 2])), Purpose::Main));
}

#[tokio::test]
async fn a_second_different_reply_is_kept_and_a_doubled_datagram_is_not_counted() {
    let row = asked(|query| {
        let forged = reply(query, Some(public_address(1)));
        let genuine = reply(query, Some(public_address(2)));
        vec![after(0, &forged), after(10, &forged), after(40, &genuine), after(600, &reply(query, None))]
    })
    .await;
    let dns = row.dns().unwrap();
    assert_eq!((row.outcome, dns.replies), (Outcome::Ok, 2), "{row:?}");
    assert_eq!(dns.addresses().collect::<Vec<_>>(), [public_address(1)]);
    assert_eq!(dns.late_addresses().collect::<Vec<_>>(), [public_address(2)]);
    assert!(dns.answers[1].after_ms >= 40, "{row:?}");
    assert!(row.detail.as_ref().unwrap().contains("byte for byte"), "{row:?}");
}

#[tokio::test]
async fn replies_with_a_wrong_id_do_not_end_the_wait() {
    let wrong = |query: &Message| {
        let mut wrong = reply(query, Some(public_address(1)));
        wrong.metadata.id = wrong.metadata.id.wrapping_add(1);
        wrong
    };
    let row =
        asked(move |query| vec![after(0, &wrong(query)), after(30, &reply(query, Some(public_address(2))))]).await;
    assert_eq!(row.outcome, Outcome::Ok);
    assert_eq!(row.dns().unwrap().addresses().collect::<Vec<_>>(), [public_address(2)]);
    assert!(row.detail.as_ref().unwrap().contains("wrong id"), "{row:?}");

    let row = asked(move |query| at_once(&wrong(query))).await;
    assert_eq!(row.outcome, Outcome::Failed(Failure::DnsReplyWithWrongQueryId));
    assert_eq!((row.dns().unwrap().replies, row.dns().unwrap().rcode), (0, None));
}

#[tokio::test]
async fn a_reply_from_another_address_is_noted_and_not_believed() {
    let asked = tokio::net::UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let server = asked.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        let (length, from) = asked.recv_from(&mut buffer).await.unwrap();
        let reply = reply(&Message::from_vec(&buffer[..length]).unwrap(), Some(public_address(1)));
        // The resolver stays silent; another speaks in its place.
        let other = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        other.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
    });
    let rows = run(&drive(config(&Authority::new()), &[server]), "dns://127.0.0.2/x.example").await;
    let row = rows.only(Step::Dns);
    assert_eq!(row.outcome, Outcome::Failed(Failure::DnsReplyFromWrongAddress), "{row:?}");
    assert_eq!(row.dns().unwrap().replies, 0);
}

#[tokio::test]
async fn garbage_and_silence_are_told_apart() {
    let garbage = asked(|_| vec![(Duration::ZERO, vec![1, 2, 3])]).await;
    assert_eq!(garbage.outcome, Outcome::Failed(Failure::DnsServerMisbehaving));
    let silence = asked(|_| Vec::new()).await;
    assert_eq!(silence.outcome, Outcome::Failed(Failure::GenericTimeoutError));
    assert!((500.0..1_500.0).contains(&(silence.t_ms - silence.t0_ms)), "{silence:?}");
}

#[tokio::test]
async fn negative_answers_are_told_by_their_rcode_in_our_query_and_in_the_systems() {
    for (rcode, number, failure) in [
        (ResponseCode::NXDomain, 3, Failure::DnsNxdomainError),
        (ResponseCode::NoError, 0, Failure::DnsNoAnswer),
        (ResponseCode::ServFail, 2, Failure::DnsServfailError),
        (ResponseCode::Refused, 5, Failure::DnsRefusedError),
        (ResponseCode::NotImp, 4, Failure::DnsServerMisbehaving),
    ] {
        let negative = move |query: &Message| {
            let mut reply = reply(query, None);
            reply.metadata.response_code = rcode;
            at_once(&reply)
        };
        let row = asked(negative).await;
        assert_eq!((row.outcome, row.dns().unwrap().rcode), (Outcome::Failed(failure), Some(number)), "{row:?}");
        assert_eq!(row.dns().unwrap().answers[0].record, DnsRecord::Empty);

        let servers = resolvers(1, move |_, query| negative(query)).await;
        let rows = run(&drive(config(&Authority::new()), &servers), "tcp://x.example:1").await;
        for row in rows.of(Step::Dns) {
            assert_eq!((row.outcome, row.dns().unwrap().rcode), (Outcome::Failed(failure), Some(number)), "{row:?}");
            assert_eq!((row.dns().unwrap().engine, row.address), (Engine::System, None));
        }
        assert_eq!(rows.only(Step::Tcp).outcome, Outcome::NotRun(NotRun::NoAddress));
    }
}

#[tokio::test]
async fn a_truncated_reply_is_an_answer_and_is_noted() {
    let row = asked(|query| {
        let mut reply = reply(query, Some(public_address(1)));
        reply.metadata.truncation = true;
        at_once(&reply)
    })
    .await;
    assert_eq!(row.outcome, Outcome::Ok);
    assert!(row.detail.as_ref().unwrap().contains("TC"));
}

#[tokio::test]
async fn an_address_that_cannot_be_public_is_neither_an_answer_nor_dialled() {
    let servers = resolvers(1, |_, query| at_once(&reply(query, Some(IpAddr::from([10, 10, 34, 35]))))).await;
    let drive = crate::drive::Drive::on_loopback(config(&Authority::new()), servers.clone(), servers[0].port(), false);
    let rows = run(&drive, "https://x.example/").await;
    assert_eq!(rows.of(Step::Dns)[0].outcome, Outcome::Failed(Failure::DnsBogonError));
    for step in [Step::Tcp, Step::Tls, Step::Http] {
        assert_eq!(rows.only(step).outcome, Outcome::NotRun(NotRun::BogonAddress), "{step}");
    }
    assert_eq!(drive.meter().totals().0, 0, "nothing was dialled");
}

#[tokio::test]
async fn silence_of_the_systems_resolver_is_a_timeout_of_its_own() {
    let servers = resolvers(1, |_, _| Vec::new()).await;
    let rows = run(&drive(config(&Authority::new()), &servers), "tcp://x.example:1").await;
    for row in rows.of(Step::Dns) {
        assert_eq!(row.outcome, Outcome::Failed(Failure::GenericTimeoutError), "{row:?}");
        assert_eq!(row.dns().unwrap().rcode, None);
    }
}

#[tokio::test]
async fn the_next_of_the_systems_resolvers_is_asked_after_silence_but_not_after_no() {
    for (first_says_no, outcome) in [(false, Outcome::Ok), (true, Outcome::Failed(Failure::DnsNxdomainError))] {
        let servers = resolvers(2, move |index, query| match (index, first_says_no) {
            (0, false) => Vec::new(),
            (0, true) => {
                let mut no = reply(query, None);
                no.metadata.response_code = ResponseCode::NXDomain;
                at_once(&no)
            }
            _ => at_once(&reply(query, Some(LOCAL))),
        })
        .await;
        let config = config(&Authority::new());
        let drive = crate::drive::Drive::on_loopback(config, servers.clone(), servers[0].port(), true);
        let rows = run(&drive, "tcp://x.example:1").await;
        assert_eq!(rows.of(Step::Dns)[0].outcome, outcome, "{:?}", rows.of(Step::Dns));
    }
}

#[tokio::test]
async fn a_resolver_that_was_silent_is_heard_when_it_speaks_again() {
    let servers = resolvers(1, |_, query| match query.queries[0].name.to_ascii().as_str() {
        "lost.example." => Vec::new(),
        _ => at_once(&reply(query, Some(LOCAL))),
    })
    .await;
    let drive = drive(config(&Authority::new()), &servers);
    for (name, outcome) in [
        ("lost.example", Outcome::Failed(Failure::GenericTimeoutError)),
        ("site.example", Outcome::Ok),
        ("lost.example", Outcome::Failed(Failure::GenericTimeoutError)),
        ("site.example", Outcome::Ok),
    ] {
        assert_eq!(run(&drive, &format!("tcp://{name}:1")).await.of(Step::Dns)[0].outcome, outcome);
    }
}

#[tokio::test]
async fn a_truncated_reply_to_the_system_is_asked_for_again_by_tcp() {
    let truncated = |query: &Message| {
        let mut reply = reply(query, None);
        reply.metadata.truncation = true;
        at_once(&reply)
    };
    let servers = resolvers(1, move |_, query| truncated(query)).await;
    let listener = tokio::net::TcpListener::bind(servers[0]).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = usize::from(stream.read_u16().await.unwrap());
            let mut query = vec![0; length];
            stream.read_exact(&mut query).await.unwrap();
            let reply = reply(&Message::from_vec(&query).unwrap(), Some(LOCAL)).to_vec().unwrap();
            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    let rows = run(&drive(config(&Authority::new()), &servers), "tcp://x.example:1").await;
    let row = rows.of(Step::Dns).into_iter().find(|row| row.dns().unwrap().query_type == QueryType::A).unwrap();
    assert_eq!(row.outcome, Outcome::Ok, "{row:?}");
}

#[tokio::test]
async fn a_cname_on_the_way_is_kept() {
    let servers = resolvers(1, |_, query| {
        let mut reply = reply(query, None);
        let name = query.queries[0].name.clone();
        let alias = hickory_proto::rr::rdata::CNAME("Edge.Example.".parse().unwrap());
        reply.add_answer(hickory_proto::rr::Record::from_rdata(name, 30, hickory_proto::rr::RData::CNAME(alias)));
        at_once(&reply)
    })
    .await;
    let rows = run(&drive(config(&Authority::new()), &servers), "tcp://x.example:1").await;
    let row = rows.of(Step::Dns)[0];
    assert_eq!(row.outcome, Outcome::Failed(Failure::DnsNoAnswer));
    assert_eq!(row.dns().unwrap().answers[0].record, DnsRecord::Cname("edge.example".into()));
}

#[tokio::test]
async fn without_a_resolver_nothing_is_asked_and_that_is_no_failure() {
    let drive = crate::drive::Drive::on_loopback(config(&Authority::new()), Vec::new(), 53, true);
    let rows = run(&drive, "https://x.example/").await;
    assert!(rows.0.observations.iter().all(|row| row.outcome == Outcome::NotRun(NotRun::NoNetwork)), "{rows:?}");
    assert_eq!(rows.0.observations.len(), 5, "A, AAAA, TCP, TLS, HTTP");
}

/// A world in which the system's resolver lies: it gives an address where nobody listens, the others give the server's.
async fn lied_to(authority: &Authority) -> (Vec<SocketAddr>, u16) {
    let tls = authority.acceptor(&["site.example"]);
    let server = serve(move |stream| {
        let tls = tls.clone();
        async move {
            let _ = tls.accept(stream).await;
        }
    })
    .await;
    let lie = IpAddr::from([127, 9, 9, 9]);
    let servers =
        resolvers(3, move |index, query| at_once(&reply(query, Some(if index == 0 { lie } else { LOCAL })))).await;
    (servers, server.port())
}

#[tokio::test]
async fn where_the_systems_answer_led_nowhere_the_others_addresses_are_tried() {
    let authority = Authority::new();
    let (servers, port) = lied_to(&authority).await;
    let mut config = config(&authority);
    config.resolvers = vec![public("one", servers[1]), public("two", servers[2])];
    let rows = run(&drive(config, &servers), &format!("tls://site.example:{port}")).await;
    rows.check_numbers();
    let tls: Vec<_> = rows.of(Step::Tls).into_iter().map(|row| (row.purpose, row.outcome, row.address)).collect();
    let lie = Some(IpAddr::from([127, 9, 9, 9]));
    assert_eq!(tls[0], (Purpose::Main, Outcome::NotRun(NotRun::PreviousStepFailed), lie));
    assert_eq!(tls[1], (Purpose::Comparison, Outcome::Ok, Some(LOCAL)));
    assert_eq!(tls.len(), 2);
    let udp: Vec<_> = rows.of(Step::Dns).into_iter().filter(|row| row.dns().unwrap().engine == Engine::Udp).collect();
    assert_eq!(udp.len(), 2, "A of two providers; without IPv6 nobody is asked for AAAA");
    assert!(udp.iter().all(|row| row.purpose == Purpose::Comparison && row.outcome.is_ok()));
}

#[tokio::test]
async fn where_the_systems_answer_is_genuine_the_others_are_asked_but_not_dialled() {
    let authority = Authority::new();
    let (servers, port) = lied_to(&authority).await;
    let mut config = config(&authority);
    config.resolvers = vec![public("liar", servers[0]), public("two", servers[2])];
    let honest = [servers[1], servers[0], servers[2]];
    let rows = run(&drive(config, &honest), &format!("tls://site.example:{port}")).await;
    assert_eq!(rows.only(Step::Tls).outcome, Outcome::Ok);
    assert_eq!(rows.only(Step::Tcp).address, Some(LOCAL));
    assert_eq!(rows.of(Step::Dns).iter().filter(|row| row.purpose == Purpose::Comparison).count(), 3);
}

#[tokio::test]
async fn connecting_does_not_wait_for_late_replies_or_for_silent_resolvers() {
    let authority = Authority::new();
    let (servers, port) = lied_to(&authority).await;
    let mut config = config(&authority);
    // Nobody listens there.
    let silent = SocketAddr::new(IpAddr::from([127, 0, 0, 99]), servers[0].port());
    config.resolvers = vec![public("silent", silent), public("late", servers[2])];
    let rows = run(&drive(config, &servers[1..2]), &format!("tls://site.example:{port}")).await;
    let connected = rows.only(Step::Tls).t_ms;
    for (resolver, outcome) in [("silent", Outcome::Failed(Failure::GenericTimeoutError)), ("late", Outcome::Ok)] {
        let asked =
            |row: &&Observation| row.dns().unwrap().resolver == resolver && row.dns().unwrap().engine == Engine::Udp;
        let row = rows.of(Step::Dns).into_iter().find(asked).unwrap();
        assert_eq!(row.outcome, outcome, "{row:?}");
        assert!(connected < row.t_ms, "{:?}", rows.outline());
    }
}

#[tokio::test]
async fn both_families_are_asked_and_the_vantages_lack_of_ipv6_is_no_failure() {
    let servers = resolvers(1, |_, query| {
        let address = match query.queries[0].query_type {
            RecordType::A => LOCAL,
            _ => "2001:4860:4860::8888".parse().unwrap(),
        };
        at_once(&reply(query, Some(address)))
    })
    .await;
    let server = serve(|stream| async { drop(stream) }).await;
    let rows: Rows =
        run(&drive(config(&Authority::new()), &servers), &format!("tcp://x.example:{}", server.port())).await;
    let types: Vec<_> = rows.of(Step::Dns).iter().map(|row| row.dns().unwrap().query_type).collect();
    assert!(types.contains(&QueryType::A) && types.contains(&QueryType::Aaaa));
    let tcp: Vec<_> = rows.of(Step::Tcp).iter().map(|row| (row.address.unwrap().is_ipv6(), row.outcome)).collect();
    assert!(tcp.contains(&(true, Outcome::NotRun(NotRun::NoIpv6))) && tcp.contains(&(false, Outcome::Ok)), "{tcp:?}");
}
