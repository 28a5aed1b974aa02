//! Lists from anywhere: every row is an endpoint that prints as what it parses to, or a problem with its file.
#![no_main]

use faultline_record::Endpoint;
use libfuzzer_sys::fuzz_target;
use probe::lists::{csv_list, service};

fuzz_target!(|bytes: &[u8]| {
    let with_head = [b"url,category_code\n", bytes].concat();
    for text in [bytes, &with_head] {
        match csv_list::parse("f", text) {
            Ok(rows) => rows.iter().for_each(|row| stands(&row.endpoint)),
            Err(problems) => assert!(!problems.is_empty()),
        }
    }
    if let Err(problems) = service::parse("f", bytes) {
        assert!(!problems.is_empty());
    }
});

/// The file keeps what an endpoint prints: it must mean the same when it is read.
fn stands(endpoint: &Endpoint) {
    let printed = endpoint.to_string();
    assert_eq!(Endpoint::parse(&printed).as_ref(), Ok(endpoint), "{printed}");
}
