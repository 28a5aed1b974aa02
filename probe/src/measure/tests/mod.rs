//! Whole measurements against servers of our own: loopback only.

mod dialogue;
mod dns;
mod doh;
mod ech;
mod follow_ups;
mod helper;
mod hostile;
mod hostile_names;
mod http;
mod http3;
mod names;
mod proxy;
mod questions;
mod quic;
mod slow;
mod tls;
mod vpn;
mod walk;
mod world;
