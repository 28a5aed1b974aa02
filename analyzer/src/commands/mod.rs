//! The commands, one module each.

mod account;
pub mod calibrate;
pub mod cells;
pub mod diff;
pub mod evaluate;
pub mod explain;
pub mod import;
pub mod merge;
pub mod verdicts;
