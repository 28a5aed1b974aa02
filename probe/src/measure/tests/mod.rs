//! Whole measurements against servers of our own: loopback only.

mod dns;
mod doh;
mod follow_ups;
mod helper;
mod hostile;
mod hostile_names;
mod http;
mod http3;
mod quic;
mod tls;
mod vpn;
mod walk;
mod world;
