//! Caddy: the sites that speak HTTP/3, over TLS and QUIC. What they say over plain HTTP is nginx's.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Daemon, Endpoint};
use crate::certificates::Authority;
use crate::internet::{Content, Internet, WebSite};
use crate::netns::Namespace;
use crate::scenario::{Place, Site};

/// Starts Caddy for the sites of a place that have HTTP/3; `None` if there are none.
pub fn start(
    namespace: &Namespace,
    internet: &Internet,
    place: Place,
    folder: &Path,
    authority: &Authority,
) -> Result<Option<Daemon>> {
    let webs = internet.webs.iter().filter(|web| web.place() == place && web.http3);
    let sites: Vec<(&WebSite, &Site)> = webs.filter_map(|web| Some((web, of_site(web)?))).collect();
    let sockets = sites.iter().flat_map(|(web, _)| web.living()).map(|address| SocketAddr::new(address, 443));
    let sockets: std::collections::BTreeSet<SocketAddr> = sockets.collect();
    let Some(&first) = sockets.first() else { return Ok(None) };
    std::fs::create_dir_all(folder)?;
    let file = folder.join("caddy.json");
    let listen: Vec<String> = sockets.iter().map(ToString::to_string).collect();
    std::fs::write(&file, configuration(&sites, &listen, folder, authority)?.to_string())?;
    let mut command = namespace.command("caddy");
    command.arg("run").arg("--config").arg(&file).env("HOME", folder).env("XDG_DATA_HOME", folder);
    Daemon::start(namespace, command, folder, vec![Endpoint::Tcp(first), Endpoint::Udp(443)]).map(Some)
}

fn of_site(web: &WebSite) -> Option<&Site> {
    match &web.content {
        Content::Site(site) if site.https => Some(site),
        _ => None,
    }
}

fn configuration(
    sites: &[(&WebSite, &Site)],
    listen: &[String],
    folder: &Path,
    authority: &Authority,
) -> Result<Value> {
    let (mut files, mut routes) = (Vec::new(), Vec::new());
    for (web, site) in sites {
        let identity = authority.issue_as(std::slice::from_ref(&web.name), folder, site.certificate)?;
        files.push(json!({ "certificate": identity.certificate, "key": identity.key }));
        routes.push(json!({ "match": [{ "host": [web.name] }], "handle": [{
            "handler": "static_response", "status_code": site.status, "body": page(&web.name, site.body_kb)?,
            "headers": { "Content-Type": ["text/html"] },
        }] }));
    }
    let server = json!({
        "listen": listen, "protocols": ["h1", "h2", "h3"], "automatic_https": { "disable": true },
        "tls_connection_policies": [{}], "routes": routes,
    });
    Ok(json!({
        "admin": { "disabled": true },
        "logging": { "logs": { "default": { "level": "WARN" } } },
        "apps": { "http": { "servers": { "web": server } }, "tls": { "certificates": { "load_files": files } } },
    }))
}

fn page(name: &str, kilobytes: Option<u64>) -> Result<String> {
    let mut page = format!("<!doctype html><html><head><title>{name}</title></head><body><h1>{name}</h1>");
    let length = usize::try_from(kilobytes.unwrap_or(0))? * 1024;
    while page.len() < length {
        writeln!(page, "<p>{name} has a lot to say, and says it again and again.</p>")?;
    }
    if length > 0 {
        page.truncate(length);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::Controls;
    use crate::scenario::Scenario;

    #[test]
    fn a_page_is_as_long_as_it_is_to_be() {
        assert_eq!(page("a.example", Some(3)).unwrap().len(), 3 * 1024);
        assert!(page("a.example", None).unwrap().contains("a.example"));
    }

    #[test]
    fn every_site_at_the_address_of_one_with_http3_is_served_beside_it() {
        let site = |text: &str| toml::from_str::<Site>(text).unwrap();
        let three = site("name = 'three.example'\naddresses = ['185.1.1.1']\nhttp3 = true");
        let beside = site("name = 'beside.example'\naddresses = ['185.1.1.1']\nstatus = 403");
        let scenario = Scenario { site: vec![three, beside], ..Scenario::plain("own") };
        let internet = Internet::of(&scenario, &Controls::load().unwrap()).unwrap();
        let sites: Vec<(&WebSite, &Site)> =
            internet.webs.iter().filter(|web| web.http3).filter_map(|web| Some((web, of_site(web)?))).collect();
        let folder = tempfile::tempdir().unwrap();
        let text = configuration(&sites, &[], folder.path(), &Authority::new().unwrap()).unwrap();
        let routes = text["apps"]["http"]["servers"]["web"]["routes"].as_array().unwrap();
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[1]["handle"][0]["status_code"], 403);
    }
}
