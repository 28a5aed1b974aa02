//! The probe: measures whether targets can be reached, from where it runs, and records every step.
//!
//! `lists` and `cli` say what; `consent` asks; `plan` fixes it; `drive` is the only place with sockets; `measure` walks
//! one target through its steps; `health` watches the vantage itself; `run` does all of it for many targets and records
//! them; `report` prints; `commands` puts these together, one module a command.

pub mod cli;
pub mod clock;
pub mod commands;
pub mod consent;
pub mod drive;
pub mod error;
pub mod follow_up;
pub mod health;
pub mod helper;
pub mod limits;
pub mod lists;
pub mod measure;
pub mod meter;
pub mod pace;
pub mod plan;
pub mod report;
pub mod run;
pub mod vpn_keys;
