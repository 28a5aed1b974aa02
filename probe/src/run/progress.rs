//! How far a run is: a bar on a terminal, nothing elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows it, or does not.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar over so many targets, if somebody is there to see it.
    pub fn new(targets: usize, quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(targets as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} targets, {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One target is done.
    pub fn one_more(&self) {
        self.0.inc(1);
    }

    /// The run is over: the bar makes room for the table.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
