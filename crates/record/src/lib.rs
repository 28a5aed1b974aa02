//! What Faultline records: the data model, the failure vocabulary, and the SQLite file that holds both.
//!
//! Depends on nothing of ours. Facts only: no judgement about a target is stored here.

mod bogon;
mod cells;
mod database;
mod error;
pub mod failure;
mod insert;
mod merge;
mod model;
mod names;
pub mod ooni;
mod reader;
mod schema;
mod tables;
mod uri;
mod writer;

pub use bogon::is_bogon;
pub use database::{Database, Import, RunLock};
pub use error::RecordError;
pub use failure::{Failure, Layer, Operation};
pub use merge::{Conflict, InputReport, MergeReport, Merged, Progress, merge};
pub use model::*;
pub use reader::{Checked, Filter, Reader, Scope, Slice, Sliced, flat};
pub use schema::{APPLICATION_ID, data_format};
pub use writer::{Entry, Writer, WriterReport, WriterStopped};
