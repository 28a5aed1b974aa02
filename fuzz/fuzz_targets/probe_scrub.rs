//! Whatever a peer says, our own address is not kept where it stands by itself.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use probe::drive::Scrubber;

fuzz_target!(|bytes: &[u8]| {
    let own: SocketAddr = "8.8.4.4:4711".parse().unwrap();
    let scrubber = Scrubber::new(Some(own));
    let text = String::from_utf8_lossy(bytes);
    for name in ["location", "alt-svc", "set-cookie", "x-client-ip"] {
        let _ = scrubber.header(name, bytes);
    }
    let _ = scrubber.place(&text);
    let scrubbed = scrubber.body(bytes.to_vec());
    // What was put in is no address: it stands still, and grows no further.
    assert_eq!(scrubber.body(scrubbed.clone()), scrubbed);
    assert!(scrubbed.len() <= bytes.len() * 2 + 16);
    let said = [bytes, b" 8.8.4.4 ", bytes].concat();
    let kept = scrubber.body(said);
    assert!(!kept.windows(9).any(|window| window == b" 8.8.4.4 "));
});
