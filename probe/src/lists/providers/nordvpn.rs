//! `NordVPN`: what `https://api.nordvpn.com/v1/servers` gives, a list of servers with their technologies; and `/v2/servers`, where
//! technologies and places stand beside the servers and are named by numbers. The keys of the first are those that the client
//! asks for (NordSecurity/nordvpn-linux, core/urls.go at 0a940a6); of the second no source was at hand.

use std::collections::HashMap;

use faultline_record::{ServerKey, VpnProtocol};
use serde_json::Value;

use super::{ProviderList, Server, address, country, items, port, text};

/// The servers, if this is such a list.
pub(super) fn read(json: &Value) -> Option<ProviderList> {
    let names = Names::of(json);
    let servers = json.as_array().map(Vec::as_slice).or_else(|| {
        json.get("technologies").filter(|own| own.is_array())?;
        json.get("servers")?.as_array().map(Vec::as_slice)
    })?;
    servers.first()?.get("station")?;
    let mut list = ProviderList::default();
    for server in servers {
        let found = of_server(server, &names);
        list.passed_over += usize::from(found.is_empty());
        list.servers.extend(found);
    }
    Some(list)
}

/// What version 2 keeps beside the servers.
struct Names<'a> {
    technologies: HashMap<u64, &'a str>,
    countries: HashMap<u64, &'a str>,
}

impl<'a> Names<'a> {
    fn of(json: &'a Value) -> Self {
        let technology = |own: &'a Value| Some((number(own, "id")?, text(own, "identifier")?));
        let place = |own: &'a Value| Some((number(own, "id")?, text(own.get("country")?, "code")?));
        Self {
            technologies: items(json, "technologies").iter().filter_map(technology).collect(),
            countries: items(json, "locations").iter().filter_map(place).collect(),
        }
    }
}

fn of_server(server: &Value, names: &Names<'_>) -> Vec<Server> {
    let is_online = text(server, "status").is_none_or(|status| status == "online");
    let Some(address) = address(server, "station").filter(|_| is_online) else { return Vec::new() };
    let first = |key: &str| items(server, key).first();
    let code = first("locations")
        .and_then(|place| text(place.get("country")?, "code"))
        .or_else(|| first("location_ids").and_then(Value::as_u64).and_then(|id| names.countries.get(&id).copied()));
    let one = |technology: &Value| {
        let (protocol, key) = protocol(technology, names)?;
        Some(Server { protocol, address, port: port("nordvpn", protocol), key, country: country(code) })
    };
    items(server, "technologies").iter().filter_map(one).collect()
}

/// The protocol of a technology that is online, with the server's key where it has one.
fn protocol(technology: &Value, names: &Names<'_>) -> Option<(VpnProtocol, Option<ServerKey>)> {
    let status = technology.get("pivot").and_then(|pivot| text(pivot, "status")).or_else(|| text(technology, "status"));
    let by_number = || number(technology, "id").and_then(|id| names.technologies.get(&id).copied());
    let name =
        text(technology, "identifier").or_else(by_number).filter(|_| status.is_none_or(|own| own == "online"))?;
    let protocol = match name {
        "openvpn_udp" => VpnProtocol::OpenvpnUdp,
        "openvpn_tcp" => VpnProtocol::OpenvpnTcp,
        "ikev2" => VpnProtocol::Ikev2,
        "wireguard_udp" => return Some((VpnProtocol::Wireguard, Some(public_key(technology)?))),
        _ => return None,
    };
    Some((protocol, None))
}

fn public_key(technology: &Value) -> Option<ServerKey> {
    let mut metadata = items(technology, "metadata").iter();
    let key = metadata.find(|own| text(own, "name") == Some("public_key"))?;
    ServerKey::parse(text(key, "value")?)
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=";

    fn protocols(list: &Value) -> Vec<(VpnProtocol, u16, Option<String>)> {
        read(list).unwrap().servers.into_iter().map(|own| (own.protocol, own.port, own.country)).collect()
    }

    fn expected() -> Vec<(VpnProtocol, u16, Option<String>)> {
        let pk = || Some("pk".to_owned());
        vec![
            (VpnProtocol::OpenvpnUdp, 1194, pk()),
            (VpnProtocol::OpenvpnTcp, 443, pk()),
            (VpnProtocol::Ikev2, 500, pk()),
            (VpnProtocol::Wireguard, 51_820, pk()),
        ]
    }

    #[test]
    fn the_first_version_names_technologies_at_each_server() {
        let online = json!({"status": "online"});
        let list = json!([{
            "name": "Pakistan #1", "station": "198.51.100.1", "hostname": "pk1.nordvpn.com", "status": "online",
            "locations": [{"country": {"code": "PK"}}],
            "technologies": [
                {"identifier": "openvpn_udp", "pivot": online}, {"identifier": "openvpn_tcp", "pivot": online},
                {"identifier": "ikev2", "pivot": online}, {"identifier": "skylark", "pivot": online},
                {"identifier": "openvpn_xor_udp", "pivot": {"status": "offline"}},
                {"identifier": "wireguard_udp", "pivot": online, "metadata": [{"name": "public_key", "value": KEY}]},
            ],
        }, {"station": "198.51.100.2", "status": "offline", "technologies": [{"identifier": "ikev2"}]}]);
        assert_eq!(protocols(&list), expected());
        assert_eq!(read(&list).unwrap().passed_over, 1);
    }

    #[test]
    fn the_second_version_names_them_by_numbers() {
        let list = json!({
            "servers": [{"station": "198.51.100.1", "status": "online", "location_ids": [7], "technologies": [
                {"id": 3, "status": "online"}, {"id": 5, "status": "online"}, {"id": 1, "status": "online"},
                {"id": 35, "status": "online", "metadata": [{"name": "public_key", "value": KEY}]},
                {"id": 99, "status": "online"}, {"id": 3, "status": "maintenance"},
            ]}],
            "technologies": [{"id": 3, "identifier": "openvpn_udp"}, {"id": 5, "identifier": "openvpn_tcp"},
                             {"id": 1, "identifier": "ikev2"}, {"id": 35, "identifier": "wireguard_udp"}],
            "locations": [{"id": 7, "country": {"code": "PK"}}],
        });
        assert_eq!(protocols(&list), expected());
    }
}
