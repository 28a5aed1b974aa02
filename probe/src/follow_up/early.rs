//! What is asked as soon as a hop is done: experiments on handshakes, connections and requests that failed.

use std::net::SocketAddr;

use faultline_record::{Failure, Family, Observation, Outcome, Purpose, Step};

use super::{Experiment, address};

/// The experiments that a hop's observations ask for: at most one of a kind in each family.
pub fn wanted(observations: &[Observation], hop: u16, innocent: &str) -> Vec<Experiment> {
    let mut main: Vec<&Observation> =
        observations.iter().filter(|row| row.hop == hop && row.purpose == Purpose::Main).collect();
    main.sort_by_key(|row| row.seq);
    Family::ALL
        .iter()
        .flat_map(|&family| {
            let rows = main.iter().copied().filter(move |row| row.address.map(Family::of) == Some(family));
            [
                sni_differential(rows.clone(), innocent),
                tcp_retry(rows.clone()),
                other_port(rows.clone()),
                host_differential(rows.clone()),
                quic_differential(rows.clone(), innocent),
                tcp_copy(rows.clone()),
                super::negotiation::wanted(rows.clone()),
                super::tunnel::wanted(rows.clone()),
                forged_certificate(rows),
            ]
        })
        .flatten()
        .collect()
}

fn sni_differential<'a>(mut rows: impl Iterator<Item = &'a Observation>, innocent: &str) -> Option<Experiment> {
    rows.find_map(|row| {
        let own = row.tls().filter(|tls| tls.chain.is_empty())?.sni.clone()?;
        let asks = row.outcome.failure().is_some_and(is_cut_short) && own != innocent;
        asks.then_some(Experiment::SniDifferential { address: address(row)?, own })
    })
}

/// The first QUIC handshake for a name that nobody answered, where none was answered at all.
fn silent_quic<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<(SocketAddr, String)> {
    let tried = rows.filter(|row| row.quic().is_some());
    if tried.clone().any(|row| row.outcome == Outcome::Ok) {
        return None;
    }
    let mut silent = tried.filter(|row| row.outcome.failure() == Some(Failure::GenericTimeoutError));
    silent.find_map(|row| Some((address(row)?, row.quic()?.sni.clone()?)))
}

fn quic_differential<'a>(rows: impl Iterator<Item = &'a Observation> + Clone, innocent: &str) -> Option<Experiment> {
    let (address, own) = silent_quic(rows).filter(|(_, own)| own != innocent)?;
    Some(Experiment::QuicDifferential { address, own })
}

fn tcp_copy<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<Experiment> {
    silent_quic(rows).map(|(address, own)| Experiment::TcpCopy { address, own })
}

/// Failures that an observer of the ClientHello can bring about.
fn is_cut_short(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::ConnectionReset
            | Failure::ConnectionAborted
            | Failure::EofError
            | Failure::GenericTimeoutError
            | Failure::TimedOut
            | Failure::SslFailedHandshake
            | Failure::SslInvalidHostname
            | Failure::TlsMalformedRecord
    )
}

/// The first connection that failed, where none of the family was made.
fn unconnected<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<&'a Observation> {
    let mut tcp = rows.filter(|row| row.step() == Step::Tcp);
    if tcp.clone().any(|row| row.outcome == Outcome::Ok) {
        return None;
    }
    tcp.find(|row| {
        matches!(
            row.outcome.failure(),
            Some(Failure::GenericTimeoutError | Failure::TimedOut | Failure::ConnectionRefused)
        )
    })
}

fn tcp_retry<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<Experiment> {
    Some(Experiment::TcpRetry { address: address(unconnected(rows)?)? })
}

/// Where no connection was made: silence is what a dead host gives as well, and what a filter of one port does not.
fn other_port<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<Experiment> {
    let failed = unconnected(rows)?;
    let is_silent = failed.outcome.failure() != Some(Failure::ConnectionRefused);
    let address = address(failed).filter(|address| is_silent && matches!(address.port(), 80 | 443))?;
    Some(Experiment::OtherPort { address })
}

/// A request in the clear that an observer of it can have cut short.
fn host_differential<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<Experiment> {
    if rows.clone().any(|row| row.tls().is_some() || row.http().is_some_and(|http| http.status.is_some())) {
        return None;
    }
    let mut requests = rows.filter(|row| row.http().is_some());
    let failed = requests.find(|row| {
        use Failure::{ConnectionAborted, ConnectionReset, EofError, GenericTimeoutError, TimedOut};
        let failure = row.outcome.failure();
        matches!(failure, Some(ConnectionReset | ConnectionAborted | EofError | GenericTimeoutError | TimedOut))
    })?;
    Some(Experiment::HostDifferential { address: address(failed)? })
}

fn forged_certificate<'a>(mut rows: impl Iterator<Item = &'a Observation>) -> Option<Experiment> {
    let shown = rows.find(|row| {
        let is_named = row.tls().is_some_and(|tls| !tls.chain.is_empty() && tls.sni.is_some());
        is_named && row.outcome.failure() == Some(Failure::SslUnknownAuthority)
    })?;
    Some(Experiment::ForgedCertificate { address: address(shown)? })
}

#[cfg(test)]
mod tests {
    use faultline_record::{Certificate, Http, NotRun, StepData, Tls, Vpn, VpnProtocol};

    use super::*;
    use crate::follow_up::rows::row;

    fn tls(address: &str, failure: Failure) -> Observation {
        let tls = Tls { sni: Some("x.example".into()), ..Tls::default() };
        row(Some(address), Outcome::Failed(failure), StepData::Tls(tls))
    }

    fn tcp(address: &str, outcome: Outcome) -> Observation {
        row(Some(address), outcome, StepData::Tcp)
    }

    #[test]
    fn a_reset_handshake_asks_for_one_differential_a_family() {
        let rows = [
            tcp("1.0.0.1:443", Outcome::Ok),
            tls("1.0.0.1:443", Failure::ConnectionReset),
            tls("1.0.0.2:443", Failure::ConnectionReset),
            tls("[2001::1]:443", Failure::GenericTimeoutError),
        ];
        let differential = |address: &str| Experiment::SniDifferential {
            address: address.parse().unwrap(),
            own: "x.example".to_owned(),
        };
        assert_eq!(wanted(&rows, 0, "example.com"), [differential("1.0.0.1:443"), differential("[2001::1]:443")]);
        assert_eq!(wanted(&rows, 0, "x.example"), [], "the innocent name is the target's own");
    }

    #[test]
    fn a_chain_that_was_shown_asks_for_no_differential_and_one_of_nobodys_for_another_name() {
        let mut shown = tls("1.0.0.1:443", Failure::SslUnknownAuthority);
        let StepData::Tls(data) = &mut shown.data else { unreachable!() };
        data.chain = vec![Certificate::from_der(vec![0x30]).into()];
        let not_run = row(Some("1.0.0.2:443"), Outcome::NotRun(NotRun::Interrupted), StepData::Tls(Tls::default()));
        let forged = Experiment::ForgedCertificate { address: "1.0.0.1:443".parse().unwrap() };
        assert_eq!(wanted(&[shown.clone(), not_run.clone()], 0, "example.com"), [forged]);
        shown.outcome = Outcome::Failed(Failure::SslInvalidCertificate);
        assert_eq!(wanted(&[shown, not_run], 0, "example.com"), [], "it is merely out of date");
    }

    #[test]
    fn a_request_in_the_clear_that_is_cut_short_asks_for_an_innocent_host_and_one_inside_tls_does_not() {
        let request = |failure, status| {
            let data = StepData::Http(Http { url: "http://x.example/".into(), status, ..Http::default() });
            row(Some("1.0.0.1:80"), Outcome::Failed(failure), data)
        };
        let differential = Experiment::HostDifferential { address: "1.0.0.1:80".parse().unwrap() };
        for failure in [Failure::ConnectionReset, Failure::EofError, Failure::GenericTimeoutError] {
            assert_eq!(wanted(&[request(failure, None)], 0, "example.com"), std::slice::from_ref(&differential));
        }
        assert_eq!(wanted(&[request(Failure::GenericTimeoutError, Some(200))], 0, "example.com"), []);
        assert_eq!(wanted(&[request(Failure::HttpMalformedResponse, None)], 0, "example.com"), []);
        let mut verified = tls("1.0.0.1:80", Failure::ConnectionReset);
        verified.outcome = Outcome::Ok;
        assert_eq!(wanted(&[verified, request(Failure::ConnectionReset, None)], 0, "example.com"), []);
    }

    #[test]
    fn a_connection_is_tried_once_more_only_where_no_address_of_the_family_could_be_reached() {
        let timeout = Outcome::Failed(Failure::GenericTimeoutError);
        let retry = Experiment::TcpRetry { address: "1.0.0.1:443".parse().unwrap() };
        let lost = [tcp("1.0.0.1:443", timeout), tcp("1.0.0.2:443", timeout), tcp("[2001::1]:443", Outcome::Ok)];
        let other = Experiment::OtherPort { address: "1.0.0.1:443".parse().unwrap() };
        assert_eq!(wanted(&lost, 0, "example.com"), [retry, other]);
        assert_eq!(wanted(&[tcp("1.0.0.1:443", timeout), tcp("1.0.0.2:443", Outcome::Ok)], 0, "example.com"), []);
        let unreachable = tcp("1.0.0.1:443", Outcome::Failed(Failure::NetworkUnreachable));
        assert_eq!(wanted(&[unreachable], 0, "example.com"), []);
    }

    #[test]
    fn a_tunnel_s_handshake_without_a_name_asks_for_the_ladder_and_one_with_a_name_for_an_innocent_name() {
        let planned = || StepData::Vpn(Vpn::planned(VpnProtocol::Sstp));
        let not_made = row(Some("1.0.0.1:443"), Outcome::NotRun(NotRun::PreviousStepFailed), planned());
        let nameless =
            row(Some("1.0.0.1:443"), Outcome::Failed(Failure::ConnectionReset), StepData::Tls(Tls::default()));
        let address = "1.0.0.1:443".parse().unwrap();
        assert_eq!(wanted(&[nameless.clone(), not_made.clone()], 0, "example.com"), [Experiment::Tunnel { address }]);
        assert_eq!(wanted(&[nameless], 0, "example.com"), [], "no tunnel's");
        let named = [tls("1.0.0.1:443", Failure::ConnectionReset), not_made];
        let differential = Experiment::SniDifferential { address, own: "x.example".to_owned() };
        assert_eq!(wanted(&named, 0, "example.com"), [differential]);
        let answered = row(Some("1.0.0.1:443"), Outcome::Ok, planned());
        let shown = row(Some("1.0.0.1:443"), Outcome::Ok, StepData::Tls(Tls::default()));
        assert_eq!(wanted(&[shown, answered], 0, "example.com"), []);
    }

    #[test]
    fn what_follow_ups_saw_asks_for_no_further_ones() {
        let mut retried = tls("1.0.0.1:443", Failure::ConnectionReset);
        retried.purpose = Purpose::Retry;
        assert_eq!(wanted(&[retried], 0, "example.com"), []);
    }
}
