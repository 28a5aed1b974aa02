//! What a file holds, as a hash: by which the ledger knows it again.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::uri::beside;

/// Length of the header of a database (<https://sqlite.org/fileformat2.html>, 1.3).
const HEADER: usize = 100;

/// SHA-256 of a database's pages and then of its write-ahead log, and how many bytes that is. What lies behind the pages that the header
/// counts is no part of it, be it as long as it will.
pub(crate) fn of_database(file: &Path) -> io::Result<([u8; 32], u64)> {
    let mut digest = Digested::default();
    let mut header = Vec::with_capacity(HEADER);
    let mut input = File::open(file)?;
    (&mut input).take(HEADER as u64).read_to_end(&mut header)?;
    let pages = pages(&header).unwrap_or(u64::MAX);
    digest.add(&header);
    digest.read(&mut input.take(pages.saturating_sub(HEADER as u64)))?;
    match File::open(beside(file, "-wal")) {
        Ok(log) => digest.read(&mut BufReader::new(log))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(digest.finish())
}

/// Bytes of the pages that the header counts; `None` where the count does not hold (1.3.6, 1.3.7).
fn pages(header: &[u8]) -> Option<u64> {
    let four = |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let size = header.get(16..18).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)?;
    let size = if size == 1 { 65_536 } else { u64::from(size) };
    let (changes, count, valid_for) = (four(24)?, four(28)?, four(92)?);
    (changes == valid_for && count > 0).then(|| u64::from(count) * size)
}

/// A hash in the making.
#[derive(Default)]
struct Digested {
    hash: Sha256,
    bytes: u64,
}

impl Digested {
    fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn read(&mut self, input: &mut impl Read) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.add(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn finish(self) -> ([u8; 32], u64) {
        (self.hash.finalize().into(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    #[test]
    fn what_lies_behind_the_pages_and_the_name_make_no_difference_and_the_log_does() {
        let folder = tempfile::tempdir().unwrap();
        let [file, copy] = ["a.sqlite", "b.sqlite"].map(|name| folder.path().join(name));
        drop(Database::open_or_create(&file).unwrap());
        let (hash, bytes) = of_database(&file).unwrap();
        assert_eq!(bytes, std::fs::metadata(&file).unwrap().len());
        std::fs::copy(&file, &copy).unwrap();
        File::options().write(true).open(&copy).unwrap().set_len(bytes + (1 << 36)).unwrap();
        assert_eq!(of_database(&copy).unwrap(), (hash, bytes));
        std::fs::write(beside(&copy, "-wal"), b"x").unwrap();
        assert_ne!(of_database(&copy).unwrap().0, hash);
    }
}
