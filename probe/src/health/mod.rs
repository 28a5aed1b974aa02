//! Local health: what the vantage itself can do.

pub mod link;
