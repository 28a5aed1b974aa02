//! Files, folders, archives and standard input as streams of text, told apart by what is in them and never by their names.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest, Sha256};

use super::values::{self, Found};
use crate::evaluate::label::below;

/// Archives within archives that are opened; deeper ones are a trap.
const DEEPEST: u32 = 5;
/// How much of a stream is looked at to tell what it is: a tar archive's mark is near the end of its first block.
const HEAD: usize = 512;
/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;
/// What may follow the end of an archive and still counts as part of the file, bytes.
const TRAILER: u64 = 1 << 20;
/// What the headers before one file of an archive may take up (long names, extended attributes).
const HEADERS: u64 = 1 << 20;

/// Takes what is found.
pub trait Sink {
    /// Something was found in that input.
    fn found(&mut self, input: &str, found: Found<'_>) -> ControlFlow<()>;
    /// A stream of text begins: see [`objects`] for what wants its objects.
    fn text(&mut self, name: &str, input: &mut dyn BufRead) -> io::Result<ControlFlow<()>>;
    /// An argument's file was read to its end: its hash, and how many bytes it has.
    fn ended(&mut self, _name: &str, _content: Content) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    /// An input, or the rest of it, cannot be read.
    fn unreadable(&mut self, input: &str, why: &str);
}

/// Reads one argument of the command line: a file, a folder with all that is below it, or `-`.
pub fn read(path: &Path, sink: &mut dyn Sink) -> ControlFlow<()> {
    if path == Path::new("-") {
        return whole(io::stdin().lock(), "standard input", sink);
    }
    let name = path.display().to_string();
    match below(path, |_| true) {
        Ok(files) => files.iter().try_for_each(|file| read_file(file, sink)),
        Err(error) => {
            sink.unreadable(&name, &error);
            ControlFlow::Continue(())
        }
    }
}

fn read_file(path: &Path, sink: &mut dyn Sink) -> ControlFlow<()> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => whole(file, &name, sink),
        Err(error) => {
            sink.unreadable(&name, &error.to_string());
            ControlFlow::Continue(())
        }
    }
}

/// What a file holds: its SHA-256, and how many bytes were hashed.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// The hash.
    pub sha256: [u8; 32],
    /// How many bytes.
    pub bytes: u64,
}

/// Reads a file, and what the reading of its text leaves of it.
fn whole(input: impl Read, name: &str, sink: &mut dyn Sink) -> ControlFlow<()> {
    let mut input = BufReader::with_capacity(CHUNK, Hashed { input, hash: Sha256::new(), bytes: 0 });
    stream(&mut input, name, 0, sink)?;
    // Behind an archive's end; behind an error there can be anything, as much as it likes.
    let _ = io::copy(&mut input.by_ref().take(TRAILER), &mut io::sink());
    let Hashed { hash, bytes, .. } = input.into_inner();
    sink.ended(name, Content { sha256: hash.finalize().into(), bytes })
}

/// Hashes what is read.
struct Hashed<R> {
    input: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// What a stream holds, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
    Tar,
    Text,
    Empty,
    No(&'static str),
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ if head.get(257..262) == Some(b"ustar") => Self::Tar,
            [b'P', b'K', 3 | 5, ..] => Self::No("a zip archive; unpack it first"),
            [b'B', b'Z', b'h', ..] => Self::No("bzip2; unpack it first"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::No("xz; unpack it first"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::No("lz4; unpack it first"),
            [b'S', b'Q', b'L', b'i', b't', b'e', ..] => Self::No("a database, not a measurement"),
            _ if text.is_empty() => Self::Empty,
            _ if text.starts_with(b"---") || text.starts_with(b"#") || text.starts_with(b"%YAML") => {
                Self::No("a report in YAML, as ooni-probe wrote until 2014; these are not read")
            }
            _ if head.contains(&0) => Self::No("neither JSON nor an archive of it"),
            _ => Self::Text,
        }
    }
}

fn stream(input: &mut dyn BufRead, name: &str, depth: u32, sink: &mut dyn Sink) -> ControlFlow<()> {
    let mut head = Vec::with_capacity(HEAD);
    if let Err(error) = input.take(HEAD as u64).read_to_end(&mut head) {
        sink.unreadable(name, &error.to_string());
        return ControlFlow::Continue(());
    }
    let kind = Kind::of(&head);
    let mut whole = Cursor::new(head).chain(input);
    let result = match kind {
        Kind::No(what) => Err(io::Error::other(format!("this is {what}"))),
        Kind::Empty => Err(io::Error::other("there is nothing in it")),
        Kind::Text => text(&mut whole, name, sink),
        _ if depth >= DEEPEST => Err(io::Error::other("archives within archives are opened five deep")),
        Kind::Gzip => Ok(stream(&mut buffered(MultiGzDecoder::new(whole)), name, depth + 1, sink)),
        Kind::Zstd => Ok(stream(&mut buffered(Frames::new(whole)), name, depth + 1, sink)),
        Kind::Tar => archive(whole, name, depth + 1, sink),
    };
    result.unwrap_or_else(|error| {
        sink.unreadable(name, &error.to_string());
        ControlFlow::Continue(())
    })
}

fn buffered<R: Read>(input: R) -> BufReader<R> {
    BufReader::with_capacity(CHUNK, input)
}

fn text(input: &mut dyn BufRead, name: &str, sink: &mut dyn Sink) -> io::Result<ControlFlow<()>> {
    let start = input.fill_buf()?;
    let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    input.consume(mark);
    sink.text(name, input)
}

/// Hands over the objects of a text one by one.
pub fn objects(name: &str, input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<ControlFlow<()>> {
    values::each(input, values::LIMIT, &mut |found| sink.found(name, found))
}

fn archive(input: impl Read, name: &str, depth: u32, sink: &mut dyn Sink) -> io::Result<ControlFlow<()>> {
    let budget = Rc::new(Cell::new(HEADERS));
    let mut archive = tar::Archive::new(Metered { input, budget: Rc::clone(&budget) });
    let mut entries = archive.entries()?;
    loop {
        budget.set(HEADERS);
        let Some(entry) = entries.next() else { return Ok(ControlFlow::Continue(())) };
        let mut entry = entry?;
        budget.set(u64::MAX);
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let inner = format!("{name}:{}", String::from_utf8_lossy(&entry.path_bytes()));
        if stream(&mut buffered(&mut entry), &inner, depth, sink).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        io::copy(&mut entry, &mut io::sink())?;
    }
}

/// Gives so many bytes and no more, so that no header can fill the memory.
struct Metered<R> {
    input: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        match self.budget.get().checked_sub(count as u64) {
            Some(left) => self.budget.set(left),
            None => return Err(io::Error::other("the archive's headers are larger than any real ones")),
        }
        Ok(count)
    }
}

/// Zstandard frames, one after the other (RFC 8878, section 3).
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    open: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(input: R) -> Self {
        Self { input, decoder: FrameDecoder::new(), open: false }
    }

    /// Begins the next frame; `false` if there is none.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut (&mut self.input).take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.open && !self.next_frame()? {
                return Ok(0);
            }
            self.open = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let wanted = BlockDecodingStrategy::UptoBytes(buffer.len().max(1));
                self.decoder.decode_blocks(&mut self.input, wanted).map_err(io::Error::other)?;
            }
            match self.decoder.read(buffer)? {
                0 if self.decoder.is_finished() => self.open = false,
                count => return Ok(count),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_what_is_in_it() {
        assert_eq!(Kind::of(b"\x1f\x8b\x08"), Kind::Gzip);
        assert_eq!(Kind::of(b"\x28\xb5\x2f\xfd"), Kind::Zstd);
        assert_eq!(Kind::of(b"\xef\xbb\xbf  {\"a\""), Kind::Text);
        assert_eq!(Kind::of(b" \n"), Kind::Empty);
        assert!(
            matches!(Kind::of(b"###########\n# OONI Probe Report\n---\n"), Kind::No(what) if what.contains("YAML"))
        );
        assert!(matches!(Kind::of(b"\x7fELF\0\0"), Kind::No(_)));
    }

    /// Counts what is found.
    #[derive(Default)]
    struct Count {
        objects: u64,
        bad: u64,
    }

    impl Sink for Count {
        fn found(&mut self, _: &str, found: Found<'_>) -> ControlFlow<()> {
            match found {
                Found::Object(..) => self.objects += 1,
                Found::Bad(..) => self.bad += 1,
            }
            ControlFlow::Continue(())
        }

        fn text(&mut self, name: &str, input: &mut dyn BufRead) -> io::Result<ControlFlow<()>> {
            objects(name, input, self)
        }

        fn unreadable(&mut self, _: &str, _: &str) {
            self.bad += 1;
        }
    }

    fn archives() -> Vec<Vec<u8>> {
        let lines: Vec<String> = (0..200).map(|n| format!("{{\"test_keys\": {{\"a\": \"{n}\"}}}}\n")).collect();
        let text = lines.concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::copy(&mut text.as_bytes(), &mut gzip).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in [("a.jsonl", text.as_bytes()), ("b.gz", &gzip)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes).unwrap();
        }
        vec![text.into_bytes(), gzip, zstd, tar.into_inner().unwrap()]
    }

    fn count(mut bytes: &[u8]) -> Count {
        let mut count = Count::default();
        assert!(stream(&mut bytes, "x", 0, &mut count).is_continue());
        count
    }

    #[test]
    fn no_cut_and_no_flipped_byte_of_an_archive_makes_it_panic_or_hang() {
        // A linear congruence of full period (Hull and Dobell 1962): the same numbers everywhere.
        let mut seed = 20_261_126_u32;
        let mut number = |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(seed >> 8).unwrap() % below
        };
        for (archive, objects) in archives().into_iter().zip([200, 200, 200, 400]) {
            let whole = count(&archive);
            assert_eq!((whole.objects, whole.bad), (objects, 0));
            for cut in 0..100 {
                assert!(count(&archive[..archive.len() * cut / 100]).objects <= objects);
            }
            for _ in 0..300 {
                let mut bytes = archive.clone();
                let place = number(bytes.len());
                bytes[place] ^= 1 << number(8);
                assert!(count(&bytes).objects <= objects + 1);
            }
        }
    }
}
