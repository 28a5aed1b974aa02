//! Keys of tunnels stay where they are: in the user's file, and in what is sent sealed.

use faultline_record::hex;

use crate::inside::{SILENT, inside};

/// The client's key, the secret shared besides and `OpenVPN`'s static key: the start of each in base64, and the octet that it is
/// made of.
const SECRETS: [(&str, u8); 3] = [
    ("IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=", 0x22),
    ("MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM=", 0x33),
    ("WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=", 0x5a),
];

/// Whether any way of writing a secret down is in these octets.
fn betrays(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets);
    SECRETS.iter().any(|(base64, octet)| {
        let raw = [*octet; 32];
        let decimal = format!("{octet}, {octet}, {octet}");
        let is_raw = octets.windows(raw.len()).any(|window| window == raw);
        is_raw || text.contains(&base64[..16]) || text.contains(&hex(&raw[..8])) || text.contains(&decimal)
    })
}

#[test]
fn no_key_is_in_any_output_any_log_or_the_database() {
    inside("keys::no_key_is_in_any_output_any_log_or_the_database", |world| async move {
        assert!(betrays(SECRETS[0].0.as_bytes()) && betrays(&[0x33; 40]), "the search finds what it looks for");
        let (keys, file) = (world.path("keys.toml"), world.path("own.sqlite"));
        let entry = format!(
            "[[wireguard]]\nendpoint = \"{SILENT}:51820\"\nprivate-key = \"{}\"\npreshared-key = \"{}\"\n",
            SECRETS[0].0, SECRETS[1].0
        );
        let kind = "OpenVPN Static key V1";
        let static_key = format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----", "5a".repeat(256));
        let first = format!("[[openvpn]]\nendpoint = \"{SILENT}:1194\"\ntls-crypt = \"\"\"{static_key}\"\"\"\n\n");
        let entry = format!("{first}{entry}");
        std::fs::write(&keys, &entry).unwrap();
        let openvpn = format!("openvpn+udp://{SILENT}:1194");
        let target = format!("wireguard://{SILENT}:51820?pubkey=e06Qm75//kTEZaIgA31gjuNYl9Me+XLwf3SJLLD3PxM=");
        let (keys, file) = (keys.to_str().unwrap().to_owned(), file.to_str().unwrap().to_owned());
        let options = ["--no-follow-up", "--vpn-keys", &keys, "--db", &file];
        for more in [&["--json"][..], &["--dry-run"], &["--dry-run", "--json"]] {
            let args = [&["check", &target, &openvpn][..], &options, more].concat();
            let ran = world.probe(&args).env("FAULTLINE_LOG", "trace").output().await.unwrap();
            assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
            assert!(!betrays(&ran.stdout) && !betrays(&ran.stderr), "{more:?}");
            let used = String::from_utf8_lossy(&ran.stdout).matches("\"key\":\"given\"").count();
            assert_eq!(
                used,
                if more == ["--json"] { 2 } else { 0 },
                "both keys were used: {}",
                String::from_utf8_lossy(&ran.stdout)
            );
        }
        assert!(!betrays(&std::fs::read(&file).unwrap()));
        let shown = world.probe(&["results", "list", "--db", &file]).output().await.unwrap();
        assert!(!betrays(&shown.stdout));
        // What is wrong with the file is said without what is in it.
        for wrong in [format!("{entry}proven = \"{}\"", SECRETS[0].0), format!("{entry}{}", SECRETS[1].0)] {
            std::fs::write(&keys, wrong).unwrap();
            let ran = world.probe(&[&["check", &target][..], &options].concat()).output().await.unwrap();
            assert_eq!(ran.status.code(), Some(2));
            assert!(!betrays(&ran.stdout) && !betrays(&ran.stderr), "{}", String::from_utf8_lossy(&ran.stderr));
        }
    });
}
