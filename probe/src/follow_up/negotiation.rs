//! When a server's versions of QUIC are asked for: where no handshake was answered at all.

use faultline_record::{Failure, Observation, Outcome};

use super::Experiment;

/// Wanted where every handshake ended in silence, by the rows of the measurement proper in one family.
pub(super) fn wanted<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<Experiment> {
    let mut tried = rows.filter(|row| row.quic().is_some() && row.outcome.not_run().is_none());
    let is_silent = |row: &Observation| {
        row.outcome.failure() == Some(Failure::GenericTimeoutError)
            && row.quic().is_some_and(|tls| tls.bytes_received == 0)
    };
    if tried.clone().any(|row| row.outcome == Outcome::Ok || !is_silent(row)) {
        return None;
    }
    Some(Experiment::VersionNegotiation { address: super::address(tried.next()?)? })
}

#[cfg(test)]
mod tests {
    use faultline_record::{NotRun, StepData, Tls};

    use super::*;
    use crate::follow_up::rows;

    fn row(address: &str, outcome: Outcome, bytes_received: u64) -> Observation {
        rows::row(Some(&format!("{address}:443")), outcome, StepData::Quic(Tls { bytes_received, ..Tls::default() }))
    }

    #[test]
    fn only_silence_at_every_address_asks_for_versions() {
        let silent = || row("203.0.113.1", Outcome::Failed(Failure::GenericTimeoutError), 0);
        let at = Some(Experiment::VersionNegotiation { address: "203.0.113.1:443".parse().unwrap() });
        let asked = |others: &[Observation]| wanted([silent()].iter().chain(others));
        assert_eq!(asked(&[]), at);
        assert_eq!(asked(&[row("203.0.113.2", Outcome::NotRun(NotRun::AddressCap), 0)]), at);
        assert_eq!(asked(&[row("203.0.113.2", Outcome::Ok, 1_200)]), None);
        assert_eq!(asked(&[row("203.0.113.2", Outcome::Failed(Failure::GenericTimeoutError), 30)]), None);
        assert_eq!(asked(&[row("203.0.113.2", Outcome::Failed(Failure::ConnectionRefused), 0)]), None);
        assert_eq!(wanted([].iter()), None);
    }
}
