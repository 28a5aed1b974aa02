//! The rows of a target that was never begun: every planned step is there, with the reason why it was not run.

use faultline_record::{
    Dns, Endpoint, Engine, HostName, Http, Measurement, MeasurementId, NotRun, Observation, Outcome, Purpose,
    QueryType, StepData, Target, Timestamp, Tls, Vpn,
};

use crate::measure::MeasureContext;

/// A measurement in which nothing was done.
pub fn unmeasured(target: &Target, context: &MeasureContext, reason: NotRun) -> Measurement {
    let steps = planned(&target.endpoint);
    let row = |(seq, data): (u32, StepData)| Observation {
        seq,
        hop: 0,
        purpose: Purpose::Main,
        connection: if matches!(data, StepData::Dns(_)) { None } else { Some(1) },
        t0_ms: 0.0,
        t_ms: 0.0,
        outcome: Outcome::NotRun(reason),
        detail: None,
        address: None,
        port: None,
        ttl: None,
        data,
    };
    Measurement {
        id: MeasurementId::new(),
        run: context.run,
        target: target.clone(),
        started_at: Timestamp::now(),
        offset_ms: context.clock.now_ms(),
        duration_ms: 0.0,
        network: context.network.clone(),
        observations: (1..).zip(steps).map(row).collect(),
    }
}

fn planned(endpoint: &Endpoint) -> Vec<StepData> {
    let (host, _) = endpoint.host_and_port();
    let mut steps = Vec::new();
    match (&host, endpoint) {
        (_, Endpoint::Dns { resolver, name }) => steps.push(question(Engine::Udp, &resolver.to_string(), name)),
        (HostName::Name(name), _) => steps.push(question(Engine::System, "system", name)),
        (HostName::Address(_), _) => {}
    }
    let server_name = || if let HostName::Name(name) = &host { Some(name.clone()) } else { None };
    let handshake = |sni| StepData::Tls(Tls { sni, ..Tls::default() });
    match endpoint {
        Endpoint::Web(url) => {
            steps.push(StepData::Tcp);
            if url.scheme() == "https" {
                steps.push(handshake(server_name()));
            }
            steps.push(StepData::Http(Http { url: url.to_string(), ..Http::default() }));
        }
        Endpoint::Tcp { .. } => steps.push(StepData::Tcp),
        Endpoint::Tls { sni, .. } => {
            steps.extend([StepData::Tcp, handshake(sni.clone().or_else(server_name))]);
        }
        Endpoint::Quic { sni, .. } => {
            steps.push(StepData::Quic(Tls { sni: sni.clone().or_else(server_name), ..Tls::default() }));
            if let Some(url) = endpoint.http3_url() {
                steps.push(StepData::Http(Http { url: url.to_string(), ..Http::default() }));
            }
        }
        Endpoint::Vpn { protocol, .. } => {
            if protocol.is_tcp() {
                steps.push(StepData::Tcp);
            }
            if protocol.has_tls_step() {
                steps.push(handshake(server_name()));
            }
            steps.push(StepData::Vpn(Vpn::planned(*protocol)));
        }
        Endpoint::Dns { .. } | Endpoint::Foreign(_) => {}
    }
    steps
}

fn question(engine: Engine, resolver: &str, name: &str) -> StepData {
    StepData::Dns(Dns {
        engine,
        resolver: resolver.to_owned(),
        hostname: name.to_owned(),
        query_type: QueryType::A,
        rcode: None,
        answers: Vec::new(),
        replies: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(endpoint: &str) -> Vec<&'static str> {
        planned(&Endpoint::parse(endpoint).unwrap()).iter().map(|data| data.step().name()).collect()
    }

    #[test]
    fn every_planned_step_has_its_row() {
        assert_eq!(steps("https://x.com/"), ["dns", "tcp", "tls", "http"]);
        assert_eq!(steps("http://x.com/"), ["dns", "tcp", "http"]);
        assert_eq!(steps("https://192.0.2.1/"), ["tcp", "tls", "http"]);
        assert_eq!(steps("tcp://x.com:443"), ["dns", "tcp"]);
        assert_eq!(steps("tls://192.0.2.1:443?sni=x.com"), ["tcp", "tls"]);
        assert_eq!(steps("dns://9.9.9.9/x.com"), ["dns"]);
        assert_eq!(steps("stun://x.com"), ["dns", "vpn"]);
        assert_eq!(steps("pptp://x.com"), ["dns", "tcp", "vpn"]);
        assert_eq!(steps("sstp://x.com"), ["dns", "tcp", "tls", "vpn"]);
    }
}
