//! The place where worlds are made: user, mount, network and process namespaces of their own.
//!
//! `testbed` starts itself again under `unshare`. Everything that a world makes (devices, namespaces, files in `/run`,
//! daemons) hangs on the first process in there; when that dies, in whatever way, the kernel takes the rest.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Set in the environment of everything that runs inside.
const INSIDE: &str = "FAULTLINE_TESTBED_INSIDE";

/// The exit code after an interrupt, as shells have it.
const INTERRUPTED: i32 = 130;

/// What `unshare` is asked for. `--kill-child` binds the inner processes to it.
pub const UNSHARE: &[&str] = &[
    "--user",
    "--map-root-user",
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation=private",
];

/// Whether this process is already inside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A command that runs this program inside, with these arguments, and that dies with the calling thread.
pub fn command() -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("inside").arg("--parent").arg(std::process::id().to_string());
    Ok(command)
}

/// Replaces this process by the same one inside. Comes back only on failure.
///
/// `parent` is the process whose end is to be the end of the world.
pub fn enter(parent: Option<u32>) -> Result<Infallible> {
    if let Some(parent) = parent {
        set_pdeathsig(Signal::SIGKILL).context("bind the world to its parent")?;
        if std::os::unix::process::parent_id() != parent {
            bail!("the parent process is gone");
        }
    }
    let error = Command::new("unshare")
        .args(UNSHARE)
        .arg("--")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .env("PATH", path_with_daemons())
        .exec();
    Err(error).context("run unshare")
}

/// The search path, with the folders of the daemons, which not everybody has.
fn path_with_daemons() -> String {
    format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", std::env::var("PATH").unwrap_or_default())
}

/// Makes `/run` ours: it is seen by nobody else and goes away with us.
pub fn prepare(resolver_configuration: &str) -> Result<()> {
    let names = Path::new("/etc/resolv.conf").canonicalize().context("find /etc/resolv.conf")?;
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=0755", "testbed", "/run"]))?;
    std::fs::create_dir_all("/run/testbed")?;
    if names.starts_with("/run") {
        std::fs::create_dir_all(names.parent().unwrap_or(&names))?;
        std::fs::write(&names, resolver_configuration)?;
    } else {
        replace(&names, "/run/testbed/resolv.conf", resolver_configuration)?;
    }
    let hosts = Path::new("/etc/hosts");
    if hosts.exists() {
        replace(hosts, "/run/testbed/hosts", "127.0.0.1 localhost\n")?;
    }
    Ok(())
}

fn replace(file: &Path, with: &str, content: &str) -> Result<()> {
    std::fs::write(with, content)?;
    run(Command::new("mount").args(["--bind", with]).arg(file))
}

/// Ends this process, and with it the world, when it is asked to stop.
pub fn stop_on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(())
}

/// Runs a short command; its words are the error when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("run {}", name_of(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", name_of(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn name_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
