//! A helper's answer, and the page that a helper tells of: short, whatever they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probe::helper::fuzz::{answer, title};

fuzz_target!(|bytes: &[u8]| {
    if let Some(answer) = answer(bytes) {
        assert!(answer.addresses.len() <= 64 && answer.dns.addresses.len() <= 64);
        // What was read is read again the same.
        assert_eq!(again(&answer).as_ref(), Some(&answer));
    }
    if let Some(title) = title(bytes) {
        assert!(!title.is_empty() && title.chars().count() <= 200 && !title.contains('\n'));
    }
});

fn again(answer: &probe::helper::message::HelperAnswer) -> Option<probe::helper::message::HelperAnswer> {
    probe::helper::fuzz::answer(&serde_json::to_vec(answer).ok()?)
}
