//! What a run has cost so far: connections and payload bytes, counted by the drivers, read by the limits.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, shared by every task of a run.
#[derive(Debug, Default)]
pub struct Meter {
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
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

    /// Connections begun, bytes sent, bytes received.
    pub fn totals(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.connections), read(&self.sent), read(&self.received))
    }
}
