//! Servers of our own on loopback, and drivers that trust their authority.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use faultline_record::{
    Availability, Endpoint, Measurement, Network, Observation, Outcome, Purpose, RunId, Step, Target,
};
use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::{RData, Record};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::clock::RunClock;
use crate::drive::{Drive, DriveConfig, PublicResolver, Strangers};
use crate::follow_up::FollowUps;
use crate::limits::Limits;
use crate::measure::{MeasureContext, measure};

/// An authority of our own.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of the tests");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's TLS with a certificate for these names.
    pub(super) fn server(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        server(vec![leaf.der().clone(), self.root()], key)
    }

    pub(super) fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        acceptor(self.server(names, |_| {}))
    }
}

pub(super) fn server(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

pub(super) fn acceptor(config: ServerConfig) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(config))
}

/// A server that treats every connection in the same way.
pub(super) async fn serve<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

/// A port of loopback on which nobody listens.
pub(super) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

/// Resets a connection: closing with a lingering time of zero sends RST.
pub(super) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// What a fake resolver sends back: each datagram after a pause.
pub(super) type Datagrams = Vec<(Duration, Vec<u8>)>;

/// Fake resolvers on 127.0.0.2, 127.0.0.3, ...: the same port on each, since the port of a public resolver is fixed.
pub(super) async fn resolvers<F>(count: u8, answer: F) -> Vec<SocketAddr>
where
    F: Fn(u8, &Message) -> Datagrams + Clone + Send + Sync + 'static,
{
    let sockets = loop {
        let first = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut sockets = vec![first];
        for host in 3..2 + count {
            // The port may be taken on one of them: look for another.
            sockets.extend(UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), port)).await);
        }
        if sockets.len() == usize::from(count) {
            break sockets;
        }
    };
    let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    for (index, socket) in (0..).zip(sockets) {
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            let socket = Arc::new(socket);
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let query = Message::from_vec(&buffer[..length]).unwrap();
                let (socket, datagrams) = (Arc::clone(&socket), answer(index, &query));
                tokio::spawn(async move {
                    for (pause, bytes) in datagrams {
                        tokio::time::sleep(pause).await;
                        socket.send_to(&bytes, from).await.unwrap();
                    }
                });
            }
        });
    }
    addresses
}

/// A reply to a query: an address of the type asked for, or nothing.
pub(super) fn reply(query: &Message, address: Option<IpAddr>) -> Message {
    let mut reply = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.queries.clone_from(&query.queries);
    let question = &query.queries[0];
    let data = match address {
        Some(IpAddr::V4(address)) if question.query_type == hickory_proto::rr::RecordType::A => {
            RData::A(address.into())
        }
        Some(IpAddr::V6(address)) if question.query_type == hickory_proto::rr::RecordType::AAAA => {
            RData::AAAA(address.into())
        }
        _ => return reply,
    };
    reply.add_answer(Record::from_rdata(question.name.clone(), 60, data));
    reply
}

/// A reply at once.
pub(super) fn at_once(reply: &Message) -> Datagrams {
    vec![(Duration::ZERO, reply.to_vec().unwrap())]
}

/// Limits for tests: what must time out does so soon.
pub(super) fn limits() -> Limits {
    Limits {
        dns: Duration::from_millis(600),
        late_dns: Duration::from_millis(400),
        tcp: Duration::from_secs(2),
        tls: Duration::from_millis(800),
        follow_up_tls: Duration::from_millis(800),
        http: Duration::from_secs(1),
        target: Duration::from_secs(20),
        ..Limits::default()
    }
}

pub(super) fn config(authority: &Authority) -> DriveConfig {
    DriveConfig {
        vpn_keys: Arc::default(),
        extra_roots: vec![authority.root()],
        resolvers: Vec::new(),
        doh: Vec::new(),
        innocent_sni: "innocent.example".to_owned(),
        strangers: Strangers::default(),
        limits: limits(),
        follow_up: FollowUps::None,
        http3: false,
        ipv6: false,
    }
}

/// A public resolver that answers on UDP only.
pub(super) fn public(name: &str, address: SocketAddr) -> PublicResolver {
    PublicResolver {
        name: name.to_owned(),
        udp: vec![address.ip()],
        doh: format!("https://{name}.example:1/dns-query").parse().unwrap(),
        dot: None,
    }
}

/// Drivers whose names all come from the first fake resolver.
pub(super) fn drive(config: DriveConfig, resolvers: &[SocketAddr]) -> Drive {
    let port = resolvers.first().map_or(53, SocketAddr::port);
    Drive::on_loopback(config, resolvers.iter().copied().take(1).collect(), port, true)
}

pub(super) fn target(input: &str) -> Target {
    Target {
        input: input.to_owned(),
        name: "test".to_owned(),
        endpoint: Endpoint::parse(input).unwrap(),
        category: None,
        list: None,
        availability: Availability::Unknown,
        private_ca: false,
    }
}

pub(super) fn context() -> MeasureContext {
    MeasureContext::new(RunId::new(), RunClock::start(), Network::default(), CancellationToken::new(), None)
}

pub(super) async fn run(drive: &Drive, input: &str) -> Rows {
    Rows(measure(drive, &target(input), context()).await)
}

/// A measurement, and ways to look at it.
#[derive(Debug)]
pub(super) struct Rows(pub(super) Measurement);

impl Rows {
    pub(super) fn of(&self, step: Step) -> Vec<&Observation> {
        self.0.observations.iter().filter(|row| row.step() == step).collect()
    }

    /// The only row of a step.
    pub(super) fn only(&self, step: Step) -> &Observation {
        let rows = self.of(step);
        assert_eq!(rows.len(), 1, "{step}: {:#?}", self.0.observations);
        rows[0]
    }

    /// Step, purpose and outcome of every row, by number.
    pub(super) fn outline(&self) -> Vec<(Step, Purpose, Outcome)> {
        self.check_numbers();
        self.0.observations.iter().map(|row| (row.step(), row.purpose, row.outcome)).collect()
    }

    /// Numbers run from 1 in order of start, and time never runs backwards.
    pub(super) fn check_numbers(&self) {
        for (row, number) in self.0.observations.iter().zip(1..) {
            assert_eq!(row.seq, number);
            assert!(row.t_ms >= row.t0_ms && row.t_ms <= self.0.duration_ms, "{row:?}");
        }
        assert!(self.0.observations.is_sorted_by(|a, b| a.t0_ms <= b.t0_ms + 0.5));
    }
}
