//! The router: one thread that carries every packet between the hosts.
//!
//! Each host's namespace has a TUN device whose other end is here. A packet read from one is due at the core after its
//! [`mod@line`] has let it through, meets [`fault`]s and [`censor`]s there, and is due at the other host after that host's line.
//! One thread and one heap: no locks, and packets of equal time keep their order.

pub mod capture;
pub mod censor;
pub mod chance;
pub mod client_hello;
mod clock;
mod core;
mod divert;
pub mod fault;
pub mod line;
pub mod packet;
pub mod path;
mod queue;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use tun_rs::SyncDevice;

use self::clock::Clock;
use self::core::Core;
use crate::scenario::{Censor, Fault};
use path::Topology;
pub use queue::MTU;

/// What the router did; for people who want to know whether it was the bottleneck.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets given to a host.
    pub delivered: AtomicU64,
    /// Packets that a rule did not let pass.
    pub judged: AtomicU64,
    /// Packets lost for want of room, here or in a host's queue.
    pub overflowed: AtomicU64,
}

/// What goes wrong on the way, and the seed of all chance in it.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// The names of the vantages, by their numbers in the topology.
    pub vantages: Vec<String>,
    /// What is broken.
    pub faults: Vec<Fault>,
    /// What censors do.
    pub censors: Vec<Censor>,
    /// The seed.
    pub seed: u64,
    /// Where captures of all links go, if they are wanted.
    pub captures: Option<PathBuf>,
}

/// A running router. It stops when dropped.
#[derive(Debug)]
pub struct Router {
    clock: Arc<Mutex<Clock>>,
    acted: Arc<[AtomicU64]>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl Router {
    /// Starts to carry packets. `devices` has one entry a link, `None` for a link that is cut.
    pub fn start(topology: Topology, devices: Vec<Option<SyncDevice>>, orders: &Orders) -> Result<Self> {
        for device in devices.iter().flatten() {
            device.set_nonblocking(true).context("make a TUN device non-blocking")?;
        }
        let (wake, stop) = UnixStream::pair()?;
        let counters = Arc::new(Counters::default());
        let mut core = Core::new(topology, devices, orders, counters.clone())?;
        let (clock, acted) = (core.clock(), core.acted());
        let thread = std::thread::Builder::new().name("router".into()).spawn(move || core.run(&stop))?;
        Ok(Self { clock, acted, wake, thread: Some(thread), counters })
    }

    /// Begins a phase: what `when` says counts from now on.
    pub fn enter(&self, phase: &str) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Clock::start(phase);
    }

    /// Packets on which the censor with this number has acted.
    pub fn acted(&self, censor: usize) -> u64 {
        self.acted.get(censor).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// What it did so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.wake.write_all(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
