//! Runs.

pub mod canary;
