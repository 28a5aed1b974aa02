//! Experiments on tunnels that were not answered.

use std::net::SocketAddr;

use faultline_record::{Failure, Observation, Outcome, Purpose, Step};

use super::{Experiment, address};

/// Where no first message of a family was answered; within TLS that offers no name, the handshake is one. (Of a name that is
/// offered others ask.)
pub(super) fn wanted<'a>(rows: impl Iterator<Item = &'a Observation> + Clone) -> Option<Experiment> {
    rows.clone().find(|row| row.vpn().is_some())?;
    let is_first = |row: &&Observation| match row.tls() {
        Some(tls) => tls.sni.is_none() && tls.chain.is_empty(),
        None => row.vpn().is_some(),
    };
    let mut sent = rows.filter(is_first).filter(|row| row.outcome.not_run().is_none());
    if sent.clone().any(|row| row.outcome == Outcome::Ok) {
        return None;
    }
    Some(Experiment::Tunnel { address: sent.find_map(address)? })
}

/// Everything at a server has been silence since the first message, and it is known to live: over TCP by a connection that was
/// made before, over UDP by a helper that is answered. A filter of single messages is silent to these alone.
pub(super) fn residual(observations: &[Observation], hop: u16) -> Option<Experiment> {
    let mut rows: Vec<&Observation> = observations.iter().filter(|row| row.hop == hop).collect();
    rows.sort_by_key(|row| row.seq);
    let main = rows.iter().find(|row| row.purpose == Purpose::Main && is_cut(row))?;
    let at = address(main)?;
    let is_tcp = main.vpn().is_some_and(|vpn| vpn.protocol.is_tcp());
    let is_shut = if is_tcp { is_shut_to_tcp(&rows, at) } else { is_shut_to_all(&rows, at) };
    is_shut.then_some(Experiment::TunnelResidual { address: at })
}

/// Over TCP the first message failed, and was answered when it came again: a filter that acts now and then goes by how it looks,
/// and a bad line does not.
pub(super) fn looks(observations: &[Observation], hop: u16) -> Option<Experiment> {
    let rows = || observations.iter().filter(|row| row.hop == hop && row.vpn().is_some());
    let main = rows().find(|row| row.purpose == Purpose::Main && is_cut(row))?;
    let is_tcp = main.vpn().is_some_and(|vpn| vpn.protocol.is_tcp());
    let again = |row: &Observation| row.purpose == Purpose::Retry && row.outcome.is_ok();
    (is_tcp && rows().any(again)).then_some(Experiment::TunnelLooks { address: address(main)? })
}

fn is_cut(row: &Observation) -> bool {
    let failure = row.outcome.failure();
    row.vpn().is_some() && failure.is_some() && failure != Some(Failure::EofError)
}

/// What was tried there since the first message.
fn later<'a>(rows: &'a [&Observation], at: SocketAddr) -> impl Iterator<Item = &'a &'a Observation> + Clone {
    let is_later = |purpose| matches!(purpose, Purpose::Retry | Purpose::JunkFirst);
    rows.iter().filter(move |row| is_later(row.purpose) && address(row) == Some(at))
}

fn is_shut_to_tcp(rows: &[&Observation], at: SocketAddr) -> bool {
    let mut tried = later(rows, at).filter(|row| row.step() == Step::Tcp).peekable();
    tried.peek().is_some() && tried.all(|row| row.outcome.failure().is_some())
}

fn is_shut_to_all(rows: &[&Observation], at: SocketAddr) -> bool {
    let tried = || later(rows, at).filter(|row| row.vpn().is_some());
    let is_reached = |row: &&&Observation| row.purpose == Purpose::Helper && row.vpn().is_some() && row.outcome.is_ok();
    let has_both = [Purpose::Retry, Purpose::JunkFirst].into_iter().all(|one| tried().any(|row| row.purpose == one));
    has_both && tried().all(|row| row.outcome.failure().is_some()) && rows.iter().any(|row| is_reached(&row))
}

#[cfg(test)]
mod tests {
    use faultline_record::{StepData, Vpn, VpnProtocol};

    use super::*;
    use crate::follow_up::rows::row;

    const SILENCE: Outcome = Outcome::Failed(Failure::GenericTimeoutError);
    const SERVER: &str = "203.0.113.9:1194";

    fn made(purpose: Purpose, outcome: Outcome, data: StepData, seq: u32) -> Observation {
        Observation { purpose, seq, ..row(Some(SERVER), outcome, data) }
    }

    fn tunnel(protocol: VpnProtocol) -> StepData {
        StepData::Vpn(Vpn::planned(protocol))
    }

    #[test]
    fn over_tcp_a_server_that_takes_no_connection_any_more_is_left_alone_for_a_time() {
        let rows = |later| {
            let main = [
                made(Purpose::Main, Outcome::Ok, StepData::Tcp, 1),
                made(Purpose::Main, SILENCE, tunnel(VpnProtocol::OpenvpnTcp), 2),
            ];
            main.into_iter().chain([made(Purpose::Retry, later, StepData::Tcp, 3)]).collect::<Vec<_>>()
        };
        let asks = Experiment::TunnelResidual { address: SERVER.parse().unwrap() };
        assert_eq!(residual(&rows(SILENCE), 0), Some(asks));
        assert_eq!(residual(&rows(Outcome::Ok), 0), None, "it takes connections");
        assert_eq!(residual(&rows(SILENCE)[..2], 0), None, "nobody has tried");
    }

    #[test]
    fn a_message_that_passes_now_and_then_is_held_against_others() {
        let rows = |protocol, again| {
            [made(Purpose::Main, SILENCE, tunnel(protocol), 1), made(Purpose::Retry, again, tunnel(protocol), 2)]
        };
        let asks = Experiment::TunnelLooks { address: SERVER.parse().unwrap() };
        assert_eq!(looks(&rows(VpnProtocol::OpenvpnTcp, Outcome::Ok), 0), Some(asks));
        assert_eq!(looks(&rows(VpnProtocol::OpenvpnTcp, SILENCE), 0), None, "it never passes");
        assert_eq!(
            looks(&rows(VpnProtocol::OpenvpnUdp, Outcome::Ok), 0),
            None,
            "no server shows that it has read others"
        );
    }

    #[test]
    fn over_udp_it_takes_a_helper_who_is_answered() {
        let udp = |purpose, outcome, seq| made(purpose, outcome, tunnel(VpnProtocol::OpenvpnUdp), seq);
        let silent =
            [udp(Purpose::Main, SILENCE, 1), udp(Purpose::JunkFirst, SILENCE, 2), udp(Purpose::Retry, SILENCE, 3)];
        let with = |helper| [&silent[..], &[udp(Purpose::Helper, helper, 4)]].concat();
        assert!(residual(&with(Outcome::Ok), 0).is_some());
        assert_eq!(residual(&with(SILENCE), 0), None);
        assert_eq!(residual(&silent, 0), None);
        let mut passes = with(Outcome::Ok);
        passes[1].outcome = Outcome::Ok;
        assert_eq!(residual(&passes, 0), None, "it is answered in disguise");
    }
}
