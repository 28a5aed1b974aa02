//! Where a measurement comes from that another tool made.

/// The provenance of an imported measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The format it was imported from: `ooni`.
    pub format: String,
    /// The tool's name for the test.
    pub test_name: String,
    /// The test's version.
    pub test_version: Option<String>,
    /// The report it belongs to (OONI's `report_id`).
    pub report: Option<String>,
    /// The tool's own identifier of the measurement (OONI's `measurement_uid`).
    pub uid: Option<String>,
    /// SHA-256 of the measurement as it stood in the input, without white space around it.
    pub sha256: [u8; 32],
}
