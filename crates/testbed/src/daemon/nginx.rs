//! nginx: every web site abroad in one instance, and the ISP's captive portal in another.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use super::{Daemon, Endpoint};
use crate::certificates::Authority;
use crate::internet::{Content, PORTAL, PORTAL_NAME, WebSite};
use crate::netns::Namespace;

/// The sites abroad.
#[derive(Debug)]
pub struct Web<'a> {
    /// What is served.
    pub sites: &'a [WebSite],
    /// Worker processes.
    pub workers: usize,
}

impl Web<'_> {
    /// Starts nginx in `namespace`, with its files in `folder`, and certificates by `authority`.
    pub fn start(&self, namespace: &Namespace, folder: &Path, authority: &Authority) -> Result<Daemon> {
        std::fs::create_dir_all(folder)?;
        let mut servers = String::new();
        for site in self.sites {
            match &site.content {
                Content::Page => page(&mut servers, site, folder, authority)?,
                Content::Checks(_) => checks(&mut servers, site)?,
                Content::Nothing => {}
            }
        }
        start(namespace, folder, self.workers, &servers, self.endpoints())
    }

    /// nginx opens all its sockets before it serves any: one of each kind is enough.
    fn endpoints(&self) -> Vec<Endpoint> {
        let first = |port: u16, wanted: fn(&Content) -> bool| {
            let site = self.sites.iter().find(|site| wanted(&site.content))?;
            site.addresses.first().map(|&address| Endpoint::Tcp(SocketAddr::new(address, port)))
        };
        let page = first(443, |content| matches!(content, Content::Page));
        page.into_iter().chain(first(80, |content| matches!(content, Content::Checks(_)))).collect()
    }
}

/// Starts the ISP's portal: it takes every plain HTTP request for its own and sends it to the login page.
pub fn start_portal(namespace: &Namespace, folder: &Path) -> Result<Daemon> {
    std::fs::create_dir_all(folder)?;
    let servers = format!(
        "  server {{\n    listen 80 default_server;\n    \
         return 302 http://{PORTAL_NAME}/login?from=$host;\n  }}\n  \
         server {{\n    listen 80;\n    server_name {PORTAL_NAME};\n    default_type text/html;\n    \
         return 200 '<!doctype html><title>Hotspot login</title><form action=/login method=post>\
         <input name=user><input name=password type=password><button>Log in</button></form>';\n  }}\n"
    );
    start(namespace, folder, 1, &servers, vec![Endpoint::Tcp(SocketAddr::new(PORTAL, 80))])
}

fn start(
    namespace: &Namespace,
    folder: &Path,
    workers: usize,
    servers: &str,
    endpoints: Vec<Endpoint>,
) -> Result<Daemon> {
    let configuration = folder.join("nginx.conf");
    std::fs::write(&configuration, whole(folder, workers, servers)?)?;
    let mut command = namespace.command("nginx");
    command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(&configuration);
    Daemon::start(namespace, command, folder, endpoints)
}

fn whole(folder: &Path, workers: usize, servers: &str) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "user root;\ndaemon off;\nworker_processes {workers};\npid {}/pid;", folder.display())?;
    writeln!(text, "error_log stderr warn;\nworker_rlimit_nofile 65536;")?;
    writeln!(text, "events {{ worker_connections 16384; }}\nhttp {{")?;
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "  {kind}_temp_path {}/{kind};", folder.display())?;
    }
    text.push_str(
        "  access_log off;\n  server_tokens off;\n  default_type text/html;\n  keepalive_timeout 65;\n  \
         server_names_hash_max_size 8192;\n  server_names_hash_bucket_size 128;\n  \
         ssl_protocols TLSv1.2 TLSv1.3;\n  ssl_session_cache off;\n",
    );
    text.push_str(servers);
    text.push_str("}\n");
    Ok(text)
}

fn page(servers: &mut String, site: &WebSite, folder: &Path, authority: &Authority) -> Result<()> {
    let name = &site.name;
    let identity = authority.issue(std::slice::from_ref(name), folder)?;
    servers.push_str("  server {\n");
    listen(servers, site, "443 ssl http2")?;
    writeln!(servers, "    server_name {name};\n    ssl_certificate {};", identity.certificate.display())?;
    writeln!(servers, "    ssl_certificate_key {};", identity.key.display())?;
    writeln!(
        servers,
        "    return 200 '<!doctype html><html><head><title>{name}</title></head>\
         <body><h1>{name}</h1><p>This is the front page of {name}.</p></body></html>';\n  }}"
    )?;
    servers.push_str("  server {\n");
    listen(servers, site, "80")?;
    writeln!(servers, "    server_name {name};\n    return 301 https://$host$request_uri;\n  }}")?;
    Ok(())
}

fn checks(servers: &mut String, site: &WebSite) -> Result<()> {
    let Content::Checks(checks) = &site.content else { return Ok(()) };
    servers.push_str("  server {\n");
    listen(servers, site, "80")?;
    writeln!(servers, "    server_name {};\n    default_type text/plain;", site.name)?;
    for check in checks {
        let (path, status) = (check.url.path(), check.status);
        match check.body.as_str() {
            "" => writeln!(servers, "    location = {path} {{ return {status}; }}")?,
            // A line break inside a quoted string is taken as it stands.
            body => writeln!(servers, "    location = {path} {{ return {status} '{body}'; }}")?,
        }
    }
    servers.push_str("    location / { return 404; }\n  }\n");
    Ok(())
}

fn listen(servers: &mut String, site: &WebSite, what: &str) -> Result<()> {
    let addresses: BTreeSet<&IpAddr> = site.addresses.iter().collect();
    for address in addresses {
        writeln!(servers, "    listen {address}:{what};")?;
    }
    Ok(())
}
