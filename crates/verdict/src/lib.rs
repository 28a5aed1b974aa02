//! From observations to verdicts: features, then rules, then fusion, then a decision. Pure functions; no socket, no
//! file, no clock. The probe and the analyzer use the same ones, so that both say the same of the same facts.
//!
//! What each finding is worth stands in `rules.toml`; the methodology page of the documentation explains it.

mod company;
mod decide;
mod features;
mod fingerprint;
mod fuse;
mod gate;
pub mod goodput;
mod health;
mod json;
pub mod paired;
mod quic;
mod rules;
mod table;
mod text;
mod verdict;
pub mod words;

pub use company::Company;
pub use decide::{judge, judge_among, judge_with};
pub use fingerprint::{
    Compile, Fingerprint, FingerprintError, FingerprintProblem, Fingerprints, Location, Matches, Meaning, Row, Scope,
    no_regexps,
};
pub use health::{HealthState, LocalHealth, local_health};
pub use json::{measurement_json, verdict_json};
pub use table::{Likelihoods, Rule, Table, Threshold, table};
pub use text::{state_words, summary_sentence};
pub use verdict::{Cause, Evidence, Probabilities, State, Verdict};
