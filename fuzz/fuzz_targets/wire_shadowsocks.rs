//! The opened head of a Shadowsocks server's stream, and the head of a VLESS server's. The first octet is the length of our salt.
#![no_main]

use faultline_wire::shadowsocks::{answer_octets, answers};
use faultline_wire::vless::{Head, head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Head::Of(length) = head(octets) {
        assert!((2..=octets.len()).contains(&length));
    }
    let Some((&length, rest)) = octets.split_first() else { return };
    let Some((salt, answer)) = rest.split_at_checked(usize::from(length)) else { return };
    if answers(answer, salt) {
        assert_eq!(answer.len(), answer_octets(salt.len()));
        let mut other = salt.to_vec();
        if let Some(octet) = other.first_mut() {
            *octet ^= 1;
            assert!(!answers(answer, &other));
        }
    }
});
