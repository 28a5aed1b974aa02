//! Reading files as flat tables, and in slices.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use faultline_record::flat::{self, Cell, Flat};
use faultline_record::{
    Database, Endpoint, Filter, MeasurementId, Reader, RecordError, Scope, Slice, Sliced, endpoint_name,
};
use rusqlite::Connection;
use support::{empty_measurement, sample};
use tempfile::TempDir;

/// The sample, and ten measurements without steps of which some begin at the same moment.
fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.sqlite");
    let mut database = Database::open_or_create(&file).unwrap();
    sample().store(&mut database).unwrap();
    for number in 100..110 {
        database.insert_measurement(&empty_measurement(number, f64::from(number / 4))).unwrap();
    }
    (folder, file)
}

fn place(table: &Flat, name: &str) -> usize {
    table.columns.iter().position(|column| column.name == name).unwrap()
}

/// Every value as its debug text, row by row.
fn rows(file: &Path, table: &Flat, scope: &Scope, slice: &Slice) -> Result<Vec<Vec<String>>, RecordError> {
    let wanted: Vec<usize> = (0..table.columns.len()).collect();
    let mut rows = Vec::new();
    Reader::open(file)?.scan(table, &wanted, scope, slice, &HashSet::new(), |cells| {
        rows.push(cells.iter().map(|cell| format!("{cell:?}")).collect());
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

fn all(file: &Path, table: &Flat) -> Vec<Vec<String>> {
    rows(file, table, &Scope::default(), &Slice::default()).unwrap()
}

fn ids(reader: &Reader, scope: &Scope, slice: &Slice, without: &HashSet<[u8; 16]>) -> Vec<MeasurementId> {
    let mut ids = Vec::new();
    let end = reader.for_each_in(scope, slice, without, |witnessed| {
        ids.push(witnessed.measurement.id);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(end.unwrap(), None);
    ids
}

#[test]
fn slices_together_are_the_file_in_its_order_whatever_their_size() {
    let (_folder, file) = file();
    let reader = Reader::open(&file).unwrap();
    let mut whole = Vec::new();
    let end = reader.for_each(&Filter::default(), |witnessed| {
        whole.push(witnessed.measurement.id);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!((end.unwrap(), whole.len()), (None, 13));
    for size in [0, 1, 2, 5, 13, 100] {
        let slices = reader.slices(Sliced::Measurements, size).unwrap();
        assert_eq!(slices.len(), 13_usize.div_ceil(size.max(1)), "{size}");
        let each = slices.iter().flat_map(|slice| ids(&reader, &Scope::default(), slice, &HashSet::new()));
        assert_eq!(each.collect::<Vec<_>>(), whole, "{size}");
        for table in [&flat::MEASUREMENTS, &flat::OBSERVATIONS, &flat::DNS_ANSWERS] {
            let each = slices.iter().flat_map(|slice| rows(&file, table, &Scope::default(), slice).unwrap());
            assert_eq!(each.collect::<Vec<_>>(), all(&file, table), "{} by {size}", table.name);
        }
    }
    let checks = reader.slices(Sliced::HealthChecks, 2).unwrap();
    let each = checks.iter().flat_map(|slice| rows(&file, &flat::HEALTH_CHECKS, &Scope::default(), slice).unwrap());
    assert_eq!(each.collect::<Vec<_>>(), all(&file, &flat::HEALTH_CHECKS));
}

#[test]
fn flat_rows_are_the_rows_of_the_model() {
    let (_folder, file) = file();
    let sample = sample();
    let steps: usize = sample.measurements.iter().map(|measurement| measurement.observations.len()).sum();
    let table = &flat::OBSERVATIONS;
    let found = all(&file, table);
    assert_eq!(found.len(), steps);
    let measured = sample.measurements.iter().flat_map(|m| m.observations.iter().map(move |row| (m, row)));
    for (measurement, seen) in measured {
        let id = format!("{:?}", Cell::Id(*measurement.id.as_bytes()));
        let seq = format!("{:?}", Cell::Integer(seen.seq.into()));
        let same = |row: &&Vec<String>| row[0] == id && row[1] == seq;
        let row = found.iter().find(same).unwrap();
        let failure = seen.outcome.failure().map_or(Cell::Missing, |failure| Cell::Text(failure.name()));
        let expected = [
            ("purpose", Cell::Text(seen.purpose.name())),
            ("step", Cell::Text(seen.step().name())),
            ("failure", failure),
            ("t_ms", Cell::Real(seen.t_ms)),
            ("target", Cell::Text(&measurement.target.name)),
            ("started_at", Cell::Integer(measurement.started_at.as_millisecond())),
        ];
        for (column, cell) in expected {
            assert_eq!(row[place(table, column)], format!("{cell:?}"), "{column} of {id} {seq}");
        }
    }
    let signals: usize = sample.checks.iter().map(|check| check.signals.len()).sum();
    assert_eq!(all(&file, &flat::HEALTH_CHECKS).len(), signals);
}

#[test]
fn a_scope_leaves_what_fits_it_and_an_id_left_out_is_left_out() {
    let (_folder, file) = file();
    let reader = Reader::open(&file).unwrap();
    let wanted = sample().measurements.remove(0);
    let count = |scope: Scope| ids(&reader, &scope, &Slice::default(), &HashSet::new()).len();
    let scope = Scope {
        run: Some(wanted.run),
        from: Some(wanted.started_at),
        until: Some(wanted.started_at),
        targets: Some(vec!["nobody".into(), wanted.target.name.clone()]),
        asns: wanted.network.asn.map(|asn| vec![asn, 1]),
        countries: wanted.network.country.clone().map(|country| vec![country]),
    };
    assert_eq!(ids(&reader, &scope, &Slice::default(), &HashSet::new()), [wanted.id]);
    assert_eq!(count(Scope { targets: Some(Vec::new()), ..Scope::default() }), 0, "none of no names");
    assert_eq!(count(Scope { asns: Some(vec![1]), ..Scope::default() }), 0);
    assert_eq!(count(Scope { run: Some(faultline_record::RunId::from_bytes([9; 16])), ..Scope::default() }), 0);
    assert_eq!(count(Scope::default()), 13);
    let without = HashSet::from([*wanted.id.as_bytes()]);
    assert!(!ids(&reader, &Scope::default(), &Slice::default(), &without).contains(&wanted.id));
    let mut left = 0;
    let observations = &flat::OBSERVATIONS;
    let end = reader.scan(observations, &[], &Scope::default(), &Slice::default(), &without, |_| {
        left += 1;
        ControlFlow::Continue(())
    });
    end.unwrap();
    assert_eq!(left, all(&file, observations).len() - wanted.observations.len());
}

#[test]
fn a_file_that_was_checked_opens_again_beside_itself() {
    let (_folder, file) = file();
    let checked = Reader::open(&file).unwrap().checked();
    assert_eq!(checked.file(), file);
    let readers = [checked.open().unwrap(), checked.open().unwrap()];
    let mut counts = std::thread::scope(|scope| {
        readers.map(|reader| scope.spawn(move || reader.count(&Filter::default()).unwrap())).map(|t| t.join().unwrap())
    });
    counts.sort_unstable();
    assert_eq!(counts, [13, 13]);
    std::fs::remove_file(&file).unwrap();
    assert!(checked.open().is_err());
}

#[test]
fn a_value_that_is_not_of_this_format_is_named_with_its_place() {
    for (sql, table, column) in [
        ("UPDATE observations SET purpose = 'x'", &flat::OBSERVATIONS, "purpose"),
        ("UPDATE observations SET failure = 'no_such' WHERE failure = 'eof_error'", &flat::OBSERVATIONS, "failure"),
        ("UPDATE networks SET kind = 'wire'", &flat::MEASUREMENTS, "network_kind"),
        ("UPDATE targets SET input = CAST(x'ff' AS TEXT)", &flat::MEASUREMENTS, "input"),
        ("UPDATE health_checks SET reason = 'x'", &flat::HEALTH_CHECKS, "reason"),
        (
            "UPDATE observations SET http_body_truncated = 2 WHERE step = 'http'",
            &flat::OBSERVATIONS,
            "http_body_truncated",
        ),
    ] {
        let (_folder, file) = file();
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
        connection.execute_batch(sql).unwrap();
        match rows(&file, table, &Scope::default(), &Slice::default()) {
            Err(RecordError::BadRow { table: at, column: named, .. }) => assert_eq!((at, named), (table.name, column)),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn nothing_tells_where_a_tunnels_server_is() {
    let (_folder, file) = file();
    let whereabouts = ["146.70.12.4", "vpn.example.net"];
    let endpoint = Endpoint::parse("openvpn+udp://146.70.12.4:1194").unwrap();
    let change = "UPDATE targets SET name = ?1, input = ?2, endpoint = ?2";
    Connection::open(&file).unwrap().execute(change, [endpoint_name(&endpoint), endpoint.to_string()]).unwrap();
    for table in [&flat::MEASUREMENTS, &flat::OBSERVATIONS, &flat::DNS_ANSWERS] {
        let rows = all(&file, table);
        let of = |name| table.columns.iter().position(|column| column.name == name).into_iter();
        for column in ["target", "input", "endpoint", "address", "dns_hostname", "cname", "tls_sni", "http_url"] {
            assert!(of(column).all(|at| rows.iter().all(|row| row[at] == "Missing")), "{}.{column}", table.name);
        }
        assert!(!whereabouts.iter().any(|place| format!("{rows:?}").contains(place)), "{}", table.name);
    }
}
