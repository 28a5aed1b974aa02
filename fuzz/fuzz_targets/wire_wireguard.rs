//! WireGuard's messages: each has its type and its length, and our own first one is none of a server's.
#![no_main]

use faultline_wire::wireguard::{INITIATION, INITIATION_SEALED, Message, data, initiation, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read(bytes) {
        Some(Message::Response { .. }) => assert_eq!((bytes[0], bytes.len()), (2, 92)),
        Some(Message::Cookie { .. }) => assert_eq!((bytes[0], bytes.len()), (3, 64)),
        Some(Message::Data { receiver, counter, sealed }) => {
            assert_eq!(data(receiver, counter, sealed), bytes, "written as it was read");
        }
        None => {}
    }
    if let Some((sealed, _)) = bytes.split_first_chunk::<INITIATION_SEALED>() {
        let ours = initiation(1, sealed);
        assert_eq!((ours.len(), read(&ours)), (INITIATION, None));
    }
});
