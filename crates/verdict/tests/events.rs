//! Events: what changed, told once; and what nobody can bring about alone.
#![allow(clippy::unwrap_used)] // a broken fixture may panic

mod many;
mod world;

use faultline_record::{Failure, Measurement, Outcome, Purpose, Timestamp, Tls, Witness};
use faultline_verdict::service::Services;
use faultline_verdict::{Event, Events, Found, Kind, Place, Software, Submitter, judge};

use many::at;
use world::{World, failed, healthy, heard};

const GENUINE: &str = "104.244.42.1";

fn reset(site: &str) -> World {
    let reset = (failed(Failure::ConnectionReset), Tls::default());
    World::measuring(site).system_says(GENUINE).tls(Purpose::Main, GENUINE, reset.0, reset.1.clone()).differential(
        GENUINE,
        &(Outcome::Ok, heard()),
        &reset,
    )
}

fn works(site: &str) -> World {
    World::measuring(site).system_says(GENUINE).responds(Purpose::Main, GENUINE, 200)
}

/// What two volunteers in each of these networks of one country measure, hour by hour.
struct Panel {
    events: Events,
    networks: Vec<u32>,
}

impl Panel {
    fn new(networks: &[u32]) -> Self {
        Self { events: Events::new(2, Services::default()), networks: networks.to_vec() }
    }

    /// In these hours, of one site: in networks of which `is_bad` says so it is reset.
    fn measure(mut self, site: &str, hours: std::ops::Range<i64>, is_bad: impl Fn(u32, i64) -> bool) -> Self {
        for hour in hours {
            for &network in &self.networks {
                for voice in 1..=2 {
                    let made = if is_bad(network, hour) { reset(site) } else { works(site) };
                    let mut measurement = at(made, network, "PK", hour);
                    site.clone_into(&mut measurement.target.name);
                    put(&mut self.events, &measurement, &healthy(), network * 10 + voice);
                }
            }
        }
        self
    }

    fn told(mut self) -> Vec<Event> {
        self.events.found().events
    }
}

fn put(events: &mut Events, measurement: &Measurement, witness: &Witness, by: u32) {
    let software = Software::default();
    let place = Place { submitter: Submitter(by), software: &software, began: measurement.started_at };
    events.add(measurement, &judge(measurement, witness), place);
}

const SITE: &str = "https://site.example/";
const OTHER: &str = "https://other.example/";

#[test]
fn what_spreads_is_one_event_and_what_began_at_another_time_is_another() {
    // The second network follows ten hours after the first, while it lasts.
    let spreads = Panel::new(&[1, 2]).measure(SITE, 0..48, |network, hour| hour >= 10 * i64::from(network)).told();
    assert_eq!(spreads.len(), 1, "{spreads:#?}");
    assert_eq!((spreads[0].n_networks, spreads[0].kind, spreads[0].end), (2, Kind::Blocking, None));
    // Two sites on one evening are one decision; a third, a day later, is another.
    let evening = |hour: i64| move |_, at| at >= hour;
    let two = Panel::new(&[1, 2]).measure(SITE, 0..72, evening(20)).measure(OTHER, 0..72, evening(20));
    let three = two.measure("https://third.example/", 0..72, evening(50)).told();
    let targets: Vec<usize> = three.iter().map(|event| event.targets.len()).collect();
    assert_eq!(targets, [2, 1], "{three:#?}");
}

#[test]
fn what_was_so_from_the_first_measurement_on_has_no_beginning_and_joins_nothing() {
    let always = |_, _| true;
    let told = Panel::new(&[1]).measure(SITE, 0..24, always).measure(OTHER, 0..24, always).told();
    assert_eq!(told.iter().map(|event| event.onset.earliest).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn hours_in_which_nobody_measures_are_counted_and_end_nothing() {
    let bad = |_, hour| hour >= 10;
    let told = Panel::new(&[1]).measure(SITE, 0..20, bad).measure(SITE, 30..40, bad).told();
    assert_eq!(told.iter().map(|event| (event.silent_hours, event.end)).collect::<Vec<_>>(), [(10, None)]);
}

#[test]
fn what_ends_and_comes_back_is_two_events_with_times_that_hold_the_truth() {
    let told = Panel::new(&[1]).measure(SITE, 0..60, |_, hour| (10..20).contains(&hour) || hour >= 40).told();
    let [first, second] = &told[..] else { panic!("{told:#?}") };
    let hour = |at: Timestamp| at.as_millisecond() / 3_600_000;
    let begun = hour(first.onset.latest);
    let end = first.end.unwrap();
    assert_eq!(
        (hour(first.onset.earliest.unwrap()), hour(end.earliest), hour(end.latest)),
        (begun - 1, begun + 9, begun + 10)
    );
    assert_eq!((hour(second.onset.latest), second.end), (begun + 30, None));
    assert!(hour(first.certain) <= begun + 3, "{first:#?}");
}

#[test]
fn one_network_among_many_is_told_of_and_the_others_are_not_named() {
    let told = Panel::new(&[1, 2, 3, 4, 5, 6]).measure(SITE, 0..30, |network, hour| network == 3 && hour >= 10).told();
    assert_eq!(
        told.iter().map(|event| event.networks.iter().map(|own| own.asn).collect()).collect::<Vec<Vec<_>>>(),
        [[Some(3)]]
    );
}

#[test]
fn a_weak_block_in_many_networks_is_one_event_and_does_not_end_each_hour() {
    // Three of ten measurements, spread over networks and hours.
    let told = Panel::new(&[1, 2, 3, 4, 5])
        .measure(SITE, 0..100, |network, hour| hour >= 20 && (hour * 7 + i64::from(network) * 3) % 10 < 3)
        .told();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].n_against > told[0].n_measurements);
}

#[test]
fn attack_a_stolen_name_joins_no_endpoint_to_anothers_event() {
    // Somebody calls a site of his as another is called; it begins and ends at other times.
    let mut panel =
        Panel::new(&[1]).measure(SITE, 0..60, |_, hour| hour >= 20).measure(OTHER, 0..60, |_, hour| hour >= 40);
    let mut stolen = at(reset(OTHER), 9, "PK", 0);
    stolen.target.name = SITE.into();
    put(&mut panel.events, &stolen, &healthy(), 99);
    assert_eq!(panel.told().len(), 2);
}

#[test]
fn attack_a_measurement_at_the_end_of_all_times_costs_nothing() {
    let mut panel = Panel::new(&[1]).measure(SITE, 0..30, |_, hour| hour >= 10);
    for (by, ms) in [(11, i64::MAX), (12, i64::MIN), (99, i64::MAX / 2)] {
        let mut far = at(reset(SITE), 1, "PK", 0);
        far.started_at = Timestamp::from_millisecond(ms);
        put(&mut panel.events, &far, &healthy(), by);
    }
    assert_eq!(panel.told().iter().map(|event| event.kind).collect::<Vec<_>>(), [Kind::Blocking]);
}

#[test]
fn attack_one_submitter_who_claims_any_number_of_networks_makes_no_event() {
    let mut events = Events::new(2, Services::default());
    for hour in 0..48 {
        for network in 1..=9 {
            put(&mut events, &at(reset(SITE), network, "PK", hour), &healthy(), 1);
        }
    }
    let Found { events, held_back, .. } = events.found();
    assert!(events.is_empty() && held_back > 0, "{held_back}: {events:#?}");
}
