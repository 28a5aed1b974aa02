//! A network of our own for one test: the test runs itself again in namespaces that lead nowhere, where every address
//! of interest is on the loopback, and servers of ours answer there.

use std::collections::VecDeque;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// Where the helper's own resolver is, which denies nothing.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(5, 8, 8, 8);
/// Serves every site.
pub const SITES: Ipv4Addr = Ipv4Addr::new(5, 5, 5, 5);
/// Accepts connections and never says a word.
pub const SILENT: Ipv4Addr = Ipv4Addr::new(5, 6, 6, 6);
/// Refuses connections: nothing listens there.
const REFUSING: Ipv4Addr = Ipv4Addr::new(5, 7, 7, 7);
/// Set in the test that runs inside.
const INSIDE: &str = "FAULTLINE_TEST_INSIDE";

/// The way out of the world that leads nowhere, and the addresses that are served.
const SETUP: &str = "
ip link set lo up
ip link add d0 type veth peer name d1
ip link set d1 up
ip addr add 10.9.0.2/24 dev d0
ip link set d0 up
ip route add default via 10.9.0.1
for address in 1.1.1.1 8.8.8.8 9.9.9.9 5.5.5.5 5.6.6.6 5.7.7.7 5.8.8.8; do ip addr add $address/32 dev lo; done
mount --bind \"$1/resolv.conf\" /etc/resolv.conf
";

/// Runs `body` inside, or says why it cannot. `name` is the test's own name.
pub fn inside<F: Future<Output = ()>>(name: &str, body: impl FnOnce(World) -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { body(World::start().await).await });
        return;
    }
    let works = Command::new("unshare")
        .args(["-Urnm", "ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: this machine does not let us make namespaces with interfaces (unshare -Urnm, veth)");
        return;
    }
    let status = Command::new("unshare")
        .args(["-Urnm", "--fork", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed inside");
}

/// The world, for as long as the test runs.
pub struct World {
    folder: tempfile::TempDir,
    load: Arc<Load>,
}

/// Connections to the sites in the last second, and how many the line bears before the controls fail.
struct Load {
    begun: Mutex<VecDeque<Instant>>,
    bears: AtomicUsize,
}

impl Load {
    fn one_more(&self) {
        self.begun.lock().unwrap().push_back(Instant::now());
    }

    fn is_too_much(&self) -> bool {
        let mut begun = self.begun.lock().unwrap();
        while begun.front().is_some_and(|first| first.elapsed() > Duration::from_secs(1)) {
            begun.pop_front();
        }
        begun.len() > self.bears.load(Ordering::Relaxed)
    }
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("resolv.conf"), "nameserver 8.8.8.8\n").unwrap();
        let path = folder.path().to_str().unwrap();
        let made = Command::new("sh").args(["-ec", SETUP, "setup", path]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let load = Arc::new(Load { begun: Mutex::default(), bears: AtomicUsize::new(usize::MAX) });
        let world = Self { folder, load };
        world.serve().await;
        world
    }

    async fn serve(&self) {
        let tls = acceptor(&self.path("ca.pem"));
        for address in [SITES, Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(9, 9, 9, 9)] {
            let listener = TcpListener::bind((address, 443)).await.unwrap();
            tokio::spawn(https(listener, tls.clone(), Arc::clone(&self.load), address == SITES));
            tokio::spawn(resolver(UdpSocket::bind((address, 53)).await.unwrap(), true));
        }
        tokio::spawn(resolver(UdpSocket::bind((OUTSIDE, 53)).await.unwrap(), false));
        tokio::spawn(http(TcpListener::bind((SITES, 80)).await.unwrap()));
        tokio::spawn(silence(TcpListener::bind((SILENT, 443)).await.unwrap()));
    }

    /// From now on the controls fail while the sites get more connections than this in a second.
    pub fn bears(&self, connections: usize) {
        self.load.bears.store(connections, Ordering::Relaxed);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, with consent, our roots and a database of the world's.
    pub fn probe(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_probe"));
        command.args(args);
        self.surround(command)
    }

    /// The program as it runs outside the censored part of the world: with a resolver of its own.
    pub fn probe_outside(&self, args: &[&str]) -> tokio::process::Command {
        let resolvers = self.path("outside.conf");
        std::fs::write(&resolvers, format!("nameserver {OUTSIDE}\n")).unwrap();
        let mut command = tokio::process::Command::new("unshare");
        command.args(["-m", "sh", "-ec", "mount --bind \"$1\" /etc/resolv.conf; shift; exec \"$@\"", "sh"]);
        command.arg(resolvers).arg(env!("CARGO_BIN_EXE_probe")).args(args);
        self.surround(command)
    }

    fn surround(&self, mut command: tokio::process::Command) -> tokio::process::Command {
        command.env("XDG_DATA_HOME", self.path("data")).env("XDG_CONFIG_HOME", self.path("config"));
        command.env("FAULTLINE_CA_FILE", self.path("ca.pem")).env("FAULTLINE_YES", "1").env("FAULTLINE_YES_VPN", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// A list of sites that answer, or of sites that stay silent.
    pub fn list(&self, kind: &str, count: usize) -> String {
        let rows: Vec<String> = (0..count).map(|n| format!("https://{kind}-{n}.example/,NEWS")).collect();
        let file = self.path(&format!("{kind}.csv"));
        std::fs::write(&file, format!("url,category_code\n{}\n", rows.join("\n"))).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

/// Certificates for every name of the world, by an authority of its own, which is written to `ca`.
fn acceptor(ca: &std::path::Path) -> TlsAcceptor {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(ca, authority.pem()).unwrap();
    let mut names: Vec<String> = ["one.one.one.one", "dns.quad9.net", "dns.google", "example.com", "www.microsoft.com"]
        .into_iter()
        .chain(["www.apple.com", "cloudflare-dns.com"])
        .map(str::to_owned)
        .collect();
    names.push("denied.example".to_owned());
    names.extend((0..200).map(|n| format!("site-{n}.example")));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Under too much load the sites go on and the controls close their connections.
async fn https(listener: TcpListener, tls: TlsAcceptor, load: Arc<Load>, is_sites: bool) {
    while let Ok((stream, _)) = listener.accept().await {
        if is_sites {
            load.one_more();
        } else if load.is_too_much() {
            continue;
        }
        let tls = tls.clone();
        tokio::spawn(async move {
            if let Ok(mut stream) = tls.accept(stream).await {
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nhello\n").await;
                let _ = stream.shutdown().await;
            }
        });
    }
}

/// The captive-portal checks' pages, as controls.toml has them.
async fn http(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let (status, body) = if request.contains("connectivitycheck.gstatic.com") {
                ("204 No Content", "")
            } else if request.contains("detectportal.firefox.com") {
                ("200 OK", "success\n")
            } else {
                ("200 OK", "NetworkManager is online\n")
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        });
    }
}

async fn silence(listener: TcpListener) {
    let mut kept = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        kept.push(stream);
    }
}

/// `silent-*` and `refusing-*` lie at addresses of their own, every other name at the sites'; `denied.*` does not exist
/// for a resolver that censors. There is no IPv6.
async fn resolver(socket: UdpSocket, censors: bool) {
    let mut bytes = vec![0; 1_500];
    while let Ok((length, peer)) = socket.recv_from(&mut bytes).await {
        let Ok(query) = Message::from_vec(&bytes[..length]) else { continue };
        let mut reply = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
        reply.metadata.recursion_available = true;
        reply.metadata.response_code = ResponseCode::NoError;
        for question in &query.queries {
            let address = match question.name().to_string().split('-').next() {
                Some("silent") => SILENT,
                Some("refusing") => REFUSING,
                _ => SITES,
            };
            if censors && question.name().to_string().starts_with("denied.") {
                reply.metadata.response_code = ResponseCode::NXDomain;
            } else if question.query_type() == RecordType::A {
                reply.answers.push(Record::from_rdata(question.name().clone(), 60, RData::A(A(address))));
            }
            reply.queries.push(question.clone());
        }
        let _ = socket.send_to(&reply.to_vec().unwrap(), peer).await;
    }
}

/// Takes the world's only way out away, so that there is no network any more.
pub fn cut() {
    assert!(Command::new("ip").args(["route", "del", "default"]).status().unwrap().success());
}

/// Gives it back.
pub fn mend() {
    assert!(Command::new("ip").args(["route", "add", "default", "via", "10.9.0.1"]).status().unwrap().success());
}
