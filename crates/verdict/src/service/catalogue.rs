//! The services that are known: those of the test lists, and what other lists add to them.

use std::collections::{BTreeMap, HashMap};

use faultline_record::{Endpoint, Target, VpnProtocol};

use super::read::{is_id, parse};
use super::{Rule, RuleKind, Service, ServiceKind};

macro_rules! lists {
    ($(#[$meta:meta])* $name:ident in $folder:literal: $($file:literal),* $(,)?) => {
        $(#[$meta])*
        pub const $name: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../../../test-lists/", $folder, "/", $file)))),*];
    };
}

lists!(
    /// The files of `test-lists/services`, by name.
    EMBEDDED_SERVICES in "services":
    "instagram.toml", "messenger.toml", "resolvers.toml", "signal.toml", "telegram.toml", "tiktok.toml", "whatsapp.toml",
    "wikipedia.toml", "x.toml", "youtube.toml",
);
lists!(
    /// The files of `test-lists/vpn`, by name.
    EMBEDDED_VPN in "vpn":
    "airvpn.toml", "expressvpn.toml", "ivpn.toml", "lantern.toml", "mullvad.toml", "nordvpn.toml", "outline.toml",
    "pia.toml", "proton-vpn.toml", "psiphon.toml", "riseup.toml", "surfshark.toml", "tor.toml", "tunnelbear.toml",
    "vpn-unlimited.toml", "warp.toml", "windscribe.toml",
);

/// Services by id.
#[derive(Clone, Debug, Default)]
pub struct Services {
    services: BTreeMap<String, Service>,
    by_endpoint: HashMap<Endpoint, (String, String)>,
}

/// Where a target belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// The service's id.
    pub service: &'a str,
    /// The target's part in it.
    pub role: &'a str,
    /// What the service is for.
    pub kind: ServiceKind,
    /// The protocol, of a tunnel.
    pub protocol: Option<VpnProtocol>,
}

impl Services {
    /// Those of the test lists. A file that does not parse is left out; a test says that all do.
    pub fn from_test_lists() -> Self {
        let mut services = Self::default();
        for (file, text) in EMBEDDED_SERVICES.iter().chain(EMBEDDED_VPN) {
            services.extend(parse(file, text.as_bytes()));
        }
        services
    }

    /// The service of that id.
    pub fn get(&self, id: &str) -> Option<&Service> {
        self.services.get(id)
    }

    /// The service that is known to have that endpoint.
    pub fn service_of(&self, endpoint: &Endpoint) -> Option<&str> {
        self.by_endpoint.get(endpoint).map(|(service, _)| service.as_str())
    }

    /// Where a target belongs: by its endpoint, whatever it is called; else by its name, which outlives addresses. A tunnel
    /// that is called `service/role` belongs to that service also where no list here knows it: the lists of servers are
    /// secret, and do not travel with results.
    pub fn place<'a>(&'a self, target: &'a Target) -> Option<Placed<'a>> {
        let protocol = protocol(&target.endpoint);
        if let Some((service, role)) = self.by_endpoint.get(&target.endpoint) {
            let kind = self.get(service).map_or(ServiceKind::App, |known| known.kind);
            return Some(Placed { service, role, kind, protocol });
        }
        let (service, role) = target.name.split_once('/').filter(|(service, role)| is_id(service) && is_id(role))?;
        let is_tunnel = protocol.is_some();
        match self.get(service) {
            Some(known) if is_tunnel || known.endpoints.iter().any(|own| own.role == role) => {
                Some(Placed { service, role, kind: known.kind, protocol })
            }
            None if is_tunnel => Some(Placed { service, role, kind: ServiceKind::Vpn, protocol }),
            _ => None,
        }
    }

    /// The rule that a role stands under; for a tunnel that no rule names, any server of its protocol will do.
    pub(super) fn rule_of(&self, service: &str, role: &str, protocol: Option<VpnProtocol>) -> Rule {
        let known = self
            .get(service)
            .and_then(|known| known.rules.iter().find(|rule| rule.roles.iter().any(|own| own == role)));
        known.cloned().unwrap_or_else(|| Rule {
            name: protocol.map_or(role, |protocol| protocol.node()).to_owned(),
            kind: RuleKind::AnyOf,
            roles: vec![role.to_owned()],
        })
    }
}

impl Extend<Service> for Services {
    /// What another list says of a service that is known is added to it.
    fn extend<I: IntoIterator<Item = Service>>(&mut self, services: I) {
        for service in services {
            for own in &service.endpoints {
                let place = (service.id.clone(), own.role.clone());
                self.by_endpoint.entry(own.endpoint.clone()).or_insert(place);
            }
            match self.services.get_mut(&service.id) {
                None => _ = self.services.insert(service.id.clone(), service),
                Some(known) => {
                    let is_new = |rule: &Rule| !known.rules.iter().any(|own| own.name == rule.name);
                    let rules: Vec<Rule> = service.rules.into_iter().filter(is_new).collect();
                    known.rules.extend(rules);
                    known.endpoints.extend(service.endpoints);
                    known.ports.extend(service.ports);
                }
            }
        }
    }
}

/// The protocol of a tunnel's endpoint.
fn protocol(endpoint: &Endpoint) -> Option<VpnProtocol> {
    match endpoint {
        Endpoint::Vpn { protocol, .. } => Some(*protocol),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, endpoint: &str) -> Target {
        Target { name: name.into(), ..Target::new(Endpoint::parse(endpoint).unwrap(), endpoint) }
    }

    #[test]
    fn every_file_of_the_folders_is_compiled_in_and_parses() {
        for (folder, files) in [("services", EMBEDDED_SERVICES), ("vpn", EMBEDDED_VPN)] {
            let path = format!("{}/../../test-lists/{folder}", env!("CARGO_MANIFEST_DIR"));
            let paths = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            let files_there = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
            let mut names: Vec<String> =
                files_there.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
            names.sort();
            assert_eq!(names, files.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
            for (name, text) in files {
                parse(name, text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}"));
            }
        }
    }

    #[test]
    fn a_target_is_placed_by_its_endpoint_and_else_by_its_name() {
        let services = Services::from_test_lists();
        let placed = |name: &str, endpoint: &str| {
            services.place(&target(name, endpoint)).map(|placed| (placed.service.to_owned(), placed.role.to_owned()))
        };
        let x = Some(("x".to_owned(), "web".to_owned()));
        assert_eq!(placed("x.com", "https://x.com/"), x);
        assert_eq!(placed("x/web", "https://twitter-moved.example/"), x);
        assert_eq!(placed("x/no-such-role", "https://moved.example/"), None);
        assert_eq!(placed("nobody/web", "https://moved.example/"), None);
        let tunnel = Some(("some-vpn".to_owned(), "wireguard".to_owned()));
        assert_eq!(placed("some-vpn/wireguard", "wireguard://192.0.2.1:51820"), tunnel);
        assert_eq!(placed("wireguard:192.0.2.1:51820", "wireguard://192.0.2.1:51820"), None);
    }

    #[test]
    fn a_list_of_servers_adds_to_the_provider_that_is_known() {
        let mut services = Services::from_test_lists();
        let more = "version = 1\nservice = \"x\"\ntitle = \"X\"\nkind = \"vpn\"\nsource = \"s\"\ndate = \"d\"\n[[endpoint]]\n\
                    role = \"tunnel\"\nendpoint = \"ikev2://192.0.2.1\"\n[[rule]]\nname = \"t\"\nkind = \"any_of\"\n\
                    roles = [\"tunnel\"]\n";
        services.extend(parse("more.toml", more.as_bytes()));
        let x = services.get("x").unwrap();
        assert!(x.rules.iter().any(|rule| rule.name == "t") && x.endpoints.iter().any(|own| own.role == "web"));
    }
}
