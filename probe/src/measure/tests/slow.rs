//! Follow-ups on what was slow, against a server that slows a name down, or everybody.

use std::net::SocketAddr;
use std::time::Duration;

use faultline_record::{NotRun, Observation, Outcome, Purpose, Step};
use faultline_verdict::goodput::MOST_ROUNDS;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{Authority, Rows, config, drive, run, serve};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;

/// A page in parts, with a pause behind each.
const PARTS: usize = 5;
const PART: usize = 4 * 1024;
const PAUSE: Duration = Duration::from_millis(90);

/// Serves the page; slowly where TLS names this.
async fn slow_for(authority: &Authority, slow: &'static str) -> SocketAddr {
    let acceptor = authority.acceptor(&["site.example"]);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(stream).await else { return };
            let name = tls.get_ref().1.server_name().unwrap_or_default().to_owned();
            let _ = tls.read(&mut [0; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PARTS * PART);
            let _ = tls.write_all(head.as_bytes()).await;
            for _ in 0..PARTS {
                let _ = tls.write_all(&[b'x'; PART]).await;
                let _ = tls.flush().await;
                if name.ends_with(slow) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    })
    .await
}

fn following_up(authority: &Authority) -> DriveConfig {
    DriveConfig { follow_up: FollowUps::Usual, ..config(authority) }
}

async fn measured(slow: &'static str, max_data: Option<u64>) -> Rows {
    let authority = Authority::new();
    let address = slow_for(&authority, slow).await;
    let servers = super::world::resolvers(1, |_, query| {
        let here = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        super::world::at_once(&super::world::reply(query, Some(here)))
    })
    .await;
    let drive = drive(following_up(&authority), &servers);
    if let Some(bytes) = max_data {
        drive.meter().allow(bytes);
    }
    run(&drive, &format!("https://site.example:{}/", address.port())).await
}

fn requests(rows: &Rows) -> Vec<&Observation> {
    rows.of(Step::Http).into_iter().filter(|row| row.purpose != Purpose::Main).collect()
}

#[tokio::test]
async fn a_response_leaves_its_curve_in_a_row() {
    let rows = measured("site.example", Some(1)).await;
    let row = rows.of(Step::Http)[0];
    let http = row.http().unwrap();
    let (first, last) = (http.arrivals[0], *http.arrivals.last().unwrap());
    assert!(http.head_ms.unwrap() < 200 && first.ms < 200, "{http:?}");
    let page = (PARTS * PART) as u64;
    assert!((page..2 * page).contains(&last.bytes), "{last:?}");
    assert!(last.ms >= 300 && f64::from(last.ms) <= row.t_ms - row.t0_ms, "{last:?}");
}

#[tokio::test]
async fn a_name_that_is_slow_is_held_against_an_innocent_one_until_it_is_shown() {
    let rows = measured("site.example", None).await;
    rows.check_numbers();
    let purposes: Vec<Purpose> = requests(&rows).iter().map(|row| row.purpose).collect();
    let count = purposes.len() / 2;
    assert!((5..=MOST_ROUNDS).contains(&count), "{purposes:?}");
    assert_eq!(purposes, [Purpose::InnocentSni, Purpose::Retry].repeat(count));
}

#[tokio::test]
async fn what_is_slow_for_everybody_ends_after_two_rounds() {
    let rows = measured("example", None).await;
    assert_eq!(requests(&rows).len(), 4, "{:?}", rows.outline());
}

#[tokio::test]
async fn no_round_is_begun_that_the_runs_data_has_no_room_for() {
    let rows = measured("site.example", Some(100_000)).await;
    let outcomes: Vec<Outcome> = requests(&rows).iter().map(|row| row.outcome).collect();
    assert_eq!(outcomes, [Outcome::NotRun(NotRun::MaxData)]);
}

#[tokio::test]
async fn what_came_as_it_should_asks_for_nothing() {
    let rows = measured("nobody", None).await;
    assert!(requests(&rows).is_empty(), "{:?}", rows.outline());
}
