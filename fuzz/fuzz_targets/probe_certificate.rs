//! A certificate of anybody's: kept as it came, read as far as it can be.
#![no_main]

use faultline_record::Certificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let certificate = Certificate::from_der(bytes.to_vec());
    assert_eq!(certificate.der, bytes);
    let _ = certificate.is_self_issued();
});
