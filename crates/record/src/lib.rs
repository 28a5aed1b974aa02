//! What Faultline records: the data model, the failure vocabulary, and the SQLite file that holds both.
//!
//! Depends on nothing of ours. Facts only: no judgement about a target is stored here.

mod bogon;
mod cells;
pub mod censored_planet;
mod clock;
mod content;
mod database;
mod error;
pub mod failure;
pub mod feed_text;
mod feeds;
pub mod foreign;
mod insert;
mod ledger;
mod merge;
mod model;
mod names;
pub mod ooni;
mod packed;
mod reader;
mod schema;
mod tables;
mod uri;
mod writer;

pub use bogon::is_bogon;
pub use clock::WrongClock;
pub use database::{Added, Database, Import, RunLock};
pub use error::RecordError;
pub use failure::{Failure, Layer, Operation};
pub use merge::{Conflict, InputReport, MergeReport, Merged, Progress, merge};
pub use model::*;
pub use reader::{Checked, Filter, Reader, Scope, Slice, Sliced, flat};
pub use schema::{APPLICATION_ID, data_format};
pub use writer::{Entry, Writer, WriterReport, WriterStopped};
