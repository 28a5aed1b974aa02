//! Ways for `fuzz/` to the parsers of this module; not in any build but cargo-fuzz's.

use super::message::HelperAnswer;

/// What a client reads of an answer's body.
pub fn answer(body: &[u8]) -> Option<HelperAnswer> {
    super::client::read(body).ok()
}

/// What a helper passes on of a page: its title.
pub fn title(body: &[u8]) -> Option<String> {
    super::answer::title(body)
}

/// Whether a helper would work on a question with this body.
pub fn is_asked(body: &[u8]) -> bool {
    super::guard::check(body).is_ok()
}
