//! The commands that make worlds, and report.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;

use super::{CANNOT_RUN, DONE, FAILED};
use crate::measure::{build_probe_under_cargo, find_probe, find_release_probe};
use crate::scenario::Scenario;
use crate::{sandbox, speed};

/// How scenarios are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds<'a> {
    /// How many times each.
    pub(super) repeat: u32,
    /// Worlds at the same time.
    pub(super) jobs: NonZeroUsize,
    /// Where databases and output are kept, if they are.
    pub(super) out: Option<&'a Path>,
}

/// Runs each scenario some times and says how often the probe was right. Every round has a world of its own; most of a
/// round is waiting for time-outs, so that some can be run beside each other.
pub(super) fn run(scenarios: &[Scenario], folder: &Path, rounds: Rounds<'_>) -> Result<u8> {
    let probe = find_probe()?;
    let work: Vec<(usize, u32)> =
        (0..rounds.repeat).flat_map(|round| (0..scenarios.len()).map(move |n| (n, round))).collect();
    let next = AtomicUsize::new(0);
    let take = || work.get(next.fetch_add(1, Ordering::Relaxed)).copied();
    let one = || -> Result<Vec<(usize, bool)>> {
        let mut ended = Vec::new();
        while let Some((scenario, round)) = take() {
            ended.push((scenario, round_passes(&scenarios[scenario], folder, &probe, round, rounds.out)?));
        }
        Ok(ended)
    };
    let start = Instant::now();
    let ended: Vec<(usize, bool)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..rounds.jobs.get()).map(|_| scope.spawn(one)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?
    .concat();
    let mut failures = 0;
    for (n, scenario) in scenarios.iter().enumerate() {
        let passed = ended.iter().filter(|(of, passed)| *of == n && *passed).count();
        let all = ended.iter().filter(|(of, _)| *of == n).count();
        failures += all - passed;
        println!("{} {passed}/{all} {}", if passed == all { "pass" } else { "FAIL" }, scenario.name);
    }
    println!("{} passed, {failures} failed", ended.len() - failures);
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
    Ok(if failures == 0 { DONE } else { FAILED })
}

/// Whether the probe was right in one world; if not, the child has said where it was wrong.
fn round_passes(scenario: &Scenario, folder: &Path, probe: &Path, round: u32, out: Option<&Path>) -> Result<bool> {
    let mut inside = sandbox::command()?;
    inside.arg("--scenarios").arg(folder).args(["measure", &scenario.name]).arg("--probe").arg(probe);
    if let Some(out) = out {
        let out = std::path::absolute(out.join(round.to_string()))?;
        std::fs::create_dir_all(&out)?;
        inside.arg("--out").arg(out);
    }
    Ok(inside.status().context("start a world")?.success())
}

/// Shows what the probe says in each scenario.
pub(super) fn demo(scenarios: &[Scenario], folder: &Path) -> Result<u8> {
    build_probe_under_cargo()?;
    let probe = match find_probe() {
        Ok(probe) => probe,
        Err(error) => {
            eprintln!("testbed: {error:#}");
            return Ok(CANNOT_RUN);
        }
    };
    let mut code = DONE;
    for scenario in scenarios {
        println!("{}: {}\n", scenario.name, scenario.description);
        let mut inside = sandbox::command()?;
        inside.arg("--scenarios").arg(folder).args(["show", &scenario.name]).arg("--probe").arg(&probe);
        if !inside.status().context("start a world")?.success() {
            code = FAILED;
        }
        println!();
    }
    Ok(code)
}

/// The parts of the speed figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Binary size and the time of `--help`.
    Files,
    /// The router's own throughput.
    Router,
    /// As many measurements as the processor allows.
    Local,
    /// A thousand targets at the end of a path of 50 ms.
    Path,
}

impl Part {
    /// Measures it.
    pub(super) fn figures(self, probe: &Path) -> Result<Vec<speed::Figure>> {
        match self {
            Self::Files => speed::files::figures(probe),
            Self::Router => speed::router::figures(),
            Self::Local => speed::local::figures(probe),
            Self::Path => speed::path::figures(probe),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Measures the parts, all if none is named; each has a world of its own.
pub(super) fn speed(parts: &[Part]) -> Result<u8> {
    let probe = find_release_probe()?;
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let mut code = DONE;
    for part in parts {
        println!("{}", part.name());
        let met = if *part == Part::Files {
            speed::print(&part.figures(&probe)?)
        } else {
            let mut inside = sandbox::command()?;
            inside.args(["speed", &part.name()]).arg("--probe").arg(&probe);
            inside.status().context("start a world")?.success()
        };
        if !met {
            code = FAILED;
        }
    }
    Ok(code)
}
