//! Codecs and handshake machines: bytes in, meaning out.
//!
//! No socket, no clock, no randomness, no dependency: `no_std` with `alloc` is the guard.

#![no_std]

extern crate alloc;

pub mod anyconnect;
pub mod dialogue;
pub mod echo;
mod http_head;
pub mod http_proxy;
pub mod ike;
pub mod ikev1;
pub mod ikev2;
pub mod l2tp;
pub mod openvpn;
pub mod openvpn_control;
pub mod openvpn_data;
pub mod openvpn_login;
pub mod pptp;
pub mod proton;
pub mod quic;
pub mod shadowsocks;
pub mod socks5;
pub mod softether;
pub mod sstp;
pub mod stun;
pub mod tls;
pub mod tor;
pub mod trojan;
pub mod vless;
pub mod wireguard;
