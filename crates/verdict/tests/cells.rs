//! Cells and countries: what many verdicts say together, and what nobody can make them say alone.
#![allow(clippy::unwrap_used)] // a broken fixture may panic

mod many;
mod world;

use faultline_record::{
    Engine, Failure, HealthCheck, Measurement, NetworkKind, Outcome, Purpose, SignalKind, Tls, Witness,
};
use faultline_verdict::{Cause, Cell, Cells, Existence, Grid, Place, Rung, Software, State, Submitter, judge, table};

use many::at;
use world::{World, all_well, check, failed, healthy, heard};

const GENUINE: &str = "104.244.42.1";

fn reset() -> World {
    let reset = (failed(Failure::ConnectionReset), Tls::default());
    World::measuring("https://site.example/")
        .system_says(GENUINE)
        .tls(Purpose::Main, GENUINE, reset.0, reset.1.clone())
        .differential(GENUINE, &(Outcome::Ok, heard()), &reset)
}

fn works() -> World {
    World::measuring("https://site.example/").system_says(GENUINE).responds(Purpose::Main, GENUINE, 200)
}

fn network(rung: Rung) -> Grid {
    Grid { rung, hours: 1, floor: 2 }
}

/// Adds a measurement that a submitter handed in.
fn put(cells: &mut Cells, measurement: &Measurement, witness: &Witness, by: u32) {
    let software = Software::default();
    let place = Place { submitter: Submitter(by), software: &software, began: measurement.started_at };
    cells.add(measurement, &judge(measurement, witness), place, None);
}

/// Cells of measurements by their submitters.
fn cells(grid: Grid, measurements: &[(u32, Measurement)]) -> Vec<Cell> {
    let mut cells = Cells::new(grid);
    for (by, measurement) in measurements {
        put(&mut cells, measurement, &healthy(), *by);
    }
    cells.profiles(table()).collect()
}

fn one(grid: Grid, measurements: &[(u32, Measurement)]) -> Cell {
    let mut all = cells(grid, measurements);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn two_submitters_make_a_statement_and_one_makes_a_claim() {
    let alone = one(network(Rung::Network), &[(1, at(reset(), 1, "PK", 0)), (1, at(reset(), 1, "PK", 0))]);
    assert_eq!((alone.profile.state, alone.profile.cause), (State::Insufficient, Cause::Unknown));
    assert_eq!((alone.profile.existence, alone.profile.mechanism.as_deref()), (Existence::Claimed, None));
    assert!(alone.profile.witness.is_some());
    let two = one(network(Rung::Network), &[(1, at(reset(), 1, "PK", 0)), (2, at(reset(), 1, "PK", 0))]);
    assert_eq!((two.profile.state, two.profile.cause), (State::Blocked, Cause::Interference), "{two:#?}");
    assert_eq!((two.profile.existence, two.profile.mechanism.as_deref()), (Existence::Shown, Some("tls.reset.sni")));
}

#[test]
fn every_count_is_printed_and_the_witness_says_what_the_cell_says() {
    let blocked = at(reset(), 1, "PK", 0);
    let id = blocked.id;
    let cell = one(network(Rung::Network), &[(1, at(works(), 1, "PK", 0)), (2, blocked), (3, at(works(), 1, "PK", 0))]);
    let profile = cell.profile;
    assert_eq!((profile.state, profile.existence), (State::Ok, Existence::Claimed));
    assert_ne!(profile.witness, Some(id));
    assert_eq!((profile.n.measurements, profile.n.probes, profile.n.networks, profile.n.runs), (3, 3, 1, 3));
    assert!((profile.consensus - 2.0 / 3.0).abs() < 1e-9);
    assert!(profile.prevalence.low < profile.prevalence.share && profile.prevalence.share < profile.prevalence.high);
}

#[test]
fn where_there_is_no_majority_there_is_no_cause() {
    let blocked = at(reset(), 1, "PK", 0);
    let id = blocked.id;
    let cell = one(network(Rung::Network), &[(1, at(works(), 1, "PK", 0)), (2, blocked)]);
    assert_eq!((cell.profile.state, cell.profile.cause), (State::Impaired, Cause::Unknown));
    assert_eq!((cell.profile.existence, cell.profile.witness), (Existence::Claimed, Some(id)));
}

#[test]
fn what_says_nothing_is_counted_apart() {
    let mut cells = Cells::new(network(Rung::Network));
    for by in 1..=2 {
        put(&mut cells, &at(works(), 1, "PK", 0), &healthy(), by);
        put(&mut cells, &at(reset(), 1, "PK", 0), &Witness::default(), by);
    }
    let cell = cells.profiles(table()).next().unwrap();
    assert_eq!((cell.profile.state, cell.profile.n.measurements, cell.profile.n.insufficient), (State::Ok, 2, 2));
    assert!((cell.profile.consensus - 1.0).abs() < 1e-9);
}

#[test]
fn hours_networks_and_mobile_networks_are_cells_of_their_own() {
    let mut mobile = at(works(), 1, "PK", 0);
    mobile.network.kind = NetworkKind::Mobile;
    let all = [(1, at(works(), 1, "PK", 0)), (1, at(works(), 1, "PK", 1)), (1, at(works(), 2, "PK", 0)), (1, mobile)];
    assert_eq!(cells(network(Rung::Network), &all).len(), 4);
    assert_eq!(cells(Grid { hours: 24, ..network(Rung::Network) }, &all).len(), 3);
    assert_eq!(cells(network(Rung::Country), &all).len(), 2);
}

#[test]
fn a_country_is_made_of_networks_and_not_of_measurements() {
    let mut all: Vec<(u32, Measurement)> = (0..50).map(|_| (9, at(works(), 9, "PK", 0))).collect();
    all.extend((1..=3).map(|n| (n, at(reset(), n, "PK", 0))));
    let cell = one(network(Rung::Country), &all);
    assert_eq!((cell.profile.state, cell.profile.n.networks), (State::Blocked, 4), "{cell:#?}");
    assert!(cell.profile.consensus > 0.7 && cell.profile.consensus < 0.8);
}

#[test]
fn several_networks_without_internet_are_a_shutdown_and_one_is_its_providers() {
    let dead = || {
        let mut signals = all_well();
        for signal in signals.iter_mut().filter(|signal| !matches!(signal.kind, SignalKind::Link | SignalKind::Route)) {
            signal.outcome = failed(Failure::GenericTimeoutError);
        }
        let check = |at| -> Option<HealthCheck> { Some(check(at, signals.clone())) };
        Witness {
            before: check(4_000.0).map(Into::into),
            after: check(6_500.0).map(Into::into),
            during: Vec::new(),
            overloaded: false,
            run_clock_ms: None,
        }
    };
    let of = |networks: &[u32]| {
        let mut cells = Cells::new(network(Rung::Country));
        for &n in networks {
            put(&mut cells, &at(reset(), n, "PK", 0), &dead(), n);
        }
        let cell = cells.profiles(table()).next().unwrap();
        (cell.profile.state, cell.profile.cause)
    };
    assert_eq!(of(&[1, 2]), (State::Insufficient, Cause::Shutdown));
    assert_eq!(of(&[1]), (State::Insufficient, Cause::Isp));
}

#[test]
fn a_resolver_is_judged_by_addresses_that_were_proven() {
    let denied = || {
        World::measuring("https://site.example/").system_fails(Failure::DnsNxdomainError).others_say(GENUINE).responds(
            Purpose::Comparison,
            GENUINE,
            200,
        )
    };
    let by = |n| (n, at(denied(), 1, "PK", 0));
    let all = cells(network(Rung::Resolver), &[by(1), by(2)]);
    let state = |name: &str| {
        let cell = all.iter().find(|cell| cell.resolver.as_deref() == Some(name)).unwrap();
        (cell.profile.state, cell.profile.mechanism.clone())
    };
    assert_eq!(state("system"), (State::Blocked, Some("dns.nxdomain".into())));
    assert_eq!(state("doh resolver/quad9"), (State::Ok, None));
}

#[test]
fn cells_are_the_same_in_whatever_order_measurements_come() {
    let mut all: Vec<(u32, Measurement)> =
        (1..=6).map(|n| (n, at(if n % 2 == 0 { reset() } else { works() }, n / 3, "PK", i64::from(n % 2)))).collect();
    let there = serde_json::to_string(&cells(network(Rung::Network), &all)).unwrap();
    all.reverse();
    assert_eq!(serde_json::to_string(&cells(network(Rung::Network), &all)).unwrap(), there);
}

#[test]
fn a_tunnels_address_is_in_no_cell() {
    let silent = World::measuring("openvpn+udp://203.82.48.83:1194").tunnel(
        Purpose::Main,
        "203.82.48.83",
        failed(Failure::GenericTimeoutError),
    );
    let text = serde_json::to_string(&one(network(Rung::Network), &[(1, at(silent, 1, "PK", 0))])).unwrap();
    assert!(!text.contains("203.82.48.83"), "{text}");
}

#[test]
fn a_weak_shift_in_many_networks_that_no_network_shows_is_seen_in_the_country() {
    let mut all = Vec::new();
    for asn in 1..=12 {
        all.push((asn * 10, at(reset(), asn, "PK", 0)));
        all.extend((1..=2).map(|n| (asn * 10 + n, at(works(), asn, "PK", 0))));
    }
    for cell in cells(network(Rung::Network), &all) {
        assert_eq!((cell.profile.state, cell.profile.existence), (State::Ok, Existence::Claimed));
    }
    let country = one(network(Rung::Country), &all).profile;
    assert_eq!((country.state, country.existence), (State::Ok, Existence::Shown));
    assert!(country.prevalence.low > table().prior.blocked, "{country:#?}");
}

#[test]
fn a_country_of_services_is_made_of_each_submitters_word_on_the_service() {
    let services = faultline_verdict::service::Services::from_test_lists();
    let of = |name: &str, asn: u32, world: World| {
        let mut measurement = at(world, asn, "PK", 0);
        measurement.target.name = name.into();
        measurement
    };
    let mut cells = Cells::of_services(network(Rung::ServiceCountry), services);
    for asn in 1..=3 {
        for name in ["x/web", "x/api", "x/images"] {
            put(&mut cells, &of(name, asn, if asn == 3 { works() } else { reset() }), &healthy(), asn);
        }
    }
    let all: Vec<Cell> = cells.profiles(table()).collect();
    assert_eq!((all.len(), all[0].target.as_str(), all[0].asn, all[0].country.as_str()), (1, "x", None, "PK"));
    let profile = &all[0].profile;
    assert_eq!((profile.state, profile.existence), (State::Blocked, Existence::Shown), "{profile:#?}");
    assert_eq!(
        (profile.n.networks, profile.n.independent, profile.mechanism.as_deref()),
        (3, 3, Some("tls.reset.sni"))
    );
}

// --- attacks

#[test]
fn attack_one_probe_that_measures_a_thousand_times_moves_no_cell() {
    let honest = [(1, at(works(), 1, "PK", 0)), (2, at(works(), 1, "PK", 0))];
    let mut flooded = honest.to_vec();
    flooded.extend((0..1_000).map(|_| (66, at(reset(), 1, "PK", 0))));
    let (before, after) = (one(network(Rung::Network), &honest), one(network(Rung::Network), &flooded));
    assert_eq!((after.profile.state, after.profile.existence), (State::Ok, Existence::Claimed));
    assert_eq!((before.profile.state, after.profile.n.probes), (State::Ok, 3));
    assert!(after.profile.prevalence.share < 0.5, "{after:#?}");
    // And alone he makes nothing known.
    assert_eq!(one(network(Rung::Network), &flooded[2..]).profile.state, State::Insufficient);
}

#[test]
fn attack_one_submitter_who_claims_many_networks_moves_no_country() {
    let mut all = vec![(1, at(works(), 1, "PK", 0)), (2, at(works(), 2, "PK", 0))];
    all.extend((10..60).map(|n| (66, at(reset(), n, "PK", 0))));
    let cell = one(network(Rung::Country), &all);
    assert_eq!((cell.profile.state, cell.profile.existence), (State::Ok, Existence::Claimed), "{cell:#?}");
    assert_eq!(one(network(Rung::Country), &all[2..]).profile.state, State::Insufficient);
}

#[test]
fn attack_a_stolen_name_does_not_bring_another_endpoint_into_a_cell() {
    let named = |mut measurement: Measurement| {
        measurement.target.name = "site/web".into();
        measurement
    };
    let dead = World::measuring("https://dead.example/").connects(GENUINE, failed(Failure::GenericTimeoutError));
    let all =
        [(1, named(at(works(), 1, "PK", 0))), (2, named(at(works(), 1, "PK", 0))), (66, named(at(dead, 1, "PK", 0)))];
    let cells = cells(network(Rung::Network), &all);
    let own = cells.iter().find(|cell| cell.endpoint.as_deref() == Some("https://site.example:443")).unwrap();
    assert_eq!((own.profile.state, own.profile.n.measurements), (State::Ok, 2));
}

#[test]
fn attack_a_bogon_beside_a_good_answer_does_not_clear_the_resolver() {
    let both = |quad9: &[&str]| {
        World::measuring("https://site.example/")
            .asks(Purpose::Main, (Engine::System, "system"), "site.example", Outcome::Ok, &[GENUINE, "10.10.34.35"])
            .asks(Purpose::Comparison, (Engine::Doh, "resolver/quad9"), "site.example", Outcome::Ok, quad9)
            .responds(Purpose::Main, GENUINE, 200)
    };
    let state = |quad9: &[&str]| {
        let by = |n| (n, at(both(quad9), 1, "PK", 0));
        let all = cells(network(Rung::Resolver), &[by(1), by(2)]);
        all.iter().find(|cell| cell.resolver.as_deref() == Some("system")).unwrap().profile.state
    };
    assert_eq!(state(&[GENUINE]), State::LikelyBlocked);
    assert_eq!(state(&[GENUINE, "10.10.34.35"]), State::Ok, "its owner's will");
}

#[test]
fn attack_twins_of_an_international_name_are_one_cell() {
    let twin = |input: &str| World::measuring(input).connects(GENUINE, Outcome::Ok);
    let all = [
        (1, at(twin("tcp://яндекс.рф:443"), 1, "PK", 0)),
        (2, at(twin("tcp://XN--D1ACPJX3F.xn--p1ai:443"), 1, "PK", 0)),
    ];
    assert_eq!(one(network(Rung::Network), &all).profile.n.probes, 2);
}

#[test]
fn a_service_is_joined_by_its_rules_before_submitters_are_counted() {
    let services = faultline_verdict::service::Services::from_test_lists();
    let of = |name: &str, world: World| {
        let mut measurement = at(world, 1, "PK", 0);
        measurement.target.name = name.into();
        measurement
    };
    let silent = || World::measuring("https://x.example/").connects(GENUINE, failed(Failure::GenericTimeoutError));
    let mut cells = Cells::of_services(Grid { rung: Rung::Service, hours: 1, floor: 2 }, services);
    for by in 1..=2 {
        for measurement in
            [of("x/web", works()), of("x/api", works()), of("x/images", silent()), of("nobody's", silent())]
        {
            put(&mut cells, &measurement, &healthy(), by);
        }
    }
    let all: Vec<Cell> = cells.profiles(table()).collect();
    assert_eq!((all.len(), all[0].target.as_str(), all[0].endpoint.as_deref()), (1, "x", None), "{all:#?}");
    assert_eq!((all[0].profile.state, all[0].profile.n.probes), (State::Impaired, 2), "{all:#?}");
    assert!(all[0].profile.n.measurements >= 4 && all[0].profile.witness.is_some());
}
