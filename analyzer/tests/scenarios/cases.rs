//! The fifty scenarios of OONI's own tests of Web Connectivity: what is done to whom, from the table of facts in their sources
//! (`internal/webconnectivityqa`, at probe-cli 7cb22410), rebuilt; nothing of their files is in here.

use super::world::{BAD, BITLY, BLOCKPAGE, BOGON, DENIED, EX, LOOPBACK, PROXY, Page, SITE, World, to};

/// What is true of a scenario.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// Somebody interferes; the layers at which it can be seen.
    Interference(&'static [&'static str]),
    /// It works.
    Healthy,
    /// It does not work, and nobody interferes.
    Site,
}

use Truth::{Healthy, Interference, Site};

const HTTP: &str = "http://www.example.com/";
const HTTPS: &str = "https://www.example.com/";
const HOST: &str = "www.example.com";

/// Name, truth, measurement.
pub fn all() -> Vec<(&'static str, Truth, World)> {
    [sites(), names(), pages(), redirects(), others()].concat_all()
}

trait Concat<T> {
    fn concat_all(self) -> Vec<T>;
}

impl<T, const N: usize> Concat<T> for [Vec<T>; N] {
    fn concat_all(self) -> Vec<T> {
        self.into_iter().flatten().collect()
    }
}

fn bad_certificate(host: &'static str, failure: &'static str) -> World {
    let url = format!("https://{host}/");
    World::new(&url)
        .names(host, BAD, BAD)
        .https(0, BAD, &url, failure, None)
        .helper_names(&[BAD], "")
        .helper_at(&format!("{BAD}:443"), "", Some(failure))
        .helper_page(failure)
        .ends(failure)
}

fn sites() -> Vec<(&'static str, Truth, World)> {
    let captcha = Page { code: 503, title: "Just a moment", length: 300, header: "Server", location: None };
    let cloudflare = "104.16.132.229";
    let (plain, over_tls) = ("http://www.cloudflare-cache.com/", "https://www.cloudflare-cache.com/");
    let challenged =
        |url: &str| World::new(url).names("www.cloudflare-cache.com", cloudflare, cloudflare).helper_sees(cloudflare);
    let large = "52.35.36.75";
    let (large_plain, large_tls) = ("http://largefile.com/", "https://largefile.com/");
    let file = |url: &str| World::new(url).names("largefile.com", large, large).helper_sees(large);
    let body = Page { length: 60_000, title: "", ..SITE };
    vec![
        (
            "badSSLWithUnknownAuthorityWithConsistentDNS",
            Site,
            bad_certificate("untrusted-root.badssl.com", "ssl_unknown_authority"),
        ),
        ("badSSLWithExpiredCertificate", Site, bad_certificate("expired.badssl.com", "ssl_invalid_certificate")),
        ("badSSLWithWrongServerName", Site, bad_certificate("wrong.host.badssl.com", "ssl_invalid_hostname")),
        ("cloudflareCAPTCHAWithHTTP", Healthy, challenged(plain).http(0, cloudflare, plain, Ok(captcha), "")),
        (
            "cloudflareCAPTCHAWithHTTPS",
            Healthy,
            challenged(over_tls).https(0, cloudflare, over_tls, "", Some(Ok(captcha))),
        ),
        ("largeFileWithHTTP", Healthy, file(large_plain).http(0, large, large_plain, Ok(body), "")),
        ("largeFileWithHTTPS", Healthy, file(large_tls).https(0, large, large_tls, "", Some(Ok(body)))),
        ("successWithHTTP", Healthy, own(HTTP).http(0, EX, HTTP, Ok(SITE), "")),
        ("successWithHTTPS", Healthy, own(HTTPS).https(0, EX, HTTPS, "", Some(Ok(SITE)))),
        (
            "websiteDownNXDOMAIN",
            Site,
            gone("http://www.example.xyz/", "www.example.xyz", "!dns_nxdomain_error", "dns_name_error"),
        ),
        ("websiteDownNoAddrs", Site, gone(HTTP, HOST, "!dns_no_answer", "dns_no_answer")),
        (
            "websiteDownTCPConnect",
            Site,
            World::new("http://www.example.com:444/")
                .names(HOST, EX, EX)
                .http(0, EX, "http://www.example.com:444/", Err("tcp:connection_refused"), "")
                .helper_names(&[EX], "")
                .helper_at(&format!("{EX}:444"), "connection_refused", None)
                .helper_page("connection_refused")
                .ends("connection_refused"),
        ),
    ]
}

/// The example site, with resolvers and a helper that agree.
fn own(url: &str) -> World {
    World::new(url).names(HOST, EX, EX).helper_sees(EX)
}

fn gone(url: &str, host: &str, says: &str, helper: &str) -> World {
    World::new(url)
        .names(host, says, says)
        .helper_names(&[], helper)
        .helper_page(helper)
        .ends(says.trim_start_matches('!'))
}

/// The example site, whose name the system's resolver answers otherwise than the others.
fn lied(url: &str, says: &str) -> World {
    World::new(url).names(HOST, says, EX).helper_sees(EX)
}

const DNS: &[&str] = &["dns"];

fn names() -> Vec<(&'static str, Truth, World)> {
    let proven = |world: World| world.https(0, EX, HTTPS, "", Some(Ok(SITE)));
    let ghost = |url: &str| {
        World::new(url)
            .names("itsat.info", BLOCKPAGE, "!dns_nxdomain_error")
            .helper_names(&[], "dns_name_error")
            .helper_page("dns_name_error")
    };
    let local = |url: &str| {
        World::new(url).names(HOST, LOOPBACK, LOOPBACK).helper_names(&[LOOPBACK], "").helper_page("connection_refused")
    };
    let org = "http://www.example.org/";
    vec![
        (
            "badSSLWithUnknownAuthorityWithInconsistentDNS",
            Interference(DNS),
            proven(lied(HTTPS, BAD).https(0, BAD, HTTPS, "ssl_unknown_authority", None)).ends("ssl_unknown_authority"),
        ),
        ("dnsBlockingAndroidDNSCacheNoData", Interference(DNS), proven(lied(HTTPS, "!android_dns_cache_no_data"))),
        (
            "dnsBlockingBOGON",
            Interference(DNS),
            proven(lied(HTTPS, BOGON).https(0, BOGON, HTTPS, "tcp:generic_timeout_error", None)),
        ),
        ("dnsBlockingNXDOMAIN", Interference(DNS), proven(lied(HTTPS, "!dns_nxdomain_error"))),
        ("dnsHijackingToLocalhostWithHTTP", Interference(DNS), lied(HTTP, LOOPBACK).http(0, EX, HTTP, Ok(SITE), "")),
        ("dnsHijackingToLocalhostWithHTTPS", Interference(DNS), proven(lied(HTTPS, LOOPBACK))),
        (
            "dnsHijackingToProxyWithHTTPURL",
            Interference(DNS),
            lied(HTTP, PROXY).http(0, PROXY, HTTP, Ok(SITE), "").http(0, EX, HTTP, Err("not asked"), ""),
        ),
        (
            "dnsHijackingToProxyWithHTTPSURL",
            Interference(DNS),
            lied(HTTPS, PROXY).https(0, PROXY, HTTPS, "", Some(Ok(SITE))).https(0, EX, HTTPS, "", None),
        ),
        (
            "ghostDNSBlockingWithHTTP",
            Interference(DNS),
            ghost("http://itsat.info/").http(0, BLOCKPAGE, "http://itsat.info/", Ok(DENIED), "tcp:connection_refused"),
        ),
        (
            "ghostDNSBlockingWithHTTPS",
            Interference(DNS),
            ghost("https://itsat.info/")
                .https(0, BLOCKPAGE, "https://itsat.info/", "tcp:connection_refused", None)
                .ends("connection_refused"),
        ),
        ("localhostWithHTTP", Site, local(HTTP)),
        ("localhostWithHTTPS", Site, local(HTTPS)),
        (
            "tcpBlockingConnectionRefusedWithInconsistentDNS",
            Interference(&["dns", "tcp"]),
            World::new(org)
                .names("www.example.org", BLOCKPAGE, EX)
                .http(0, BLOCKPAGE, org, Err("tcp:connection_refused"), "tcp:connection_refused")
                .http(0, EX, org, Ok(SITE), "")
                .helper_sees(EX)
                .helper_at(&format!("{BLOCKPAGE}:80"), "", None)
                .helper_at(&format!("{BLOCKPAGE}:443"), "connection_refused", None),
        ),
        (
            "tlsBlockingConnectionResetWithInconsistentDNS",
            Interference(&["dns", "tls"]),
            lied(HTTPS, PROXY)
                .https(0, PROXY, HTTPS, "connection_reset", None)
                .https(0, EX, HTTPS, "connection_reset", None)
                .helper_at(&format!("{PROXY}:443"), "", Some(""))
                .ends("connection_reset"),
        ),
    ]
}

fn pages() -> Vec<(&'static str, Truth, World)> {
    let large = "52.35.36.75";
    let (slow, slow_tls) = ("http://largefile.com/", "https://largefile.com/");
    let file = |url: &str| {
        World::new(url).names("largefile.com", large, large).helper_sees(large).ends("generic_timeout_error")
    };
    vec![
        (
            "httpBlockingConnectionReset",
            Interference(&["http"]),
            own(HTTP).http(0, EX, HTTP, Err("connection_reset"), ""),
        ),
        ("httpDiffWithConsistentDNS", Interference(&["http"]), own(HTTP).http(0, EX, HTTP, Ok(DENIED), "")),
        (
            "httpDiffWithInconsistentDNS",
            Interference(&["http", "dns"]),
            lied(HTTP, PROXY).http(0, PROXY, HTTP, Ok(DENIED), "").http(0, EX, HTTP, Err("not asked"), ""),
        ),
        (
            "tcpBlockingConnectTimeout",
            Interference(&["tcp"]),
            own(HTTPS).https(0, EX, HTTPS, "tcp:generic_timeout_error", None),
        ),
        (
            "tlsBlockingConnectionResetWithConsistentDNS",
            Interference(&["tls"]),
            own(HTTPS).https(0, EX, HTTPS, "connection_reset", None),
        ),
        (
            "throttlingWithHTTP",
            Interference(&["http"]),
            file(slow).http(0, large, slow, Err("generic_timeout_error"), ""),
        ),
        (
            "throttlingWithHTTPS",
            Interference(&["http", "tls"]),
            file(slow_tls).https(0, large, slow_tls, "", Some(Err("generic_timeout_error"))),
        ),
    ]
}

/// A short link that leads to the example site.
fn led(url: &'static str, location: &'static str) -> World {
    World::new(url).names("bit.ly", BITLY, BITLY).https(0, BITLY, url, "", Some(Ok(to(location)))).helper_sees(BITLY)
}

fn redirects() -> Vec<(&'static str, Truth, World)> {
    let (plain, over_tls) = ("https://bit.ly/32447", "https://bit.ly/21645");
    let at_http = |page: Result<Page, &'static str>, tls: &str, failure: &str| {
        led(plain, HTTP).names_at(1, HOST, EX, EX).http(1, EX, HTTP, page, tls).ends(failure)
    };
    let at_https = |tls: &str, failure: &str| {
        led(over_tls, HTTPS).names_at(1, HOST, EX, EX).https(1, EX, HTTPS, tls, None).ends(failure)
    };
    let (refused, reset, eof, late) = ("connection_refused", "connection_reset", "eof_error", "generic_timeout_error");
    let http: Truth = Interference(&["http", "tls"]);
    let tls: Truth = Interference(&["tls"]);
    let tcp: Truth = Interference(&["tcp"]);
    vec![
        (
            "redirectWithConsistentDNSAndThenConnectionRefusedForHTTP",
            tcp,
            at_http(Err("tcp:connection_refused"), "tcp:connection_refused", refused),
        ),
        ("redirectWithConsistentDNSAndThenConnectionRefusedForHTTPS", tcp, at_https("tcp:connection_refused", refused)),
        ("redirectWithConsistentDNSAndThenConnectionResetForHTTP", http, at_http(Err(reset), reset, reset)),
        ("redirectWithConsistentDNSAndThenConnectionResetForHTTPS", tls, at_https(reset, reset)),
        (
            "redirectWithConsistentDNSAndThenNXDOMAIN",
            Interference(DNS),
            led(over_tls, HTTPS)
                .names_at(1, HOST, "!dns_nxdomain_error", "!dns_nxdomain_error")
                .ends("dns_nxdomain_error"),
        ),
        ("redirectWithConsistentDNSAndThenEOFForHTTP", http, at_http(Err(eof), eof, eof)),
        ("redirectWithConsistentDNSAndThenEOFForHTTPS", tls, at_https(eof, eof)),
        ("redirectWithConsistentDNSAndThenTimeoutForHTTP", http, at_http(Err(late), late, late)),
        ("redirectWithConsistentDNSAndThenTimeoutForHTTPS", tls, at_https(late, late)),
    ]
}

fn others() -> Vec<(&'static str, Truth, World)> {
    let bin = "172.67.144.64";
    let at = |url: &str| World::new(url).names("httpbin.com", bin, bin).helper_sees(bin);
    let broken = "http_invalid_redirect_location_host";
    let many = "unknown_failure: stopped after too many redirects";
    let (broken_http, broken_https) =
        ("http://httpbin.com/broken-redirect-http", "https://httpbin.com/broken-redirect-https");
    let circle = |scheme: &'static str, location: &'static str| {
        let url = format!("{scheme}://httpbin.com/redirect/15");
        let first = at(&url);
        let hop = |world: World, depth: u16| match scheme {
            "http" => world.http(depth, bin, &url, Ok(to(location)), ""),
            _ => world.https(depth, bin, &url, "", Some(Ok(to(location)))),
        };
        (0..=10).fold(first, hop).helper_page("unknown_error").ends(many)
    };
    let russian = |input: &str| {
        let (ya, url) = ("5.255.255.80", "http://xn--d1acpjx3f.xn--p1ai/");
        World::new(input)
            .names("xn--d1acpjx3f.xn--p1ai", ya, ya)
            .http(0, ya, url, Ok(to("https://yandex.com/")), "")
            .names_at(1, "yandex.com", ya, ya)
            .https(1, ya, "https://yandex.com/", "", Some(Ok(SITE)))
            .helper_sees(ya)
    };
    let org = "http://www.example.org/";
    let org_tls = "https://www.example.org/";
    let alone = |url: &str| World::new(url).names("www.example.org", EX, EX).no_helper("connection_reset");
    vec![
        ("controlFailureWithSuccessfulHTTPWebsite", Healthy, alone(org).http(0, EX, org, Ok(SITE), "")),
        ("controlFailureWithSuccessfulHTTPSWebsite", Healthy, alone(org_tls).https(0, EX, org_tls, "", Some(Ok(SITE)))),
        ("idnaWithoutCensorshipLowercase", Healthy, russian("http://яндекс.рф/")),
        ("idnaWithoutCensorshipWithFirstLetterUppercase", Healthy, russian("http://Яндекс.рф/")),
        (
            "redirectWithBrokenLocationForHTTP",
            Site,
            at(broken_http).http(0, bin, broken_http, Ok(to("http://")), "").helper_page(broken).ends(broken),
        ),
        (
            "redirectWithBrokenLocationForHTTPS",
            Site,
            at(broken_https).https(0, bin, broken_https, "", Some(Ok(to("https://")))).helper_page(broken).ends(broken),
        ),
        ("redirectWithMoreThanTenRedirectsAndHTTP", Site, circle("http", "http://httpbin.com/redirect/14")),
        ("redirectWithMoreThanTenRedirectsAndHTTPS", Site, circle("https", "https://httpbin.com/redirect/14")),
    ]
}
