//! Cells and certificates of Tor's link protocol.

#![no_main]

use faultline_wire::tor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for circuit in [2, 4] {
        if let Some(cell) = tor::first_cell(data, circuit) {
            assert!(cell.length <= data.len());
            let _ = (tor::version(cell), tor::created_fast(cell));
            for (kind, certificate) in tor::certificates(cell).unwrap_or_default() {
                let _ = (tor::signed(certificate, kind), tor::cross(certificate));
            }
        }
    }
    let _ = (tor::signed(data, 4), tor::cross(data));
});
