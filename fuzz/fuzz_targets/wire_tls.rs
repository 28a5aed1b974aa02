//! The first bytes of a TLS peer: a decision, once made, stands whatever comes after.
#![no_main]

use faultline_wire::tls::{FirstBytes, first_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decided = None;
    for length in 0..=bytes.len().min(16) {
        let now = first_bytes(&bytes[..length]);
        match (decided, now) {
            // The content of an alert comes behind its header.
            (Some(FirstBytes::Alert(None)), Some(FirstBytes::Alert(_))) => {}
            (Some(before), now) => assert_eq!(Some(before), now, "undone at {length}"),
            (None, _) => {}
        }
        decided = now;
    }
    // More than a record's header never changes anything but an alert's content.
    assert_eq!(decided.is_some(), first_bytes(bytes).is_some());
});
