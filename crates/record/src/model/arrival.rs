//! When the bytes of a response came, as a few points of a curve.

/// At most so many are kept of a response, however long it is.
pub const MOST_ARRIVALS: usize = 32;

/// A point of the curve of what came over a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Milliseconds since the request, rounded down.
    pub ms: u32,
    /// Bytes that had come by then, of TCP's payload: TLS and heads included, what came before the request not.
    pub bytes: u64,
}

/// The points as they stand in a column: JSON pairs, in order.
pub(crate) fn arrivals_text(arrivals: &[Arrival]) -> Option<String> {
    let pairs: Vec<(u32, u64)> = arrivals.iter().map(|arrival| (arrival.ms, arrival.bytes)).collect();
    (!pairs.is_empty()).then(|| serde_json::json!(pairs).to_string())
}

/// The points of a column: no more than are ever kept, none before the one before it.
pub(crate) fn arrivals_of(text: &str) -> Option<Vec<Arrival>> {
    let pairs: Vec<(u32, u64)> = serde_json::from_str(text).ok()?;
    let grows = pairs.windows(2).all(|two| two[0].0 <= two[1].0 && two[0].1 < two[1].1);
    let fits = grows && (1..=MOST_ARRIVALS).contains(&pairs.len());
    fits.then(|| pairs.into_iter().map(|(ms, bytes)| Arrival { ms, bytes }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_written_as_pairs_and_read_back() {
        let arrivals = vec![Arrival { ms: 41, bytes: 1_448 }, Arrival { ms: 90, bytes: 20_100 }];
        let text = arrivals_text(&arrivals).unwrap();
        assert_eq!(text, "[[41,1448],[90,20100]]");
        assert_eq!(arrivals_of(&text), Some(arrivals));
        assert_eq!(arrivals_text(&[]), None);
    }

    #[test]
    fn what_no_probe_writes_is_refused() {
        let many = format!("[{}]", (1..=33).map(|n| format!("[{n},{n}]")).collect::<Vec<_>>().join(","));
        for text in ["", "[]", "{}", "[[1]]", "[[-1,2]]", "[[1,2],[0,3]]", "[[1,2],[2,2]]", "[[1,2,3]]", &many] {
            assert_eq!(arrivals_of(text), None, "{text}");
        }
    }
}
