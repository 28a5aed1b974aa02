//! Unbound: the resolvers of ISPs, the public ones, and where a scenario wants it the authority abroad that knows all.
//!
//! A resolver that knows the names by heart has the whole zone as its own copy of the root (RFC 8806). That stands for a
//! warm cache: what is measured then is the way to the resolver, not the resolver's own way to the authorities.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use super::{Daemon, Endpoint};
use crate::certificates::Identity;
use crate::internet::Names;
use crate::netns::Namespace;
use crate::scenario::censor::Rcode;

/// The life time of records, in seconds.
const TTL: u32 = 300;

/// The mailbox and the server of the zone do not matter to anybody; the last number is how long an absence is remembered.
const SOA: &str = ". 86400 IN SOA a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 300";

/// How a resolver knows names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// By heart.
    Warm,
    /// It is the authority itself.
    Authority,
    /// It asks the authority at this address.
    Recursive(IpAddr),
}

/// What a resolver says of names other than the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lie {
    /// Of this name and all below it.
    pub name: String,
    /// These addresses.
    pub answers: Vec<IpAddr>,
    /// If there are none: this code, or not a word.
    pub rcode: Option<Rcode>,
}

impl Lie {
    /// Of `local-zone` in unbound.conf(5).
    fn zone_type(&self) -> &'static str {
        match self.rcode {
            _ if !self.answers.is_empty() => "redirect",
            Some(Rcode::Noerror) => "always_nodata",
            Some(Rcode::Nxdomain) => "always_nxdomain",
            Some(Rcode::Refused) => "always_refuse",
            Some(Rcode::Servfail) | None => "always_deny",
        }
    }

    fn is_failure(&self) -> bool {
        self.answers.is_empty() && self.rcode == Some(Rcode::Servfail)
    }
}

/// A resolver to be started.
#[derive(Debug)]
pub struct Resolver<'a> {
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// How it knows names.
    pub knowledge: Knowledge,
    /// Every name that there is.
    pub names: &'a Names,
    /// Names that are aliases of others.
    pub aliases: &'a BTreeMap<String, String>,
    /// What it says instead for some.
    pub lies: Vec<Lie>,
    /// What it says instead to those who ask from an address.
    pub views: Vec<(IpAddr, &'a Names)>,
    /// With an identity it serves DNS over TLS and over HTTPS as well.
    pub identity: Option<&'a Identity>,
}

impl Resolver<'_> {
    /// Starts it in `namespace`, with its files in `folder`.
    pub fn start(&self, namespace: &Namespace, folder: &Path) -> Result<Daemon> {
        std::fs::create_dir_all(folder)?;
        let configuration = folder.join("unbound.conf");
        std::fs::write(folder.join("zone"), self.zone()?)?;
        if let Knowledge::Recursive(server) = self.knowledge {
            let hints = format!(". 3600000 NS a.root-servers.net.\na.root-servers.net. 3600000 A {server}\n");
            std::fs::write(folder.join("hints"), hints)?;
        }
        std::fs::write(&configuration, self.configuration(folder)?)?;
        let mut command = namespace.command("unbound");
        command.arg("-d").arg("-p").arg("-c").arg(&configuration);
        Daemon::start(namespace, command, folder, self.endpoints())
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let addresses = || self.addresses.iter().copied().filter(IpAddr::is_ipv4);
        let https = addresses().map(|address| Endpoint::Tcp(SocketAddr::new(address, 443)));
        let answers = addresses().map(|address| Endpoint::Dns(SocketAddr::new(address, 53)));
        // Who recurses cannot answer before the world stands; that it listens is enough.
        let listens = addresses().map(|address| Endpoint::Tcp(SocketAddr::new(address, 53)));
        let dns: Vec<Endpoint> = match self.knowledge {
            Knowledge::Recursive(_) => listens.collect(),
            Knowledge::Warm | Knowledge::Authority => answers.collect(),
        };
        dns.into_iter().chain(https.filter(|_| self.identity.is_some())).collect()
    }

    fn configuration(&self, folder: &Path) -> Result<String> {
        let mut text = String::from("server:\n");
        writeln!(text, "  directory: \"{}\"", folder.display())?;
        text.push_str(
            "  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  verbosity: 0\n  \
             module-config: \"iterator\"\n  access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n  \
             num-threads: 1\n  so-reuseport: no\n  outgoing-range: 64\n  num-queries-per-thread: 1024\n  \
             msg-cache-size: 1m\n  rrset-cache-size: 1m\n  hide-identity: yes\n  hide-version: yes\n  \
             minimal-responses: yes\n  rrset-roundrobin: no\n",
        );
        let v6 = if self.addresses.iter().any(IpAddr::is_ipv6) { "yes" } else { "no" };
        writeln!(text, "  do-ip6: {v6}\n  prefer-ip4: yes")?;
        self.sockets(&mut text)?;
        self.lies(&mut text)?;
        for (client, _) in &self.views {
            let bits = if client.is_ipv4() { 32 } else { 128 };
            writeln!(text, "  access-control-view: {client}/{bits} \"{client}\"")?;
        }
        self.source(&mut text, folder)?;
        self.views(&mut text)?;
        text.push_str("remote-control:\n  control-enable: no\n");
        Ok(text)
    }

    fn sockets(&self, text: &mut String) -> Result<()> {
        let ports: &[u16] = if self.identity.is_some() { &[53, 443, 853] } else { &[53] };
        for (address, port) in self.addresses.iter().flat_map(|address| ports.iter().map(move |port| (address, port))) {
            writeln!(text, "  interface: {address}@{port}")?;
        }
        if let Some(identity) = self.identity {
            writeln!(text, "  https-port: 443\n  tls-port: 853")?;
            writeln!(text, "  tls-service-key: \"{}\"", identity.key.display())?;
            writeln!(text, "  tls-service-pem: \"{}\"", identity.certificate.display())?;
        }
        Ok(())
    }

    fn lies(&self, text: &mut String) -> Result<()> {
        for lie in self.lies.iter().filter(|lie| !lie.is_failure()) {
            writeln!(text, "  local-zone: \"{}.\" {}", lie.name, lie.zone_type())?;
            for address in &lie.answers {
                writeln!(text, "  local-data: \"{}\"", record(&lie.name, *address))?;
            }
        }
        Ok(())
    }

    /// Where it has its knowledge from.
    fn source(&self, text: &mut String, folder: &Path) -> Result<()> {
        let zone = |downstream, upstream| {
            format!(
                "auth-zone:\n  name: \".\"\n  zonefile: \"zone\"\n  for-downstream: {downstream}\n  \
                 for-upstream: {upstream}\n  fallback-enabled: no\n"
            )
        };
        match self.knowledge {
            Knowledge::Warm => text.push_str(&zone("no", "yes")),
            Knowledge::Authority => text.push_str(&zone("yes", "no")),
            Knowledge::Recursive(_) => writeln!(text, "  root-hints: \"{}\"", folder.join("hints").display())?,
        }
        for lie in self.lies.iter().filter(|lie| lie.is_failure()) {
            // Nobody listens there: the question fails at once.
            writeln!(text, "forward-zone:\n  name: \"{}.\"\n  forward-addr: 127.0.0.1@1", lie.name)?;
        }
        Ok(())
    }

    fn views(&self, text: &mut String) -> Result<()> {
        for (client, names) in &self.views {
            writeln!(text, "view:\n  name: \"{client}\"\n  view-first: yes")?;
            for (name, addresses) in *names {
                writeln!(text, "  local-zone: \"{name}.\" static")?;
                for address in addresses {
                    writeln!(text, "  local-data: \"{}\"", record(name, *address))?;
                }
            }
        }
        Ok(())
    }

    /// All names, in the format of zone files (RFC 1035 section 5).
    fn zone(&self) -> Result<String> {
        let mut text = format!("{SOA}\n. 86400 IN NS a.root-servers.net.\n");
        for (name, addresses) in self.names {
            for address in addresses {
                writeln!(text, "{}", record(name, *address))?;
            }
        }
        for (name, of) in self.aliases {
            writeln!(text, "{name}. {TTL} IN CNAME {of}.")?;
        }
        // An alias may lead to a name that is there and has no address.
        let ends: BTreeSet<&String> = self.aliases.values().collect();
        for end in ends.into_iter().filter(|end| !self.names.contains_key(*end) && !self.aliases.contains_key(*end)) {
            writeln!(text, "{end}. {TTL} IN TXT \"no address\"")?;
        }
        if !self.names.contains_key("a.root-servers.net") {
            writeln!(text, "{}", record("a.root-servers.net", crate::internet::ROOT_SERVER))?;
        }
        Ok(text)
    }
}

fn record(name: &str, address: IpAddr) -> String {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    format!("{name}. {TTL} IN {kind} {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

    fn resolver<'a>(names: &'a Names, aliases: &'a BTreeMap<String, String>, lies: Vec<Lie>) -> Resolver<'a> {
        let (addresses, knowledge) = (&[NOBODY][..], Knowledge::Warm);
        Resolver { addresses, knowledge, names, aliases, lies, views: Vec::new(), identity: None }
    }

    #[test]
    fn an_alias_of_a_name_without_address_leads_to_a_name_that_is_there() {
        let aliases = BTreeMap::from([("www.a.example".to_owned(), "host.a.example".to_owned())]);
        let zone = resolver(&Names::new(), &aliases, Vec::new()).zone().unwrap();
        assert!(zone.contains("www.a.example. 300 IN CNAME host.a.example."));
        assert!(zone.contains("host.a.example. 300 IN TXT"));
    }

    #[test]
    fn records_are_of_the_family_of_their_address() {
        let names =
            Names::from([("a.example".to_owned(), vec![[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()])]);
        let zone = resolver(&names, &BTreeMap::new(), Vec::new()).zone().unwrap();
        assert!(zone.contains("a.example. 300 IN A 192.0.2.1\n") && zone.contains("IN AAAA 2001:db8::1\n"));
    }

    #[test]
    fn each_lie_has_its_words() {
        let lie = |rcode, answers: &[IpAddr]| Lie { name: "x.com".into(), answers: answers.to_vec(), rcode };
        let all = [
            (lie(None, &[]), "always_deny"),
            (lie(Some(Rcode::Nxdomain), &[]), "always_nxdomain"),
            (lie(Some(Rcode::Refused), &[]), "always_refuse"),
            (lie(Some(Rcode::Noerror), &[]), "always_nodata"),
            (lie(Some(Rcode::Servfail), &[]), "forward-zone"),
            (lie(None, &[NOBODY]), "redirect"),
        ];
        for (lie, words) in all {
            let (names, aliases) = (Names::new(), BTreeMap::new());
            let text = resolver(&names, &aliases, vec![lie]).configuration(Path::new("/nowhere")).unwrap();
            assert!(text.contains(words), "{words}");
        }
    }
}
