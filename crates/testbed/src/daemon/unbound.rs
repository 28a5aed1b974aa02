//! Unbound: the ISP's resolver and the public ones, each an instance that knows the whole zone by heart.
//!
//! "By heart" stands for a warm cache: the names of a world are few, and what is measured here is the way to the
//! resolver, not the resolver's own way to the authorities.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use super::{Daemon, Endpoint};
use crate::certificates::Identity;
use crate::netns::Namespace;

/// The life time of records, in seconds.
const TTL: u32 = 300;

/// What a resolver says of a name other than the truth.
#[derive(Debug, Clone)]
pub enum Lie {
    /// What a local zone of this type says (see `local-zone` in unbound.conf(5)).
    Type(String, &'static str),
    /// The resolver fails: whom it would have to ask does not exist.
    Servfail(String),
    /// It has these addresses.
    Addresses(String, Vec<IpAddr>),
}

impl Lie {
    /// Whether it is about `name`: forged records must not stand beside the true ones.
    fn covers(&self, name: &str) -> bool {
        let (Self::Type(zone, _) | Self::Servfail(zone) | Self::Addresses(zone, _)) = self;
        name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// A resolver to be started.
#[derive(Debug)]
pub struct Resolver<'a> {
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// Every name that there is.
    pub names: &'a BTreeMap<String, Vec<IpAddr>>,
    /// Names that are aliases of others.
    pub aliases: &'a BTreeMap<String, String>,
    /// What it says instead for some.
    pub lies: &'a [Lie],
    /// With an identity it serves DNS over HTTPS as well.
    pub identity: Option<&'a Identity>,
}

impl Resolver<'_> {
    /// Starts it in `namespace`, with its files in `folder`.
    pub fn start(&self, namespace: &Namespace, folder: &Path) -> Result<Daemon> {
        std::fs::create_dir_all(folder)?;
        let configuration = folder.join("unbound.conf");
        std::fs::write(&configuration, self.configuration(folder)?)?;
        let mut command = namespace.command("unbound");
        command.arg("-d").arg("-p").arg("-c").arg(&configuration);
        Daemon::start(namespace, command, folder, self.endpoints())
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let dns = self.addresses.iter().map(|&address| Endpoint::Dns(SocketAddr::new(address, 53)));
        let https = self.addresses.iter().map(|&address| Endpoint::Tcp(SocketAddr::new(address, 443)));
        dns.chain(https.filter(|_| self.identity.is_some())).collect()
    }

    fn configuration(&self, folder: &Path) -> Result<String> {
        let mut text = String::from("server:\n");
        writeln!(text, "  directory: \"{}\"", folder.display())?;
        text.push_str(
            "  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  verbosity: 0\n  \
             do-ip6: no\n  module-config: \"iterator\"\n  access-control: 0.0.0.0/0 allow\n  num-threads: 1\n  \
             so-reuseport: no\n  outgoing-range: 64\n  num-queries-per-thread: 1024\n  msg-cache-size: 1m\n  \
             rrset-cache-size: 1m\n  hide-identity: yes\n  hide-version: yes\n  minimal-responses: yes\n",
        );
        for address in self.addresses {
            writeln!(text, "  interface: {address}@53")?;
        }
        if let Some(identity) = self.identity {
            for address in self.addresses {
                writeln!(text, "  interface: {address}@443")?;
            }
            writeln!(text, "  https-port: 443")?;
            writeln!(text, "  tls-service-key: \"{}\"", identity.key.display())?;
            writeln!(text, "  tls-service-pem: \"{}\"", identity.certificate.display())?;
        }
        self.zone(&mut text)?;
        for lie in self.lies {
            if let Lie::Servfail(name) = lie {
                // Nobody listens there: the question fails at once.
                writeln!(text, "forward-zone:\n  name: \"{name}.\"\n  forward-addr: 127.0.0.1@1")?;
            }
        }
        text.push_str("remote-control:\n  control-enable: no\n");
        Ok(text)
    }

    fn zone(&self, text: &mut String) -> Result<()> {
        writeln!(text, "  local-zone: \".\" static")?;
        writeln!(
            text,
            "  local-data: \". 86400 SOA a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 300\""
        )?;
        for (name, addresses) in self.names.iter().filter(|(name, _)| !self.lies.iter().any(|lie| lie.covers(name))) {
            records(text, name, addresses)?;
        }
        for (name, of) in self.aliases {
            writeln!(text, "  local-zone: \"{name}.\" redirect\n  local-data: \"{name}. {TTL} CNAME {of}.\"")?;
        }
        for lie in self.lies {
            match lie {
                Lie::Type(name, kind) => writeln!(text, "  local-zone: \"{name}.\" {kind}")?,
                Lie::Servfail(name) => writeln!(text, "  local-zone: \"{name}.\" transparent")?,
                Lie::Addresses(name, addresses) => {
                    writeln!(text, "  local-zone: \"{name}.\" redirect")?;
                    records(text, name, addresses)?;
                }
            }
        }
        Ok(())
    }
}

fn records(text: &mut String, name: &str, addresses: &[IpAddr]) -> Result<()> {
    for address in addresses {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        writeln!(text, "  local-data: \"{name}. {TTL} {kind} {address}\"")?;
    }
    Ok(())
}
