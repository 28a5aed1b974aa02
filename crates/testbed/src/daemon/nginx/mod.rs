//! nginx: all web sites of a place in one instance, with the ISP's captive portal where there is one.

mod gate;
mod site;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use super::{Daemon, Endpoint};
use crate::certificates::Authority;
use crate::internet::{Content, Internet, PORTAL_NAME, WebSite};
use crate::netns::Namespace;
use crate::scenario::Place;

/// Debian's place for the module that proxies without ending TLS.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// The web servers of one place.
#[derive(Debug)]
pub struct Web<'a> {
    /// All that there is.
    pub internet: &'a Internet,
    /// Which sites: those of this place.
    pub place: Place,
    /// The portal's address, if it is to run here.
    pub portal: Option<IpAddr>,
    /// Worker processes.
    pub workers: usize,
}

/// What is written into the configuration, piece by piece.
#[derive(Debug, Default)]
struct Pieces {
    /// Of the `http` block.
    http: String,
    /// Of the `stream` block.
    stream: String,
    /// What has been listened at.
    sockets: Vec<SocketAddr>,
}

impl Pieces {
    /// The lines that make a server listen, for every address at which the site lives.
    fn listen(&mut self, web: &WebSite, port: u16, options: &str) -> Result<String> {
        let mut lines = String::new();
        let mut addresses: Vec<IpAddr> = web.living().collect();
        addresses.sort_unstable();
        addresses.dedup();
        for address in addresses {
            let socket = SocketAddr::new(address, port);
            writeln!(lines, "    listen {socket}{options};")?;
            self.sockets.push(socket);
        }
        Ok(lines)
    }

    /// A server of the `http` block; none at all if nothing is listened at.
    fn server(&mut self, listen: &str, name: &str, body: &str) -> Result<()> {
        if !listen.is_empty() {
            write!(self.http, "  server {{\n{listen}    server_name {name};\n{body}  }}\n")?;
        }
        Ok(())
    }
}

impl Web<'_> {
    /// Starts nginx in `namespace`, with its files in `folder`, and certificates by `authority`. `None` if there is nothing
    /// to be served.
    pub fn start(&self, namespace: &Namespace, folder: &Path, authority: &Authority) -> Result<Option<Daemon>> {
        std::fs::create_dir_all(folder)?;
        let pieces = self.pieces(folder, authority)?;
        // nginx opens all its sockets before it serves any.
        let Some(&first) = pieces.sockets.first() else { return Ok(None) };
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, whole(folder, self.workers, &pieces)?)?;
        let mut command = namespace.command("nginx");
        command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(&configuration);
        Daemon::start(namespace, command, folder, vec![Endpoint::Tcp(first)]).map(Some)
    }

    fn pieces(&self, folder: &Path, authority: &Authority) -> Result<Pieces> {
        let mut pieces = Pieces::default();
        let webs: Vec<&WebSite> = self.internet.webs.iter().filter(|web| web.place() == self.place).collect();
        gate::origins(&mut pieces, &webs, self.internet)?;
        for web in webs {
            match &web.content {
                Content::Site(site) if gate::is_gate(site) => {
                    gate::write(&mut pieces, web, site, self.internet, folder, authority)?;
                }
                Content::Site(site) => site::write(&mut pieces, web, site, folder, authority)?,
                Content::Checks(checks) => site::checks(&mut pieces, web, checks)?,
            }
        }
        if let Some(address) = self.portal {
            portal(&mut pieces, address)?;
        }
        Ok(pieces)
    }
}

/// The ISP's portal: it takes every plain HTTP request for its own and sends it to the login page.
fn portal(pieces: &mut Pieces, address: IpAddr) -> Result<()> {
    pieces.sockets.push(SocketAddr::new(address, 80));
    write!(
        pieces.http,
        "  server {{\n    listen 80 default_server;\n    \
         return 302 http://{PORTAL_NAME}/login?from=$host;\n  }}\n  \
         server {{\n    listen 80;\n    server_name {PORTAL_NAME};\n    default_type text/html;\n    \
         return 200 '<!doctype html><title>Hotspot login</title><form action=/login method=post>\
         <input name=user><input name=password type=password><button>Log in</button></form>';\n  }}\n"
    )?;
    Ok(())
}

fn whole(folder: &Path, workers: usize, pieces: &Pieces) -> Result<String> {
    let mut text = String::new();
    if !pieces.stream.is_empty() {
        writeln!(text, "load_module {STREAM_MODULE};")?;
    }
    writeln!(text, "user root;\ndaemon off;\nworker_processes {workers};\npid {}/pid;", folder.display())?;
    writeln!(text, "error_log stderr warn;\nworker_rlimit_nofile 65536;")?;
    writeln!(text, "events {{ worker_connections 16384; }}")?;
    if !pieces.stream.is_empty() {
        writeln!(text, "stream {{\n  map_hash_bucket_size 128;\n{}}}", pieces.stream)?;
    }
    text.push_str("http {\n");
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "  {kind}_temp_path {}/{kind};", folder.display())?;
    }
    text.push_str(
        "  access_log off;\n  server_tokens off;\n  default_type text/html;\n  keepalive_timeout 65;\n  \
         server_names_hash_max_size 8192;\n  server_names_hash_bucket_size 128;\n  map_hash_bucket_size 128;\n  \
         ssl_protocols TLSv1.2 TLSv1.3;\n  ssl_session_cache off;\n",
    );
    text.push_str(&pieces.http);
    text.push_str("}\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::Controls;
    use crate::scenario::{Scenario, Site};

    fn pieces(site: &str) -> Pieces {
        let site: Site = toml::from_str(site).unwrap();
        let place = site.at;
        let scenario = Scenario { site: vec![site], ..Scenario::plain("own") };
        let internet = Internet::of(&scenario, &Controls::load().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let web = Web { internet: &internet, place, portal: None, workers: 1 };
        web.pieces(folder.path(), &Authority::new().unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_listened_at_where_no_host_is() {
        for serves in ["silence", "nothing", "mute", "reset"] {
            let text = format!("name = 'a.example'\nat = 'home'\naddresses = ['185.1.1.1']\nserves = '{serves}'");
            assert!(pieces(&text).sockets.is_empty(), "{serves}");
        }
    }

    #[test]
    fn ports_are_those_that_the_site_has() {
        let ports = |more: &str| {
            let text = format!("name = 'a.example'\nat = 'home'\naddresses = ['185.1.1.1']\n{more}");
            pieces(&text).sockets.iter().map(SocketAddr::port).collect::<Vec<_>>()
        };
        assert_eq!(ports(""), [443, 80]);
        assert_eq!(ports("http = 'nothing'"), [443]);
        assert_eq!(ports("https = false"), [80]);
        assert_eq!(ports("serves = 'block_page'"), [80]);
        assert_eq!(ports("serves = 'alert'\nhttp = 'nothing'"), [443]);
    }

    #[test]
    fn a_proxy_knows_the_true_addresses_and_not_its_own() {
        let pieces = pieces("name = 'proxy.example'\nat = 'home'\naddresses = ['203.99.1.1']\nserves = 'proxy'");
        assert!(pieces.stream.contains("dns.google 8.8.8.8:443;"), "{}", pieces.stream);
        assert!(!pieces.stream.contains("proxy.example"));
        assert_eq!(pieces.sockets.len(), 2);
    }
}
