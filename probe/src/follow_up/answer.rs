//! What the rows of one round say, for the planner: who was answered.

use faultline_record::{Failure, FirstBytes, Observation, Purpose, Step};

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The target's own was answered, and the innocent one, where there was one.
    AllAnswered,
    /// Only the innocent one was answered.
    OwnFailed,
    /// Only the target's own was answered.
    InnocentFailed,
    /// Nothing was answered.
    NoneAnswered,
}

impl Answer {
    /// What these rows of one round say; `None` when the target's own was not tried.
    pub fn of(rows: &[&Observation]) -> Option<Self> {
        let answered = |is_own: bool| {
            let mut tried = rows.iter().filter(|row| is_own != is_innocent(row.purpose) && is_last_step(row, rows));
            tried.clone().any(|row| row.outcome.not_run().is_none()).then(|| tried.any(|row| is_answered(row)))
        };
        match (answered(true)?, answered(false)) {
            (true, Some(true) | None) => Some(Self::AllAnswered),
            (true, Some(false)) => Some(Self::InnocentFailed),
            (false, Some(true)) => Some(Self::OwnFailed),
            (false, Some(false) | None) => Some(Self::NoneAnswered),
        }
    }
}

/// Whether a row belongs to the innocent half of a round.
fn is_innocent(purpose: Purpose) -> bool {
    matches!(
        purpose,
        Purpose::InnocentSni
            | Purpose::InnocentHost
            | Purpose::InnocentServer
            | Purpose::InnocentName
            | Purpose::LocateInnocent
            | Purpose::ElsewhereInnocent
            | Purpose::RandomBytes
            | Purpose::PrintableBytes
            | Purpose::TlsBytes
            | Purpose::OtherPort
            | Purpose::QuicElsewhere
    )
}

/// Whether nothing further was tried on the row's connection.
fn is_last_step(row: &Observation, rows: &[&Observation]) -> bool {
    let is_later = |other: &&Observation| {
        other.connection == row.connection && other.seq > row.seq && other.outcome.not_run().is_none()
    };
    row.connection.is_none() || !rows.iter().any(is_later)
}

/// Whether the peer said anything at all: any byte of TLS counts, be it an alert or a certificate of somebody else's
/// (science reference, row 19).
pub fn is_answered(row: &Observation) -> bool {
    let spoke = row.tls().or(row.quic()).is_some_and(|tls| {
        tls.bytes_received > 0 && !matches!(tls.first_bytes, Some(FirstBytes::Http | FirstBytes::NotTls))
    });
    let responded = row.http().is_some_and(|http| http.status.is_some());
    match row.step() {
        Step::Tcp | Step::Dns => row.outcome.is_ok(),
        // A tunnel's server that closes has read what it was sent.
        Step::Vpn => {
            let closes = row.outcome.failure() == Some(Failure::EofError);
            row.outcome.is_ok() || closes || row.vpn().is_some_and(|vpn| vpn.bytes_received > 0)
        }
        _ => row.outcome.is_ok() || spoke || responded,
    }
}
