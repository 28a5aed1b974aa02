//! Feeds of outages and demand in the context: what they may move, and what nobody can make them say alone.
#![allow(clippy::unwrap_used)] // a broken fixture may panic

mod many;
mod world;

use faultline_record::{
    Announcement, Engine, Failure, Measurement, Outcome, Place, Point, Purpose, Series, SeriesKind, Timestamp, Tls,
};
use faultline_verdict::{
    Cause, ControlState, Fingerprints, Grounds, NetworkKey, Question, Software, State, Submitter, Teller, Verdict,
    table,
};

use many::{Many, at};
use world::{World, failed, fired, healthy, heard};

const GENUINE: &str = "104.244.42.1";
const SITE: &str = "https://site.example/";
const HOUR: i64 = 3_600_000;

fn silent() -> Measurement {
    at(
        World::measuring(SITE).system_says(GENUINE).connects(GENUINE, failed(Failure::GenericTimeoutError)),
        17_557,
        "PK",
        0,
    )
}

fn silent_great_service() -> Measurement {
    let world = World::measuring(SITE).system_says(GENUINE).connects(GENUINE, failed(Failure::GenericTimeoutError));
    at(world.of_a_great_service(), 17_557, "PK", 0)
}

fn reset() -> Measurement {
    let reset = (failed(Failure::ConnectionReset), Tls::default());
    let world = World::measuring(SITE)
        .system_says(GENUINE)
        .tls(Purpose::Main, GENUINE, reset.0, reset.1.clone())
        .differential(GENUINE, &(Outcome::Ok, heard()), &reset);
    at(world, 17_557, "PK", 0)
}

fn bogon() -> Measurement {
    let world = World::measuring(SITE)
        .asks(Purpose::Main, (Engine::System, "system"), "site.example", Outcome::Ok, &["10.10.34.35"])
        .connects("10.10.34.35", failed(Failure::GenericTimeoutError));
    at(world, 17_557, "PK", 0)
}

fn network() -> Place {
    Place { country: Some("PK".into()), region: None, asn: Some(17_557) }
}

/// An outage from an hour before to an hour after the measurements.
fn outage(source: &str, place: Place) -> Announcement {
    let noon = silent().started_at.as_millisecond();
    Announcement {
        source: source.into(),
        kind: "outage".into(),
        place,
        from: Timestamp::from_millisecond(noon - HOUR),
        to: Some(Timestamp::from_millisecond(noon + HOUR)),
        cause: None,
        score: None,
        words: None,
    }
}

fn by(submitter: u32) -> Teller {
    Teller { submitter: Submitter(submitter), is_vouched: false }
}

const OWN: Teller = Teller { submitter: Submitter(0), is_vouched: true };

fn told(outages: &[(&str, Teller)]) -> Many {
    let mut many = Many::default();
    for (source, teller) in outages {
        many.context.add_announcement(&outage(source, network()), *teller);
    }
    many
}

fn series(kind: SeriesKind, value: impl Fn(i64) -> f64) -> Many {
    let mut many = Many::default();
    measured(&mut many, kind, "bgp", value);
    many
}

/// A signal of the source, hour by hour.
fn measured(many: &mut Many, kind: SeriesKind, signal: &str, value: impl Fn(i64) -> f64) {
    let of = Series {
        kind,
        source: "ioda".into(),
        signal: signal.into(),
        unit: None,
        step_ms: Some(HOUR),
        place: Place { country: Some("PK".into()), ..Place::default() },
    };
    let noon = silent().started_at.as_millisecond();
    let point =
        |hour: i64| Point { at: Timestamp::from_millisecond(noon + hour * HOUR), value: value(hour), baseline: None };
    many.context.add_series(&of, &(-900..100).map(point).collect::<Vec<_>>(), OWN);
}

fn without_references(mut verdict: Verdict) -> Verdict {
    verdict.references.clear();
    verdict
}

/// All of a verdict but what it names and what is told beside.
fn said(verdict: &Verdict) -> (State, Cause, faultline_verdict::Probabilities, Vec<String>) {
    (verdict.state, verdict.cause, verdict.p, verdict.mechanisms.clone())
}

#[test]
fn silence_in_an_outage_that_two_sources_tell_of_is_the_providers() {
    for many in [told(&[("ioda", by(2)), ("cloudflare-radar", by(3))]), told(&[("ioda", OWN)])] {
        let verdict = many.judged(&silent(), 1);
        assert_eq!((verdict.state, verdict.cause), (State::Impaired, Cause::Isp), "{verdict:#?}");
        let text = &verdict.evidence.iter().find(|e| e.rule == "context.feeds_tell_outage").unwrap().text;
        assert!(text.contains("ioda: outage of AS17557 (PK)") && text.contains("1 h old"), "{text}");
        assert_eq!(many.alone(&silent_great_service()).state, State::LikelyBlocked);
        assert_eq!(many.judged(&silent_great_service(), 1).state, State::Impaired, "likely is taken back");
    }
}

#[test]
fn an_outage_excuses_no_forged_answer_no_reset_and_no_differential() {
    let many = told(&[("ioda", OWN), ("cloudflare-radar", OWN)]);
    for measurement in [reset(), bogon()] {
        let (with, alone) = (many.judged(&measurement, 1), many.alone(&measurement));
        assert_eq!(said(&with), said(&alone));
        assert!(fired(&with, "context.feed_outage_beside"));
    }
}

#[test]
fn other_hours_other_networks_and_parts_of_a_country_are_absent() {
    let noon = silent().started_at.as_millisecond();
    let over = Announcement { to: Some(Timestamp::from_millisecond(noon - HOUR / 2)), ..outage("ioda", network()) };
    let region = Place { region: Some("Sindh".into()), ..network() };
    let back = Announcement { kind: "alert".into(), words: Some("bgp normal".into()), ..outage("ioda", network()) };
    let elsewhere = [
        over,
        back,
        outage("ioda", region),
        outage("ioda", Place { asn: Some(45_595), ..network() }),
        outage("ioda", Place { country: Some("IN".into()), ..Place::default() }),
    ];
    for one in elsewhere {
        let mut many = Many::default();
        many.context.add_announcement(&one, OWN);
        let verdict = many.judged(&silent_great_service(), 1);
        assert_eq!(said(&verdict), said(&many.alone(&silent_great_service())), "{one:?}");
    }
}

#[test]
fn what_is_reached_is_reached_whatever_feeds_say() {
    let works = at(World::measuring(SITE).system_says(GENUINE).responds(Purpose::Main, GENUINE, 200), 17_557, "PK", 0);
    let many = told(&[("ioda", OWN)]);
    assert_eq!(without_references(many.judged(&works, 1)), without_references(many.alone(&works)));
}

#[test]
fn a_signal_that_fell_tells_of_an_outage_and_one_as_usual_accuses_nobody() {
    let fell = series(SeriesKind::Connectivity, |hour| if hour > -3 { 40.0 } else { 99.0 });
    let verdict = fell.judged(&silent(), 1);
    assert_eq!((verdict.state, verdict.cause), (State::Impaired, Cause::Isp), "{verdict:#?}");
    assert!(verdict.evidence.iter().any(|evidence| evidence.text.contains("bgp of PK at 40% of what is usual")));
    let usual = series(SeriesKind::Connectivity, |_| 99.0);
    let verdict = usual.judged(&silent(), 1);
    assert_eq!(said(&verdict), said(&usual.alone(&silent())));
    assert!(fired(&verdict, "context.feeds_as_usual"));
}

#[test]
fn one_signal_that_fell_alone_of_several_tells_of_no_outage() {
    let fell = |hour| if hour > -3 { 40.0 } else { 99.0 };
    let mut many = series(SeriesKind::Connectivity, fell);
    measured(&mut many, SeriesKind::Connectivity, "ping", |_| 99.0);
    let verdict = many.judged(&silent_great_service(), 1);
    assert_eq!(said(&verdict), said(&many.alone(&silent_great_service())), "{verdict:#?}");
    measured(&mut many, SeriesKind::Connectivity, "traffic", fell);
    assert_eq!(many.judged(&silent_great_service(), 1).cause, Cause::Isp);
}

#[test]
fn two_signals_that_fell_in_different_hours_of_a_day_tell_of_no_outage() {
    let fell_at = |fallen: i64| move |hour: i64| if hour == fallen { 40.0 } else { 99.0 };
    let state = |other: i64| {
        let mut many = series(SeriesKind::Connectivity, fell_at(3));
        measured(&mut many, SeriesKind::Connectivity, "ping", fell_at(other));
        let country = NetworkKey { country: "PK".into(), ..NetworkKey::default() };
        let (begin, day) = (silent().started_at, 24 * HOUR);
        let end = Timestamp::from_millisecond(begin.as_millisecond() + day);
        many.context.feed_state(&many.context.feed_words(&country, begin, end))
    };
    assert_eq!((state(3), state(9)), (ControlState::Agrees, ControlState::Disagrees));
}

#[test]
fn demand_is_told_beside_and_moves_nothing() {
    let many = series(SeriesKind::Demand, |hour| if hour > -3 { 4_500.0 } else { 1_000.0 });
    let verdict = many.judged(&silent_great_service(), 1);
    assert_eq!(said(&verdict), said(&many.alone(&silent_great_service())));
    let text = &verdict.evidence.iter().find(|evidence| evidence.rule == "context.demand").unwrap().text;
    assert!(text.contains("4.5 times what is usual"), "{text}");
}

#[test]
fn no_rule_on_feeds_speaks_for_interference_and_none_is_determinate() {
    let of_feeds = |id: &str| id.starts_with("context.feed") || id == "context.demand";
    let rules: Vec<_> = table().rules.iter().filter(|rule| of_feeds(&rule.id)).collect();
    assert_eq!(rules.len(), 5);
    assert!(rules.iter().all(|rule| !rule.determinate && rule.likelihoods.weight() <= 0.0));
}

#[test]
fn feeds_name_the_context_in_whatever_order() {
    let (a, b) = (("ioda", by(2)), ("cloudflare-radar", by(3)));
    let name = |outages: &[(&str, Teller)]| told(outages).context.snapshot();
    assert_eq!(name(&[a, b]), name(&[b, a]));
    assert_ne!(name(&[a, b]), name(&[a]));
    assert_ne!(name(&[a]), name(&[("ioda", by(3))]));
}

#[test]
fn a_country_hears_of_itself_and_not_of_its_networks() {
    let country = NetworkKey { country: "PK".into(), ..NetworkKey::default() };
    let noon = silent().started_at;
    let words = |place| {
        let mut many = Many::default();
        many.context.add_announcement(&outage("ioda", place), OWN);
        many.context.feed_state(&many.context.feed_words(&country, noon, noon))
    };
    assert_eq!(words(Place { country: Some("PK".into()), ..Place::default() }), ControlState::Agrees);
    assert_eq!(words(network()), ControlState::Absent);
}

#[test]
fn every_question_is_accounted_for_with_source_age_and_state() {
    let works = || World::measuring(SITE).system_says(GENUINE).responds(Purpose::Main, GENUINE, 200);
    let mut many = Many::default().and(2, at(works(), 64_500, "DE", 0)).and(3, at(works(), 64_501, "FR", 0));
    many.context.add_announcement(&outage("ioda", network()), OWN);
    let software = Software::default();
    let place = faultline_verdict::Place { submitter: Submitter(1), software: &software, began: silent().started_at };
    let fingerprints = Fingerprints::NONE;
    let grounds = Grounds::new(&fingerprints).in_context(&many.context, place);
    let entries = grounds.entries(&silent(), &healthy());
    let of = |question| entries.iter().find(|entry| entry.question == Some(question)).unwrap();
    let elsewhere = of(Question::Endpoint);
    assert_eq!((elsewhere.state, elsewhere.age_hours), (Some(ControlState::Disagrees), Some(1)));
    assert_eq!(elsewhere.sources, ["AS64500 (DE)", "AS64501 (FR)"]);
    let feeds = of(Question::Outage);
    assert_eq!(
        (feeds.state, feeds.age_hours, feeds.sources.as_slice()),
        (Some(ControlState::Agrees), Some(1), ["ioda".to_owned()].as_slice())
    );
    assert_eq!((of(Question::Past).state, of(Question::Demand).state), (Some(ControlState::Absent), None));
    assert_eq!(entries.len(), Question::ALL.len() - 1, "all but the one about refusals");
    let without = grounds.without(Question::Outage).judge(&silent(), &healthy());
    assert_eq!(without.state, State::LikelyBlocked, "{without:#?}");
    assert_eq!(grounds.judge(&silent(), &healthy()).state, State::Impaired);
}

// --- attacks

#[test]
fn attack_one_submitter_forges_any_number_of_sources_and_moves_nothing() {
    let forged = told(&[("ioda", by(66)), ("cloudflare-radar", by(66)), ("made-up", by(66))]);
    let copied = told(&[("ioda", by(2)), ("ioda", by(66))]);
    for many in [forged, copied] {
        for measurement in [silent(), silent_great_service(), reset()] {
            let verdict = many.judged(&measurement, 1);
            assert_eq!(said(&verdict), said(&many.alone(&measurement)));
            assert!(!fired(&verdict, "context.feeds_tell_outage"));
        }
    }
}

#[test]
fn attack_a_feed_of_hundreds_of_years_and_of_numbers_that_are_none_costs_nothing() {
    let mut many = Many::default();
    let far = Timestamp::from_millisecond(100_000_000_000_000);
    let one = Announcement {
        from: Timestamp::from_millisecond(-far.as_millisecond()),
        to: Some(far),
        ..outage("x", network())
    };
    many.context.add_announcement(&one, OWN);
    let network = NetworkKey { country: "PK".into(), asn: Some(17_557), is_mobile: false };
    assert!(many.context.feed_words(&network, one.from, far).len() <= 1);
    let extreme = series(SeriesKind::Connectivity, |hour| if hour % 2 == 0 { f64::MAX } else { -f64::MAX });
    assert!(extreme.judged(&silent(), 1).p.blocked.is_finite());
}

#[test]
fn attack_a_flood_of_announcements_pushes_out_nobody_elses() {
    let flood = |many: &mut Many| {
        for number in 0..2_000 {
            let words = Some(format!("{number:05}"));
            let one = Announcement { words, ..outage("a-flood", network()) };
            many.context.add_announcement(&one, by(66));
        }
    };
    let mut many = told(&[("ioda", by(2)), ("cloudflare-radar", by(3))]);
    flood(&mut many);
    let words =
        many.context.feed_words(&NetworkKey::of_measurement(&silent()), silent().started_at, silent().started_at);
    assert!(words.len() < 300, "{}", words.len());
    assert_eq!(many.judged(&silent(), 1).cause, Cause::Isp);
}
