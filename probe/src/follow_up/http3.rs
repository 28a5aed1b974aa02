//! When a page is asked for over HTTP/3 as well: where the site itself, by a certificate that is valid for its name, offers it.

use std::net::SocketAddr;

use faultline_record::{Observation, Outcome, Step};

use super::Experiment;

/// Wanted where a verified response offers HTTP/3 at its own host (RFC 7838 section 3), by the rows of the measurement proper.
pub(super) fn wanted(main: &[&Observation]) -> Option<Experiment> {
    let verified = |row: &&&Observation| {
        let is_tls = |other: &&&Observation| other.step() == Step::Tls && other.connection == row.connection;
        main.iter().find(is_tls).is_some_and(|tls| tls.outcome == Outcome::Ok)
    };
    let offered = |row: &&Observation| Some((row.address?, port_of(row.http()?.header("alt-svc")?)?));
    let (address, port) = main.iter().filter(verified).find_map(offered)?;
    Some(Experiment::Http3Copy { address: SocketAddr::new(address, port) })
}

/// The port of the first `h3=":port"` of an `Alt-Svc` header. One at another host is passed over: that is another target.
fn port_of(header: &str) -> Option<u16> {
    let authority = |entry: &str| {
        let (protocol, rest) = entry.trim().split_once('=')?;
        let port = rest.strip_prefix("\":")?.split('"').next()?.parse().ok()?;
        (protocol == "h3" && port > 0).then_some(port)
    };
    header.split(',').find_map(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_site_s_own_offer_of_http_3() {
        assert_eq!(port_of("h3=\":443\"; ma=2592000"), Some(443));
        assert_eq!(port_of("h3-29=\":442\"; ma=9, h3=\":8443\"; persist=1"), Some(8443));
        for none in [
            "",
            "clear",
            "h2=\":443\"",
            "h3=\"other.example:443\"",
            "h3=\":0\"",
            "h3=\":99999\"",
            "h3=:443",
            "h3",
            "h3=\":",
            "h3=\":443x\"",
        ] {
            assert_eq!(port_of(none), None, "{none}");
        }
    }
}
