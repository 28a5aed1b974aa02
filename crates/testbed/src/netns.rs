//! Network namespaces: making them, working in them, and the TUN device that joins each to the router.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::router::MTU;
use crate::sandbox::run;

/// Packets that may wait in a device for the router.
const DEVICE_QUEUE: u32 = 10_000;

/// A named network namespace. It lives as long as the sandbox.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace with its loopback device up, with IPv6 or without.
    pub fn create(name: &str, ipv6: bool) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let namespace = Self { name: name.into() };
        namespace.inside(|| {
            // Where there is no IPv6, hosts would give themselves link-local addresses; where there is, nobody asks the TUN
            // device whether an address is taken (RFC 4862 section 5.4).
            let (setting, value) = if ipv6 { ("accept_dad", "0") } else { ("disable_ipv6", "1") };
            for device in ["all", "default"] {
                let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{device}/{setting}"), value);
            }
        })?;
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that will run in this namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs `work` in this namespace, on a thread of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = std::fs::File::open(self.path()).with_context(|| format!("open the namespace {}", self.name))?;
        let enter = || -> Result<T> {
            setns(&file, CloneFlags::CLONE_NEWNET).context("enter a network namespace")?;
            Ok(work())
        };
        std::thread::scope(|scope| scope.spawn(enter).join()).map_err(|_| anyhow!("work in a namespace panicked"))?
    }

    /// Makes the TUN device that joins this namespace to the router, and gives the router's end.
    pub fn join(&self) -> Result<SyncDevice> {
        let build = || DeviceBuilder::new().name("uplink").inherit_enable_state().build_sync();
        let device = self.inside(build)?.context("make a TUN device")?;
        self.ip(&format!("link set uplink mtu {MTU} txqueuelen {DEVICE_QUEUE} up\n"))?;
        Ok(device)
    }

    /// Gives the host its addresses and sends everything else to the router.
    pub fn address(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<()> {
        let (mut script, mut v6) = (String::new(), false);
        for address in addresses {
            writeln!(script, "address add {address} dev uplink")?;
            v6 |= address.is_ipv6();
        }
        script.push_str("route add default dev uplink\n");
        if v6 {
            script.push_str("route add ::/0 dev uplink\n");
        }
        self.ip(&script)
    }

    /// Makes the host take every address for its own, save that of `peer`, with which it talks.
    ///
    /// The table `local` has to have the route: the kernel looks nowhere else for the source address of an answer.
    pub fn accept_any_address(&self, peer: IpAddr) -> Result<()> {
        self.ip(&format!(
            "route add local default dev lo table local\nrule add to {peer} lookup main priority 5\n\
             rule add lookup local priority 10\nrule del lookup local priority 0\n"
        ))
    }

    /// The TCP connections that servers here have accepted since the namespace was made, as its kernel counts them.
    pub fn accepted_connections(&self) -> Result<u64> {
        let text = self.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))??;
        let mut tcp = text.lines().filter(|line| line.starts_with("Tcp:")).map(str::split_whitespace);
        let (names, counts) = tcp.next().zip(tcp.next()).context("the kernel counts no TCP")?;
        let found = names.zip(counts).find(|(name, _)| *name == "PassiveOpens");
        found.context("the kernel counts no connections")?.1.parse().context("read a count of the kernel")
    }

    /// Runs lines of `ip` commands here.
    pub fn ip(&self, script: &str) -> Result<()> {
        let mut child = Command::new("ip")
            .args(["-netns", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("run ip")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(script.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("ip in {}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// A command in a namespace whose `/etc/resolv.conf` is the file at `resolvers`.
pub fn with_resolvers(namespace: &Namespace, resolvers: &Path, program: &OsStr) -> Result<Command> {
    let names = Path::new("/etc/resolv.conf").canonicalize().context("find /etc/resolv.conf")?;
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let mut command = namespace.command("unshare");
    command.args(["--mount", "--propagation=private", "--", "sh", "-c", script, "sh"]);
    command.arg(resolvers).arg(names).arg(program);
    Ok(command)
}
