//! The commands that make worlds, one after the other, and report.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{CANNOT_RUN, DONE, FAILED};
use crate::measure::find_probe;
use crate::sandbox;
use crate::scenario::Scenario;

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
