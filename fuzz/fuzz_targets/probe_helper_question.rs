//! A stranger's question to a helper: refused or worked on, nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probe::helper::fuzz::is_asked;

fuzz_target!(|bytes: &[u8]| {
    let _ = is_asked(bytes);
    // The endpoint alone, in a question that is otherwise right.
    if let Ok(text) = std::str::from_utf8(bytes) {
        let question = serde_json::json!({"schema": "faultline/helper/1", "endpoint": text, "host": "x.example"});
        let _ = is_asked(question.to_string().as_bytes());
    }
});
