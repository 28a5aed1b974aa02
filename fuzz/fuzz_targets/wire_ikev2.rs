//! IKE's answers: only one to this index is any, and our own request is none.
#![no_main]

use faultline_wire::ikev2::{Answer, answer, request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((spi, rest)) = bytes.split_first_chunk::<8>() else { return };
    match answer(rest, *spi) {
        Answer::Chosen => assert!(rest.len() >= 28 && rest[..8] == spi[..] && rest[16] == 33),
        Answer::Notified(kind) => assert_eq!(rest[34..36], kind.to_be_bytes()),
        Answer::Other => {}
    }
    let own = request(*spi, &[bytes[0]; 256], &[bytes[7]; 32], &[[bytes[1]; 20]; 2]);
    assert_eq!(answer(&own, *spi), Answer::Other);
});
