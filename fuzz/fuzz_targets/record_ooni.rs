//! A measurement of OONI's: any text gives rows that a file can hold, or a refusal.
#![no_main]

use faultline_record::ooni;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(read) = ooni::read(text) else { return };
    for measurement in &read.import.measurements {
        let rows = &measurement.observations;
        assert!(rows.len() <= 65_535 && rows.iter().all(|row| row.t0_ms >= 0.0 && row.t_ms.is_finite()));
        // What was read can be written, and that be read.
        if let Some(json) = ooni::write(measurement, &read.import.run, measurement.started_at) {
            assert!(ooni::read(json.to_string().as_bytes()).is_ok());
        }
    }
});
