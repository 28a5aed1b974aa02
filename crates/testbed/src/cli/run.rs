//! The commands that make worlds, one after the other, and report.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::{CANNOT_RUN, DONE, FAILED};
use crate::measure::{build_probe_under_cargo, find_probe, find_release_probe};
use crate::scenario::Scenario;
use crate::{sandbox, speed};

/// Runs each scenario `repeat` times and says how often the probe was right.
pub(super) fn run(scenarios: &[Scenario], folder: &Path, repeat: u32, out: Option<&Path>) -> Result<u8> {
    let probe = find_probe()?;
    let mut failures = 0;
    for scenario in scenarios {
        let start = Instant::now();
        let mut passed = 0;
        for round in 0..repeat {
            let mut inside = sandbox::command()?;
            inside.arg("--scenarios").arg(folder).args(["measure", &scenario.name]).arg("--probe").arg(&probe);
            if let Some(out) = out {
                let out = std::path::absolute(out.join(round.to_string()))?;
                std::fs::create_dir_all(&out)?;
                inside.arg("--out").arg(out);
            }
            passed += u32::from(inside.status().context("start a world")?.success());
        }
        failures += repeat - passed;
        let word = if passed == repeat { "pass" } else { "FAIL" };
        println!("{word} {passed}/{repeat} {} ({:.1} s)", scenario.name, start.elapsed().as_secs_f64());
    }
    Ok(if failures == 0 { DONE } else { FAILED })
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
