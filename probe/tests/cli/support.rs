//! Runs the built program, in a folder of its own and, where it could send, in a network namespace that leads nowhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder for one test, and the program in it.
pub struct Bench {
    folder: tempfile::TempDir,
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// The program with these arguments, cut off from the user's own configuration.
    pub fn probe(&self, args: &[&str]) -> Ran {
        self.run(Command::new(env!("CARGO_BIN_EXE_probe")).args(args))
    }

    /// The same in a network namespace without any network.
    pub fn probe_without_network(&self, args: &[&str]) -> Ran {
        self.run(Command::new("unshare").args(["-Urn", env!("CARGO_BIN_EXE_probe")]).args(args))
    }

    /// A shell in namespaces of its own (user, network, mount); `$PROBE` is the program.
    pub fn shell_without_network(&self, script: &str) -> Ran {
        self.run(Command::new("unshare").args(["-Urnm", "sh", "-ec", script]).env("PROBE", env!("CARGO_BIN_EXE_probe")))
    }

    /// A command with the test's own folders and none of the caller's settings.
    pub fn run(&self, command: &mut Command) -> Ran {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FAULTLINE_")) {
            command.env_remove(name);
        }
        command.env("XDG_DATA_HOME", self.path("data")).env("XDG_CONFIG_HOME", self.path("config"));
        command.current_dir(self.folder.path());
        Ran::from(command.output().unwrap())
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// Its lines of JSON.
    pub fn objects(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Whether namespaces can be made here. If not, it says so: the test that asked is skipped.
pub fn namespaces_work() -> bool {
    let works = Command::new("unshare").args(["-Urnm", "true"]).output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: this machine does not let us make namespaces (unshare -Urnm)");
    }
    works
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
