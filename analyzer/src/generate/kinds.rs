//! What a made-up measurement is of, and what came of it.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use faultline_record::{
    Availability, Certificate, Endpoint, Failure, Family, HealthCheck, HealthCheckId, HealthReason, HealthSignal,
    HostName, Observation, Outcome, Purpose, RunId, SignalKind, Target,
};

use super::chance::Chance;
use super::rows::Rows;

/// Milliseconds from one measurement's start to the next one's.
pub const PACE_MS: f64 = 400.0;
/// Measurements between two checks of the vantage.
pub const CHECK_EVERY: u64 = 50;
/// Sites, of which each file meets all in turn.
const SITES: usize = 2_000;
/// Different certificates.
const CERTIFICATES: usize = 400;
/// Octets of a body.
const BODY: usize = 1_000;

/// What one measurement shows.
pub struct Case {
    pub target: Target,
    pub duration_ms: f64,
    pub observations: Vec<Observation>,
}

/// Kinds of 1,000 measurements. About one in eight shows something: OONI's web tests call 3 to 10 in 100 anomalous in such
/// networks, and a list of services that are in dispute has more of them.
const SHARES: [(usize, Kind); 9] = [
    (780, Kind::Site),
    (60, Kind::Endpoint),
    (40, Kind::Quic),
    (40, Kind::NameReset),
    (20, Kind::ForgedAnswer),
    (25, Kind::Silent),
    (15, Kind::Refused),
    (10, Kind::Reset),
    (10, Kind::NoSuchName),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A site that works.
    Site,
    /// A TCP endpoint that works.
    Endpoint,
    /// A QUIC endpoint that works.
    Quic,
    /// The name is reset in each of four tries, an innocent one answered in as many.
    NameReset,
    /// The system's resolver lies.
    ForgedAnswer,
    /// The address does not answer.
    Silent,
    /// The server refuses the connection.
    Refused,
    /// One lone reset.
    Reset,
    /// All resolvers say that there is no such name.
    NoSuchName,
}

static CHAINS: LazyLock<Vec<Arc<Certificate>>> = LazyLock::new(|| {
    let der = |number: usize| number.to_be_bytes().iter().cycle().take(1_200).copied().collect();
    (0..CERTIFICATES).map(|number| Arc::new(Certificate::from_der(der(number)))).collect()
});

static BODIES: LazyLock<Vec<Arc<[u8]>>> = LazyLock::new(|| {
    let page = |number: usize| format!("<html><title>site {number}</title>{}</html>", "word ".repeat(BODY / 5));
    (0..SITES).map(|number| page(number).into_bytes().into()).collect()
});

/// Draws a kind by its share of 1,000; what is left works.
pub fn drawn(chance: &mut Chance, shares: &[(usize, Kind)]) -> Kind {
    let mut drawn = chance.below(1_000);
    for &(share, kind) in shares {
        if drawn < share {
            return kind;
        }
        drawn -= share;
    }
    Kind::Site
}

/// Draws a measurement of any site.
pub fn any(chance: &mut Chance, online: bool) -> Case {
    let site = chance.below(SITES);
    let kind = if online { drawn(chance, &SHARES) } else { Kind::Site };
    case(chance, site, kind, online)
}

/// Draws a measurement; of a vantage that is not online, all names fail.
pub fn case(chance: &mut Chance, site: usize, kind: Kind, online: bool) -> Case {
    let host = host(site);
    let input = match kind {
        Kind::Endpoint => format!("tcp://{host}:5222"),
        Kind::Quic => format!("quic://{host}:443?sni={host}"),
        _ => format!("https://{host}/"),
    };
    let mut rows = Rows::new(chance);
    if online {
        fill(&mut rows, kind, site, &host, &input);
    } else {
        let failed = Err(Failure::GenericTimeoutError);
        rows.names(&host, failed, failed);
        rows.no_page(&input);
    }
    let (duration_ms, observations) = (rows.now, rows.made);
    Case { target: target(host, input), duration_ms, observations }
}

/// The name of a site.
pub fn host(site: usize) -> String {
    format!("site{site}.example")
}

fn target(name: String, input: String) -> Target {
    // Names and ports are ours and parse.
    let fallback = || Endpoint::Tcp { host: HostName::Name(name.clone()), port: 443 };
    Target {
        endpoint: Endpoint::parse(&input).unwrap_or_else(|_| fallback()),
        input,
        name,
        category: Some("NEWS".to_owned()),
        list: Some("generated".to_owned()),
        availability: Availability::Unknown,
        private_ca: false,
    }
}

fn fill(rows: &mut Rows<'_>, kind: Kind, site: usize, host: &str, input: &str) {
    let octet = |number: usize| u8::try_from(number % 250).unwrap_or(0) + 1;
    let genuine = IpAddr::from([198, 51, 100, octet(site)]);
    let chain = &CHAINS[site % CERTIFICATES];
    let own = (genuine, if kind == Kind::Endpoint { 5222 } else { 443 });
    match kind {
        Kind::NoSuchName => {
            rows.names(host, Err(Failure::DnsNxdomainError), Err(Failure::DnsNxdomainError));
            return rows.no_page(input);
        }
        Kind::ForgedAnswer => rows.names(host, Ok(IpAddr::from([10, 10, 34, 34])), Ok(genuine)),
        _ => rows.names(host, Ok(genuine), Ok(genuine)),
    }
    let reset = Outcome::Failed(Failure::ConnectionReset);
    match kind {
        Kind::Endpoint => rows.tcp(Purpose::Main, own, Outcome::Ok),
        Kind::Quic => rows.tls(Purpose::Main, own, host, Outcome::Ok, chain, true),
        Kind::Silent | Kind::Refused => {
            let failure = if kind == Kind::Silent { Failure::GenericTimeoutError } else { Failure::ConnectionRefused };
            for purpose in [Purpose::Main, Purpose::Retry, Purpose::Retry] {
                rows.tcp(purpose, own, Outcome::Failed(failure));
            }
            rows.no_page(input);
        }
        Kind::NameReset | Kind::Reset => {
            rows.tcp(Purpose::Main, own, Outcome::Ok);
            rows.tls(Purpose::Main, own, host, reset, chain, false);
            rows.no_page(input);
            if kind == Kind::NameReset {
                turns(rows, own, host, chain);
            }
        }
        _ => {
            rows.tcp(Purpose::Main, own, Outcome::Ok);
            rows.tls(Purpose::Main, own, host, Outcome::Ok, chain, false);
            rows.page(own, input, &BODIES[site]);
        }
    }
}

/// An innocent name and the own one in turn.
fn turns(rows: &mut Rows<'_>, own: super::rows::Place, host: &str, chain: &Arc<Certificate>) {
    let other_name = Outcome::Failed(Failure::SslInvalidHostname);
    for _ in 0..4 {
        rows.tcp(Purpose::InnocentSni, own, Outcome::Ok);
        rows.tls(Purpose::InnocentSni, own, "example.com", other_name, chain, false);
        rows.tcp(Purpose::Retry, own, Outcome::Ok);
        rows.tls(Purpose::Retry, own, host, Outcome::Failed(Failure::ConnectionReset), chain, false);
    }
}

/// A check of the vantage, so many milliseconds after the run's start.
pub fn check(chance: &mut Chance, run: RunId, started_at: i64, offset_ms: f64, online: bool) -> HealthCheck {
    use SignalKind::{Captive, Clock, ControlByAddress, ControlByName, Link, Resolver, Route};
    let outcome = if online { Outcome::Ok } else { Outcome::Failed(Failure::GenericTimeoutError) };
    let kinds =
        [Link, Route, Captive, Clock, ControlByName, ControlByName, ControlByAddress, ControlByAddress, Resolver];
    let providers = ["eth0", "eth0", "example", "example", "iana", "example", "quad9", "google", "system"];
    let signal = |(kind, provider): (SignalKind, &str)| HealthSignal {
        kind,
        name: format!("{kind}/{provider}"),
        provider: Some(provider.to_owned()),
        family: (kind == Route).then_some(Family::V4),
        address: None,
        outcome: if matches!(kind, Link | Route) { Outcome::Ok } else { outcome },
        value: (kind == Clock && online).then_some(0.1),
        duration_ms: 50.0,
        detail: None,
    };
    HealthCheck {
        id: HealthCheckId::from_bytes(chance.id(started_at)),
        run,
        reason: if offset_ms == 0.0 { HealthReason::Before } else { HealthReason::During },
        offset_ms,
        duration_ms: 300.0,
        signals: kinds.into_iter().zip(providers).map(signal).collect(),
    }
}
