//! `probe targets import`: a provider's list becomes a list of ours, for its user alone.

use crate::support::{Bench, text};

const LIST: &str = r#"{"locations": {}, "wireguard": {"port_ranges": [[51820, 51820]], "relays": [
    {"active": true, "ipv4_addr_in": "198.51.100.7", "location": "se-mma",
     "public_key": "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI="}]}}"#;

#[test]
fn a_providers_list_becomes_one_of_ours_which_nobody_else_can_read() {
    let bench = Bench::new();
    let (json, toml) = (bench.write("relays.json", LIST), bench.path("mullvad.toml"));
    let args = ["targets", "import", "--provider-list", text(&json), "-o", text(&toml)];
    let ran = bench.probe(&args);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("1 endpoints of mullvad") && !ran.err.contains("198.51.100"), "{}", ran.err);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&toml).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    let valid = bench.probe(&["targets", "validate", text(&toml)]);
    assert_eq!((valid.code, valid.out.as_str()), (Some(0), "mullvad.toml: 1 targets, no problem\n"), "{}", valid.err);
    let listed = bench.probe(&["targets", "list", "--list", text(&toml), "--category", "ANON", "--json"]);
    assert_eq!(listed.objects()[0]["target"], "mullvad/wireguard-se");
    // An older list is not written over.
    let again = bench.probe(&args);
    assert_eq!(again.code, Some(2), "{}", again.err);
}

#[test]
fn what_is_no_providers_list_is_refused_by_name() {
    let bench = Bench::new();
    let json = bench.write("other.json", "{\"password\": \"c2VjcmV0\"}");
    for file in [text(&json), "nowhere.json"] {
        let ran = bench.probe(&["targets", "import", "--provider-list", file, "-o", "out.toml"]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(".json: ") && !ran.err.contains("c2VjcmV0"), "{}", ran.err);
        assert!(!bench.path("out.toml").exists());
    }
}
