//! IVPN: the list that its clients fetch (`servers.json`), as their own source reads it (ivpn/desktop-app,
//! daemon/api/types/servers.go at 08d5f0c).

use faultline_record::{ServerKey, VpnProtocol};
use serde_json::Value;

use super::{ProviderList, Server, address, country, items, port, text};

/// The servers, if this is such a list.
pub(super) fn read(json: &Value) -> Option<ProviderList> {
    let is_list = |key: &str| json.get(key).is_some_and(Value::is_array);
    if !is_list("wireguard") || !is_list("openvpn") {
        return None;
    }
    let mut list = ProviderList::default();
    for (key, protocol) in [("wireguard", VpnProtocol::Wireguard), ("openvpn", VpnProtocol::OpenvpnUdp)] {
        let port = udp_port(json, key).unwrap_or_else(|| port("ivpn", protocol));
        for place in items(json, key) {
            let code = text(place, "country_code");
            for host in items(place, "hosts") {
                match server(host, protocol, port, code) {
                    Some(server) => list.servers.push(server),
                    None => list.passed_over += 1,
                }
            }
        }
    }
    Some(list)
}

fn server(host: &Value, protocol: VpnProtocol, port: u16, code: Option<&str>) -> Option<Server> {
    let key = match protocol {
        VpnProtocol::Wireguard => Some(ServerKey::parse(text(host, "public_key")?)?),
        _ => None,
    };
    Some(Server { protocol, address: address(host, "host")?, port, key, country: country(code) })
}

/// The first single port over UDP that the list's configuration names.
fn udp_port(json: &Value, protocol: &str) -> Option<u16> {
    let ports = json.get("config")?.get("ports")?;
    let is_udp = |own: &&Value| text(own, "type").is_some_and(|kind| kind.trim().eq_ignore_ascii_case("udp"));
    let port =
        |own: &Value| own.get("port")?.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0);
    items(ports, protocol).iter().filter(is_udp).find_map(port)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=";

    #[test]
    fn hosts_of_both_protocols_are_read_with_the_ports_of_the_configuration() {
        let list = json!({
            "wireguard": [{"gateway": "pk.wg.ivpn.net", "country_code": "PK", "hosts": [
                {"hostname": "pk1.wg.ivpn.net", "host": "198.51.100.1", "public_key": KEY, "local_ip": "172.16.0.1/12"},
                {"hostname": "pk2.wg.ivpn.net", "host": "198.51.100.2"}]}],
            "openvpn": [{"gateway": "pk.gw.ivpn.net", "country_code": "PK", "hosts": [{"host": "198.51.100.3"}]}],
            "config": {"ports": {"wireguard": [{"type": "UDP", "range": {"min": 1, "max": 9}}, {"type": "UDP", "port": 2049}],
                                 "openvpn": [{"type": "TCP", "port": 443}, {"type": "UDP", "port": 53}]}},
        });
        let read = read(&list).unwrap();
        let found: Vec<(VpnProtocol, u16)> = read.servers.iter().map(|own| (own.protocol, own.port)).collect();
        assert_eq!(found, [(VpnProtocol::Wireguard, 2049), (VpnProtocol::OpenvpnUdp, 53)]);
        assert_eq!((read.passed_over, read.servers[0].country.as_deref()), (1, Some("pk")));
        let bare = json!({"wireguard": [], "openvpn": list["openvpn"]});
        assert_eq!(super::read(&bare).unwrap().servers[0].port, 1194, "as the embedded file of IVPN says");
    }
}
