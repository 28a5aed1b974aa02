//! Actions that let a flow live, slowly or for a while: policing, shaping, loss, freezing.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::super::chance::draw;
use super::{Action, Flow, Ruling, View};

/// What is remembered of one flow.
#[derive(Debug, Default)]
struct Carried {
    bytes: u64,
    packets: u64,
}

/// The state of a slowing action: one bucket each way for all its flows together, and what each flow has carried.
#[derive(Debug)]
pub struct Pace {
    action: Action,
    up: Bucket,
    down: Bucket,
    flows: HashMap<Flow, Carried>,
}

/// A queue that empties at an even rate, as if it were there: only the time at which it will be empty is kept.
#[derive(Debug, Default)]
struct Bucket {
    empty_at: Option<Instant>,
}

impl Bucket {
    /// How long a packet would wait in a queue of at most `most` bytes that empties at `rate_kbit`; `None` if it is full.
    fn wait(&mut self, now: Instant, length: usize, rate_kbit: u64, most: u64) -> Option<Duration> {
        let seconds_of = |bytes: f64| bytes * 8.0 / (as_f64(rate_kbit.max(1)) * 1_000.0);
        let waiting = self.empty_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        if waiting.as_secs_f64() > seconds_of(as_f64(most)) {
            return None;
        }
        let wait = waiting + Duration::from_secs_f64(seconds_of(as_f64(length as u64)));
        self.empty_at = Some(now + wait);
        Some(wait)
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes and rates are far below 2^52")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

impl Pace {
    /// The state of this action.
    pub fn of(action: &Action) -> Self {
        Self { action: action.clone(), up: Bucket::default(), down: Bucket::default(), flows: HashMap::new() }
    }

    /// Rules on a packet of a flow that is slowed; chance is drawn by `seed` and flow.
    pub fn rule(&mut self, view: &View<'_>, (seed, flow): (u64, Flow)) -> Ruling {
        let carried = self.flows.entry(flow).or_default();
        carried.bytes += view.bytes.len() as u64;
        carried.packets += 1;
        let bucket = if view.upward { &mut self.up } else { &mut self.down };
        let mut admit = |rate, most_kb: u64| bucket.wait(view.now, view.bytes.len(), rate, most_kb * 1_000);
        match self.action {
            Action::Police { rate_kbit, burst_kb } => admit(rate_kbit, burst_kb).map_or(Ruling::Drop, |_| Ruling::Pass),
            Action::Shape { rate_kbit, queue_kb } => admit(rate_kbit, queue_kb).map_or(Ruling::Drop, Ruling::Late),
            Action::Degrade { delay_ms, loss } => degrade(delay_ms, loss, (seed, carried.packets, flow, view.upward)),
            Action::Freeze { after_kb, after_packets } => {
                let over = after_kb.is_some_and(|kb| carried.bytes > kb * 1_000)
                    || after_packets.is_some_and(|most| carried.packets > most);
                if over { Ruling::Drop } else { Ruling::Pass }
            }
            _ => Ruling::Pass,
        }
    }
}

fn degrade(delay_ms: u64, loss: f64, (seed, number, flow, upward): (u64, u64, impl Hash, bool)) -> Ruling {
    let falls = draw(seed, ("loss", number, flow, upward)) < loss;
    if falls { Ruling::Drop } else { Ruling::Late(Duration::from_millis(delay_ms)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_the_rate_through_and_no_more() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        // 1,000 kbit/s are 125 packets of 1,000 bytes a second; the queue holds 16 more.
        let offered = (0..1_000).map(|n| start + Duration::from_millis(n));
        let passed = offered.filter(|now| bucket.wait(*now, 1_000, 1_000, 16_000).is_some()).count();
        assert!((125..=145).contains(&passed), "{passed} packets in a second");
    }

    #[test]
    fn an_empty_bucket_makes_a_packet_wait_for_its_own_length_only() {
        let wait = Bucket::default().wait(Instant::now(), 1_000, 8_000, 64_000).unwrap();
        assert_eq!(wait, Duration::from_millis(1));
    }
}
