//! A name that is cut off in plain, sent encrypted with the keys of its HTTPS record. No server here has such keys: it
//! answers for the name that stands outside, which is all that can be tested.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use faultline_record::{Engine, Outcome, Purpose, QueryType, Step};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::HTTPS;
use hickory_proto::rr::rdata::svcb::{EchConfigList, SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::AsyncReadExt;

use super::doh::{public, service};
use super::world::{Authority, at_once, config, drive, reply, reset, resolvers, run, serve};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;

const OWN: &str = "site.example";
const OUTSIDE: &str = "outside.example";

/// A list of one configuration (RFC 9849 section 4): X25519 (0x0020) with HKDF-SHA256 (1) and AES-128-GCM (1).
fn keys() -> Vec<u8> {
    let key = [9; 32];
    let mut contents = vec![7, 0x00, 0x20, 0, 32];
    contents.extend(key);
    contents.extend([0, 4, 0, 1, 0, 1, 32]);
    contents.push(u8::try_from(OUTSIDE.len()).unwrap());
    contents.extend(OUTSIDE.as_bytes());
    contents.extend([0, 0]);
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let config = [&[0xfe, 0x0d][..], &length(&contents), &contents].concat();
    [&length(&config)[..], &config].concat()
}

fn with_keys(query: &Message) -> (u16, Message) {
    let mut answer = reply(query, None);
    let list = (SvcParamKey::EchConfigList, SvcParamValue::EchConfigList(EchConfigList(keys())));
    let data = RData::HTTPS(HTTPS(SVCB::new(1, Name::root(), vec![list])));
    answer.add_answer(Record::from_rdata(query.queries[0].name().clone(), 60, data));
    (200, answer)
}

/// Resets handshakes that show the own name, answers all others, and keeps what each began with.
async fn filter(authority: &Authority) -> (std::net::SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let tls = authority.acceptor(&[OUTSIDE]);
    let hellos = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&hellos);
    let address = serve(move |stream| {
        let (tls, kept) = (tls.clone(), Arc::clone(&kept));
        async move {
            let mut hello = [0; 4096];
            let length = stream.peek(&mut hello).await.unwrap_or(0);
            kept.lock().unwrap().push(hello[..length].to_vec());
            if holds(&hello[..length], OWN) {
                reset(stream);
            } else if let Ok(mut stream) = tls.accept(stream).await {
                let _ = stream.read(&mut hello).await;
            }
        }
    })
    .await;
    (address, hellos)
}

fn holds(hello: &[u8], name: &str) -> bool {
    hello.windows(name.len()).any(|bytes| bytes == name.as_bytes())
}

#[tokio::test]
async fn a_name_with_keys_is_sent_encrypted_and_what_stands_outside_is_another() {
    let authority = Authority::new();
    let (address, hellos) = filter(&authority).await;
    let doh = service(&authority, &["doh.example"], with_keys).await;
    let servers = resolvers(1, |_, query| at_once(&reply(query, Some(IpAddr::V4(Ipv4Addr::LOCALHOST))))).await;
    let config = DriveConfig {
        follow_up: FollowUps::Usual,
        resolvers: vec![public("resolver/one", "doh.example", doh)],
        ..config(&authority)
    };
    let rows = run(&drive(config, &servers), &format!("tls://{OWN}:{}", address.port())).await;
    rows.check_numbers();
    let of = |step| rows.of(step).into_iter().find(|row| row.purpose == Purpose::Ech);
    let asked = of(Step::Dns).unwrap_or_else(|| panic!("{:?}", rows.outline()));
    assert_eq!((asked.outcome, asked.dns().unwrap().query_type), (Outcome::Ok, QueryType::Https));
    assert_eq!(asked.dns().unwrap().engine, Engine::Doh);
    let sent = of(Step::Tls).unwrap_or_else(|| panic!("{:?}", rows.outline()));
    assert!(sent.outcome.failure().is_some() && sent.tls().unwrap().bytes_received > 0, "{sent:?}");
    let hellos = hellos.lock().unwrap();
    let encrypted: Vec<_> = hellos.iter().filter(|hello| holds(hello, OUTSIDE)).collect();
    assert!(encrypted.len() == 1 && !holds(encrypted[0], OWN));
}

#[tokio::test]
async fn a_name_without_keys_is_not_sent_again() {
    let authority = Authority::new();
    let (address, hellos) = filter(&authority).await;
    let doh = service(&authority, &["doh.example"], |query| (200, reply(query, None))).await;
    let servers = resolvers(1, |_, query| at_once(&reply(query, Some(IpAddr::V4(Ipv4Addr::LOCALHOST))))).await;
    let config = DriveConfig {
        follow_up: FollowUps::Usual,
        resolvers: vec![public("resolver/one", "doh.example", doh)],
        ..config(&authority)
    };
    let rows = run(&drive(config, &servers), &format!("tls://{OWN}:{}", address.port())).await;
    let steps: Vec<_> = rows.0.observations.iter().filter(|row| row.purpose == Purpose::Ech).collect();
    assert!(steps.len() == 1 && steps[0].step() == Step::Dns && !steps[0].outcome.is_ok(), "{steps:?}");
    assert!(hellos.lock().unwrap().iter().all(|hello| !holds(hello, OUTSIDE)));
}
