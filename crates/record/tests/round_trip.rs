//! What is written is what is read.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end a test by a panic")]

mod support;

use std::ops::ControlFlow;

use faultline_record::{
    Arrival, Database, Filter, Http, Measurement, Observation, Reader, StepData, Vpn, VpnAnswer, VpnProtocol,
};
use support::{measurement_id, run_id, sample};

fn all(reader: &Reader, filter: Filter) -> Vec<Measurement> {
    let mut found = Vec::new();
    let broke_off = reader.for_each(&filter, |witnessed| {
        found.push(witnessed.measurement);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(broke_off.unwrap(), None);
    found
}

#[test]
fn a_run_with_one_of_everything_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let sample = sample();
    sample.store(&mut Database::open_or_create(&file).unwrap()).unwrap();

    let reader = Reader::open(&file).unwrap();
    assert_eq!(reader.runs().unwrap(), std::slice::from_ref(&sample.run));
    assert_eq!(reader.run_end(sample.run.id).unwrap(), Some(sample.end));
    assert_eq!(reader.pace_marks(sample.run.id).unwrap(), sample.marks);
    assert_eq!(reader.health_checks(sample.run.id).unwrap(), sample.checks);
    assert_eq!(all(&reader, Filter { with_bodies: true, ..Filter::default() }), sample.measurements);
    assert_eq!(reader.count(&Filter::default()).unwrap(), 3);
}

#[test]
fn what_later_formats_added_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut sample = sample();
    let model = sample.measurements[0].observations[2].clone();
    let row = |seq, data| Observation { seq, ttl: Some(7), data, ..model.clone() };
    let vpn = Vpn { bytes_received: 36, answer: Some(VpnAnswer::Notified), ..Vpn::planned(VpnProtocol::Ikev2) };
    let titled = Http { url: "http://example.org/".into(), title: Some("A title".into()), ..Http::default() };
    let rows = &mut sample.measurements[0].observations;
    let seq = rows.last().unwrap().seq;
    rows.extend([row(seq + 1, StepData::Vpn(vpn)), row(seq + 2, StepData::Http(titled))]);
    sample.store(&mut Database::open_or_create(&file).unwrap()).unwrap();
    let found = Reader::open(&file).unwrap().measurement(measurement_id(1)).unwrap().unwrap();
    assert_eq!(found.measurement, sample.measurements[0]);
}

#[test]
fn bodies_that_came_in_the_clear_are_read_with_every_measurement() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut sample = sample();
    let body: std::sync::Arc<[u8]> = b"in the clear".as_slice().into();
    let model = sample.measurements[0].observations[2].clone();
    let http = Http { url: "http://example.org/".into(), body: Some(body), ..Http::default() };
    let rows = &mut sample.measurements[0].observations;
    let seq = rows.last().unwrap().seq + 1;
    rows.push(Observation { seq, data: StepData::Http(http), ..model });
    sample.store(&mut Database::open_or_create(&file).unwrap()).unwrap();
    let read = all(&Reader::open(&file).unwrap(), Filter::default());
    let bodies = read.iter().flat_map(|found| &found.observations).filter_map(|row| row.http());
    let bodies: Vec<&[u8]> = bodies.filter_map(|http| http.body.as_deref()).collect();
    assert_eq!(bodies, [b"in the clear"]);
}

#[test]
fn when_a_response_came_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut sample = sample();
    let mut expected = Vec::new();
    for seen in sample.measurements.iter_mut().flat_map(|measurement| &mut measurement.observations) {
        if let StepData::Http(http) = &mut seen.data {
            http.head_ms = Some(81);
            http.arrivals = vec![Arrival { ms: 80, bytes: 1_448 }, Arrival { ms: 131, bytes: 300_412 }];
            expected.push(http.arrivals.clone());
        }
    }
    sample.store(&mut Database::open_or_create(&file).unwrap()).unwrap();
    let found = all(&Reader::open(&file).unwrap(), Filter { with_bodies: true, ..Filter::default() });
    assert!(!expected.is_empty());
    assert_eq!(found, sample.measurements);
}

#[test]
fn what_is_known_of_the_making_of_an_answer_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let sample = sample();
    let mut database = Database::open_or_create(&file).unwrap();
    sample.store(&mut database).unwrap();
    let mut made = Measurement { id: measurement_id(9), ..sample.measurements[0].clone() };
    let StepData::Dns(dns) = &mut made.observations[0].data else { panic!("the first row is a question") };
    let known = [None, Some(true), Some(false)].into_iter().cycle();
    for (answer, known) in dns.answers.iter_mut().zip(known) {
        (answer.opt, answer.case_kept) = (known, known.map(|known| !known));
    }
    database.insert_measurement(&made).unwrap();
    let read = Reader::open(&file).unwrap().measurement(made.id).unwrap().unwrap().measurement;
    assert_eq!(read.observations[0], made.observations[0]);
}

#[test]
fn a_filter_finds_its_run_and_its_measurement_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let sample = sample();
    let mut database = Database::open_or_create(&file).unwrap();
    sample.store(&mut database).unwrap();
    database.insert_run(&support::run(2)).unwrap();
    let other = Measurement { run: run_id(2), ..support::empty_measurement(9, 1.0) };
    database.insert_measurement(&other).unwrap();

    let reader = Reader::open(&file).unwrap();
    let of_run = Filter { run: Some(run_id(2)), ..Filter::default() };
    assert_eq!(all(&reader, of_run), std::slice::from_ref(&other));
    assert_eq!(reader.count(&of_run).unwrap(), 1);
    let of_both = Filter { id: Some(measurement_id(1)), ..of_run };
    assert_eq!(all(&reader, of_both), []);
    assert_eq!(all(&reader, Filter::default()).len(), 4);
    let found = reader.measurement(measurement_id(1)).unwrap().unwrap();
    assert_eq!(found.measurement, sample.measurements[0]);
    assert_eq!(reader.measurement(measurement_id(77)).unwrap(), None);
    assert_eq!(reader.run(run_id(77)).unwrap(), None);
    assert_eq!(reader.run_end(run_id(2)).unwrap(), None);
}

#[test]
fn bodies_stay_where_they_are_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    sample().store(&mut Database::open_or_create(&file).unwrap()).unwrap();
    let found = all(&Reader::open(&file).unwrap(), Filter::default());
    let pages: Vec<_> = found.iter().flat_map(|m| &m.observations).filter_map(|seen| seen.http()).collect();
    assert!(pages.len() > 3 && pages.iter().all(|http| http.body.is_none()));
    assert_eq!(pages[0].body_length, 300_000);
}

#[test]
fn a_visitor_can_break_off_and_can_look_things_up_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    sample().store(&mut Database::open_or_create(&file).unwrap()).unwrap();
    let reader = Reader::open(&file).unwrap();
    let mut visits = 0;
    let found = reader.for_each(&Filter::default(), |witnessed| {
        visits += 1;
        let again = reader.measurement(witnessed.measurement.id).unwrap().unwrap();
        ControlFlow::Break(again.measurement.id)
    });
    assert_eq!((found.unwrap(), visits), (Some(measurement_id(1)), 1));
}

#[test]
fn two_measurements_alike_share_their_body_and_their_chain() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    sample().store(&mut database).unwrap();
    let twin = Measurement { id: measurement_id(8), ..sample().measurements[0].clone() };
    database.insert_measurement(&twin).unwrap();
    let count = |table: &str| -> i64 {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap()
    };
    assert_eq!([count("bodies"), count("certificates"), count("targets"), count("networks")], [2, 3, 3, 2]);
}

#[test]
fn a_measurement_that_cannot_be_stored_whole_is_not_stored_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    database.insert_run(&support::run(1)).unwrap();
    let twice = vec![support::step(1, StepData::Tcp), support::step(1, StepData::Tcp)];
    let broken = Measurement { observations: twice, ..support::empty_measurement(1, 0.0) };
    assert!(database.insert_measurement(&broken).is_err());
    assert_eq!(all(&Reader::open(&file).unwrap(), Filter::default()), []);
    database.insert_measurement(&support::empty_measurement(1, 0.0)).unwrap();
}
