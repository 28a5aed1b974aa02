//! What importers of other tools' data share: lenient JSON, the count of what was odd, ids made from content.

pub(crate) mod json;
pub(crate) mod oddities;

use crate::database::Import;
use crate::model::sha256;

pub use oddities::Oddities;

/// One measurement of another tool's, read.
#[derive(Clone, Debug)]
pub struct Read {
    /// The rows.
    pub import: Import,
    /// What was odd about it.
    pub oddities: Oddities,
    /// Whether its text may be kept: not where it tells an address of the vantage.
    pub may_be_kept: bool,
}

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(crate) String);

/// A `UUIDv7` (RFC 9562, 5.7) whose random bits come from a text's hash, so that the same text always gives the same.
pub(crate) fn stable_id(at_ms: i64, text: &str) -> [u8; 16] {
    let hash = sha256(text.as_bytes());
    let mut id = [0; 16];
    id[..6].copy_from_slice(&at_ms.clamp(0, (1 << 48) - 1).to_be_bytes()[2..]);
    id[6..].copy_from_slice(&hash[..10]);
    id[6] = 0x70 | (id[6] & 0x0f);
    id[8] = 0x80 | (id[8] & 0x3f);
    id
}

/// The length of one object that is read, bytes: OONI's largest real ones are some MB.
pub const LONGEST_OBJECT: usize = 64 << 20;
