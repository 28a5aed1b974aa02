//! Curves drawn by hand, as paths, limits and losses draw them.

use faultline_record::Arrival;

use super::*;

const SEGMENT: u64 = 1_448;

/// A response of so many segments, of which one comes each time that `at` gives, milliseconds.
fn transfer(times: impl IntoIterator<Item = u32>, is_whole: bool) -> Transfer {
    let arrivals: Vec<Arrival> =
        times.into_iter().zip(1..).map(|(ms, count)| Arrival { ms, bytes: count * SEGMENT }).collect();
    let last = arrivals.last().map_or(0.0, |last| f64::from(last.ms));
    Transfer {
        status: Some(200),
        length: arrivals.last().map_or(0, |last| last.bytes),
        is_whole,
        timed_out: !is_whole,
        ms: if is_whole { last } else { 4_000.0_f64.max(last) },
        round_trip_ms: 50.0,
        before: 4_000,
        arrivals,
    }
}

/// Forty segments in three round trips.
fn fast(jitter: u32) -> Transfer {
    let windows = [(10, 50), (20, 100), (10, 150)];
    transfer(windows.into_iter().flat_map(|(count, ms)| vec![ms + jitter; count]), true)
}

/// The same out of a queue of 128 kbit/s: a segment each 90 ms.
fn queued(jitter: u32) -> Transfer {
    transfer((1..=40).map(|n| 50 + n * 90 + jitter), true)
}

/// The same through a policer of 128 kbit/s: eleven pass at once, then four every 360 ms.
fn policed(jitter: u32) -> Transfer {
    transfer((0..11).map(|_| 50).chain((0..29).map(|n| 100 + (1 + n / 4) * 360 + jitter)), true)
}

/// The same with losses: pauses of this many milliseconds, one after every eight segments.
fn lossy(pauses: [u32; 4]) -> Transfer {
    let mut ms = 50;
    let times: Vec<u32> = (0..40_usize)
        .map(|n| {
            ms += if n % 8 == 7 { pauses[(n / 8).min(3)] } else { 2 };
            ms
        })
        .collect();
    transfer(times, true)
}

fn rounds(count: u32, own: impl Fn(u32) -> Transfer, other: impl Fn(u32) -> Transfer) -> Vec<Round> {
    (0..count).map(|n| Round { own: own(n * 3), other: other(n * 2) }).collect()
}

#[test]
fn a_rate_is_taken_behind_the_start_and_never_of_less_than_a_round_trip() {
    assert!((queued(0).kbit(16 * 1024, 50.0) - 128.7).abs() < 0.5, "{}", queued(0).kbit(16 * 1024, 50.0));
    let burst = transfer([100, 100, 100, 100], true);
    assert!((burst.kbit(0, 100.0) - 4.0 * 1_448.0 * 8.0 / 100.0).abs() < 0.1);
}

#[test]
fn where_time_ran_out_silence_counts() {
    let stopped = transfer([50; 10], false);
    assert!((stopped.kbit(0, 50.0) - 14_480.0 * 8.0 / 4_000.0).abs() < 0.1);
}

#[test]
fn a_policed_and_a_shaped_name_are_slower_and_their_limits_are_told_apart() {
    for (own, keeper) in [(policed as fn(u32) -> Transfer, Keeper::Drops), (queued, Keeper::Queue)] {
        let shown = Comparison::of(&rounds(6, own, fast)).unwrap();
        assert!(shown.is_slower() && (100.0..150.0).contains(&shown.own.mean), "{shown:?}");
        assert!((0.01..0.1).contains(&shown.ratio.mean) && shown.ratio.high < 0.1, "{shown:?}");
        assert_eq!(shown.limit.map(|limit| limit.keeper), Some(keeper), "{shown:?}");
    }
}

#[test]
fn a_round_in_which_nothing_came_in_time_is_a_slow_one_and_hides_no_others() {
    let nothing = Transfer { status: None, ..transfer([], false) };
    let mut rounds = rounds(6, queued, fast);
    rounds[2].own = nothing.clone();
    let shown = Comparison::of(&rounds).unwrap();
    assert!(shown.is_slower() && shown.ratio.high < 0.2, "{shown:?}");
    // Whoever is silent now and then, and as fast as the other otherwise, is not slow.
    let mut silent = self::rounds(6, fast, fast);
    silent[2].own = nothing;
    assert!(!Comparison::of(&silent).unwrap().is_slower());
}

#[test]
fn a_connection_that_took_long_to_stand_makes_no_response_slow() {
    let retransmitted = |n| Transfer { round_trip_ms: 2_000.0, ..fast(n) };
    assert!(Comparison::of(&rounds(6, policed, retransmitted)).unwrap().is_slower());
}

#[test]
fn four_rounds_are_too_few_and_so_is_a_ratio_near_one() {
    assert!(!Comparison::of(&rounds(4, policed, fast)).unwrap().is_slower());
    let near = |n| transfer((1..=40).map(|i| 50 + i * 60 + n), true);
    assert!(!Comparison::of(&rounds(6, queued, near)).unwrap().is_slower());
}

#[test]
fn losses_that_meet_both_are_no_difference() {
    let pauses = [[250, 0, 0, 250], [700, 250, 0, 0], [0, 0, 250, 0], [250, 450, 900, 0], [0, 0, 0, 0], [250; 4]];
    let rounds: Vec<Round> =
        (0..6).map(|n| Round { own: lossy(pauses[n]), other: lossy(pauses[(n + 3) % 6]) }).collect();
    let shown = Comparison::of(&rounds).unwrap();
    assert!(!shown.is_slower() && shown.ratio.low < 1.0 && shown.ratio.high > 1.0, "{shown:?}");
    assert_eq!(shown.limit, None);
    assert!(!may_yet_differ(&rounds[..3]) || !may_yet_differ(&rounds));
}

#[test]
fn rounds_go_on_only_while_they_can_show_something() {
    assert!(may_yet_differ(&[]));
    assert!((1..=6).all(|count| may_yet_differ(&rounds(count, policed, fast))));
    assert!(!may_yet_differ(&rounds(2, queued, queued)), "as fast as the other");
    assert!(!may_yet_differ(&rounds(2, fast, policed)), "faster");
}

#[test]
fn another_answer_is_no_measure() {
    let refused = |n| Transfer { status: Some(421), length: 80, ..fast(n) };
    assert_eq!(Comparison::of(&rounds(6, policed, refused)), None);
    let long = |n| Transfer { length: 500_000, ..fast(n) };
    assert_eq!(Comparison::of(&rounds(6, policed, long)), None);
    let cut = |n| Transfer { is_whole: false, timed_out: true, length: 9_000, ..policed(n) };
    assert!(Comparison::of(&rounds(6, cut, fast)).is_some(), "it would have become the same");
}

#[test]
fn connections_that_stop_at_one_count_are_frozen_and_slow_ones_are_not() {
    let frozen = |count: usize| Transfer { ms: 4_000.0, ..transfer(vec![60; count], false) };
    let stop = stops_at(&[&frozen(10), &frozen(9), &frozen(11)]).unwrap();
    assert_eq!((stop.least, stop.most), (4_000 + 9 * SEGMENT, 4_000 + 11 * SEGMENT));
    assert_eq!(stops_at(&[&frozen(10), &frozen(60)]), None, "far from each other");
    assert_eq!(stops_at(&[&frozen(10), &fast(0)]), None, "one came whole");
    let going_on = transfer((1..=40).map(|n| n * 95), false);
    assert_eq!(stops_at(&[&going_on, &going_on]), None, "it came until the end");
    assert_eq!(stops(&[&frozen(10), &frozen(1)]).map(|stop| stop.least), Some(4_000 + SEGMENT), "a gap hides the rest");
    assert_eq!(stops(&[&going_on, &frozen(10)]), None);
    let head = transfer([60], false);
    assert_eq!(stops_at(&[&head, &head]), None, "that is a head, behind which long packets may vanish");
}
