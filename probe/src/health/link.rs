//! What this machine knows of its own links and routes, read without privilege and without sending anything.
//!
//! Interface names are read and not kept: some carry a hardware address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use faultline_record::{Failure, Family, HealthSignal, NetworkKind, Outcome, SignalKind};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// `RTF_UP` and `RTF_REJECT` of `<linux/route.h>`.
const ROUTE_UP: u32 = 0x0001;
const ROUTE_REJECT: u32 = 0x0200;
/// `ATF_COM` of `<linux/if_arp.h>`: the neighbour's hardware address is known.
const NEIGHBOUR_COMPLETE: u32 = 0x02;

/// The facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFacts {
    /// Interfaces beside the loopback, by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// The IPv4 default route.
    pub ipv4: Option<DefaultRoute>,
    /// The IPv6 default route.
    pub ipv6: Option<DefaultRoute>,
    /// Whether the IPv4 gateway answers for its hardware address, where the neighbour table says something.
    pub gateway: Option<bool>,
}

/// One interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// It is up and running.
    pub up: bool,
    /// It has an address beyond its own link.
    pub addressed: bool,
    /// What it is, as far as its name and the kernel tell.
    pub kind: NetworkKind,
}

/// Where packets for everyone go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// By this interface.
    pub interface: String,
    /// To this gateway, where there is one.
    pub gateway: Option<Ipv4Addr>,
}

impl LinkFacts {
    /// Reads them now. What cannot be read is absent.
    pub fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let ipv4 = default_route_v4(&text("/proc/net/route"));
        let gateway = ipv4.as_ref().and_then(|route| neighbour(&text("/proc/net/arp"), route));
        Self { interfaces: interfaces(), ipv4, ipv6: default_route_v6(&text("/proc/net/ipv6_route")), gateway }
    }

    /// Whether there is anything to send by.
    pub fn is_connected(&self) -> bool {
        self.interfaces.values().any(|link| link.is_usable()) && (self.ipv4.is_some() || self.ipv6.is_some())
    }

    /// Whether IPv6 leads anywhere.
    pub fn has_ipv6(&self) -> bool {
        self.ipv6.is_some()
    }

    /// The kind of the interface that carries the default route.
    pub fn kind(&self) -> NetworkKind {
        let route = self.ipv4.as_ref().or(self.ipv6.as_ref());
        route.and_then(|route| self.interfaces.get(&route.interface)).map_or(NetworkKind::Unknown, |link| link.kind)
    }

    /// The same, as signals.
    pub fn signals(&self) -> Vec<HealthSignal> {
        let mut signals: Vec<HealthSignal> = self.interfaces.values().map(|link| link.signal()).collect();
        if signals.is_empty() {
            signals.push(signal(SignalKind::Link, "link", None, Err(Failure::NetworkDown)));
        }
        let route = |name, family, there: bool| {
            signal(SignalKind::Route, name, Some(family), if there { Ok(()) } else { Err(Failure::NetworkUnreachable) })
        };
        signals.push(route("route/ipv4", Family::V4, self.ipv4.is_some()));
        signals.push(route("route/ipv6", Family::V6, self.ipv6.is_some()));
        if let Some(answers) = self.gateway {
            let outcome = if answers { Ok(()) } else { Err(Failure::HostUnreachable) };
            signals.push(signal(SignalKind::Gateway, "gateway", Some(Family::V4), outcome));
        }
        signals
    }
}

impl Interface {
    fn is_usable(self) -> bool {
        self.up && self.addressed
    }

    fn signal(self) -> HealthSignal {
        let outcome = if self.is_usable() { Ok(()) } else { Err(Failure::NetworkDown) };
        signal(SignalKind::Link, &format!("link/{}", self.kind), None, outcome)
    }
}

fn signal(kind: SignalKind, name: &str, family: Option<Family>, outcome: Result<(), Failure>) -> HealthSignal {
    HealthSignal {
        kind,
        name: name.to_owned(),
        provider: None,
        family,
        address: None,
        value: (kind == SignalKind::Link).then_some(if outcome.is_ok() { 1.0 } else { 0.0 }),
        outcome: outcome.map_or_else(Outcome::Failed, |()| Outcome::Ok),
        duration_ms: 0.0,
        detail: None,
    }
}

fn interfaces() -> BTreeMap<String, Interface> {
    let mut found = BTreeMap::new();
    for entry in getifaddrs().into_iter().flatten() {
        if entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let address = entry.address.as_ref();
        let link: &mut Interface = found.entry(entry.interface_name.clone()).or_default();
        link.up = entry.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
        link.addressed |= address.and_then(|a| a.as_sockaddr_in()).is_some_and(|a| !a.ip().is_link_local())
            || address.and_then(|a| a.as_sockaddr_in6()).is_some_and(|a| !a.ip().is_unicast_link_local());
        link.kind = kind_of(&entry.interface_name, Path::new("/sys/class/net"));
    }
    found
}

/// A guess: by the kernel's word where it has one, else by the customary names of interfaces.
fn kind_of(name: &str, sys: &Path) -> NetworkKind {
    let folder = sys.join(name);
    let uevent = std::fs::read_to_string(folder.join("uevent")).unwrap_or_default();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if uevent.contains("DEVTYPE=wwan") || starts(&["wwan", "rmnet", "ccmni", "ppp"]) {
        NetworkKind::Mobile
    } else if folder.join("wireless").exists() || uevent.contains("DEVTYPE=wlan") || starts(&["wl"]) {
        NetworkKind::Wifi
    } else if starts(&["eth", "en"]) {
        NetworkKind::Wired
    } else {
        NetworkKind::Unknown
    }
}

/// `/proc/net/route`. A half default (`0.0.0.0/1`, as VPN software sets) counts.
fn default_route_v4(table: &str) -> Option<DefaultRoute> {
    let mut best: Option<(u32, DefaultRoute)> = None;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[interface, _, gateway, flags, _, _, metric, mask, ..] = fields.as_slice() else { continue };
        let number = |text| u32::from_str_radix(text, 16).ok();
        let (Some(gateway), Some(flags), Some(mask)) = (number(gateway), number(flags), number(mask)) else { continue };
        let metric = metric.parse().unwrap_or(u32::MAX);
        let usable = flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0 && mask.count_ones() <= 1;
        if usable && best.as_ref().is_none_or(|(lowest, _)| metric < *lowest) {
            // The kernel prints addresses as they lie in memory.
            let gateway = Some(Ipv4Addr::from(gateway.to_ne_bytes())).filter(|address| !address.is_unspecified());
            best = Some((metric, DefaultRoute { interface: interface.to_owned(), gateway }));
        }
    }
    best.map(|(_, route)| route)
}

/// `/proc/net/ipv6_route`.
fn default_route_v6(table: &str) -> Option<DefaultRoute> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, length, _, _, _, _, _, _, flags, interface] = fields.as_slice() else { return None };
        let length = u32::from_str_radix(length, 16).ok()?;
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let usable = length <= 1 && interface != "lo" && flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0;
        usable.then(|| DefaultRoute { interface: interface.to_owned(), gateway: None })
    })
}

/// `/proc/net/arp`.
fn neighbour(table: &str, route: &DefaultRoute) -> Option<bool> {
    let gateway = route.gateway?.to_string();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[address, _, flags, _, _, interface] = fields.as_slice() else { return None };
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
        (address == gateway && interface == route.interface).then_some(flags & NEIGHBOUR_COMPLETE != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
";
    const ROUTES_V6: &str = "\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";
    const NEIGHBOURS: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.1         0x1         0x2         02:00:00:00:00:01     *        eth0
192.168.1.1      0x1         0x0         00:00:00:00:00:00     *        wlan0
";

    #[test]
    fn the_default_route_of_the_lowest_metric_is_the_one() {
        let route = default_route_v4(ROUTES).unwrap();
        assert_eq!((route.interface.as_str(), route.gateway), ("eth0", Some(Ipv4Addr::new(10, 0, 0, 1))));
    }

    #[test]
    fn half_defaults_count_and_rejecting_or_narrow_routes_do_not() {
        let one = |line: &str| default_route_v4(&format!("header\n{line}\n")).is_some();
        assert!(one("tun0\t00000080\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0"));
        assert!(!one("eth0\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0"));
        assert!(!one("eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0"));
        assert!(!one("garbage"));
        assert!(default_route_v4("").is_none());
    }

    #[test]
    fn the_kernels_own_unreachable_ipv6_default_is_no_route() {
        assert_eq!(default_route_v6(ROUTES_V6).unwrap().interface, "eth0");
        assert_eq!(default_route_v6(ROUTES_V6.lines().last().unwrap()), None);
    }

    #[test]
    fn the_gateway_is_judged_by_the_neighbour_table_or_not_at_all() {
        let route = |interface: &str, gateway: [u8; 4]| DefaultRoute {
            interface: interface.into(),
            gateway: Some(gateway.into()),
        };
        assert_eq!(neighbour(NEIGHBOURS, &route("eth0", [10, 0, 0, 1])), Some(true));
        assert_eq!(neighbour(NEIGHBOURS, &route("wlan0", [192, 168, 1, 1])), Some(false));
        assert_eq!(neighbour(NEIGHBOURS, &route("eth0", [10, 0, 0, 2])), None);
    }

    #[test]
    fn an_interface_without_an_address_is_no_link() {
        let with = |up, addressed| LinkFacts {
            interfaces: [("eth0".to_owned(), Interface { up, addressed, kind: NetworkKind::Wired })].into(),
            ipv4: default_route_v4(ROUTES),
            ..LinkFacts::default()
        };
        assert!(with(true, true).is_connected());
        assert!(!with(true, false).is_connected() && !with(false, true).is_connected());
        assert_eq!(with(true, true).kind(), NetworkKind::Wired);
        assert!(!LinkFacts::default().is_connected());
    }

    #[test]
    fn signals_name_no_interface_and_no_address() {
        let facts = LinkFacts {
            interfaces: [("enx02ab".to_owned(), Interface { up: true, addressed: true, kind: NetworkKind::Wired })]
                .into(),
            ipv4: default_route_v4(ROUTES),
            ipv6: None,
            gateway: Some(false),
        };
        let signals = facts.signals();
        assert_eq!(
            signals.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            ["link/wired", "route/ipv4", "route/ipv6", "gateway"]
        );
        assert!(signals.iter().all(|signal| signal.address.is_none()));
        assert_eq!(signals[3].outcome, Outcome::Failed(Failure::HostUnreachable));
    }
}
