//! What Faultline records: the data model, the failure vocabulary, and the SQLite file that holds both.
//!
//! Depends on nothing of ours. Facts only: no judgement about a target is stored here.

pub mod failure;
mod model;
mod names;

pub use failure::{Failure, Layer, Operation};
pub use model::*;
