//! Rows of a made-up measurement, one after the other on its own clock.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use faultline_record::{
    Arrival, Certificate, Dns, DnsAnswer, DnsRecord, Engine, Failure, FirstBytes, Http, NotRun, Observation, Outcome,
    Purpose, QueryType, StepData, Tls,
};

use super::chance::Chance;

/// Rows in the making.
pub struct Rows<'c> {
    pub chance: &'c mut Chance,
    pub made: Vec<Observation>,
    /// Milliseconds since the measurement's start.
    pub now: f64,
    connection: u32,
}

/// Where a step went.
pub type Place = (IpAddr, u16);

impl<'c> Rows<'c> {
    /// None yet.
    pub fn new(chance: &'c mut Chance) -> Self {
        Self { chance, made: Vec::with_capacity(8), now: 0.0, connection: 0 }
    }

    fn push(&mut self, purpose: Purpose, took: f64, outcome: Outcome, place: Option<Place>, data: StepData) {
        let seq = u32::try_from(self.made.len()).unwrap_or(0) + 1;
        let is_dns = matches!(data, StepData::Dns(_));
        let detail = (outcome == Outcome::Failed(Failure::ConnectionReset))
            .then(|| "Connection reset by peer (os error 104)".to_owned());
        self.made.push(Observation {
            seq,
            hop: 0,
            purpose,
            connection: (!is_dns).then_some(self.connection),
            t0_ms: self.now,
            t_ms: self.now + took,
            outcome,
            detail,
            address: place.map(|(address, _)| address),
            port: place.map(|(_, port)| port),
            ttl: None,
            data,
        });
        self.now += took;
    }

    /// A name is asked of all resolvers, and each gives this answer (or fails like this).
    pub fn names(&mut self, host: &str, system: Result<IpAddr, Failure>, others: Result<IpAddr, Failure>) {
        self.ask(Purpose::Main, Engine::System, "system", host, QueryType::A, system);
        let nothing = system.and(Err(Failure::DnsNoAnswer));
        self.ask(Purpose::Main, Engine::System, "system", host, QueryType::Aaaa, nothing);
        let resolvers =
            [(Engine::Udp, "resolver/google"), (Engine::Udp, "resolver/quad9"), (Engine::Doh, "resolver/cloudflare")];
        for (engine, resolver) in resolvers {
            self.ask(Purpose::Comparison, engine, resolver, host, QueryType::A, others);
        }
    }

    fn ask(
        &mut self,
        purpose: Purpose,
        engine: Engine,
        resolver: &str,
        host: &str,
        query_type: QueryType,
        answer: Result<IpAddr, Failure>,
    ) {
        let took = self.chance.ms(5, 60);
        let told = |record| DnsAnswer { record, ..DnsAnswer::told(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) };
        let answers = match answer {
            Ok(address) => vec![DnsAnswer { ttl: Some(300), rcode: Some(0), ..told(DnsRecord::Address(address)) }],
            Err(Failure::DnsNoAnswer) => vec![DnsAnswer { rcode: Some(0), ..told(DnsRecord::Empty) }],
            Err(_) => Vec::new(),
        };
        let dns = Dns {
            engine,
            resolver: resolver.to_owned(),
            hostname: host.to_owned(),
            query_type,
            rcode: (!answers.is_empty()).then_some(0),
            replies: u16::from(!answers.is_empty()),
            answers,
        };
        let place = match engine {
            Engine::Udp => Some((IpAddr::from([9, 9, 9, 9]), 53)),
            Engine::Doh => Some((IpAddr::from([1, 1, 1, 1]), 443)),
            _ => None,
        };
        let outcome = answer.map_or_else(Outcome::Failed, |_| Outcome::Ok);
        self.push(purpose, took, outcome, place, StepData::Dns(dns));
    }

    /// A connection.
    pub fn tcp(&mut self, purpose: Purpose, place: Place, outcome: Outcome) {
        self.connection += 1;
        let took =
            if outcome == Outcome::Failed(Failure::GenericTimeoutError) { 10_000.0 } else { self.chance.ms(10, 90) };
        self.push(purpose, took, outcome, Some(place), StepData::Tcp);
    }

    /// A handshake over it, or over QUIC.
    pub fn tls(
        &mut self,
        purpose: Purpose,
        place: Place,
        sni: &str,
        outcome: Outcome,
        chain: &Arc<Certificate>,
        quic: bool,
    ) {
        let answered = !matches!(outcome, Outcome::Failed(Failure::ConnectionReset | Failure::GenericTimeoutError));
        let words = |text: &str| answered.then(|| text.to_owned());
        let tls = Tls {
            sni: Some(sni.to_owned()),
            version: words("TLSv1.3"),
            cipher_suite: words("TLS_AES_128_GCM_SHA256"),
            alpn: words(if quic { "h3" } else { "h2" }),
            chain: if answered { vec![Arc::clone(chain)] } else { Vec::new() },
            bytes_received: if answered { 3_100 + self.chance.below(900) as u64 } else { 0 },
            first_bytes: answered.then_some(FirstBytes::Handshake),
        };
        let took = self.chance.ms(15, 120);
        self.push(purpose, took, outcome, Some(place), if quic { StepData::Quic(tls) } else { StepData::Tls(tls) });
    }

    /// A page over it.
    pub fn page(&mut self, place: Place, url: &str, body: &Arc<[u8]>) {
        let took = self.chance.ms(20, 300);
        let headers =
            [("content-type", "text/html; charset=utf-8"), ("server", "example"), ("cache-control", "no-cache")];
        let http = Http {
            url: url.to_owned(),
            protocol: Some("h2".to_owned()),
            status: Some(200),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: Some(Arc::clone(body)),
            body_length: body.len() as u64,
            head_ms: Some(18),
            arrivals: vec![Arrival { ms: 18, bytes: 600 }, Arrival { ms: 19, bytes: 600 + body.len() as u64 }],
            ..Http::default()
        };
        self.push(Purpose::Main, took, Outcome::Ok, Some(place), StepData::Http(http));
    }

    /// A page that was never asked for.
    pub fn no_page(&mut self, url: &str) {
        let http = StepData::Http(Http { url: url.to_owned(), ..Http::default() });
        self.push(Purpose::Main, 0.0, Outcome::NotRun(NotRun::PreviousStepFailed), None, http);
    }
}
