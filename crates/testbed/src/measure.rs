//! Running the unmodified `probe` in the client's place.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

use crate::scenario::Scenario;
use crate::truth::Difference;
use crate::world::World;

/// Names the probe's binary when it is not beside this one.
pub const PROBE_VARIABLE: &str = "FAULTLINE_PROBE";

/// A probe that takes longer than this, in seconds, has hung.
const LONGEST_RUN: &str = "300";

/// The probe to be measured with: the one that the environment names, or the one beside this program.
pub fn find_probe() -> Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("probe"));
    let path = std::env::var_os(PROBE_VARIABLE).map(PathBuf::from).or_else(beside).unwrap_or_default();
    if !path.is_file() {
        bail!(
            "no probe at {}: build it first (`cargo build -p faultline-probe`) or name it in {PROBE_VARIABLE}",
            path.display()
        );
    }
    Ok(path)
}

/// What came of one run.
#[derive(Debug)]
pub struct Outcome {
    /// What the probe printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
    /// Where it was wrong.
    pub differences: Vec<Difference>,
}

/// Measures all inputs of `scenario` in `world` and compares.
pub fn measure(world: &World, scenario: &Scenario, probe: &Path, database: &Path) -> Result<Outcome> {
    let mut command = check(world, scenario, probe, database);
    let Output { status, stdout, stderr } = command.arg("--json").output().context("run the probe")?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let differences = scenario.truth.compare(status.code(), &stdout);
    Ok(Outcome { stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), differences })
}

/// Measures all inputs and lets the probe talk to the terminal.
pub fn show(world: &World, scenario: &Scenario, probe: &Path, database: &Path) -> Result<Option<i32>> {
    let status = check(world, scenario, probe, database).status().context("run the probe")?;
    Ok(status.code())
}

fn check(world: &World, scenario: &Scenario, probe: &Path, database: &Path) -> Command {
    let mut command = world.client_command("timeout");
    command.args(["--kill-after=5", LONGEST_RUN]).arg(probe).arg("check");
    command.args(scenario.truth.measure.iter().map(|expectation| &expectation.input));
    command.arg("--yes").arg("--db").arg(database).arg("--ca-file").arg(world.authority_file());
    command
}
