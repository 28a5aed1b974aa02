//! First messages to tunnels' servers: with servers of our own that answer, that are dead, and behind filters that know the
//! first packet of a flow. (The real daemons are in the testbed.)

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use faultline_record::{Failure, Outcome, Purpose, Step, VpnAnswer, VpnProof};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::world::{Authority, Rows, config, drive, reset, run, serve};
use crate::drive::DriveConfig;
use crate::follow_up::FollowUps;

/// The answer of OpenVPN's server to a client's reset.
fn server_reset(question: &[u8]) -> Vec<u8> {
    [&[0x40][..], &[9; 8], &[1, 0, 0, 0, 0], &question[1..9], &[0; 4]].concat()
}

/// A server over UDP that has no TLS; with a filter before it, flows whose first packet is OpenVPN's are never answered; one
/// that says no more is silent behind its reset.
async fn by_udp(is_filtered: bool, says_more: bool) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut flows, mut buffer) = (HashMap::new(), [0; 2_048]);
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let is_reset = length == 14 && buffer[0] == 0x38;
            let passes = *flows.entry(from).or_insert(!is_reset) || !is_filtered;
            if is_reset && passes {
                socket.send_to(&server_reset(&buffer[..14]), from).await.unwrap();
            }
            if buffer[0] == 0x20 && says_more {
                let control = faultline_wire::openvpn_control::packet([9; 8], [0; 8], &[], Some((1, b"no TLS")));
                socket.send_to(&control, from).await.unwrap();
            }
        }
    });
    address
}

/// The same over TCP; with a filter, a message that comes in one piece is reset.
async fn by_tcp(is_filtered: bool) -> SocketAddr {
    serve(move |mut stream| async move {
        let mut start = [0; 16];
        let first = stream.read(&mut start).await.unwrap_or(0);
        if is_filtered && first == 16 {
            return reset(stream);
        }
        if stream.read_exact(&mut start[first..]).await.is_ok() {
            let answer = server_reset(&start[2..]);
            let control = faultline_wire::openvpn_control::packet([9; 8], [0; 8], &[], Some((1, b"no TLS")));
            let control = faultline_wire::openvpn::framed(&control);
            let _ = stream.write_all(&[&[0, 26], &answer[..], &control].concat()).await;
            let _ = stream.read_to_end(&mut start.to_vec()).await;
        }
    })
    .await
}

async fn measured(input: &str) -> Rows {
    let authority = Authority::new();
    let config = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    let rows = run(&drive(config, &[]), input).await;
    rows.check_numbers();
    rows
}

/// The outcomes of first messages of this purpose.
fn outcomes(rows: &Rows, purpose: Purpose) -> Vec<Outcome> {
    rows.of(Step::Vpn).iter().filter(|row| row.purpose == purpose).map(|row| row.outcome).collect()
}

const SILENCE: Outcome = Outcome::Failed(Failure::GenericTimeoutError);

#[tokio::test]
async fn a_server_that_answers_is_ok_and_nothing_follows() {
    for (scheme, address) in [("openvpn+udp", by_udp(false, true).await), ("openvpn+tcp", by_tcp(false).await)] {
        let rows = measured(&format!("{scheme}://{address}")).await;
        let row = rows.only(Step::Vpn);
        assert_eq!(row.outcome, Outcome::Ok);
        assert_eq!(row.vpn().unwrap().answer, Some(VpnAnswer::ServerReset));
    }
}

#[tokio::test]
async fn a_filter_of_first_packets_is_shown_by_what_passes_it() {
    let rows = measured(&format!("openvpn+udp://{}", by_udp(true, true).await)).await;
    assert_eq!(outcomes(&rows, Purpose::Main), [SILENCE]);
    assert_eq!(outcomes(&rows, Purpose::Retry), [SILENCE; 2]);
    assert_eq!(outcomes(&rows, Purpose::JunkFirst), [Outcome::Ok; 2]);
    let rows = measured(&format!("openvpn+tcp://{}", by_tcp(true).await)).await;
    let cut = Outcome::Failed(Failure::ConnectionReset);
    assert_eq!((outcomes(&rows, Purpose::Main), outcomes(&rows, Purpose::Retry)), (vec![cut], vec![cut; 2]));
    assert_eq!(outcomes(&rows, Purpose::JunkFirst), [Outcome::Ok; 2]);
}

#[tokio::test]
async fn a_closed_port_is_refused_and_a_strange_answer_is_no_answer() {
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let rows = measured(&format!("ikev2://{closed}")).await;
    assert_eq!(outcomes(&rows, Purpose::Main), [Outcome::Failed(Failure::ConnectionRefused)]);
    // A server of another protocol is asked for IKE and says what it knows.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let strange = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 2_048]).await {
            socket.send_to(b"what?", from).await.unwrap();
        }
    });
    let rows = measured(&format!("ikev2://{strange}")).await;
    assert_eq!(outcomes(&rows, Purpose::Main), [Outcome::Failed(Failure::UnexpectedResponse)]);
}

#[tokio::test]
async fn a_server_that_is_silent_behind_its_reset_is_asked_again_and_what_was_proven_is_kept() {
    let rows = measured(&format!("openvpn+udp://{}", by_udp(false, false).await)).await;
    assert_eq!((outcomes(&rows, Purpose::Main), outcomes(&rows, Purpose::Retry)), (vec![SILENCE], vec![SILENCE; 2]));
    let proofs: Vec<_> = rows.of(Step::Vpn).iter().map(|row| row.vpn().unwrap().proof).collect();
    assert!(proofs.iter().all(|proof| *proof == Some(VpnProof::FirstAnswer)), "{proofs:?}");
}

/// When each new session of OpenVPN's came.
async fn noting_sessions() -> (SocketAddr, Arc<Mutex<Vec<(Vec<u8>, Instant)>>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, seen) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
            let mut sessions = noted.lock().unwrap();
            let is_known = |session: &[u8]| sessions.iter().any(|(known, _): &(Vec<u8>, _)| known == session);
            if length == 14 && !is_known(&buffer[1..9]) {
                sessions.push((buffer[1..9].to_vec(), Instant::now()));
            }
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_server_is_asked_for_a_handshake_once_a_second_at_most_whoever_asks() {
    let (address, seen) = noting_sessions().await;
    let authority = Authority::new();
    let config = DriveConfig { follow_up: FollowUps::Usual, ..config(&authority) };
    let (drive, input) = (drive(config, &[]), format!("openvpn+udp://{address}"));
    // Two targets of one server in one run, each with its whole ladder.
    let _ = tokio::join!(run(&drive, &input), run(&drive, &input));
    let times: Vec<Instant> = seen.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert_eq!(times.len(), 2 * (1 + 2 + 2), "the message, twice again, twice in disguise");
    let least = |apart: usize| times.windows(apart + 1).map(|few| few[apart] - few[0]).min().unwrap();
    // A busy machine notes one late by some milliseconds, and so the next too soon.
    assert!(least(1) >= Duration::from_millis(900), "{:?}", least(1));
    assert!(least(2) >= Duration::from_secs(2) && least(5) >= Duration::from_secs(5), "{times:?}");
}

/// A server over TCP that lives behind a filter: what begins as OpenVPN does is never answered, in one piece or in two; all else is
/// read and closed.
async fn behind_a_thorough_filter() -> SocketAddr {
    serve(|mut stream| async move {
        let mut start = [0; 16];
        let is_openvpn = stream.read_exact(&mut start).await.is_ok() && start[..3] == [0, 14, 0x38];
        if is_openvpn {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await
}

#[tokio::test]
async fn other_octets_at_the_same_port_show_that_somebody_lives_there() {
    let rows = measured(&format!("openvpn+tcp://{}", behind_a_thorough_filter().await)).await;
    let closed = Outcome::Failed(Failure::EofError);
    assert_eq!(
        (outcomes(&rows, Purpose::Main), outcomes(&rows, Purpose::JunkFirst)),
        (vec![SILENCE], vec![SILENCE; 2])
    );
    for purpose in [Purpose::PrintableBytes, Purpose::TlsBytes, Purpose::RandomBytes] {
        assert_eq!(outcomes(&rows, purpose), [closed], "{purpose}");
    }
}
