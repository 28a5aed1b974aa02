//! Codecs and handshake machines: bytes in, meaning out.
//!
//! No socket, no clock, no randomness, no dependency: `no_std` with `alloc` is the guard.

#![no_std]

extern crate alloc;

pub mod echo;
pub mod ikev2;
pub mod openvpn;
pub mod openvpn_control;
pub mod quic;
pub mod shadowsocks;
pub mod tls;
pub mod tor;
pub mod wireguard;
