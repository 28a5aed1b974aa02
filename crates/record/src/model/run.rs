//! A run of the probe: provenance, limits, and how it ended.

use super::ids::RunId;
use super::time::Timestamp;
use crate::names::named;

/// How a run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Wall clock at the start.
    pub started_at: Timestamp,
    /// Software name.
    pub software_name: String,
    /// Software version.
    pub software_version: String,
    /// Operating system and architecture.
    pub platform: String,
    /// SHA-256 over the lists measured.
    pub lists_sha256: [u8; 32],
    /// SHA-256 over the printed plan.
    pub plan_sha256: [u8; 32],
    /// How consent was given: `asked`, `option`, or when it was recorded before.
    pub consent: String,
    /// How many targets the plan held.
    pub planned: u32,
    /// How many targets were left out since their category is off.
    pub left_out: u32,
    /// The TLS client's shape, for comparing runs: library, version, key exchange groups.
    pub tls_fingerprint: String,
}

named! {
    /// Why a run ended.
    pub enum RunEnd {
        /// Every target was measured.
        Completed = "completed",
        /// The user or a signal.
        Interrupted = "interrupted",
        /// `--max-time`.
        MaxTime = "max_time",
        /// `--max-data`.
        MaxData = "max_data",
        /// There was no network to measure.
        NoNetwork = "no_network",
        /// The file could not be written any more.
        Storage = "storage",
    }
}

/// How a run ended. A run killed at once has none.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Why.
    pub end: RunEnd,
    /// Length, milliseconds.
    pub duration_ms: f64,
    /// Targets measured.
    pub measured: u32,
    /// Targets planned and not begun.
    pub not_run: u32,
    /// TCP connections opened.
    pub connections: u64,
    /// Bytes sent, as payload.
    pub bytes_sent: u64,
    /// Bytes received, as payload.
    pub bytes_received: u64,
}

/// A stretch of a run in which the pacing canary failed: its rows are marked, not dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceMark {
    /// End of the last good canary, milliseconds since the run's start.
    pub from_ms: f64,
    /// End of the failed canary, milliseconds since the run's start.
    pub to_ms: f64,
    /// The pace it failed at, new connections a second.
    pub rate: f64,
}
