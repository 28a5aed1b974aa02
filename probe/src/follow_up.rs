//! Which experiments would settle what a hop's observations left open: a pure function. `measure` makes them.

use std::net::SocketAddr;

use faultline_record::{Failure, Family, Observation, Outcome, Purpose, Step};

/// Rounds of a differential; in each the innocent name goes first (design, section 5: alternating, at least three).
pub const ROUNDS: usize = 3;

/// An experiment that would settle a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Experiment {
    /// Is it the name or the address? Handshakes with the same address for an innocent name and for the target's own,
    /// in turns, each over a fresh connection.
    SniDifferential {
        /// Where the handshake failed.
        address: SocketAddr,
        /// The name it failed for.
        own: String,
    },
    /// Was a lost packet the cause? One more TCP connection.
    TcpRetry {
        /// Where the connection failed.
        address: SocketAddr,
    },
}

/// The experiments that a hop's observations ask for: at most one of a kind in each family.
pub fn wanted(observations: &[Observation], hop: u16, innocent: &str) -> Vec<Experiment> {
    let mut main: Vec<&Observation> =
        observations.iter().filter(|row| row.hop == hop && row.purpose == Purpose::Main).collect();
    main.sort_by_key(|row| row.seq);
    Family::ALL
        .iter()
        .flat_map(|&family| {
            let rows = main.iter().copied().filter(move |row| row.address.map(Family::of) == Some(family));
            [sni_differential(rows.clone(), innocent), tcp_retry(rows)]
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

fn tcp_retry<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<Experiment> {
    let mut tcp = rows.filter(|row| row.step() == Step::Tcp);
    if tcp.clone().any(|row| row.outcome == Outcome::Ok) {
        return None;
    }
    let failed = tcp.find(|row| {
        matches!(
            row.outcome.failure(),
            Some(Failure::GenericTimeoutError | Failure::TimedOut | Failure::ConnectionRefused)
        )
    })?;
    Some(Experiment::TcpRetry { address: address(failed)? })
}

fn address(row: &Observation) -> Option<SocketAddr> {
    Some(SocketAddr::new(row.address?, row.port?))
}

#[cfg(test)]
mod tests {
    use faultline_record::{Certificate, NotRun, StepData, Tls};

    use super::*;

    fn row(address: &str, outcome: Outcome, data: StepData) -> Observation {
        let address: SocketAddr = address.parse().unwrap();
        Observation {
            seq: 1,
            hop: 0,
            purpose: Purpose::Main,
            connection: Some(1),
            t0_ms: 0.0,
            t_ms: 1.0,
            outcome,
            detail: None,
            address: Some(address.ip()),
            port: Some(address.port()),
            data,
        }
    }

    fn tls(address: &str, failure: Failure) -> Observation {
        let tls = Tls { sni: Some("x.example".into()), ..Tls::default() };
        row(address, Outcome::Failed(failure), StepData::Tls(tls))
    }

    fn tcp(address: &str, outcome: Outcome) -> Observation {
        row(address, outcome, StepData::Tcp)
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
    fn a_chain_that_was_shown_asks_for_nothing() {
        let mut shown = tls("1.0.0.1:443", Failure::SslUnknownAuthority);
        let StepData::Tls(data) = &mut shown.data else { unreachable!() };
        data.chain = vec![Certificate::from_der(vec![0x30]).into()];
        let not_run = row("1.0.0.2:443", Outcome::NotRun(NotRun::Interrupted), StepData::Tls(Tls::default()));
        assert_eq!(wanted(&[shown, not_run], 0, "example.com"), []);
    }

    #[test]
    fn a_connection_is_tried_once_more_only_where_no_address_of_the_family_could_be_reached() {
        let timeout = Outcome::Failed(Failure::GenericTimeoutError);
        let retry = Experiment::TcpRetry { address: "1.0.0.1:443".parse().unwrap() };
        let lost = [tcp("1.0.0.1:443", timeout), tcp("1.0.0.2:443", timeout), tcp("[2001::1]:443", Outcome::Ok)];
        assert_eq!(wanted(&lost, 0, "example.com"), [retry]);
        assert_eq!(wanted(&[tcp("1.0.0.1:443", timeout), tcp("1.0.0.2:443", Outcome::Ok)], 0, "example.com"), []);
        let unreachable = tcp("1.0.0.1:443", Outcome::Failed(Failure::NetworkUnreachable));
        assert_eq!(wanted(&[unreachable], 0, "example.com"), []);
    }

    #[test]
    fn what_follow_ups_saw_asks_for_no_further_ones() {
        let mut retried = tls("1.0.0.1:443", Failure::ConnectionReset);
        retried.purpose = Purpose::Retry;
        assert_eq!(wanted(&[retried], 0, "example.com"), []);
    }
}
