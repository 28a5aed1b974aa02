//! Local health: what the vantage itself can do, before, while and after targets are measured.
//!
//! `link` reads this machine's own tables; `check` asks the controls; `signals` and `middlebox` turn what was seen of them into facts;
//! `monitor` does so through a run. What the facts mean is derived by the verdict's crate, and stored nowhere.

pub mod check;
pub mod link;
pub mod middlebox;
pub mod monitor;
pub mod signals;

pub use check::{Checker, canary_answered};
pub use link::LinkFacts;
pub use monitor::{Monitor, lets_targets_begin};
