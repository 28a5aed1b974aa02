//! Measurements made by hand for the tests of judgement: a builder, no network.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a broken fixture may panic

use std::net::IpAddr;
use std::sync::Arc;

use faultline_record::{
    Availability, Certificate, Dns, DnsAnswer, DnsRecord, Endpoint, Engine, Failure, Family, FirstBytes, HealthCheck,
    HealthCheckId, HealthReason, HealthSignal, Http, Measurement, MeasurementId, Network, NotRun, Observation, Outcome,
    Purpose, QueryType, RunId, SignalKind, StepData, Target, Timestamp, Tls, Vpn, VpnAnswer, VpnKey, VpnProof,
    VpnProtocol, Witness,
};
use faultline_verdict::{Cause, State, Verdict};

/// The site's own address.
pub const GENUINE: &str = "198.51.100.7";

/// Builds a measurement row by row.
pub struct World {
    measurement: Measurement,
    connections: u32,
    hop: u16,
}

impl World {
    /// A measurement of that input, with no rows yet.
    pub fn measuring(input: &str) -> Self {
        let endpoint = Endpoint::parse(input).unwrap();
        let target = Target {
            input: input.into(),
            name: "test".into(),
            endpoint,
            category: None,
            list: None,
            availability: Availability::Unknown,
            private_ca: false,
        };
        let measurement = Measurement {
            id: MeasurementId::new(),
            run: RunId::new(),
            target,
            started_at: Timestamp::from_millisecond(1_700_000_000_000),
            offset_ms: 5_000.0,
            duration_ms: 1_000.0,
            network: Network::default(),
            observations: Vec::new(),
        };
        Self { measurement, connections: 0, hop: 0 }
    }

    /// The target belongs to a service that is hardly ever down.
    pub fn of_a_great_service(mut self) -> Self {
        self.measurement.target.availability = Availability::High;
        self
    }

    /// The target's certificates come from its own authority.
    pub fn with_a_private_ca(mut self) -> Self {
        self.measurement.target.private_ca = true;
        self
    }

    fn push(
        &mut self,
        purpose: Purpose,
        connection: Option<u32>,
        at: Option<(&str, u16)>,
        outcome: Outcome,
        data: StepData,
    ) {
        self.measurement.observations.push(Observation {
            seq: u32::try_from(self.measurement.observations.len()).unwrap() + 1,
            hop: self.hop,
            purpose,
            connection,
            t0_ms: 0.0,
            t_ms: 10.0,
            outcome,
            detail: None,
            address: at.map(|(address, _)| address.parse().unwrap()),
            port: at.map(|(_, port)| port),
            ttl: None,
            data,
        });
    }

    /// Later rows belong to the next redirect hop.
    pub fn next_hop(mut self) -> Self {
        self.hop += 1;
        self
    }

    /// The system's resolver gives an address.
    pub fn system_says(self, address: &str) -> Self {
        self.lookup(Purpose::Main, Engine::System, "system", Outcome::Ok, &[address], &[])
    }

    /// The system's resolver fails.
    pub fn system_fails(self, failure: Failure) -> Self {
        self.lookup(Purpose::Main, Engine::System, "system", Outcome::Failed(failure), &[], &[])
    }

    /// Two other resolvers give an address.
    pub fn others_say(self, address: &str) -> Self {
        self.lookup(Purpose::Comparison, Engine::Udp, "resolver/google", Outcome::Ok, &[address], &[]).lookup(
            Purpose::Comparison,
            Engine::Doh,
            "resolver/quad9",
            Outcome::Ok,
            &[address],
            &[],
        )
    }

    /// Two other resolvers fail.
    pub fn others_fail(self, failure: Failure) -> Self {
        self.lookup(Purpose::Comparison, Engine::Udp, "resolver/google", Outcome::Failed(failure), &[], &[]).lookup(
            Purpose::Comparison,
            Engine::Doh,
            "resolver/quad9",
            Outcome::Failed(failure),
            &[],
            &[],
        )
    }

    /// A question that was answered first with one address, then with another.
    pub fn raced(self, first: &str, late: &str) -> Self {
        self.lookup(Purpose::Comparison, Engine::Udp, "resolver/google", Outcome::Ok, &[first], &[late])
    }

    fn lookup(
        mut self,
        purpose: Purpose,
        engine: Engine,
        resolver: &str,
        outcome: Outcome,
        first: &[&str],
        late: &[&str],
    ) -> Self {
        let answer = |reply: u16| {
            move |address: &&str| DnsAnswer {
                reply,
                rcode: Some(0),
                after_ms: 10,
                ttl: Some(60),
                opt: None,
                case_kept: None,
                record: DnsRecord::Address(address.parse().unwrap()),
            }
        };
        let answers: Vec<DnsAnswer> = first.iter().map(answer(0)).chain(late.iter().map(answer(1))).collect();
        let dns = Dns {
            engine,
            resolver: resolver.into(),
            hostname: "site.example".into(),
            query_type: QueryType::A,
            rcode: Some(0),
            answers,
            replies: 1 + u16::from(!late.is_empty()),
        };
        self.push(purpose, None, None, outcome, StepData::Dns(dns));
        self
    }

    fn tcp(&mut self, purpose: Purpose, address: &str, port: u16, outcome: Outcome) -> u32 {
        self.connections += 1;
        self.push(purpose, Some(self.connections), Some((address, port)), outcome, StepData::Tcp);
        self.connections
    }

    /// A TCP connection that ends so, with no later step.
    pub fn connects(mut self, address: &str, outcome: Outcome) -> Self {
        self.tcp(Purpose::Main, address, 443, outcome);
        self
    }

    /// TCP works, TLS ends so.
    pub fn tls(mut self, purpose: Purpose, address: &str, outcome: Outcome, tls: Tls) -> Self {
        let connection = self.tcp(purpose, address, 443, Outcome::Ok);
        self.push(purpose, Some(connection), Some((address, 443)), outcome, StepData::Tls(tls));
        self
    }

    /// A QUIC handshake ends so; `heard` says whether anything came.
    pub fn quic(mut self, purpose: Purpose, address: &str, outcome: Outcome, heard: bool) -> Self {
        self.connections += 1;
        let tls = Tls { sni: Some("site.example".into()), bytes_received: u64::from(heard) * 1_200, ..Tls::default() };
        self.push(purpose, Some(self.connections), Some((address, 443)), outcome, StepData::Quic(tls));
        self
    }

    /// An unrelated operator is asked for its versions of QUIC and, over UDP too, for a name.
    pub fn elsewhere(self, address: &str, quic: Outcome, dns: Outcome) -> Self {
        let mut world = self.quic(Purpose::QuicElsewhere, address, quic, quic.is_ok());
        world = world.lookup(Purpose::QuicElsewhere, Engine::Udp, address, dns, &[], &[]);
        let row = world.measurement.observations.last_mut().unwrap();
        (row.address, row.port) = (Some(address.parse().unwrap()), Some(53));
        if let StepData::Dns(seen) = &mut row.data {
            seen.replies = u16::from(dns != failed(Failure::GenericTimeoutError));
        }
        world
    }

    /// A first message to a tunnel's server ends so.
    pub fn tunnel(self, purpose: Purpose, address: &str, outcome: Outcome) -> Self {
        self.tunnel_of(VpnProtocol::OpenvpnUdp, purpose, address, outcome)
    }

    /// The same of any protocol.
    pub fn tunnel_of(mut self, protocol: VpnProtocol, purpose: Purpose, address: &str, outcome: Outcome) -> Self {
        self.connections += 1;
        let vpn = StepData::Vpn(Vpn::planned(protocol));
        self.push(purpose, Some(self.connections), Some((address, 1_194)), outcome, vpn);
        self
    }

    /// A handshake of SSTP's that offers no name ends so, with a certificate if the exchange was made, which ends so.
    pub fn tunnel_within_tls(
        mut self,
        purpose: Purpose,
        address: &str,
        tls: Outcome,
        exchange: Option<Outcome>,
    ) -> Self {
        let chain = exchange.map(|_| Certificate::from_der(vec![0x30]).into()).into_iter().collect();
        let connection = self.tcp(purpose, address, 443, Outcome::Ok);
        let seen = StepData::Tls(Tls { chain, ..Tls::default() });
        self.push(purpose, Some(connection), Some((address, 443)), tls, seen);
        let vpn = StepData::Vpn(Vpn::planned(VpnProtocol::Sstp));
        let not_made = Outcome::NotRun(NotRun::PreviousStepFailed);
        self.push(purpose, Some(connection), Some((address, 443)), exchange.unwrap_or(not_made), vpn);
        self
    }

    /// The same, behind an answer to the first message.
    pub fn answered_tunnel(mut self, purpose: Purpose, address: &str, outcome: Outcome) -> Self {
        self.connections += 1;
        let vpn = Vpn { proof: Some(VpnProof::FirstAnswer), ..Vpn::planned(VpnProtocol::OpenvpnUdp) };
        self.push(purpose, Some(self.connections), Some((address, 1_194)), outcome, StepData::Vpn(vpn));
        self
    }

    /// An exchange with a server of `OpenVPN`'s ends so, where somebody has logged in with such an account.
    pub fn login(mut self, purpose: Purpose, outcome: Outcome, seen: (VpnAnswer, VpnProof), key: VpnKey) -> Self {
        self.connections += 1;
        let (answer, proof) = (Some(seen.0), Some(seen.1));
        let vpn = Vpn { answer, proof, key: Some(key), ..Vpn::planned(VpnProtocol::OpenvpnUdp) };
        self.push(purpose, Some(self.connections), Some((GENUINE, 1_194)), outcome, StepData::Vpn(vpn));
        self
    }

    /// An exchange of `WireGuard`'s ends so, having proven this much, with this key.
    pub fn wireguard(
        mut self,
        purpose: Purpose,
        outcome: Outcome,
        proof: Option<VpnProof>,
        key: Option<VpnKey>,
    ) -> Self {
        self.connections += 1;
        let vpn = Vpn { proof, key, ..Vpn::planned(VpnProtocol::Wireguard) };
        self.push(purpose, Some(self.connections), Some((GENUINE, 51_820)), outcome, StepData::Vpn(vpn));
        self
    }

    /// A connection to the host at a common port ends so.
    pub fn host_alive(mut self, address: &str, outcome: Outcome) -> Self {
        self.tcp(Purpose::HostAlive, address, 443, outcome);
        self
    }

    /// The name, asked of the target's own host.
    pub fn asks_nobody(self, outcome: Outcome, said: &[&str]) -> Self {
        self.lookup(Purpose::NoResolver, Engine::Udp, GENUINE, outcome, said, &[])
    }

    /// The steps of the last connection took so long, milliseconds: TCP, and what came after it.
    pub fn taking(mut self, tcp: f64, tls: f64) -> Self {
        let last = self.connections;
        for row in self.measurement.observations.iter_mut().filter(|row| row.connection == Some(last)) {
            row.t_ms = row.t0_ms + if matches!(row.data, StepData::Tcp) { tcp } else { tls };
        }
        self
    }

    /// TCP and TLS work, the certificate is valid, the response has this status.
    pub fn responds(mut self, purpose: Purpose, address: &str, status: u16) -> Self {
        self = self.tls(purpose, address, Outcome::Ok, heard());
        let connection = self.connections;
        let http = Http { status: Some(status), ..Http::default() };
        self.push(purpose, Some(connection), Some((address, 443)), Outcome::Ok, StepData::Http(http));
        self
    }

    /// A redirect that cannot be followed, as the probe records it: a request that was never sent anywhere.
    pub fn dead_end(mut self, failure: Failure) -> Self {
        self.push(Purpose::Main, None, None, failed(failure), StepData::Http(Http::default()));
        self
    }

    /// A second connection to the address, without a handshake.
    pub fn retries(mut self, address: &str, outcome: Outcome) -> Self {
        self.tcp(Purpose::Retry, address, 443, outcome);
        self
    }

    /// TCP works and a plain request ends so.
    pub fn plain(mut self, address: &str, outcome: Outcome, http: Http) -> Self {
        let connection = self.tcp(Purpose::Main, address, 80, Outcome::Ok);
        self.push(Purpose::Main, Some(connection), Some((address, 80)), outcome, StepData::Http(http));
        self
    }

    /// A request of a follow-up that ends so, over the scheme that its URL names, after so many milliseconds.
    pub fn requests(mut self, purpose: Purpose, address: &str, outcome: Outcome, http: Http, ms: f64) -> Self {
        let port = if http.url.starts_with("https:") { 443 } else { 80 };
        let connection = self.tcp(purpose, address, port, Outcome::Ok);
        if port == 443 {
            self.push(purpose, Some(connection), Some((address, port)), Outcome::Ok, StepData::Tls(heard()));
        }
        self.push(purpose, Some(connection), Some((address, port)), outcome, StepData::Http(http));
        self.took(ms)
    }

    /// The last row took so long.
    pub fn took(mut self, ms: f64) -> Self {
        if let Some(row) = self.measurement.observations.last_mut() {
            row.t_ms = row.t0_ms + ms;
        }
        self
    }

    /// The system's resolver is asked for a name that cannot exist.
    pub fn asked_for_nonsense(self, outcome: Outcome) -> Self {
        self.lookup(Purpose::RandomName, Engine::System, "system", outcome, &[], &[])
    }

    /// A further question: whom, in what way and for what name, and what came. Where nothing came at all there is no reply.
    pub fn asks(
        mut self,
        purpose: Purpose,
        (engine, resolver): (Engine, &str),
        name: &str,
        outcome: Outcome,
        given: &[&str],
    ) -> Self {
        self = self.lookup(purpose, engine, resolver, outcome, given, &[]);
        let silence = [Failure::GenericTimeoutError, Failure::ConnectionReset];
        let row = self.measurement.observations.last_mut().unwrap();
        let StepData::Dns(dns) = &mut row.data else { unreachable!() };
        dns.hostname = name.into();
        if outcome.failure().is_some_and(|failure| silence.contains(&failure)) {
            (dns.replies, dns.rcode) = (0, None);
        }
        self
    }

    /// The question just asked was for addresses of IPv6.
    pub fn of_ipv6(mut self) -> Self {
        let StepData::Dns(dns) = &mut self.measurement.observations.last_mut().unwrap().data else { unreachable!() };
        dns.query_type = QueryType::Aaaa;
        self
    }

    /// The reply just made carries an OPT record, or not, and keeps the case of the name, or not.
    pub fn made(mut self, opt: bool, case_kept: bool) -> Self {
        let StepData::Dns(dns) = &mut self.measurement.observations.last_mut().unwrap().data else { unreachable!() };
        for answer in &mut dns.answers {
            (answer.opt, answer.case_kept) = (Some(opt), Some(case_kept));
        }
        self
    }

    /// A resolver of that kind gives an address; one that cannot be public is marked as the probe marks it.
    pub fn says(self, engine: Engine, resolver: &str, address: &str, outcome: Outcome) -> Self {
        let purpose = if engine == Engine::System { Purpose::Main } else { Purpose::Comparison };
        self.lookup(purpose, engine, resolver, outcome, &[address], &[])
    }

    /// Three rounds at the address: the innocent name ends so, the own name so.
    pub fn differential(mut self, address: &str, innocent: &(Outcome, Tls), own: &(Outcome, Tls)) -> Self {
        for _ in 0..3 {
            self = self.tls(Purpose::InnocentSni, address, innocent.0, innocent.1.clone());
            self = self.tls(Purpose::Retry, address, own.0, own.1.clone());
        }
        self
    }

    /// The finished measurement.
    pub fn done(self) -> Measurement {
        self.measurement
    }

    /// Judged with a healthy vantage around it.
    pub fn judged(self) -> faultline_verdict::Verdict {
        faultline_verdict::judge(&self.done(), &healthy())
    }
}

/// The verdict says this, and no more of the mechanism.
pub fn is(verdict: &Verdict, state: State, cause: Cause, mechanisms: &[&str]) {
    assert_eq!((verdict.state, verdict.cause), (state, cause), "{verdict:#?}");
    assert_eq!(verdict.mechanisms, mechanisms, "{verdict:#?}");
}

/// Whether that rule is among the verdict's evidence.
pub fn fired(verdict: &Verdict, rule: &str) -> bool {
    verdict.evidence.iter().any(|evidence| evidence.rule == rule)
}

/// A handshake in which the peer said something.
pub fn heard() -> Tls {
    Tls { bytes_received: 3_000, first_bytes: Some(FirstBytes::Handshake), ..Tls::default() }
}

/// A handshake in which a certificate of that issuer was shown.
pub fn shown(subject: &str, issuer: &str) -> Tls {
    let certificate = Certificate {
        sha256: [7; 32],
        der: Vec::new(),
        subject: subject.into(),
        issuer: issuer.into(),
        not_before: None,
        not_after: None,
    };
    Tls { chain: vec![Arc::new(certificate)], ..heard() }
}

/// A failed outcome.
pub fn failed(failure: Failure) -> Outcome {
    Outcome::Failed(failure)
}

/// Not run for that reason.
pub fn not_run(reason: NotRun) -> Outcome {
    Outcome::NotRun(reason)
}

/// A signal of a health check.
pub fn signal(kind: SignalKind, provider: &str, outcome: Outcome) -> HealthSignal {
    HealthSignal {
        kind,
        name: format!("control/{provider}"),
        provider: Some(provider.into()),
        family: Some(Family::V4),
        address: None::<IpAddr>,
        outcome,
        value: None,
        duration_ms: 50.0,
        detail: None,
    }
}

/// A check with these signals, on the run's clock.
pub fn check(offset_ms: f64, signals: Vec<HealthSignal>) -> HealthCheck {
    let reason = HealthReason::During;
    HealthCheck { id: HealthCheckId::new(), run: RunId::new(), reason, offset_ms, duration_ms: 500.0, signals }
}

/// The signals of a vantage at which everything works.
pub fn all_well() -> Vec<HealthSignal> {
    use SignalKind::{Captive, ControlByAddress, ControlByName, Link, Resolver, Route};
    vec![
        signal(Link, "eth0", Outcome::Ok),
        signal(Route, "eth0", Outcome::Ok),
        signal(Captive, "google", Outcome::Ok),
        signal(ControlByName, "iana", Outcome::Ok),
        signal(ControlByName, "apple", Outcome::Ok),
        signal(ControlByAddress, "quad9", Outcome::Ok),
        signal(Resolver, "system", Outcome::Ok),
    ]
}

/// A healthy vantage before and after.
pub fn healthy() -> Witness {
    let (before, after) = (Some(check(4_000.0, all_well()).into()), Some(check(6_500.0, all_well()).into()));
    Witness { before, after, during: Vec::new(), overloaded: false, run_clock_ms: None }
}

/// What a helper outside saw: its rows, as the probe writes them down.
impl World {
    /// The errand to the helper ended well.
    pub fn helper_answers(self) -> Self {
        self.helper_is_lost(Outcome::Ok)
    }

    /// The errand to the helper ended so.
    pub fn helper_is_lost(mut self, outcome: Outcome) -> Self {
        let http = Http { url: "https://helper.example/v1/check".into(), ..Http::default() };
        self.push(Purpose::Helper, None, None, outcome, StepData::Http(http));
        self
    }

    /// The helper's resolver gives these addresses.
    pub fn helper_resolves(self, addresses: &[&str]) -> Self {
        self.lookup(Purpose::Helper, Engine::System, "helper", Outcome::Ok, addresses, &[])
    }

    /// The helper's resolver fails.
    pub fn helper_cannot_resolve(self, failure: Failure) -> Self {
        self.lookup(Purpose::Helper, Engine::System, "helper", Outcome::Failed(failure), &[], &[])
    }

    /// The helper's connection to the address ends so; there is no handshake.
    pub fn helper_fails(mut self, address: &str, outcome: Outcome) -> Self {
        let connection = self.tcp(Purpose::Helper, address, 443, outcome);
        let skipped = Outcome::NotRun(NotRun::PreviousStepFailed);
        self.push(Purpose::Helper, Some(connection), Some((address, 443)), skipped, StepData::Tls(Tls::default()));
        self
    }

    /// The helper connects to the address, and does no more.
    pub fn connects_for_helper(mut self, address: &str) -> Self {
        self.tcp(Purpose::Helper, address, 443, Outcome::Ok);
        self
    }

    /// The helper's handshake with the address ends so.
    pub fn helper_shakes(self, address: &str, outcome: Outcome) -> Self {
        self.tls(Purpose::Helper, address, outcome, Tls::default())
    }

    /// The helper's handshake with the address is verified.
    pub fn helper_verifies(self, address: &str) -> Self {
        self.helper_shakes(address, Outcome::Ok)
    }

    /// A request over the connection just made ends so.
    pub fn then_request(mut self, purpose: Purpose, address: &str, outcome: Outcome, http: Http) -> Self {
        let connection = self.connections;
        self.push(purpose, Some(connection), Some((address, 443)), outcome, StepData::Http(http));
        self
    }

    /// The helper gets this page in the clear.
    pub fn helper_gets(mut self, address: &str, http: Http) -> Self {
        let connection = self.tcp(Purpose::Helper, address, 80, Outcome::Ok);
        self.push(Purpose::Helper, Some(connection), Some((address, 80)), Outcome::Ok, StepData::Http(http));
        self
    }
}
