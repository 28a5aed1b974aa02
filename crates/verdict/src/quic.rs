//! A site's QUIC, judged apart from its TCP: the same measurement, seen as one of `quic://`.

use faultline_record::{Endpoint, HostName, Measurement, Observation, Purpose, StepData};

/// The measurement of the site over QUIC that a measurement of `https://` holds, if it holds one: its handshake and request are the
/// measurement proper, and the handshakes over TCP to the same address are what they are held against.
pub(crate) fn apart(measurement: &Measurement) -> Option<Measurement> {
    let rows = &measurement.observations;
    let copy = rows.iter().find(|row| row.purpose == Purpose::Http3Copy && row.quic().is_some())?;
    copy.outcome.not_run().map_or(Some(()), |_| None)?;
    let (address, port) = (copy.address?, copy.port?);
    let of_quic = |row: &Observation| row.quic().is_some() || row.purpose == Purpose::Http3Copy;
    let row = |row: &Observation| {
        let same = |purpose| Some(Observation { purpose, hop: 0, ..row.clone() });
        match (&row.data, row.purpose) {
            _ if row.hop != copy.hop => None,
            (_, Purpose::Http3Copy) => same(Purpose::Main),
            _ if of_quic(row) => same(row.purpose),
            (StepData::Tcp | StepData::Tls(_), Purpose::Main) if row.address == Some(address) => same(Purpose::TcpCopy),
            (StepData::Dns(_), Purpose::Main | Purpose::Comparison | Purpose::QuicElsewhere) => same(row.purpose),
            _ => None,
        }
    };
    let observations = rows.iter().filter_map(row).collect();
    let sni = copy.quic().and_then(|tls| tls.sni.clone());
    let host = sni.clone().map_or(HostName::Address(address), HostName::Name);
    let mut apart = Measurement { observations, ..measurement.clone() };
    apart.target.endpoint = Endpoint::Quic { host, port, sni, path: Some("/".into()) };
    Some(apart)
}
