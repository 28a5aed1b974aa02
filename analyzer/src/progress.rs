//! A progress bar on standard error, where a person watches it and nothing else is printed to the same terminal.

use std::io::{self, IsTerminal};
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use faultline_verdict::words::clean;

/// What the bar shows.
const TEMPLATE: &str = "{msg} [{bar:30}] {human_pos} of {human_len}, {eta} to go";

/// A bar, or nothing.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar beside results on standard output: only where those do not go to a terminal.
    pub fn beside_results() -> Self {
        if io::stdout().is_terminal() { Self(ProgressBar::hidden()) } else { Self::visible() }
    }

    /// A bar; indicatif shows it only where standard error is a terminal.
    pub fn visible() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// A counter beside results on standard output: only where those do not go to a terminal.
    #[cfg(feature = "engine")]
    pub fn beside_results_counting(what: &'static str) -> Self {
        if io::stdout().is_terminal() { Self(ProgressBar::hidden()) } else { Self::counting(what) }
    }

    /// A counter of things whose number is not known before.
    pub fn counting(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("{human_pos} {msg} in {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    /// A file of so many measurements begins.
    pub fn begin(&self, file: &Path, of: u64) {
        self.0.set_length(of);
        self.0.set_position(0);
        self.0.set_message(clean(&file.file_name().unwrap_or_default().to_string_lossy()));
        self.0.reset_eta();
    }

    /// One more is done.
    pub fn step(&self) {
        self.0.inc(1);
    }

    /// So many more are done.
    pub fn steps(&self, count: u64) {
        self.0.inc(count);
    }

    /// So many of a file's measurements are done.
    pub fn show(&self, file: &Path, done: u64, of: u64) {
        if done == 0 {
            self.begin(file, of);
        }
        self.0.set_position(done);
    }

    /// Prints to standard output without tearing the bar.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
