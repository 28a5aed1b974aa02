//! A Sunday night, replayed: a filter of protocols, a dead backbone, one provider's trouble; told apart by the programs as they
//! are.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod common;

#[test]
fn a_filter_an_outage_and_one_providers_trouble_are_told_apart() {
    if !common::can_run_with(&["openvpn", "wireguard-go", "charon-systemd"]) {
        return;
    }
    let output = common::testbed().args(["replay", "--jobs", "3"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{talk}");
    for words in [
        "before:\n",
        "right: on 3 networks nothing",
        "right: on 3 networks protocol_interference openvpn, protocol_interference wireguard",
        "on 3 of 3 networks openvpn fails at 5 unrelated providers while sites work",
        "right: on 3 networks outage",
        "right: on 3 networks provider_down cedar-vpn",
    ] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    assert!(!said.contains("185.159.40.3"), "no server's address is printed:\n{said}");
}
