//! Verdicts scored against the truth: how often they are right, how far their probabilities can be trusted, and where
//! they are worst. Pure; the command reads the files.

mod calibration;
pub mod check;
mod cost;
mod detection;
mod events;
pub mod label;
pub mod markdown;
mod matrix;
mod mechanisms;
mod risk;
pub(crate) mod row;
mod scores;
pub mod share;

pub use calibration::Calibration;
pub use events::EventScores;
pub use row::Row;
pub use scores::{Basis, Evaluation};
pub use share::float;
