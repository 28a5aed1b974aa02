//! The engine on several machines: Apache Ballista. A scheduler plans a query and deals its parts out, executors read files and
//! judge, a client asks; all three are this binary, and all must see the files by the same names.
//!
//! This is the only part of the analyzer that opens sockets, and it exists only with the feature `cluster`. Nothing on them is
//! authenticated or encrypted: who reaches a port can read whatever its process can read.

pub mod client;
mod codec;
pub mod executor;
mod log;
pub mod scheduler;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::exit::AnalyzerError;
use crate::say;

/// The longest message between processes, octets. A plan holds the names of all files and the ids that stand in several, once for
/// each table that it reads.
const MESSAGE: u32 = 64 << 20;

/// The port of a scheduler where none is named: Ballista's.
pub const PORT: u16 = 50050;

/// Where a scheduler listens: `df://HOST:PORT`, or without one of the ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a scheduler's address is df://HOST:PORT, an IPv6 address in brackets";
        let place = text.strip_prefix("df://").unwrap_or(text).trim_end_matches('/');
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| WRONG)?),
            _ => (place, PORT),
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_fit = match inner {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)),
        };
        if is_fit { Ok(Self { host: host.to_owned(), port }) } else { Err(WRONG) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "df://{}:{}", self.host, self.port)
    }
}

/// An IP address as a host of an address.
fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// How others call this machine: by the name that was given, or by the address where it listens, if it is one.
fn called(name: Option<&str>, bind: IpAddr) -> Result<String, AnalyzerError> {
    match name {
        Some(name) => Ok(name.to_owned()),
        None if bind.is_unspecified() => {
            Err(AnalyzerError::Usage(format!("{bind} is no address that others can call; add --host NAME")))
        }
        None => Ok(host(bind)),
    }
}

/// Says what nobody protects, where others than this machine reach it.
fn warn(bind: IpAddr) {
    if !bind.is_loopback() {
        say(&format!(
            "nothing here is authenticated or encrypted: whoever reaches {bind} can read every file that this process can \
             read, and can have it write files; keep it within a network of your own"
        ));
    }
}

/// A runtime with sockets.
fn runtime() -> Result<tokio::runtime::Runtime, AnalyzerError> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| AnalyzerError::Cluster(format!("failed to start threads: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_full_or_in_part_and_nonsense_is_not() {
        let address = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(address("df://host:4711"), Ok("df://host:4711".to_owned()));
        assert_eq!(address("host"), Ok("df://host:50050".to_owned()));
        assert_eq!(address("df://[::1]"), Ok("df://[::1]:50050".to_owned()));
        assert_eq!(address("[::1]:1/"), Ok("df://[::1]:1".to_owned()));
        for wrong in ["", "df://", "http://host", "host:", "host:99999", "::1", "[::1", "a b", "df://user@host"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
