//! Replies over UDP: any number of any bytes leaves a bounded number of rows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probe::drive::fuzz::replies;

fuzz_target!(|bytes: &[u8]| {
    let (cut, rest) = bytes.split_first().map_or((0, bytes), |(cut, rest)| (usize::from(*cut), rest));
    // The id that was asked with in front, so that replies are reached without luck.
    let fit: Vec<Vec<u8>> = rest.chunks(cut.max(12)).map(|piece| [&[0x2a, 0x2a][..], piece].concat()).collect();
    let fit: Vec<&[u8]> = fit.iter().map(Vec::as_slice).chain([bytes]).collect();
    let (records, count) = replies(&fit);
    assert!(count <= 16 && records <= 16 * 64, "{records} records of {count} replies");
});
