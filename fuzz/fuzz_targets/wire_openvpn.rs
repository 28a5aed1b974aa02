//! `OpenVPN`'s answers: only one that repeats the session is a reset, and a frame is as long as it says.
#![no_main]

use faultline_wire::openvpn::{Answer, Parts, answer, authenticated, client_reset, encrypted, first_frame, framed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((session, rest)) = bytes.split_first_chunk::<8>() else { return };
    if answer(rest, *session) == Answer::Reset {
        assert_eq!(rest[14..22], session[..]);
    }
    if let Some(frame) = first_frame(rest) {
        assert_eq!(frame.len(), usize::from(u16::from_be_bytes([rest[0], rest[1]])));
        assert_eq!(first_frame(&rest[..frame.len() + 2]), Some(frame), "what follows a frame changes it");
        let _ = answer(frame, *session);
    }
    let whole = |parts: Parts<'_>| parts.head.len() + parts.stamp.len() + parts.code.len() + parts.body.len() == rest.len();
    assert!(authenticated(rest, usize::from(session[0])).is_none_or(whole), "parts are the whole");
    assert!(encrypted(rest).is_none_or(whole), "parts are the whole");
    let ours = client_reset(*session);
    assert_eq!(first_frame(&framed(&ours)), Some(&ours[..]));
    assert_eq!(answer(&ours, *session), Answer::Other, "our own message is no answer");
});
