//! The older derivation of keys and the older form of packets, against the program itself: no server of its sixth edition of version 2
//! chooses them for a client that knows the newer ones, but one for a single peer does.

use std::net::{SocketAddr, UdpSocket as Blocking};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;

use super::*;

const SESSION: [u8; 8] = [7; 8];

/// An authority's and a server's files, and what a client has of them.
fn identities(folder: &Path) -> (RootCertStore, rustls_pki_types::CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let leaf = || {
        let mut params = CertificateParams::new(vec!["vpn.example".to_owned()]).unwrap();
        // Not the authority's own name, which would make it its own issuer.
        params.distinguished_name.push(DnType::CommonName, "vpn.example");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &authority).unwrap(), key)
    };
    let (server, client) = (leaf(), leaf());
    for (name, text) in
        [("ca.pem", authority.pem()), ("server.pem", server.0.pem()), ("server.key", server.1.serialize_pem())]
    {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    (roots, client.0.der().clone(), PrivateKeyDer::try_from(client.1.serialize_der()).unwrap())
}

/// The program, killed at the end.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One for a single peer needs no device and no privilege. `None` where there is none on this machine.
fn start(folder: &Path, port: u16) -> Option<Server> {
    let mut command = Command::new("openvpn");
    command.current_dir(folder).args(["--mode", "p2p", "--tls-server", "--dev", "null", "--proto", "udp4"]);
    command.args(["--local", "127.0.0.1", "--port", &port.to_string(), "--dh", "none", "--ping", "1"]);
    command.args(["--ca", "ca.pem", "--cert", "server.pem", "--key", "server.key"]);
    command.args(["--data-ciphers", "AES-256-GCM", "--data-ciphers-fallback", "AES-256-GCM"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.spawn().ok().map(Server)
}

#[tokio::test]
async fn keys_of_the_older_derivation_open_what_the_program_itself_sends() {
    let folder = tempfile::tempdir().unwrap();
    let (roots, certificate, key) = identities(folder.path());
    let port = Blocking::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_server) = start(folder.path(), port) else {
        eprintln!("skipped: there is no openvpn on this machine");
        return;
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key).unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(20), heard_from(port, config)).await.unwrap();
    // The answer to the question for options has the same mark and the next kind.
    let kind = |packet: &Vec<u8>| (packet.len() > 16 && packet[..16] == OPTIONS_QUESTION[..16]).then(|| packet[16]);
    assert!(heard.contains(&PING.to_vec()) && heard.iter().any(|packet| kind(packet) == Some(1)), "{heard:?}");
}

/// What the server's data channel carries first, where it is asked for its options.
async fn heard_from(port: u16, config: ClientConfig) -> Vec<Vec<u8>> {
    let (socket, meter) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), Meter::default());
    socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    let mut wrapper = Wrapper::new(None);
    let (reset, mut answer) = (wrapper.reset(SESSION), [0; DATAGRAM]);
    // Until it listens, an attempt is refused.
    let length = loop {
        let _ = socket.send(&reset).await;
        if let Ok(Ok(length)) = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut answer)).await {
            break length;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let talk = Talk::behind(&answer[..length], SESSION, wrapper).unwrap();
    let control = talk.control(config, "vpn.example").unwrap();
    let line = Line::Datagrams { socket: &socket, meter: &meter };
    let mut conversation = Conversation { line, control, wrapper: talk.wrapper, again: Vec::new() };
    let mut seen = Vpn::planned(faultline_record::VpnProtocol::OpenvpnUdp);
    let patience = Duration::from_secs(8);
    assert!(conversation.shake_hands(patience, &mut seen).await.unwrap() && conversation.control.is_done());
    let shared = Shared::new();
    conversation.control.say(&login::client(&shared.randoms(), None, false));
    let until = Instant::now() + patience;
    let (mut channel, mut carried) = (None, Vec::new());
    while carried.len() < 4 {
        let heard = conversation.turn(until, &mut seen).await.unwrap();
        if channel.is_none()
            && let Said::This(random, _) = login::server(conversation.control.heard())
        {
            let keys = shared.keys(&random, conversation.control.sessions());
            let pushed = Pushed { cipher: Some("AES-256-GCM".to_owned()), ..Pushed::default() };
            channel = DataChannel::new(&keys, &pushed);
        }
        match (heard, &mut channel) {
            (Heard::Data(message), Some(channel)) => {
                carried.extend(channel.open(&message));
                conversation.line.send(&channel.seal(&OPTIONS_QUESTION).unwrap()).await.unwrap();
            }
            (Heard::Nothing | Heard::End, _) => break,
            _ => {}
        }
    }
    carried
}
