//! The hosts of a world beside the controls: web sites, the servers that misbehave, the censor's own hosts, and what the
//! ISP's resolver says of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::When;
use super::censor::{Place, Rcode};

/// A host with a name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of a scenario, and they are independent")]
pub struct Site {
    /// Its host name.
    pub name: String,
    /// Its addresses; one is made up (IPv4) if none are given. A site of several names is written once a name.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// In the country or abroad.
    #[serde(default)]
    pub at: Place,
    /// What is there.
    #[serde(default)]
    pub serves: Serves,
    /// Over plain HTTP: a redirect to HTTPS, the same page, or nothing.
    #[serde(default)]
    pub http: PlainHttp,
    /// Over plain HTTP it closes the connection on whoever asks for another host than its own.
    #[serde(default)]
    pub own_host_only: bool,
    /// A proxy signs what it passes on in the clear (`Via`; RFC 9110, 7.6.3).
    #[serde(default)]
    pub signs: bool,
    /// Over HTTPS, too.
    #[serde(default = "yes")]
    pub https: bool,
    /// Over HTTP/3, too.
    #[serde(default)]
    pub http3: bool,
    /// Which certificate it shows.
    #[serde(default)]
    pub certificate: Certificate,
    /// The status of its answers, where they are no redirects.
    #[serde(default = "ok_status")]
    pub status: u16,
    /// The length of its page, kilobytes; a short one if none is given.
    #[serde(default)]
    pub body_kb: Option<u64>,
    /// Kilobits a second at which its server sends on each connection, whatever it names; as fast as it can if none is given.
    #[serde(default)]
    pub rate_kbit: Option<u32>,
    /// Where `serves = "redirect"` sends its visitors; how many hops `serves = "redirects"` has.
    #[serde(default)]
    pub location: Option<String>,
    /// The number of redirects of `serves = "redirects"`.
    #[serde(default)]
    pub redirects: u16,
    /// The name is an alias (CNAME) of this one.
    #[serde(default)]
    pub alias: Option<String>,
    /// The name does not exist anywhere; the site has no host.
    #[serde(default)]
    pub removed: bool,
    /// Of its addresses, those at which nothing answers at all (packets vanish).
    #[serde(default)]
    pub dead: Vec<IpAddr>,
    /// Resolvers give these addresses at this vantage (a CDN). All of them are among `addresses`.
    #[serde(default)]
    pub answers_at: BTreeMap<String, Vec<IpAddr>>,
}

impl Site {
    /// A common web site with this name: a page over HTTPS, and a redirect to it.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            addresses: Vec::new(),
            at: Place::default(),
            serves: Serves::default(),
            http: PlainHttp::default(),
            own_host_only: false,
            signs: false,
            https: true,
            http3: false,
            certificate: Certificate::default(),
            status: ok_status(),
            body_kb: None,
            rate_kbit: None,
            location: None,
            redirects: 0,
            alias: None,
            removed: false,
            dead: Vec::new(),
            answers_at: BTreeMap::new(),
        }
    }
}

fn yes() -> bool {
    true
}

fn ok_status() -> u16 {
    200
}

/// What a site's host does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serves {
    /// A page.
    #[default]
    Page,
    /// The host is up, the service is not: connections are refused.
    Nothing,
    /// The host is gone: packets to it vanish.
    Silence,
    /// A CDN's challenge: status 503 with the header that says so, to this world's clients.
    Captcha,
    /// A page that comes by drops, some bytes a second, for minutes.
    Drip,
    /// A body of 32 MiB.
    Giant,
    /// Noise in place of TLS and HTTP.
    Junk,
    /// A redirect to `location`.
    Redirect,
    /// A redirect to itself without end.
    RedirectLoop,
    /// `redirects` redirects, one after the other, and then a page.
    Redirects,
    /// A redirect with a `Location` that cannot be followed (`http://`, an empty host).
    BrokenLocation,
    /// Connections are accepted and closed at once.
    Eof,
    /// Connections are accepted and reset at once.
    Reset,
    /// Connections are accepted; nothing is ever said.
    Mute,
    /// TLS is refused by an alert (`unrecognized_name`).
    Alert,
    /// The censor's page, whatever the `Host`; HTTP only.
    BlockPage,
    /// A proxy that passes everything on by `Host` and by server name, unchanged.
    Proxy,
    /// A proxy that ends TLS itself, with `certificate` for whatever name is asked for.
    Interception,
}

/// What is there over plain HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum PlainHttp {
    #[default]
    Redirect,
    Page,
    Nothing,
}

/// The certificate of a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Certificate {
    #[default]
    Valid,
    Expired,
    /// Valid, but for `wrong.host.example`.
    WrongHost,
    SelfSigned,
    /// By an authority that nobody trusts.
    UnknownAuthority,
    /// By an intermediate authority that is trusted, but not sent.
    Incomplete,
}

/// What the ISP's resolver says of some names other than the truth.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lie {
    /// The vantages whose resolver lies (phases and times are refused: a resolver does not change its mind here).
    #[serde(default)]
    pub when: When,
    /// The names, with all below them.
    pub names: Vec<String>,
    /// The addresses given; with none, `rcode` without records.
    #[serde(default)]
    pub answers: Vec<IpAddr>,
    /// The response code; `None` together with no answers: the query is dropped.
    #[serde(default)]
    pub rcode: Option<Rcode>,
}
