//! Hosts that pass on what they are asked: a proxy that leaves TLS alone, and one that ends it.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use super::Pieces;
use crate::certificates::{Authority, Identity};
use crate::internet::{Content, Internet, WebSite};
use crate::scenario::{Serves, Site};

/// Where a name leads that does not exist: nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

/// Whether the site is of these.
pub(super) fn is_gate(site: &Site) -> bool {
    matches!(site.serves, Serves::Proxy | Serves::Interception)
}

/// Writes down where each name truly is, if any of these hosts needs it. A gate's own name leads nowhere: no loops.
pub(super) fn origins(pieces: &mut Pieces, webs: &[&WebSite], internet: &Internet) -> Result<()> {
    let gates: Vec<&&WebSite> =
        webs.iter().filter(|web| matches!(&web.content, Content::Site(site) if is_gate(site))).collect();
    if gates.is_empty() {
        return Ok(());
    }
    let is_own = |address: &IpAddr| gates.iter().any(|gate| gate.addresses.contains(address));
    let map = |text: &mut String, key: &str, variable: &str, port: u16| -> Result<()> {
        writeln!(text, "  map {key} {variable} {{\n    default {NOWHERE};")?;
        for (name, address) in internet.origins().into_iter().filter(|(_, address)| !is_own(address)) {
            writeln!(text, "    {name} {};", SocketAddr::new(address, port))?;
        }
        text.push_str("  }\n");
        Ok(())
    };
    map(&mut pieces.stream, "$ssl_preread_server_name", "$origin", 443)?;
    map(&mut pieces.http, "$host", "$origin", 80)?;
    map(&mut pieces.http, "$host", "$secure_origin", 443)?;
    Ok(())
}

/// Writes the servers of such a host.
pub(super) fn write(
    pieces: &mut Pieces,
    web: &WebSite,
    site: &Site,
    internet: &Internet,
    folder: &Path,
    authority: &Authority,
) -> Result<()> {
    if site.serves == Serves::Interception {
        intercept(pieces, web, site, internet, folder, authority)?;
    } else if site.https {
        let listen = pieces.listen(web, 443, "")?;
        write!(pieces.stream, "  server {{\n{listen}    ssl_preread on;\n    proxy_pass $origin;\n  }}\n")?;
    }
    let listen = pieces.listen(web, 80, "")?;
    let signature = if site.signs { format!("    add_header Via '1.1 {}' always;\n", web.name) } else { String::new() };
    pieces.server(&listen, &web.name, &(signature + &pass("http://$origin")))
}

fn pass(to: &str) -> String {
    format!(
        "    location / {{\n      proxy_pass {to};\n      proxy_http_version 1.1;\n      \
         proxy_set_header Host $http_host;\n      proxy_set_header Connection '';\n    }}\n"
    )
}

fn intercept(
    pieces: &mut Pieces,
    web: &WebSite,
    site: &Site,
    internet: &Internet,
    folder: &Path,
    authority: &Authority,
) -> Result<()> {
    let folder = folder.join(format!("{}.forged", web.name));
    std::fs::create_dir_all(&folder)?;
    let forge = |name: &str| authority.issue_as(&[name.to_owned()], &folder, site.certificate);
    let own = forge(&web.name)?;
    let names = internet.origins().into_keys().filter(|name| *name != web.name);
    let forged: Vec<(&str, Identity)> = names.map(|name| Ok((name, forge(name)?))).collect::<Result<_>>()?;
    let variable = format!("forged_{}", web.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    for (kind, file) in [("certificate", 0), ("key", 1)] {
        let path = |identity: &Identity| [&identity.certificate, &identity.key][file].display().to_string();
        writeln!(pieces.http, "  map $ssl_server_name ${variable}_{kind} {{\n    default {};", path(&own))?;
        for (name, identity) in &forged {
            writeln!(pieces.http, "    {name} {};", path(identity))?;
        }
        pieces.http.push_str("  }\n");
    }
    let listen = pieces.listen(web, 443, " ssl")?;
    let body = format!(
        "    ssl_certificate ${variable}_certificate;\n    ssl_certificate_key ${variable}_key;\n    \
         proxy_ssl_server_name on;\n    proxy_ssl_name $host;\n{}",
        pass("https://$secure_origin")
    );
    pieces.server(&listen, &web.name, &body)
}
