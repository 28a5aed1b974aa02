//! obfs4: the handshake with a bridge whose line is known (the specification "obfs4 - The obfourscator", section 4; ntor as in
//! proposal 216 with its names). Points that look like noise by `elligator2`, codes by `aws-lc-rs`.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use elligator2::{HiddenKey, from_representative, generate};
use faultline_record::{Vpn, VpnAnswer, VpnProof};
use tokio::io::AsyncReadExt;
use x25519_dalek::PublicKey;

use super::{End, FirstMessage, Tapped, send};
use crate::vpn_keys::Obfs4Key;

/// Octets of a point, of a code that is cut, and of ntor's code.
const POINT: usize = 32;
const CODE: usize = 16;
const AUTH: usize = 32;
/// Octets of padding at least and at most (specification, section 4).
const PADDING: [u16; 2] = [85, 8_128];
/// The names of ntor's parts (proposal 216, section 2).
const PROTOCOL: &[u8] = b"ntor-curve25519-sha256-1";
const VERIFY: &[u8] = b"ntor-curve25519-sha256-1:key_verify";
const MAC: &[u8] = b"ntor-curve25519-sha256-1:mac";

pub(super) async fn ask(
    stream: &mut Tapped,
    bridge: &Obfs4Key,
    first: FirstMessage,
    seen: &mut Vpn,
) -> io::Result<End> {
    let own = generate(&mut rand::rng()).ok_or_else(|| io::Error::other("there is no randomness"))?;
    let hours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() / 3_600);
    let padding = rand::random_range(PADDING[0]..=PADDING[1]);
    let message = first_message(bridge, own.representative(), &noise(padding.into()), hours);
    send(stream, &message, first).await?;
    let mut answer = [0; POINT + AUTH];
    stream.read_exact(&mut answer).await?;
    if !is_of(&answer, &own, bridge) {
        return Ok(End::Strange("what came is not made with the bridge's key"));
    }
    (seen.answer, seen.proof) = (Some(VpnAnswer::BridgeResponse), Some(VpnProof::ServerIdentity));
    Ok(End::Had)
}

fn noise(octets: usize) -> Vec<u8> {
    (0..octets).map(|_| rand::random()).collect()
}

/// Point, padding, a mark at which the bridge finds the end, and a code over it all and the hour.
fn first_message(bridge: &Obfs4Key, representative: &[u8; POINT], padding: &[u8], hours: u64) -> Vec<u8> {
    let key = Key::new(HMAC_SHA256, &[&bridge.bridge.expose()[..], bridge.node.expose()].concat());
    let mark = sign(&key, representative);
    let marked = [representative, padding, &mark.as_ref()[..CODE]].concat();
    let code = sign(&key, &[&marked[..], hours.to_string().as_bytes()].concat());
    [&marked, &code.as_ref()[..CODE]].concat()
}

/// Whether an answer's code was made by the holder of the bridge's key, for this point of ours.
fn is_of(answer: &[u8; POINT + AUTH], own: &HiddenKey, bridge: &Obfs4Key) -> bool {
    let Some((representative, code)) = answer.split_first_chunk::<POINT>() else { return false };
    let (theirs, key) = (from_representative(representative), bridge.bridge.expose());
    let common = [&key[..], key, own.point(), &theirs, PROTOCOL, bridge.node.expose()].concat();
    let shared = |point: [u8; POINT]| own.diffie_hellman(&PublicKey::from(point)).to_bytes();
    let secret = [&shared(theirs)[..], &shared(*key), &common].concat();
    let verified = sign(&Key::new(HMAC_SHA256, VERIFY), &secret);
    let input = [verified.as_ref(), &common, b"Server"].concat();
    verify(&Key::new(HMAC_SHA256, MAC), &input, code).is_ok()
}

#[cfg(test)]
mod tests {
    use faultline_record::VpnKey;

    use super::*;
    use crate::vpn_keys::Secret;

    fn bridge() -> Obfs4Key {
        Obfs4Key { node: Secret::new([1; 20]), bridge: Secret::new([9; 32]), standing: VpnKey::Given }
    }

    #[test]
    fn a_first_message_is_as_long_as_its_padding_makes_it_and_ends_with_the_hour_s_code() {
        let message = |hours| first_message(&bridge(), &[7; 32], &[5; 85], hours);
        assert_eq!(message(1).len(), 149);
        assert_eq!(message(1)[..133], message(2)[..133], "point, padding and mark");
        assert_ne!(message(1)[133..], message(2)[133..]);
    }

    #[test]
    fn nobody_but_the_bridge_can_answer() {
        let own = generate(&mut rand::rng()).unwrap();
        assert!(!is_of(&[3; 64], &own, &bridge()));
    }
}
