//! An object of Censored Planet's: any text gives rows that a file can hold, a word on what else it is, or a refusal.
#![no_main]

use faultline_record::censored_planet::{Object, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for place in ["", "CP_Quack-echo-2020-08-23-06-01-02/results.json", "CP_Satellite-2020-09-02-12-00-01.tar:answers.json"] {
        if let Ok(Object::Measurement(read)) = read(text, place) {
            let rows = &read.import.measurements[0].observations;
            assert!(!rows.is_empty() && rows.len() <= 256, "{} rows", rows.len());
            assert!(rows.iter().all(|row| row.t0_ms >= 0.0 && row.t_ms >= row.t0_ms && row.t_ms.is_finite()));
        }
    }
});
