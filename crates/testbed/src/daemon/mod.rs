//! Real daemons in the hosts' namespaces: started, waited for by talking to them, stopped.

pub mod caddy;
pub mod nginx;
pub mod odd;
pub mod proxy;
pub mod quic;
pub mod tunnels;
pub mod unbound;
pub mod vpn;

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns::Namespace;

/// How long a daemon may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two looks at a daemon that does not answer yet.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// How long a daemon that is told to stop may take; `SoftEther`'s never does.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long an answer may take on the daemon's own host.
const ANSWER: Duration = Duration::from_millis(500);

/// Where a daemon is to be found when it is ready.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// It accepts connections.
    Tcp(SocketAddr),
    /// It answers DNS queries over UDP.
    Dns(SocketAddr),
    /// It is bound to this UDP port.
    Udp(u16),
}

/// A running daemon. It is stopped when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    namespace: Namespace,
    child: Child,
    log: PathBuf,
    endpoints: Vec<Endpoint>,
}

impl Daemon {
    /// Starts a program that stays in the foreground; what it says goes to a file in `folder`.
    pub fn start(namespace: &Namespace, mut command: Command, folder: &Path, endpoints: Vec<Endpoint>) -> Result<Self> {
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let log = folder.join("log");
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name, namespace: namespace.clone(), child, log, endpoints })
    }

    /// Waits until every endpoint answers.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for endpoint in self.endpoints.clone() {
            while !self.namespace.inside(|| answers(endpoint))? {
                if let Some(status) = self.child.try_wait()? {
                    bail!("{} ended ({status}): {}", self.name, self.words());
                }
                if Instant::now() > deadline {
                    bail!("{} does not answer at {endpoint:?}: {}", self.name, self.words());
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        Ok(())
    }

    fn words(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + FAREWELL;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp(address) => TcpStream::connect_timeout(&address, ANSWER).is_ok(),
        Endpoint::Dns(address) => answers_dns(address).unwrap_or(false),
        Endpoint::Udp(port) => ["udp", "udp6"].into_iter().any(|table| is_bound(table, port)),
    }
}

/// Whether a socket of this network namespace has the port, as the kernel's table says (`proc_pid_net(5)`).
fn is_bound(table: &str, port: u16) -> bool {
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
    let end = format!(":{port:04X}");
    text.lines().skip(1).any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&end)))
}

/// A query for the addresses of the root, by hand: twelve octets of header, an empty name, type A, class IN.
const QUERY: [u8; 17] = [0x7e, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];

fn answers_dns(address: SocketAddr) -> io::Result<bool> {
    let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))?;
    socket.set_read_timeout(Some(ANSWER))?;
    socket.connect(address)?;
    socket.send(&QUERY)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    Ok(length >= 12 && answer[..2] == QUERY[..2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_port_is_seen_and_a_free_one_is_not() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(answers(Endpoint::Udp(port)));
        drop(socket);
        assert!(!answers(Endpoint::Udp(port)));
    }
}
