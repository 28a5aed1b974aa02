//! Answers to L2TP's, IKEv1's and STUN's first messages: only one to the very request is any, and our own, echoed, is none.
#![no_main]

use faultline_wire::{ikev1, l2tp, stun};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((own, rest)) = octets.split_first_chunk::<12>() else { return };
    let (tunnel, cookie) = (u16::from_be_bytes([own[0], own[1]]), own[..8].try_into().unwrap());
    match l2tp::answer(rest, tunnel) {
        l2tp::Answer::Reply(theirs) => assert!(rest.len() >= 28 && l2tp::stop(theirs, tunnel).len() == 36),
        l2tp::Answer::Stop => assert!(rest.len() >= 20),
        l2tp::Answer::Other => {}
    }
    if ikev1::answer(rest, cookie) != ikev1::Answer::Other {
        assert!(rest.len() >= 28 && rest[..8] == own[..8]);
    }
    if stun::answer(rest, *own) != stun::Answer::Other {
        assert!(rest.len() >= 24 && rest[8..20] == own[..]);
    }
    // A request goes to tunnel 0: that of another number, echoed, is none.
    if tunnel != 0 {
        assert_eq!(l2tp::answer(&l2tp::request(tunnel, rest), tunnel), l2tp::Answer::Other);
    }
    assert_eq!(ikev1::answer(&ikev1::request(cookie), cookie), ikev1::Answer::Other);
    assert_eq!(stun::answer(&stun::request(*own), *own), stun::Answer::Other);
});
