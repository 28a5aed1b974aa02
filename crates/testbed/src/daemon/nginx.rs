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
use crate::scenario::{PlainHttp, Serves, Site};

/// The sites abroad.
#[derive(Debug)]
pub struct Web<'a> {
    /// What is served.
    pub sites: Vec<&'a WebSite>,
    /// Worker processes.
    pub workers: usize,
}

impl Web<'_> {
    /// Starts nginx in `namespace`, with its files in `folder`, and certificates by `authority`.
    pub fn start(&self, namespace: &Namespace, folder: &Path, authority: &Authority) -> Result<Daemon> {
        std::fs::create_dir_all(folder)?;
        let mut servers = String::new();
        for web in &self.sites {
            match &web.content {
                Content::Site(site) => self::site(&mut servers, web, site, folder, authority)?,
                Content::Checks(_) => checks(&mut servers, web)?,
            }
        }
        start(namespace, folder, self.workers, &servers, self.endpoints())
    }

    /// nginx opens all its sockets before it serves any: one of each port is enough.
    fn endpoints(&self) -> Vec<Endpoint> {
        let first = |port: u16, wanted: fn(&Content) -> bool| {
            let web = self.sites.iter().find(|web| wanted(&web.content) && web.living().next().is_some())?;
            web.living().next().map(|address| Endpoint::Tcp(SocketAddr::new(address, port)))
        };
        let page = first(443, |content| matches!(content, Content::Site(site) if speaks_tls(site)));
        let plain = first(80, |content| match content {
            Content::Checks(_) => true,
            Content::Site(site) => is_served(site) && site.http != PlainHttp::Nothing,
        });
        page.into_iter().chain(plain).collect()
    }
}

/// Whether there is a web server at all.
fn is_served(site: &Site) -> bool {
    !matches!(site.serves, Serves::Nothing | Serves::Silence)
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

/// A block page has no certificate for the names that are sent to it.
fn speaks_tls(site: &Site) -> bool {
    site.https && is_served(site) && site.serves != Serves::BlockPage
}

fn site(servers: &mut String, web: &WebSite, site: &Site, folder: &Path, authority: &Authority) -> Result<()> {
    if !is_served(site) || web.living().next().is_none() {
        return Ok(());
    }
    let (name, answer) = (&web.name, answer(web, site, folder)?);
    if speaks_tls(site) {
        let identity = authority.issue_as(std::slice::from_ref(name), folder, site.certificate)?;
        servers.push_str("  server {\n");
        listen(servers, web, "443 ssl http2")?;
        writeln!(servers, "    server_name {name};\n    ssl_certificate {};", identity.certificate.display())?;
        writeln!(servers, "    ssl_certificate_key {};\n{answer}  }}", identity.key.display())?;
    }
    let plain = match site.http {
        PlainHttp::Nothing => return Ok(()),
        PlainHttp::Redirect if speaks_tls(site) => "    return 301 https://$host$request_uri;\n".to_owned(),
        PlainHttp::Redirect | PlainHttp::Page => answer,
    };
    servers.push_str("  server {\n");
    listen(servers, web, "80")?;
    writeln!(servers, "    server_name {name};\n{plain}  }}")?;
    Ok(())
}

/// The lines of a server that say what it answers.
fn answer(web: &WebSite, site: &Site, folder: &Path) -> Result<String> {
    let (name, status) = (&web.name, site.status);
    let front = format!(
        "<!doctype html><html><head><title>{name}</title></head>\
         <body><h1>{name}</h1><p>This is the front page of {name}.</p></body></html>"
    );
    let location = site.location.as_deref().unwrap_or("/");
    Ok(match site.serves {
        Serves::Captcha => "    add_header cf-mitigated challenge always;\n    \
             return 503 '<!doctype html><title>Just a moment...</title><p>Are you human?</p>';\n"
            .to_owned(),
        Serves::BlockPage => {
            "    return 200 '<!doctype html><title>Access Denied</title><p>This site is blocked by order.</p>';\n"
                .to_owned()
        }
        Serves::Redirect => format!("    return 302 {location};\n"),
        Serves::RedirectLoop => "    return 302 $scheme://$host$request_uri;\n".to_owned(),
        Serves::BrokenLocation => "    return 302 http://;\n".to_owned(),
        Serves::Redirects => redirects(site.redirects, &front)?,
        Serves::Drip => format!("{}    limit_rate 16;\n", file(web, folder, 64 * 1024)?),
        Serves::Giant => file(web, folder, 32 * 1024 * 1024)?,
        _ if site.body_kb.is_some() => file(web, folder, site.body_kb.unwrap_or(1) * 1024)?,
        _ => format!("    return {status} '{front}';\n"),
    })
}

fn redirects(count: u16, end: &str) -> Result<String> {
    let mut text = String::new();
    for n in 0..count {
        let at = if n == 0 { String::new() } else { n.to_string() };
        writeln!(text, "    location = /{at} {{ return 302 /{}; }}", n + 1)?;
    }
    writeln!(text, "    location / {{ return 200 '{end}'; }}")?;
    Ok(text)
}

/// A page of so many bytes, from a file with a hole in it.
fn file(web: &WebSite, folder: &Path, bytes: u64) -> Result<String> {
    let root = folder.join(format!("{}.files", web.name));
    std::fs::create_dir_all(&root)?;
    std::fs::File::create(root.join("index.html"))?.set_len(bytes)?;
    Ok(format!("    root {};\n    location / {{ try_files /index.html =404; }}\n", root.display()))
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
    let addresses: BTreeSet<IpAddr> = site.living().collect();
    for address in addresses {
        writeln!(servers, "    listen {address}:{what};")?;
    }
    Ok(())
}
