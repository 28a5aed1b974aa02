//! Running the unmodified `probe` in the client's place.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

use crate::daemon::vpn::{WIREGUARD_CLIENT_KEYS, WIREGUARD_FIRST_CLIENT};
use crate::scenario::{Scenario, Vantage};
use crate::truth::Truth;
use crate::world::World;

/// Names the probe's binary when it is not beside this one.
pub const PROBE_VARIABLE: &str = "FAULTLINE_PROBE";

/// A probe that takes longer than this, in seconds, has hung.
const LONGEST_RUN: &str = "300";

/// A program of ours, beside this one.
pub fn beside(program: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(program);
    if !path.is_file() {
        bail!("no {program} at {}: build it first (`cargo build -p faultline-{program}`)", path.display());
    }
    Ok(path)
}

/// The probe to be measured with: the one that the environment names, or the one beside this program.
pub fn find_probe() -> Result<PathBuf> {
    let Some(named) = std::env::var_os(PROBE_VARIABLE).map(PathBuf::from) else { return beside("probe") };
    if !named.is_file() {
        bail!("no probe at {}, which {PROBE_VARIABLE} names", named.display());
    }
    Ok(named)
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
    find_release("probe", "faultline-probe")
}

/// The release build of a program of ours.
///
/// # Errors
/// It is not there.
pub fn find_release(program: &str, package: &str) -> Result<PathBuf> {
    let folder = std::env::current_exe()?.parent().and_then(Path::parent).map(|target| target.join("release"));
    let path = folder.unwrap_or_default().join(program);
    if !path.is_file() {
        bail!("no {program} at {}: build it first (`cargo build --release -p {package}`)", path.display());
    }
    Ok(path)
}

/// What the probe said in one run.
#[derive(Debug)]
pub struct Said {
    /// How it ended; none if it was killed.
    pub exit_code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

/// Measures all inputs that `scenario` has for a vantage in a phase.
pub fn measure(
    world: &World,
    scenario: &Scenario,
    vantage: &Vantage,
    phase: &str,
    probe: &Path,
    database: &Path,
) -> Result<Said> {
    let truth = scenario.truth.at(&vantage.name, phase);
    let mut command = check(world, scenario, (&vantage.name, &truth), probe, database)?;
    let Output { status, stdout, stderr } = command.arg("--json").output().context("run the probe")?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { exit_code: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

/// Measures all inputs and lets the probe talk to the terminal.
pub fn show(world: &World, scenario: &Scenario, probe: &Path, database: &Path) -> Result<Option<i32>> {
    let vantage = scenario.vantage.first().map_or("", |vantage| &vantage.name);
    let mut command = check(world, scenario, (vantage, &scenario.truth), probe, database)?;
    let status = command.status().context("run the probe")?;
    Ok(status.code())
}

fn check(
    world: &World,
    scenario: &Scenario,
    (vantage, truth): (&str, &Truth),
    probe: &Path,
    database: &Path,
) -> Result<Command> {
    let mut command = world.client_command_at(vantage, "timeout")?;
    command.args(["--kill-after=5", LONGEST_RUN]).arg(probe).arg("check");
    command.args(truth.measure.iter().map(|expectation| &expectation.input)).args(&scenario.arguments);
    let declared = scenario.vantage.iter().find(|own| own.name == vantage);
    if let Some(asn) = declared.and_then(|own| own.asn) {
        command.arg("--asn").arg(asn.to_string());
    }
    if let Some(country) = declared.and_then(|own| own.country.as_ref()) {
        command.args(["--country", country]);
    }
    command.args(["--yes", "--yes-vpn"]).arg("--db").arg(database).arg("--ca-file").arg(world.authority_file());
    if let Some(keys) = &scenario.vpn_keys {
        let file = database.with_extension("keys.toml");
        let keys = keys.replace("{world}", &world.folder().display().to_string());
        std::fs::write(&file, own_keys(scenario, vantage, &keys)).context("write the keys")?;
        command.arg("--vpn-keys").arg(file);
    }
    if let Some(helper) = world.helper_url() {
        command.args(["--helper", &helper]);
    }
    Ok(command)
}

/// The keys of a vantage: two clients with one key would shut each other out.
fn own_keys(scenario: &Scenario, vantage: &str, keys: &str) -> String {
    let number = scenario.vantage.iter().position(|own| own.name == vantage).unwrap_or_default();
    let client = (number + WIREGUARD_FIRST_CLIENT).to_string();
    let key = WIREGUARD_CLIENT_KEYS.get(number).copied().unwrap_or_default();
    keys.replace("{client-key}", key).replace("{client}", &client)
}
