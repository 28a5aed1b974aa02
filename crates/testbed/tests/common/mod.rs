//! What the integration tests share: running something where the client of a scenario is.

#[allow(dead_code, reason = "not every test file looks at packets")]
pub mod capture;

use std::path::PathBuf;
use std::process::{Command, Output};

/// A command that runs the testbed.
pub fn testbed() -> Command {
    Command::new(env!("CARGO_BIN_EXE_testbed"))
}

/// A program of ours, beside the testbed.
#[allow(dead_code, reason = "not every test file starts other programs")]
pub fn beside(program: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_testbed")).with_file_name(program);
    assert!(path.is_file(), "no {program} at {}: run `cargo build --workspace` first", path.display());
    path
}

/// The probe: the one that the environment names, or the one beside the testbed.
#[allow(dead_code, reason = "not every test file starts other programs")]
pub fn probe() -> PathBuf {
    std::env::var_os(testbed::measure::PROBE_VARIABLE).map_or_else(|| beside("probe"), PathBuf::from)
}

/// Whether worlds can be made here. If not, it says that the test is skipped, and why.
pub fn can_run() -> bool {
    let obstacle = testbed::doctor::obstacle();
    if let Some(obstacle) = &obstacle {
        eprintln!("skipped: {obstacle}");
    }
    obstacle.is_none()
}

/// Whether worlds can be made here that need these besides (by their names in `testbed doctor`). If not, it says so.
#[allow(dead_code, reason = "not every test file needs them")]
pub fn can_run_with(things: &[&str]) -> bool {
    let mut found = testbed::doctor::examine();
    found.retain(|finding| things.contains(&finding.what.as_str()));
    assert_eq!(found.len(), things.len(), "the doctor does not know all of {things:?}");
    let fault = found.into_iter().find_map(|finding| finding.fault);
    if let Some(fault) = &fault {
        eprintln!("skipped: {fault}");
    }
    fault.is_none() && can_run()
}

/// What a shell script printed in the client of a scenario.
#[allow(dead_code, reason = "not every test file looks from inside")]
pub fn in_client(scenario: &str, script: &str) -> String {
    let Output { status, stdout, stderr } =
        testbed().args(["shell", scenario, "--", "sh", "-c", script]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    eprintln!("{scenario}: {status}\n{stdout}\n{stderr}");
    // 3 is the testbed's own; the scripts here end with 0.
    assert!(status.success(), "the script failed in {scenario}");
    stdout.into_owned()
}

/// What a shell script printed in the client of a world that this text describes (sites, censors, faults).
#[allow(dead_code, reason = "not every test file makes worlds of its own")]
pub fn in_world(world: &str, script: &str) -> String {
    in_world_at(world, &[], script)
}

/// The same with further options of `testbed shell`.
#[allow(dead_code, reason = "not every test file makes worlds of its own")]
pub fn in_world_at(world: &str, options: &[&str], script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let family = folder.path().join("own");
    std::fs::create_dir(&family).unwrap();
    let text = format!(
        "name = \"own\"\ndescription = \"A world of a test.\"\nfamily = \"own\"\nhelper = false\n{world}\n[truth]\nmeasure = []\n"
    );
    std::fs::write(family.join("own.toml"), text).unwrap();
    let mut command = testbed();
    command.arg("--scenarios").arg(folder.path()).args(["shell", "own"]).args(options).args(["--", "sh", "-c", script]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    eprintln!("{status}\n{stdout}\n{stderr}");
    assert!(status.success(), "the script failed");
    stdout.into_owned()
}
