//! A tap keeps the beginning of a stream, however it is cut into pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probe::drive::fuzz::passed;

fuzz_target!(|bytes: &[u8]| {
    let (size, stream) = bytes.split_first().map_or((0, bytes), |(size, rest)| (usize::from(*size), rest));
    let pieces: Vec<&[u8]> = stream.chunks(size.max(1)).collect();
    let kept = passed(&pieces);
    assert_eq!(kept.received, stream.len() as u64);
    assert!(!kept.ended);
    assert_eq!(kept.first(), &stream[..kept.first().len()]);
    assert_eq!(kept.first(), passed(&[stream]).first());
});
