//! L2TP version 2 (RFC 2661): the request for a control connection over UDP, what answers it, and the word that ends it.
//!
//! Most public servers speak L2TP within IPsec alone: their silence to a bare request says nothing.

use alloc::vec::Vec;

use crate::dialogue::word;

/// A control message with length and sequence numbers, of version 2 (RFC 2661 section 3.1).
const HEAD: u16 = 0xc802;
/// Octets of the header of a control message.
const HEADER: usize = 12;
/// Types of messages (section 3.2).
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const STOP: u16 = 4;
/// Attributes (section 4.4): type of the message, result, version of the protocol, kinds of framing and of bearers, revision of
/// the software, names of host and vendor, number of the tunnel, size of the window.
const MESSAGE_TYPE: u16 = 0;
const RESULT: u16 = 1;
const VERSION: u16 = 2;
const FRAMING: u16 = 3;
const BEARERS: u16 = 4;
const FIRMWARE: u16 = 6;
const HOST: u16 = 7;
const VENDOR: u16 = 8;
const TUNNEL: u16 = 9;
const WINDOW: u16 = 10;
/// An attribute that must be understood, and its header's length (section 4.1).
const MANDATORY: u16 = 0x8000;
const ATTRIBUTE: usize = 6;
/// Ten bits of an attribute's first word are its length.
const LENGTH: u16 = 0x03ff;

/// A request, as `xl2tpd` 1.3.18 makes it: for the tunnel of this number, with this name of a host.
pub fn request(tunnel: u16, host: &[u8]) -> Vec<u8> {
    let attributes = [
        attribute(MANDATORY, MESSAGE_TYPE, &REQUEST.to_be_bytes()),
        attribute(MANDATORY, VERSION, &[1, 0]),
        attribute(MANDATORY, FRAMING, &3_u32.to_be_bytes()),
        attribute(MANDATORY, BEARERS, &0_u32.to_be_bytes()),
        attribute(0, FIRMWARE, &[0x06, 0x90]),
        attribute(MANDATORY, HOST, host),
        attribute(0, VENDOR, b"xelerance.com"),
        attribute(MANDATORY, TUNNEL, &tunnel.to_be_bytes()),
        attribute(MANDATORY, WINDOW, &4_u16.to_be_bytes()),
    ];
    message(0, [0, 0], &attributes.concat())
}

/// The end of a tunnel that was never used: to the server's number, about ours. Nothing was wrong (section 4.4.2: result 1).
pub fn stop(theirs: u16, ours: u16) -> Vec<u8> {
    let attributes = [
        attribute(MANDATORY, MESSAGE_TYPE, &STOP.to_be_bytes()),
        attribute(MANDATORY, TUNNEL, &ours.to_be_bytes()),
        attribute(MANDATORY, RESULT, &1_u16.to_be_bytes()),
    ];
    message(theirs, [1, 1], &attributes.concat())
}

/// A control message to a tunnel, outside of any session, with the numbers of this one and of the next that is expected.
fn message(tunnel: u16, [sent, expected]: [u16; 2], attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + attributes.len()).unwrap_or(u16::MAX);
    let head = [HEAD, length, tunnel, 0, sent, expected].map(u16::to_be_bytes).concat();
    [&head[..], attributes].concat()
}

fn attribute(flags: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(LENGTH) & LENGTH;
    let head = [flags | length, 0, kind].map(u16::to_be_bytes).concat();
    [&head[..], value].concat()
}

/// What a message in answer to the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server's reply, with its number of the tunnel.
    Reply(u16),
    /// The server ends what has not begun.
    Stop,
    /// Anything else.
    Other,
}

/// Reads the answer to the request for the tunnel of this number. The least acknowledgment, which has no attributes, is none.
pub fn answer(message: &[u8], tunnel: u16) -> Answer {
    let is_ours = word(message, 0) == Some(HEAD) && word(message, 4) == Some(tunnel);
    let length = word(message, 2).map(usize::from).filter(|length| *length >= HEADER);
    let body = length.filter(|_| is_ours).and_then(|length| message.get(HEADER..length));
    let Some(body) = body else { return Answer::Other };
    match value(body, MESSAGE_TYPE) {
        Some(REPLY) => value(body, TUNNEL).map_or(Answer::Other, Answer::Reply),
        Some(STOP) => Answer::Stop,
        _ => Answer::Other,
    }
}

/// The number that an attribute holds.
fn value(mut body: &[u8], wanted: u16) -> Option<u16> {
    loop {
        let length = usize::from(word(body, 0)? & LENGTH);
        let (own, rest) = body.split_at_checked(length).filter(|_| length >= ATTRIBUTE)?;
        if word(own, 2) == Some(0) && word(own, 4) == Some(wanted) {
            return word(own, ATTRIBUTE);
        }
        body = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured: xl2tpd 1.3.18 as a client, on a host named "vm", for tunnel 0x4577.
    const CAPTURED: &[u8] = b"\xc8\x02\x00\x63\x00\x00\x00\x00\x00\x00\x00\x00\x80\x08\x00\x00\x00\x00\x00\x01\
        \x80\x08\x00\x00\x00\x02\x01\x00\x80\x0a\x00\x00\x00\x03\x00\x00\x00\x03\x80\x0a\x00\x00\x00\x04\x00\x00\x00\x00\
        \x00\x08\x00\x00\x00\x06\x06\x90\x80\x08\x00\x00\x00\x07vm\x00\x13\x00\x00\x00\x08xelerance.com\
        \x80\x08\x00\x00\x00\x09\x45\x77\x80\x08\x00\x00\x00\x0a\x00\x04";

    fn reply(kind: u16) -> Vec<u8> {
        let attributes = [
            attribute(MANDATORY, MESSAGE_TYPE, &kind.to_be_bytes()),
            attribute(MANDATORY, HOST, b"a host"),
            attribute(MANDATORY, TUNNEL, &[0x12, 0x34]),
        ];
        message(0x4577, [0, 1], &attributes.concat())
    }

    #[test]
    fn a_request_is_what_xl2tpd_sends() {
        assert_eq!(request(0x4577, b"vm"), CAPTURED);
    }

    #[test]
    fn a_stop_names_the_server_s_tunnel_in_its_head_and_ours_below() {
        let stop = stop(0x1234, 0x4577);
        assert_eq!((stop.len(), word(&stop, 4), word(&stop, 8), word(&stop, 10)), (36, Some(0x1234), Some(1), Some(1)));
        assert_eq!((value(&stop[HEADER..], TUNNEL), value(&stop[HEADER..], RESULT)), (Some(0x4577), Some(1)));
    }

    #[test]
    fn every_answer_is_known_and_every_truncation_is_none() {
        assert_eq!(answer(&reply(REPLY), 0x4577), Answer::Reply(0x1234));
        assert_eq!(answer(&reply(STOP), 0x4577), Answer::Stop);
        assert_eq!(answer(&reply(REPLY), 0x4578), Answer::Other, "another tunnel's");
        assert_eq!(answer(&message(0x4577, [0, 1], &[]), 0x4577), Answer::Other, "an acknowledgment");
        for cut in 0..reply(REPLY).len() {
            assert_eq!(answer(&reply(REPLY)[..cut], 0x4577), Answer::Other, "cut at {cut}");
        }
        // Our own request, echoed; attributes shorter than their own head.
        assert_eq!(answer(&request(0x4577, b"vm"), 0x4577), Answer::Other);
        assert_eq!(answer(&message(0x4577, [0, 1], &[0x80, 0, 0, 0, 0, 0, 0, 2]), 0x4577), Answer::Other);
    }
}
