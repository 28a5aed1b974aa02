//! Handshakes with servers of our own: Noise's other half, by the same library, with the sums of the paper beside it. (The real
//! daemon is in the testbed.)

use super::*;
use crate::vpn_keys::Secret;

const SERVER: [u8; 32] = [0x11; 32];
/// The public key of [`SERVER`] (`wg pubkey`).
const SERVER_PUBLIC: &str = "e06Qm75//kTEZaIgA31gjuNYl9Me+XLwf3SJLLD3PxM=";

fn peer() -> Peer {
    let key = WireguardKey { private: Secret::new([0x22; 32]), ..WireguardKey::made_up() };
    Peer { server: ServerKey::parse(SERVER_PUBLIC).unwrap(), key: Arc::new(key) }
}

/// The response of a server to this initiation.
fn response(message: &[u8]) -> Vec<u8> {
    let mut noise = snow::Builder::new(CONSTRUCTION.parse().unwrap())
        .prologue(IDENTIFIER)
        .unwrap()
        .local_private_key(&SERVER)
        .unwrap()
        .psk(2, &[0; 32])
        .unwrap()
        .build_responder()
        .unwrap();
    let mut stamp = [0; wireguard::STAMP];
    noise.read_message(&message[8..wireguard::SIGNED], &mut stamp).unwrap();
    assert_eq!(stamp[0], 0x40);
    let mut sealed = [0; 48];
    noise.write_message(&[], &mut sealed).unwrap();
    [&[2, 0, 0, 0, 9, 0, 0, 0][..], &message[4..8], &sealed, &[0; 32]].concat()
}

#[tokio::test]
async fn a_server_with_the_key_opens_what_is_sent_and_its_response_is_believed() {
    let stamp = Stamps::default().next().await.unwrap();
    let one = Initiation::new(&peer(), stamp).unwrap();
    assert_eq!(one.code, code(&peer().server, &one.message[..116]), "the first code covers all before it");
    let answer = response(&one.message);
    let (server, mut sent) = (peer().server, vec![one]);
    for cut in 0..answer.len() {
        assert!(matches!(read(&answer[..cut], &server, &mut sent), Said::Other), "cut at {cut}");
    }
    let mut forged = answer.clone();
    forged[30] ^= 1;
    assert!(matches!(read(&forged, &server, &mut sent), Said::Other), "whoever has not the key cannot answer");
    let Said::Response(session) = read(&answer, &server, &mut sent) else { panic!("the response was not believed") };
    assert_eq!((session.theirs, session.seal(0, &[]).unwrap().len()), (9, 32));
}

#[tokio::test]
async fn a_cookie_of_this_server_s_is_life_and_another_is_not() {
    let one = Initiation::new(&peer(), Stamps::default().next().await.unwrap()).unwrap();
    let (session, code) = (one.session, one.code);
    let sealed = |server: &ServerKey, code: &[u8]| {
        let cipher = XChaCha20Poly1305::new(&hash(LABEL_COOKIE, server).into());
        let sealed = cipher.encrypt(&[5; 24].into(), Payload { msg: &[6; 16], aad: code }).unwrap();
        [&[3, 0, 0, 0][..], &session.to_le_bytes(), &[5; 24], &sealed].concat()
    };
    let (server, mut sent) = (peer().server, vec![one]);
    let genuine = sealed(&server, &code);
    assert!(matches!(read(&genuine, &server, &mut sent), Said::Cookie));
    assert!(matches!(read(&sealed(&ServerKey([1; 32]), &code), &server, &mut sent), Said::Other));
    assert!(matches!(read(&sealed(&server, &[0; 16]), &server, &mut sent), Said::Other));
}

#[tokio::test]
async fn stamps_rise_even_within_a_millisecond_and_stop_when_the_clock_is_set_back() {
    let stamps = Stamps::default();
    let (one, other) = tokio::join!(stamps.next(), stamps.next());
    assert_ne!(one.unwrap(), other.unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(*stamps.last.lock().unwrap() <= now, "none is in the future");
    *stamps.last.lock().unwrap() = now + Duration::from_mins(1);
    assert_eq!(stamps.next().await, None);
}

#[test]
fn data_of_the_session_alone_is_opened() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let stamp = runtime.block_on(Stamps::default().next()).unwrap();
    let one = Initiation::new(&peer(), stamp).unwrap();
    let answer = response(&one.message);
    let (ours, mut sent) = (one.session, vec![one]);
    let Said::Response(session) = read(&answer, &peer().server, &mut sent) else { panic!() };
    let packet = echo::request(Ipv4Addr::LOCALHOST.octets(), [10, 0, 0, 1], 1, 1);
    let own = session.seal(1, &packet).unwrap();
    assert_eq!(own.len(), 16 + 32 + 16, "28 octets are padded to 32");
    let mut reflected = own.clone();
    reflected[4..8].copy_from_slice(&ours.to_le_bytes());
    assert!(!session.opens(&reflected), "what we sealed ourselves is not the server's");
    assert!(!session.opens(&own[..31]));
}
