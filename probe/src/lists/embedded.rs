//! The test-lists that are compiled in. Nothing else of the program knows where they lie.

/// `websites.csv`: sites of general interest.
pub const WEBSITES: &str = include_str!("../../../test-lists/websites.csv");
/// `pk.csv`: sites that matter in Pakistan.
pub const PK: &str = include_str!("../../../test-lists/pk.csv");
/// `categories.toml`.
pub const CATEGORIES: &str = include_str!("../../../test-lists/categories.toml");
/// `controls.toml`.
pub const CONTROLS: &str = include_str!("../../../test-lists/controls.toml");

pub use faultline_verdict::service::{EMBEDDED_SERVICES as SERVICES, EMBEDDED_VPN as VPN};
