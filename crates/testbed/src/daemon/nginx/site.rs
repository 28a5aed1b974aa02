//! Web sites, the well-behaved and those that nginx can make misbehave.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::Pieces;
use crate::certificates::Authority;
use crate::controls::CaptiveCheck;
use crate::daemon::odd::Oddity;
use crate::internet::WebSite;
use crate::scenario::{PlainHttp, Serves, Site};

/// The body of `serves = "giant"`.
const GIANT: u64 = 32 * 1024 * 1024;

/// `serves = "drip"`: so many bytes in all, and so many a second.
const DRIP: (u64, u32) = (64 * 1024, 64);

/// A status that nobody sends; it leads to the page that is a file.
const TO_THE_FILE: u16 = 590;

/// Writes the servers of a site.
pub(super) fn write(
    pieces: &mut Pieces,
    web: &WebSite,
    site: &Site,
    folder: &Path,
    authority: &Authority,
) -> Result<()> {
    if matches!(site.serves, Serves::Nothing | Serves::Silence) || Oddity::of(site.serves).is_some() {
        return Ok(());
    }
    let answer = slowed(answer(web, site, folder)?, site.rate_kbit);
    // HTTP/3 and what goes with it over TLS is another daemon's.
    let is_secure = site.https && site.serves != Serves::BlockPage;
    if is_secure && !web.http3 {
        let listen = pieces.listen(web, 443, " ssl http2")?;
        let body = if site.serves == Serves::Alert {
            "    ssl_reject_handshake on;\n".to_owned()
        } else {
            let identity = authority.issue_as(std::slice::from_ref(&web.name), folder, site.certificate)?;
            let (certificate, key) = (identity.certificate.display(), identity.key.display());
            format!("    ssl_certificate {certificate};\n    ssl_certificate_key {key};\n{answer}")
        };
        pieces.server(&listen, &web.name, &body)?;
    }
    let plain = match site.http {
        PlainHttp::Nothing => return Ok(()),
        PlainHttp::Redirect if is_secure => "    return 301 https://$host$request_uri;\n",
        PlainHttp::Redirect | PlainHttp::Page => &answer,
    };
    let listen = pieces.listen(web, 80, "")?;
    pieces.server(&listen, &web.name, plain)?;
    if site.own_host_only {
        // nginx's own status for closing without a word.
        let listen = pieces.listen(web, 80, " default_server")?;
        pieces.server(&listen, "_", "    return 444;\n")?;
    }
    Ok(())
}

/// The same, sent no faster than so many kilobits a second (nginx counts bytes).
fn slowed(answer: String, rate_kbit: Option<u32>) -> String {
    match rate_kbit {
        Some(rate) => format!("{answer}    limit_rate {};\n", u64::from(rate) * 125),
        None => answer,
    }
}

/// The lines of a server that say what it answers.
fn answer(web: &WebSite, site: &Site, folder: &Path) -> Result<String> {
    let (name, status, front) = (&web.name, site.status, front(&web.name));
    let location = |otherwise| site.location.as_deref().unwrap_or(otherwise);
    Ok(match site.serves {
        Serves::Captcha => "    add_header cf-mitigated challenge always;\n    \
             return 503 '<!doctype html><title>Just a moment...</title><p>Are you human?</p>';\n"
            .to_owned(),
        Serves::BlockPage => format!(
            "    return {status} '<!doctype html><title>Access Denied</title>\
             <p>This site is blocked by order of the authorities.</p>';\n"
        ),
        Serves::Redirect => format!("    return 302 {};\n", location("/")),
        Serves::RedirectLoop => "    return 302 $scheme://$host$request_uri;\n".to_owned(),
        Serves::BrokenLocation => format!("    return 302 {};\n", location("http://")),
        Serves::Redirects => redirects(site.redirects, &front)?,
        Serves::Drip => format!("{}    postpone_output 0;\n    limit_rate {};\n", hole(name, folder, DRIP.0)?, DRIP.1),
        Serves::Giant => hole(name, folder, GIANT)?,
        _ => match site.body_kb {
            Some(kilobytes) => long_page(name, folder, status, kilobytes)?,
            None => format!("    return {status} '{front}';\n"),
        },
    })
}

fn front(name: &str) -> String {
    format!(
        "<!doctype html><html><head><title>{name}</title></head>\
         <body><h1>{name}</h1><p>This is the front page of {name}.</p></body></html>"
    )
}

/// Wherever a visitor comes in, so many redirects lie before the page.
fn redirects(count: u16, end: &str) -> Result<String> {
    let mut text = String::new();
    for hop in 1..count {
        writeln!(text, "    location = /hop/{hop} {{ return 302 /hop/{}; }}", hop + 1)?;
    }
    writeln!(text, "    location = /hop/{} {{ return 200 '{end}'; }}", count.max(1))?;
    writeln!(text, "    location / {{ return 302 /hop/1; }}")?;
    Ok(text)
}

/// A file of so many bytes that takes no room.
fn hole(name: &str, folder: &Path, bytes: u64) -> Result<String> {
    let root = folder.join(format!("{name}.files"));
    std::fs::create_dir_all(&root)?;
    std::fs::File::create(root.join("page.html"))?.set_len(bytes)?;
    Ok(of_file(&root, 200))
}

fn long_page(name: &str, folder: &Path, status: u16, kilobytes: u64) -> Result<String> {
    let root = folder.join(format!("{name}.files"));
    std::fs::create_dir_all(&root)?;
    let mut page = front(name);
    let line = format!("<p>{name} has a lot to say, and says it again and again.</p>\n");
    let length = usize::try_from(kilobytes)? * 1024;
    let lines = length.saturating_sub(page.len()).div_ceil(line.len());
    page.extend(std::iter::repeat_n(line.as_str(), lines));
    page.truncate(length);
    std::fs::write(root.join("page.html"), page)?;
    Ok(of_file(&root, status))
}

fn of_file(root: &Path, status: u16) -> String {
    format!(
        "    root {};\n    error_page {TO_THE_FILE} ={status} /page.html;\n    \
         location = /page.html {{ internal; }}\n    location / {{ return {TO_THE_FILE}; }}\n",
        root.display()
    )
}

/// Writes the server of captive-portal checks.
pub(super) fn checks(pieces: &mut Pieces, web: &WebSite, checks: &[CaptiveCheck]) -> Result<()> {
    let listen = pieces.listen(web, 80, "")?;
    let mut body = String::from("    default_type text/plain;\n");
    for check in checks {
        let (path, status) = (check.url.path(), check.status);
        match check.body.as_str() {
            "" => writeln!(body, "    location = {path} {{ return {status}; }}")?,
            // A line break inside a quoted string is taken as it stands.
            text => writeln!(body, "    location = {path} {{ return {status} '{text}'; }}")?,
        }
    }
    body.push_str("    location / { return 404; }\n");
    pieces.server(&listen, &web.name, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_redirects_has_as_many_as_it_says() {
        let text = redirects(3, "end").unwrap();
        assert_eq!(text.matches("return 302").count(), 3);
        assert!(text.contains("location = /hop/3 { return 200 'end'; }"));
    }

    #[test]
    fn a_long_page_is_exactly_as_long_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let lines = long_page("a.example", folder.path(), 404, 20).unwrap();
        assert_eq!(folder.path().join("a.example.files/page.html").metadata().unwrap().len(), 20 * 1024);
        assert!(lines.contains("=404"));
    }
}
