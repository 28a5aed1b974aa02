//! Version negotiation: what is read, written again, is what was read; nothing else is an answer.
#![no_main]

use faultline_wire::quic::{Answer, Asked, answer, question};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, rest)) = bytes.split_first_chunk::<20>() else { return };
    let part = |at: usize| -> [u8; 8] { seed[at..at + 8].try_into().unwrap() };
    let asked = Asked::new(u32::from_be_bytes(seed[..4].try_into().unwrap()), part(4), part(12));
    assert_eq!(answer(&question(&asked), &asked), Answer::Other, "our own datagram is no answer");
    let check = |datagram: &[u8]| {
        let Answer::Versions(versions) = answer(datagram, &asked) else { return };
        assert!(!versions.is_empty() && !versions.contains(&asked.version));
        let list: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
        let again = [&datagram[..1], &[0; 4], &[8], &asked.source, &[8], &asked.destination, &list].concat();
        assert_eq!(again, datagram);
    };
    check(rest);
    // The same behind a head that fits, so that lists are reached without luck.
    check(&[&[0x80, 0, 0, 0, 0, 8][..], &asked.source, &[8], &asked.destination, rest].concat());
});
