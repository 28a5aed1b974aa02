//! Texts as DEFLATE streams (RFC 1951), for keeping.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// The longest text that is unpacked, bytes: as long as the longest that an importer reads.
pub(crate) const LONGEST: u64 = 64 << 20;

/// The stream of a text. Fast rather than small: it is made of everything that is imported.
pub(crate) fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    // A vector takes every byte.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

/// The text of a stream; `None` if it is no stream, or not of a text of that length.
pub(crate) fn inflate(stream: &[u8], length: u64) -> Option<Vec<u8>> {
    if length > LONGEST {
        return None;
    }
    let mut text = Vec::new();
    DeflateDecoder::new(stream).take(length + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 == length).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_packed_smaller_and_comes_back() {
        let text = "measurement ".repeat(1_000).into_bytes();
        let stream = deflate(&text);
        assert!(stream.len() < text.len() / 10);
        assert_eq!(inflate(&stream, text.len() as u64), Some(text));
        assert_eq!(inflate(&deflate(b""), 0), Some(Vec::new()));
    }

    #[test]
    fn a_stream_that_lies_about_its_length_is_none() {
        let stream = deflate(&vec![0; 100_000]);
        for length in [0, 99_999, 100_001, LONGEST, LONGEST + 1, u64::MAX] {
            assert_eq!(inflate(&stream, length), None, "{length}");
        }
        for cut in 0..stream.len() - 1 {
            assert_eq!(inflate(&stream[..cut], 100_000), None, "{cut}");
        }
    }
}
