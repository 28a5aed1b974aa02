//! What a run has cost so far: connections and payload bytes, counted by the drivers, read by the limits.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, shared by every task of a run.
#[derive(Debug, Default)]
pub struct Meter {
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    /// What the whole run may cost in bytes; 0: as much as it likes.
    most: AtomicU64,
}

impl Meter {
    /// A TCP connection was begun.
    pub fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of payload were sent.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of payload were received.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The run may send and receive so many bytes (`--max-data`).
    pub fn allow(&self, bytes: u64) {
        self.most.store(bytes.max(1), Ordering::Relaxed);
    }

    /// Whether so many bytes more are within what the run may cost.
    pub fn has_room(&self, bytes: u64) -> bool {
        let (_, sent, received) = self.totals();
        let most = self.most.load(Ordering::Relaxed);
        most == 0 || sent.saturating_add(received).saturating_add(bytes) <= most
    }

    /// Connections begun, bytes sent, bytes received.
    pub fn totals(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.connections), read(&self.sent), read(&self.received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_until_what_is_allowed_is_used_up() {
        let meter = Meter::default();
        assert!(meter.has_room(u64::MAX), "nothing was said");
        meter.allow(100);
        meter.sent(10);
        meter.received(50);
        assert!(meter.has_room(40) && !meter.has_room(41));
    }
}
