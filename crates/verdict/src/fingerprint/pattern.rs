//! Patterns, and how they are compared.

use std::fmt;
use std::net::IpAddr;

use memchr::memmem::Finder;

use super::FingerprintError;

/// Compiles a regular expression into a function that says whether a text matches. A dot matches a newline (RE2's `s`, which
/// OONI's patterns want). Programs that read no patterns of others do without: see [`no_regexps`].
pub type Compile = fn(&str) -> Result<Matches, String>;

/// Whether a text matches.
pub type Matches = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// For programs without regular expressions: refuses every one.
///
/// # Errors
/// Always.
pub fn no_regexps(_: &str) -> Result<Matches, String> {
    Err("regular expressions cannot be used here".to_owned())
}

/// How a pattern is compared.
pub(super) enum Pattern {
    /// The text, and the address that it is, if it is one.
    Full(String, Option<IpAddr>),
    Prefix(String),
    Contains(Box<Finder<'static>>),
    Regexp(Matches),
}

impl Pattern {
    pub(super) fn new(kind: &str, pattern: &str, compile: Compile) -> Result<Self, FingerprintError> {
        if pattern.trim().is_empty() {
            return Err(FingerprintError::EmptyPattern);
        }
        Ok(match kind {
            "full" => Self::Full(pattern.to_owned(), pattern.parse().ok()),
            "prefix" => Self::Prefix(pattern.to_owned()),
            "contains" => Self::Contains(Box::new(Finder::new(pattern).into_owned())),
            "regexp" => Self::Regexp(compile(pattern).map_err(FingerprintError::Regexp)?),
            other => return Err(FingerprintError::PatternType(other.to_owned())),
        })
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Full(pattern, _) => text == pattern.as_bytes(),
            Self::Prefix(pattern) => text.starts_with(pattern.as_bytes()),
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::Regexp(matches) => matches(&String::from_utf8_lossy(text)),
        }
    }

    /// Whether this is that address, however either is written.
    pub(super) fn is_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Full(_, own) => *own == Some(address),
            _ => self.matches(address.to_string().as_bytes()),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(pattern, _) => write!(f, "full {pattern:?}"),
            Self::Prefix(pattern) => write!(f, "prefix {pattern:?}"),
            Self::Contains(finder) => write!(f, "contains {:?}", String::from_utf8_lossy(finder.needle())),
            Self::Regexp(_) => f.write_str("regexp"),
        }
    }
}
