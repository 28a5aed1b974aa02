//! The router's thread: packets in, packets out, and what becomes of them in between.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::SyncDevice;

use super::capture::{Captures, Way};
use super::censor::{Filter, Ruling, View};
use super::clock::{Clock, Scope};
use super::divert::Diversions;
use super::fault::{Effect, Fault, Passage};
use super::line::Direction;
use super::packet::{self, Packet, Transport};
use super::path::{Hop, LinkId, Topology};
use super::queue::{Frame, Queue, Stage};
use super::{Counters, Orders};
use crate::scenario::Place;

/// Packets read from one device before the others have their turn.
const BATCH: usize = 64;

/// Both directions of a line.
#[derive(Debug)]
struct Ways {
    to_core: Direction,
    to_host: Direction,
}

pub(super) struct Core {
    topology: Topology,
    devices: Vec<Option<SyncDevice>>,
    lines: Vec<Ways>,
    faults: Vec<(Scope, Fault)>,
    censors: Vec<(Scope, Place, Filter)>,
    diversions: Diversions,
    captures: Option<Captures>,
    clock: Arc<Mutex<Clock>>,
    acted: Arc<[AtomicU64]>,
    queue: Queue,
    counters: Arc<Counters>,
}

impl Core {
    pub(super) fn new(
        topology: Topology,
        devices: Vec<Option<SyncDevice>>,
        orders: &Orders,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let seeded = |n: usize| orders.seed.wrapping_add(n as u64);
        let faults = orders.faults.iter().enumerate();
        let censors = orders.censors.iter().enumerate();
        let names = &orders.vantages;
        let way = |n| Direction::new(orders.seed.rotate_left(32).wrapping_add(n));
        let ways = |n: u64| Ways { to_core: way(2 * n), to_host: way(2 * n + 1) };
        Ok(Self {
            lines: (0..).take(topology.links.len()).map(ways).collect(),
            captures: orders.captures.as_deref().map(|folder| Captures::new(&topology, folder)).transpose()?,
            topology,
            devices,
            faults: faults.map(|(n, f)| (Scope::of(&f.when, names), Fault::new(&f.broken, seeded(n)))).collect(),
            censors: censors.map(|(n, c)| (Scope::of(&c.when, names), c.at, Filter::new(c, seeded(n)))).collect(),
            diversions: Diversions::default(),
            clock: Arc::new(Mutex::new(Clock::start(""))),
            acted: orders.censors.iter().map(|_| AtomicU64::new(0)).collect(),
            queue: Queue::default(),
            counters,
        })
    }

    pub(super) fn clock(&self) -> Arc<Mutex<Clock>> {
        self.clock.clone()
    }

    pub(super) fn acted(&self) -> Arc<[AtomicU64]> {
        self.acted.clone()
    }

    pub(super) fn run(&mut self, stop: &UnixStream) {
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
        for _ in 0..BATCH {
            // Nothing more to read, or the host is gone: either way its turn is over.
            let Ok(frame) = self.queue.read(|buffer| device.recv(buffer)) else { return };
            let now = Instant::now();
            if let Some(captures) = &mut self.captures {
                captures.keep(link, Way::Out, frame.bytes(), now);
            }
            let arrivals = self.lines[link.0].to_core.carry(self.topology.link(link), frame.bytes().len(), now);
            if !self.queue.push_all(arrivals, Stage::ToCore(link), frame) {
                self.counters.overflowed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn move_on(&mut self) {
        let now = Instant::now();
        while let Some((due, stage, frame)) = self.queue.pop(now) {
            match stage {
                Stage::ToCore(from) => self.at_core(due, from, frame),
                Stage::Held(to) => self.send(due, to, frame),
                Stage::ToHost(to) => self.at_host(to, frame, now),
            }
        }
    }

    fn at_host(&mut self, to: LinkId, frame: Frame, now: Instant) {
        if let Some(device) = &self.devices[to.0] {
            if let Some(captures) = &mut self.captures {
                captures.keep(to, Way::In, frame.bytes(), now);
            }
            let counter = match device.send(frame.bytes()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => &self.counters.overflowed,
                _ => &self.counters.delivered,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.queue.recycle(frame);
    }

    fn at_core(&mut self, due: Instant, from: LinkId, mut frame: Frame) {
        let original = Packet::parse(frame.bytes()).and_then(|packet| self.diversions.original(&packet));
        if let Some(original) = original {
            packet::readdress(frame.bytes_mut(), Some(original), None);
        }
        let fate =
            Packet::parse(frame.bytes()).map_or_else(Fate::lost, |packet| self.fate(&packet, from, frame.bytes(), due));
        for (to, bytes) in fate.answers {
            let answer = self.queue.copy(&bytes);
            self.send(due, to, answer);
        }
        match fate.onward {
            Some(Onward { to, hops, late, elsewhere }) => {
                packet::lower_ttl(frame.bytes_mut(), hops);
                if elsewhere.is_some() {
                    packet::readdress(frame.bytes_mut(), None, elsewhere);
                }
                if late.is_zero() {
                    self.send(due, to, frame);
                } else if !self.queue.push(due + late, Stage::Held(to), frame) {
                    self.counters.overflowed.fetch_add(1, Ordering::Relaxed);
                }
            }
            None => self.queue.recycle(frame),
        }
    }

    fn send(&mut self, due: Instant, to: LinkId, frame: Frame) {
        let arrivals = self.lines[to.0].to_host.carry(self.topology.link(to), frame.bytes().len(), due);
        if !self.queue.push_all(arrivals, Stage::ToHost(to), frame) {
            self.counters.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fate(&mut self, packet: &Packet<'_>, from: LinkId, bytes: &[u8], now: Instant) -> Fate {
        let here = self.topology.link(from).hops.iter().any(|hop| hop.is(packet.destination));
        let Some(to) = self.topology.route(packet.destination).filter(|to| *to != from).or(here.then_some(from)) else {
            return Fate::lost();
        };
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let vantage = self.vantage(from, to);
        let place = |link: LinkId| self.topology.link(link).place;
        let passage = Passage { from: place(from), to: place(to), length: bytes.len(), now };
        let (effect, late) = self.faults(&clock, vantage, packet, passage);
        match effect {
            Effect::Lost => return Fate::lost(),
            Effect::Refused => return Fate::answer(from, answer_of_a_router(packet)),
            _ if here => return Fate::answer(from, answer_of_a_router(packet)),
            Effect::ToPortal => {
                let portal = vantage.and_then(|vantage| self.topology.near(vantage, Place::Isp));
                return portal.map_or_else(Fate::lost, |portal| self.onward(packet, from, portal, bytes));
            }
            Effect::None | Effect::Late(_) => {}
        }
        if let Some(hop) = self.topology.expires_before_core(from, packet.ttl) {
            return Fate::answer(from, expired_at(hop, packet, bytes));
        }
        if passage.is_abroad() {
            return self.onward(packet, from, to, bytes).after(late);
        }
        let upward = passage.from == Place::Access || (passage.from == Place::Isp && passage.to != Place::Access);
        let view = View { packet, bytes, upward, now };
        self.censored(&clock, &view, vantage, (from, to)).after(late)
    }

    /// The vantage that a packet between these links is about.
    fn vantage(&self, from: LinkId, to: LinkId) -> Option<usize> {
        self.topology.link(from).vantage.or(self.topology.link(to).vantage)
    }

    /// The first effect that stops the packet, or all delays together.
    fn faults(
        &mut self,
        clock: &Clock,
        vantage: Option<usize>,
        packet: &Packet<'_>,
        passage: Passage,
    ) -> (Effect, Duration) {
        let mut late = Duration::ZERO;
        for (scope, fault) in &mut self.faults {
            if !scope.holds(clock, vantage, passage.now) || (passage.is_abroad() && !fault.is_of_hosts()) {
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

    fn censored(
        &mut self,
        clock: &Clock,
        view: &View<'_>,
        vantage: Option<usize>,
        (from, to): (LinkId, LinkId),
    ) -> Fate {
        let (mut late, mut added, mut elsewhere) = (Duration::ZERO, Vec::new(), None);
        let place = |link: LinkId| self.topology.link(link).place;
        let mut places = [place(from), place(to)];
        for (n, (scope, at, filter)) in self.censors.iter_mut().enumerate() {
            if !places.contains(at) || !scope.holds(clock, vantage, view.now) {
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
                Ruling::Divert(server) => {
                    elsewhere = Some(server);
                    places = [places[0], self.topology.route(server.ip()).map_or(places[1], place)];
                }
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
        let fate = match elsewhere {
            Some(server) => self.diverted(view, from, server),
            None => self.onward(view.packet, from, to, view.bytes),
        };
        let mut fate = fate.after(late);
        fate.answers.extend(added);
        fate
    }

    fn diverted(&mut self, view: &View<'_>, from: LinkId, server: SocketAddr) -> Fate {
        let Some(to) = self.topology.route(server.ip()) else { return Fate::lost() };
        self.diversions.remember(view.packet, server);
        let mut fate = self.onward(view.packet, from, to, view.bytes);
        if let Some(onward) = &mut fate.onward {
            onward.elsewhere = Some(server);
        }
        fate
    }

    fn onward(&self, packet: &Packet<'_>, from: LinkId, to: LinkId, bytes: &[u8]) -> Fate {
        let before = self.topology.cost(from);
        if let Some(hop) = self.topology.expires_after_core(to, packet.ttl.saturating_sub(before)) {
            return Fate::answer(from, expired_at(hop, packet, bytes));
        }
        let onward = Onward { to, hops: before + self.topology.cost(to), late: Duration::ZERO, elsewhere: None };
        Fate { onward: Some(onward), answers: Vec::new() }
    }
}

/// Where a packet goes on to.
#[derive(Debug, PartialEq, Eq)]
struct Onward {
    to: LinkId,
    hops: u8,
    late: Duration,
    /// Another server than the one that it was sent to.
    elsewhere: Option<SocketAddr>,
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

fn expired_at(hop: Hop, packet: &Packet<'_>, bytes: &[u8]) -> Option<Vec<u8>> {
    packet::time_exceeded(hop.beside(packet.source), packet, bytes)
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
mod tests;
