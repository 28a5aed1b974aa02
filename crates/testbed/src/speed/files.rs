//! What needs no world: the size of the probe's binary, and how soon it answers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{Figure, Target, as_f64};

/// Starts of which the middle one counts.
const STARTS: usize = 21;

/// Binary size and time of `--help`.
pub fn figures(probe: &Path) -> Result<Vec<Figure>> {
    let size = std::fs::metadata(probe).with_context(|| format!("look at {}", probe.display()))?.len();
    let megabytes = as_f64(usize::try_from(size)?) / 1e6;
    let mut times = (0..STARTS).map(|_| help(probe)).collect::<Result<Vec<_>>>()?;
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    Ok(vec![
        Figure::new("binary", megabytes, "MB", Target::AtMost(20.0)),
        Figure::new("probe --help, median of 21", milliseconds(times[STARTS / 2]), "ms", Target::AtMost(30.0)),
        Figure::new("probe --help, slowest of 21", milliseconds(times[STARTS - 1]), "ms", Target::Any),
    ])
}

fn help(probe: &Path) -> Result<Duration> {
    let start = Instant::now();
    let status = Command::new(probe).arg("--help").stdout(Stdio::null()).status()?;
    ensure!(status.success(), "probe --help failed");
    Ok(start.elapsed())
}
