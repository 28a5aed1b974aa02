//! The router: one thread that carries every packet between the hosts.
//!
//! Each host's namespace has a TUN device whose other end is here. A packet read from one is due at the core after its
//! link's delay, is judged there by the [`rules`], and is due at the other host after that host's delay. One thread and
//! one heap: no locks, and packets of equal time keep their order.

pub mod client_hello;
pub mod packet;
pub mod path;
mod queue;
pub mod rules;
pub mod sni;

use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::SyncDevice;

use packet::{Packet, Transport};
use path::{LinkId, Topology};
pub use queue::MTU;
use queue::{Frame, Queue, Stage};
use rules::{Judgement, Rule};

/// Packets read from one device before the others have their turn.
const BATCH: usize = 64;

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

/// A running router. It stops when dropped.
#[derive(Debug)]
pub struct Router {
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl Router {
    /// Starts to carry packets. `devices` has one entry a link, `None` for a link that is cut.
    pub fn start(topology: Topology, devices: Vec<Option<SyncDevice>>, rules: Vec<Rule>) -> Result<Self> {
        for device in devices.iter().flatten() {
            device.set_nonblocking(true).context("make a TUN device non-blocking")?;
        }
        let (wake, stop) = UnixStream::pair()?;
        let counters = Arc::new(Counters::default());
        let mut core = Core { topology, devices, rules, queue: Queue::default(), counters: counters.clone() };
        let thread = std::thread::Builder::new().name("router".into()).spawn(move || core.run(&stop))?;
        Ok(Self { wake, thread: Some(thread), counters })
    }

    /// Packets on which a rule acted.
    pub fn acted(&self, _censor: usize, _vantage: &str) -> u64 {
        0
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

struct Core {
    topology: Topology,
    devices: Vec<Option<SyncDevice>>,
    rules: Vec<Rule>,
    queue: Queue,
    counters: Arc<Counters>,
}

impl Core {
    fn run(&mut self, stop: &UnixStream) {
        // Timers of the kernel are rounded by 50 microseconds unless asked otherwise; delays here are to be exact.
        let _ = nix::sys::prctl::set_timerslack(1_000);
        while let Some(readable) = self.wait(stop) {
            for link in readable {
                self.read(link);
            }
            self.move_on();
        }
    }

    /// Waits for packets or for the next arrival; `None` when it is time to stop.
    fn wait(&self, stop: &UnixStream) -> Option<Vec<LinkId>> {
        let links = self.devices.iter().enumerate().filter_map(|(i, device)| Some((LinkId(i), device.as_ref()?)));
        let (ids, mut fds): (Vec<_>, Vec<_>) =
            links.map(|(id, device)| (id, PollFd::new(device.as_fd(), PollFlags::POLLIN))).unzip();
        fds.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
        let timeout = self.queue.next_due().map(|due| due.saturating_duration_since(Instant::now()));
        match ppoll(&mut fds, timeout.map(TimeSpec::from_duration), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Some(Vec::new()),
            Err(_) => return None,
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        if fds.pop().is_some_and(|fd| is_ready(&fd)) {
            return None;
        }
        Some(ids.into_iter().zip(&fds).filter(|(_, fd)| is_ready(fd)).map(|(id, _)| id).collect())
    }

    fn read(&mut self, link: LinkId) {
        let Some(device) = &self.devices[link.0] else { return };
        let delay = self.topology.link(link).delay;
        for _ in 0..BATCH {
            // Nothing more to read, or the host is gone: either way its turn is over.
            let Ok(frame) = self.queue.read(|buffer| device.recv(buffer)) else { return };
            if !self.queue.push(Instant::now() + delay, Stage::ToCore(link), frame) {
                self.counters.overflowed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn move_on(&mut self) {
        let now = Instant::now();
        while let Some((due, stage, frame)) = self.queue.pop(now) {
            match stage {
                Stage::ToCore(from) => self.at_core(due, from, frame),
                Stage::ToHost(to) => self.at_host(to, frame),
            }
        }
    }

    fn at_host(&mut self, to: LinkId, frame: Frame) {
        if let Some(device) = &self.devices[to.0] {
            let counter = match device.send(frame.bytes()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => &self.counters.overflowed,
                _ => &self.counters.delivered,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.queue.recycle(frame);
    }

    fn at_core(&mut self, due: Instant, from: LinkId, mut frame: Frame) {
        let fate = Packet::parse(frame.bytes()).map_or(Fate::Lost, |packet| self.fate(&packet, from, frame.bytes()));
        match fate {
            Fate::Lost => self.queue.recycle(frame),
            Fate::Onward { to, hops } => {
                packet::lower_ttl(frame.bytes_mut(), hops);
                self.send(due, to, frame);
            }
            Fate::Answers(answers) => {
                for (to, bytes) in answers {
                    let answer = self.queue.copy(&bytes);
                    self.send(due, to, answer);
                }
                self.queue.recycle(frame);
            }
        }
    }

    fn send(&mut self, due: Instant, to: LinkId, frame: Frame) {
        let arrival = due + self.topology.link(to).delay;
        if !self.queue.push(arrival, Stage::ToHost(to), frame) {
            self.counters.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fate(&mut self, packet: &Packet<'_>, from: LinkId, bytes: &[u8]) -> Fate {
        if self.topology.link(from).hops.contains(&packet.destination) {
            return Fate::answer(from, answer_of_a_router(packet));
        }
        if let Some(hop) = self.topology.expires_before_core(from, packet.ttl) {
            return Fate::answer(from, packet::time_exceeded(hop, packet, bytes));
        }
        let Some(to) = self.topology.route(packet.destination).filter(|to| *to != from) else { return Fate::Lost };
        let judgement = self.judge(packet, from, to);
        if judgement != Judgement::Pass {
            self.counters.judged.fetch_add(1, Ordering::Relaxed);
        }
        match judgement {
            Judgement::Drop => Fate::Lost,
            Judgement::Reset => Fate::resets(packet, from, to),
            Judgement::Divert(elsewhere) => self.onward(packet, from, elsewhere, bytes),
            Judgement::Pass => self.onward(packet, from, to, bytes),
        }
    }

    fn judge(&mut self, packet: &Packet<'_>, from: LinkId, to: LinkId) -> Judgement {
        let judgements = self.rules.iter_mut().map(|rule| rule.judge(packet, from, to));
        judgements.into_iter().find(|judgement| *judgement != Judgement::Pass).unwrap_or(Judgement::Pass)
    }

    fn onward(&self, packet: &Packet<'_>, from: LinkId, to: LinkId, bytes: &[u8]) -> Fate {
        let before = self.topology.cost(from);
        match self.topology.expires_after_core(to, packet.ttl.saturating_sub(before)) {
            Some(hop) => Fate::answer(from, packet::time_exceeded(hop, packet, bytes)),
            None => Fate::Onward { to, hops: before + self.topology.cost(to) },
        }
    }
}

/// What becomes of a packet at the core.
enum Fate {
    Lost,
    Onward { to: LinkId, hops: u8 },
    Answers(Vec<(LinkId, Vec<u8>)>),
}

impl Fate {
    fn answer(to: LinkId, bytes: Option<Vec<u8>>) -> Self {
        bytes.map_or(Self::Lost, |bytes| Self::Answers(vec![(to, bytes)]))
    }

    fn resets(packet: &Packet<'_>, from: LinkId, to: LinkId) -> Self {
        let Transport::Tcp(segment) = packet.transport else { return Self::Lost };
        let back = packet::reset_back(packet, &segment).map(|bytes| (from, bytes));
        let onward = packet::reset_onward(packet, &segment).map(|bytes| (to, bytes));
        Self::Answers(back.into_iter().chain(onward).collect())
    }
}

/// A home router answers pings and refuses connections.
fn answer_of_a_router(packet: &Packet<'_>) -> Option<Vec<u8>> {
    match packet.transport {
        Transport::Echo(id, sequence, data) => packet::echo_reply(packet, id, sequence, data),
        Transport::Tcp(segment) if !segment.rst => packet::reset_back(packet, &segment),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internet::{ABROAD, ACCESS, CLIENT, GATEWAY, ISP, topology};
    use crate::router::rules::Action;
    use crate::router::sni::{Sentence, SniFilter};
    use crate::scenario::Links;
    use etherparse::PacketBuilder;
    use std::net::IpAddr;

    fn core(rules: Vec<Rule>) -> Core {
        let topology = topology(&Links::default());
        let devices = vec![None, None, None];
        Core { topology, devices, rules, queue: Queue::default(), counters: Arc::default() }
    }

    fn ping(destination: [u8; 4], ttl: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let ping = PacketBuilder::ipv4([100, 64, 10, 2], destination, ttl).icmpv4_echo_request(7, 1);
        ping.write(&mut bytes, b"data").unwrap();
        bytes
    }

    fn syn(destination: [u8; 4], port: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let syn = PacketBuilder::ipv4([100, 64, 10, 2], destination, 64).tcp(40_000, port, 1, 64_240).syn();
        syn.write(&mut bytes, &[]).unwrap();
        bytes
    }

    fn fate(core: &mut Core, bytes: &[u8]) -> Fate {
        core.fate(&Packet::parse(bytes).unwrap(), ACCESS, bytes)
    }

    fn answerer(fate: &Fate) -> Option<IpAddr> {
        let Fate::Answers(answers) = fate else { return None };
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].0, ACCESS);
        Some(Packet::parse(&answers[0].1).unwrap().source)
    }

    #[test]
    fn a_rising_ttl_meets_every_router_once_and_then_arrives() {
        let mut core = core(Vec::new());
        let mut hops = core.topology.link(ACCESS).hops.clone();
        hops.extend(core.topology.link(ABROAD).hops.iter().rev());
        for (ttl, hop) in (1..).zip(&hops) {
            assert_eq!(answerer(&fate(&mut core, &ping([8, 8, 8, 8], ttl))), Some(*hop), "TTL {ttl}");
        }
        let arrives = fate(&mut core, &ping([8, 8, 8, 8], 5));
        assert!(matches!(arrives, Fate::Onward { to: ABROAD, hops: 4 }));
    }

    #[test]
    fn the_gateway_answers_pings_and_refuses_connections() {
        let mut core = core(Vec::new());
        let gateway = [100, 64, 10, 1];
        assert_eq!(answerer(&fate(&mut core, &ping(gateway, 64))), Some(GATEWAY));
        assert_eq!(answerer(&fate(&mut core, &syn(gateway, 80))), Some(GATEWAY));
    }

    #[test]
    fn a_bogon_that_nobody_holds_leads_nowhere() {
        assert!(matches!(fate(&mut core(Vec::new()), &ping([10, 10, 34, 35], 64)), Fate::Lost));
    }

    #[test]
    fn a_censor_does_not_see_what_expires_before_it() {
        let mut core = core(vec![Rule { link: ABROAD, action: Action::DropAll }]);
        assert!(answerer(&fate(&mut core, &ping([8, 8, 8, 8], 2))).is_some());
        assert!(matches!(fate(&mut core, &ping([8, 8, 8, 8], 3)), Fate::Lost));
        assert_eq!(core.counters.judged.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_portal_takes_plain_http_and_nothing_else() {
        let mut core = core(vec![Rule { link: ACCESS, action: Action::Portal { portal: ISP } }]);
        assert!(matches!(fate(&mut core, &syn([8, 8, 8, 8], 80)), Fate::Onward { to: ISP, .. }));
        assert!(matches!(fate(&mut core, &syn([8, 8, 8, 8], 443)), Fate::Lost));
    }

    #[test]
    fn a_reset_goes_to_both_ends() {
        let bytes = syn([8, 8, 8, 8], 443);
        let Fate::Answers(resets) = Fate::resets(&Packet::parse(&bytes).unwrap(), ACCESS, ABROAD) else {
            panic!("no resets")
        };
        let ends: Vec<_> = resets.iter().map(|(to, reset)| (*to, Packet::parse(reset).unwrap().destination)).collect();
        assert_eq!(ends, [(ACCESS, CLIENT), (ABROAD, IpAddr::from([8, 8, 8, 8]))]);
    }

    #[test]
    fn a_listed_name_is_judged_only_on_its_link() {
        let filter = SniFilter::new(&["x.com".into()], Sentence::Reset);
        let mut core = core(vec![Rule { link: ABROAD, action: Action::Sni(filter) }]);
        assert!(matches!(fate(&mut core, &syn([100, 64, 0, 80], 443)), Fate::Onward { to: ISP, .. }));
    }
}
