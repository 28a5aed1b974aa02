//! The commands, one module each.

mod account;
pub mod evaluate;
pub mod explain;
#[cfg(feature = "engine")]
pub mod export;
pub mod generate;
pub mod import;
pub mod merge;
#[cfg(feature = "engine")]
pub mod query;
pub mod verdicts;
