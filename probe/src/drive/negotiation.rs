//! QUIC's version negotiation: a datagram of a version that nobody speaks, from a port of its own, until it is answered or time is up.
//! No handshake is begun and no name is said.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use faultline_record::{Failure, Outcome, Tls};
use faultline_wire::quic::{self, Answer, Asked};
use tokio::time::{Instant, timeout_at};

use super::tcp::{Admission, Waited};
use super::vpn::connected;
use super::{Drive, Fault, QuicHandshake, errno};

/// When the datagram is sent again, after the first: as a client's Initial is that is not answered, which doubles its pauses from one
/// second on (RFC 9002 sections 6.2.1 and 6.2.2: three times the initial round-trip time of 333 ms).
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// Room for a datagram: an answer holds 23 octets and four for each version.
const DATAGRAM: usize = 2_048;
/// Versions that are written down.
const SHOWN: usize = 8;

impl Drive {
    /// Asks a server for its versions. `Ok` with them in words, or how nothing came.
    pub async fn negotiate(&self, _admission: Admission, address: SocketAddr, deadline: Duration) -> QuicHandshake {
        super::stays_here(address.ip());
        self.meter().connection();
        let mut seen = Tls::default();
        let asked = self.ask_versions(address, deadline, &mut seen).await;
        let fault = match asked {
            Ok(Some(versions)) => {
                return QuicHandshake { outcome: Outcome::Ok, detail: Some(in_words(&versions)), seen, channel: None };
            }
            Ok(None) if seen.bytes_received > 0 => {
                Fault::new(Outcome::Failed(Failure::UnexpectedResponse), "what came is no version negotiation")
            }
            Ok(None) => Fault::new(Outcome::Failed(Failure::GenericTimeoutError), Waited(deadline)),
            Err(error) => Fault::new(errno::outcome(&error), error),
        };
        QuicHandshake { outcome: fault.outcome, detail: fault.detail, seen, channel: None }
    }

    async fn ask_versions(
        &self,
        address: SocketAddr,
        deadline: Duration,
        seen: &mut Tls,
    ) -> io::Result<Option<Vec<u32>>> {
        let socket = connected(address).await?;
        let asked = Asked::new(rand::random(), rand::random(), rand::random());
        let (question, start) = (quic::question(&asked), Instant::now());
        self.meter().sent(socket.send(&question).await?);
        let mut buffer = [0; DATAGRAM];
        for wait in AGAIN.into_iter().filter(|again| *again < deadline).chain([deadline]) {
            while let Ok(received) = timeout_at(start + wait, socket.recv(&mut buffer)).await {
                let length = received?;
                self.meter().received(length);
                seen.bytes_received += length as u64;
                if let Answer::Versions(versions) = quic::answer(&buffer[..length], &asked) {
                    return Ok(Some(versions));
                }
            }
            if wait < deadline {
                self.meter().sent(socket.send(&question).await?);
            }
        }
        Ok(None)
    }
}

/// "versions 00000001, 6b3343cf" (RFC 9000 section 15 writes them in hexadecimal).
fn in_words(versions: &[u32]) -> String {
    let shown: Vec<String> = versions.iter().take(SHOWN).map(|version| format!("{version:08x}")).collect();
    let more = if versions.len() > SHOWN { ", ..." } else { "" };
    format!("versions {}{more}", shown.join(", "))
}
