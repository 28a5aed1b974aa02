//! The commands, one module each.

mod account;
pub mod evaluate;
pub mod explain;
pub mod generate;
pub mod import;
pub mod merge;
#[cfg(feature = "engine")]
pub mod query;
#[cfg(feature = "engine")]
pub mod tables;
pub mod verdicts;
