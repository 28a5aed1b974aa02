//! `OpenVPN`'s first messages, without a key of the provider's: a client's reset and the server's answer (the protocol's
//! wire format, draft-openvpn-wire-protocol, sections 4 and 5; sizes as measured with `OpenVPN` 2.6).

/// `P_CONTROL_HARD_RESET_CLIENT_V2` and `_SERVER_V2`, five bits of opcode and three of key id, which is 0.
const CLIENT_RESET: u8 = 7 << 3;
const SERVER_RESET: u8 = 8 << 3;
/// Octets of a session id.
const SESSION: usize = 8;

/// A client's first message: opcode, session id, no acknowledgments, message id 0.
pub fn client_reset(session: [u8; SESSION]) -> [u8; 14] {
    let mut message = [0; 14];
    message[0] = CLIENT_RESET;
    message[1..=SESSION].copy_from_slice(&session);
    message
}

/// A message as TCP carries it: behind its length.
pub fn framed(message: [u8; 14]) -> [u8; 16] {
    let mut frame = [0; 16];
    frame[1] = 14;
    frame[2..].copy_from_slice(&message);
    frame
}

/// What a message in answer to a reset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server's reset, for this very session: nobody who has not seen the client's can make it.
    Reset,
    /// Anything else.
    Other,
}

/// Reads the answer to the reset of `session`: opcode, the server's session id, one acknowledgment (message 0), the client's
/// session id, message id 0.
pub fn answer(message: &[u8], session: [u8; SESSION]) -> Answer {
    let is_reset = message.first() == Some(&SERVER_RESET)
        && message.get(9..14) == Some(&[1, 0, 0, 0, 0])
        && message.get(14..22) == Some(&session)
        && message.len() >= 26;
    if is_reset { Answer::Reset } else { Answer::Other }
}

/// The message at the start of a TCP stream; `None` while it is not whole.
pub fn first_frame(stream: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*stream.first()?, *stream.get(1)?]));
    stream.get(2..2 + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const OURS: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn reset() -> [u8; 26] {
        let mut message = [0; 26];
        message[0] = 0x40;
        message[1..9].copy_from_slice(&[9; 8]);
        message[9] = 1;
        message[14..22].copy_from_slice(&OURS);
        message
    }

    #[test]
    fn a_reset_has_the_octets_of_a_real_client_s() {
        assert_eq!(client_reset(OURS), [0x38, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0]);
        assert_eq!(framed(client_reset(OURS))[..4], [0, 14, 0x38, 1]);
    }

    #[test]
    fn an_answer_is_one_to_this_session_and_every_truncation_is_none() {
        assert_eq!(answer(&reset(), OURS), Answer::Reset);
        assert_eq!(answer(&reset(), [7; 8]), Answer::Other);
        for cut in 0..26 {
            assert_eq!(answer(&reset()[..cut], OURS), Answer::Other, "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_is_awaited_until_it_is_whole() {
        let stream: Vec<u8> = [&[0, 26][..], &reset()].concat();
        for cut in 0..28 {
            assert_eq!(first_frame(&stream[..cut]), None, "cut at {cut}");
        }
        assert_eq!(first_frame(&stream), Some(&reset()[..]));
    }
}
