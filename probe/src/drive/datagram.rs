//! First messages over UDP that are one datagram, and the answers to them: IKE's of both versions, L2TP's, STUN's, Proton's ping. Codecs
//! by `wire`; what is random in them, and their codes, are made here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use faultline_record::{ServerKey, VpnAnswer, VpnProtocol};
use faultline_wire::{ike, ikev1, ikev2, l2tp, proton, stun};

use super::vpn::AGAIN;

/// When `xl2tpd`'s client sends again (vpn reference, sections 3.5 and 7).
const L2TP_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// When a client of STUN's does (RFC 8489 section 6.2.1: after 500 ms, each pause twice the last).
const STUN_AGAIN: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(1_500),
    Duration::from_millis(3_500),
    Duration::from_millis(7_500),
];
/// When a ping is sent again (vpn reference, section 7).
const PING_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// The name that we give ourselves: L2TP wants one, and this machine's is nobody's business.
const HOST: &[u8] = b"localhost";

/// A datagram, and what tells its answer from others.
pub(super) struct Datagram {
    message: Vec<u8>,
    mark: Mark,
}

/// What the answer repeats.
enum Mark {
    Ikev1 {
        cookie: [u8; 8],
        port: u16,
    },
    Ikev2 {
        spi: [u8; 8],
        port: u16,
    },
    L2tp {
        tunnel: u16,
    },
    Stun {
        transaction: [u8; 12],
    },
    /// Every answer to a ping is the same.
    Ping,
}

impl Datagram {
    /// A new one, for a server at this port: nobody who has not seen it can answer. `None` if the protocol has none of this kind.
    pub(super) fn new(protocol: VpnProtocol, port: u16, server: Option<ServerKey>) -> Option<Self> {
        let (message, mark) = match protocol {
            VpnProtocol::Ikev1 => {
                let cookie = index();
                (ike::marked(port, ikev1::request(cookie)), Mark::Ikev1 { cookie, port })
            }
            VpnProtocol::Ikev2 => {
                let spi = index();
                let mut public: [u8; 256] = rand::random();
                // Below the prime of group 14, which begins with 64 ones (RFC 3526 section 3).
                public[0] = 0x7f;
                let message = ikev2::request(spi, &public, &rand::random(), &[rand::random(), rand::random()]);
                (ike::marked(port, message), Mark::Ikev2 { spi, port })
            }
            VpnProtocol::L2tp => {
                // Number 0 is nobody's (RFC 2661 section 3.1).
                let tunnel = rand::random::<u16>().max(1);
                (l2tp::request(tunnel, HOST), Mark::L2tp { tunnel })
            }
            VpnProtocol::Stun => {
                let transaction = rand::random();
                (stun::request(transaction), Mark::Stun { transaction })
            }
            VpnProtocol::ProtonPing => (ping(server?), Mark::Ping),
            _ => return None,
        };
        Some(Self { message, mark })
    }

    /// What is sent.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// When it is sent again, after the first time. IKE's clients double their pauses (vpn reference, section 3.4).
    pub(super) fn again(&self) -> &'static [Duration] {
        match self.mark {
            Mark::Ikev1 { .. } | Mark::Ikev2 { .. } => &AGAIN,
            Mark::L2tp { .. } => &L2TP_AGAIN,
            Mark::Ping => &PING_AGAIN,
            Mark::Stun { .. } => &STUN_AGAIN,
        }
    }

    /// What a message is.
    pub(super) fn read(&self, message: &[u8]) -> VpnAnswer {
        match self.mark {
            Mark::Ikev1 { cookie, port } => match ike::unmarked(port, message).map(|own| ikev1::answer(own, cookie)) {
                Some(ikev1::Answer::Chosen) => VpnAnswer::Chosen,
                Some(ikev1::Answer::Notified(_)) => VpnAnswer::Notified,
                Some(ikev1::Answer::Other) | None => VpnAnswer::Other,
            },
            Mark::Ikev2 { spi, port } => match ike::unmarked(port, message).map(|own| ikev2::answer(own, spi)) {
                Some(ikev2::Answer::Chosen) => VpnAnswer::Chosen,
                Some(ikev2::Answer::Notified(_)) => VpnAnswer::Notified,
                Some(ikev2::Answer::Other) | None => VpnAnswer::Other,
            },
            Mark::L2tp { tunnel } => match l2tp::answer(message, tunnel) {
                l2tp::Answer::Reply(_) => VpnAnswer::Accepted,
                l2tp::Answer::Stop => VpnAnswer::Refused,
                l2tp::Answer::Other => VpnAnswer::Other,
            },
            Mark::Stun { transaction } => match stun::answer(message, transaction) {
                stun::Answer::Bound => VpnAnswer::Accepted,
                stun::Answer::Refused => VpnAnswer::Refused,
                stun::Answer::Other => VpnAnswer::Other,
            },
            Mark::Ping if proton::is_answer(message) => VpnAnswer::Accepted,
            Mark::Ping => VpnAnswer::Other,
        }
    }

    /// What ends an exchange that was answered so: a server of L2TP's repeats its reply until it is told that nobody wants it.
    pub(super) fn farewell(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let Mark::L2tp { tunnel } = self.mark else { return None };
        match l2tp::answer(answer, tunnel) {
            l2tp::Answer::Reply(theirs) => Some(l2tp::stop(theirs, tunnel)),
            l2tp::Answer::Stop | l2tp::Answer::Other => None,
        }
    }
}

/// An initiator's index of IKE's, with which its messages and their answers begin. A filter that knows `OpenVPN` by the first octet of
/// a datagram (opcodes 1 to 10 in its upper five bits, 0x08 to 0x57) would take one index in three for it, and its silence would be laid to
/// IKE: ours begin beyond.
fn index() -> [u8; 8] {
    let mut index: [u8; 8] = rand::random();
    index[0] |= 0x80;
    index
}

/// A ping to the server of this key, now.
fn ping(server: ServerKey) -> Vec<u8> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Four octets, until 2106.
    let seconds = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
    let key = hmac::Key::new(hmac::HMAC_SHA256, proton::CODE_KEY);
    let code = hmac::sign(&key, &proton::covered(&server.0, seconds));
    let mut octets = [0; 32];
    octets.copy_from_slice(code.as_ref());
    proton::request(seconds, &octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_of_ike_s_begins_like_one_of_openvpn_s() {
        for protocol in [VpnProtocol::Ikev1, VpnProtocol::Ikev2] {
            for _ in 0..256 {
                let datagram = Datagram::new(protocol, 500, None).unwrap();
                assert!(datagram.message()[0] >= 0x80, "{protocol}");
            }
        }
    }
}
