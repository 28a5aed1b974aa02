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

/// Builds the probe, if this program was itself started by `cargo run`: a newcomer's first command has to do it all.
pub fn build_probe_under_cargo() -> Result<()> {
    let Some(cargo) = std::env::var_os("CARGO").filter(|_| std::env::var_os(PROBE_VARIABLE).is_none()) else {
        return Ok(());
    };
    let is_release = std::env::current_exe()?.parent().is_some_and(|folder| folder.ends_with("release"));
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "faultline-probe"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if is_release {
        command.arg("--release");
    }
    let status = command.status().context("build the probe")?;
    anyhow::ensure!(status.success(), "the probe does not build");
    Ok(())
}

/// The release build of the probe, for figures.
pub fn find_release_probe() -> Result<PathBuf> {
    if std::env::var_os(PROBE_VARIABLE).is_some() {
        return find_probe();
    }
    let folder = std::env::current_exe()?.parent().and_then(Path::parent).map(|target| target.join("release"));
    let path = folder.unwrap_or_default().join("probe");
    if !path.is_file() {
        bail!("no probe at {}: build it first (`cargo build --release -p faultline-probe`)", path.display());
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
