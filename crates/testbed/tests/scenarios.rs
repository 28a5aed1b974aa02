//! The unmodified probe in every scenario: what it prints is compared with the truth, once, without retries.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use std::path::PathBuf;

use common::{can_run, testbed};

/// The probe: the one that the environment names, or the one beside the testbed.
fn probe() -> PathBuf {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_testbed")).with_file_name("probe");
    std::env::var_os(testbed::measure::PROBE_VARIABLE).map_or(beside, PathBuf::from)
}

fn agrees_with_the_truth(scenario: &str) {
    if !can_run() {
        return;
    }
    let probe = probe();
    assert!(probe.is_file(), "no probe at {}: run `cargo build -p faultline-probe` first", probe.display());
    let output = testbed().args(["run", scenario]).env(testbed::measure::PROBE_VARIABLE, &probe).output().unwrap();
    let (said, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{talk}");
}

macro_rules! scenarios {
    ($($test:ident: $scenario:literal;)*) => {
        $(
            #[test]
            fn $test() {
                agrees_with_the_truth($scenario);
            }
        )*

        #[test]
        fn every_scenario_file_has_its_test() {
            let folder = std::path::Path::new(testbed::scenario::FOLDER);
            let all = testbed::scenario::Scenario::all(folder).unwrap();
            let names: Vec<_> = all.iter().map(|scenario| scenario.name.as_str()).collect();
            let mut tested = vec![$($scenario),*];
            tested.sort_unstable();
            assert_eq!(names, tested);
        }
    };
}

scenarios! {
    a_clean_network_is_ok: "clean";
    a_denied_name_is_blocked: "dns-nxdomain";
    a_forged_private_address_is_blocked: "dns-bogon";
    silence_at_all_addresses_of_a_great_service_is_likely_blocked: "ip-drop";
    a_reset_by_server_name_is_blocked: "sni-reset";
    silence_by_server_name_is_blocked: "sni-drop";
    a_refusing_server_is_down_and_not_blocked: "server-down";
    without_a_network_nothing_is_said_about_targets: "no-network";
    with_the_upstream_dead_nothing_is_said_about_targets: "upstream-dead";
    behind_a_captive_portal_nothing_is_said_about_targets: "captive-portal";
    several_censors_at_once_are_told_apart: "demo";
}
