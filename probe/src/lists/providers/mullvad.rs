//! Mullvad: what `https://api.mullvad.net/app/v1/relays` gives, as the client's own source reads it (mullvad/mullvadvpn-app,
//! mullvad-api/src/relay_list.rs at 0214976).

use faultline_record::{ServerKey, VpnProtocol};
use serde_json::Value;

use super::{ProviderList, Server, address, country, items, port, text};

/// The relays, if this is such a list.
pub(super) fn read(json: &Value) -> Option<ProviderList> {
    let wireguard = json.get("wireguard").filter(|own| own.get("relays").is_some_and(Value::is_array))?;
    json.get("locations")?;
    let port = relay_port(wireguard);
    let mut list = ProviderList::default();
    for relay in items(wireguard, "relays") {
        match server(relay, port) {
            Some(server) => list.servers.push(server),
            None => list.passed_over += 1,
        }
    }
    Some(list)
}

fn server(relay: &Value, port: u16) -> Option<Server> {
    relay.get("active")?.as_bool().filter(|&is_active| is_active)?;
    Some(Server {
        protocol: VpnProtocol::Wireguard,
        address: address(relay, "ipv4_addr_in")?,
        port,
        key: Some(ServerKey::parse(text(relay, "public_key")?)?),
        // "se-mma": country and city.
        country: country(text(relay, "location").and_then(|location| location.split('-').next())),
    })
}

/// The usual port where the relays take it, else the first that they do.
fn relay_port(wireguard: &Value) -> u16 {
    let usual = port("mullvad", VpnProtocol::Wireguard);
    let bound = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let range = |range: &Value| Some((bound(range.get(0))?, bound(range.get(1))?));
    let ranges: Vec<(u16, u16)> = items(wireguard, "port_ranges").iter().filter_map(range).collect();
    let is_taken = ranges.iter().any(|(low, high)| (*low..=*high).contains(&usual));
    if is_taken { usual } else { ranges.first().map_or(usual, |(low, _)| *low) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=";

    #[test]
    fn relays_out_of_service_or_without_a_key_are_passed_over() {
        let relay = |active: bool, key: &str| json!({"active": active, "ipv4_addr_in": "198.51.100.1", "location": "de-fra", "public_key": key});
        let list = json!({"locations": {}, "wireguard": {"port_ranges": [[53, 53]],
            "relays": [relay(true, KEY), relay(false, KEY), relay(true, "short"), {}]}});
        let read = read(&list).unwrap();
        assert_eq!((read.servers.len(), read.passed_over), (1, 3));
        assert_eq!((read.servers[0].port, read.servers[0].country.as_deref()), (53, Some("de")));
    }
}
