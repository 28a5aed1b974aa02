//! Where the servers of a list of tunnels are stays in the list and in the user's own database.

use crate::inside::{SILENT, inside};

/// [`SILENT`], as it is written.
const SERVER: &str = "5.6.6.6";
const NAME: &str = "Relay-7.provider.example";
const PUBLIC_KEY: &str = "e06Qm75//kTEZaIgA31gjuNYl9Me+XLwf3SJLLD3PxM=";

/// What in these octets says where a server is, if anything does.
fn betrayed(octets: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(octets).to_ascii_lowercase();
    [SERVER, NAME, PUBLIC_KEY].into_iter().find(|secret| text.contains(&secret.to_ascii_lowercase()))
}

fn list(extra: &str) -> String {
    format!(
        "version = 1\nservice = \"some-vpn\"\ntitle = \"Some VPN\"\nkind = \"vpn\"\ncategory_code = \"ANON\"\nsource = \"s\"\n\
         date = \"2026-11-26\"\n\
         [[endpoint]]\nrole = \"wireguard\"\nendpoint = [\"wireguard://{SILENT}:51820?pubkey={PUBLIC_KEY}\"{extra}]\n\
         [[endpoint]]\nrole = \"openvpn-udp\"\nendpoint = \"openvpn+udp://{SILENT}:1194\"\n\
         [[endpoint]]\nrole = \"openvpn-tcp\"\nendpoint = \"openvpn+tcp://{SILENT}:1194\"\n\
         [[endpoint]]\nrole = \"ikev2\"\nendpoint = \"ikev2://{NAME}\"\n\
         [[rule]]\nname = \"tunnel\"\nkind = \"any_of\"\nroles = [\"wireguard\", \"openvpn-udp\", \"openvpn-tcp\", \"ikev2\"]\n"
    )
}

#[test]
fn no_server_of_a_list_is_in_any_output_or_log_or_export_or_error() {
    inside("endpoints::no_server_of_a_list_is_in_any_output_or_log_or_export_or_error", |world| async move {
        assert_eq!(betrayed(format!("at {SILENT}").as_bytes()), Some(SERVER), "the search finds what it looks for");
        let (path, file) = (world.path("servers.toml"), world.path("own.sqlite"));
        std::fs::write(&path, list("")).unwrap();
        let (path, file) = (path.to_str().unwrap().to_owned(), file.to_str().unwrap().to_owned());
        let probe = async |args: &[&str]| {
            let output = world.probe(args).env("FAULTLINE_LOG", "info").output().await.unwrap();
            for (stream, octets) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
                let text = String::from_utf8_lossy(octets);
                assert_eq!(betrayed(octets), None, "{args:?} {stream}: {text}");
            }
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            (output.status.code(), text(&output.stdout), text(&output.stderr))
        };
        for args in [&["targets", "list", "--list", &path, "--category", "ANON"][..], &["targets", "validate", &path]] {
            assert_eq!(probe(args).await.0, Some(0));
            assert_eq!(probe(&["run", "--dry-run", "--list", &path, "--category", "ANON", "--json"]).await.0, Some(0));
            assert_eq!(probe(&["run", "--dry-run", "--list", &path, "--category", "ANON"]).await.0, Some(0));
        }
        let run = ["run", "--list", &path, "--category", "ANON", "--no-follow-up", "--db", &file];
        let (code, lines, talk) = probe(&run).await;
        assert_eq!(code, Some(0));
        assert_eq!(lines.matches("some-vpn/").count(), 4, "results name provider and protocol: {lines}");
        assert!(talk.contains("some-vpn (vpn): ikev2 "), "and what they make together: {talk}");
        let (_, json, _) = probe(&[&run[..], &["--json"]].concat()).await;
        assert!(json.contains("\"input\":\"wireguard://(withheld):51820?pubkey=(withheld)\""), "{json}");
        let (_, export, _) = probe(&["results", "export", "--db", &file]).await;
        assert_eq!(export.lines().count(), 8, "two runs of four: {export}");
        let first: serde_json::Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
        let (id, run_id) = (first["id"].as_str().unwrap(), first["run"].as_str().unwrap());
        for id in [id, run_id] {
            for more in [&[][..], &["--json"]] {
                assert_eq!(probe(&[&["results", "show", id, "--db", &file][..], more].concat()).await.0, Some(0));
            }
        }
        // Whoever holds the file may ask for them.
        let asked = world.probe(&["results", "export", "--with-endpoints", "--db", &file]).output().await.unwrap();
        assert_eq!(betrayed(&asked.stdout), Some(SERVER));
        // What is wrong with a list is said without what is on it.
        for wrong in [
            format!(", \"wireguard://{SILENT}:51820?pubkey=short\""),
            format!(", \"openvpn+udp://{SILENT}\""),
            format!(", \"ikev2://{NAME}?pubkey={PUBLIC_KEY}\""),
            format!(", \"vless://{PUBLIC_KEY}@{SILENT}:443\""),
        ] {
            std::fs::write(&path, list(&wrong)).unwrap();
            assert_eq!(probe(&run).await.0, Some(2), "{wrong}");
            assert_eq!(probe(&["targets", "validate", &path]).await.0, Some(2), "{wrong}");
        }
    });
}

#[test]
fn without_a_consent_of_their_own_no_tunnel_is_tried() {
    inside("endpoints::without_a_consent_of_their_own_no_tunnel_is_tried", |world| async move {
        let target = format!("openvpn+udp://{SILENT}:1194");
        let file = world.path("own.sqlite").to_str().unwrap().to_owned();
        let args = ["check", &target, "--no-follow-up", "--db", &file];
        let refused = world.probe(&args).env_remove("FAULTLINE_YES_VPN").output().await.unwrap();
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(words.contains("nobody has consented to trying tunnels") && words.contains("--yes-vpn"), "{words}");
        let given =
            world.probe(&[&args[..], &["--yes-vpn"]].concat()).env_remove("FAULTLINE_YES_VPN").output().await.unwrap();
        assert_eq!(given.status.code(), Some(0), "{}", String::from_utf8_lossy(&given.stderr));
        // It is recorded, and asked no more.
        let again = world.probe(&args).env_remove("FAULTLINE_YES_VPN").output().await.unwrap();
        assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    });
}
