//! A feed of somebody's: any text gives finite values of somewhere, or a refusal.
#![no_main]

use faultline_record::feed_text::{Hints, read};
use faultline_record::{Place, SeriesKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let bare = Hints { kind: SeriesKind::Connectivity, source: None, place: Place::default(), unit: None };
    let place = Place { country: Some("PK".into()), ..Place::default() };
    let given = Hints { source: Some("x".into()), place, ..bare.clone() };
    for hints in [bare, given] {
        if let Ok(read) = read(text, &hints) {
            let feed = read.feed;
            assert!(feed.series.iter().all(|(series, points)| !series.place.is_nowhere() && points.iter().all(|point| point.value.is_finite())));
            assert!(feed.announcements.iter().all(|one| !one.place.is_nowhere()));
        }
    }
});
