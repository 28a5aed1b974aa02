//! File names as SQLite's URIs, so that no name can be taken for one by accident, and the names of what SQLite keeps beside a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A URI file name (<https://sqlite.org/uri.html>): every byte that could mean something else is escaped.
pub(crate) fn uri(file: &Path, query: &str) -> String {
    let mut uri = String::from(if file.is_absolute() { "file://" } else { "file:" });
    for &byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(byte)),
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    format!("{uri}?{query}")
}

/// What SQLite keeps beside a file (`-wal`, `-shm`).
pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mean_something_else_is_escaped() {
        assert_eq!(
            uri(Path::new("/tmp/a?b#c%20 ü.sqlite"), "mode=ro"),
            "file:///tmp/a%3Fb%23c%2520%20%C3%BC.sqlite?mode=ro"
        );
        assert_eq!(uri(Path::new("//tmp/a"), "mode=ro"), "file:////tmp/a?mode=ro");
        assert_eq!(uri(Path::new("file:a"), "mode=ro"), "file:file%3Aa?mode=ro");
    }
}
