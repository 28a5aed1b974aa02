//! Packets of `OpenVPN`'s control channel: what is read is what was written.
#![no_main]

use faultline_wire::openvpn_control::{packet, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(seen) = read(bytes) else { return };
    assert!(seen.carried.is_none_or(|(_, payload)| payload.len() < bytes.len()));
    let again = packet(seen.session, [7; 8], &seen.acks, seen.carried);
    let reread = read(&again).expect("our own packet");
    assert_eq!((reread.session, reread.carried), (seen.session, seen.carried));
});
