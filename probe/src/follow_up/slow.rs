//! Which responses were slow enough that the cause is looked for: a screen on what the measurement has seen anyway.
//!
//! A short page through a limit of some 130 kbit/s comes in a second or two, as does one over a bad line. The screen asks
//! for less than proof: it holds a connection against its own round trip, and lets the experiment decide, which ends
//! after two rounds where there is no difference.

use faultline_record::{Failure, Observation, Outcome};

/// A request that takes longer has its cause looked for whatever else is seen, milliseconds. Set by hand: ten round trips
/// of the slowest paths without a satellite (0.3 s).
const LATE_MS: f64 = 3_000.0;
/// Bytes that a sender may send before anything was acknowledged: ten segments of 1,460 octets (RFC 6928).
const FIRST_WINDOW: u64 = 14_600;
/// Shorter responses come in one window, whatever the rate.
const LEAST_BYTES: u64 = 8 * 1024;
/// So many times what slow start takes in round trips is slow,
const PATIENCE: f64 = 1.5;
/// and these milliseconds more: one lost packet at the end of a window costs a time-out of 0.2 s and a round trip.
const LOSS_MS: f64 = 250.0;
/// Faster is not slow, kilobits a second: throttling that was published lies at 130 to 150 (Xue et al. 2021), at most at
/// some hundreds.
const FAST_KBIT: f64 = 1_000.0;
/// A handshake of TLS 1.3 takes one round trip, of TLS 1.2 two (RFC 8446, RFC 5246).
const HANDSHAKE_TRIPS: f64 = 3.0;

/// Whether a connection's request, in rows of its steps, was slow enough to ask why.
pub(super) fn is_slow(tcp: Option<&Observation>, tls: Option<&Observation>, request: &Observation) -> bool {
    let is_late = request.outcome.is_ok() || request.outcome == Outcome::Failed(Failure::GenericTimeoutError);
    let round_trip = tcp.map_or(f64::INFINITY, span);
    is_late
        && (span(request) >= LATE_MS
            || is_slow_body(request, round_trip)
            || tls.is_some_and(|tls| span(tls) >= HANDSHAKE_TRIPS * round_trip + LOSS_MS))
}

/// Whether the body took longer than slow start over this path explains. What the server takes to begin does not count.
fn is_slow_body(request: &Observation, round_trip: f64) -> bool {
    let Some(http) = request.http() else { return false };
    let bytes = http.arrivals.last().map_or(0, |last| last.bytes);
    let Some(head) = http.head_ms.filter(|_| bytes >= LEAST_BYTES) else { return false };
    let ms = span(request) - f64::from(head);
    // Bits over milliseconds are kilobits over seconds.
    let is_fast = |bytes: u64| as_f64(bytes) * 8.0 > FAST_KBIT * ms;
    ms > PATIENCE * windows(bytes) * round_trip + LOSS_MS && !is_fast(bytes)
}

/// In how many round trips so many bytes come when the window doubles in each (RFC 5681, 3.1).
fn windows(bytes: u64) -> f64 {
    (as_f64(bytes) / as_f64(FIRST_WINDOW) + 1.0).log2().ceil()
}

#[expect(clippy::cast_precision_loss, reason = "lengths of bodies are far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn span(row: &Observation) -> f64 {
    row.t_ms - row.t0_ms
}

#[cfg(test)]
mod tests {
    use faultline_record::{Arrival, Http, StepData, Tls};

    use super::*;
    use crate::follow_up::rows;

    fn row(ms: f64, outcome: Outcome, data: StepData) -> Observation {
        Observation { t_ms: ms, ..rows::row(None, outcome, data) }
    }

    /// Over a path of 60 ms: a handshake that takes this, a head after 70 ms, and so many bytes by so many milliseconds.
    fn asks(tls_ms: f64, bytes: u64, ms: u32) -> bool {
        let arrivals = if bytes > 0 { vec![Arrival { ms, bytes }] } else { Vec::new() };
        let http = Http { status: Some(200), head_ms: Some(70), arrivals, ..Http::default() };
        let request = row(f64::from(ms), Outcome::Ok, StepData::Http(http));
        let tcp = row(60.0, Outcome::Ok, StepData::Tcp);
        is_slow(Some(&tcp), Some(&row(tls_ms, Outcome::Ok, StepData::Tls(Tls::default()))), &request)
    }

    #[test]
    fn a_short_page_at_130_kbit_asks_and_one_that_comes_in_slow_start_does_not() {
        assert!(asks(70.0, 21_500, 1_300));
        assert!(!asks(70.0, 21_500, 190));
        assert!(!asks(70.0, 205_000, 400));
        assert!(asks(70.0, 205_000, 2_900));
        assert!(!asks(70.0, 205_000, 1_500), "that is more than a megabit a second");
    }

    #[test]
    fn what_is_too_short_to_tell_and_what_one_lost_packet_explains_ask_nothing() {
        assert!(!asks(70.0, 900, 900));
        assert!(!asks(70.0, 21_500, 70 + 60 + 260));
        assert!(asks(70.0, 21_500, 70 + 60 + 380), "what a burst leaves of 130 kbit/s");
        assert!(!asks(330.0, 900, 80), "one time-out in the handshake");
    }

    #[test]
    fn a_handshake_of_many_round_trips_asks_and_so_does_whatever_is_late() {
        assert!(asks(700.0, 900, 80));
        assert!(asks(70.0, 0, 3_000));
        let failed = |failure| row(5_000.0, Outcome::Failed(failure), StepData::Http(Http::default()));
        assert!(is_slow(None, None, &failed(Failure::GenericTimeoutError)));
        assert!(!is_slow(None, None, &failed(Failure::ConnectionReset)));
    }
}
