//! By what context is kept: names, endpoints, networks and hours, each in one spelling, each name stored once.

use std::collections::HashMap;
use std::num::NonZeroU32;

use faultline_record::{Endpoint, HostName, Measurement, Network, NetworkKind, Timestamp, normal_name};
use serde::Serialize;

/// An hour since 1970-01-01T00:00:00Z: half-open, from its first millisecond to the next hour's.
pub type Hour = i64;

/// Length of an hour, milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// The hour in which a time lies.
pub fn hour(at: Timestamp) -> Hour {
    at.as_millisecond().div_euclid(HOUR_MS)
}

/// The first moment of an hour.
pub fn begin(hour: Hour) -> Timestamp {
    Timestamp::from_millisecond(hour.saturating_mul(HOUR_MS))
}

/// Hours from one moment to a later one.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of some years are far below 2^52")]
pub fn hours_between(from: Timestamp, to: Timestamp) -> f64 {
    to.as_millisecond().saturating_sub(from.as_millisecond()).max(0) as f64 / HOUR_MS as f64
}

/// What is connected to: scheme, name in one spelling, port, and what of the rest decides which server answers or which rule
/// of a filter can act. `None` for what goes nowhere.
pub fn endpoint(endpoint: &Endpoint) -> Option<String> {
    let host = |host: &HostName| match host {
        HostName::Name(name) => normal_name(name),
        HostName::Address(_) => host.to_string(),
    };
    let (name, port) = endpoint.host_and_port();
    let at = format!("{}:{port}", host(&name));
    let offered =
        |sni: &Option<String>| sni.as_deref().map_or(String::new(), |sni| format!("?sni={}", normal_name(sni)));
    Some(match endpoint {
        // Who filters on the way sees no path inside TLS.
        Endpoint::Web(url) if url.scheme() == "https" => format!("https://{at}"),
        Endpoint::Web(url) => {
            let query = url.query().map_or(String::new(), |query| format!("?{query}"));
            format!("http://{at}{}{query}", url.path())
        }
        Endpoint::Tcp { .. } => format!("tcp://{at}"),
        Endpoint::Tls { sni, .. } => format!("tls://{at}{}", offered(sni)),
        Endpoint::Quic { sni, .. } => format!("quic://{at}{}", offered(sni)),
        Endpoint::Vpn { protocol, .. } => format!("{protocol}://{at}"),
        Endpoint::Dns { name, .. } => format!("dns://{}/{}", host(&endpoint.host_and_port().0), normal_name(name)),
        Endpoint::Foreign(_) => return None,
    })
}

/// A network: who carries the packets, in which country, and whether over the air of an operator. The operator's name is a word of
/// the file's and not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct NetworkKey {
    /// ISO 3166-1 alpha-2, in capitals; empty if not known.
    pub country: String,
    /// Autonomous system number, if known.
    pub asn: Option<u32>,
    /// Cellular.
    #[serde(rename = "mobile")]
    pub is_mobile: bool,
}

impl NetworkKey {
    /// The network of a vantage.
    pub fn of(network: &Network) -> Self {
        Self {
            country: network.country.as_deref().map(str::to_ascii_uppercase).unwrap_or_default(),
            asn: network.asn.filter(|asn| *asn != 0),
            is_mobile: network.kind == NetworkKind::Mobile,
        }
    }

    /// The network that a measurement was made in.
    pub fn of_measurement(measurement: &Measurement) -> Self {
        Self::of(&measurement.network)
    }

    /// For a sentence: `AS17557 (PK)`.
    pub fn words(&self) -> String {
        let asn = self.asn.map_or_else(|| "an unknown network".to_owned(), |asn| format!("AS{asn}"));
        let mobile = if self.is_mobile { ", mobile" } else { "" };
        match self.country.as_str() {
            "" => format!("{asn}{mobile}"),
            country => format!("{asn} ({country}{mobile})"),
        }
    }
}

/// The number of a thing that was interned; one that may be missing takes no more room than one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(NonZeroU32);

impl Number {
    /// No thing's, however many are met.
    pub const NOBODYS: Self = Self(NonZeroU32::MAX);

    /// The number of the thing at that place, counted from zero.
    pub fn of(place: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(place).unwrap_or(u32::MAX)))
    }

    fn place(self) -> usize {
        usize::try_from(self.0.get() - 1).unwrap_or(usize::MAX)
    }
}

/// Things that are met again and again, each stored once and known by its number, in the order in which they were first met.
#[derive(Clone, Debug)]
pub struct Interned<T> {
    numbers: HashMap<T, Number>,
    things: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), things: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    /// The number of a thing, a new one if it is new.
    pub fn number<Q>(&mut self, thing: &Q) -> Number
    where
        T: std::borrow::Borrow<Q>,
        Q: ?Sized + Eq + std::hash::Hash + ToOwned<Owned = T>,
    {
        if let Some(&number) = self.numbers.get(thing) {
            return number;
        }
        let number = Number::of(self.things.len());
        self.things.push(thing.to_owned());
        self.numbers.insert(thing.to_owned(), number);
        number
    }

    /// The number of a thing that was met.
    pub fn find<Q>(&self, thing: &Q) -> Option<Number>
    where
        T: std::borrow::Borrow<Q>,
        Q: ?Sized + Eq + std::hash::Hash,
    {
        self.numbers.get(thing).copied()
    }

    /// The thing of a number.
    pub fn thing(&self, number: Number) -> Option<&T> {
        self.things.get(number.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        endpoint(&Endpoint::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn twins_of_one_name_are_one_endpoint_and_another_port_is_another() {
        assert_eq!(key("https://яндекс.рф/"), key("https://XN--D1ACPJX3F.xn--p1ai./maps"));
        assert_ne!(key("https://x.com/"), key("https://x.com:8443/"));
        assert_ne!(key("https://x.com/"), key("http://x.com/"));
        assert_ne!(key("http://x.com/a"), key("http://x.com/b"));
        assert_eq!(key("tls://192.0.2.1:443?sni=X.com"), key("tls://192.0.2.1:443?sni=x.com"));
    }

    #[test]
    fn hours_are_half_open_before_and_after_the_epoch() {
        let of = |ms| hour(Timestamp::from_millisecond(ms));
        assert_eq!([of(0), of(HOUR_MS - 1), of(HOUR_MS), of(-1)], [0, 0, 1, -1]);
        assert_eq!(begin(1).as_millisecond(), HOUR_MS);
    }

    #[test]
    fn what_is_met_again_keeps_its_number() {
        let mut names = Interned::<String>::default();
        assert_eq!([names.number("a"), names.number("b"), names.number("a")], [0, 1, 0].map(Number::of));
        let second = Number::of(1);
        assert_eq!((names.find("b"), names.find("c")), (Some(second), None));
        assert_eq!(names.thing(second).map(String::as_str), Some("b"));
        assert_eq!(names.thing(Number::NOBODYS), None);
    }
}
