//! Lists of servers as providers publish them, made into a service file: `probe targets import`.
//!
//! Pure: octets in, text out. The file that comes out is for its user alone; where servers are is never published by this
//! program.

mod ivpn;
mod mullvad;
mod nordvpn;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::Ipv4Addr;

use faultline_record::{Endpoint, ServerKey, VpnProtocol, hex, sha256};
use faultline_verdict::service::Service;
use serde_json::Value;

use super::embedded;
use super::service::parse;

/// What a provider's list holds.
#[derive(Debug, Default)]
pub struct ProviderList {
    servers: Vec<Server>,
    /// Servers that were passed over: not in service, without an address or a key, or of a protocol that is not measured.
    passed_over: usize,
}

/// A server for one protocol.
#[derive(Debug)]
struct Server {
    protocol: VpnProtocol,
    address: Ipv4Addr,
    port: u16,
    key: Option<ServerKey>,
    /// Two letters, lower case; `None` if the list does not say.
    country: Option<String>,
}

/// A service file, and what became of the list.
#[derive(Debug)]
pub struct Imported {
    /// The provider's id.
    pub provider: &'static str,
    /// TOML.
    pub text: String,
    /// Endpoints in it.
    pub endpoints: usize,
    /// Endpoints left out, since there are enough of their protocol and country.
    pub left_out: usize,
    /// Servers passed over.
    pub passed_over: usize,
}

/// Makes a service file of a provider's list: at most `most` servers of each protocol and country. Who they are is decided by
/// hashes of their addresses: the same from the same list, and not the first of each.
///
/// # Errors
/// What is wrong with the list. Nothing of it is repeated.
pub fn import(bytes: &[u8], most: usize, name: &str, date: &str) -> Result<Imported, String> {
    let json: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("line {}, column {}: this is not JSON", error.line(), error.column()))?;
    let (provider, list) = known(&json).ok_or("this is no list of Mullvad's, NordVPN's or IVPN's")?;
    let total = list.servers.len();
    let service =
        published(provider).ok_or_else(|| format!("there is no file of {provider} among the embedded lists"))?;
    let chosen = chosen(list.servers, most);
    let endpoints = chosen.values().map(Vec::len).sum();
    if endpoints == 0 {
        return Err(format!("the list of {provider} has no server that can be measured"));
    }
    let text = to_toml(&service, &chosen, name, date);
    Ok(Imported { provider, text, endpoints, left_out: total - endpoints, passed_over: list.passed_over })
}

fn known(json: &Value) -> Option<(&'static str, ProviderList)> {
    mullvad::read(json)
        .map(|list| ("mullvad", list))
        .or_else(|| nordvpn::read(json).map(|list| ("nordvpn", list)))
        .or_else(|| ivpn::read(json).map(|list| ("ivpn", list)))
}

/// What the embedded lists say of a provider: its name, and the ports of its protocols.
fn published(provider: &str) -> Option<Service> {
    let file = format!("{provider}.toml");
    let (name, text) = embedded::VPN.iter().find(|(name, _)| *name == file)?;
    parse(name, text.as_bytes()).ok()
}

/// The port that a provider publishes for a protocol, of the embedded lists; else the protocol's own.
fn port(provider: &str, protocol: VpnProtocol) -> u16 {
    let usual = match protocol {
        VpnProtocol::Wireguard => 51_820,
        VpnProtocol::Ikev2 => 500,
        _ => 1194,
    };
    published(provider).and_then(|service| service.ports_of(protocol.name()).first().copied()).unwrap_or(usual)
}

/// By role: protocol and country.
type Chosen = BTreeMap<Role, Vec<String>>;
type Role = (VpnProtocol, Option<String>);

fn chosen(servers: Vec<Server>, most: usize) -> Chosen {
    let mut by_role: BTreeMap<Role, BTreeSet<(String, String)>> = BTreeMap::new();
    for server in servers {
        let url = server.url();
        let key = hex(&sha256(url.as_bytes()));
        by_role.entry((server.protocol, server.country)).or_default().insert((key, url));
    }
    let first = |urls: BTreeSet<(String, String)>| urls.into_iter().take(most).map(|(_, url)| url).collect();
    by_role.into_iter().map(|(role, urls)| (role, first(urls))).collect()
}

impl Server {
    fn url(&self) -> String {
        let Self { protocol, address, port, key, .. } = self;
        let host = faultline_record::HostName::Address((*address).into());
        Endpoint::Vpn { protocol: *protocol, host, port: *port, pubkey: *key, sni: None }.to_string()
    }
}

fn to_toml(service: &Service, chosen: &Chosen, name: &str, date: &str) -> String {
    let role = |protocol: VpnProtocol, country: &Option<String>| {
        let protocol = protocol.name().replace('+', "-");
        country.as_ref().map_or(protocol.clone(), |country| format!("{protocol}-{country}"))
    };
    let mut text = format!(
        "# Servers of {}. Keep it to yourself: whoever collects such lists can block what is on them.\nversion = 1\n\
         service = {:?}\ntitle = {:?}\nkind = {:?}\ncategory_code = \"ANON\"\nsource = {:?}\ndate = {:?}\n",
        service.title,
        service.id,
        service.title,
        service.kind.name(),
        format!("the provider's own list, from {name}"),
        date
    );
    let mut rules: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((protocol, country), urls) in chosen {
        let role = role(*protocol, country);
        let _ = write!(text, "\n[[endpoint]]\nrole = {role:?}\nendpoint = [\n");
        for url in urls {
            let _ = writeln!(text, "    {url:?},");
        }
        text.push_str("]\n");
        rules.entry(protocol.node()).or_default().push(role);
    }
    for (protocol, roles) in rules {
        let _ = write!(text, "\n[[rule]]\nname = {protocol:?}\nkind = \"any_of\"\nroles = {roles:?}\n");
    }
    text
}

/// A two-letter country, as roles have it.
fn country(code: Option<&str>) -> Option<String> {
    let code = code?.to_ascii_lowercase();
    (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(code)
}

/// A text of an object.
fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An IPv4 address, with a prefix length behind it or not.
fn address(value: &Value, key: &str) -> Option<Ipv4Addr> {
    text(value, key)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=";

    fn mullvad(relays: usize) -> String {
        let relay = |number: usize| {
            format!(
                r#"{{"hostname": "se-{number}", "active": true, "owned": true, "location": "se-mma", "provider": "p", "weight": 1,
                 "ipv4_addr_in": "198.51.100.{number}", "include_in_country": true, "public_key": "{KEY}"}}"#
            )
        };
        let relays: Vec<String> = (1..=relays).map(relay).collect();
        format!(
            r#"{{"locations": {{"se-mma": {{"city": "Malmo", "country": "Sweden", "latitude": 0, "longitude": 0}}}},
                "wireguard": {{"port_ranges": [[53, 53], [4000, 33433], [51820, 51820]], "ipv4_gateway": "10.64.0.1",
                "ipv6_gateway": "fc00::1", "relays": [{}]}}, "bridge": {{"shadowsocks": [], "relays": []}}}}"#,
            relays.join(",")
        )
    }

    fn imported(list: &str, most: usize) -> Imported {
        import(list.as_bytes(), most, "relays.json", "2026-11-26").unwrap()
    }

    #[test]
    fn what_comes_out_is_a_service_file_of_the_provider_that_is_known() {
        let out = imported(&mullvad(3), 10);
        assert_eq!((out.provider, out.endpoints, out.left_out), ("mullvad", 3, 0));
        let service = parse("mullvad.toml", out.text.as_bytes()).unwrap();
        assert_eq!((service.id.as_str(), service.title.as_str()), ("mullvad", "Mullvad"));
        assert_eq!(service.category.as_deref(), Some("ANON"));
        assert!(service.endpoints.iter().all(|own| own.role == "wireguard-se"), "{}", out.text);
        assert!(out.text.contains(&format!("wireguard://198.51.100.1:51820?pubkey={KEY}")));
        assert_eq!(
            (service.rules[0].name.as_str(), &service.rules[0].roles[..]),
            ("wireguard", &["wireguard-se".to_owned()][..])
        );
    }

    #[test]
    fn of_many_servers_some_are_chosen_and_the_same_each_time() {
        let (one, other) = (imported(&mullvad(200), 3), imported(&mullvad(200), 3));
        assert_eq!((one.endpoints, one.left_out), (3, 197));
        assert_eq!(one.text, other.text);
        assert!(!one.text.contains("198.51.100.1:") || !one.text.contains("198.51.100.2:"), "not the first ones");
    }

    #[test]
    fn what_is_no_list_is_refused_and_nothing_of_it_is_repeated() {
        for list in [
            "",
            "{",
            "[]",
            "{}",
            "null",
            "[{\"password\": \"c2VjcmV0\"}]",
            "{\"wireguard\": \"c2VjcmV0\"}",
            "{\"servers\": [{\"station\": \"c2VjcmV0\"}], \"technologies\": []}",
            "{\"password\": \"c2VjcmV0\"",
        ] {
            let error = import(list.as_bytes(), 3, "x.json", "2026-11-26").unwrap_err();
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
        let none = import(mullvad(0).as_bytes(), 3, "x.json", "2026-11-26").unwrap_err();
        assert!(none.contains("no server that can be measured"), "{none}");
    }

    #[test]
    fn every_cut_of_a_list_is_an_error_and_no_panic() {
        let list = mullvad(2);
        for cut in 0..list.len() {
            assert!(import(&list.as_bytes()[..cut], 3, "x", "d").is_err(), "cut at {cut}");
        }
    }
}
