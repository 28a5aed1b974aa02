//! What a line does to packets besides delaying them: jitter, loss, overtaking, doubling, and a rate.
//!
//! All chance is drawn by the world's seed, the line, the direction and the packet's number on it: the same packets in the
//! same order meet the same fate.

use std::time::{Duration, Instant};

use super::chance::draw;
use super::path::Link;
use crate::scenario::Line;

/// How much later a packet is that others overtake: more than packets of one train are apart.
const OVERTAKEN: Duration = Duration::from_millis(10);

/// The longest wait for a line of low rate: a queue of a fifth of a second, as home routers and submarine detours have.
pub const QUEUE: Duration = Duration::from_millis(200);

/// One direction of a line.
#[derive(Debug, Default)]
pub struct Direction {
    seed: u64,
    packets: u64,
    free: Option<Instant>,
    last: Option<Instant>,
}

/// When a packet arrives at the other end: not at all, once or twice.
pub type Arrivals = [Option<Instant>; 2];

impl Direction {
    /// A direction whose chances are drawn by `seed`, which no other direction should have.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Carries a packet of `length` octets that enters `link` now.
    pub fn carry(&mut self, link: &Link, length: usize, now: Instant) -> Arrivals {
        let usual = now + link.delay;
        if !link.line.is_uneven() {
            return [Some(usual), None];
        }
        self.packets += 1;
        let Line { jitter_ms, loss, reorder, duplicate, rate_kbit, .. } = link.line;
        if self.chance("loss") < loss {
            return [None, None];
        }
        let Some(wait) = self.wait(length, rate_kbit, now) else { return [None, None] };
        let jitter = Duration::from_secs_f64(jitter_ms / 1_000.0 * self.chance("jitter"));
        let arrival = usual + wait + jitter;
        let arrival = if self.chance("reorder") < reorder { arrival + OVERTAKEN } else { self.in_order(arrival) };
        [Some(arrival), (self.chance("duplicate") < duplicate).then_some(arrival)]
    }

    fn chance(&self, of: &str) -> f64 {
        draw(self.seed, (of, self.packets))
    }

    /// Jitter does not let packets overtake each other.
    fn in_order(&mut self, arrival: Instant) -> Instant {
        let arrival = self.last.map_or(arrival, |last| last.max(arrival));
        self.last = Some(arrival);
        arrival
    }

    fn wait(&mut self, length: usize, rate_kbit: Option<u64>, now: Instant) -> Option<Duration> {
        let Some(rate) = rate_kbit else { return Some(Duration::ZERO) };
        queued(&mut self.free, length, rate, now)
    }
}

/// How long a packet waits for, and takes on, a line that carries `rate_kbit` kilobits a second and is busy until `free`.
/// `None`: the queue is full.
pub fn queued(free: &mut Option<Instant>, length: usize, rate_kbit: u64, now: Instant) -> Option<Duration> {
    // Bits over kilobits a second are milliseconds.
    let takes = Duration::from_micros(length as u64 * 8_000 / rate_kbit.max(1));
    let start = free.map_or(now, |at| at.max(now));
    let waited = start - now;
    if waited > QUEUE {
        return None;
    }
    *free = Some(start + takes);
    Some(waited + takes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internet::{ABROAD, topology};
    use crate::scenario::Links;

    fn with(line: Line) -> Link {
        let given = Links { abroad: Line { delay_ms: Some(20.0), ..line }, ..Links::default() };
        topology(&given, std::collections::BTreeSet::new()).link(ABROAD).clone()
    }

    fn carried(line: Line, count: u64) -> Vec<[Option<u128>; 2]> {
        let (wire, start, mut direction) = (with(line), Instant::now(), Direction::new(1));
        let mut carry = |n| direction.carry(&wire, 1_000, start + Duration::from_millis(n));
        (0..count).map(|n| carry(n).map(|at| at.map(|at| (at - start).as_millis()))).collect()
    }

    #[test]
    fn an_even_line_delays_and_does_no_more() {
        assert_eq!(carried(Line::default(), 2), [[Some(20), None], [Some(21), None]]);
    }

    #[test]
    fn packets_are_lost_and_doubled_in_their_shares() {
        let seen = carried(Line { loss: 0.2, duplicate: 0.1, ..Line::default() }, 1_000);
        let (arrived, twice) =
            (seen.iter().flatten().flatten().count(), seen.iter().filter(|a| a[1].is_some()).count());
        assert!((760..=840).contains(&(arrived - twice)), "{arrived} of 1,000");
        assert!((50..=110).contains(&twice), "{twice} twice");
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let arrivals = |line| carried(line, 500).iter().filter_map(|at| at[0]).collect::<Vec<_>>();
        let jittery = arrivals(Line { jitter_ms: 30.0, ..Line::default() });
        assert!(jittery.is_sorted() && jittery.iter().zip(0..).any(|(at, n)| at - n > 40));
        assert!(!arrivals(Line { reorder: 0.1, ..Line::default() }).is_sorted());
    }

    #[test]
    fn a_low_rate_makes_packets_wait_and_then_loses_them() {
        // 1,000 octets take 100 ms at 80 kbit/s; the queue is full after three.
        let seen: Vec<_> = carried(Line { rate_kbit: Some(80), ..Line::default() }, 5).iter().map(|at| at[0]).collect();
        assert_eq!(seen, [Some(120), Some(220), Some(320), None, None]);
    }
}
