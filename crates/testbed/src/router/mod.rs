//! The router: one thread that carries every packet between the hosts.
//!
//! Each host's namespace has a TUN device whose other end is here. A packet read from one is due at the core after its
//! link's delay, meets [`fault`]s and [`censor`]s there, and is due at the other host after that host's delay. One thread and
//! one heap: no locks, and packets of equal time keep their order.

pub mod censor;
pub mod chance;
pub mod client_hello;
pub mod fault;
pub mod packet;
pub mod path;
mod queue;

use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::SyncDevice;

use packet::{Packet, Transport};
use path::{LinkId, Topology};
pub use queue::MTU;
use queue::{Frame, Queue, Stage};

use censor::{Filter, Ruling, View};
use fault::{Effect, Fault, Passage};

use crate::internet::{ABROAD, ACCESS, HOME, ISP};
use crate::scenario::{Censor, Place, When};

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

/// What goes wrong on the way, and the seed of all chance in it.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// What is broken.
    pub faults: Vec<crate::scenario::Fault>,
    /// What censors do.
    pub censors: Vec<Censor>,
    /// The seed.
    pub seed: u64,
}

/// The phase that is, and when it began.
#[derive(Debug, Clone)]
struct Clock {
    phase: String,
    start: Instant,
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
        let mut core = Core::new(topology, devices, orders, counters.clone());
        let (clock, acted) = (core.clock.clone(), core.acted.clone());
        let thread = std::thread::Builder::new().name("router".into()).spawn(move || core.run(&stop))?;
        Ok(Self { clock, acted, wake, thread: Some(thread), counters })
    }

    /// Begins a phase: what `when` says counts from now on.
    pub fn enter(&self, phase: &str) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) =
            Clock { phase: phase.into(), start: Instant::now() };
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

struct Core {
    topology: Topology,
    devices: Vec<Option<SyncDevice>>,
    faults: Vec<(When, Fault)>,
    censors: Vec<(When, LinkId, Filter)>,
    clock: Arc<Mutex<Clock>>,
    acted: Arc<[AtomicU64]>,
    queue: Queue,
    counters: Arc<Counters>,
}

fn link_of(place: Place) -> LinkId {
    match place {
        Place::Access => ACCESS,
        Place::Isp => ISP,
        Place::Home => HOME,
        Place::Abroad => ABROAD,
    }
}

impl Clock {
    fn is_on(&self, when: &When, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.start);
        let after = Duration::from_millis(when.after_ms);
        let in_time = since >= after && when.for_ms.is_none_or(|long| since < after + Duration::from_millis(long));
        in_time && (when.phases.is_empty() || when.phases.contains(&self.phase))
    }
}

impl Core {
    fn new(topology: Topology, devices: Vec<Option<SyncDevice>>, orders: &Orders, counters: Arc<Counters>) -> Self {
        let seeded = |n: usize| orders.seed.wrapping_add(n as u64);
        let faults = orders.faults.iter().enumerate();
        let censors = orders.censors.iter().enumerate();
        Self {
            topology,
            devices,
            faults: faults.map(|(n, f)| (f.when.clone(), Fault::new(&f.broken, seeded(n)))).collect(),
            censors: censors.map(|(n, c)| (c.when.clone(), link_of(c.at), Filter::new(c, seeded(n)))).collect(),
            clock: Arc::new(Mutex::new(Clock { phase: String::new(), start: Instant::now() })),
            acted: orders.censors.iter().map(|_| AtomicU64::new(0)).collect(),
            queue: Queue::default(),
            counters,
        }
    }

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
        let fate =
            Packet::parse(frame.bytes()).map_or_else(Fate::lost, |packet| self.fate(&packet, from, frame.bytes(), due));
        for (to, bytes) in fate.answers {
            let answer = self.queue.copy(&bytes);
            self.send(due, to, answer);
        }
        match fate.onward {
            Some(Onward { to, hops, late }) => {
                packet::lower_ttl(frame.bytes_mut(), hops);
                self.send(due + late, to, frame);
            }
            None => self.queue.recycle(frame),
        }
    }

    fn send(&mut self, due: Instant, to: LinkId, frame: Frame) {
        let arrival = due + self.topology.link(to).delay;
        if !self.queue.push(arrival, Stage::ToHost(to), frame) {
            self.counters.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fate(&mut self, packet: &Packet<'_>, from: LinkId, bytes: &[u8], now: Instant) -> Fate {
        let here = self.topology.link(from).hops.contains(&packet.destination);
        let Some(to) = self.topology.route(packet.destination).filter(|to| *to != from).or(here.then_some(from)) else {
            return Fate::lost();
        };
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let passage = Passage { from, to, length: bytes.len(), now };
        let (effect, late) = self.faults(&clock, packet, passage);
        match effect {
            Effect::Lost => return Fate::lost(),
            Effect::Refused => return Fate::answer(from, answer_of_a_router(packet)),
            _ if here => return Fate::answer(from, answer_of_a_router(packet)),
            Effect::ToPortal => return self.onward(packet, from, ISP, bytes),
            Effect::None | Effect::Late(_) => {}
        }
        if let Some(hop) = self.topology.expires_before_core(from, packet.ttl) {
            return Fate::answer(from, packet::time_exceeded(hop, packet, bytes));
        }
        let view = View { packet, bytes, upward: from == ACCESS, now };
        self.censored(&clock, &view, from, to).after(late)
    }

    /// The first effect that stops the packet, or all delays together.
    fn faults(&mut self, clock: &Clock, packet: &Packet<'_>, passage: Passage) -> (Effect, Duration) {
        let mut late = Duration::ZERO;
        for (when, fault) in &mut self.faults {
            if !clock.is_on(when, passage.now) {
                continue;
            }
            match fault.effect(packet, passage) {
                Effect::None => {}
                Effect::Late(more) => late += more,
                stop => {
                    self.counters.judged.fetch_add(1, Ordering::Relaxed);
                    return (stop, late);
                }
            }
        }
        (Effect::None, late)
    }

    fn censored(&mut self, clock: &Clock, view: &View<'_>, from: LinkId, to: LinkId) -> Fate {
        let (mut late, mut added) = (Duration::ZERO, Vec::new());
        for (n, (when, link, filter)) in self.censors.iter_mut().enumerate() {
            if (*link != from && *link != to) || !clock.is_on(when, view.now) {
                continue;
            }
            let ruling = filter.rule(view);
            if ruling == Ruling::Pass {
                continue;
            }
            self.acted[n].fetch_add(1, Ordering::Relaxed);
            self.counters.judged.fetch_add(1, Ordering::Relaxed);
            match ruling {
                Ruling::Drop => return Fate { onward: None, answers: added },
                Ruling::Late(more) => late += more,
                Ruling::Answer { pass, back, onward } => {
                    added.extend(back.into_iter().map(|bytes| (from, bytes)));
                    added.extend(onward.into_iter().map(|bytes| (to, bytes)));
                    if !pass {
                        return Fate { onward: None, answers: added };
                    }
                }
                Ruling::Pass => {}
            }
        }
        let mut fate = self.onward(view.packet, from, to, view.bytes).after(late);
        fate.answers.extend(added);
        fate
    }

    fn onward(&self, packet: &Packet<'_>, from: LinkId, to: LinkId, bytes: &[u8]) -> Fate {
        let before = self.topology.cost(from);
        if let Some(hop) = self.topology.expires_after_core(to, packet.ttl.saturating_sub(before)) {
            return Fate::answer(from, packet::time_exceeded(hop, packet, bytes));
        }
        let onward = Onward { to, hops: before + self.topology.cost(to), late: Duration::ZERO };
        Fate { onward: Some(onward), answers: Vec::new() }
    }
}

/// Where a packet goes on to.
#[derive(Debug, PartialEq, Eq)]
struct Onward {
    to: LinkId,
    hops: u8,
    late: Duration,
}

/// What becomes of a packet at the core.
#[derive(Debug, PartialEq, Eq)]
struct Fate {
    onward: Option<Onward>,
    answers: Vec<(LinkId, Vec<u8>)>,
}

impl Fate {
    fn lost() -> Self {
        Self { onward: None, answers: Vec::new() }
    }

    fn answer(to: LinkId, bytes: Option<Vec<u8>>) -> Self {
        Self { onward: None, answers: bytes.map(|bytes| (to, bytes)).into_iter().collect() }
    }

    fn after(mut self, late: Duration) -> Self {
        if let Some(onward) = &mut self.onward {
            onward.late += late;
        }
        self
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
    use crate::internet::{CLIENT, GATEWAY, topology};
    use crate::scenario::{Broken, Links};
    use etherparse::PacketBuilder;
    use std::net::IpAddr;

    fn core(text: &str) -> Core {
        #[derive(serde::Deserialize)]
        struct Rules {
            #[serde(default)]
            censor: Vec<Censor>,
        }
        let censors = toml::from_str::<Rules>(text).unwrap().censor;
        let orders = Orders { censors, seed: 1, ..Orders::default() };
        Core::new(
            topology(&Links::default(), std::collections::BTreeSet::new()),
            vec![None, None, None, None],
            &orders,
            Arc::default(),
        )
    }

    fn broken(broken: Broken) -> Core {
        let faults = vec![crate::scenario::Fault { when: When::default(), broken }];
        let orders = Orders { faults, ..Orders::default() };
        Core::new(
            topology(&Links::default(), std::collections::BTreeSet::new()),
            vec![None, None, None, None],
            &orders,
            Arc::default(),
        )
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
        core.fate(&Packet::parse(bytes).unwrap(), ACCESS, bytes, Instant::now())
    }

    fn answerer(fate: &Fate) -> Option<IpAddr> {
        let [(ACCESS, bytes)] = &fate.answers[..] else { return None };
        Some(Packet::parse(bytes).unwrap().source)
    }

    fn goes_to(fate: &Fate) -> Option<LinkId> {
        fate.onward.as_ref().map(|onward| onward.to)
    }

    #[test]
    fn a_rising_ttl_meets_every_router_once_and_then_arrives() {
        let mut core = core("");
        let mut hops = core.topology.link(ACCESS).hops.clone();
        hops.extend(core.topology.link(ABROAD).hops.iter().rev());
        for (ttl, hop) in (1..).zip(&hops) {
            assert_eq!(answerer(&fate(&mut core, &ping([8, 8, 8, 8], ttl))), Some(*hop), "TTL {ttl}");
        }
        let arrives = fate(&mut core, &ping([8, 8, 8, 8], 5));
        assert_eq!(arrives.onward, Some(Onward { to: ABROAD, hops: 4, late: Duration::ZERO }));
    }

    #[test]
    fn the_gateway_answers_pings_and_refuses_connections() {
        let mut core = core("");
        let gateway = [100, 64, 10, 1];
        assert_eq!(answerer(&fate(&mut core, &ping(gateway, 64))), Some(GATEWAY));
        assert_eq!(answerer(&fate(&mut core, &syn(gateway, 80))), Some(GATEWAY));
        let mut dead = broken(Broken::GatewayDown);
        assert_eq!(fate(&mut dead, &ping(gateway, 64)), Fate::lost());
    }

    #[test]
    fn a_bogon_that_nobody_holds_leads_nowhere() {
        assert_eq!(fate(&mut core(""), &ping([10, 10, 34, 35], 64)), Fate::lost());
    }

    const DROP: &str = "[[censor]]\nmatch = { kind = 'ip', addresses = ['8.8.8.8'] }\naction = { kind = 'drop' }\n";

    #[test]
    fn a_censor_does_not_see_what_expires_before_it() {
        let mut core = core(DROP);
        assert!(answerer(&fate(&mut core, &ping([8, 8, 8, 8], 2))).is_some());
        assert_eq!(fate(&mut core, &ping([8, 8, 8, 8], 3)), Fate::lost());
        assert_eq!(core.acted[0].load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_censor_sees_its_own_link_only() {
        let text = "[[censor]]\nmatch = { kind = 'ip' }\naction = { kind = 'drop' }\n";
        assert_eq!(goes_to(&fate(&mut core(text), &syn([100, 64, 0, 80], 443))), Some(ISP));
        assert_eq!(fate(&mut core(text), &syn([8, 8, 8, 8], 443)), Fate::lost());
    }

    #[test]
    fn the_portal_takes_plain_http_and_nothing_else() {
        let mut core = broken(Broken::CaptivePortal);
        assert_eq!(goes_to(&fate(&mut core, &syn([8, 8, 8, 8], 80))), Some(ISP));
        assert_eq!(fate(&mut core, &syn([8, 8, 8, 8], 443)), Fate::lost());
    }

    #[test]
    fn a_reset_by_address_goes_to_the_client_alone() {
        let fate = fate(&mut core(&DROP.replace("'drop'", "'reset'")), &syn([8, 8, 8, 8], 443));
        let ends: Vec<_> =
            fate.answers.iter().map(|(to, reset)| (*to, Packet::parse(reset).unwrap().destination)).collect();
        assert_eq!((fate.onward, ends), (None, vec![(ACCESS, CLIENT)]));
    }

    #[test]
    fn a_rule_holds_in_its_phase_and_in_its_time() {
        let start = Instant::now();
        let clock = Clock { phase: "during".into(), start };
        let when = When { phases: vec!["during".into()], after_ms: 100, for_ms: Some(50), ..When::default() };
        let at = |ms| clock.is_on(&when, start + Duration::from_millis(ms));
        assert_eq!([at(99), at(100), at(149), at(150)], [false, true, true, false]);
        let before = Clock { phase: "before".into(), start };
        assert!(!before.is_on(&when, start + Duration::from_millis(120)));
    }
}
