//! The commands, one module each.

mod account;
pub mod calibrate;
pub mod cells;
pub mod diff;
pub mod evaluate;
pub mod events;
pub mod explain;
pub mod export;
pub mod feeds;
pub mod generate;
pub mod import;
pub mod ledger;
mod light;
pub mod merge;
#[cfg(feature = "engine")]
pub mod query;
#[cfg(feature = "engine")]
pub mod tables;
pub mod verdicts;
