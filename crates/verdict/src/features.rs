//! Features: the observations of one hop, arranged by name and by connection so that rules can look at them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use faultline_record::{
    Dns, Endpoint, Engine, Failure, Family, HostName, Http, Measurement, NotRun, Observation, Outcome, Purpose,
    QueryType, Step, Tls,
};

use crate::rules::Known;

/// One connection's steps.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// Where it went.
    pub address: IpAddr,
    /// Why.
    pub purpose: Purpose,
    /// The connect.
    pub tcp: &'a Observation,
    /// The handshake, if one was planned.
    pub tls: Option<&'a Observation>,
    /// The request, if one was planned.
    pub http: Option<&'a Observation>,
}

/// One QUIC handshake.
#[derive(Clone, Copy, Debug)]
pub struct Quic<'a> {
    /// Where it went.
    pub address: IpAddr,
    /// The row.
    pub row: &'a Observation,
    /// What it saw.
    pub tls: &'a Tls,
}

impl Quic<'_> {
    /// Whether the server's versions came, where they were asked for.
    pub fn negotiated(&self) -> bool {
        self.row.outcome.is_ok()
    }

    /// Whether the peer said anything at all, be it a certificate of its own or a refusal.
    pub fn spoke(&self) -> bool {
        self.row.outcome.is_ok() || self.tls.bytes_received > 0
    }
}

/// One first message to a tunnel's server.
#[derive(Clone, Copy, Debug)]
pub struct Tunnel<'a> {
    /// Where it went.
    pub address: IpAddr,
    /// The row.
    pub row: &'a Observation,
}

/// Those that were sent, by their rows. Within TLS that offers no name, the handshake is the first message that can fail.
fn tunnels_of<'a>(rows: &[&'a Observation], family: Option<Family>) -> Vec<Tunnel<'a>> {
    let nameless = |row: &&&'a Observation| row.tls().is_some_and(|tls| tls.sni.is_none() && tls.chain.is_empty());
    let handshake = |row: &'a Observation| {
        let mut of_connection = rows.iter().filter(|other| other.connection == row.connection);
        of_connection.find(|other| nameless(other) && other.outcome.failure().is_some()).copied()
    };
    let sent = |row: &'a Observation| match row.outcome.not_run() {
        Some(_) => handshake(row).filter(|_| row.connection.is_some()),
        None => Some(row),
    };
    let of = |row: &&'a Observation| {
        let address = row.vpn().and(row.address)?;
        sent(row).map(|row| Tunnel { address, row })
    };
    let sent = rows.iter().filter_map(of);
    sent.filter(|tunnel| family.is_none_or(|wanted| Family::of(tunnel.address) == wanted)).collect()
}

/// Those that were tried, by their rows.
fn handshakes_of<'a>(rows: &[&'a Observation], family: Option<Family>) -> Vec<Quic<'a>> {
    let of = |row: &&'a Observation| Some(Quic { address: row.address?, row, tls: row.quic()? });
    let tried = |quic: &Quic<'_>| quic.row.outcome.not_run().is_none();
    let all = rows.iter().filter_map(of).filter(tried);
    all.filter(|quic| family.is_none_or(|wanted| Family::of(quic.address) == wanted)).collect()
}

/// One question to a resolver.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// The row.
    pub row: &'a Observation,
    /// Its DNS part.
    pub dns: &'a Dns,
}

/// What a helper outside saw of the last hop's host, in the same minute.
#[derive(Clone, Debug)]
pub struct Helper<'a> {
    /// Its resolver's word.
    pub lookups: Vec<Lookup<'a>>,
    /// Its connections.
    pub connections: Vec<Connection<'a>>,
    /// Its QUIC handshakes.
    pub quic: Vec<Quic<'a>>,
    /// Its first messages to tunnels.
    pub vpn: Vec<Tunnel<'a>>,
}

impl<'a> Helper<'a> {
    /// From the helper's rows of a hop; `None` unless the errand to it succeeded, for its silence says nothing.
    fn of(rows: &[&'a Observation], family: Option<Family>) -> Option<Self> {
        let is_errand = |row: &&Observation| row.http().is_some() && row.connection.is_none();
        rows.iter().copied().find(|row| is_errand(row) && row.outcome.is_ok())?;
        Some(Self {
            lookups: rows.iter().filter_map(|&row| Some(Lookup { row, dns: row.dns()? })).collect(),
            connections: of_family(connections(rows), family),
            quic: handshakes_of(rows, family),
            vpn: tunnels_of(rows, family),
        })
    }
}

/// What the last hop of a measurement looked like.
#[derive(Clone, Debug)]
pub struct Features<'a> {
    /// The measurement.
    pub measurement: &'a Measurement,
    /// Host of the last hop.
    pub host: String,
    /// Port of the last hop.
    pub port: u16,
    /// Whether the last hop is a redirect's end (and not the input itself).
    pub redirected: bool,
    /// Lookups by the system's resolver (or by the one resolver that a `dns://` target names).
    pub system: Vec<Lookup<'a>>,
    /// Lookups by others.
    pub others: Vec<Lookup<'a>>,
    /// Every connection that was tried.
    pub connections: Vec<Connection<'a>>,
    /// Every QUIC handshake that was tried.
    pub quic: Vec<Quic<'a>>,
    /// Every first message to a tunnel's server that was sent.
    pub vpn: Vec<Tunnel<'a>>,
    /// A redirect that cannot be followed.
    pub dead_end: Option<&'a Observation>,
    /// What a helper outside saw of the same host, if one answered.
    pub helper: Option<Helper<'a>>,
    /// Unencrypted responses of the hops before the last: what led here.
    pub led_here: Vec<(&'a Observation, &'a Http)>,
    /// Names that cannot exist, asked of the system's resolver.
    pub random: Vec<Lookup<'a>>,
    /// The name, asked of the target's own host, which is no resolver.
    pub nobody: Vec<Lookup<'a>>,
    /// What else was asked about the name: over other transports, spelled otherwise, and other names of the same resolver.
    pub further: Vec<Lookup<'a>>,
    /// Unencrypted responses of all hops, with their copies over TLS.
    pub plain_pages: Vec<PlainPage<'a>>,
    /// What fingerprints know of its answers and pages; nothing, until they are held against it.
    pub known: Known<'a>,
    /// Operators of ordinary servers that were as silent in the same minute; 0 until the gate is asked.
    pub silent_operators: usize,
}

/// An unencrypted response, and the same request over TLS.
#[derive(Clone, Debug)]
pub struct PlainPage<'a> {
    /// The row of the response.
    pub row: &'a Observation,
    /// Its HTTP part.
    pub http: &'a Http,
    /// Whether it is no last word but led to the hop after it.
    pub led_on: bool,
    /// A connection that is verified and on which the same was asked for.
    pub copy: Option<Connection<'a>>,
}

impl<'a> PlainPage<'a> {
    /// The pages of the hops up to the last.
    fn of(measurement: &'a Measurement, last: u16) -> Vec<Self> {
        let page = |hop: u16| {
            let rows: Vec<&Observation> = measurement.observations.iter().filter(|row| row.hop == hop).collect();
            let is_plain = |row: &&&Observation| row.purpose == Purpose::Main && row.connection.is_some();
            let responses = rows.iter().filter(is_plain).filter_map(|&row| Some((row, row.http()?)));
            let (row, http) =
                responses.into_iter().find(|(_, http)| http.status.is_some() && http.url.starts_with("http:"))?;
            let copy = connections(&rows).into_iter().find(|c| c.purpose == Purpose::HttpsCopy && c.verified());
            Some(Self { row, http, led_on: hop < last, copy })
        };
        (0..=last).filter_map(page).collect()
    }
}

/// The name of the system's resolver in rows.
const SYSTEM: &str = "system";

/// Purposes of questions about a name in dispute.
const FURTHER: [Purpose; 6] = [
    Purpose::OtherTransport,
    Purpose::InnocentName,
    Purpose::ChangedCase,
    Purpose::NoRecursion,
    Purpose::Subdomain,
    Purpose::ParentName,
];

/// Resolvers that must have denied a name before an answer to it stands alone.
const DENIALS: usize = 2;

impl<'a> Features<'a> {
    /// Arranges a measurement's last hop; `family` keeps the connections of one family only.
    pub fn of(measurement: &'a Measurement, family: Option<Family>) -> Self {
        // What the helper saw is kept apart from the first line on: it is never the vantage's.
        let by_helper = |row: &&Observation| row.purpose == Purpose::Helper;
        let own = measurement.observations.iter().filter(|row| !by_helper(row));
        let last = own.map(|row| row.hop).max().unwrap_or(0);
        let (helper, rows): (Vec<&Observation>, Vec<&Observation>) =
            measurement.observations.iter().filter(|row| row.hop == last).partition(by_helper);
        let lookups = |purpose: Purpose| {
            rows.iter()
                .filter(move |row| row.purpose == purpose)
                .filter_map(|&row| Some(Lookup { row, dns: row.dns()? }))
        };
        let connections = of_family(connections(&rows), family);
        let (host, port) = host_of(measurement, &rows);
        let earlier = measurement.observations.iter().filter(|row| row.hop < last && row.purpose == Purpose::Main);
        let in_the_clear =
            earlier.filter_map(|row| Some((row, row.http()?))).filter(|(_, http)| http.url.starts_with("http:"));
        let dead_end = rows
            .iter()
            .copied()
            .find(|row| row.http().is_some() && row.connection.is_none() && row.outcome.failure().is_some());
        Self {
            measurement,
            dead_end,
            host,
            port,
            helper: Helper::of(&helper, family),
            redirected: last > 0,
            led_here: in_the_clear.collect(),
            random: lookups(Purpose::RandomName).filter(Lookup::tried).collect(),
            quic: handshakes_of(&rows, family),
            vpn: tunnels_of(&rows, family),
            nobody: lookups(Purpose::NoResolver).filter(Lookup::tried).collect(),
            plain_pages: PlainPage::of(measurement, last),
            known: Known::default(),
            silent_operators: 0,
            system: last_words(
                lookups(Purpose::Main).filter(Lookup::tried),
                &lookups(Purpose::Retry).collect::<Vec<_>>(),
            ),
            others: lookups(Purpose::Comparison)
                .chain(lookups(Purpose::OtherTransport).filter(|lookup| !lookup.is_by_system()))
                .filter(Lookup::tried)
                .collect(),
            further: FURTHER.into_iter().flat_map(lookups).filter(Lookup::tried).collect(),
            connections,
        }
    }

    /// Connections of the measurement proper.
    pub fn main(&self) -> impl Iterator<Item = &Connection<'a>> {
        self.with_purpose(Purpose::Main)
    }

    /// Connections of that purpose.
    pub fn with_purpose(&self, purpose: Purpose) -> impl Iterator<Item = &Connection<'a>> {
        self.connections.iter().filter(move |connection| connection.purpose == purpose)
    }

    /// QUIC handshakes of that purpose.
    pub fn quic_with(&self, purpose: Purpose) -> impl Iterator<Item = &Quic<'a>> {
        self.quic.iter().filter(move |quic| quic.row.purpose == purpose)
    }

    /// Addresses that hold a certificate that is valid for the name.
    pub fn proven(&self) -> BTreeSet<IpAddr> {
        self.connections
            .iter()
            .filter(|c| is_of_target(c.purpose) && c.verified())
            .map(|c| c.address)
            .chain(self.quic_with(Purpose::Main).filter(|quic| quic.row.outcome.is_ok()).map(|quic| quic.address))
            .chain(self.quic_with(Purpose::Comparison).filter(|quic| quic.row.outcome.is_ok()).map(|quic| quic.address))
            .collect()
    }

    /// Addresses given by others than the system's resolver.
    pub fn given_by_others(&self) -> BTreeSet<IpAddr> {
        self.others.iter().flat_map(|lookup| lookup.dns.addresses()).collect()
    }

    /// Addresses given by the system's resolver.
    pub fn given_by_system(&self) -> BTreeSet<IpAddr> {
        self.system.iter().flat_map(|lookup| lookup.dns.addresses()).collect()
    }

    /// Whether an address may be taken for the target's own. Resolvers of content networks give different addresses to
    /// everyone, so that an address is doubted only when another one is proven and this one is nobody else's.
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let proven = self.proven();
        if proven.is_empty() || proven.contains(&address) {
            return true;
        }
        self.given_beside(&proven).contains(&address)
    }

    /// Addresses given by others than the system's resolver, where these are proven. What comes over UDP, anybody on the
    /// way can have sent: over HTTPS is believed alone, if it gave one of the proven.
    pub fn given_beside(&self, proven: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        let over_https = self.given_over_https();
        if over_https.is_disjoint(proven) { self.given_by_others() } else { over_https }
    }

    /// Addresses given by others over HTTPS or TLS, where nobody on the way can answer in their place.
    pub fn given_over_https(&self) -> BTreeSet<IpAddr> {
        let lookups = self.others.iter().filter(|lookup| matches!(lookup.dns.engine, Engine::Doh | Engine::Dot));
        lookups.flat_map(|lookup| lookup.dns.addresses()).collect()
    }

    /// Whether the system's resolver gave an address for a name that all others deny, and nothing shows that it is the
    /// name's.
    pub fn is_ghost(&self) -> bool {
        let is_no = |lookup: &&Lookup<'_>| {
            matches!(lookup.row.outcome.failure(), Some(Failure::DnsNxdomainError | Failure::DnsNoAnswer))
        };
        let deniers: BTreeSet<&str> =
            self.others.iter().filter(is_no).map(|lookup| lookup.dns.resolver.as_str()).collect();
        let is_given = self.system.iter().any(|lookup| lookup.row.outcome.is_ok());
        is_given && deniers.len() >= DENIALS && self.given_by_others().is_empty() && self.proven().is_empty()
    }

    /// Whether the first question to the system's resolver for an address of IPv4 took so long, milliseconds.
    pub fn first_took(&self, is_long: impl Fn(f64) -> bool) -> bool {
        let is_first = |row: &&Observation| {
            let asked =
                |dns: &Dns| dns.hostname == self.host && dns.query_type == QueryType::A && dns.engine == Engine::System;
            row.purpose == Purpose::Main && row.dns().is_some_and(asked)
        };
        self.measurement.observations.iter().find(is_first).is_some_and(|row| is_long(row.t_ms - row.t0_ms))
    }

    /// Whether a second try at an address where the first had failed got further.
    pub fn recovered(&self, address: IpAddr, further: impl Fn(&Connection<'_>) -> bool) -> bool {
        self.with_purpose(Purpose::Retry).any(|connection| connection.address == address && further(connection))
    }
}

impl Lookup<'_> {
    /// Whether the system's resolver was asked, in whatever way.
    pub fn is_by_system(&self) -> bool {
        self.dns.resolver == SYSTEM
    }

    fn tried(&self) -> bool {
        self.row.outcome.not_run().is_none()
    }

    /// Whether the resolver said something, be it that there is nothing.
    pub fn answered(&self) -> bool {
        self.row.outcome.is_ok() || self.row.outcome.failure().is_some_and(is_denial)
    }
}

/// An answer by which a resolver denies a name: its word, not its silence.
pub fn is_denial(failure: Failure) -> bool {
    use Failure::{AndroidDnsCacheNoData, DnsNoAnswer, DnsNxdomainError, DnsRefusedError};
    matches!(failure, DnsNxdomainError | DnsRefusedError | DnsNoAnswer | AndroidDnsCacheNoData)
}

impl Connection<'_> {
    /// TLS completed and the chain was valid for the name.
    pub fn verified(&self) -> bool {
        self.tls.is_some_and(|row| row.outcome.is_ok())
    }

    /// The TLS row's data, if the handshake was begun.
    pub fn tls_data(&self) -> Option<&Tls> {
        self.tls.filter(|row| row.outcome.not_run().is_none()).and_then(Observation::tls)
    }

    /// The HTTP row's data, if the request was begun.
    pub fn http_data(&self) -> Option<&Http> {
        self.http.filter(|row| row.outcome.not_run().is_none()).and_then(Observation::http)
    }

    /// How TLS failed, if it did.
    pub fn tls_failure(&self) -> Option<Failure> {
        self.tls.and_then(|row| row.outcome.failure())
    }

    /// Whether anything was sent: a connection that was never tried is no evidence.
    pub fn tried(&self) -> bool {
        self.tcp.outcome.not_run().is_none()
    }

    /// Whether the address was left alone since it cannot be public.
    pub fn is_bogon(&self) -> bool {
        self.tcp.outcome == Outcome::NotRun(NotRun::BogonAddress)
    }
}

/// Whether a handshake of this purpose offers the target's own name, or is held against it.
fn is_of_target(purpose: Purpose) -> bool {
    use Purpose::{
        Elsewhere, ElsewhereInnocent, InnocentSni, LocateInnocent, LongerName, ProxyCheck, QuietAgain, QuietInnocent,
    };
    !matches!(
        purpose,
        InnocentSni
            | ProxyCheck
            | LocateInnocent
            | Elsewhere
            | ElsewhereInnocent
            | LongerName
            | QuietInnocent
            | QuietAgain
    )
}

/// Each question's answer, or that of the last time when it was asked again for want of one.
fn last_words<'a>(first: impl Iterator<Item = Lookup<'a>>, again: &[Lookup<'a>]) -> Vec<Lookup<'a>> {
    let last = |lookup: Lookup<'a>| {
        let is_same = |other: &&Lookup<'a>| {
            (other.dns.query_type, &other.dns.hostname) == (lookup.dns.query_type, &lookup.dns.hostname)
                && other.tried()
        };
        again.iter().rev().find(is_same).copied().unwrap_or(lookup)
    };
    first.map(last).collect()
}

/// Connections of a hop, in order of their number.
fn connections<'a>(rows: &[&'a Observation]) -> Vec<Connection<'a>> {
    let numbers: BTreeSet<u32> = rows.iter().filter_map(|row| row.connection).collect();
    let connection = |number: u32| {
        let own = || rows.iter().copied().filter(move |row| row.connection == Some(number));
        let step = |step| own().find(move |row| row.step() == step);
        let tcp = step(Step::Tcp)?;
        let (tls, http) = (step(Step::Tls), step(Step::Http));
        // An import may tell of a connection and not where it went.
        let address = tcp.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Some(Connection { address, purpose: tcp.purpose, tcp, tls, http })
    };
    numbers.into_iter().filter_map(connection).collect()
}

fn of_family(connections: Vec<Connection<'_>>, family: Option<Family>) -> Vec<Connection<'_>> {
    connections.into_iter().filter(|c| family.is_none_or(|wanted| Family::of(c.address) == wanted)).collect()
}

/// The host of the hop: what was asked of resolvers, else what was offered or requested, else the target's own.
fn host_of(measurement: &Measurement, rows: &[&Observation]) -> (String, u16) {
    let (own, own_port) = measurement.target.endpoint.host_and_port();
    let is_connection = |row: &&&Observation| matches!(row.step(), Step::Tcp | Step::Quic | Step::Vpn);
    let port = rows.iter().find(is_connection).and_then(|row| row.port);
    // A question of an experiment may be for another name.
    let is_own = |row: &&&Observation| matches!(row.purpose, Purpose::Main | Purpose::Comparison);
    let asked = rows.iter().filter(is_own).find_map(|row| row.dns().map(|dns| dns.hostname.clone()));
    let offered = || rows.iter().find_map(|row| row.tls().or(row.quic()).and_then(|tls| tls.sni.clone()));
    let host = match (asked.or_else(offered), &measurement.target.endpoint) {
        (Some(host), _) => host,
        (None, Endpoint::Dns { name, .. }) => name.clone(),
        (None, _) => match own {
            HostName::Name(name) => name,
            HostName::Address(address) => address.to_string(),
        },
    };
    (host, port.unwrap_or(own_port))
}

/// Names of resolvers, for a sentence.
pub fn resolver_names(lookups: &[&Lookup<'_>]) -> String {
    let names: BTreeSet<String> = lookups
        .iter()
        .map(|lookup| match lookup.dns.engine {
            Engine::Doh => format!("{} (DoH)", short(&lookup.dns.resolver)),
            Engine::Dot => format!("{} (DoT)", short(&lookup.dns.resolver)),
            Engine::Tcp => format!("{} (TCP)", short(&lookup.dns.resolver)),
            _ => short(&lookup.dns.resolver).to_owned(),
        })
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn short(resolver: &str) -> &str {
    resolver.strip_prefix("resolver/").unwrap_or(resolver)
}
