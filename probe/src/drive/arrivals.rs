//! The curve of what comes over a connection after a request, kept in a few points however long it becomes.

use faultline_record::{Arrival, MOST_ARRIVALS};
use tokio::time::Instant;

/// One point is kept of each so many octets, as long as there is room: less than a segment of any path (RFC 9293, 3.7.1).
const FIRST_STRIDE: u64 = 512;

/// The points so far.
#[derive(Debug, Default)]
pub(super) struct Curve {
    /// When the request was sent; nothing is kept before.
    start: Option<Instant>,
    total: u64,
    stride: u64,
    points: Vec<Arrival>,
    last: Option<Arrival>,
}

impl Curve {
    /// Begins anew: a request is sent.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self { start: Some(now), stride: FIRST_STRIDE, ..Self::default() };
    }

    /// So many bytes came.
    pub(super) fn saw(&mut self, bytes: usize, now: Instant) {
        let Some(start) = self.start.filter(|_| bytes > 0) else { return };
        self.total += bytes as u64;
        let ms = u32::try_from(now.saturating_duration_since(start).as_millis()).unwrap_or(u32::MAX);
        let point = Arrival { ms, bytes: self.total };
        self.last = Some(point);
        if self.points.last().is_some_and(|before| point.bytes / self.stride == before.bytes / self.stride) {
            return;
        }
        self.points.push(point);
        // One place is left for the last.
        while self.points.len() == MOST_ARRIVALS {
            self.stride *= 2;
            let stride = self.stride;
            self.points.dedup_by_key(|point| point.bytes / stride);
        }
    }

    /// The points, the last of all among them.
    pub(super) fn points(&self) -> Vec<Arrival> {
        let mut points = self.points.clone();
        points.extend(self.last.filter(|last| points.last() != Some(last)));
        points
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn curve(segments: u64, bytes: usize) -> Vec<Arrival> {
        let (mut curve, start) = (Curve::default(), Instant::now());
        curve.saw(bytes, start);
        curve.begin(start);
        (1..=segments).for_each(|n| curve.saw(bytes, start + Duration::from_millis(n)));
        curve.points()
    }

    #[test]
    fn a_short_response_is_kept_whole_and_what_came_before_the_request_is_not() {
        assert_eq!(curve(2, 1_448), [Arrival { ms: 1, bytes: 1_448 }, Arrival { ms: 2, bytes: 2_896 }]);
        assert_eq!(curve(0, 1_448), []);
    }

    #[test]
    fn a_response_of_any_length_has_its_first_and_its_last_point_and_even_steps_between() {
        for segments in [31, 32, 33, 200, 20_000] {
            let points = curve(segments, 1_448);
            assert!((15..=MOST_ARRIVALS).contains(&points.len()), "{segments}: {}", points.len());
            assert_eq!(points[0], Arrival { ms: 1, bytes: 1_448 });
            assert_eq!(points.last().unwrap().bytes, segments * 1_448);
            let longest = points.windows(2).map(|two| two[1].bytes - two[0].bytes).max().unwrap();
            assert!(longest <= 1_448 + segments * 1_448 / 8, "{segments}: {longest}");
        }
    }
}
