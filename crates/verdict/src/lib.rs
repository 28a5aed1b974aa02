//! From observations to verdicts: features, then rules, then fusion, then a decision. Pure functions; no socket, no
//! file, no clock. The probe and the analyzer use the same ones, so that both say the same of the same facts.
//!
//! What each finding is worth stands in `rules.toml`; the methodology page of the documentation explains it.

mod cells;
mod company;
mod context;
mod decide;
mod events;
mod features;
mod fingerprint;
mod fuse;
mod gate;
pub mod goodput;
mod health;
mod json;
pub mod label;
mod line;
pub mod paired;
mod quic;
mod rules;
pub mod service;
mod table;
mod text;
mod verdict;
mod withheld;
pub mod words;

pub use cells::{Answered, Cell, Cells, Counts, Existence, Grid, Prevalence, Profile, Rung, resolvers};
pub use company::Company;
pub use context::{
    Context, ControlState, Entry, FeedWord, HOUR_MS, Hour, NetworkKey, Place, Proves, Question, Software, Submitter,
    Teller, begin, endpoint_key, hour, hours_between,
};
pub use decide::{Grounds, judge, judge_with};
pub use events::{Controls, Event, Events, Found, Hypothesis, Interval, Kind, Onset};
pub use fingerprint::{
    Compile, Fingerprint, FingerprintError, FingerprintProblem, Fingerprints, Location, Matches, Meaning, Row, Scope,
    no_regexps,
};
pub use fuse::{shares, stands_beside, weigh};
pub use health::{HealthState, LocalHealth, local_health};
pub use json::{measurement_json, verdict_json, verdict_line};
pub use table::{Likelihoods, Rule, Table, TableError, Threshold, table};
pub use text::{sentence_of, state_words, summary_sentence, tunnel_words};
pub use verdict::{Cause, Evidence, Probabilities, State, Verdict};
pub use withheld::{Withheld, is_withheld};
