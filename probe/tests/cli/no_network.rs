//! Without any network: it says so, exits 3, claims nothing, and records that nothing was done.

use crate::support::{Bench, namespaces_work, text};

#[test]
fn a_check_prints_one_object_an_input_and_claims_nothing() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    let inputs = ["https://x.com/", "web.whatsapp.com", "tcp://149.154.167.51:443", "https://x.com/"];
    let ran = bench.probe_without_network(&[["check", "--yes", "--json"].as_slice(), &inputs].concat());
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("has no network"), "{}", ran.err);
    let objects = ran.objects();
    assert_eq!(objects.iter().map(|object| object["input"].as_str().unwrap()).collect::<Vec<_>>().len(), inputs.len());
    assert_eq!(objects[0]["target"], "x/web");
    for object in &objects {
        assert_eq!(object["schema"], "faultline/measurement/1");
        assert_eq!(object["verdict"]["state"], "insufficient");
        assert_eq!(object["local_health"]["state"], "no_network");
        for row in object["observations"].as_array().unwrap() {
            assert_eq!(row["not_run"], "no_network");
            assert_eq!(row["failure"], serde_json::Value::Null);
        }
    }
}

#[test]
fn a_run_measures_nothing_and_accounts_for_every_target() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    let db = bench.path("a.sqlite");
    let ran = bench.probe_without_network(&["run", "--yes", "--list", "services", "--db", text(&db)]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("60 targets planned: 0 measured, 60 not run; 0 connections"), "{}", ran.err);
    let runs = bench.probe(&["results", "list", "--json", "--db", text(&db)]).objects();
    assert_eq!((runs[0]["end"]["end"].as_str(), runs[0]["consent"].as_str()), (Some("no_network"), Some("option")));
    assert_eq!((runs[0]["planned"].as_u64(), runs[0]["end"]["not_run"].as_u64()), (Some(60), Some(60)));
}

#[test]
fn without_a_network_nobody_is_asked_for_consent() {
    if !namespaces_work() {
        return;
    }
    let ran = Bench::new().probe_without_network(&["run"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("has no network") && !ran.err.contains("consent"), "{}", ran.err);
}

#[test]
fn a_result_is_shown_by_run_and_by_measurement() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    let check = bench.probe_without_network(&["check", "https://x.com/", "--yes", "--json"]).objects();
    let (run, measurement) = (check[0]["run"].as_str().unwrap(), check[0]["id"].as_str().unwrap());
    let by_run = bench.probe(&["results", "show", run]);
    assert!(by_run.out.starts_with("x/web\tinsufficient\t-\t-\t"), "{}", by_run.out);
    for id in [measurement, &measurement[measurement.len() - 8..]] {
        let shown = bench.probe(&["results", "show", id]);
        assert!(
            shown.out.contains("not run: there was no network") && shown.out.contains("x/web (https://x.com/)"),
            "{}",
            shown.out
        );
        assert_eq!(bench.probe(&["results", "show", id, "--json"]).objects(), check);
    }
    assert_eq!(bench.probe(&["results", "show", "ffffffff"]).code, Some(3));
}

#[test]
fn a_route_to_nowhere_is_no_internet_and_no_verdict() {
    if !namespaces_work() {
        return;
    }
    let bench = Bench::new();
    let ran = bench.shell_without_network(
        "ip link set lo up; ip link add d0 type veth peer name d1; ip link set d1 up; ip addr add 10.9.0.2/24 dev d0; ip link set d0 up; \
         ip route add default via 10.9.0.1; exec \"$PROBE\" check https://x.com/ --yes --json",
    );
    if ran.err.contains("Unknown device type") || ran.err.contains("not found") {
        eprintln!("skipped: no pair of interfaces can be made here: {}", ran.err);
        return;
    }
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    let object = &ran.objects()[0];
    assert_eq!(object["local_health"]["state"], "no_internet");
    assert_eq!(object["verdict"]["state"], "insufficient");
}
