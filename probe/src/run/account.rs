//! Every target planned is accounted for: measured or not run, and what it cost.

use faultline_record::{RunEnd, RunSummary};

use faultline_verdict::words::counted;

use crate::meter::Meter;

/// The count while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    planned: u32,
    begun: u32,
    measured: u32,
}

impl Account {
    /// Nothing is begun yet.
    pub fn new(planned: usize) -> Self {
        Self { planned: u32::try_from(planned).unwrap_or(u32::MAX), begun: 0, measured: 0 }
    }

    /// A target was begun.
    pub fn begin(&mut self) {
        self.begun += 1;
    }

    /// A target that was begun has its measurement.
    pub fn measured(&mut self) {
        self.measured += 1;
    }

    /// Targets begun so far.
    pub fn begun(&self) -> u32 {
        self.begun
    }

    /// Closes the count. A target that was begun and whose task died of a bug counts as not run.
    pub fn close(self, end: RunEnd, duration_ms: f64, meter: &Meter) -> RunSummary {
        let (connections, bytes_sent, bytes_received) = meter.totals();
        RunSummary {
            end,
            duration_ms,
            measured: self.measured,
            not_run: self.planned - self.measured,
            connections,
            bytes_sent,
            bytes_received,
        }
    }
}

/// The count in words.
pub fn words(summary: &RunSummary) -> String {
    format!(
        "{} planned: {} measured, {} not run; {}, {} sent, {} received, {:.1} s",
        counted(u64::from(summary.measured) + u64::from(summary.not_run), "target"),
        summary.measured,
        summary.not_run,
        counted(summary.connections, "connection"),
        megabytes(summary.bytes_sent),
        megabytes(summary.bytes_received),
        summary.duration_ms / 1_000.0,
    )
}

/// Why a run ended before all was done; `None` when all was done.
pub fn end_words(end: RunEnd) -> Option<&'static str> {
    match end {
        RunEnd::Completed => None,
        RunEnd::Interrupted => Some("the run was interrupted; what was measured is kept"),
        RunEnd::MaxTime => Some("the run ended at --max-time"),
        RunEnd::MaxData => Some("the run ended at --max-data"),
        RunEnd::NoNetwork => Some("the run ended since this connection leads nowhere"),
        RunEnd::Storage => Some("the run ended since results could not be stored"),
    }
}

/// Kilobytes are the smallest unit that means anything for a run.
#[expect(clippy::cast_precision_loss, reason = "one decimal is printed")]
fn megabytes(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{:.1} kB", bytes as f64 / 1e3) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_and_not_run_make_up_the_plan() {
        let mut account = Account::new(10);
        for _ in 0..4 {
            account.begin();
        }
        for _ in 0..3 {
            account.measured();
        }
        let meter = Meter::default();
        meter.connection();
        meter.received(1_500_000);
        let summary = account.close(RunEnd::Interrupted, 2_000.0, &meter);
        assert_eq!((summary.measured, summary.not_run), (3, 7));
        let words = words(&summary);
        assert_eq!(
            words,
            "10 targets planned: 3 measured, 7 not run; 1 connection, 0.0 kB sent, 1.5 MB received, 2.0 s"
        );
    }
}
