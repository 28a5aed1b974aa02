//! What is wrong with what was asked is named before a packet leaves, with exit code 2.

use crate::support::{Bench, Ran, text};

#[test]
fn an_unknown_scheme_is_a_usage_error_that_names_it() {
    let ran = Bench::new().probe(&["check", "gopher://x.com/", "https://x.com/", "ftp://y.com/", "--yes"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("gopher") && ran.err.contains("ftp"), "{}", ran.err);
}

#[test]
fn an_unreadable_list_is_named() {
    let bench = Bench::new();
    let ran = bench.probe(&["run", "--yes", "--list", "nowhere.csv"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("nowhere.csv: no such file"), "{}", ran.err);
    assert!(!bench.path("data").exists(), "nothing was made");
}

#[test]
fn every_bad_row_is_named_with_file_and_line() {
    let bench = Bench::new();
    let list = bench.write("bad.csv", "url,category_code\nhttps://a.example/,NEWS\nnonsense\nftp://b.example/,NEWS\n");
    for command in [["run", "--yes", "--list"].as_slice(), &["targets", "validate"], &["targets", "list", "--list"]] {
        let ran = bench.probe(&[command, &[text(&list)]].concat());
        assert_eq!(ran.code, Some(2), "{command:?}");
        assert!(
            ran.err.contains("bad.csv:3: 1 columns") && ran.err.contains("bad.csv:4: unknown scheme"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_list_in_citizen_labs_original_form_is_valid() {
    let bench = Bench::new();
    let list = bench.write(
        "zz.csv",
        "\u{feff}url,category_code,category_description,date_added,source,notes\r\n\
         http://a.example/,NEWS,News Media,2014-04-15,citizenlab,\r\n\
         https://b.example/path,COMT,\"Communication Tools\",2017-01-01,\"someone, else\",\"a \"\"note\"\"\"\r\n",
    );
    let ran = bench.probe(&["targets", "validate", text(&list)]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "zz.csv: 2 targets, no problem\n"));
}

#[test]
fn without_consent_nothing_is_made_and_nothing_is_sent() {
    let bench = Bench::new();
    let ran = bench.probe(&["check", "https://x.com/"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert!(!bench.path("data").exists());
}

#[test]
fn a_dry_run_prints_the_plan_and_makes_nothing() {
    let bench = Bench::new();
    let ran = bench.probe(&["run", "--dry-run", "--only", "x/*", "--max-time", "90s"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.contains("https://x.com/") && ran.out.contains("at most this long: 90s"), "{}", ran.out);
    let json = bench.probe(&["run", "--dry-run", "--json"]).objects();
    assert!(json[0]["targets"].as_array().unwrap().len() > 100);
    assert!(json[0]["left_out"]["REL"].as_u64().unwrap() > 0);
    assert!(!bench.path("data").exists());
}

#[test]
fn option_over_environment_over_file() {
    let bench = Bench::new();
    let config = bench.write("c.toml", "parallel = 3\nrate = 7\njson = true\n");
    let plan = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_probe"));
        command.args(["check", "x.com", "--dry-run", "--config", text(&config)]).args(args);
        let ran = bench.run(command.env_clear());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        // `run` removes the caller's variables; these are the test's own.
        let ran = Ran::from(command.envs(variables.iter().copied()).output().unwrap());
        let plan = &ran.objects()[0];
        (plan["parallel"].as_u64().unwrap(), plan["rate"].as_f64().unwrap())
    };
    assert_eq!(plan(&[], &[]), (3, 7.0));
    assert_eq!(plan(&[("FAULTLINE_PARALLEL", "5")], &[]), (5, 7.0));
    assert_eq!(plan(&[("FAULTLINE_PARALLEL", "5")], &["--parallel", "6", "--rate", "1"]), (6, 1.0));
}

#[test]
fn a_mistake_in_the_configuration_file_is_named_with_its_line() {
    let bench = Bench::new();
    let config = bench.write("c.toml", "parallel = 3\nspeed = 7\n");
    let ran = bench.probe(&["targets", "validate", "--config", text(&config)]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("c.toml:2: unknown key \"speed\""), "{}", ran.err);
}

#[test]
fn values_out_of_range_and_patterns_that_match_nothing_are_usage_errors() {
    let bench = Bench::new();
    for args in [
        ["run", "--max-time", "soon"],
        ["run", "--parallel", "0"],
        ["run", "--only", "no/such*"],
        ["run", "--category", "NOPE"],
        ["run", "--only", "x/*"],
        ["check", "--ca-file=/nowhere.pem", "x.com"],
        ["check", "--doh=http://dns.example/", "x.com"],
    ] {
        let ran = bench.probe(&args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!ran.err.is_empty());
    }
}

#[test]
fn help_names_the_exit_codes() {
    let ran = Bench::new().probe(&["--help"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.contains("3 nothing could be measured"), "{}", ran.out);
}

#[test]
fn a_helper_is_asked_over_http_and_listens_where_it_can() {
    let bench = Bench::new();
    let ran = bench.probe(&["check", "--yes", "--helper", "ftp://helper.example/", "https://x.com/"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--helper ftp://helper.example/"), "{}", ran.err);
    // TEST-NET-1 (RFC 5737) is nobody's address, so not this machine's.
    for listen in ["192.0.2.1:8080", "8080", "localhost:x"] {
        let ran = bench.probe(&["helper", "serve", "--listen", listen]);
        assert_eq!(ran.code, Some(2), "{listen}");
        assert!(ran.err.contains("--listen"), "{}", ran.err);
    }
}

#[test]
fn a_plan_names_the_helper_without_its_secrets() {
    let url = "https://me:word@helper.example/?key=1";
    let ran = Bench::new().probe(&["check", "--dry-run", "--json", "--helper", url, "https://x.com/"]);
    assert_eq!(ran.objects()[0]["helper"], "https://helper.example/v1/check");
}
